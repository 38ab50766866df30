//go:build hostile

package hostile

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// quirks are the images of other programs' tests that are not read, or not edited, by
// what their names begin with; the longest beginning counts. All others are read by all
// commands, and edited.
var quirks = map[string]struct{ read, edit string }{
	"libcdio-bad-dir.iso":                            {"format", "format"},
	"libcdio-malformed.iso":                          {"unsupported", "unsupported"}, // blocks of 12,336 bytes
	"libcdio-malformed2.iso":                         {"format", "format"},
	"libcdio-cdda":                                   {"not-iso", "not-iso"}, // music
	"libcdio-isofs-m1.bin":                           {"not-iso", "not-iso"}, // sectors with their headers
	"libcdio-p1.":                                    {"not-iso", "not-iso"}, // the same
	"libcdio-videocd.nrg":                            {"not-iso", "not-iso"}, // the same
	"libcdio-udf102.iso":                             {"not-iso", "not-iso"}, // UDF alone
	"libcdio-test-udf1.iso":                          {"", "unsupported"},    // UDF too
	"util-linux-sample.iso":                          {"not-iso", "not-iso"}, // half a descriptor
	"util-linux-udf":                                 {"not-iso", "not-iso"},
	"util-linux-udf.img":                             {"", "unsupported"},
	"util-linux-udf-cd-nero-6.img":                   {"", "unsupported"},
	"util-linux-udf-multi-0-417-834-genisoimage.img": {"", "unsupported"},
}

// TestQuirks reads the images that libarchive, libcdio and util-linux are tested with.
func TestQuirks(t *testing.T) {
	bin, images := program(t), filepath.Join(t.TempDir(), "images")
	isotest.Tool(t, "bsdtar")
	if out, err := exec.CommandContext(t.Context(), "./quirks.sh", images).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	list, err := os.ReadDir(images)
	if err != nil || len(list) < 50 {
		t.Fatalf("%d images, %v", len(list), err)
	}
	counts := map[string]int{}
	for _, d := range list {
		image, dir := filepath.Join(images, d.Name()), t.TempDir()
		want, longest := quirks[""], 0
		for prefix, q := range quirks {
			if strings.HasPrefix(d.Name(), prefix) && len(prefix) > longest {
				want, longest = q, len(prefix)
			}
		}
		edited := filepath.Join(dir, "edited.iso")
		for _, c := range []struct {
			want string
			args []string
		}{
			{want.read, []string{"info", "--json", image}},
			{want.read, []string{"ls", "-lR", "--json", image}},
			{want.read, []string{"extract", "--json", image, "-C", filepath.Join(dir, "out")}},
			{want.edit, []string{"build", "--json", image, "--mkdir", "/new", "-o", edited}},
			{want.edit, []string{"ls", "--json", edited, "/new"}},
		} {
			if c.args[2] == edited && want.edit != "" {
				continue
			}
			if got := kind(t, bin, c.args); got != c.want {
				t.Errorf("%s %s: %q, want %q", c.args[0], d.Name(), got, c.want)
			}
		}
		counts[want.read]++
	}
	t.Logf("%d images; read %d; refused by kind: %v", len(list), counts[""], counts)
}

// kind is that of the error of a command, "" if it has none.
func kind(t *testing.T, bin string, args []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Stderr = &stderr
	if cmd.Run() == nil {
		return ""
	}
	var f struct{ Kind string }
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &f); err != nil || f.Kind == "" {
		t.Errorf("%q: %s", args, &stderr)
	}
	return f.Kind
}
