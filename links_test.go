package isolayer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
)

// TestLinkCounts: a new directory counts wherever the count of its parent stands, also in
// the record of a directory of which nothing else changes.
func TestLinkCounts(t *testing.T) {
	dir, base := t.TempDir(), filepath.Join(t.TempDir(), "base.iso")
	if err := os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "genisoimage", "-quiet", "-R", "-o", base, dir)
	made := filepath.Join(t.TempDir(), "made.iso")
	rebuild(t, base, made, isolayer.Mkdir{Path: "/a/b/new"})
	b, err := isolayer.Open(made, isolayer.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	root, err := b.Image().Tree(iso9660.Primary)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint32{}
	for e := range root.Walk() {
		counts[e.Path()] = e.Nlink
		if e.Nlink != e.Own().Nlink {
			t.Errorf("%s: %d links in its record, %d in its own", e.Path(), e.Nlink, e.Own().Nlink)
		}
	}
	if counts["/a/b"] != 4 || counts["/a"] != 3 {
		t.Errorf("links: %v", counts)
	}
}
