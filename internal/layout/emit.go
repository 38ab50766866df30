package layout

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// count is how many records d has, "." and ".." apart.
func (d *directory) count() int {
	if d.as {
		return len(d.found.Children())
	}
	return len(d.records)
}

// moves reports a directory whose extent, or the length of it, is not that of the base.
func (d *directory) moves() bool {
	return d.found == nil || d.lba != d.oldLBA || d.length() != d.oldLen
}

// adopted reports a directory of the base that is in another one now.
func (d *directory) adopted() bool { return d.found != nil && d.home.found != d.found.Parent }

// stale reports whether the records of d have to be written.
func (p *planner) stale(b *hierarchy, d *directory) bool {
	if p.o.Compact || d.changed || d.self.sums || d.up.sums || d.moves() || d.adopted() || d.home.moves() || d.logical != nil && d.logical.moves() {
		return true
	}
	for _, r := range d.records {
		if sub := b.of[r.node]; sub != nil && sub.moves() {
			return true
		}
		if len(r.drafts) > 0 && b.astray(r.drafts[0].Record) {
			return true
		}
		if !r.node.IsDir() && len(r.node.Content()) == 1 {
			if _, ok := p.moved[int64(r.node.Content()[0].LBA)]; ok {
				return true
			}
		}
	}
	return false
}

// treeExtents encodes the directories of b, their continuation areas and the
// path tables.
func (p *planner) treeExtents(b *hierarchy) []extent.Extent {
	var out []extent.Extent
	stale := false
	for _, d := range b.dirs {
		if d.as {
			patches := p.patchAddresses(b, d)
			stale = stale || len(patches) > 0
			out = append(out, patches...)
			continue
		}
		if !p.stale(b, d) {
			continue
		}
		stale = true
		p.address(b, d)
		var records []iso9660.Record
		for _, r := range d.all() {
			for _, dr := range r.drafts {
				records = append(records, dr.Record)
			}
		}
		data := iso9660.PackDirectory(records)
		if int64(len(data)) != d.blocks*iso9660.BlockSize {
			panic(fmt.Sprintf("internal error: %s has %d bytes, %d blocks were planned", d.node.Path(), len(data), d.blocks))
		}
		out = append(out, extent.BytesOf(d.lba*iso9660.BlockSize, data))
		out = append(out, d.areaExtents()...)
	}
	if !stale {
		b.placement = placedSame
		return nil
	}
	for i, data := range b.encodeTables() {
		if b.tables.at[i] != 0 {
			out = append(out, block(b.tables.at[i], data))
		}
	}
	return out
}

// block is an extent of whole blocks from block at on.
func block(at int64, data []byte) extent.Extent {
	n := iso9660.Blocks(int64(len(data))) * iso9660.BlockSize
	return extent.BytesOf(at*iso9660.BlockSize, append(bytes.Clone(data), make([]byte, n-int64(len(data)))...))
}

// address fills in the addresses of d's records.
func (p *planner) address(b *hierarchy, d *directory) {
	extentOf := func(dr *iso9660.Draft, to *directory) {
		dr.Record.SetExtent(b.rel(to.lba), uint32(to.length()))
		dr.Record.ClearXAR()
	}
	extentOf(d.self.drafts[0], d)
	extentOf(d.up.drafts[0], d.home)
	if d.logical != nil {
		d.up.drafts[0].SetRelocation(b.rel(d.logical.lba))
	}
	for _, r := range d.records {
		switch {
		case r.role == holder:
			r.drafts[0].SetRelocation(b.rel(b.of[r.node].lba))
			if dr := r.drafts[0]; p.o.Compact && dr.Record.Size() == 0 || b.astray(dr.Record) {
				dr.Record.SetExtent(0, 0)
			}
		case r.node.IsDir():
			extentOf(r.drafts[0], b.of[r.node])
		default:
			p.addressFile(b, r)
		}
	}
	for _, r := range d.all() {
		for i, areas := range r.areas {
			for j, at := range areas {
				r.drafts[i].SetArea(j, b.rel(at.block), at.offset)
			}
		}
	}
}

