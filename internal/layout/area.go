package layout

import (
	"iter"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
)

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
	var slack map[int64]int
	orderly, fresh := true, false
	var bytes []span // as found
	for _, d := range b.dirs {
		var list []areaRef
		var own []int64
		keep := func(a iso9660.Area) areaPos {
			off := a.Off + b.origin*iso9660.BlockSize
			at := areaPos{off / iso9660.BlockSize, int(off % iso9660.BlockSize)}
			own = append(own, at.block)
			bytes = append(bytes, span{off, off + int64(len(a.Data))})
			return at
		}
		if d.as {
			for raw := range recordsOf(d.found) {
				for _, a := range raw.Areas {
					keep(a)
				}
			}
		}
		for _, r := range d.all() {
			if d.as {
				break
			}
			if !r.keepsAreas() {
				list = append(list, r.refs()...)
				continue
			}
			r.areas = make([][]areaPos, len(r.drafts))
			for i, raw := range r.raws {
				for _, a := range raw.Areas {
					r.areas[i] = append(r.areas[i], keep(a))
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
		if len(list) > 0 && slack == nil {
			slack = b.slack()
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

// recordsOf yields the records of a directory of the base, "." and ".." first.
func recordsOf(e *iso9660.Entry) iter.Seq[iso9660.Raw] {
	return func(yield func(iso9660.Raw) bool) {
		for _, raw := range []*iso9660.Raw{e.Self(), e.Up()} {
			if raw != nil && !yield(*raw) {
				return
			}
		}
		for _, c := range e.Children() {
			for raw := range c.Sequence() {
				if !yield(raw) {
					return
				}
			}
		}
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

// slack says, for each block with continuation areas of the base, where the
// last of them ends.
func (b *hierarchy) slack() map[int64]int {
	out := map[int64]int{}
	for e := range physical(b.base) {
		for raw := range recordsOf(e) {
			for _, a := range raw.Areas {
				end := b.origin*iso9660.BlockSize + a.Off + int64(len(a.Data))
				block := (end - 1) / iso9660.BlockSize
				out[block] = max(out[block], int(end-block*iso9660.BlockSize))
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
