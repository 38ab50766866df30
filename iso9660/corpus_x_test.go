package iso9660

import (
	"os"
	"path/filepath"
	"testing"
)

func TestX(t *testing.T) {
	fs, _ := filepath.Glob("/var/tmp/corpus/out/*.iso")
	fs = append(fs, "/var/tmp/corpus/work/rhel-like-small.iso", "/usr/lib/grub-rescue/grub-rescue-cdrom.iso", "/usr/lib/ipxe/ipxe.iso", "/usr/lib/memtest86+/memtest86+x64.iso")
	for _, p := range fs {
		t.Run(filepath.Base(p), func(t *testing.T) {
			f, err := os.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			st, _ := f.Stat()
			img, err := Open(f, st.Size(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range []Hierarchy{Primary, Joliet, Enhanced} {
				root, err := img.Tree(h)
				if err != nil {
					t.Error(err)
					continue
				}
				if root == nil {
					continue
				}
				n := 0
				for range root.Walk() {
					n++
				}
				t.Log(h, n, img.trees[h].rr)
			}
			t.Log(img.Sessions(), img.UDF())
			for _, w := range img.Warnings() {
				t.Log(w)
			}
			for _, w := range img.Missing() {
				t.Log(w)
			}
		})
	}
}
