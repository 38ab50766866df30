package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// Edit is one change of a tree. The variants are Put, Remove, Opaque, SetAttr
// and Rename; paths are absolute inside the image.
type Edit interface {
	fmt.Stringer
	apply(t *Tree) error
}

// Layer is an ordered set of edits.
type Layer []Edit

// Put adds a file, directory or symbolic link, as Attr.Mode says, or replaces
// what is there: a file by a file, a link by either; a directory merges and
// keeps its attributes. Missing parents are made.
type Put struct {
	Path   string
	Attr   Attr
	Source extent.Source // content of a regular file
}

// Remove takes away a file or a directory with all below it.
type Remove struct{ Path string }

// Opaque empties a directory.
type Opaque struct{ Path string }

// SetAttr sets permission bits, owner or time. Rock Ridge must be there to record
// all but the time.
type SetAttr struct {
	Path     string
	Mode     *uint32 // permission bits only
	UID, GID *uint32
	ModTime  *time.Time
}

// Rename gives a file or directory another path, whose parents are made if they
// are missing. Nothing may be there yet, but an existing directory receives it.
type Rename struct{ Old, New string }

func (e Put) String() string     { return "add " + e.Path }
func (e Remove) String() string  { return "remove " + e.Path }
func (e Opaque) String() string  { return "empty " + e.Path }
func (e SetAttr) String() string { return "set attributes of " + e.Path }
func (e Rename) String() string  { return "rename " + e.Old + " to " + e.New }

// Apply makes the edits in order. On an error the tree is of no more use.
func (t *Tree) Apply(l Layer) error {
	for _, e := range l {
		if err := t.Do(e); err != nil {
			return fmt.Errorf("%s: %w", e, err)
		}
	}
	return nil
}

// Do makes one edit.
func (t *Tree) Do(e Edit) error {
	if t.Note != nil {
		t.Note(e)
	}
	t.edits++
	return e.apply(t)
}

// Edits counts the edits that were made, so that who looked at the tree knows whether it is
// the same.
func (t *Tree) Edits() int { return t.edits }

// Errors of edits that callers tell apart.
var (
	ErrIsDir    = errors.New("is a directory")
	ErrNotDir   = errors.New("is not a directory")
	ErrLinkPath = errors.New("passes a symbolic link")
	ErrNoAttr   = errors.New("the image has no Rock Ridge to record attributes")
)

// errRoot reports an edit of what no edit can take away or rename.
var errRoot = fmt.Errorf("the root directory stays what and where it is: %w", fs.ErrInvalid)

// parent returns the directory that p lies in, making what is missing of it.
func (t *Tree) parent(p string) (dir *Node, name string, err error) {
	parts, err := split(p)
	if err != nil {
		return nil, "", err
	}
	if len(parts) == 0 {
		return nil, "", errRoot
	}
	dir = t.Root
	for _, part := range parts[:len(parts)-1] {
		next := t.occupant(dir, part)
		if next == nil {
			next = t.create(dir, part, Attr{Mode: iso9660.ModeDir | 0o755, ModTime: t.Epoch})
		}
		if next.IsLink() {
			return nil, "", fmt.Errorf("%w: %s leads to %s", ErrLinkPath, next.Path(), next.Link)
		}
		if !next.IsDir() {
			return nil, "", fmt.Errorf("%s %w", next.Path(), ErrNotDir)
		}
		dir = next
	}
	return dir, parts[len(parts)-1], nil
}

// occupant returns what a new entry of that name would replace.
func (t *Tree) occupant(dir *Node, name string) *Node {
	if n := t.child(dir, name); n != nil {
		return n
	}
	return dir.reveal(name)
}

// reveal returns the directory of that name which stores relocated ones, nil without one.
// With something else in it, it is one that listings show.
func (n *Node) reveal(name string) *Node {
	for _, c := range n.Children {
		if c.Hidden && c.IsDir() && c.Name == name {
			c.Hidden = false
			n.few.forget()
			return c
		}
	}
	return nil
}

func (t *Tree) create(dir *Node, name string, a Attr) *Node {
	n := &Node{Name: name, Attr: a, replaced: true, In: t.Has}
	dir.attach(n)
	return n
}

