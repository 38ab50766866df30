package inplace

import (
	"cmp"
	"slices"

	"github.com/isolayer/isolayer/extent"
)

// write is a range with new bytes.
type write struct {
	extent.Extent
	late bool // it lies where the base uses something
}

// ranges are the ranges of extents, sorted and joined.
func ranges(list []extent.Extent) []entry {
	var out []write
	for _, e := range list {
		out = append(out, write{Extent: e})
	}
	return union(out)
}

// union are the ranges of writes, sorted and joined.
func union(list []write) []entry {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b write) int { return cmp.Compare(a.Off, b.Off) })
	var out []entry
	for _, w := range list {
		if k := len(out) - 1; k >= 0 && w.Off <= out[k].end() {
			out[k].n = max(out[k].end(), w.End()) - out[k].off
		} else if w.Len > 0 {
			out = append(out, entry{off: w.Off, n: w.Len})
		}
	}
	return out
}

// without is a run of zeros without the ranges that are wiped later, and without what
// lies behind the end, where a file reads as zeros.
func without(e extent.Extent, wiped []entry, size int64) []extent.Extent {
	var out []extent.Extent
	off, end := e.Off, min(e.End(), size)
	i, _ := slices.BinarySearchFunc(wiped, off, func(r entry, at int64) int { return cmp.Compare(r.end(), at+1) })
	for ; i < len(wiped) && wiped[i].off < end; i++ {
		if wiped[i].off > off {
			out = append(out, extent.ZeroOf(off, wiped[i].off-off))
		}
		off = max(off, wiped[i].end())
	}
	if off < end {
		out = append(out, extent.ZeroOf(off, end-off))
	}
	return out
}

// split parts an extent into what lies in the ranges and what does not.
func split(e extent.Extent, late []entry) []write {
	var out []write
	put := func(from, to int64, isLate bool) {
		if from < to {
			out = append(out, write{e.Slice(from, to), isLate})
		}
	}
	off := e.Off
	i, _ := slices.BinarySearchFunc(late, off, func(r entry, at int64) int { return cmp.Compare(r.end(), at+1) })
	for ; i < len(late) && late[i].off < e.End(); i++ {
		put(off, late[i].off, false)
		put(max(off, late[i].off), min(late[i].end(), e.End()), true)
		off = late[i].end()
	}
	put(off, e.End(), false)
	return out
}
