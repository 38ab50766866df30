package layer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Same compares what a file of a tree has in the base with a source: nil if the content is
// the same, and the file was not replaced, else the source, which may be made of what the
// base has where that is the same.
type Same func(*tree.Node, extent.Source) (extent.Source, error)

// Lower is the content that a file has in a tree, all of it.
type Lower func(*tree.Node) (extent.Source, error)

// Apply changes the tree t. Content that the tree has keeps its place, also where
// only its path is another. What the layer takes away but the tree does not have is
// returned; it is not an error, as nothing is lost. A patch of other content than what
// the tree has is an error, ErrBase.
func (l *Layer) Apply(t *tree.Tree, same Same, lower Lower) (missing []string, err error) {
	for _, r := range l.Renames {
		if err := t.Do(r); err != nil {
			return missing, fmt.Errorf("%w: %s: %w", ErrBase, r, err)
		}
	}
	if l, err = l.bound(t, lower); err != nil {
		return missing, err
	}
	if err := l.keep(t, same); err != nil {
		return missing, err
	}
	take := func(p string, e tree.Edit) error {
		err := t.Do(e)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, p)
			return nil
		}
		return err
	}
	gone := slices.Clone(l.Gone)
	slices.SortFunc(gone, func(a, b string) int { return len(b) - len(a) }) // children first
	for _, p := range gone {
		if err := take(p, tree.Remove{Path: p}); err != nil {
			return missing, err
		}
	}
	for _, p := range l.Opaque {
		if err := take(p, tree.Opaque{Path: p}); err != nil {
			return missing, err
		}
	}
	for _, p := range l.Added {
		if err := add(t, p, same); err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// bound is the layer with the results of its patches of files.
func (l *Layer) bound(t *tree.Tree, lower Lower) (*Layer, error) {
	out := *l
	out.Added = slices.Clone(l.Added)
	for i, put := range out.Added {
		p, ok := put.Source.(*Patch)
		if !ok {
			continue
		}
		src, err := p.at(t, cmp.Or(p.of, put.Path), lower)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", put.Path, err)
		}
		out.Added[i].Source = src
	}
	return &out, nil
}

// at binds the patch to the file at a path. Hard links to it get the one result.
func (p *Patch) at(t *tree.Tree, file string, lower Lower) (extent.Source, error) {
	if p.bound != nil {
		return p.bound, nil
	}
	n, err := t.Lookup(file)
	if err != nil || !n.IsRegular() || n.Path() != file {
		return nil, fmt.Errorf("%w: it patches a file that is not there", ErrBase)
	}
	src, err := lower(n)
	if err != nil {
		return nil, err
	}
	return p.Bind(src)
}

// add puts one entry: it replaces what is of another type, and of what is the same only
// the attributes.
func add(t *tree.Tree, p tree.Put, same Same) error {
	n, err := t.Lookup(p.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return t.Do(p)
	} else if err != nil {
		return err
	}
	switch is := p.Attr.Mode & iso9660.ModeType; {
	case n.IsDir() && is == iso9660.ModeDir:
		return setAttr(t, p)
	case n.IsDir() || is == iso9660.ModeDir:
		if err := t.Do(tree.Remove{Path: p.Path}); err != nil {
			return err
		}
	case n.IsRegular() && is == iso9660.ModeRegular && n.Path() == p.Path && p.Source.Size() > 0 && n.Found != [3]*iso9660.Entry{}:
		src, err := same(n, p.Source)
		if err != nil {
			return err
		}
		if src == nil {
			return setAttr(t, p)
		}
		p.Source = src
	}
	return t.Do(p)
}

// setAttr gives what is there the attributes of an entry.
func setAttr(t *tree.Tree, p tree.Put) error {
	mode := p.Attr.Mode & 0o7777
	e := tree.SetAttr{Path: p.Path, Mode: &mode, UID: &p.Attr.UID, GID: &p.Attr.GID, ModTime: &p.Attr.ModTime}
	if !t.RockRidge {
		e.Mode, e.UID, e.GID = nil, nil, nil
	}
	return t.Do(e)
}

// maxCandidates bounds how many files of its size an added one is compared with.
const maxCandidates = 8

// keep renames files that the layer removes at one path and adds at another.
func (l *Layer) keep(t *tree.Tree, same Same) error {
	bySize := map[int64][]*tree.Node{}
	for _, p := range l.Gone {
		n, err := t.Lookup(p)
		if err != nil {
			continue // Apply reports it
		}
		for stack := []*tree.Node{n}; len(stack) > 0; {
			n := stack[len(stack)-1]
			stack = append(stack[:len(stack)-1], n.Children...)
			if n.IsRegular() && n.Source == nil && n.Size() > 0 && !n.Hidden {
				bySize[n.Size()] = append(bySize[n.Size()], n)
			}
		}
	}
	for _, p := range l.Added {
		if p.Source == nil || p.Attr.Mode&iso9660.ModeType != iso9660.ModeRegular || !free(t, p.Path) {
			continue
		}
		list := bySize[p.Source.Size()]
		slices.SortStableFunc(list, func(a, b *tree.Node) int {
			return strings.Compare(fmt.Sprint(a.Name != path.Base(p.Path)), fmt.Sprint(b.Name != path.Base(p.Path)))
		})
		for i, n := range list[:min(len(list), maxCandidates)] {
			src, err := same(n, p.Source)
			if err != nil {
				return err
			}
			if src == nil {
				if err := t.Do(tree.Rename{Old: n.Path(), New: p.Path}); err != nil {
					return err
				}
				bySize[p.Source.Size()] = slices.Delete(list, i, i+1)
				break
			}
		}
	}
	return nil
}

// free reports whether a path is unused, its parents being directories or unused too.
func free(t *tree.Tree, p string) bool {
	if _, err := t.Lookup(p); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		n, err := t.Lookup(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return err == nil && n.IsDir() && n.Path() == dir
	}
	return true
}
