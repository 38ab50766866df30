package build_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/stage"
)

// counting is a source that counts how often each of its blocks is read.
type counting struct {
	extent.Source
	mu    sync.Mutex
	reads map[int64]int64 // bytes, by block
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Source.ReadAt(p, off)
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := off; at < off+int64(n); {
		to := min((at/2048+1)*2048, off+int64(n))
		c.reads[at/2048] += to - at
		at = to
	}
	return n, err
}

// in is how many bytes of a range were read.
func (c *counting) in(off, n int64) (sum int64) {
	for b := off / 2048; b < (off+n+2047)/2048; b++ {
		sum += c.reads[b]
	}
	return sum
}

// TestReadsOnce: planning reads each byte of an initrd at most once, whatever is done with
// it, and unpacks one that two names share once, and only where that is of use.
func TestReadsOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a real image")
	}
	files := extent.NewFiles()
	defer files.Close()
	f, err := files.Add(isotest.Image(t, "rhel-like-small"))
	if err != nil {
		t.Fatal(err)
	}
	ks := local(t, "ks.cfg", []byte("text\n"))
	add := func(to string) edit.Step { return edit.InitrdAdd{Adds: []edit.Add{{Source: ks, Dest: to}}} }
	for name, c := range map[string]struct {
		steps  []edit.Step
		unpack []string
	}{
		"karg":      {[]edit.Step{edit.Kargs{Args: []string{"a=b"}}}, nil},
		"kickstart": {[]edit.Step{edit.AnswerFile{Kind: "kickstart", Source: ks}}, nil},
		"label":     {[]edit.Step{edit.Label{ID: "NEW"}}, nil},
		"initrd":    {[]edit.Step{add("/ks.cfg")}, []string{"unpacking /isolinux/initrd.img"}},
		"several": {
			[]edit.Step{add("/ks.cfg"), edit.Label{ID: "NEW"}, add("/other.cfg"), edit.Mkdir{Path: "/d"}, add("/third.cfg")},
			[]string{"unpacking /isolinux/initrd.img"},
		},
	} {
		src := &counting{Source: f, reads: map[int64]int64{}}
		b, err := baseimage.OpenSource(src, baseimage.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		tr, err := b.Tree()
		if err != nil {
			t.Fatal(err)
		}
		n := tr.Find("isolinux/initrd.img")
		at, size := n.Content()[0].LBA.Offset(), n.Content()[0].Size
		var working []string
		img, err := build.Build(t.Context(), b, c.steps, stage.Options{Working: func(what string) { working = append(working, what) }})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := src.in(at, size); got > size || len(c.unpack) == 0 && got > 64<<10 {
			t.Errorf("%s: %d bytes of the initrd read, it has %d", name, got, size)
		}
		if !slices.Equal(working, c.unpack) {
			t.Errorf("%s: %q", name, working)
		}
		if again, err := build.Build(t.Context(), b, c.steps, stage.Options{}); err != nil || again.Map.Size() != img.Map.Size() {
			t.Errorf("%s: planned again: %v", name, err)
		}
		img.Close()
		b.Close()
	}
}

// TestPlansOnce: an edit of boot menus is planned once and its plan is not read again, though
// a list of checksums changes with it: what is summed is read once, a directory that stays
// once, and one that changes once more to be compared with.
func TestPlansOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a real image")
	}
	files := extent.NewFiles()
	defer files.Close()
	f, err := files.Add(isotest.Image(t, "rhel-like-small"))
	if err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]edit.Step{
		"karg":      edit.Kargs{Args: []string{"a=b"}},
		"kickstart": edit.AnswerFile{Kind: "kickstart", Source: "ks.cfg", Content: []byte("text\n")},
	} {
		src := &counting{Source: f, reads: map[int64]int64{}}
		b, err := baseimage.OpenSource(src, baseimage.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		img, err := build.Build(t.Context(), b, []edit.Step{step}, stage.Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.ContainsFunc(img.Report.BootFiles, func(f layout.BootFile) bool { return f.Changes["checksums"] > 0 }) {
			t.Errorf("%s: no list changed: %v", name, img.Report.BootFiles)
		}
		// Boot files in front of and in the volume of the firmware are looked at more often.
		const looked = 256 << 10
		if size, got := content(t, b, "/images/efiboot.img"), reads(t, src, b, "/images/efiboot.img"); got < size || got > size+looked {
			t.Errorf("%s: %d bytes of the volume of the firmware read, it has %d", name, got, size)
		}
		for dir, times := range map[string]int64{"/Packages": 1, "/EFI": 1, "/": 2, "/EFI/BOOT": 2, "/images": 2, "/isolinux": 2} {
			if got := reads(t, src, b, dir); got == 0 || got > times*content(t, b, dir) {
				t.Errorf("%s: %d bytes of the directory %s read, it has %d", name, got, dir, content(t, b, dir))
			}
		}
		img.Close()
		b.Close()
	}
}

// record is that of an entry in the primary hierarchy.
func record(t *testing.T, b *baseimage.Base, path string) iso9660.Record {
	t.Helper()
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	n, err := tr.Lookup(path)
	if err != nil {
		t.Fatal(err)
	}
	return n.Found[iso9660.Primary].Record()
}

// content is how long an extent is, reads how much of it was read.
func content(t *testing.T, b *baseimage.Base, path string) int64 {
	return int64(record(t, b, path).Size())
}

func reads(t *testing.T, src *counting, b *baseimage.Base, path string) int64 {
	r := record(t, b, path)
	return src.in(r.LBA().Offset(), int64(r.Size()))
}
