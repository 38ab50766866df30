package boot

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"
)

// fillGaps makes the gap entries of libisofs anew where partitions inside the
// image moved: between them and behind them, as they were. It returns the numbers
// of the entries it changed.
func (r *relocator) fillGaps(g *GPT) []int {
	if !r.gapsMove() {
		return nil
	}
	var used []span
	var slots []int
	first, end := int64(0), int64(0)
	for _, p := range r.e.System.partitions() {
		if p.table != "GPT" {
			continue
		}
		b := r.gptEntry(g, p.number)
		s := span{g.sector(b[32:]), g.last(b[40:]) + 1}
		switch {
		case p.role == RoleGap || p.role == RoleFileSystem && isGap(g, p.number):
			slots = append(slots, p.number)
			if first == 0 {
				first = s.first
			}
			first, end = min(first, s.first), max(end, s.end)
		case !zero(b[:16]):
			used = append(used, s)
		}
	}
	holes := between(used, first, end)
	template := slices.Clone(r.gptEntry(g, slots[0]))
	for i := len(slots); i < len(holes); i++ {
		n := r.freeSlot(g, slots)
		if n == 0 {
			break
		}
		slots = append(slots, n)
	}
	for i, n := range slots {
		b := r.gptEntry(g, n)
		if i >= len(holes) {
			clear(b)
			continue
		}
		if zero(b[:16]) {
			copy(b, template)
			sum := sha256.Sum256(fmt.Appendf(nil, "gap %d of %s", n, g.Disk)) // no clock, no chance
			copy(b[16:32], sum[:16])
			b[16+7], b[16+8] = b[16+7]&0x0f|0x40, b[16+8]&0x3f|0x80 // version 4
			clear(b[56:128])
			for j, u := range utf16.Encode([]rune(fmt.Sprintf("Gap%d", i))) {
				binary.LittleEndian.PutUint16(b[56+2*j:], u)
			}
		}
		g.put(b, holes[i])
	}
	return slots
}

// gapsMove reports whether a partition of the GPT inside the file system gets
// another place while entries fill the space around it.
func (r *relocator) gapsMove() bool {
	moved, gaps := false, false
	for _, p := range r.e.System.partitions() {
		if p.table != "GPT" {
			continue
		}
		gaps = gaps || p.role == RoleGap || isGap(r.e.System.GPT, p.number)
		if o := r.e.objectAt(p); o != nil && !o.Appended {
			_, placed := r.c.Objects[o]
			moved = moved || placed || r.c.dropped(o)
		}
	}
	return moved && gaps
}

func isGap(g *GPT, number int) bool {
	return slices.ContainsFunc(g.Partitions, func(p GPTPartition) bool {
		return p.Number == number && len(p.Name) > 3 && p.Name[:3] == "Gap"
	})
}

// between returns what of first to end is not used.
func between(used []span, first, end int64) []span {
	slices.SortFunc(used, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	var out []span
	for _, u := range used {
		if u.first > first && first < end {
			out = append(out, span{first, min(u.first, end)})
		}
		first = max(first, u.end)
	}
	if first < end {
		out = append(out, span{first, end})
	}
	return out
}

// freeSlot returns the number of an entry that is not in use, 0 without one.
func (r *relocator) freeSlot(g *GPT, taken []int) int {
	for n := 1; n <= int(g.Count); n++ {
		if zero(r.gptEntry(g, n)[:16]) && !slices.Contains(taken, n) {
			return n
		}
	}
	return 0
}
