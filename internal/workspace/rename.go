//go:build linux

package workspace

import (
	"path"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Overlayfs without redirects, and a copy, know no moves: what was moved is gone at the
// one place and new at the other. A file that is new and has time and content of one that
// is gone was moved: then its content stays where it is in the image, and boot images go
// on being what the image boots from.

// findMoves puts renames in front of the edits, in place of what they make needless.
func (c *capture) findMoves() error {
	if c.work == nil || len(c.moves) > 0 {
		return nil
	}
	gone := c.gone()
	if len(gone) == 0 {
		return nil
	}
	var front []tree.Edit
	var rest []tree.Edit
	for _, e := range c.out.Edits {
		put, ok := e.(tree.Put)
		if !ok || put.Source == nil || !c.free(put.Path) {
			rest = append(rest, e)
			continue
		}
		key := moveKey{put.Source.Size(), put.Attr.ModTime.Unix()}
		i, err := c.origin(put, gone[key])
		if err != nil {
			return err
		}
		if i < 0 {
			rest = append(rest, e)
			continue
		}
		old := gone[key][i]
		gone[key] = slices.Delete(gone[key], i, i+1)
		front = append(front, tree.Rename{Old: old, New: put.Path})
		if set, needed := c.difference(put, c.below.lookup(old)); needed {
			rest = append(rest, set)
		}
		c.renamed(old, put.Path)
	}
	for _, e := range front { // it is not there any more
		old := e.(tree.Rename).Old
		rest = slices.DeleteFunc(rest, func(x tree.Edit) bool { r, ok := x.(tree.Remove); return ok && r.Path == old })
	}
	c.out.Edits = append(front, c.dress(rest, front)...)
	return nil
}

type moveKey struct{ size, time int64 }

// gone are the files that the edits remove, those of directories included.
func (c *capture) gone() map[moveKey][]string {
	out := map[moveKey][]string{}
	var visit func(p string)
	visit = func(p string) {
		b := c.below.lookup(p)
		switch {
		case b.is(iso9660.ModeDir):
			for _, n := range c.below.children(p) {
				visit(path.Join(p, n))
			}
		case b.is(iso9660.ModeRegular):
			key := moveKey{b.size, b.ModTime.Unix()}
			out[key] = append(out[key], p)
		}
	}
	for _, e := range c.out.Edits {
		switch e := e.(type) {
		case tree.Remove:
			visit(e.Path)
		case tree.Opaque:
			for _, n := range c.below.children(e.Path) {
				visit(path.Join(e.Path, n))
			}
		}
	}
	return out
}

// free reports whether a new path has only directories above it that stay as they are: a
// rename goes before all other edits.
func (c *capture) free(p string) bool {
	if c.below.lookup(p) != nil {
		return false
	}
	image, _ := c.below.(imageBelow)
	for d := path.Dir(p); ; d = path.Dir(d) {
		b := c.below.lookup(d)
		if b != nil && !b.is(iso9660.ModeDir) || c.cleared[d] {
			return false
		}
		if _, err := image.tree.Lookup(d); b == nil && err == nil {
			return false // something there has it for another name, as in another case
		}
		if d == "/" {
			return true
		}
	}
}

// origin finds the file whose content a new one has, one of the same name first.
func (c *capture) origin(put tree.Put, from []string) (int, error) {
	order := make([]int, 0, len(from))
	for i, p := range from {
		if path.Base(p) == path.Base(put.Path) {
			order = slices.Insert(order, 0, i)
		} else {
			order = append(order, i)
		}
	}
	for _, i := range order {
		same, err := c.same(put.Path, c.below.lookup(from[i]))
		if err != nil || same {
			return i, err
		}
	}
	return -1, nil
}

// difference is what has to be set on a moved file.
func (c *capture) difference(put tree.Put, b *entry) (tree.SetAttr, bool) {
	e := tree.SetAttr{Path: put.Path}
	if mode := put.Attr.Mode & 0o7777; c.attrs && mode != c.shown(put.Path, b.Mode) {
		e.Mode = &mode
	}
	if c.attrs && !c.squash && (put.Attr.UID != b.UID || put.Attr.GID != b.GID) {
		e.UID, e.GID = &put.Attr.UID, &put.Attr.GID
	}
	return e, e.Mode != nil || e.UID != nil
}

// renamed makes one line of the two that a move has.
func (c *capture) renamed(old, to string) {
	c.out.Changes = slices.DeleteFunc(c.out.Changes, func(x Change) bool { return x.Kind == Removed && x.Path == old })
	for i, x := range c.out.Changes {
		if x.Kind == Added && x.Path == to {
			c.out.Changes[i] = Change{Kind: Renamed, What: kindNames[Renamed], Path: to, From: old}
		}
	}
}

// dress gives new directories their attributes where a rename makes them first.
func (c *capture) dress(edits, front []tree.Edit) []tree.Edit {
	made := map[string]bool{}
	for _, e := range front {
		for d := path.Dir(e.(tree.Rename).New); d != "/" && c.below.lookup(d) == nil; d = path.Dir(d) {
			made[d] = true
		}
	}
	var out []tree.Edit
	for _, e := range edits {
		put, ok := e.(tree.Put)
		if !ok || !made[put.Path] {
			out = append(out, e)
			continue
		}
		a := put.Attr
		mode := a.Mode & 0o7777
		set := tree.SetAttr{Path: put.Path, ModTime: &a.ModTime}
		if c.attrs {
			set.Mode, set.UID, set.GID = &mode, &a.UID, &a.GID
		}
		out = append(out, set)
	}
	return out
}
