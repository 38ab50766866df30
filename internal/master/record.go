package master

import (
	"iter"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// draft makes the record of one section of an item; addresses are zero.
func (p *planner) draft(b *hierarchy, it item, id []byte, more bool, serial uint32) *iso9660.Draft {
	flags := byte(0)
	n := it.node
	if n.IsDir() && it.kind != holder {
		flags = iso9660.FlagDirectory
	}
	if more {
		flags |= iso9660.FlagMultiExtent
	}
	if p.o.Marked[n] {
		flags |= iso9660.FlagHidden
	}
	var entries []iso9660.SystemUseEntry
	if b.rock != nil {
		entries = b.rock.Entries(p.o.Output.recorded(n.Name), p.stat(b, it, serial))
		switch it.kind {
		case holder:
			entries = append(entries, iso9660.ChildLink())
		case guest, storage:
			entries = append(entries, iso9660.Relocated())
		}
		entries = append(entries, p.o.Extra[n]...)
	}
	return iso9660.NewDraft(id, flags, n.ModTime, entries)
}

// self makes the record of "." and up that of "..".
func (p *planner) self(b *hierarchy, d *directory) *iso9660.Draft {
	var entries []iso9660.SystemUseEntry
	if b.rock != nil {
		entries = b.rock.Entries("", p.stat(b, item{node: d.node, content: -1}, 0))
		if d.parent == d {
			entries = b.rock.RootEntries(entries)
		}
		entries = append(entries, p.o.Extra[d.node]...)
	}
	return iso9660.NewDraft([]byte{0}, iso9660.FlagDirectory, d.node.ModTime, entries)
}

func (p *planner) up(b *hierarchy, d *directory) *iso9660.Draft {
	var entries []iso9660.SystemUseEntry
	if b.rock != nil {
		entries = b.rock.Entries("", p.stat(b, item{node: d.parent.node, content: -1}, 0))
		if d.logical != nil {
			entries = append(entries, iso9660.ParentLink())
		}
	}
	return iso9660.NewDraft([]byte{1}, iso9660.FlagDirectory, d.parent.node.ModTime, entries)
}

// stat is what Rock Ridge says of a node. File serial numbers are those of contents and
// directories; serial is that of another node.
func (p *planner) stat(b *hierarchy, it item, serial uint32) iso9660.Stat {
	n := it.node
	s := iso9660.Stat{
		Mode: n.Mode, Nlink: 1, UID: n.UID, GID: n.GID, Serial: serial,
		Major: n.Major, Minor: n.Minor, Time: n.ModTime, Link: p.o.Output.recorded(n.Link),
	}
	if d := b.of[n]; d != nil {
		s.Nlink, s.Serial = d.links, d.serial
	}
	if it.content >= 0 {
		s.Nlink, s.Serial = p.content.list[it.content].names, uint32(it.content)+1
	}
	return s
}

// number gives directories, and room behind each for its links and devices, file serial
// numbers behind those of contents (RRIP 1.12, 4.1.1).
func (p *planner) number(b *hierarchy) {
	next := uint32(len(p.content.list)) + 1
	for _, d := range b.dirs {
		d.serial = next
		next += uint32(len(d.items)) + 1
	}
}

// drafts yields the records of a directory in order, with the item and the number of the
// section, for "." and ".." a zero item.
func (p *planner) drafts(b *hierarchy, d *directory) iter.Seq2[*iso9660.Draft, step] {
	return func(yield func(*iso9660.Draft, step) bool) {
		if !yield(p.self(b, d), step{what: self}) || !yield(p.up(b, d), step{what: up}) {
			return
		}
		serial := d.serial
		for it, id := range d.all {
			parts := 1
			if it.node.IsRegular() {
				parts = iso9660.SectionCount(it.node.Size())
			}
			serial++
			for i := range parts {
				if !yield(p.draft(b, it, id, i < parts-1, serial), step{child, it, i}) {
					return
				}
			}
		}
	}
}

// step says which record of a directory a draft is.
type step struct {
	what    int
	item    item
	section int
}

const (
	self = iota
	up
	child
)

// measure finds how many blocks a directory and its continuation areas take.
func (p *planner) measure(b *hierarchy, d *directory) {
	var areas areaPacker
	blocks := iso9660.DirectoryBlocks(func(yield func(int) bool) {
		for dr := range p.drafts(b, d) {
			for _, a := range dr.Areas {
				areas.take(len(a))
			}
			b.records++
			if !yield(len(dr.Record)) {
				return
			}
		}
	})
	d.size = blocks * iso9660.BlockSize
	d.ceBlocks = areas.blocks()
}

// areaPacker lays continuation areas behind each other, none across a block.
type areaPacker struct {
	block int64
	used  int
}

// take returns the block and the offset in it for n bytes.
func (a *areaPacker) take(n int) (block int64, off int) {
	if a.used+n > iso9660.BlockSize {
		a.block, a.used = a.block+1, 0
	}
	off = a.used
	a.used += n
	return a.block, off
}

func (a *areaPacker) blocks() int64 {
	if a.used == 0 {
		return 0
	}
	return a.block + 1
}

// encode writes a directory with its continuation areas, whole blocks.
func (p *planner) encode(b *hierarchy, d *directory) []byte {
	out := make([]byte, d.size+d.ceBlocks*iso9660.BlockSize)
	records, areas := out[:d.size], out[d.size:]
	var packer areaPacker
	at := 0
	for dr, s := range p.drafts(b, d) {
		p.address(b, d, dr, s)
		places := make([]int64, len(dr.Areas))
		for i, a := range dr.Areas {
			block, off := packer.take(len(a))
			places[i] = block*iso9660.BlockSize + int64(off)
			dr.SetArea(i, b.rel(d.lba+d.size/iso9660.BlockSize+block), off)
		}
		for i, a := range dr.Areas { // an area may hold the address of the next
			copy(areas[places[i]:], a)
		}
		if left := iso9660.BlockSize - at%iso9660.BlockSize; len(dr.Record) > left {
			at += left
		}
		at += copy(records[at:], dr.Record)
	}
	return out
}

// address fills in where what a record names lies.
func (p *planner) address(b *hierarchy, d *directory, dr *iso9660.Draft, s step) {
	to := func(d *directory) { dr.Record.SetExtent(b.rel(d.lba), uint32(d.size)) }
	switch {
	case s.what == self:
		to(d)
	case s.what == up:
		to(d.parent)
		if d.logical != nil {
			dr.SetRelocation(b.rel(d.logical.lba))
		}
	case s.item.kind == holder:
		dr.SetRelocation(b.rel(b.of[s.item.node].lba))
	case s.item.node.IsDir():
		to(b.of[s.item.node])
	case s.item.content >= 0:
		x := p.content.list[s.item.content]
		if list := iso9660.SplitSections(iso9660.LBA(x.lba), x.src.Size()); len(list) > 0 {
			dr.Record.SetExtent(b.rel(int64(list[s.section].LBA)), uint32(list[s.section].Size))
		}
	}
}
