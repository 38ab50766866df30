package tree

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/isolayer/isolayer/internal/spelling"
)

// Lookup returns the node at path. Names mind case where readers of the image do: those
// of Rock Ridge must be given exactly; without it they may have any case, and are found
// as the hierarchies have them, plain ISO 9660 without version. Links are not followed.
//
// Without a node the error is fs.ErrNotExist and a *spelling.Missing, which knows the
// path that was probably meant.
func (t *Tree) Lookup(path string) (*Node, error) {
	parts, err := components(path)
	if err != nil {
		return nil, err
	}
	n := t.Root
	for _, part := range parts {
		next := t.child(n, part)
		if next == nil {
			return nil, &fs.PathError{Op: "find", Path: path, Err: t.missing(path, nil)}
		}
		n = next
	}
	return n, nil
}

// Exact returns the node of a path, no other case of it; nil if it is not there.
func (t *Tree) Exact(path string) *Node {
	n, err := t.Lookup("/" + path)
	if err != nil || n.Path() != "/"+path {
		return nil
	}
	return n
}

// child returns the child that people mean by a name; see Lookup.
func (t *Tree) child(dir *Node, name string) *Node {
	if t.RockRidge {
		return dir.exact(name)
	}
	if c := dir.Child(name); c != nil {
		return c
	}
	return dir.fold(name)
}

// Glob returns the nodes whose paths match a pattern, parents first: * and ? stand for
// letters of a name, ** for any number of directories. Case counts as in Lookup. Matching
// nothing is a *spelling.Missing around none.
func (t *Tree) Glob(pattern string, none error) ([]*Node, error) {
	clean, err := Clean(pattern)
	if err != nil {
		return nil, err
	}
	if !doublestar.ValidatePattern(clean) {
		return nil, &fs.PathError{Op: "match", Path: pattern, Err: fmt.Errorf("%w: bad pattern", fs.ErrInvalid)}
	}
	hits := t.match(clean, !t.RockRidge)
	if len(hits) == 0 {
		return nil, &fs.PathError{Op: "match", Path: pattern, Err: t.missing(clean, none)}
	}
	return hits, nil
}

// match returns what a pattern matches, in any case if that is asked for.
func (t *Tree) match(pattern string, fold bool) (hits []*Node) {
	if fold {
		pattern = strings.ToLower(pattern)
	}
	_ = t.Walk(func(n *Node) error {
		p := n.Path()
		if fold {
			p = strings.ToLower(p)
		}
		if n.Parent != nil && doublestar.MatchUnvalidated(pattern, p) {
			hits = append(hits, n)
		}
		return nil
	})
	return hits
}

// Place checks where something new is to come: a directory on the way that is there in
// another case only is an error, as in Lookup. For a name that differs from one that is
// there by case only, which some readers do not tell apart, it returns a warning.
func (t *Tree) Place(p string) (warning string, err error) {
	n, rest := t.beside(p)
	switch {
	case n == nil:
		return "", nil
	case rest == "":
		return fmt.Sprintf("%s is made beside %s: the names differ by case only, and Windows shows one of them", path.Join("/", p), n.Path()), nil
	}
	return "", &fs.PathError{Op: "find", Path: p, Err: &spelling.Missing{
		Path: p, Err: fmt.Errorf("the directory is not in the image, only %s", n.Path()),
		Near: func() string { return n.Path() + rest },
	}}
}

// beside returns the node whose name differs from the first one of a path that is not
// there by case only, and what follows of the path; nil where case does not count.
// See RATIONALE.md, "Names mind case where readers do".
func (t *Tree) beside(p string) (n *Node, rest string) {
	parts, err := components(p)
	if err != nil || !t.RockRidge {
		return nil, ""
	}
	dir := t.Root
	for i, part := range parts {
		next := dir.exact(part)
		switch {
		case next == nil:
			rest = strings.Join(append([]string{""}, parts[i+1:]...), "/")
			if strings.HasSuffix(p, "/") {
				rest += "/"
			}
			return dir.fold(part), rest
		case !next.IsDir():
			return nil, ""
		}
		dir = next
	}
	return nil, ""
}

// missing is the error that nothing is at a path, or matches a pattern.
func (t *Tree) missing(p string, err error) error {
	return &spelling.Missing{Path: p, Err: err, Near: func() string { return t.near(p) }}
}

// near returns the path that was probably meant by one that is not there: one that
// differs by case or few letters, else the only file of that name.
func (t *Tree) near(p string) string {
	if doublestar.ValidatePattern(p) && strings.ContainsAny(p, "*?[{") {
		if hits := t.match(p, true); len(hits) > 0 {
			return hits[0].Path()
		}
	}
	parts, err := components(p)
	if err != nil || len(parts) == 0 {
		return ""
	}
	n := t.Root
	for _, part := range parts {
		if n = t.nearChild(n, part); n == nil {
			return t.only(path.Base(p))
		}
	}
	return n.Path()
}

func (t *Tree) nearChild(dir *Node, name string) *Node {
	if c := t.child(dir, name); c != nil {
		return c
	}
	var names []string
	for _, c := range dir.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return dir.exact(spelling.Nearest(name, names))
}

// only returns the path of the one node that has a name, in any case; "" if none or
// several have it.
func (t *Tree) only(name string) string {
	found := ""
	err := t.Walk(func(n *Node) error {
		switch {
		case n.Parent == nil || !strings.EqualFold(n.Name, name):
		case found != "":
			return fs.SkipAll
		default:
			found = n.Path()
		}
		return nil
	})
	if err != nil {
		return ""
	}
	return found
}
