package scan

import (
	"errors"
	"fmt"
	"path"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// bootFrom takes the boot equipment of an image over: its boot images go where they are
// in that image, unless the sources have a file there.
func (s *scan) bootFrom(image string, limits fault.Limits) (out Boot, sources []extent.Source, err error) {
	b, err := baseimage.Open(image, baseimage.OpenOptions{Limits: limits})
	if err != nil {
		return out, nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if b.Boot().Catalog == nil && !b.Boot().System.Used {
		return out, nil, fmt.Errorf("%s: %w", image, errNotBootable)
	}
	file, err := s.files.Add(image)
	if err != nil {
		return out, nil, err
	}
	part := func(off, n int64, what string) (extent.Source, error) {
		m, err := extent.New([]extent.Extent{extent.CopyOf(0, file, off, n)})
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", image, what, err)
		}
		return extent.Compose(image+" "+what, m), nil
	}
	s.label = b.Image().Primary().VolumeID()
	spec, entries, notes := b.Boot().Replay()
	out.Spec, s.notes = spec, append(s.notes, notes...)
	for i, a := range spec.Appended {
		o, _ := b.Boot().Find(fmt.Sprintf("@part%d", a.Number))
		if o == nil {
			return out, nil, fmt.Errorf("%s: partition %d: %w", image, a.Number, boot.ErrNoObject)
		}
		src, err := part(o.Off, o.Len, o.Name)
		if err != nil {
			return out, nil, err
		}
		sources = append(sources, src)
		out.Appended[i].Size = src.Size()
	}
	for i, e := range entries {
		r := b.Boot().ImageRange(i)
		m := Entry{EntrySpec: e, Path: r.Name, Appended: b.Boot().AppendedEntry(i)}
		if m.Appended > 0 {
			m.Path = ""
		} else if m, err = s.imageOf(m, i, r, part); err != nil {
			return out, nil, err
		}
		out.Entries = append(out.Entries, m)
	}
	if c := b.Boot().Catalog; c != nil {
		out.Catalog, out.CatalogHidden = c.Name, c.Name == ""
	}
	return out, sources, nil
}

var errNotBootable = errors.New("the image has no boot equipment")

// imageOf puts a boot image into the tree if it is not there. One that no directory lists
// is listed in none here either.
func (s *scan) imageOf(m Entry, i int, r boot.Range, part func(off, n int64, what string) (extent.Source, error)) (Entry, error) {
	hidden := m.Path == ""
	if hidden {
		m.Path = fmt.Sprintf("/.boot-image-%d", i+1)
	} else if n, err := s.tree.Lookup(m.Path); err == nil && n.IsRegular() {
		return m, nil
	}
	src, err := part(r.Off, r.Len, fmt.Sprintf("@boot%d", i+1))
	if err != nil {
		return m, err
	}
	dir, err := s.directory(path.Dir(m.Path))
	if err != nil {
		return m, err
	}
	s.index(dir)
	n, err := s.child(dir, path.Base(m.Path), src.Name(), tree.Attr{Mode: iso9660.ModeRegular | 0o444, ModTime: s.tree.Epoch}, src)
	if err != nil {
		return m, err
	}
	if hidden {
		n.In = [3]bool{}
	}
	m.Node = n
	return m, nil
}
