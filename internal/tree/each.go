package tree

import (
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// Each calls f for the nodes of an image that listings show, the root excepted: parents
// first, those of a directory by name, as FromImage makes them. No more of the tree is kept
// than the directories on the way to a node; a node must not be kept either.
func Each(s *iso9660.Stream, f func(*Node) error) error {
	t := &Tree{RockRidge: s.RockRidge(), Epoch: Epoch(s.Image())}
	t.Root = rootOf(t, s.Roots())
	return each(t, s, t.Root, f)
}

// each does so for what is below a directory.
func each(t *Tree, s *iso9660.Stream, dir *Node, f func(*Node) error) error {
	for _, e := range dir.Found {
		if e != nil && e.IsDir() {
			if err := s.Load(e); err != nil {
				return err
			}
			defer s.Release(e)
		}
	}
	t.cells = nil // not to keep the nodes of other directories
	t.children(dir)
	shown := Shown(dir)
	for i, n := range shown {
		if err := f(n); err != nil {
			return err
		}
		if n.IsDir() {
			if err := each(t, s, n, f); err != nil {
				return err
			}
		}
		shown[i] = nil
	}
	dir.Children = nil
	return nil
}

// Shown returns the children of a node that listings show, sorted by name.
func Shown(n *Node) []*Node {
	out := slices.DeleteFunc(slices.Clone(n.Children), func(n *Node) bool { return n.Hidden })
	slices.SortStableFunc(out, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	return out
}
