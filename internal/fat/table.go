package fat

import (
	"encoding/binary"
	"iter"
)

// firstCluster is the number of the first cluster; the two entries before it
// hold the media byte and flags.
const firstCluster = 2

// What table entries say besides the next cluster, as FAT32 has it.
const (
	entryFree uint32 = 0
	entryBad  uint32 = 0x0ffffff7
	entryLast uint32 = 0x0ffffff8 // this and above: the chain ends
	entryEnd  uint32 = 0x0fffffff // what we write for that
)

// table is a file allocation table over its bytes.
type table struct {
	raw []byte
	typ Type
}

// get returns the entry of a cluster; the special values of FAT12 and FAT16
// become those of FAT32.
func (t table) get(c uint32) uint32 {
	switch t.typ {
	case FAT12:
		v := uint32(binary.LittleEndian.Uint16(t.raw[c+c/2:])) >> (c % 2 * 4) & 0xfff
		if v >= 0xff7 {
			v |= 0x0ffff000
		}
		return v
	case FAT16:
		v := uint32(binary.LittleEndian.Uint16(t.raw[2*int64(c):]))
		if v >= 0xfff7 {
			v |= 0x0fff0000
		}
		return v
	}
	return binary.LittleEndian.Uint32(t.raw[4*int64(c):]) & 0x0fffffff
}

// set changes the entry of a cluster; the upper four bits of FAT32 stay.
func (t table) set(c, v uint32) {
	switch t.typ {
	case FAT12:
		b := t.raw[c+c/2:]
		shift := c % 2 * 4
		old := uint32(binary.LittleEndian.Uint16(b)) &^ (0xfff << shift)
		binary.LittleEndian.PutUint16(b, uint16(old|v&0xfff<<shift))
	case FAT16:
		binary.LittleEndian.PutUint16(t.raw[2*int64(c):], uint16(v))
	default:
		b := t.raw[4*int64(c):]
		binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)&0xf0000000|v&0x0fffffff)
	}
}

// off returns where in the table the entry of a cluster lies.
func (t table) off(c uint32) int64 { return int64(c) * int64(t.typ) / 8 }

// countFree returns how many of the n clusters are free.
func (t table) countFree(n uint32) (free uint32) {
	for c := uint32(firstCluster); c-firstCluster < n; c++ {
		if t.get(c) == entryFree {
			free++
		}
	}
	return free
}

// link writes the chain into the table.
func (t table) link(c chain) {
	last := uint32(0)
	for at := range c.all() {
		if last != 0 {
			t.set(last, at)
		}
		last = at
	}
	if last != 0 {
		t.set(last, entryEnd)
	}
}

// run is a sequence of consecutive clusters.
type run struct{ first, n uint32 }

// chain is the clusters of a file or directory in order; neighbours are joined.
type chain []run

// add returns the chain with one more cluster.
func (c chain) add(cluster uint32) chain {
	if i := len(c) - 1; i >= 0 && c[i].first+c[i].n == cluster {
		c[i].n++
		return c
	}
	return append(c, run{cluster, 1})
}

// clusters returns how many there are.
func (c chain) clusters() (n int64) {
	for _, r := range c {
		n += int64(r.n)
	}
	return n
}

// start returns the first cluster, 0 without one.
func (c chain) start() uint32 {
	if len(c) == 0 {
		return 0
	}
	return c[0].first
}

// all yields the clusters in order.
func (c chain) all() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range c {
			for i := range r.n {
				if !yield(r.first + i) {
					return
				}
			}
		}
	}
}

// cut returns the first n clusters and those behind them, both as new chains.
func (c chain) cut(n int64) (kept, rest chain) {
	for _, r := range c {
		k := uint32(min(n, int64(r.n)))
		if k > 0 {
			kept = append(kept, run{r.first, k})
		}
		if k < r.n {
			rest = append(rest, run{r.first + k, r.n - k})
		}
		n -= int64(k)
	}
	return kept, rest
}

// chain follows the table from a cluster to the end of its chain, but not
// beyond limit clusters: thousands of directories may lead into one long chain.
// It finds loops
// as Brent does: the walk meets a cluster it remembers, and it remembers another
// one at each power of two.
func (img *Image) chain(first uint32, limit int64) (chain, error) {
	bad := func(c uint32, kind Kind, format string, args ...any) error {
		return formatError(img.tableOff(img.active)+img.table.off(c), "file allocation table", "", kind, format, args...)
	}
	if !img.has(first) {
		return nil, formatError(img.tableOff(img.active), "file allocation table", "", ErrRange, "a chain begins at cluster %d", first)
	}
	var out chain
	mark, steps, power := uint32(0), 0, 1
	for c := first; ; limit-- {
		out = out.add(c)
		next := img.table.get(c)
		switch {
		case next >= entryLast:
			return out, nil
		case next == entryFree || next == entryBad:
			return nil, bad(c, ErrFormat, "a chain leads into a free or bad cluster")
		case !img.has(next):
			return nil, bad(c, ErrRange, "cluster %d", next)
		case next == mark:
			return nil, bad(c, ErrLoop, "cluster %d", next)
		}
		if steps++; steps == power {
			mark, steps, power = next, 0, 2*power
		}
		if limit <= 1 {
			return nil, bad(c, ErrLimit, "a chain of so many clusters")
		}
		c = next
	}
}
