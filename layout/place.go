package layout

import (
	"cmp"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// The ways a hierarchy can be placed, as reports name them.
const (
	placedSame   = "unchanged"
	placedHere   = "in place"
	placedRelaid = "relaid"
	placedEnd    = "at the end"
)

// maxEvict bounds how many bytes of untouched files move to make room for trees
// of n bytes.
func maxEvict(n int64) int64 { return max(8<<20, 2*n) }

// planner carries the state of one Plan.
type planner struct {
	base  Base
	tree  *tree.Tree
	o     Options
	own   *owners
	trees []*hierarchy
	pool  pool

	moved  map[int64]int64         // first block of content that moves → where to
	after  map[int64]int64         // … it must lie at or behind this block
	placed map[extent.Source]int64 // first block of new content
	floor  map[extent.Source]int64 // … it must lie at or behind this block
	free   map[int64]bool          // content that may move, by first block; made by mayMove
	report Report
}

// placeTrees gives every directory, continuation area and path table an address.
func (p *planner) placeTrees() {
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
		if s := union(tableSpans(b.tables.desc)); b.placement == placedHere && b.tablesFit() && kept.clear(s) {
			kept = kept.plus(s)
			b.tables.stay = true
		}
	}
	p.pool = pool{free: spans{{0, kept.end()}}.minus(kept), end: kept.end()}
	if p.o.AtEnd {
		p.pool = pool{end: max(kept.end(), p.own.end)}
	}
	for _, b := range p.trees {
		if b.placement == placedHere {
			b.settle(&p.pool)
		}
	}
	for _, b := range relay {
		p.relay(b)
	}
	for _, b := range p.trees {
		b.placeTables(&p.pool)
	}
}