// addressFile fills in where a file's content is. Files of the base keep the
// addresses of their records unless their content moves.
func (p *planner) addressFile(b *hierarchy, r *record) {
	n := r.node
	if n.Source == nil && !n.Replaced() {
		for _, dr := range r.drafts {
			if to, ok := p.moved[b.origin+int64(dr.Record.LBA())]; ok && dr.Record.Size() > 0 {
				dr.Record.SetExtent(b.rel(to), dr.Record.Size())
			} else if p.o.Compact && dr.Record.Size() == 0 || b.astray(dr.Record) {
				dr.Record.SetExtent(0, 0) // its address means nothing, and may be behind the end
			}
		}
		return
	}
	for i, s := range p.sections(n) {
		r.drafts[i].Record.SetExtent(b.rel(int64(s.LBA)), uint32(s.Size))
	}
}

// astray reports the record of a file or link without content whose address, which means
// nothing, is that of a directory now: libarchive takes that for a loop, and reads no more.
func (b *hierarchy) astray(r iso9660.Record) bool {
	if r.Size() != 0 || r.LBA() == 0 || r.Flags()&iso9660.FlagDirectory != 0 {
		return false
	}
	if b.starts == nil {
		b.starts = map[int64]bool{}
		for _, d := range b.dirs {
			if d.moves() {
				b.starts[d.lba] = true
			}
		}
	}
	return b.starts[b.origin+int64(r.LBA())]
}

// patchAddresses are new addresses, in records of a directory that stays as it is, of
// files whose content moves. Such have one section (see movable).
func (p *planner) patchAddresses(b *hierarchy, d *directory) []extent.Extent {
	var out []extent.Extent
	for _, e := range d.found.Children() {
		record := e.Record()
		if b.astray(record) {
			r := slices.Clone(record)
			r.SetExtent(0, 0)
			out = append(out, extent.BytesOf(b.origin*iso9660.BlockSize+e.Off(), r))
		}
		if len(p.moved) == 0 || record.Size() == 0 || e.IsDir() {
			continue
		}
		if to, ok := p.moved[b.origin+int64(record.LBA())]; ok {
			r := slices.Clone(record)
			r.SetExtent(b.rel(to), r.Size())
			out = append(out, extent.BytesOf(b.origin*iso9660.BlockSize+e.Off(), r))
		}
	}
	return out
}

// areaExtents are the continuation areas of d: its new blocks whole, those that
// stay byte for byte where they are.
func (d *directory) areaExtents() []extent.Extent {
	var out []extent.Extent
	fresh := make([]byte, d.ceBlocks*iso9660.BlockSize)
	for _, r := range d.all() {
		for i, areas := range r.areas {
			for j, at := range areas {
				data := r.drafts[i].Areas[j]
				if k := at.block - d.ceLBA; d.ceBlocks > 0 && k >= 0 && k < d.ceBlocks {
					copy(fresh[k*iso9660.BlockSize+int64(at.offset):], data)
				} else {
					out = append(out, extent.BytesOf(at.block*iso9660.BlockSize+int64(at.offset), data))
				}
			}
		}
	}
	if len(fresh) > 0 {
		out = append(out, extent.BytesOf(d.ceLBA*iso9660.BlockSize, fresh))
	}
	return out
}

