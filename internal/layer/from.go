package layer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// From is a change as package diff found it, and where to read the later image.
type From struct {
	Report        *diff.Report
	Before, After diff.Side
	// Content opens a file of the later image, Object boot equipment of it by name.
	Content func(*tree.Node) (extent.Source, error)
	Object  func(name string) (extent.Source, error)
	// Lower is the content of a file of the earlier image by its path, and LowerObject of
	// boot equipment by its name, as Apply finds it; nil where that is not to be patched.
	Lower, LowerObject func(string) (extent.Source, error)
	// Plain layers have no renames and no patches: what moved is gone at the one place and
	// whole at the other, as every program for OCI layers understands.
	Plain bool
}

// New makes the layer that turns the earlier image into the later one, and says what
// of the change no layer can say.
func New(f From) (*Layer, []string, error) {
	m := &maker{From: f, l: &Layer{Root: f.After.Tree.Root.Attr, Objects: map[string]extent.Source{}, Fields: map[iso9660.Field]string{}}, sources: map[string]extent.Source{}}
	for _, c := range f.Report.Tree {
		if o, ok := f.After.Boot.Find("@catalog"); ok && c.Kind == diff.Changed && c.Name == o.Path {
			continue // it follows
		}
		if err := m.change(c); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	m.l.Gone = roots(m.l.Gone)
	slices.SortStableFunc(m.l.Added, func(a, b tree.Put) int {
		return slices.Compare(strings.Split(a.Path, "/"), strings.Split(b.Path, "/"))
	})
	for _, c := range f.Report.Boot {
		if c.Kind != diff.Changed || strings.Contains(c.Name, ":") {
			continue // addresses and sizes, which follow; files inside of what changed
		}
		src, err := f.Object(c.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		name := src.Name()
		if src, err = m.patch(f.LowerObject, name, src); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		m.l.Objects[name] = src
	}
	m.volume()
	return m.l, m.unsaid, nil
}

type maker struct {
	From
	l       *Layer
	sources map[string]extent.Source // by place, so that hard links stay links
	unsaid  []string
	ranges  int // of all patches
}

func (m *maker) change(c diff.Change) error {
	switch c.Kind {
	case diff.Removed:
		m.l.Gone = append(m.l.Gone, c.Name)
	case diff.Added:
		return m.put(c.After, nil)
	case diff.Changed:
		if slices.ContainsFunc(c.Details, func(d diff.Detail) bool { return d.What == "type" }) {
			m.l.Gone = append(m.l.Gone, c.Name)
			return m.put(c.After, nil)
		} else if len(c.Details) == 1 && c.Details[0].What == "hierarchies" {
			m.unsaid = append(m.unsaid, c.String())
			return nil
		}
		return m.put(c.After, c.Before)
	case diff.Moved:
		if m.Plain || !free(m.Before.Tree, c.Name) {
			m.l.Gone = append(m.l.Gone, c.From)
			return m.putTree(c.After)
		}
		m.l.Renames = append(m.l.Renames, tree.Rename{Old: c.From, New: c.Name})
		if len(c.Details) > 0 {
			return m.put(c.After, c.Before)
		}
	}
	return nil
}

// putTree adds a node with all below it.
func (m *maker) putTree(n *tree.Node) error {
	if n.Hidden {
		return nil
	}
	if err := m.put(n, nil); err != nil {
		return err
	}
	for _, c := range n.Children {
		if err := m.putTree(c); err != nil {
			return err
		}
	}
	return nil
}

// put adds a node. What was there before, unless nil, may be patched.
func (m *maker) put(n, before *tree.Node) error {
	p := tree.Put{Path: n.Path(), Attr: n.Attr}
	if n.IsRegular() {
		key := fmt.Sprint(n.Content())
		if n.Size() == 0 {
			key = n.Path() // empty files are at no place
		}
		if m.sources[key] == nil {
			src, err := m.Content(n)
			if err == nil && before != nil && before.IsRegular() {
				src, err = m.patch(m.Lower, before.Path(), src)
				if patch, ok := src.(*Patch); ok {
					patch.of = n.Path()
				}
			}
			if err != nil {
				return err
			}
			m.sources[key] = src
		}
		p.Source = m.sources[key]
	}
	m.l.Added = append(m.l.Added, p)
	return nil
}

// patch is the content as a patch of what was there, where that is worth it.
func (m *maker) patch(lower func(string) (extent.Source, error), name string, src extent.Source) (extent.Source, error) {
	if m.Plain || lower == nil || src.Size() < minSaved {
		return src, nil
	}
	was, err := lower(name)
	if was == nil || err != nil {
		return src, err
	}
	p, err := differ(was, src, maxRangesLayer-m.ranges)
	if p == nil || err != nil {
		return src, err
	}
	m.ranges += len(p.Ranges)
	return p, nil
}

// roots drops paths that lie below others.
func roots(paths []string) []string {
	all := map[string]bool{}
	for _, p := range paths {
		all[p] = true
	}
	return slices.DeleteFunc(paths, func(p string) bool {
		for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
			if all[dir] {
				return true
			}
		}
		return false
	})
}

// volume notes what changed in the descriptors.
func (m *maker) volume() {
	a, b := m.Before.Image.Primary(), m.After.Image.Primary()
	for _, f := range []struct {
		field iso9660.Field
		of    func(*iso9660.Descriptor) string
	}{
		{iso9660.FieldVolumeSet, (*iso9660.Descriptor).VolumeSetID},
		{iso9660.FieldPublisher, (*iso9660.Descriptor).Publisher},
		{iso9660.FieldPreparer, (*iso9660.Descriptor).Preparer},
		{iso9660.FieldApplication, (*iso9660.Descriptor).Application},
		{iso9660.FieldVolume, (*iso9660.Descriptor).VolumeID},
	} {
		if text := f.of(b); text != f.of(a) {
			m.l.Fields[f.field] = text
		}
	}
	if t := b.Modified().Time(); !t.Equal(a.Modified().Time()) && !t.IsZero() {
		m.l.Modified = t
	}
}
