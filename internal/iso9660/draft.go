package iso9660

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"time"
)

// maxRecord is the longest directory record: LEN_DR is one byte and even.
const maxRecord = 254

// ceLen is the length of a CE entry (SUSP 5.1).
const ceLen = 28

// NoEntries is the skip of records whose system use fields are not read.
const NoEntries = maxRecord

// Draft is a directory record that is being written, with the continuation
// areas of its system use field. Addresses are filled in when they are known.
type Draft struct {
	Record Record
	Areas  [][]byte // each at most BlockSize long, to be stored inside one block
	skip   int      // bytes in front of the system use entries in the record
}

// Draft returns a copy of the record to patch. skip is the LEN_SKP in force.
// Areas that no block could hold, CE entries that lead to nothing and lengths
// that no record may have are put right by packing it anew.
func (r Raw) Draft(skip int) *Draft {
	d := &Draft{Record: bytes.Clone(r.Record), skip: min(skip, len(r.Record.SystemUse()))}
	for _, a := range r.Areas {
		d.Areas = append(d.Areas, bytes.Clone(a.Data))
	}
	if n := len(d.Record); n%2 == 0 && n <= maxRecord {
		d.Record[0] = byte(n) // was odd, without the pad byte
	}
	links := 0
	for e := range d.views() {
		if e.Sig() == "CE" {
			links++
		}
	}
	fits := links == len(d.Areas) && len(d.Record)%2 == 0 && len(d.Record) <= maxRecord
	for _, a := range d.Areas {
		fits = fits && len(a) <= BlockSize
	}
	if !fits {
		d.Pack(d.Entries())
	}
	return d
}

// NewDraft makes a record. Extent, size and the addresses of areas are zero.
func NewDraft(id []byte, flags byte, date time.Time, entries []SystemUseEntry) *Draft {
	r := make(Record, recordFixed+len(id)+(len(id)+1)%2)
	putDate7(r[18:], date)
	r[25] = flags
	putBoth16(r[28:], 1)
	r[32] = byte(len(id))
	copy(r[33:], id)
	d := &Draft{Record: r}
	d.Pack(entries)
	return d
}

// views yields the system use entries, CE included, as views to patch.
func (d *Draft) views() iter.Seq[SystemUseEntry] {
	return func(yield func(SystemUseEntry) bool) {
		areas := append([][]byte{d.Record.SystemUse()[d.skip:]}, d.Areas...)
		for _, a := range areas {
			for len(a) >= 4 && signature(a[0]) && signature(a[1]) && int(a[2]) >= 4 && int(a[2]) <= len(a) {
				if string(a[:2]) == "ST" {
					break
				}
				if !yield(SystemUseEntry(a[:a[2]])) {
					return
				}
				a = a[a[2]:]
			}
		}
	}
}

// Entries returns copies of the system use entries without CE.
func (d *Draft) Entries() []SystemUseEntry {
	var out []SystemUseEntry
	for e := range d.views() {
		if e.Sig() != "CE" {
			out = append(out, bytes.Clone(e))
		}
	}
	return out
}

// Pack replaces the system use entries, keeping what stands in front of them.
// What does not fit into the record goes to continuation areas; names are cut
// where the record ends, other entries stay whole.
func (d *Draft) Pack(entries []SystemUseEntry) {
	head := recordFixed + len(d.Record.ID()) + (len(d.Record.ID())+1)%2
	if len(entries) == 0 { // nothing counts on the length of what stands in front
		d.skip = max(0, min(d.skip, maxRecord-head))
	}
	head += d.skip
	d.Record, d.Areas = d.Record[:head:head], nil
	room := maxRecord - head
	rest := d.fill(entries, room)
	for len(rest) > 0 {
		d.Areas = append(d.Areas, nil)
		rest = d.fill(rest, BlockSize)
	}
	if len(d.Record)%2 == 1 {
		d.Record = append(d.Record, 0)
	}
	d.Record[0] = byte(len(d.Record))
}

// fill appends entries to the last area, or to the record if there is none, and
// returns those that found no room, having left a CE entry for them.
func (d *Draft) fill(entries []SystemUseEntry, room int) []SystemUseEntry {
	dst := (*[]byte)(&d.Record)
	if n := len(d.Areas); n > 0 {
		dst = &d.Areas[n-1]
	}
	total := 0
	for _, e := range entries {
		total += len(e)
	}
	if total <= room {
		for _, e := range entries {
			*dst = append(*dst, e...)
		}
		return nil
	}
	room -= ceLen
	for i, e := range entries {
		if len(e) > room {
			first, second := e.cut(room)
			*dst = append(*dst, first...)
			rest := append([]SystemUseEntry{second}, entries[i+1:]...)
			*dst = append(*dst, 'C', 'E', ceLen, 1)
			*dst = append(*dst, make([]byte, ceLen-4)...)
			return rest
		}
		*dst = append(*dst, e...)
		room -= len(e)
	}
	panic("internal error: entries fit after all")
}

// cut splits a name so that the first part has at most room bytes; other
// entries, and names where it is not worth it, go whole into the second part.
func (e SystemUseEntry) cut(room int) (first, second SystemUseEntry) {
	if e.Sig() != "NM" || room < 5+1 {
		return nil, e
	}
	first = append(bytes.Clone(e[:4]), e[4]|1)
	first = append(first, e[5:room]...)
	first[2] = byte(room)
	second = append(bytes.Clone(e[:5]), e[room:]...)
	second[2] = byte(len(second))
	return first, second
}

