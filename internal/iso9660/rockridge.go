package iso9660

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"time"

	"github.com/isolayer/isolayer/internal/fault"
)

// File type bits of st_mode, as PX records them (RRIP 1.12, 4.1.1).
const (
	ModeType    = 0o170000
	ModeSocket  = 0o140000
	ModeSymlink = 0o120000
	ModeRegular = 0o100000
	ModeBlock   = 0o060000
	ModeDir     = 0o040000
	ModeChar    = 0o020000
	ModeFIFO    = 0o010000
)

const (
	maxName = 255  // bytes of a name: the limit of every file system that shows it
	maxLink = 4095 // bytes of a link's target: Linux's PATH_MAX
	pxShort = 36   // length of PX as RRIP 1.09 has it; 1.12 adds a serial number
)

// Attributes are what Rock Ridge adds to a record (RRIP 1.12, 4.1).
type Attributes struct {
	Mode         uint32 // st_mode
	Nlink        uint32
	UID, GID     uint32
	Serial       uint32    // PX of 44 bytes; else 0
	Major, Minor uint32    // PN
	Modified     time.Time // TF
	Link         string    // SL: target of a symbolic link
	Compressed   *Zisofs
	Hidden       bool // RE: physically in the directory of relocated ones

	name   []byte // NM
	named  bool
	px     int // length of the PX entry, 0: none
	child  LBA // CL
	parent LBA // PL
	hasCL  bool
	hasPL  bool
	rr     bool // any Rock Ridge entry was seen
}

// shortest is how long an entry must be for any of it to be read.
func shortest(sig string) int {
	switch sig {
	case "PX", "CL", "PL", "ER":
		return 8
	case "PN":
		return 20
	case "ZF":
		return 16
	case "NM", "SL", "TF":
		return 5
	}
	return 0
}

// entry decodes one system use entry into a. Lengths have been checked to be at least 4 and
// within the area. One that is cut short, as several writers leave it, is read as far as it
// goes, or passed over.
func (p *rrParser) entry(e SystemUseEntry, off int64) error {
	a, sig := &p.a, e.Sig()
	if need := shortest(sig); len(e) < need {
		if sig == "ZF" { // the content would be shown as it is stored
			return fault.At(off, "zisofs ZF", "length", errorf(ErrFormat, "%d, at least %d", len(e), need))
		}
		p.warn.add(off, "Rock Ridge "+sig, "length", errorf(ErrFormat, "%d, at least %d", len(e), need))
		return nil
	}
	switch sig {
	case "PX":
		p.px(e, off)
	case "PN":
		hi, _ := both32(e[4:])
		lo, _ := both32(e[12:])
		a.Major, a.Minor = device(hi, lo)
	case "NM":
		return p.nm(e, off)
	case "SL":
		return p.sl(e, off)
	case "TF":
		p.tf(e, off)
	case "CL":
		a.child, a.hasCL = LBA(binary.LittleEndian.Uint32(e[4:])), true
	case "PL":
		a.parent, a.hasPL = LBA(binary.LittleEndian.Uint32(e[4:])), true
	case "RE":
		a.Hidden = true
	case "ZF":
		z, err := parseZF(e)
		if err != nil {
			return fault.At(off, "zisofs ZF", "", err)
		}
		a.Compressed = z
	case "ER":
		if int(e[4])+int(e[5])+int(e[6])+8 > len(e) {
			p.warn.add(off, "system use entry ER", "lengths", errorf(ErrFormat, "strings pass the entry"))
		}
		return nil
	default:
		return nil
	}
	a.rr = true
	return nil
}

// rrParser carries what spans several entries.
type rrParser struct {
	a        Attributes
	warn     *warnings
	nmDone   bool
	slCont   bool // the last component continues in the next piece
	slDone   bool
	linkRoot bool
	link     strings.Builder
}

// px takes the numbers that are whole: RRIP 1.09 has four of them, 1.12 five.
func (p *rrParser) px(e SystemUseEntry, off int64) {
	a := &p.a
	if len(e) < pxShort {
		p.warn.add(off, "Rock Ridge PX", "length", errorf(ErrFormat, "%d, at least %d", len(e), pxShort))
	}
	a.px = len(e)
	for i, field := range []*uint32{&a.Mode, &a.Nlink, &a.UID, &a.GID, &a.Serial} {
		if at := 4 + 8*i; at+4 <= len(e) {
			*field = binary.LittleEndian.Uint32(e[at:])
		}
	}
}

