package layout

import (
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// run is content of the base that moves as a whole: neighbours stay neighbours, what
// shares blocks goes on to share them.
type run struct {
	span
	to int64
}

// compactable refuses what cannot be written afresh.
func (p *planner) compactable() error {
	switch {
	case p.o.InPlace:
		return fmt.Errorf("%w: a compact image is a new one", ErrUnsupported)
	case p.base.Boot.Shared():
		return fmt.Errorf("%w: the image is an HFS file system too, whose directories name the blocks of its files", ErrUnsupported)
	}
	for _, o := range p.base.Boot.Objects() {
		if o.Off%iso9660.BlockSize != 0 && !o.Appended {
			return fmt.Errorf("%w: %s does not begin with a block", ErrUnsupported, o.Name)
		}
	}
	return nil
}

// placeCompact lays everything out afresh: trees behind the descriptors, then the
// content in the order of the base, then what is new. Blocks that nobody owns are left
// out.
// See RATIONALE.md, "Compact moves runs, not files".
func (p *planner) placeCompact() error {
	var content []span
	fixed := p.base.stays()
	for _, s := range p.sets {
		fixed = append(fixed, s.fixed())
	}
	p.own.kept = union(fixed)
	if n := p.own.nobody.minus(p.own.kept).blocks(); n > 0 {
		p.report.Notes = append(p.report.Notes, fmt.Sprintf("left out: %d bytes of data that no directory and no table names", n*iso9660.BlockSize))
	}
	p.pool = pool{end: p.own.kept.end()}
	for _, b := range p.trees {
		if err := p.relay(b); err != nil {
			return err
		}
		b.placement = placedCompact
		b.placeTables(&p.pool)
	}
	if err := layWriters(p); err != nil {
		return err
	}
	p.pool.end = max(p.pool.end, p.base.reach())
	starts := map[int64]bool{}
	for n := range nodes(p.tree.Root) {
		if n.IsDir() || n.Source != nil || n.Replaced() {
			continue
		}
		for _, e := range n.Found {
			if e == nil {
				continue
			}
			content = set{}.content(content, e)
			for r := range e.Records() {
				starts[int64(r.LBA())] = r.Size() > 0 || starts[int64(r.LBA())]
			}
		}
	}
	for _, o := range p.movingObjects() {
		content = append(content, span{o.Off / iso9660.BlockSize, iso9660.Blocks(o.End())})
		starts[o.Off/iso9660.BlockSize] = true
	}
	for _, s := range union(content) {
		to := p.pool.append(s.len(), 0, parity(s.len()*iso9660.BlockSize, s.from*iso9660.BlockSize))
		p.runs = append(p.runs, run{s, to})
	}
	for at, used := range starts {
		if used {
			p.moved[at] = p.movedTo(at)
		}
	}
	behind := p.pool.end
	p.placeObjects(behind)
	return p.tree.Walk(func(n *tree.Node) error { return p.placeNew(n, behind) })
}

// movingObjects are the parts of the boot equipment that lie inside the file system and
// keep their content.
func (p *planner) movingObjects() []*boot.Object {
	var out []*boot.Object
	for _, o := range p.base.Boot.Objects() {
		if !o.Appended && p.replaced[o] == nil && !p.dropped[o] {
			out = append(out, o)
		}
	}
	return out
}

// movedTo is where a block of the base's content goes.
func (p *planner) movedTo(at int64) int64 {
	to, ok := p.follow(at)
	if !ok {
		panic(fmt.Sprintf("internal error: block %d is in no run", at))
	}
	return to
}

// follow is where a block of the base goes, false if it is no content of it.
func (p *planner) follow(at int64) (int64, bool) {
	i, _ := slices.BinarySearchFunc(p.runs, at, func(r run, at int64) int {
		switch {
		case r.span.to <= at:
			return -1
		case r.from > at:
			return 1
		}
		return 0
	})
	if i == len(p.runs) || p.runs[i].from > at {
		return 0, false
	}
	return p.runs[i].to + at - p.runs[i].from, true
}

// runExtents are the copies of the base's content.
func (p *planner) runExtents() []extent.Extent {
	var out []extent.Extent
	for _, r := range p.runs {
		off := r.from * iso9660.BlockSize
		n := min(r.len()*iso9660.BlockSize, p.base.Source.Size()-off)
		out = append(out, extent.CopyOf(r.to*iso9660.BlockSize, p.base.Source, off, n))
	}
	return out
}

// underlay is what a compact image has where nothing else is laid over it: the system
// area of the base, the backup GPT if that does not move, and zeros.
func (p *planner) underlay(fit *boot.Relocation) (*extent.Map, error) {
	area := int64(16 * iso9660.BlockSize)
	list := []extent.Extent{extent.CopyOf(0, p.base.Source, 0, area)}
	end := area
	if t, ok := p.base.Boot.Trailer(); ok && !fit.TrailerMoves && t.End() <= fit.Size {
		list = append(list, extent.ZeroOf(end, t.Off-end), extent.CopyOf(t.Off, p.base.Source, t.Off, t.Len))
		end = t.End()
	}
	if end < fit.Size {
		list = append(list, extent.ZeroOf(end, fit.Size-end))
	}
	return extent.New(list)
}
