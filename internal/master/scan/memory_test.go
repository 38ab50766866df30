package scan_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/isotest/readback"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/sink"
)

// TestMasterMemory: content that is in no file lies beside what a directory holds, and
// meets its names as another file does.
func TestMasterMemory(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "local"), []byte("of the directory"), 0o644))
	memory := func(dest string) scan.Graft {
		return scan.Graft{Dest: dest, Content: fat.Bytes([]byte("of memory"))}
	}
	o := scan.Options{RockRidge: true, Joliet: true}
	img, err := build.Master([]scan.Graft{{Source: dir}, memory("/new/dir/file")}, o)
	must(t, err)
	defer img.Close()
	out := filepath.Join(t.TempDir(), "out.iso")
	_, err = img.WriteFile(t.Context(), out, sink.Options{})
	must(t, err)
	readback.Verified(t, out)
	m := readback.Manifest(t, out)
	if got := m["new/dir/file"]; got.Size != int64(len("of memory")) || got.Perm != 0o444 || len(m) != 4 {
		t.Errorf("the image has %v", m)
	}
	for _, c := range []struct {
		dest string
		want error
	}{{"", fs.ErrInvalid}, {"dir/", fs.ErrInvalid}, {"../x", fs.ErrInvalid}, {"bad\xff", scan.ErrNotUTF8}} {
		if _, err := build.Master([]scan.Graft{{Source: dir}, memory(c.dest)}, o); !errors.Is(err, c.want) {
			t.Errorf("content for %q: %v, want %v", c.dest, err, c.want)
		}
	}
	var twice *master.TwiceError
	if _, err := build.Master([]scan.Graft{{Source: dir}, memory("local")}, o); !errors.As(err, &twice) {
		t.Errorf("a name twice: %v", err)
	}
}