// device splits a PN pair. xorriso stores glibc's dev_t in the low half, others
// major and minor; Linux distinguishes them the same way.
func device(hi, lo uint32) (major, minor uint32) {
	if hi == 0 && lo > 255 {
		return lo >> 8 & 0xfff, lo&0xff | lo>>12&0xfff00
	}
	return hi, lo
}

func (p *rrParser) nm(e SystemUseEntry, off int64) error {
	a := &p.a
	if e[4]&0x06 != 0 || p.nmDone { // current or parent directory: no name
		return nil
	}
	if a.name == nil {
		a.name = e[5:len(e):len(e)] // a piece more makes a copy
	} else {
		a.name = append(a.name, e[5:]...)
	}
	a.named = true
	p.nmDone = e[4]&1 == 0
	if len(a.name) > maxName {
		return fault.At(off, "Rock Ridge NM", "name", errorf(ErrName, "longer than %d bytes", maxName))
	}
	return nil
}

// sl appends the components of one SL entry (RRIP 1.12, 4.1.3.1).
func (p *rrParser) sl(e SystemUseEntry, off int64) error {
	if p.slDone {
		return nil
	}
	for b := e[5:]; len(b) >= 2; {
		flags, n := b[0], int(b[1])
		if 2+n > len(b) {
			// genisoimage 1.1.11 stores the length of long targets modulo 256.
			p.warn.add(off, "Rock Ridge SL", "component", errorf(ErrFormat, "%d bytes, %d are left", n, len(b)-2))
			n = len(b) - 2
		}
		text := b[2 : 2+n]
		if bytes.ContainsAny(text, "/\x00") {
			return fault.At(off, "Rock Ridge SL", "component", errorf(ErrName, "%q", text))
		}
		if p.link.Len() > 0 && !p.slCont && !p.linkRoot {
			p.link.WriteByte('/')
		}
		p.linkRoot = false
		switch {
		case flags&2 != 0:
			p.link.WriteByte('.')
		case flags&4 != 0:
			p.link.WriteString("..")
		case flags&8 != 0:
			p.link.WriteByte('/')
			p.linkRoot = true
		default:
			p.link.Write(text)
		}
		p.slCont = flags&1 != 0
		b = b[2+n:]
	}
	if p.link.Len() > maxLink {
		return fault.At(off, "Rock Ridge SL", "", errorf(ErrLimit, "target longer than %d bytes", maxLink))
	}
	p.a.Link = p.link.String()
	p.slDone = e[4]&1 == 0
	return nil
}

// tf decodes time stamps in short and long form (RRIP 1.12, 4.1.6). BSD's makefs leaves
// the zone of the last one out.
func (p *rrParser) tf(e SystemUseEntry, off int64) {
	at, n, ok := e.stamp(tfModified)
	if e.stamps() > len(e) {
		p.warn.add(off, "Rock Ridge TF", "length", errorf(ErrFormat, "%d for flags %#x", len(e), e[4]))
	}
	if !ok {
		return
	}
	b := make([]byte, 17) // of what is cut off, the zone is that of Greenwich
	copy(b, e[at:min(at+n, len(e))])
	if n == 7 {
		p.a.Modified = date7(b)
	} else {
		p.a.Modified = Date17(b).Time()
	}
}

// tfModified is the bit of the modification time in the flags of a TF entry.
const tfModified = 1

// stamp returns where the time of that bit begins in a TF entry, and its length. ok is
// false if it is not recorded, or if more than its zone is cut off.
func (e SystemUseEntry) stamp(which int) (at, n int, ok bool) {
	n = e.stampLen()
	at = 5
	for bit := range which {
		if e[4]&(1<<bit) != 0 {
			at += n
		}
	}
	return at, n, e[4]&(1<<which) != 0 && at+n-1 <= len(e)
}

// stamps is how long a TF entry is by its flags.
func (e SystemUseEntry) stamps() int { return 5 + e.stampLen()*bits.OnesCount8(e[4]&0x7f) }

// stampLen is the length of each time in a TF entry.
func (e SystemUseEntry) stampLen() int {
	if e[4]&0x80 != 0 {
		return 17
	}
	return 7
}

// finish checks what only the whole record can tell.
func (p *rrParser) finish(off int64) error {
	if !p.slDone && p.link.Len() > 0 {
		p.warn.add(off, "Rock Ridge SL", "", errorf(ErrFormat, "continues, but nothing follows"))
	}
	if p.a.px > 0 && p.a.Mode > 0o177777 {
		return fault.At(off, "Rock Ridge PX", "mode", errorf(ErrFormat, "%o", p.a.Mode))
	}
	return nil
}

// appendBoth32 appends v in both byte orders.
func appendBoth32(b []byte, v uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, v)
	return binary.BigEndian.AppendUint32(b, v)
}
