package iso9660

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// BenchmarkOpen opens an image of 2000 files and reads its hierarchies: to keep them, and a
// directory at a time.
func BenchmarkOpen(b *testing.B) {
	dir, out := b.TempDir(), filepath.Join(b.TempDir(), "image.iso")
	for i := range 2000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("small-file-%04d.txt", i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	isotest.Run(b, "genisoimage", "-quiet", "-r", "-J", "-o", out, dir)
	image, err := os.ReadFile(out)
	if err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func(*Image) error{
		"trees":  (*Image).ReadTrees,
		"stream": func(img *Image) error { _, err := NewStream(img, func(Hierarchy, *Entry) {}); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				img, err := Open(bytes.NewReader(image), int64(len(image)), Options{})
				if err == nil {
					err = read(img)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
