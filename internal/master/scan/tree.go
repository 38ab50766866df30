package scan

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/tree"
)

// index lets child find names in a directory that may get one twice.
func (s *scan) index(dir *tree.Node) map[string]int {
	names := s.byName[dir]
	if names == nil {
		names = make(map[string]int, len(dir.Children))
		for i, c := range dir.Children {
			names[c.Name] = i
		}
		s.byName[dir] = names
	}
	return names
}

// child puts a node that comes from path p into a directory of the image: directories
// merge, the first one's attributes stay; another file of the same name is an error, or
// takes the place of the first where options say so.
func (s *scan) child(dir *tree.Node, name, p string, a tree.Attr, src extent.Source) (*tree.Node, error) {
	n := &tree.Node{Name: name, Attr: a, Parent: dir, In: dir.In, Source: src}
	names := s.byName[dir]
	i, ok := names[name]
	if !ok {
		if names != nil {
			names[name] = len(dir.Children)
		}
		dir.Children = append(dir.Children, n)
		s.comes(n, p)
		return n, nil
	}
	old := dir.Children[i]
	switch first := s.source(old); {
	case old.IsDir() && n.IsDir():
		return old, nil
	case first == p || src != nil && old.Source == src:
		s.said.Note("named more than once, and taken once", p)
		return old, nil
	case old.IsDir() != n.IsDir() || !s.o.Replace:
		return nil, &master.TwiceError{First: first, Second: p, Path: old.Path()}
	default:
		s.said.Add("takes the place of "+first, p)
	}
	delete(s.from, old)
	dir.Children[i] = n
	s.comes(n, p)
	return n, nil
}

// comes notes where a node comes from whose content does not tell.
func (s *scan) comes(n *tree.Node, p string) {
	if s.twice && n.Source == nil {
		s.from[n] = p
	}
}

// source is where a node comes from, for people.
func (s *scan) source(n *tree.Node) string {
	if p, ok := s.from[n]; ok {
		return p
	}
	if n.Source != nil {
		return n.Source.Name()
	}
	return n.Path()
}

// directory finds a directory of the image, made with its parents if it is missing.
func (s *scan) directory(p string) (*tree.Node, error) {
	parts, err := master.Split(p)
	if err != nil {
		return nil, err
	}
	dir := s.tree.Root
	for _, part := range parts {
		s.index(dir)
		mode := uint32(0o555)
		if s.o.NewDirMode != nil {
			mode = *s.o.NewDirMode
		}
		if part, err = s.o.Names.In(part); err != nil {
			return nil, err
		}
		if dir, err = s.child(dir, part, p, tree.Attr{Mode: iso9660.ModeDir | mode}, nil); err != nil {
			return nil, err
		}
	}
	return dir, nil
}

// put adds a file that is not on disk.
func (s *scan) put(p string, a tree.Attr, src extent.Source) (*tree.Node, error) {
	parts, err := master.Split(p)
	if err == nil && len(parts) == 0 {
		err = fmt.Errorf("%w: the root directory", fs.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	dir, err := s.directory(path.Dir(strings.Join(parts, "/")))
	if err != nil {
		return nil, err
	}
	s.index(dir)
	return s.child(dir, parts[len(parts)-1], p, a, src)
}

// catalog adds the boot catalog. It takes the place of what the sources have under its
// path, as a rule that of an older image. Patterns that hide or mark hold for it, too.
func (s *scan) catalog(p string) (*tree.Node, error) {
	old, err := s.tree.Lookup(p)
	if err == nil && old.Path() == path.Clean("/"+p) && !old.IsDir() {
		if !master.IsCatalog(old.Source) {
			s.said.Add("the boot catalog takes its place", s.source(old))
		}
		old.Attr, old.Source = s.made(), nil
		return old, nil
	}
	n, err := s.put(p, s.made(), nil)
	if err == nil {
		s.mark(n, strings.TrimPrefix(p, "/"))
	}
	return n, err
}

// settle gives a time to what is not on disk.
func (s *scan) settle(n *tree.Node) {
	if n.ModTime.IsZero() {
		n.ModTime = s.tree.Epoch
	}
	for _, c := range n.Children {
		s.settle(c)
	}
}
