package erofs_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/isolayer/isolayer/internal/erofs"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// agree compares an EROFS image with the tree it was made of.
func agree(img *iso9660.Image, size int64, b []byte) error {
	r, err := open(b)
	if err != nil {
		return err
	}
	if int64(r.device) != iso9660.Blocks(size) {
		return fmt.Errorf("%d blocks of %d bytes", r.device, size)
	}
	h, err := img.Preferred()
	if err != nil {
		return err
	}
	root, err := img.Tree(h)
	if err != nil {
		return err
	}
	links := map[uint64]uint32{} // names of each file that were seen
	nlink := map[uint64]uint32{}
	var visit func(e *iso9660.Entry, nid, parent uint64) error
	visit = func(e *iso9660.Entry, nid, parent uint64) error {
		n, err := r.node(nid)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Path(), err)
		}
		if err := same(e, n); err != nil {
			return fmt.Errorf("%s: %w", e.Path(), err)
		}
		links[nid]++
		nlink[nid] = n.nlink
		if !e.IsDir() {
			return nil
		}
		if links[nid] > 1 {
			return fmt.Errorf("%s: a directory with two names", e.Path())
		}
		if n.names["."] != nid || n.names[".."] != parent {
			return fmt.Errorf("%s: . and .. are %d and %d", e.Path(), n.names["."], n.names[".."])
		}
		seen := map[string]bool{"": true, ".": true, "..": true}
		for _, c := range e.Entries() {
			name := c.LogicalName()
			if seen[name] || len(name) > 255 || bytes.ContainsAny([]byte(name), "/\x00") {
				continue
			}
			seen[name] = true
			to, ok := n.names[name]
			if !ok {
				return fmt.Errorf("%s: %q is missing", e.Path(), name)
			}
			if want := map[uint32]byte{0o100000: 1, 0o040000: 2, 0o020000: 3, 0o060000: 4, 0o010000: 5, 0o140000: 6, 0o120000: 7}[c.StMode()&0o170000]; n.types[name] != want {
				return fmt.Errorf("%s: %q has type %d", e.Path(), name, n.types[name])
			}
			if err := visit(c, to, nid); err != nil {
				return err
			}
		}
		if len(n.names) != len(seen)-1 {
			return fmt.Errorf("%s: %d names, %d expected", e.Path(), len(n.names), len(seen)-1)
		}
		return nil
	}
	if err := visit(root, r.root, r.root); err != nil {
		return err
	}
	for nid, n := range nlink {
		if node, err := r.node(nid); err == nil && node.names == nil && n != links[nid] {
			return fmt.Errorf("inode %d: %d links, %d names", nid, n, links[nid])
		}
	}
	if uint64(len(links)) != r.inodes {
		return fmt.Errorf("%d inodes are used of %d", len(links), r.inodes)
	}
	return nil
}

// same compares the attributes and the place of the content.
func same(e *iso9660.Entry, n *node) error {
	if uint32(n.mode) != e.StMode()&0xffff || n.uid != e.Attributes().UID || n.gid != e.Attributes().GID || n.time != e.ModTime().Unix() {
		return fmt.Errorf("mode %o, owner %d:%d, time %d", n.mode, n.uid, n.gid, n.time)
	}
	switch e.StMode() & iso9660.ModeType {
	case iso9660.ModeSymlink:
		if n.text != e.Attributes().Link {
			return fmt.Errorf("leads to %q", n.text)
		}
	case iso9660.ModeRegular:
		if want := joined(e.Sections()); n.size != e.Size() || !slices.Equal(joined(n.sections), want) {
			return fmt.Errorf("%d bytes at %v, %d at %v expected", n.size, joined(n.sections), e.Size(), want)
		}
	}
	return nil
}

// joined makes one of sections that lie one behind the other.
func joined(s []iso9660.Section) []iso9660.Section {
	var out []iso9660.Section
	for _, x := range s {
		if n := len(out); n > 0 && out[n-1].Size%2048 == 0 && out[n-1].LBA+iso9660.LBA(out[n-1].Size/2048) == x.LBA {
			out[n-1].Size += x.Size
			continue
		}
		out = append(out, x)
	}
	return out
}

// shown counts the images that could be shown.
var shown int

// try makes the metadata of an image, if it is one, and looks at it.
func try(data []byte) error {
	size := int64(len(data))
	img, err := iso9660.Open(bytes.NewReader(data), size, iso9660.Options{})
	if err != nil {
		return nil
	}
	b, err := erofs.Metadata(img, size)
	if err != nil {
		return nil
	}
	shown++
	if bound := 3*size + 1<<16; int64(len(b)) > bound {
		return fmt.Errorf("%d bytes of metadata for an image of %d", len(b), size)
	}
	return agree(img, size, b)
}

// TestHostile makes metadata of broken images, and of what they were before.
func TestHostile(t *testing.T) {
	made := 0
	shown = 0
	for _, row := range hostile.Rows {
		if row.Big && testing.Short() || row.Grow > 0 {
			continue
		}
		for what, m := range map[string]hostile.Image{"broken": row.Image(), "whole": row.Twin()} {
			if err := try(m); err != nil {
				t.Errorf("%s %s: %v", row.ID, what, err)
			}
			made++
		}
	}
	if made < 200 || shown < made/2 {
		t.Errorf("%d images, %d can be shown", made, shown)
	}
}

// FuzzMetadata changes images: the metadata is refused, or shows what the image has.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(hostile.New()))
	for _, row := range hostile.Rows {
		if !row.Big && row.Grow == 0 {
			f.Add([]byte(row.Image()))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := try(data); err != nil {
			t.Error(err)
		}
	})
}

// sparse is an image with zeros behind it.
type sparse []byte

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(s)) {
		copy(p, s[off:])
	}
	return len(p), nil
}

// chunked is an image with files of two sections: a block, and as much as a record can
// say. Only chunks of a block show them.
func chunked(files int) sparse {
	m := hostile.New()
	var recs [][]byte
	for i := range files {
		id := fmt.Sprintf("F%d.;1", i)
		su := [][]byte{hostile.PX(hostile.ModeRegular | 0o644), hostile.NM(fmt.Sprint("f", i))}
		recs = append(recs, hostile.Rec(id, 100, 2048, 0x80, su...), hostile.Rec(id, uint32(200+i), 1<<32-2048, 0, su...))
	}
	m.Root(recs...)
	return sparse(m)
}

// TestBounded refuses what would take memory without bound, and content that is not there,
// which the kernel would show as zeros.
func TestBounded(t *testing.T) {
	const size = 8 << 30
	for _, c := range []struct {
		files int
		size  int64
		fine  bool
	}{{1, size, true}, {3, size, true}, {5, size, false}, {9, size, false}, {1, 4 << 30, false}} {
		img, err := iso9660.Open(chunked(c.files), c.size, iso9660.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b, err := erofs.Metadata(img, c.size)
		runtime.ReadMemStats(&after)
		switch {
		case c.fine && err != nil, !c.fine && !errors.Is(err, erofs.ErrUnsupported):
			t.Errorf("%d files in %d bytes: %v", c.files, c.size, err)
		case len(b) > 64<<20+1<<16:
			t.Errorf("%d files: %d bytes", c.files, len(b))
		case c.fine:
			if err := agree(img, c.size, b); err != nil {
				t.Errorf("%d files: %v", c.files, err)
			}
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 160<<20 {
			t.Errorf("%d files: %d bytes of memory", c.files, used)
		}
	}
}
