package scan

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master"
)

// equipment turns paths into nodes and looks at what boot images need.
func (s *scan) equipment(b Boot, texts iso9660.VolumeTexts) (*master.Boot, error) {
	var sources []extent.Source
	if b.From != "" {
		var err error
		if b, sources, err = s.bootFrom(b.From, b.Limits); err != nil {
			return nil, err
		}
	}
	out := &master.Boot{Spec: b.Spec, AppendedSources: sources}
	out.Seed = fmt.Appendf(nil, "%s\x00%s", texts.Volume, iso9660.NewDate17(texts.Modified))
	for i, f := range b.AppendedFiles {
		src, err := s.rangeOf(f)
		if err != nil {
			return nil, err
		}
		if src.Size() == 0 {
			return nil, fmt.Errorf("%s: %w", f.Path, master.ErrEmptyBoot)
		}
		out.AppendedSources = append(out.AppendedSources, src)
		out.Appended[i].Size = src.Size()
	}
	for _, e := range b.Entries {
		entry, err := s.entry(e, out)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, entry)
	}
	if len(b.Entries) == 0 || b.CatalogHidden {
		return out, nil
	}
	n, err := s.catalog(cmp.Or(b.Catalog, "boot.catalog"))
	if err != nil {
		return nil, fmt.Errorf("boot catalog: %w", fault.Bare(err))
	}
	out.Catalog = n
	return out, nil
}

// rangeOf is a part of a local file as content.
func (s *scan) rangeOf(r FileRange) (extent.Source, error) {
	f, err := s.files.Add(r.Path)
	if err != nil {
		return nil, err
	}
	if r.Off == 0 && r.Size == 0 {
		return f, nil
	}
	if r.Size == 0 {
		r.Size = max(f.Size()-r.Off, 0)
	}
	if r.Off < 0 || r.Size < 0 || r.Off > f.Size() || r.Size > f.Size()-r.Off {
		return nil, fmt.Errorf("%s has %d bytes, too few for %d at %d: %w", r.Path, f.Size(), r.Size, r.Off, io.ErrUnexpectedEOF)
	}
	m, err := extent.New([]extent.Extent{extent.CopyOf(0, f, r.Off, r.Size)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	return extent.Compose(fmt.Sprintf("%s from %d on", r.Path, r.Off), m), nil
}

// entry finds the image of one entry.
func (s *scan) entry(e Entry, b *master.Boot) (master.Entry, error) {
	out := master.Entry{EntrySpec: e.EntrySpec, Appended: e.Appended}
	var src extent.Source
	name := fmt.Sprintf("appended partition %d", e.Appended)
	if e.Path != "" {
		n := e.Node
		if n == nil {
			var err error
			if n, err = s.tree.Lookup(e.Path); err != nil {
				return out, fmt.Errorf("boot image: %w", err)
			}
		}
		if !n.IsRegular() {
			return out, fmt.Errorf("boot image %s: %w: not a regular file", n.Path(), os.ErrInvalid)
		}
		out.Node, src, name = n, n.Source, n.Path()
	} else {
		i := slices.IndexFunc(b.Appended, func(a boot.AppendedSpec) bool { return a.Number == e.Appended })
		if i < 0 {
			return out, fmt.Errorf("boot image: no %s", name)
		}
		src = b.AppendedSources[i]
	}
	if out.Media == MediaBySize {
		m, ok := boot.FloppyOf(src.Size())
		if !ok {
			return out, fmt.Errorf("boot image %s of %d bytes: %w", name, src.Size(), boot.ErrMedia)
		}
		out.Media = m
	}
	if out.Media != boot.NoEmulation && out.Sectors > 1 {
		s.said.Add("firmware loads one sector of an emulated disk, whatever -boot-load-size says", name)
	}
	head := make([]byte, min(src.Size(), boot.HeadSize))
	if n, err := src.ReadAt(head, 0); n < len(head) {
		return out, fmt.Errorf("read boot image %s: %w", name, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	table, grub2 := boot.Needs(head, out.Platform)
	if table && !out.InfoTable {
		s.lacks(name, "-boot-info-table", "the loader stops with a checksum error")
		out.InfoTable = s.o.Fix
	}
	if grub2 && !out.GRUB2 && b.Code == boot.CodeGRUB2 {
		s.lacks(name, "--grub2-boot-info", "it does not boot from disks")
		out.GRUB2 = s.o.Fix
	}
	return out, nil
}

// lacks warns of an option that a boot image needs, or says that it was added.
func (s *scan) lacks(name, option, otherwise string) {
	if s.o.Fix {
		s.notes = append(s.notes, fmt.Sprintf("%s: added %s", name, option))
		return
	}
	s.lacking = append(s.lacking, fmt.Sprintf("%s needs %s: %s", name, option, otherwise))
}
