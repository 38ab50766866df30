package build_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/stage"
)

// TestBuildWritesNothing: planning writes no file, neither beside the base, nor here, nor
// where temporary files go; only a layer that is compressed is unpacked there, until the image
// is closed.
func TestBuildWritesNothing(t *testing.T) {
	base := made(t, map[string][]byte{
		"boot/grub/grub.cfg": []byte("menuentry x {\n linux /k root=live:CDLABEL=MADE\n initrd /i\n}\n"), "k": []byte("k"), "gone": []byte("g"),
		"i":          []byte("070701" + "00000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000B00000000TRAILER!!!\x00\x00\x00\x00"),
		"md5sum.txt": []byte("b2f5ff47436671b6e533d8dc3614845d  ./gone\n"),
	})
	b := opened(t, base)
	add := local(t, "added", []byte("added"))
	layer := packed(t, base, []byte("layer"))
	tmp, here := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Chdir(here)
	before := listed(t, filepath.Dir(base))
	steps := []edit.Step{
		edit.Add{Source: add},
		edit.Remove{Pattern: "/gone"},
		edit.Mkdir{Path: "/dir"},
		edit.Kargs{Args: []string{"a=b"}},
		edit.Label{ID: "NEW"},
		edit.MenuTimeout{Seconds: 3},
		edit.InitrdAdd{Adds: []edit.Add{{Source: add}}},
	}
	img, err := build.Build(t.Context(), b, steps, stage.Options{NewUUID: true, MediaCheck: stage.MediaAuto})
	if err != nil {
		t.Fatal(err)
	}
	for what, dir := range map[string]string{"where temporary files go": tmp, "the working directory": here} {
		if got := listed(t, dir); len(got) > 0 {
			t.Errorf("planning wrote %q to %s", got, what)
		}
	}
	if now := listed(t, filepath.Dir(base)); len(now) != len(before) {
		t.Errorf("beside the base were %q, and are %q", before, now)
	}
	if err := img.Close(); err != nil {
		t.Fatal(err)
	}
	if img, err = build.Build(t.Context(), b, []edit.Step{edit.Layer{Path: layer}}, stage.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := img.Close(); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, tmp); len(got) > 0 {
		t.Errorf("a closed image left %q", got)
	}
}

// listed are the names in a directory.
func listed(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		out = append(out, d.Name())
	}
	return out
}
