package master

import (
	"encoding/binary"
	"fmt"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// descriptorsAt is the block of the first descriptor (ECMA-119 6.2.1).
const descriptorsAt = 16

// place gives everything its blocks: descriptors, then each hierarchy's path tables and
// directories, parents in front of children and continuation areas directly behind their
// directory, as readers of streams want it, then the content.
func (p *planner) place() error {
	at := int64(0)
	for _, origin := range p.origins {
		at = max(at, origin+descriptorsAt) + int64(p.descriptorCount(origin))
	}
	for _, b := range p.trees {
		for i := range b.tables {
			b.tables[i] = at
			at += iso9660.Blocks(b.tableSize)
		}
		for _, d := range b.dirs {
			d.lba = at
			at += d.size/iso9660.BlockSize + d.ceBlocks
		}
	}
	if p.catalog != nil && p.o.Boot.Catalog == nil {
		p.content.list[p.content.add(p.catalog)].weight = maxWeight + 1
	}
	p.end = p.content.place(at)
	p.locate()
	if p.end > maxBlocks {
		return fmt.Errorf("image of %d blocks: %w", p.end, iso9660.ErrLimit)
	}
	return nil
}

// descriptorCount is how many descriptors a set has, with its terminator.
func (p *planner) descriptorCount(origin int64) int {
	n := 1
	if origin == 0 && p.catalog != nil {
		n++
	}
	for _, b := range p.trees {
		if b.origin == origin {
			n++
		}
	}
	return n
}

// descriptors encodes the sets: primary, boot record, others, terminator.
func (p *planner) descriptors() ([]extent.Extent, error) {
	var out []extent.Extent
	for _, origin := range p.origins {
		at := origin + descriptorsAt
		add := func(raw []byte) {
			out = append(out, extent.BytesOf(at*iso9660.BlockSize, raw))
			at++
		}
		for _, b := range p.trees {
			if b.origin != origin {
				continue
			}
			d, err := iso9660.NewDescriptor(b.h, iso9660.LBA(at), p.o.Texts)
			if err != nil {
				return nil, err
			}
			blocks := p.area.Blocks
			if origin > 0 || b.h != iso9660.Primary {
				blocks = p.area.Part
			}
			d.SetSpaceSize(uint32(blocks - origin))
			d.SetPathTables(uint32(b.tableSize), b.rel(b.tables[0]), 0, b.rel(b.tables[1]), 0)
			root := b.dirs[0]
			d.SetRoot(b.rel(root.lba), uint32(root.size), root.node.ModTime)
			add(d.Raw)
			if b.h == iso9660.Primary && origin == 0 && p.catalog != nil {
				add(iso9660.BootRecord(iso9660.LBA(p.catalogAt)))
			}
		}
		add(iso9660.Terminator())
	}
	return out, nil
}

// encodeTrees encodes the hierarchies, the primary ones last: nodes are let go with the
// last records that name them, which bounds the memory of large trees.
func (p *planner) encodeTrees() [][]extent.Extent {
	out := make([][]extent.Extent, len(p.trees))
	reports := make([]Tree, len(p.trees))
	for i := len(p.trees) - 1; i >= 0; i-- {
		out[i], reports[i] = p.treeExtents(p.trees[i], i == 0)
	}
	p.res.Trees = reports
	return out
}

// treeExtents encodes one hierarchy.
func (p *planner) treeExtents(b *hierarchy, last bool) ([]extent.Extent, Tree) {
	var out []extent.Extent
	list := b.pathTable()
	report := Tree{Hierarchy: b.h.String(), Dirs: len(b.dirs), Records: b.records}
	for i, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		out = append(out, wholeBlocks(b.tables[i], iso9660.PathTable(list, order)))
	}
	for _, d := range b.dirs {
		out = append(out, extent.BytesOf(d.lba*iso9660.BlockSize, p.encode(b, d)))
		d.items, d.ids = nil, nil
		if last {
			d.node.Children = nil
		}
	}
	for _, e := range out {
		report.Bytes += e.Len
	}
	if b.origin > 0 {
		report.Hierarchy += fmt.Sprintf(" from block %d", b.origin)
	}
	return out, report
}

// wholeBlocks is an extent of bytes, filled up with zeros.
func wholeBlocks(at int64, data []byte) extent.Extent {
	out := make([]byte, iso9660.Blocks(int64(len(data)))*iso9660.BlockSize)
	copy(out, data)
	return extent.BytesOf(at*iso9660.BlockSize, out)
}

// locate notes where the catalog and boot images lie. To find content by its source is
// then of no more use, and takes memory.
func (p *planner) locate() {
	if p.catalog != nil {
		p.catalogAt = p.content.list[p.content.of[p.catalog]].lba
	}
	if p.o.Boot != nil {
		for _, e := range p.o.Boot.Entries {
			if e.Node != nil && e.Node.Source != nil {
				p.images[e.Node.Source] = int64(p.content.list[p.content.of[e.Node.Source]].lba)
			}
		}
	}
	p.content.of = nil
}
