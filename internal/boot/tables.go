package boot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// mbr brings the entries of the MBR in line, and takes its code away with the
// platform that runs it.
func (r *relocator) mbr() error {
	m := r.e.System.MBR
	if m == nil {
		return nil
	}
	for _, p := range r.e.System.partitions() {
		if p.table != "MBR" {
			continue
		}
		to, gone := r.target(p)
		if err := r.mbrEntry(m, p, to, gone); err != nil {
			return err
		}
	}
	if r.c.drops(BIOS) && m.Code != CodeNone {
		from := 0
		if r.e.System.APM != nil {
			from = 8 // the driver descriptor of the Apple map
		}
		clear(r.area[from:440])
		r.patch(int64(from), int64(440-from), "MBR boot code")
	}
	return nil
}

func (r *relocator) mbrEntry(m *MBR, p, to partition, gone bool) error {
	e := m.partition(p.number)
	per := max(1, e.per)
	to.first, to.count, p.first, p.count = to.first/per, roundUp(to.count, per)/per, p.first/per, p.count/per
	b := r.area[e.offset():][:mbrEntrySize]
	what := fmt.Sprintf("MBR partition %d", p.number)
	switch {
	case gone:
		clear(b)
	case to.count > 1<<32-1 && e.Type == typeProtective: // UEFI 5.2.3 has it clamped
		binary.LittleEndian.PutUint32(b[12:], 1<<32-1)
	case to.first > 1<<32-1 || to.count > 1<<32-1:
		return fmt.Errorf("%s: image of %d sectors, the MBR holds %d: %w", what, to.end(), int64(1<<32-1), iso9660.ErrLimit)
	case to != p:
		e.move(b, to.first, to.end())
	}
	r.patch(e.offset(), mbrEntrySize, what)
	return nil
}

// gpt brings the entries of the GPT in line and moves the backup to the end, and
// with it what the primary table says about it.
func (r *relocator) gpt() error {
	g := r.e.System.GPT
	if g == nil || g.Problem != "" {
		return nil
	}
	var changed []int
	for _, p := range r.e.System.partitions() {
		if p.table != "GPT" {
			continue
		}
		to, gone := r.target(p)
		b := r.gptEntry(g, p.number)
		switch {
		case gone:
			clear(b)
		case to != p && to.first%g.per() != 0:
			return fmt.Errorf("GPT partition %d: sector %d begins no sector of %d bytes, for which the table is made: %w", p.number, to.first, g.SectorSize, iso9660.ErrUnsupported)
		case to != p:
			g.put(b, span{to.first, to.end()})
		default:
			continue
		}
		changed = append(changed, p.number)
	}
	changed = append(changed, r.fillGaps(g)...)
	if len(changed) == 0 && !r.c.Repair && r.out.to.table == r.out.from.table {
		return nil
	}
	r.gptHeader(g, changed)
	return nil
}

func (r *relocator) gptEntry(g *GPT, number int) []byte {
	return r.area[g.Array*sectorSize+int64(number-1)*gptEntrySize:][:gptEntrySize]
}

// gptHeader writes headers and backup for changed entries.
func (r *relocator) gptHeader(g *GPT, changed []int) {
	alternate := r.out.to.table - g.per()
	// The room behind the last usable sector belongs to the layout and stays.
	room := g.Alternate - g.LastUsable
	if least := g.arraySectors() + 1; room < least || room > least+systemAreaSectors {
		room = least
	}
	h := r.area[g.SectorSize:][:g.headerSize]
	put := func(b []byte, at int64) { binary.LittleEndian.PutUint64(b, uint64(at/g.per())) }
	put(h[24:], g.per())
	put(h[32:], alternate)
	put(h[40:], r.firstUsable(g, changed))
	put(h[48:], alternate-room)
	array := r.area[g.Array*sectorSize:][:int64(g.Count)*gptEntrySize]
	binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(array))
	binary.LittleEndian.PutUint32(h[16:], headerCRC(h))
	r.patch(g.SectorSize, g.headerSize, "GPT header")
	slices.Sort(changed)
	for _, n := range slices.Compact(changed) {
		r.patch(g.Array*sectorSize+int64(n-1)*gptEntrySize, gptEntrySize, fmt.Sprintf("GPT partition %d", n))
	}
	r.out.Patches = append(r.out.Patches, backupPatch(g, h, array, alternate))
}

