package layout

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// bits is a set of blocks the plain way, to judge spans by.
type bits [64]bool

func (b *bits) add(list []span) {
	for _, s := range list {
		for i := s.from; i < s.to; i++ {
			b[i] = true
		}
	}
}

func randomRuns(r *rand.Rand) []span {
	var out []span
	for range r.IntN(8) {
		from := r.Int64N(60)
		out = append(out, span{from, from + r.Int64N(5)})
	}
	return out
}

func bitsOf(s spans) bits {
	var b bits
	b.add(s)
	return b
}

func wellFormed(s spans) bool {
	return slices.IsSortedFunc(s, func(a, b span) int { return int(a.to - b.from + 1) }) && !slices.ContainsFunc(s, func(x span) bool { return x.len() <= 0 })
}

func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		la, lb := randomRuns(r), randomRuns(r)
		var x, y, both, left bits
		x.add(la)
		y.add(lb)
		for i := range x {
			both[i] = x[i] || y[i]
			left[i] = x[i] && !y[i]
		}
		a, b := union(slices.Clone(la)), union(slices.Clone(lb))
		if bitsOf(a) != x || bitsOf(a.plus(b)) != both || bitsOf(a.minus(b)) != left {
			t.Fatalf("%v and %v: union %v, minus %v", la, lb, a.plus(b), a.minus(b))
		}
		if !wellFormed(a) || !wellFormed(a.plus(b)) || !wellFormed(a.minus(b)) {
			t.Fatalf("%v, %v, %v: not sorted and disjoint", a, a.plus(b), a.minus(b))
		}
		probe := span{r.Int64N(60), 0}
		probe.to = probe.from + 1 + r.Int64N(3)
		want := slices.Contains(x[probe.from:probe.to], true)
		if a.overlaps(probe) != want {
			t.Fatalf("%v overlaps %v: %v", a, probe, !want)
		}
	}
}

func TestSequence(t *testing.T) {
	free := spans{{10, 12}, {20, 25}, {30, 31}}
	for _, c := range []struct {
		sizes []int64
		from  int64
		want  []int64
	}{
		{[]int64{1, 1, 5, 1}, 0, []int64{10, 11, 20, 30}},
		{[]int64{3, 1}, 0, []int64{20, 23}},
		{[]int64{2, 2}, 11, []int64{20, 22}},
		{[]int64{6}, 0, nil},
		{[]int64{1, 5, 2}, 0, nil},
		{nil, 0, []int64{}},
	} {
		got, ok := sequence(c.sizes, free, c.from)
		if ok != (c.want != nil) || ok && !slices.Equal(got, c.want) {
			t.Errorf("sequence(%v) from %d = %v, %v; want %v", c.sizes, c.from, got, ok, c.want)
		}
	}
}

func TestPool(t *testing.T) {
	p := pool{free: spans{{10, 12}, {21, 26}}, end: 100}
	for i, c := range []struct{ n, from, parity, want int64 }{
		{1, 0, -1, 10},
		{4, 0, 0, 22},   // 21 is odd
		{3, 0, -1, 100}, // no run of three is left
		{1, 0, -1, 11},
		{1, 50, -1, 103},
		{1, 0, -1, 21},
		{2, 0, 1, 105},
	} {
		if got := p.take(c.n, c.from, c.parity); got != c.want {
			t.Fatalf("take %d: %d blocks from %d, parity %d: got %d, want %d", i, c.n, c.from, c.parity, got, c.want)
		}
	}
}

// TestPoolDisjoint checks that no block is given twice.
func TestPoolDisjoint(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		free := union(randomRuns(r))
		p := pool{free: slices.Clone(free), end: 64}
		var given []span
		for range 20 {
			n, from, parity := 1+r.Int64N(4), r.Int64N(70)*r.Int64N(2), r.Int64N(3)-1
			at := p.take(n, from, parity)
			s := span{at, at + n}
			if at < from || parity >= 0 && at%2 != parity {
				t.Fatalf("got %d for from %d, parity %d", at, from, parity)
			}
			if union(slices.Clone(given)).overlaps(s) {
				t.Fatalf("%v given twice", s)
			}
			if s.from < 64 && len(spans{s}.minus(free)) > 0 {
				t.Fatalf("%v was not free: %v", s, free)
			}
			given = append(given, s)
		}
	}
}

func TestWindow(t *testing.T) {
	var all []candidate
	at := int64(0)
	for _, n := range []int64{5000, 3, 4, 3, 900} {
		all = append(all, candidate{span: span{at, at + n}})
		at += n
	}
	for _, c := range []struct {
		need, limit int64
		from, to    int
	}{
		{7, 10000, 1, 3},      // 3+4 are the fewest; 5000 at the front are too many
		{3, 10000, 1, 2},      //
		{8, 10000, 1, 4},      //
		{5100, 10000, 0, 5},   // the front: at most twice what is needed
		{5100, 5000, -1, 0},   // over the limit
		{20000, 30000, -1, 0}, // not there
	} {
		from, to := window(all, c.need, c.limit)
		if from != c.from || from >= 0 && to != c.to {
			t.Errorf("window(need %d, limit %d) = %d, %d; want %d, %d", c.need, c.limit, from, to, c.from, c.to)
		}
	}
}