// staying reports whether every directory can stay where it is and, if so,
// which blocks that takes. A directory that outgrew its extent, that hangs under
// a later one, or whose blocks are somebody else's too, cannot: readers want
// children behind their parents.
func (b *hierarchy) staying(kept spans) (spans, bool) {
	var dirs []span
	var sum int64
	for _, d := range b.dirs {
		if d.found == nil {
			continue
		}
		if d.blocks > d.oldBlocks || d.found.Raws[0].Record.XAR() != 0 {
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

// keepsAreas reports whether the continuation areas can stay as and where they
// are found, each inside one block.
func (r *record) keepsAreas() bool {
	if len(r.raws) != len(r.drafts) {
		return false
	}
	for i, raw := range r.raws {
		if len(raw.Areas) != len(r.drafts[i].Areas) {
			return false
		}
		for j, a := range raw.Areas {
			if len(a.Data) != len(r.drafts[i].Areas[j]) || a.Off/iso9660.BlockSize != (a.Off+int64(len(a.Data))-1)/iso9660.BlockSize {
				return false
			}
		}
	}
	return true
}

// stayAreas places the continuation areas of directories that stay: those of the
// base where they are, new ones behind them in the same block. It returns their
// blocks, and whether there is room. libarchive, once it has met an area that
// does not lie directly behind its directory, reads none of the later ones: such
// a hierarchy cannot take new areas.
func (b *hierarchy) stayAreas() ([]span, bool) {
	slack := b.slack()
	orderly, fresh := true, false
	var bytes []span // as found
	for _, d := range b.dirs {
		var list []areaRef
		var own []int64
		for _, r := range d.all() {
			if !r.keepsAreas() {
				list = append(list, r.refs()...)
				continue
			}
			r.areas = make([][]areaPos, len(r.drafts))
			for i, raw := range r.raws {
				for _, a := range raw.Areas {
					at := areaPos{a.Off / iso9660.BlockSize, int(a.Off % iso9660.BlockSize)}
					r.areas[i] = append(r.areas[i], at)
					own = append(own, at.block)
					bytes = append(bytes, span{a.Off, a.Off + int64(len(a.Data))})
				}
			}
		}
		fresh = fresh || len(list) > 0
		if d.found == nil {
			continue
		}
		slices.Sort(own)
		own = slices.Compact(own)
		for i, block := range own {
			orderly = orderly && block == d.oldLBA+d.oldBlocks+int64(i)
		}
		if len(useSlack(list, own, slack)) > 0 {
			return nil, false
		}
	}
	var sum int64
	var blocks []span
	for _, s := range bytes {
		sum += s.len()
		blocks = append(blocks, span{s.from / iso9660.BlockSize, iso9660.Blocks(s.to)})
	}
	return blocks, (orderly || !fresh) && union(bytes).blocks() == sum
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

// areaRef is one continuation area of one record.
type areaRef struct {
	r    *record
	i, j int // draft, area
}

func (r *record) refs() []areaRef {
	var out []areaRef
	r.areas = make([][]areaPos, len(r.drafts))
	for i, d := range r.drafts {
		r.areas[i] = make([]areaPos, len(d.Areas))
		for j := range d.Areas {
			out = append(out, areaRef{r, i, j})
		}
	}
	return out
}

func (a areaRef) size() int { return len(a.r.drafts[a.i].Areas[a.j]) }

// slack tells, for each block with continuation areas of the base, where the
// last of them ends.
func (b *hierarchy) slack() map[int64]int {
	out := map[int64]int{}
	for e := range physical(b.base) {
		raws := e.Raws
		if e.IsDir() {
			for _, raw := range []*iso9660.Raw{e.Self, e.Up} {
				if raw != nil {
					raws = append(raws[:len(raws):len(raws)], *raw)
				}
			}
		}
		for _, raw := range raws {
			for _, a := range raw.Areas {
				block := (a.Off + int64(len(a.Data)) - 1) / iso9660.BlockSize
				out[block] = max(out[block], int(a.Off+int64(len(a.Data))-block*iso9660.BlockSize))
			}
		}
	}
	return out
}

// useSlack places areas behind those that a directory's own blocks hold already,
// and returns the ones that found no room.
func useSlack(list []areaRef, own []int64, slack map[int64]int) []areaRef {
	var rest []areaRef
next:
	for _, a := range list {
		for _, block := range own {
			if slack[block]+a.size() <= iso9660.BlockSize {
				a.r.areas[a.i][a.j] = areaPos{block, slack[block]}
				slack[block] += a.size()
				continue next
			}
		}
		rest = append(rest, a)
	}
	return rest
}

// packAreas lays areas behind each other from block at on, none across a block,
// and returns how many blocks they take.
func packAreas(list []areaRef, at int64) int64 {
	block, used := int64(0), 0
	for _, a := range list {
		if used+a.size() > iso9660.BlockSize {
			block, used = block+1, 0
		}
		a.r.areas[a.i][a.j] = areaPos{at + block, used}
		used += a.size()
	}
	if used > 0 {
		block++
	}
	return block
}

// allAreas lists the continuation areas of all records of d.
func (d *directory) allAreas() []areaRef {
	var out []areaRef
	for _, r := range d.all() {
		out = append(out, r.refs()...)
	}
	return out
}

// relay places all directories of b afresh, in pre-order, each followed by its
// continuation areas: over the free runs; or with some files moved away; or at
// the end.
func (p *planner) relay(b *hierarchy) {
	var sizes []int64
	var total int64
	for _, d := range b.dirs {
		d.ceBlocks = packAreas(d.allAreas(), 0)
		sizes = append(sizes, d.blocks+d.ceBlocks)
		total += d.blocks + d.ceBlocks
	}
	b.placement = placedRelaid
	at, ok := sequence(sizes, p.pool.free, 0)
	if !ok && b.h == iso9660.Primary && !p.o.AtEnd {
		at, ok = p.makeRoom(sizes, total)
	}
	if !ok {
		b.placement = placedEnd
		at = nil
		for _, n := range sizes {
			at = append(at, p.pool.append(n, 0, -1))
		}
	} else {
		var used []span
		for i, n := range sizes {
			used = append(used, span{at[i], at[i] + n})
		}
		p.pool.free = p.pool.free.minus(union(used))
	}
	for i, d := range b.dirs {
		b.put(d, at[i])
	}
}

// candidate is content of untouched files that may make room for a tree.
type candidate struct {
	span
	nodes []*tree.Node
}

// candidates lists the content that may move, by address: of one section, shared
// only as a whole, and of no boot equipment.
func (p *planner) candidates() []candidate {
	at := map[span][]*tree.Node{}
	count := map[int64]int{}
	for n := range nodes(p.tree.Root) {
		if n.IsDir() || n.Source != nil || n.Replaced() {
			continue
		}
		for _, s := range n.Content {
			r := span{int64(s.LBA), int64(s.LBA) + iso9660.Blocks(s.Size)}
			if at[r] == nil {
				count[r.from]++
			}
			at[r] = append(at[r], n)
		}
	}
	var all []candidate
	for s, ns := range at {
		all = append(all, candidate{s, ns})
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var out []candidate
	end := int64(0)
	for i, c := range all {
		alone := c.from >= end && (i+1 == len(all) || all[i+1].from >= c.to)
		end = max(end, c.to)
		if alone && count[c.from] == 1 && !p.own.boot.overlaps(c.span) && !p.own.trees.overlaps(c.span) && movable(c.nodes) {
			out = append(out, c)
		}
	}
	return out
}

// movable reports whether records that name content can follow it elsewhere.
func movable(ns []*tree.Node) bool {
	for _, n := range ns {
		for _, e := range n.Found {
			if e != nil && (len(e.Raws) != 1 || e.Raws[0].Record.XAR() != 0) {
				return false
			}
		}
	}
	return true
}

// mayMove reports whether the content at a block is a candidate.
func (p *planner) mayMove(at int64) bool {
	if p.free == nil {
		p.free = map[int64]bool{}
		for _, c := range p.candidates() {
			p.free[c.from] = true
		}
	}
	return p.free[at]
}

// makeRoom finds a run of neighbouring files whose blocks, with the free ones,
// hold items of the given sizes, and moves those files away: the first files of
// the image if they are small, so that trees stay in front of content, else the
// cheapest.
func (p *planner) makeRoom(sizes []int64, total int64) ([]int64, bool) {
	all := p.candidates()
	have := p.pool.free.blocks()
	// How much more room is needed is not known exactly, since runs are left with
	// rests that no item fits into: try with more and more.
	for need := max(1, total-have); need <= 2*total+64; need += max(1, need/2) {
		from, to := window(all, need, maxEvict(total*iso9660.BlockSize)/iso9660.BlockSize)
		if from < 0 {
			return nil, false
		}
		var freed []span
		for _, c := range all[from:to] {
			freed = append(freed, c.span)
		}
		free := p.pool.free.plus(union(freed))
		if at, ok := sequence(sizes, free, 0); ok {
			p.pool.free = free
			for _, c := range all[from:to] {
				p.moved[c.from] = -1
			}
			return at, true
		}
	}
	return nil, false
}

// cheapFront is how many bytes of files at the front may move where fewer further
// behind would do.
const cheapFront = 1 << 20

// window returns the candidates, as a range of indices, that hold at least need
// blocks and not more than limit: the first ones if that is cheap, else those
// with the fewest blocks; -1 without any.
func window(all []candidate, need, limit int64) (from, to int) {
	sum := int64(0)
	for i, c := range all {
		if sum += c.len(); sum >= need {
			if sum <= min(limit, max(cheapFront/iso9660.BlockSize, 2*need)) {
				return 0, i + 1
			}
			break
		}
	}
	best, start := limit+1, 0
	from, sum = -1, 0
	for i, c := range all {
		for sum += c.len(); sum-all[start].len() >= need; start++ {
			sum -= all[start].len()
		}
		if sum >= need && sum < best {
			best, from, to = sum, start, i+1
		}
	}
	return from, to
}

// orderContent sees to it that the content of files with continuation areas
// lies behind those, as libarchive wants it.
func (p *planner) orderContent() {
	for _, b := range p.trees {
		if b.h != iso9660.Primary {
			continue
		}
		for _, d := range b.dirs {
			for _, r := range d.records {
				p.orderRecord(b, r)
			}
		}
	}
}

func (p *planner) orderRecord(b *hierarchy, r *record) {
	last := int64(-1)
	for _, areas := range r.areas {
		for _, a := range areas {
			last = max(last, a.block)
		}
	}
	if last < 0 || !r.node.IsRegular() {
		return
	}
	if r.node.Source != nil {
		p.floor[r.node.Source] = max(p.floor[r.node.Source], last+1)
		return
	}
	if b.placement == placedHere && r.keepsAreas() {
		return // as it was in the base
	}
	for _, s := range r.node.Content {
		at := int64(s.LBA)
		p.after[at] = max(p.after[at], last+1)
		if at > last {
			continue
		}
		if !p.mayMove(at) {
			p.report.Warnings = append(p.report.Warnings, r.node.Path()+": its name is so long that some readers will not find its content")
			continue
		}
		if _, ok := p.moved[at]; !ok {
			p.moved[at] = -1
		}
	}
}
