package isotest

import (
	"os"
	"testing"
)

// Live is a live system of Debian made by live-build: $ISOLAYER_LIVE_IMAGE, or one that is
// made, by root, from the network, in half an hour. Without either the test is skipped,
// also where CI is set.
func Live(tb testing.TB) string {
	tb.Helper()
	if image := os.Getenv("ISOLAYER_LIVE_IMAGE"); image != "" {
		return file(tb, image)
	}
	if os.Getenv("ISOLAYER_SOAK") == "" || os.Getuid() != 0 {
		tb.Skip("an image by live-build takes ISOLAYER_SOAK and root, or ISOLAYER_LIVE_IMAGE")
	}
	Tool(tb, "lb")
	return build(tb, "live.iso", func(s *store) error {
		if err := s.script("live.sh", s.work(), s.work("out", "live.iso")); err != nil {
			return err
		}
		return s.keep("live.iso")
	})
}
