package layout

import (
	"github.com/isolayer/isolayer/internal/iso9660"
)

// The ways a hierarchy can be placed, as reports name them.
const (
	placedSame    = "unchanged"
	placedHere    = "in place"
	placedRelaid  = "relaid"
	placedEnd     = "at the end"
	placedCompact = "compact"
)

// roomInFront is how many blocks an appended partition that moves during an edit in
// place leaves free in front of it, for edits to come: 16 MiB.
// See RATIONALE.md, "An appended partition that moves leaves 16 MiB in front of it".
const roomInFront = 16 << 20 / iso9660.BlockSize

// placeTrees gives every directory, continuation area and path table an address.
func (p *planner) placeTrees() error {
	kept := p.own.kept
	var relay []*hierarchy
	for _, b := range p.trees {
		if s, ok := b.staying(kept); ok {
			kept = kept.plus(s)
			b.placement = placedHere
		} else {
			relay = append(relay, b)
		}
	}
	for _, b := range p.trees {
		if s := union(b.shift(tableSpans(b.tables.desc))); b.placement == placedHere && b.tablesFit() && kept.clear(s) && s.end() <= iso9660.Blocks(p.base.Source.Size()) {
			kept = kept.plus(s)
			b.tables.stay = true
		}
	}
	p.pool = pool{free: spans{{0, kept.end()}}.minus(kept).minus(p.own.shared), end: max(kept.end(), p.own.shared.end())}
	busy := kept.plus(p.own.content).plus(p.own.trees).plus(p.own.behind).plus(p.own.shared)
	if p.o.InPlace { // what trees cover is saved before; the end is that of the file
		p.pool.end = busy.end()
		p.pool.free = spans{{0, busy.end()}}.minus(kept).minus(p.own.shared).minus(p.own.behind)
		if t, ok := p.base.Boot.Trailer(); ok {
			p.pool.free = p.pool.free.minus(spans{{t.Off / iso9660.BlockSize, iso9660.Blocks(t.End())}})
		}
	}
	if p.o.AtEnd {
		p.pool = pool{end: max(kept.end(), p.own.shared.end(), p.own.end)}
	}
	for _, b := range p.trees {
		if b.placement == placedHere {
			b.settle(&p.pool)
		}
	}
	for _, b := range relay {
		b, err := p.flatten(b)
		if err != nil {
			return err
		}
		if err := p.relay(b); err != nil {
			return err
		}
	}
	if err := p.followPrimary(); err != nil {
		return err
	}
	for _, b := range p.trees {
		b.placeTables(&p.pool)
	}
	if err := layWriters(p); err != nil {
		return err
	}
	if p.o.InPlace { // content goes to where the base has nothing
		for _, b := range p.trees {
			busy = busy.plus(b.occupied())
		}
		for _, w := range p.writers {
			busy = busy.plus(union(w.runs))
		}
		p.pool = pool{free: spans{{0, busy.end()}}.minus(busy), end: max(busy.end(), p.pool.end)}
	}
	return nil
}

// followPrimary lays trees afresh in front of which the primary one does not lie any more:
// libarchive reads the Joliet tree, without modes, owners and links, if its root comes first.
func (p *planner) followPrimary() error {
	for _, b := range p.trees {
		if from := p.rootBefore(b); b.dirs[0].lba < from {
			if err := p.relay(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// rootBefore is the block that the root of b has to lie behind: that of the primary tree, if
// the base has it so; 0 for any.
func (p *planner) rootBefore(b *hierarchy) int64 {
	for _, x := range p.trees {
		if b.h != iso9660.Primary && x.h == iso9660.Primary && x.set == b.set && x.dirs[0].oldLBA < b.dirs[0].oldLBA {
			return x.dirs[0].lba
		}
	}
	return 0
}

// staying reports whether every directory can stay where it is and, if so,
// which blocks that takes. A directory that outgrew its extent, that hangs under
// a later one, or whose blocks are somebody else's too, cannot: readers want
// children behind their parents.
func (b *hierarchy) staying(kept spans) (spans, bool) {
	var dirs []span
	var sum int64
	deep := b.deep()
	if deep && b.misled() {
		return nil, false
	}
	for _, d := range b.dirs {
		if d.found == nil {
			continue
		}
		if deep && d.home != d && d.node.Moved() && !d.node.Hidden {
			return nil, false // where one is stored and where it is shown have an order
		}
		if d.blocks > d.oldBlocks || d.found.Record().XAR() != 0 {
			return nil, false
		}
		if d.home != d && (d.node.Moved() || d.node.Replaced()) && (d.home.found == nil || d.home.oldLBA > d.oldLBA) {
			return nil, false
		}
		d.lba = d.oldLBA
		dirs = append(dirs, span{d.lba, d.lba + d.blocks})
		sum += d.blocks
	}
	areas, ok := b.stayAreas()
	if !ok {
		return nil, false
	}
	d, a := union(dirs), union(areas)
	if d.blocks() != sum || !kept.clear(d) || !kept.clear(a) || !d.clear(a) {
		return nil, false
	}
	return d.plus(a), true
}

// settle places the new directories of a hierarchy that stays behind their parents.
func (b *hierarchy) settle(p *pool) {
	for _, d := range b.dirs {
		if d.found == nil {
			d.ceBlocks = packAreas(d.allAreas(), 0)
			b.put(d, p.take(d.blocks+d.ceBlocks, d.home.lba+1, -1))
		}
	}
}

// put gives a directory its place, continuation areas directly behind it.
func (b *hierarchy) put(d *directory, at int64) {
	d.lba = at
	if d.ceBlocks > 0 {
		d.ceLBA = at + d.blocks
		packAreas(d.allAreas(), d.ceLBA)
	}
}

// relay places all directories of b afresh, in pre-order, each followed by its
// continuation areas: over the free runs; or with some files moved away; or at
// the end.
// See RATIONALE.md, "Continuation areas lie directly behind their directory".
func (p *planner) relay(b *hierarchy) error {
	w := afresh{p, b}
	if b.h == iso9660.Primary && !p.o.AtEnd && !p.o.Compact {
		sizes, err := w.Measure()
		if err != nil {
			return err
		}
		if _, ok := sequence(sizes, p.pool.free, w.Reach()); !ok {
			if at, ok := p.makeRoom(sizes, sum(sizes)); ok {
				b.placement = placedRelaid
				p.pool.free = p.pool.free.minus(union(runsAt(at, sizes)))
				w.Place(at)
				return nil
			}
		}
	}
	x, err := lay(p, w)
	if err != nil {
		return err
	}
	b.placement = x.placement
	return nil
}

func sum(sizes []int64) (total int64) {
	for _, n := range sizes {
		total += n
	}
	return total
}

// runsAt are the blocks of items by their first blocks.
func runsAt(at, sizes []int64) (out []span) {
	for i, n := range sizes {
		out = append(out, span{at[i], at[i] + n})
	}
	return out
}
