package isotest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/qemu"
)

// Boot starts an image and waits until it has shown all texts, in any order. It returns
// what was seen.
func Boot(tb testing.TB, image string, f qemu.Firmware, m qemu.Media, texts ...string) qemu.Result {
	tb.Helper()
	Tool(tb, "qemu-system-x86_64")
	res, err := qemu.Run(tb.Context(), image, qemu.Options{Firmware: f, Media: m, Memory: 768, Expect: texts, NoKVM: true})
	if err != nil {
		tb.Errorf("boot %s (%s, %s): %v", filepath.Base(image), f, m, err)
		return res
	}
	if len(res.Missing) > 0 {
		tail := strings.TrimSpace(res.Console)
		tb.Errorf("%s (%s, %s) did not show %q in %v; the console ended with:\n%s\nthe screen:\n%s",
			filepath.Base(image), f, m, res.Missing, res.Took, tail[max(0, len(tail)-1500):], res.Screen)
	}
	return res
}
