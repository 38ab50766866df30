package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// listing is a file system that nobody else knows: a header at a block of its own that names
// two listings, which name files by blocks that count from an origin. It cannot name what
// lies in front of that.
type listing struct {
	tree           *tree.Tree
	header, origin int64
	old            []extent.Extent // listings of the base
	sizes, at      []int64
}

func (*listing) String() string           { return "listing" }
func (l *listing) Frees() []extent.Extent { return l.old }
func (l *listing) Stays() []extent.Extent {
	return []extent.Extent{extent.ZeroOf(l.header*blockSize, blockSize)}
}
func (l *listing) Reach() int64     { return l.origin }
func (l *listing) Place(at []int64) { l.at = at }

// half are the files of one listing: those that can be named.
func (l *listing) half(k int) (out []*tree.Node) {
	_ = l.tree.Walk(func(n *tree.Node) error {
		if n.IsRegular() && n.Size() > 0 && len(n.Path())%2 == k && (n.Source != nil || int64(n.Content()[0].LBA) >= l.origin) {
			out = append(out, n)
		}
		return nil
	})
	return out
}

func (l *listing) Measure() ([]int64, error) {
	l.sizes = nil
	for k := range 2 {
		n := int64(1)
		for _, f := range l.half(k) {
			n += int64(len(f.Path())) + 24
		}
		l.sizes = append(l.sizes, iso9660.Blocks(n))
	}
	return l.sizes, nil
}

func (l *listing) Emit(where func(*tree.Node) []iso9660.Section) (out []extent.Extent, err error) {
	head := make([]byte, blockSize)
	for k, at := range l.at {
		binary.BigEndian.PutUint32(head[8*k:], uint32(at-l.origin))
		binary.BigEndian.PutUint32(head[8*k+4:], uint32(l.sizes[k]))
		var text bytes.Buffer
		for _, f := range l.half(k) {
			s := where(f)
			if len(s) != 1 || int64(s[0].LBA) < l.origin {
				return nil, fmt.Errorf("%s lies at %v, which cannot be named from %d on", f.Path(), s, l.origin)
			}
			fmt.Fprintf(&text, "%10d %10d %s\n", int64(s[0].LBA)-l.origin, s[0].Size, f.Path())
		}
		out = append(out, extent.BytesOf(at*blockSize, append(text.Bytes(), make([]byte, l.sizes[k]*blockSize-int64(text.Len()))...)))
	}
	return append(out, extent.BytesOf(l.header*blockSize, head)), nil
}

// read reads the files of an image by its listings, and where those lie.
func (l *listing) read(b []byte) (files map[string]string, at []extent.Extent) {
	files = map[string]string{}
	head := b[l.header*blockSize:]
	for k := range 2 {
		from := (int64(binary.BigEndian.Uint32(head[8*k:])) + l.origin) * blockSize
		n := int64(binary.BigEndian.Uint32(head[8*k+4:])) * blockSize
		at = append(at, extent.ZeroOf(from, n))
		for line := range strings.Lines(strings.TrimRight(string(b[from:from+n]), "\x00")) {
			var block, size int64
			var path string
			fmt.Sscanf(line, "%d %d %s", &block, &size, &path)
			off := (block + l.origin) * blockSize
			files[path] = string(b[off : off+size])
		}
	}
	return files, at
}

// isoReader reads the files of an image by a hierarchy of ISO 9660.
func isoReader(t *testing.T, b []byte, h iso9660.Hierarchy) map[string]string {
	t.Helper()
	files := map[string]string{}
	img := open(t, b).Image
	root, err := img.Tree(h)
	if err != nil {
		t.Fatal(err)
	}
	for e := range root.Walk() {
		if e.IsDir() || e.Size() == 0 {
			continue
		}
		s := e.Sections()[0]
		files[e.Path()] = string(b[s.LBA.Offset() : s.LBA.Offset()+s.Size])
	}
	return files
}