// firstUsable is the first usable sector: in front of partitions that moved there. What
// begins in front of it in the base, as in hybrid images, may go on doing so.
func (r *relocator) firstUsable(g *GPT, changed []int) int64 {
	first := g.FirstUsable
	for _, p := range g.Partitions {
		if b := r.gptEntry(g, p.Number); slices.Contains(changed, p.Number) && p.First >= g.FirstUsable && !zero(b) {
			first = min(first, g.sector(b[32:]))
		}
	}
	return first
}

// backupPatch makes the backup for the last sectors of the image: the array, then
// the header with the addresses exchanged (UEFI 5.3.2).
func backupPatch(g *GPT, primary, array []byte, alternate int64) Patch {
	n := g.arraySectors()
	b := make([]byte, g.trailerSectors()*sectorSize)
	copy(b, array)
	h := b[n*sectorSize:][:len(primary)]
	copy(h, primary)
	put := func(b []byte, at int64) { binary.LittleEndian.PutUint64(b, uint64(at/g.per())) }
	put(h[24:], alternate)
	put(h[32:], g.per())
	put(h[72:], alternate-n)
	binary.LittleEndian.PutUint32(h[16:], headerCRC(h))
	return Patch{(alternate - n) * sectorSize, b, "backup GPT"}
}

// put writes the range of a partition into its entry, in whole sectors of the table.
func (g *GPT) put(entry []byte, s span) {
	binary.LittleEndian.PutUint64(entry[32:], uint64(s.first/g.per()))
	binary.LittleEndian.PutUint64(entry[40:], uint64(roundUp(s.end, g.per())/g.per()-1))
}

// driver brings the number of blocks in the driver descriptor in line, where it is that of
// the whole medium: hybrid boot code has instructions there.
func (r *relocator) driver(per int64) {
	if string(r.area[:2]) != "ER" {
		return
	}
	was, from, to := int64(binary.BigEndian.Uint32(r.area[4:]))*per, r.out.from, r.out.to
	for _, end := range [][2]int64{{from.size, to.size}, {from.table, to.table}, {from.volume, to.volume}} {
		if was == end[0] && end[1]/per <= 1<<32-1 {
			binary.BigEndian.PutUint32(r.area[4:], uint32(end[1]/per))
			r.patch(0, sectorSize, "Apple driver descriptor")
			return
		}
	}
}

// apm brings the entries of the Apple partition map in line. Their unit is the
// block size of the map.
func (r *relocator) apm() error {
	a := r.e.System.APM
	if a == nil {
		return nil
	}
	per := a.BlockSize / sectorSize
	r.driver(per)
	for _, p := range r.e.System.partitions() {
		if p.table != "APM" {
			continue
		}
		to, gone := r.target(p)
		off := int64(p.number) * a.BlockSize
		b := r.area[off:][:sectorSize]
		switch {
		case gone: // numbers stay: the entry becomes free space
			copy(b[48:80], append([]byte("Apple_Free"), make([]byte, 32)...))
			copy(b[16:48], make([]byte, 32))
		case to != p && to.end()/per > 1<<32-1:
			return fmt.Errorf("APM partition %d: image of %d sectors: %w", p.number, to.end(), iso9660.ErrLimit)
		case to != p:
			count := uint32(roundUp(to.count, per) / per)
			binary.BigEndian.PutUint32(b[8:], uint32(to.first/per))
			binary.BigEndian.PutUint32(b[12:], count)
			if binary.BigEndian.Uint32(b[84:]) != 0 {
				binary.BigEndian.PutUint32(b[84:], count)
			}
		}
		r.patch(off, sectorSize, fmt.Sprintf("APM partition %d", p.number))
	}
	return nil
}
