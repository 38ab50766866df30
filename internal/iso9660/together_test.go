package iso9660

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/isotest"
)

// TestTogether: hierarchies that are read at once cost and give what they do one by one,
// whatever the limit, and so do those that are read a directory at a time.
func TestTogether(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "image.iso")
	for i := range 5 {
		sub := filepath.Join(dir, fmt.Sprint("d", i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, "f"), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	isotest.Run(t, "genisoimage", "-quiet", "-r", "-J", "-o", out, dir)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	read := func(l fault.Limits, f func(*Image) error) string {
		img, err := Open(bytes.NewReader(b), int64(len(b)), Options{Budget: fault.NewBudget(int64(len(b)), l)})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(f(img), img.Warnings(), img.Missing())
	}
	ways := map[string]func(*Image) error{
		"at once": (*Image).ReadTrees,
		"a directory at a time": func(img *Image) error {
			_, err := NewStream(img, func(Hierarchy, *Entry) {})
			return err
		},
	}
	one := func(img *Image) error {
		for _, h := range Hierarchies {
			if _, err := img.Tree(h); err != nil {
				return err
			}
		}
		return nil
	}
	for n := int64(1); n < 50; n++ {
		for _, l := range []fault.Limits{{Records: n}, {TreeBytes: n * BlockSize / 2}, {Depth: n}} {
			want := read(l, one)
			for name, f := range ways {
				if got := read(l, f); got != want {
					t.Errorf("%s, %+v: %s, want %s", name, l, got, want)
				}
			}
		}
	}
}
