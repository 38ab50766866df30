//go:build linux

// Package fsview shows an ISO 9660 image as a read-only directory, through FUSE.
//
// It changes nothing and knows nothing of edits: package workspace lays a writable
// directory over it.
package fsview

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// Options of a view. The zero value shows the image as it is.
type Options struct {
	// Root shows everything as owned by user and group 0: inside a user namespace that
	// knows no other user, files of others could not be changed.
	Root bool
	// Advise is told which bytes of the image will be read soon. It may be nil.
	Advise func(off, n int64)
}

// View is the tree of an image, ready to be mounted. It is safe for concurrent use.
// Nodes are numbered from 1, the root, and never forgotten: the image does not change.
type View struct {
	fuse.RawFileSystem
	img   *iso9660.Image
	nodes []node
	ahead ahead
	size  int64 // of all files, bytes
}

// node is one file or directory. Names of one file (hard links) share a node.
type node struct {
	entry    *iso9660.Entry
	attr     fuse.Attr
	parent   uint64
	children []child // in the order of the records
	sorted   []int32 // indices of children, by name
	open     sync.Once
	content  io.ReaderAt
	err      error
}

type child struct {
	name string
	id   uint64
}

// New makes the view of the hierarchy that readers prefer. Names that no file system
// can hold are left out.
func New(img *iso9660.Image, o Options) (*View, error) {
	h, err := img.Preferred()
	if err != nil {
		return nil, err
	}
	root, err := img.Tree(h)
	if err != nil {
		return nil, err
	}
	v := &View{RawFileSystem: fuse.NewDefaultRawFileSystem(), img: img, ahead: ahead{advise: o.Advise}}
	v.build(root, o)
	return v, nil
}

// identity says that two names are the same file.
type identity struct {
	section iso9660.Section
	attr    fuse.Attr
}

func (v *View) build(root *iso9660.Entry, o Options) {
	count := 1
	for range root.Walk() {
		count++
	}
	v.nodes = make([]node, 1, count) // never grows: nodes hold locks
	known := map[identity]uint64{}
	v.add(root, 1, o)
	for id := uint64(1); id < uint64(len(v.nodes)); id++ {
		n := &v.nodes[id]
		if !n.entry.IsDir() {
			continue
		}
		names := map[string]bool{}
		for _, e := range n.entry.Entries() {
			name := e.LogicalName()
			if !usable(name) || names[name] {
				continue
			}
			names[name] = true
			n.children = append(n.children, child{name, v.link(e, id, o, known)})
			if e.IsDir() {
				n.attr.Nlink++
			}
		}
		n.sorted = make([]int32, len(n.children))
		for i := range n.sorted {
			n.sorted[i] = int32(i)
		}
		slices.SortFunc(n.sorted, func(a, b int32) int { return strings.Compare(n.children[a].name, n.children[b].name) })
	}
}

// usable reports whether a name can be that of a file.
func usable(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\x00")
}

// link returns the node of an entry: that of another name of the same file, or a new one.
func (v *View) link(e *iso9660.Entry, parent uint64, o Options, known map[identity]uint64) uint64 {
	s := e.Sections()
	if e.StMode()&iso9660.ModeType != iso9660.ModeRegular || len(s) == 0 {
		return v.add(e, parent, o)
	}
	key := identity{s[0], attrOf(e, o)}
	old, ok := known[key]
	if ok && slices.Equal(s, v.nodes[old].entry.Sections()) {
		v.nodes[old].attr.Nlink++
		return old
	}
	id := v.add(e, parent, o)
	if !ok {
		known[key] = id
	}
	return id
}

func (v *View) add(e *iso9660.Entry, parent uint64, o Options) uint64 {
	id := uint64(len(v.nodes))
	v.nodes = append(v.nodes, node{entry: e, attr: attrOf(e, o), parent: parent})
	n := &v.nodes[id]
	n.attr.Ino = id
	v.size += int64(n.attr.Size)
	return id
}

// attrOf are the attributes of an entry, without its number.
func attrOf(e *iso9660.Entry, o Options) fuse.Attr {
	a := fuse.Attr{Mode: e.StMode(), Nlink: 1, Blksize: 1 << 17}
	a.Uid, a.Gid = e.Attributes().UID, e.Attributes().GID
	if o.Root {
		a.Uid, a.Gid = 0, 0
	}
	t := e.ModTime()
	a.Atime, a.Mtime, a.Ctime = uint64(t.Unix()), uint64(t.Unix()), uint64(t.Unix())
	a.Atimensec, a.Mtimensec, a.Ctimensec = uint32(t.Nanosecond()), uint32(t.Nanosecond()), uint32(t.Nanosecond())
	switch e.StMode() & iso9660.ModeType {
	case iso9660.ModeDir:
		a.Nlink = 2
		a.Size = uint64(iso9660.BlockSize)
	case iso9660.ModeSymlink:
		a.Size = uint64(len(e.Attributes().Link))
	case iso9660.ModeRegular:
		a.Size = uint64(e.ContentSize())
	case iso9660.ModeChar, iso9660.ModeBlock:
		a.Rdev = (e.Attributes().Minor & 0xff) | (e.Attributes().Major&0xfff)<<8 | (e.Attributes().Minor&^0xff)<<12
	}
	a.Blocks = (a.Size + 511) / 512
	return a
}

// find returns the node of a name in a directory, 0 without one.
func (n *node) find(name string) uint64 {
	i, ok := slices.BinarySearchFunc(n.sorted, name, func(i int32, name string) int { return cmp.Compare(n.children[i].name, name) })
	if !ok {
		return 0
	}
	return n.children[n.sorted[i]].id
}

// reader opens the content of a file, once for all readers.
func (v *View) reader(n *node) (io.ReaderAt, error) {
	n.open.Do(func() { n.content, _, n.err = v.img.Open(n.entry) })
	return n.content, n.err
}