// TestWriters: whatever is edited, and however it is laid out, each file system that records
// the files has their content: those of ISO 9660, and one that package layout knows nothing
// of, whose addresses count from another block, over several generations.
func TestWriters(t *testing.T) {
	made := isofs(t, files{"a": string(noise("a", 5000)), "b": string(noise("b", 9000)), "dir/c": string(noise("c", 100))}, "-R", "-J")
	header := int64(len(made))/blockSize + 3
	made = append(made, make([]byte, 8*blockSize)...)
	for name, o := range map[string]Options{"free runs": {}, "at the end": {AtEnd: true}, "in place": {InPlace: true}, "compact": {Compact: true}} {
		t.Run(name, func(t *testing.T) {
			b, old := made, []extent.Extent(nil)
			for generation, edits := range [][]tree.Edit{
				{put("/new", 7000), put("/dir/other", 3000), mkdir("/d")},
				append(many("/d", 60), tree.Remove{Path: "/b"}, put("/new", 100_000)),
				{tree.Remove{Path: "/d"}, tree.Rename{Old: "/dir/other", New: "/again"}, put("/x", 1)},
			} {
				base := open(t, b)
				tr := edited(t, base, edits...)
				w := &listing{tree: tr, header: header, origin: header - 2, old: old}
				base.Writers = []Writer{w}
				r, err := Plan(base, tr, o)
				if err != nil {
					t.Fatalf("generation %d: %v", generation, err)
				}
				if b = make([]byte, r.Map.Size()); len(b) > 0 {
					if _, err := r.Map.ReadAt(b, 0); err != nil {
						t.Fatal(err)
					}
				}
				var got map[string]string
				got, old = w.read(b)
				for _, h := range []iso9660.Hierarchy{iso9660.Primary, iso9660.Joliet} {
					holds(t, fmt.Sprintf("generation %d, %s", generation, h), tr, base, isoReader(t, b, h), nil)
				}
				holds(t, fmt.Sprintf("generation %d, listing", generation), tr, base, got, w)
				for _, x := range r.Report.Trees {
					if x.Hierarchy == "listing" && x.Bytes < 3*blockSize {
						t.Errorf("the report says of the listing: %+v", x)
					}
				}
			}
		})
	}
}

// holds checks files by their paths against the tree: all of them, or those that a listing
// can name.
func holds(t *testing.T, what string, tr *tree.Tree, base Base, got map[string]string, l *listing) {
	t.Helper()
	want := 0
	_ = tr.Walk(func(n *tree.Node) error {
		if !n.IsRegular() || n.Size() == 0 || l != nil && n.Source == nil && int64(n.Content()[0].LBA) < l.origin {
			return nil
		}
		want++
		if got[n.Path()] != string(bytesOf(t, base, n)) {
			t.Errorf("%s: %s has %d bytes that are not its own", what, n.Path(), len(got[n.Path()]))
		}
		return nil
	})
	if len(got) != want {
		t.Errorf("%s: %d files, the tree has %d", what, len(got), want)
	}
}

// TestWriterKeepsToItself: a writer that writes to what is not its own is stopped.
func TestWriterKeepsToItself(t *testing.T) {
	b := isofs(t, files{"a": "a"}, "-R")
	base := open(t, b)
	tr := edited(t, base, put("/new", 100))
	base.Writers = []Writer{&stray{listing{tree: tr, header: 17}}}
	if _, err := Plan(base, tr, Options{}); err == nil || !strings.Contains(err.Error(), "not its own") {
		t.Errorf("it is not stopped: %v", err)
	}
}

// stray writes to block 16.
type stray struct{ listing }

func (*stray) Stays() []extent.Extent { return nil }

func (*stray) Emit(func(*tree.Node) []iso9660.Section) ([]extent.Extent, error) {
	return []extent.Extent{extent.ZeroOf(16*blockSize, blockSize)}, nil
}
