package layout

import (
	"cmp"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// shareSize is from which size on content is placed so that its file system
// blocks can be shared with the source: 4 KiB blocks of both must line up.
const shareSize = 64 << 10

// parity is the parity of the block that content from offset off of its source
// should begin at, -1 for any.
func parity(size, off int64) int64 {
	if size < shareSize {
		return -1
	}
	return off / iso9660.BlockSize % 2
}

// placeContent gives new content, and content that moves, its place: the first
// free run behind the tree that is large enough, else the end. Behind the tree,
// because readers of a pipe have passed what lies in front of it.
func (p *planner) placeContent() {
	behind := max(p.treeEnd(), p.base.reach())
	for _, c := range p.leaving() {
		size := c.len() * iso9660.BlockSize
		to := p.take(c.len(), max(behind, p.after[c.from]), parity(size, c.from*iso9660.BlockSize))
		p.moved[c.from] = to
		for _, n := range c.nodes {
			p.report.Moved = append(p.report.Moved, Move{n.Path(), c.from, to, n.Size()})
		}
	}
	slices.SortFunc(p.report.Moved, func(a, b Move) int { return cmp.Compare(a.Path, b.Path) })
	p.placeObjects(behind)
	// In tree order: files of one directory lie together.
	_ = p.tree.Walk(func(n *tree.Node) error { return p.placeNew(n, behind) }) // never fails
}

// placeNew gives the new content of a node its place.
func (p *planner) placeNew(n *tree.Node, behind int64) error {
	if n.Source == nil || n.Size() == 0 {
		return nil
	}
	if _, ok := p.placed[n.Source]; !ok {
		p.placed[n.Source] = p.take(iso9660.Blocks(n.Size()), max(behind, p.floor[n.Source]), parity(n.Size(), 0))
		p.report.Content += n.Size()
	}
	return nil
}

// treeEnd is the first block behind the directories that readers prefer.
func (p *planner) treeEnd() int64 {
	end := int64(0)
	for _, b := range p.trees {
		if b.h != iso9660.Primary && p.tree.RockRidge {
			continue
		}
		for _, d := range b.dirs {
			end = max(end, d.lba+d.blocks, d.ceLBA+d.ceBlocks)
		}
	}
	return end
}

func (p *planner) take(n, from, parity int64) int64 {
	if p.o.AtEnd {
		return p.pool.append(n, from, parity)
	}
	return p.pool.take(n, from, parity)
}

// leaving lists the content that moves, by its old address.
func (p *planner) leaving() []candidate {
	if len(p.moved) == 0 || p.o.Compact { // runs are the content of a compact image
		return nil
	}
	return slices.DeleteFunc(p.candidates(), func(c candidate) bool {
		_, ok := p.moved[c.from]
		return !ok
	})
}

// sections returns where the content of a node is in the result.
func (p *planner) sections(n *tree.Node) []iso9660.Section {
	if n.Source != nil {
		return iso9660.SplitSections(iso9660.LBA(p.placed[n.Source]), n.Size())
	}
	return n.Content()
}

// contentExtents are the copies of new and moved content, with zeros up to the
// end of the last block of each.
func (p *planner) contentExtents() []extent.Extent {
	var out []extent.Extent
	add := func(at, n int64, src extent.Source, from int64) {
		off := at * iso9660.BlockSize
		if from == 0 {
			out = append(out, extent.Into(off, src, n)...)
		} else {
			out = append(out, extent.CopyOf(off, src, from, n))
		}
		if rest := -n & (iso9660.BlockSize - 1); rest > 0 {
			out = append(out, extent.ZeroOf(off+n, rest))
		}
	}
	for src, at := range p.placed {
		add(at, src.Size(), src, 0)
	}
	for _, c := range p.leaving() {
		add(p.moved[c.from], c.nodes[0].Size(), p.base.Source, c.from*iso9660.BlockSize)
	}
	slices.SortFunc(out, func(a, b extent.Extent) int { return cmp.Compare(a.Off, b.Off) })
	return out
}
