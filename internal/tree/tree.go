// Package tree is the merged model of an image's directory hierarchies and the
// edits that change it.
//
// It places nothing: package layout gives every node its address.
package tree

import (
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// Attr are the attributes of a node, as Rock Ridge records them.
type Attr struct {
	Mode         uint32 // st_mode: type and permission bits
	UID, GID     uint32
	Major, Minor uint32 // of a device
	ModTime      time.Time
	Link         string // target of a symbolic link
}

// Node is a file, directory, link or device of the merged tree.
type Node struct {
	Name string
	Attr
	Parent   *Node // nil for the root
	Children []*Node

	// Found holds the node's entry in each hierarchy of the base, nil where it
	// has none. A node that moved to another directory keeps them.
	Found [3]*iso9660.Entry
	// In says in which hierarchies the node is.
	In [3]bool
	// Hidden nodes are in the base's directories but in no listing: associated
	// files and the directory that stores relocated ones.
	Hidden   bool
	replaced bool
	found    bool // in the base

	// Source replaces the file's content in the base if not nil.
	Source extent.Source

	few few
}

// few holds what few nodes have: there are many nodes.
type few struct{ at atomic.Pointer[rare] }

type rare struct {
	of    *Node // the file that an associated one belongs to
	forks []*Node
	lost  bool    // they went with the content that was replaced
	was   *origin // what the base has, once an edit has changed it
	names names
}

// origin is how a node of the base was found.
type origin struct {
	Attr
	name   string
	parent *Node
}

// names find children. They are made when a name is looked up: by several who look at the
// same tree at once, if need be, who make the same.
type names struct {
	index   atomic.Pointer[map[string]*Node] // by name
	aliases atomic.Pointer[map[string]*Node] // those of the base by their other names
	folded  atomic.Pointer[map[string]*Node] // by name in small letters
}

// none is what most nodes have of that; it never changes.
var none rare

// get returns what there is, not to be changed.
func (f *few) get() *rare {
	if x := f.at.Load(); x != nil {
		return x
	}
	return &none
}

// make returns what there is, to be changed.
func (f *few) make() *rare {
	if f.at.Load() == nil {
		f.at.CompareAndSwap(nil, &rare{})
	}
	return f.at.Load()
}

// forget lets the names of the children be made anew when one is looked up.
func (f *few) forget() {
	if x := f.at.Load(); x != nil {
		x.names.index.Store(nil)
		x.names.aliases.Store(nil)
		x.names.folded.Store(nil)
	}
}

// made returns the map that p holds, making it first if there is none.
func made(p *atomic.Pointer[map[string]*Node], fill func(map[string]*Node), size int) map[string]*Node {
	if m := p.Load(); m != nil {
		return *m
	}
	m := make(map[string]*Node, size)
	fill(m)
	p.Store(&m)
	return m
}

// Tree is the merged tree of an image.
type Tree struct {
	Root *Node
	// RockRidge says whether the primary hierarchy records names and attributes.
	RockRidge bool
	// Has says which hierarchies the image has.
	Has [3]bool
	// Epoch is the time of directories that are created on the way.
	Epoch time.Time
	// Nodes is how many nodes there were in the image that the tree was made of.
	Nodes int
	// Note, unless nil, hears of every edit before it is made.
	Note func(Edit)

	edits int    // that were made
	cells []Node // room for nodes of the base
}

// IsDir reports a directory.
func (n *Node) IsDir() bool { return n.Mode&iso9660.ModeType == iso9660.ModeDir }

// IsRegular reports a regular file.
func (n *Node) IsRegular() bool { return n.Mode&iso9660.ModeType == iso9660.ModeRegular }

// IsLink reports a symbolic link.
func (n *Node) IsLink() bool { return n.Mode&iso9660.ModeType == iso9660.ModeSymlink }

// Size returns the stored length of the content in bytes.
func (n *Node) Size() int64 {
	if n.Source != nil {
		return n.Source.Size()
	}
	if e := stored(n); e != nil {
		return e.Size()
	}
	return 0
}

// Content returns where the file's content lies in the base: nowhere if it has none, or
// new one.
func (n *Node) Content() []iso9660.Section { return n.AppendContent(nil) }

// AppendContent appends the sections of Content to out.
func (n *Node) AppendContent(out []iso9660.Section) []iso9660.Section {
	if e := stored(n); e != nil {
		out = e.AppendSections(out)
	}
	return out
}

// stored is the first entry of a file that has content, nil without one.
func stored(n *Node) *iso9660.Entry {
	if n.replaced || n.IsDir() {
		return nil
	}
	for _, e := range n.Found {
		if e != nil && e.Size() > 0 {
			return e
		}
	}
	return nil
}

// Of returns the file that an associated one belongs to, with which it goes; nil for others.
func (n *Node) Of() *Node { return n.few.get().of }

// ContentSize is how many bytes reading a file gives: not the stored length of a
// compressed one. 0 for a directory.
func (n *Node) ContentSize() int64 {
	if n.IsDir() {
		return 0
	}
	for _, e := range n.Found {
		if e != nil && n.Source == nil {
			return e.ContentSize()
		}
	}
	return n.Size()
}

// Forks are the associated files that belong to a file.
func (n *Node) Forks() []*Node { return n.few.get().forks }

// LostForks reports a file with new content whose associated files went with the old one.
func (n *Node) LostForks() bool { return n.few.get().lost }

// Path returns the path from the root, with a leading slash.
func (n *Node) Path() string {
	if n.Parent == nil {
		return "/"
	}
	if n.Parent.Parent == nil {
		return "/" + n.Name
	}
	return n.Parent.Path() + "/" + n.Name
}

// Replaced reports a node whose records are to be made afresh: it is new or its
// content is.
func (n *Node) Replaced() bool { return n.replaced }

// Renamed reports a node of the base that has another name than it had.
func (n *Node) Renamed() bool {
	was := n.few.get().was
	return !n.replaced && was != nil && n.Name != was.name
}

// Altered reports a node of the base with other attributes than it had.
func (n *Node) Altered() bool {
	was := n.few.get().was
	return !n.replaced && was != nil && n.Attr != was.Attr
}

// Redated reports a node of the base with another time than it had.
func (n *Node) Redated() bool {
	was := n.few.get().was
	return !n.replaced && was != nil && !n.ModTime.Equal(was.ModTime)
}

// Moved reports a node that is not in the directory it was found in.
func (n *Node) Moved() bool {
	if !n.found {
		return n.Parent != nil
	}
	was := n.few.get().was
	return was != nil && n.Parent != was.parent
}

// remember notes how a node of the base was found, before an edit changes that.
func (n *Node) remember() {
	if n.found && n.few.get().was == nil {
		n.few.make().was = &origin{n.Attr, n.Name, n.Parent}
	}
}

// Walk calls f for every node that listings show, parents first, in directory
// order, until f returns an error.
func (t *Tree) Walk(f func(*Node) error) error {
	stack := [][]*Node{{t.Root}} // what is left of each directory on the way down
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(*top) == 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		n := (*top)[0]
		*top = (*top)[1:]
		if n.Hidden {
			continue
		}
		if err := f(n); err != nil {
			return err
		}
		if len(n.Children) > 0 {
			stack = append(stack, n.Children)
		}
	}
	return nil
}

