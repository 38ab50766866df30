package fat

import (
	"encoding/binary"
	"strings"
	"time"
)

// slotSize is the length of a directory entry in bytes.
const slotSize = 32

// slot is one entry of a directory: of a file, a directory, a label, or of a
// part of a long name ("Directory Structure").
type slot []byte

// Offsets in a slot.
const (
	slotAttr    = 11
	slotCase    = 12 // NT: which parts of the name are shown in lower case
	slotCreated = 13 // tenths, time, date
	slotRead    = 18 // date
	slotHigh    = 20
	slotWritten = 22 // time, date
	slotLow     = 26
	slotLength  = 28
)

// Attributes.
const (
	attrReadOnly = 0x01
	attrLabel    = 0x08
	attrDir      = 0x10
	attrArchive  = 0x20
	attrLong     = 0x0f // all of the lower four: a part of a long name
	attrMask     = 0x3f
)

// Bits of slotCase.
const (
	lowerBase = 0x08
	lowerExt  = 0x10
)

// First bytes of a name with a meaning of their own.
const (
	slotLast    = 0x00 // this slot and all behind it are unused
	slotDeleted = 0xe5
	slotKanji   = 0x05 // stands for a name that begins with E5h
)

func (s slot) attr() byte { return s[slotAttr] & attrMask }
func (s slot) long() bool { return s.attr() == attrLong }
func (s slot) free() bool { return s[0] == slotDeleted || s[0] == slotLast }
func (s slot) size() int64 {
	return int64(binary.LittleEndian.Uint32(s[slotLength:]))
}

// cluster returns the first cluster; the upper half has another use before FAT32.
func (s slot) cluster(t Type) uint32 {
	c := uint32(binary.LittleEndian.Uint16(s[slotLow:]))
	if t == FAT32 {
		c |= uint32(binary.LittleEndian.Uint16(s[slotHigh:])) << 16
	}
	return c
}

func (s slot) setCluster(c uint32, t Type) {
	binary.LittleEndian.PutUint16(s[slotLow:], uint16(c))
	if t == FAT32 {
		binary.LittleEndian.PutUint16(s[slotHigh:], uint16(c>>16))
	}
}

func (s slot) setSize(n int64) { binary.LittleEndian.PutUint32(s[slotLength:], uint32(n)) }

// written returns the time of the last change. FAT has no time zones; it is
// given as UTC, and as the zero time where the slot has none.
func (s slot) written() time.Time {
	clock, date := int(binary.LittleEndian.Uint16(s[slotWritten:])), int(binary.LittleEndian.Uint16(s[slotWritten+2:]))
	if month, day := date>>5&15, date&31; month == 0 || month > 12 || day == 0 {
		return time.Time{}
	}
	return time.Date(1980+date>>9, time.Month(date>>5&15), date&31, clock>>11, clock>>5&63, clock&31*2, 0, time.UTC)
}

// setWritten sets the times of the last change and read.
func (s slot) setWritten(t time.Time) {
	clock, date := dosTime(t)
	binary.LittleEndian.PutUint16(s[slotWritten:], clock)
	binary.LittleEndian.PutUint16(s[slotWritten+2:], date)
	binary.LittleEndian.PutUint16(s[slotRead:], date)
}

// setCreated sets the time of creation.
func (s slot) setCreated(t time.Time) {
	clock, date := dosTime(t)
	s[slotCreated] = 0
	binary.LittleEndian.PutUint16(s[slotCreated+1:], clock)
	binary.LittleEndian.PutUint16(s[slotCreated+3:], date)
}

// dosTime returns a time in the form of slots, moved into the years they can tell.
func dosTime(t time.Time) (clock, date uint16) {
	t = t.UTC()
	switch {
	case t.Year() < 1980:
		return 0, 1<<5 | 1
	case t.Year() > 2107:
		return 23<<11 | 59<<5 | 29, 127<<9 | 12<<5 | 31
	}
	clock = uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
	return clock, uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day())
}

// shortName is the name that every reader knows: eight characters and three, padded.
type shortName [11]byte

func (s slot) short() shortName { return shortName(s[:11]) }

// shown returns the name with a dot, in the case that NT's bits tell.
func (n shortName) shown(nt byte) string {
	raw := n
	if raw[0] == slotKanji {
		raw[0] = slotDeleted
	}
	base, ext := strings.TrimRight(decodeOEM(raw[:8]), " "), strings.TrimRight(decodeOEM(raw[8:]), " ")
	if nt&lowerBase != 0 {
		base = strings.ToLower(base)
	}
	if nt&lowerExt != 0 {
		ext = strings.ToLower(ext)
	}
	if ext == "" {
		return base
	}
	return base + "." + ext
}

// checksum is what the parts of a long name keep of the short one.
func (n shortName) checksum() (sum byte) {
	for _, b := range n {
		sum = sum>>1 | sum<<7
		sum += b
	}
	return sum
}

// newLabel returns the slot of a volume label.
func newLabel(name [11]byte, t time.Time) slot {
	s := make(slot, slotSize)
	copy(s, name[:])
	s[slotAttr] = attrLabel
	s.setWritten(t)
	return s
}
