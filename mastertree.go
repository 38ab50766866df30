package isolayer

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
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

// child puts a node into a directory of the image: files take the place of files,
// directories merge, the first one's attributes stay.
func (s *scan) child(dir *tree.Node, name string, a tree.Attr, src extent.Source) (*tree.Node, error) {
	n := &tree.Node{Name: name, Attr: a, Parent: dir, In: dir.In, Source: src}
	if names := s.byName[dir]; names != nil {
		if i, ok := names[name]; ok {
			old := dir.Children[i]
			switch {
			case old.IsDir() != n.IsDir():
				return nil, fmt.Errorf("%s is there already, as another kind of file", old.Path())
			case old.IsDir():
				return old, nil
			}
			dir.Children[i] = n
			return n, nil
		}
		names[name] = len(dir.Children)
	}
	dir.Children = append(dir.Children, n)
	return n, nil
}

// directory finds a directory of the image, made with its parents if it is missing.
func (s *scan) directory(p string) (*tree.Node, error) {
	clean, err := tree.Clean(p)
	if err != nil {
		return nil, err
	}
	dir := s.tree.Root
	for part := range strings.SplitSeq(strings.TrimPrefix(clean, "/"), "/") {
		if part == "" {
			continue
		}
		s.index(dir)
		mode := uint32(0o555)
		if s.o.NewDirMode != nil {
			mode = *s.o.NewDirMode
		}
		next, err := s.child(dir, part, tree.Attr{Mode: iso9660.ModeDir | mode}, nil)
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

// put adds a file that is not on disk.
func (s *scan) put(p string, a tree.Attr, src extent.Source) (*tree.Node, error) {
	clean, err := tree.Clean(p)
	if err != nil {
		return nil, err
	}
	if clean == "/" {
		return nil, fmt.Errorf("%w: the root directory", fs.ErrInvalid)
	}
	dir, err := s.directory(path.Dir(clean))
	if err != nil {
		return nil, err
	}
	s.index(dir)
	return s.child(dir, path.Base(clean), a, src)
}

// settle gives the directories that only paths name a time.
func (s *scan) settle(n *tree.Node) {
	if n.ModTime.IsZero() {
		n.ModTime = s.tree.Epoch
	}
	for _, c := range n.Children {
		if c.IsDir() {
			s.settle(c)
		}
	}
}

// once lets files of equal content have one source. Only files that have the size of
// another one are read.
func (s *scan) once() error {
	sizes := map[int64][]*tree.Node{}
	_ = s.tree.Walk(func(n *tree.Node) error { // never fails
		if n.Source != nil && n.Size() > 0 {
			sizes[n.Size()] = append(sizes[n.Size()], n)
		}
		return nil
	})
	for _, nodes := range sizes {
		if len(nodes) < 2 {
			continue
		}
		first := map[[sha256.Size]byte]extent.Source{}
		for _, n := range nodes {
			h := sha256.New()
			if _, err := io.Copy(h, io.NewSectionReader(n.Source, 0, n.Size())); err != nil {
				return fmt.Errorf("read %s: %w", n.Source.Name(), bare(err))
			}
			sum := [sha256.Size]byte(h.Sum(nil))
			if src := first[sum]; src != nil {
				n.Source = src
			} else {
				first[sum] = n.Source
			}
		}
	}
	return nil
}

// sortTree sorts the children of all directories by name.
func sortTree(n *tree.Node) {
	slices.SortFunc(n.Children, func(a, b *tree.Node) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range n.Children {
		sortTree(c)
	}
}