// descriptorExtents are the volume descriptors of the result.
func (p *planner) descriptorExtents(r *boot.Relocation) []extent.Extent {
	var out []extent.Extent
	for _, s := range p.sets {
		list := s.img.Descriptors
		block := s.origin + int64(list[0].Block)
		for _, old := range list {
			if s.first() && r.NoCatalog && old.Type() == iso9660.TypeBootRecord {
				continue // those behind it move up
			}
			d := p.descriptor(s, old, r)
			if at, ok := old.BootCatalog(); ok && p.o.Compact && s.first() {
				d = old.Clone()
				if to, ok := p.follow(int64(at)); ok { // else it leads to no catalog, as in the base
					d.SetBootCatalog(iso9660.LBA(to))
				}
			}
			out = append(out, extent.BytesOf(block*iso9660.BlockSize, d.Raw))
			block++
		}
		for ; block <= s.origin+int64(list[len(list)-1].Block); block++ {
			out = append(out, extent.BytesOf(block*iso9660.BlockSize, make([]byte, iso9660.BlockSize)))
		}
	}
	return out
}

// descriptor brings a descriptor in line with the trees and the size of the result.
func (p *planner) descriptor(s set, old *iso9660.Descriptor, r *boot.Relocation) *iso9660.Descriptor {
	b := p.hierarchyOf(s, old)
	if b == nil {
		return old
	}
	d := old.Clone()
	d.SetSpaceSize(p.spaceSize(s, d, r))
	if !p.o.Modified.IsZero() {
		d.SetModified(p.o.Modified)
	}
	for f, text := range p.o.Fields {
		_ = d.SetField(f, text) // fields has tried
	}
	if b.placement != placedSame {
		root := b.dirs[0]
		d.Root().SetExtent(s.rel(root.lba), uint32(root.length()))
		d.Root().ClearXAR()
		t := b.tables
		var at [4]iso9660.LBA
		for i, block := range t.at {
			if block != 0 {
				at[i] = s.rel(block)
			}
		}
		d.SetPathTables(uint32(t.size), at[0], at[1], at[2], at[3])
	}
	if d.MediaCheck() != "" && !p.sealed { // it is that of the base
		copy(d.AppUse(), bytes.Repeat([]byte{' '}, iso9660.AppUseSize))
	}
	return d
}

// spaceSize is the size in blocks that a descriptor states: one that was the end of
// the volume, of the file system or of the image in the base is that again; any
// other keeps its distance to the end of the volume.
func (p *planner) spaceSize(s set, d *iso9660.Descriptor, r *boot.Relocation) uint32 {
	size := int64(d.SpaceSize())
	volume := int64(p.base.Image.Primary().SpaceSize())
	to, ok := r.Follow(s.origin + size)
	switch {
	case s.first() && size == volume:
		to = r.VolumeBlocks
	case !ok:
		to = s.origin + size + r.VolumeBlocks - volume
	}
	return uint32(max(0, to-s.origin))
}

// hierarchyOf returns the hierarchy that hangs from a descriptor of a set, nil
// without one.
func (p *planner) hierarchyOf(s set, d *iso9660.Descriptor) *hierarchy {
	h := iso9660.Primary
	switch {
	case d.Joliet() > 0:
		h = iso9660.Joliet
	case d.Enhanced():
		if s.img.Descriptor(iso9660.Enhanced) != nil {
			h = iso9660.Enhanced
		}
	case d.Type() != iso9660.TypePrimary:
		return nil
	}
	for _, b := range p.trees {
		if b.set == s && b.h == h && (d.Enhanced() || d.Root().LBA() == b.tables.desc.Root().LBA()) {
			return b
		}
	}
	return nil
}

// without cuts what is written, such as a backup GPT that has a new place, out of ranges of
// zeros: in place, those are written last.
func without(zeros, written []extent.Extent) []extent.Extent {
	slices.SortFunc(written, func(a, b extent.Extent) int { return cmp.Compare(a.Off, b.Off) })
	var out []extent.Extent
	for _, z := range zeros {
		at := z.Off
		for _, w := range written {
			if w.End() <= at || w.Off >= z.End() {
				continue
			}
			if w.Off > at {
				out = append(out, extent.ZeroOf(at, w.Off-at))
			}
			at = w.End()
		}
		if at < z.End() {
			out = append(out, extent.ZeroOf(at, z.End()-at))
		}
	}
	return out
}
