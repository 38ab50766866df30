package layout

import (
	"cmp"
	"slices"
)

// span is a run of blocks, end not included.
type span struct{ from, to int64 }

func (s span) len() int64 { return s.to - s.from }

// spans is a set of blocks: sorted, disjoint, no two adjacent.
type spans []span

// union makes a set of runs in any order, which may overlap.
func union(list []span) spans {
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out spans
	for _, s := range list {
		out = out.then(s)
	}
	return out
}

// then is the set with one run more, which begins at or behind its last.
func (a spans) then(s span) spans {
	switch n := len(a); {
	case s.len() <= 0:
	case n > 0 && s.from <= a[n-1].to:
		a[n-1].to = max(a[n-1].to, s.to)
	default:
		a = append(a, s)
	}
	return a
}

// minus returns the blocks of a that are not in b.
func (a spans) minus(b spans) spans {
	var out spans
	for _, s := range a {
		i, _ := slices.BinarySearchFunc(b, s.from, func(t span, at int64) int { return cmp.Compare(t.to, at+1) })
		for ; i < len(b) && b[i].from < s.to; i++ {
			if b[i].from > s.from {
				out = append(out, span{s.from, b[i].from})
			}
			s.from = max(s.from, b[i].to)
		}
		if s.len() > 0 {
			out = append(out, s)
		}
	}
	return out
}

// plus returns the blocks of both sets.
func (a spans) plus(b spans) spans {
	out := make(spans, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].from <= b[0].from {
			out, a = out.then(a[0]), a[1:]
		} else {
			out, b = out.then(b[0]), b[1:]
		}
	}
	for _, rest := range []spans{a, b} {
		for _, s := range rest {
			out = out.then(s)
		}
	}
	return out
}

// end is the first block behind the set.
func (a spans) end() int64 {
	if len(a) == 0 {
		return 0
	}
	return a[len(a)-1].to
}

// blocks is the size of the set.
func (a spans) blocks() int64 {
	var n int64
	for _, s := range a {
		n += s.len()
	}
	return n
}

// overlaps reports whether any block of s is in the set.
func (a spans) overlaps(s span) bool {
	i, _ := slices.BinarySearchFunc(a, s.from, func(t span, at int64) int { return cmp.Compare(t.to, at+1) })
	return i < len(a) && a[i].from < s.to
}

// clear reports whether the sets have no block in common.
func (a spans) clear(b spans) bool {
	return !slices.ContainsFunc(b, a.overlaps)
}

// sequence places items of the given sizes, in blocks, in ascending order into
// the free runs from block from on, each in one piece. It returns their first
// blocks, or false if they do not fit.
func sequence(sizes []int64, free spans, from int64) ([]int64, bool) {
	out := make([]int64, 0, len(sizes))
	i, at := 0, from
	for _, n := range sizes {
		for i < len(free) && max(at, free[i].from)+n > free[i].to {
			i++
		}
		if i == len(free) {
			return nil, false
		}
		at = max(at, free[i].from)
		out = append(out, at)
		at += n
	}
	return out, true
}

// pool is the space for new data: free runs inside the image and everything
// from end on.
type pool struct {
	free spans
	end  int64
	// failed is the smallest size that found no run at or behind failedFrom;
	// larger ones need not look there.
	failed, failedFrom int64
}

// take returns n blocks at or behind block from: the first run that holds them,
// else the end. The block has the given parity if that is not negative.
func (p *pool) take(n, from, parity int64) int64 {
	if p.failed == 0 || n < p.failed || from < p.failedFrom {
		for i, s := range p.free {
			at := aligned(max(s.from, from), parity)
			if at+n <= s.to {
				p.cut(i, span{at, at + n})
				return at
			}
		}
		if p.failed == 0 || from <= p.failedFrom {
			p.failed, p.failedFrom = n, from
		}
	}
	return p.append(n, from, parity)
}

// append returns n blocks at the end.
func (p *pool) append(n, from, parity int64) int64 {
	at := aligned(max(p.end, from), parity)
	p.end = at + n
	return at
}

func aligned(at, parity int64) int64 {
	if parity >= 0 && at%2 != parity {
		return at + 1
	}
	return at
}

// cut takes used out of run i.
func (p *pool) cut(i int, used span) {
	s := p.free[i]
	var rest spans
	for _, r := range []span{{s.from, used.from}, {used.to, s.to}} {
		if r.len() > 0 {
			rest = append(rest, r)
		}
	}
	p.free = slices.Replace(p.free, i, i+1, rest...)
}
