package fat

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
)

// maxSize is the longest file that a slot can tell.
const maxSize = 1<<32 - 1

// Options say how edits are recorded. The zero value is the usual way.
type Options struct {
	// Time is that of new and replaced files and directories, in UTC; times
	// before 1980 become 1980-01-01.
	Time time.Time
	// KeepFreed leaves the bytes of clusters that become free; else they become zeros.
	KeepFreed bool
	// Base and BaseOff say where the image lies, for extents that refer to its
	// bytes; else they refer to what Open was given.
	Base    extent.Source
	BaseOff int64
}

// Editor collects edits of an image. Names are found in any case, directories
// above must exist. An edit that gives an error changes nothing. Whether there
// is room is known when Patches or Grow lays everything out. An Editor is not
// safe for concurrent use.
type Editor struct {
	img    *Image
	opt    Options
	root   *node
	freed  []chain // of what was removed
	edited bool
}

// node is a file or directory of the edited tree.
type node struct {
	old      *entry // nil for a new one
	parent   *node
	name     string
	short    shortName
	nt       byte
	dir      bool
	children []*node          // those found first, in their order
	names    map[string]*node // by folded name and short name
	content  extent.Source    // new content of a file
	chain    chain            // clusters it has in the old image
}

// Edit begins edits. An image is refused if a chain or directory is damaged, or
// if two files share a cluster: an edit would spread the damage.
// See RATIONALE.md, "FAT is read and edited by our own code".
func (img *Image) Edit(o Options) (*Editor, error) {
	if o.Base == nil {
		o.Base, o.BaseOff = img.src, 0
	}
	e := &Editor{img: img, opt: o}
	owned := make([]uint64, img.clusters/64+1)
	var err error
	e.root, err = e.load(img.root, nil, owned)
	return e, err
}

// load makes the node of an entry and of all below.
func (e *Editor) load(old *entry, parent *node, owned []uint64) (n *node, err error) {
	n = &node{old: old, parent: parent, name: old.name, short: old.short, dir: old.dir(), chain: old.chain}
	if old.err != nil {
		return nil, old.err
	}
	if !n.dir {
		if n.chain, err = e.img.fileChain(old); err != nil {
			return nil, fmt.Errorf("file %q: %w", old.name, err)
		}
	}
	for c := range n.chain.all() {
		i, bit := (c-firstCluster)/64, uint64(1)<<((c-firstCluster)%64)
		if owned[i]&bit != 0 {
			return nil, formatError(e.img.slotOff(old), "directory", old.name, ErrLoop, "cluster %d has two owners", c)
		}
		owned[i] |= bit
	}
	for _, c := range old.children {
		child, err := e.load(c, n, owned)
		if err != nil {
			return nil, err
		}
		n.adopt(child)
	}
	return n, nil
}

// adopt makes c a child of n.
func (n *node) adopt(c *node) {
	n.children = append(n.children, c)
	if n.names == nil {
		n.names = map[string]*node{}
	}
	for _, name := range []string{c.name, c.short.shown(0)} {
		if key := fold(name); n.names[key] == nil {
			n.names[key] = c
		}
	}
}

// disown takes a child away.
func (n *node) disown(c *node) {
	n.children = slices.DeleteFunc(n.children, func(o *node) bool { return o == c })
	for _, name := range []string{c.name, c.short.shown(0)} {
		if key := fold(name); n.names[key] == c {
			delete(n.names, key)
		}
	}
}

// find returns the node at a path.
func (e *Editor) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := e.root
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if n = n.names[fold(part)]; n == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

// Add makes a new file with the bytes of src.
func (e *Editor) Add(name string, src extent.Source) error {
	if src.Size() > maxSize {
		return &fs.PathError{Op: "add", Path: name, Err: errorf(ErrLimit, "%d bytes, FAT files have at most %d", src.Size(), int64(maxSize))}
	}
	return e.create("add", name, &node{content: src})
}

// Mkdir makes a new, empty directory.
func (e *Editor) Mkdir(name string) error {
	return e.create("mkdir", name, &node{dir: true})
}

// create puts a new node into the tree.
func (e *Editor) create(op, name string, n *node) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	parent, err := e.find(op, path.Dir(name))
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	n.name, n.parent = path.Base(name), parent
	switch err := checkName(n.name); {
	case err != nil:
		return &fs.PathError{Op: op, Path: name, Err: err}
	case !parent.dir:
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	case parent.names[fold(n.name)] != nil:
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	case strings.Count(name, "/") >= maxDepth:
		return &fs.PathError{Op: op, Path: name, Err: errorf(ErrLimit, "more than %d levels", maxDepth)}
	}
	var exact bool
	if n.short, n.nt, exact = exactShort(n.name); !exact {
		n.short = alias(n.name, func(s shortName) bool { return parent.names[fold(s.shown(0))] != nil })
	}
	parent.adopt(n)
	e.edited = true
	return nil
}

// Replace gives a file that exists the bytes of src. It keeps its name,
// attributes and the clusters it has as far as they are needed.
func (e *Editor) Replace(name string, src extent.Source) error {
	n, err := e.find("replace", name)
	switch {
	case err != nil:
		return err
	case n.dir:
		return &fs.PathError{Op: "replace", Path: name, Err: fs.ErrInvalid}
	case src.Size() > maxSize:
		return &fs.PathError{Op: "replace", Path: name, Err: errorf(ErrLimit, "%d bytes, FAT files have at most %d", src.Size(), int64(maxSize))}
	}
	n.content = src
	e.edited = true
	return nil
}

// Remove takes away a file or an empty directory.
func (e *Editor) Remove(name string) error {
	n, err := e.find("remove", name)
	switch {
	case err != nil:
		return err
	case n == e.root:
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrInvalid}
	case len(n.children) > 0:
		return &fs.PathError{Op: "remove", Path: name, Err: ErrNotEmpty}
	}
	e.drop(n)
	return nil
}

// RemoveAll takes away a file or directory with all below it.
func (e *Editor) RemoveAll(name string) error {
	n, err := e.find("remove", name)
	if err != nil {
		return err
	}
	if n == e.root {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrInvalid}
	}
	e.drop(n)
	return nil
}

func (e *Editor) drop(n *node) {
	n.parent.disown(n)
	e.release(n)
	e.edited = true
}

// release notes the clusters of a node and all below it as free.
func (e *Editor) release(n *node) {
	if len(n.chain) > 0 {
		e.freed = append(e.freed, n.chain)
	}
	for _, c := range n.children {
		e.release(c)
	}
}

// Bytes makes a source of a file's content in memory, which must not change.
func Bytes(b []byte) extent.Source { return extent.Memory("memory", b) }
