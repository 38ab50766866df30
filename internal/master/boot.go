package master

import (
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// equip arranges what lies behind the file system and makes the boot catalog and what
// boot images hold about themselves.
func (p *planner) equip() error {
	b := p.o.Boot
	if b == nil {
		p.area = boot.Arrangement{Part: p.end + p.o.Padding, Blocks: p.end + p.o.Padding}
		return p.limit()
	}
	specs := make([]boot.EntrySpec, len(b.Entries))
	for i, e := range b.Entries {
		specs[i] = e.EntrySpec
	}
	p.area = b.Arrange(specs, p.end, p.o.Padding)
	if err := p.limit(); err != nil {
		return err
	}
	var heads [][]byte
	for i, e := range b.Entries {
		at, src := p.image(e)
		if src == nil || at.Size == 0 {
			return fmt.Errorf("boot image %d: %w", i+1, ErrEmptyBoot)
		}
		head := make([]byte, min(at.Size, boot.HeadSize))
		if n, err := src.ReadAt(head, 0); n < len(head) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read boot image %s: %w", src.Name(), err)
		}
		heads, p.located = append(heads, head), append(p.located, at)
		if !e.InfoTable && !e.GRUB2 || p.patches[src] != nil {
			continue
		}
		patches, err := boot.InfoPatches(src, at.Size, iso9660.LBA(at.LBA), e.InfoTable, e.GRUB2)
		if err != nil {
			return fmt.Errorf("%s: %w", src.Name(), err)
		}
		p.patches[src] = patches
	}
	if p.catalog == nil {
		return nil
	}
	data, err := boot.CatalogOf(specs, p.located, heads)
	if err != nil {
		return err
	}
	copy(p.catalog.data, data)
	return nil
}

// limit checks that block addresses hold the image.
func (p *planner) limit() error {
	p.area.Blocks = max(p.area.Blocks, descriptorsAt)
	if p.area.Blocks > maxBlocks {
		return fmt.Errorf("image of %d blocks: %w", p.area.Blocks, iso9660.ErrLimit)
	}
	return nil
}

// image returns where the image of an entry lies, and its content.
func (p *planner) image(e Entry) (boot.Located, extent.Source) {
	if e.Node == nil {
		for i, a := range p.o.Boot.Appended {
			if a.Number == e.Appended {
				return p.area.Appended[i], p.o.Boot.AppendedSources[i]
			}
		}
		return boot.Located{}, nil
	}
	src := e.Node.Source
	if src == nil {
		return boot.Located{}, nil
	}
	return boot.Located{LBA: p.images[src], Size: src.Size()}, src
}

// assemble makes the map in the order of the image.
func (p *planner) assemble() (*extent.Map, error) {
	m := &sequence{}
	var trailer []byte
	if b := p.o.Boot; b != nil {
		specs := make([]boot.EntrySpec, len(b.Entries))
		for i, e := range b.Entries {
			specs[i] = e.EntrySpec
		}
		area, backup, err := b.Area(specs, p.area, p.located)
		if err != nil {
			return nil, err
		}
		m.add(extent.BytesOf(0, area))
		if trailer = backup; trailer == nil && (b.DiskGUID != nil || b.FileSystemBootable || b.FileSystemWritable) {
			p.warn("the image has no GPT, which would hold a disk GUID and attributes")
		}
	}
	list, err := p.descriptors()
	if err != nil {
		return nil, err
	}
	m.add(list...)
	for _, list := range p.encodeTrees() {
		m.add(list...)
	}
	p.addContent(m)
	if b := p.o.Boot; b != nil {
		for i, a := range p.area.Appended {
			src := b.AppendedSources[i]
			m.add(extent.Into(a.LBA*iso9660.BlockSize, src, src.Size())...)
		}
	}
	size := p.area.Blocks * iso9660.BlockSize
	if trailer != nil {
		m.add(extent.BytesOf(size-int64(len(trailer)), trailer))
	}
	m.zeros(size)
	return extent.New(m.list)
}

// manyFiles is from how many contents on small ones are packed: a map of fewer is worth
// reading.
const manyFiles = 10_000

// addContent adds all contents in their order; boot images with what they hold about
// themselves.
func (p *planner) addContent(m *sequence) {
	var pack *extent.Pack
	var packAt int64
	flush := func() {
		if pack != nil {
			m.add(extent.CopyOf(packAt, pack, 0, pack.Size()))
			pack = nil
		}
	}
	for _, i := range p.content.rank {
		x := p.content.list[i]
		size, off := x.src.Size(), int64(x.lba)*iso9660.BlockSize
		if x.names > 0 {
			p.res.Files++
			p.res.Content += size
		}
		if size == 0 {
			continue
		}
		f, small := x.src.(*extent.File)
		if small && size < shareSize && p.patches[x.src] == nil && len(p.content.list) >= manyFiles {
			if pack == nil {
				pack, packAt = extent.NewPack(iso9660.BlockSize), off
			}
			pack.Add(f)
			continue
		}
		flush()
		if g, ok := x.src.(*generated); ok {
			m.add(extent.BytesOf(off, g.data))
			continue
		}
		pieces := extent.Into(off, x.src, size)
		for _, patch := range p.patches[x.src] {
			pieces = lay(pieces, extent.BytesOf(off+patch.Off, patch.Data))
		}
		m.add(pieces...)
	}
	flush()
}

// lay puts an extent over others that cover its place.
func lay(list []extent.Extent, over extent.Extent) []extent.Extent {
	var out []extent.Extent
	for _, e := range list {
		if e.End() <= over.Off || e.Off >= over.End() {
			out = append(out, e)
			continue
		}
		if e.Off < over.Off {
			out = append(out, e.Slice(e.Off, over.Off))
		}
		if over.Off >= e.Off {
			out = append(out, over)
		}
		if e.End() > over.End() {
			out = append(out, e.Slice(over.End(), e.End()))
		}
	}
	return out
}

// sequence collects extents in ascending order, with zeros between them.
type sequence struct {
	list []extent.Extent
	end  int64
}

func (s *sequence) add(list ...extent.Extent) {
	for _, e := range list {
		s.zeros(e.Off)
		s.list = append(s.list, e)
		s.end = e.End()
	}
}

func (s *sequence) zeros(to int64) {
	if to > s.end {
		s.list = append(s.list, extent.ZeroOf(s.end, to-s.end))
		s.end = to
	}
}

// IsCatalog reports whether content begins as a boot catalog does (El Torito 1.0, figure 2).
func IsCatalog(src extent.Source) bool {
	head := make([]byte, 32)
	if src == nil {
		return false
	}
	n, _ := src.ReadAt(head, 0) // what cannot be read is none
	return n == len(head) && head[0] == 1 && head[30] == 0x55 && head[31] == 0xaa
}
