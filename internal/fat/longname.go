package fat

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

const (
	maxName      = 255  // UTF-16 units of a long name
	unitsPerSlot = 13   // of a long name
	longFinal    = 0x40 // in the number of the last part, which is stored first
	longOrder    = 0
	longCheck    = 13
)

// longUnits are where the units of a part lie.
var longUnits = [unitsPerSlot]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}

// longName collects the parts of a long name, which come last part first.
type longName struct {
	units []uint16 // of all parts seen, in order
	next  byte     // number of the part expected, 0: complete
	sum   byte
	first int // slot of the first part stored
	valid bool
}

// add takes the part in slot i; a part out of line makes the name invalid.
func (l *longName) add(s slot, i int) {
	order := s[longOrder]
	if order&longFinal != 0 {
		*l = longName{next: order &^ longFinal, sum: s[longCheck], first: i, valid: true}
	}
	if !l.valid || order&^longFinal != l.next || l.next == 0 || l.next > 20 || s[longCheck] != l.sum {
		l.valid = false
		return
	}
	l.next--
	part := make([]uint16, unitsPerSlot, unitsPerSlot+len(l.units))
	for k, off := range longUnits {
		part[k] = binary.LittleEndian.Uint16(s[off:])
	}
	l.units = append(part, l.units...)
}

// name returns the name that belongs to the short one behind it, "" if none does.
func (l *longName) name(short shortName) string {
	if !l.valid || l.next != 0 || l.sum != short.checksum() {
		return ""
	}
	units := l.units
	for i, u := range units {
		if u == 0 {
			units = units[:i]
			break
		}
	}
	if len(units) > maxName {
		return ""
	}
	return decodeUTF16(units)
}

// decodeUTF16 shows half a surrogate pair, which UTF-8 cannot hold, as \uXXXX.
func decodeUTF16(units []uint16) string {
	var b strings.Builder
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			var pair rune = '\ufffd'
			if i+1 < len(units) {
				pair = utf16.DecodeRune(r, rune(units[i+1]))
			}
			if pair == '\ufffd' {
				b.WriteString(escape(r))
				continue
			}
			r = pair
			i++
		}
		b.WriteRune(r)
	}
	return b.String()
}

func escape(r rune) string {
	const hex = "0123456789abcdef"
	return `\u` + string([]byte{hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15]})
}

// shown is a name as fs.FS can hold it: a single path component.
func shown(name string) string {
	if name == "." || name == ".." || name == "" {
		return strings.Repeat(escape('.'), len(name)) + strings.Repeat(escape(' '), 1-min(1, len(name)))
	}
	if !strings.ContainsAny(name, "/\x00") {
		return name
	}
	return strings.NewReplacer("/", escape('/'), "\x00", escape(0)).Replace(name)
}

// longSlots returns the slots of a long name in the order they are stored.
func longSlots(name string, short shortName) []byte {
	units := utf16.Encode([]rune(name))
	n := (len(units) + unitsPerSlot - 1) / unitsPerSlot
	if len(units)%unitsPerSlot != 0 {
		units = append(units, 0)
	}
	for len(units) < n*unitsPerSlot {
		units = append(units, 0xffff)
	}
	out := make([]byte, 0, n*slotSize)
	for i := n; i > 0; i-- {
		s := make(slot, slotSize)
		s[longOrder] = byte(i)
		if i == n {
			s[longOrder] |= longFinal
		}
		s[slotAttr] = attrLong
		s[longCheck] = short.checksum()
		for k, off := range longUnits {
			binary.LittleEndian.PutUint16(s[off:], units[(i-1)*unitsPerSlot+k])
		}
		out = append(out, s...)
	}
	return out
}
