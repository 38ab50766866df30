package layout

import (
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Writer is how one more record of the same files is written: its descriptors, directories
// and tables. The planner asks for sizes, gives places and asks for bytes, in this order, and
// knows no word of the format. Blocks are those of the image, of 2048 bytes.
//
// The hierarchies of ISO 9660 are written so where they are laid out afresh; where they can
// stay, package layout patches them in place. A format that package layout does not know is a
// Writer of Base.
type Writer interface {
	// String names it in reports.
	String() string
	// Frees are the ranges, in bytes, that it has in the base and does not need any more, Stays
	// those that it goes on to have, because the format wants them at their places.
	Frees() []extent.Extent
	Stays() []extent.Extent
	// Reach is the first block that it can name: nothing of its own, and no content of a
	// file, can lie in front of that.
	Reach() int64
	// Measure returns the runs that it needs, in blocks, in the order of their addresses.
	Measure() ([]int64, error)
	// Place gives each run its first block.
	Place(at []int64)
	// Emit returns its bytes, which lie in its runs and in what stays. where is the content of a file that is
	// in the result.
	Emit(where func(*tree.Node) []iso9660.Section) ([]extent.Extent, error)
}

// written is a Writer that has its place.
type written struct {
	Writer
	runs      []span
	placement string
}

// lay gives a writer its place: over the free runs, else at the end.
func lay(p *planner, w Writer) (*written, error) {
	sizes, err := w.Measure()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w, err)
	}
	out := &written{Writer: w, placement: placedRelaid}
	at, ok := sequence(sizes, p.pool.free, w.Reach())
	if !ok {
		out.placement, at = placedEnd, nil
		for _, n := range sizes {
			at = append(at, p.pool.append(n, w.Reach(), -1))
		}
	}
	out.runs = runsAt(at, sizes)
	if ok {
		p.pool.free = p.pool.free.minus(union(out.runs))
	}
	w.Place(at)
	return out, nil
}

// layWriters gives those of the base their places.
func layWriters(p *planner) error {
	for _, w := range p.base.Writers {
		x, err := lay(p, w)
		if err != nil {
			return err
		}
		if p.o.Compact {
			x.placement = placedCompact
		}
		p.writers = append(p.writers, x)
	}
	return nil
}

// reach is the first block that content can have, so that every writer can name it.
func (b Base) reach() (first int64) {
	for _, w := range b.Writers {
		first = max(first, w.Reach())
	}
	return first
}

// freed are the blocks of the base that writers give away, stays those that they keep.
func (b Base) freed() (out []span) {
	for _, w := range b.Writers {
		out = append(out, blocksOf(w.Frees())...)
	}
	return out
}

func (b Base) stays() (out []span) {
	for _, w := range b.Writers {
		out = append(out, blocksOf(w.Stays())...)
	}
	return out
}

func blocksOf(list []extent.Extent) (out []span) {
	for _, e := range list {
		out = append(out, span{e.Off / iso9660.BlockSize, iso9660.Blocks(e.End())})
	}
	return out
}

// goesTo is where the content of a file is in the result, also of one that moves.
func goesTo(p *planner, n *tree.Node) []iso9660.Section {
	list := slices.Clone(p.sections(n))
	if n.Source == nil {
		for i, s := range list {
			if to, ok := p.moved[int64(s.LBA)]; ok && s.Size > 0 {
				list[i].LBA = iso9660.LBA(to)
			}
		}
	}
	return list
}

// writerExtents are the bytes of the writers of the base.
func writerExtents(p *planner) (out []extent.Extent, err error) {
	for _, w := range p.writers {
		list, err := w.Emit(func(n *tree.Node) []iso9660.Section { return goesTo(p, n) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w, err)
		}
		r := TreeReport{Hierarchy: w.String(), Placement: w.placement}
		own := union(append(blocksOf(w.Stays()), w.runs...))
		for _, e := range list {
			s := span{e.Off / iso9660.BlockSize, iso9660.Blocks(e.End())}
			if len(spans{s}.minus(own)) > 0 {
				return nil, fmt.Errorf("internal error: %s writes to block %d, which is not its own", w, s.from)
			}
			r.Bytes += e.Len
		}
		p.report.Trees = append(p.report.Trees, r)
		out = append(out, list...)
	}
	return out, nil
}

// afresh writes a hierarchy of ISO 9660 as any Writer: all directories in pre-order, each
// followed by its continuation areas. Tables and descriptors are apart.
type afresh struct {
	p *planner
	b *hierarchy
}

func (w afresh) String() string { return w.b.String() }

// Frees implements Writer: what the base has is found with its names.
func (w afresh) Frees() []extent.Extent { return nil }

// Stays implements Writer.
func (w afresh) Stays() []extent.Extent { return nil }

// Reach implements Writer.
func (w afresh) Reach() int64 { return max(w.b.origin, w.p.rootBefore(w.b)) }

// Measure implements Writer.
func (w afresh) Measure() (sizes []int64, err error) {
	if err := w.b.draftRest(); err != nil {
		return nil, err
	}
	for _, d := range w.b.dirs {
		d.ceBlocks = packAreas(d.allAreas(), 0)
		sizes = append(sizes, d.blocks+d.ceBlocks)
	}
	return sizes, nil
}

// Place implements Writer.
func (w afresh) Place(at []int64) {
	for i, d := range w.b.dirs {
		w.b.put(d, at[i])
	}
}

// Emit implements Writer.
func (w afresh) Emit(func(*tree.Node) []iso9660.Section) ([]extent.Extent, error) {
	return w.p.treeExtents(w.b), nil
}
