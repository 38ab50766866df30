package baseimage

import (
	"iter"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// Hierarchy is one record of what is in an image: ISO 9660 with or without Rock Ridge,
// Joliet, ISO 9660:1999. Whatever else records the same files is one more. The suite that
// any must pass is package hierarchytest.
type Hierarchy interface {
	// String is what users call it.
	String() string
	// Descriptors are the ranges of what leads to the root, Tables those of what says again
	// what directories say.
	Descriptors() []extent.Range
	Tables() []extent.Range
	Root() Node
}

// Node is a file, directory or link of a Hierarchy.
type Node interface {
	Name() string // "" for the root
	Path() string // with a slash in front
	IsDir() bool
	Size() int64 // of the content of a file
	// Extents are where the content of a file lies, in order, or the records of a directory
	// with what continues them.
	Extents() []extent.Range
	// Children yields what is in a directory, in the order of its records.
	Children() iter.Seq[Node]
}

// Hierarchies lists what records the files of a base, the one that all readers know first.
func Hierarchies(b *Base) (out []Hierarchy, err error) {
	for _, h := range iso9660.Hierarchies {
		root, err := b.img.Tree(h)
		if err != nil {
			return nil, err
		}
		if root != nil {
			out = append(out, isoHierarchy{b.img, h, root})
		}
	}
	return out, nil
}

// isoHierarchy is one of ISO 9660's.
type isoHierarchy struct {
	img  *iso9660.Image
	h    iso9660.Hierarchy
	root *iso9660.Entry
}

func (h isoHierarchy) String() string { return h.h.String() }

// Descriptors implements Hierarchy.
func (h isoHierarchy) Descriptors() []extent.Range {
	return []extent.Range{{Off: h.img.Descriptor(h.h).Block.Offset(), Len: iso9660.BlockSize}}
}

// Tables implements Hierarchy: those of both orders of bytes (ECMA-119 9.4).
func (h isoHierarchy) Tables() (out []extent.Range) {
	d := h.img.Descriptor(h.h)
	little, littleToo, big, bigToo := d.PathTables()
	for _, at := range []iso9660.LBA{little, littleToo, big, bigToo} {
		if at != 0 && d.PathTableSize() > 0 {
			out = append(out, extent.Range{Off: at.Offset(), Len: int64(d.PathTableSize())})
		}
	}
	return out
}

// Root implements Hierarchy.
func (h isoHierarchy) Root() Node { return isoNode{h.root} }

// isoNode is an entry of ISO 9660 as a Node.
type isoNode struct{ e *iso9660.Entry }

// Name implements Node.
func (n isoNode) Name() string {
	if n.e.Parent == n.e {
		return ""
	}
	return n.e.LogicalName()
}

// Path implements Node.
func (n isoNode) Path() string { return n.e.Path() }

// IsDir implements Node.
func (n isoNode) IsDir() bool { return n.e.IsDir() }

// Size implements Node.
func (n isoNode) Size() int64 {
	if n.IsDir() {
		return 0
	}
	size := int64(0)
	for _, s := range n.e.Sections() {
		size += s.Size
	}
	return size
}

// Extents implements Node.
func (n isoNode) Extents() (out []extent.Range) {
	if !n.IsDir() {
		for _, s := range n.e.Sections() {
			if s.Size > 0 {
				out = append(out, extent.Range{Off: s.LBA.Offset(), Len: s.Size})
			}
		}
		return out
	}
	r := n.e.Record()
	out = append(out, extent.Range{Off: r.LBA().Offset(), Len: int64(r.Size())})
	for raw := range n.e.Sequence() {
		for _, a := range raw.Areas {
			out = append(out, extent.Range{Off: a.Off, Len: int64(len(a.Data))})
		}
	}
	return out
}

// Children implements Node. Directories are listed where they are shown.
func (n isoNode) Children() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for _, c := range n.e.Entries() {
			if !yield(isoNode{c}) {
				return
			}
		}
	}
}