// Clean makes a path canonical: one leading slash, no empty or "." component.
// A path with ".." or NUL is refused; any other character may be in names, as file systems
// have it.
func Clean(path string) (string, error) {
	parts, err := split(path)
	return "/" + strings.Join(parts, "/"), err
}

// split is the components of a path that an edit may make.
func split(path string) ([]string, error) {
	if strings.ContainsRune(path, 0) {
		return nil, &fs.PathError{Op: "path", Path: path, Err: fmt.Errorf("%w: NUL", fs.ErrInvalid)}
	}
	return components(path)
}

func components(path string) ([]string, error) {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			return nil, &fs.PathError{Op: "path", Path: path, Err: fmt.Errorf(`%w: ".." is not allowed`, fs.ErrInvalid)}
		}
		if len(part) > 255 {
			return nil, &fs.PathError{Op: "path", Path: path, Err: fmt.Errorf("%w: a name is longer than 255 bytes", fs.ErrInvalid)}
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// Child returns the child with the given name, nil without one: as it is shown, else as
// the other hierarchies have it, Joliet exactly, plain ISO 9660 in any case and without
// version. See Lookup for paths that people give.
func (n *Node) Child(name string) *Node {
	if c := n.exact(name); c != nil {
		return c
	}
	aliases := made(&n.few.make().names.aliases, func(m map[string]*Node) { alias(m, n.Children) }, 2*len(n.Children))
	for _, key := range []string{name, isoKey(name)} {
		if c := aliases[key]; c != nil && c.Parent == n && c.found && (c.few.get().was == nil || c.Name == c.few.get().was.name) {
			return c
		}
	}
	return nil
}

// alias notes the other names of nodes: the first of a name has it.
func alias(aliases map[string]*Node, nodes []*Node) {
	for _, c := range nodes {
		for _, alias := range c.otherNames() {
			if aliases[alias] == nil {
				aliases[alias] = c
			}
		}
	}
}

// exact returns the first child shown under the given name.
func (n *Node) exact(name string) *Node {
	return made(&n.few.make().names.index, func(index map[string]*Node) {
		for i := len(n.Children) - 1; i >= 0; i-- {
			if c := n.Children[i]; !c.Hidden {
				index[c.Name] = c
			}
		}
	}, len(n.Children))[name]
}

// otherNames are the keys by which other hierarchies have a node of the base:
// Joliet's name, and the plain one in any case.
func (c *Node) otherNames() []string {
	var out []string
	if e := c.Found[iso9660.Joliet]; e != nil && !c.Hidden {
		out = append(out, e.Name())
	}
	if e := c.Found[iso9660.Primary]; e != nil && !c.Hidden {
		out = append(out, isoKey(e.ISOName()))
	}
	return out
}

// isoKey makes keys of plain names that no other name can be: NUL is in none.
func isoKey(name string) string { return "\x00" + strings.ToUpper(name) }

func (n *Node) attach(c *Node) {
	c.Parent = n
	n.Children = append(n.Children, c)
	if c.Hidden {
		return
	}
	names := &n.few.get().names
	if m := names.folded.Load(); m != nil {
		if key := strings.ToLower(c.Name); (*m)[key] == nil {
			(*m)[key] = c
		}
	}
	if m := names.index.Load(); m != nil {
		(*m)[c.Name] = c
	}
}

func (n *Node) detach() {
	n.remember()
	p := n.Parent
	for i, c := range p.Children {
		if c == n {
			p.Children = append(p.Children[:i:i], p.Children[i+1:]...)
			break
		}
	}
	p.few.forget()
	n.Parent = nil
	for _, f := range n.Forks() {
		if f.Parent == p {
			f.detach()
		}
	}
}
