package layout

import (
	"cmp"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// maxEvict bounds how many bytes of untouched files move to make room for trees
// of n bytes.
func maxEvict(n int64) int64 { return max(8<<20, 2*n) }

// candidate is content of untouched files that may make room for a tree.
type candidate struct {
	span
	nodes []*tree.Node
}

// candidates lists the content that may move, by address: of one section, shared
// only as a whole, and of no boot equipment.
func (p *planner) candidates() []candidate {
	if len(p.own.shared) > 0 {
		return nil // another file system names it too
	}
	at := map[span][]*tree.Node{}
	count := map[int64]int{}
	var content []iso9660.Section
	for n := range nodes(p.tree.Root) {
		if n.IsDir() || n.Source != nil || n.Replaced() {
			continue
		}
		content = n.AppendContent(content[:0])
		for _, s := range content {
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
			if e != nil && (len(e.Raws()) != 1 || e.Record().XAR() != 0) {
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
// See RATIONALE.md, "The front of the image makes room, if it is cheap".
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
		if b.h != iso9660.Primary || !b.first() {
			continue
		}
		for _, d := range b.dirs {
			for _, r := range d.records { // of a directory that stays as it is, records are in order
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
	for _, s := range r.node.Content() {
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