// SetArea says where area i will be.
func (d *Draft) SetArea(i int, block LBA, offset int) {
	n := 0
	for e := range d.views() {
		if e.Sig() != "CE" {
			continue
		}
		if n == i {
			putBoth32(e[4:], uint32(block))
			putBoth32(e[12:], uint32(offset))
			putBoth32(e[20:], uint32(len(d.Areas[i])))
			return
		}
		n++
	}
	panic("internal error: area without CE entry")
}

// SetRelocation sets the block in a CL or PL entry (RRIP 1.12, 4.1.5).
func (d *Draft) SetRelocation(block LBA) {
	for e := range d.views() {
		if s := e.Sig(); s != "CL" && s != "PL" {
			continue
		}
		switch {
		case len(e) >= 12:
			putBoth32(e[4:], uint32(block))
		case len(e) >= 8: // cut short, as it was read
			binary.LittleEndian.PutUint32(e[4:], uint32(block))
		}
	}
}

// DropRelocation makes the record that of a directory which is stored where it is shown, or
// of ".." in one: without RE and PL.
func (d *Draft) DropRelocation() {
	d.Pack(slices.DeleteFunc(d.Entries(), func(e SystemUseEntry) bool {
		return e.Sig() == "RE" || e.Sig() == "PL"
	}))
}

// AddLinks adds n, which may be negative, to the link count in PX.
func (d *Draft) AddLinks(n int64) {
	for e := range d.views() {
		if e.Sig() == "PX" && len(e) >= 36 {
			v, _ := both32(e[12:])
			putBoth32(e[12:], uint32(max(1, int64(v)+n)))
		}
	}
}

// SetOwner sets mode and owner in PX. A record without one, or with one too short for them,
// gets it.
func (d *Draft) SetOwner(mode, uid, gid uint32) {
	found := false
	for e := range d.views() {
		if e.Sig() == "PX" && len(e) >= pxShort {
			putBoth32(e[4:], mode)
			putBoth32(e[20:], uid)
			putBoth32(e[28:], gid)
			found = true
		}
	}
	if found {
		return
	}
	px := SystemUseEntry{'P', 'X', pxShort, 1}
	for _, v := range []uint32{mode, 1, uid, gid} {
		px = appendBoth32(px, v)
	}
	entries := slices.DeleteFunc(d.Entries(), func(e SystemUseEntry) bool { return e.Sig() == "PX" })
	at := 0
	for at < len(entries) && (entries[at].Sig() == "SP" || entries[at].Sig() == "RR") {
		at++
	}
	d.Pack(slices.Insert(entries, at, px))
}

// SetTime sets the date of the record (ECMA-119 9.1.5) and the modification time in TF
// (RRIP 1.12, 4.1.6), in the form that is there.
func (d *Draft) SetTime(t time.Time) {
	putDate7(d.Record[18:], t)
	for e := range d.views() {
		if e.Sig() != "TF" || len(e) < 5 {
			continue
		}
		at, n, ok := e.stamp(tfModified)
		if !ok {
			continue
		}
		stamp := []byte(NewDate17(t))
		if n == 7 {
			putDate7(stamp, t)
		}
		copy(e[at:min(at+n, len(e))], stamp)
	}
}

// DropChecksums removes the reference to libisofs's array of file checksums,
// which an AAIP field of the root holds as the attribute isofs.ca, and reports
// whether there was one. The other AAIP fields of the record go with it.
func (d *Draft) DropChecksums() bool {
	found := false
	var rest []SystemUseEntry
	for _, e := range d.Entries() {
		if e.Sig() != "AL" {
			rest = append(rest, e)
			continue
		}
		// The prefix "isofs." of a name is coded as byte 4.
		found = found || bytes.Contains(e, []byte("\x04ca")) || bytes.Contains(e, []byte("isofs.ca"))
	}
	if found {
		d.Pack(rest)
	}
	return found
}

// Rename gives the record another identifier and, where Rock Ridge names are
// recorded, another name.
func (d *Draft) Rename(id []byte, names []SystemUseEntry) {
	entries := d.Entries()
	var out []SystemUseEntry
	placed := len(names) == 0
	for _, e := range entries {
		switch {
		case e.Sig() != "NM":
			out = append(out, e)
		case !placed:
			out, placed = append(out, names...), true
		}
	}
	if !placed {
		out = append(out, names...)
	}
	head := bytes.Clone(d.Record[:recordFixed])
	head[32] = byte(len(id))
	head = append(head, id...)
	if len(id)%2 == 0 {
		head = append(head, 0)
	}
	front := d.Record.SystemUse()[:d.skip]
	d.Record = append(head, front...)
	d.Pack(out)
}

// PackDirectory lays records behind each other so that none crosses a block
// (ECMA-119 6.8.1.1) and returns whole blocks.
func PackDirectory(records []Record) []byte {
	size := DirectoryLength(func(yield func(int) bool) {
		for _, r := range records {
			if !yield(len(r)) {
				return
			}
		}
	})
	out := make([]byte, 0, Blocks(size)*BlockSize)
	for _, r := range records {
		if left := BlockSize - len(out)%BlockSize; len(r) > left {
			out = append(out, make([]byte, left)...)
		}
		out = append(out, r...)
	}
	return append(out, make([]byte, (BlockSize-len(out)%BlockSize)%BlockSize)...)
}

// DirectoryBlocks returns how many blocks PackDirectory makes of records with
// the given lengths.
func DirectoryBlocks(lengths iter.Seq[int]) int64 { return Blocks(DirectoryLength(lengths)) }

// DirectoryLength is the same in bytes, without what fills up the last block.
func DirectoryLength(lengths iter.Seq[int]) int64 {
	var n int64
	for l := range lengths {
		if left := BlockSize - n%BlockSize; int64(l) > left {
			n += left
		}
		n += int64(l)
	}
	return n
}