func (e Put) apply(t *Tree) error {
	if !t.RockRidge && e.Attr.Mode&iso9660.ModeType == iso9660.ModeSymlink {
		return fmt.Errorf("symbolic link: %w", ErrNoAttr)
	}
	if parts, err := split(e.Path); err == nil && len(parts) == 0 && e.Attr.Mode&iso9660.ModeType == iso9660.ModeDir {
		return nil // the root is there and keeps its attributes
	}
	dir, name, err := t.parent(e.Path)
	if err != nil {
		return err
	}
	old := t.occupant(dir, name)
	isDir := e.Attr.Mode&iso9660.ModeType == iso9660.ModeDir
	switch {
	case old == nil:
		old = t.create(dir, name, e.Attr)
	case old.IsDir() && isDir:
		return nil
	case old.IsDir():
		return fmt.Errorf("%s %w", old.Path(), ErrIsDir)
	case isDir:
		return fmt.Errorf("%s %w", old.Path(), ErrNotDir)
	}
	if !old.IsRegular() {
		old.In = t.Has // a link may be in no Joliet tree; a file belongs there
	}
	old.remember()
	if forks := old.Forks(); len(forks) > 0 { // what belonged to the old content
		for _, f := range forks {
			f.detach()
		}
		old.few.make().lost, old.few.make().forks = true, nil
	}
	old.replaced = true
	old.Attr, old.Source = e.Attr, e.Source
	return nil
}

func (e Remove) apply(t *Tree) error {
	n, err := t.Lookup(e.Path)
	if err != nil {
		return err
	}
	if n.Parent == nil {
		return errRoot
	}
	// Damaged images have a file in one hierarchy and a directory of the same
	// name in another: whoever removes the name means both.
	dir, name := n.Parent, n.Name
	for ; n != nil; n = dir.exact(name) {
		n.detach()
	}
	return nil
}

func (e Opaque) apply(t *Tree) error {
	n, err := t.Lookup(e.Path)
	if err != nil {
		return err
	}
	if !n.IsDir() {
		return ErrNotDir
	}
	var keep []*Node
	for _, c := range n.Children {
		if c.Hidden && c.Of() == nil {
			keep = append(keep, c)
		}
	}
	n.Children = keep
	n.few.forget()
	return nil
}

func (e SetAttr) apply(t *Tree) error {
	n, err := t.Lookup(e.Path)
	if err != nil {
		return err
	}
	for _, f := range append([]*Node{n}, n.Forks()...) {
		if err := e.set(t, f); err != nil {
			return err
		}
	}
	return nil
}

// set gives a node the attributes.
func (e SetAttr) set(t *Tree, n *Node) error {
	n.remember()
	if e.ModTime != nil && !e.ModTime.Equal(n.ModTime) {
		n.ModTime = *e.ModTime
	}
	if e.ModTime != nil && e.Mode == nil && e.UID == nil && e.GID == nil {
		return nil
	}
	if !t.RockRidge {
		return ErrNoAttr
	}
	if e.Mode != nil {
		n.Mode = n.Mode&iso9660.ModeType | *e.Mode&0o7777
	}
	if e.UID != nil {
		n.UID = *e.UID
	}
	if e.GID != nil {
		n.GID = *e.GID
	}
	return nil
}

func (e Rename) apply(t *Tree) error {
	n, err := t.Lookup(e.Old)
	if err != nil {
		return err
	}
	if n.Parent == nil {
		return errRoot
	}
	to := e.New
	if there, err := t.Lookup(to); err == nil && there.IsDir() && there != n {
		to = path.Join(to, n.Name)
	}
	clean, err := Clean(to)
	if err != nil {
		return err
	}
	if clean == n.Path() {
		return nil
	}
	if strings.HasPrefix(clean+"/", n.Path()+"/") {
		return fmt.Errorf("%w: a directory cannot move into itself", fs.ErrInvalid)
	}
	dir, name, err := t.parent(clean)
	if err != nil {
		return err
	}
	for d := dir; d != nil; d = d.Parent { // which another name of n may have hidden
		if d == n {
			return fmt.Errorf("%w: a directory cannot move into itself", fs.ErrInvalid)
		}
	}
	if there := t.occupant(dir, name); there != nil && there != n {
		return fmt.Errorf("%s: %w", there.Path(), fs.ErrExist)
	}
	n.detach()
	n.Name = name
	dir.attach(n)
	for _, f := range n.Forks() {
		f.Name = name
		dir.attach(f)
	}
	return nil
}
