package isolayer_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// ranks is the list of docs/design.md: a package imports only what stands below it.
var ranks = []string{"cmd/isolayer", "", "workspace/strategy", "workspace", "fsview", "erofs", "store", "layer", "distro", "sums", "verify", "diff", "layout", "sample", "master/scan", "master", "qemu", "unpack", "tree", "boot", "sink", "inplace", "mediacheck", "iso9660", "fat", "menu", "pe", "bootcfg", "cpio", "recipe", "localtree", "extent", "fault", "grubscript", "spelling"}

func TestImportsOnlyGoDown(t *testing.T) {
	const module = "github.com/isolayer/isolayer"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	rank := func(path string) int {
		return slices.Index(ranks, strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(path, module), "/"), "internal/"))
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if slices.Contains([]string{"isotest", "isotest/hostile", "isotest/readback", "loadertest"}, strings.TrimPrefix(f[0], module+"/internal/")) || strings.HasPrefix(f[0], module+"/tools/") {
			continue
		}
		from := rank(f[0])
		if from < 0 {
			t.Errorf("%s is not in the list of docs/design.md", f[0])
		}
		for _, imp := range f[1:] {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			if to := rank(imp); to <= from {
				t.Errorf("%s imports %s", f[0], imp)
			}
		}
	}
}

// TestStartsFast: from 0.0.25 on go-runewidth computes tables of all characters at
// every start, which takes longer than an edit in place.
func TestStartsFast(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/mattn/go-runewidth").Output()
	if err != nil {
		t.Fatal(err)
	}
	if v := strings.TrimSpace(string(out)); v != "v0.0.24" {
		t.Errorf("go-runewidth is %s; v0.0.24 with mpb v8.13.0 is the last that starts at once", v)
	}
}
