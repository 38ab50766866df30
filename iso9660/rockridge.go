package iso9660

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"

	"github.com/isolayer/isolayer/fault"
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

// shortest is how long an entry must be for its fields.
func shortest(sig string) int {
	switch sig {
	case "PX":
		return 36
	case "PN":
		return 20
	case "ZF":
		return 16
	case "CL", "PL":
		return 12
	case "ER":
		return 8
	case "NM", "SL", "TF":
		return 5
	}
	return 0
}

// entry decodes one system use entry into a. Lengths have been checked to
// be at least 4 and within the area.
func (p *rrParser) entry(e SystemUseEntry, off int64) error {
	a, sig := p.a, e.Sig()
	if need := shortest(sig); len(e) < need {
		return fault.At(off, "Rock Ridge "+sig, "length", errorf(ErrFormat, "%d, at least %d", len(e), need))
	}
	switch sig {
	case "PX":
		p.px(e)
	case "PN":
		hi, _ := both32(e[4:])
		lo, _ := both32(e[12:])
		a.Major, a.Minor = device(hi, lo)
	case "NM":
		return p.nm(e, off)
	case "SL":
		return p.sl(e, off)
	case "TF":
		return p.tf(e, off)
	case "CL":
		v, _ := both32(e[4:])
		a.child, a.hasCL = LBA(v), true
	case "PL":
		v, _ := both32(e[4:])
		a.parent, a.hasPL = LBA(v), true
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
			return fault.At(off, "system use entry ER", "lengths", errorf(ErrFormat, "strings pass the entry"))
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
	a        *Attributes
	warn     *warnings
	nmDone   bool
	slCont   bool // the last component continues in the next piece
	slDone   bool
	linkRoot bool
	link     strings.Builder
}

func (p *rrParser) px(e SystemUseEntry) {
	a := p.a
	a.px = len(e)
	a.Mode, _ = both32(e[4:])
	a.Nlink, _ = both32(e[12:])
	a.UID, _ = both32(e[20:])
	a.GID, _ = both32(e[28:])
	if len(e) >= 44 {
		a.Serial, _ = both32(e[36:])
	}
}

// device splits a PN pair. xorriso stores glibc's dev_t in the low half, others
// major and minor; Linux tells them apart the same way.
func device(hi, lo uint32) (major, minor uint32) {
	if hi == 0 && lo > 255 {
		return lo >> 8 & 0xfff, lo&0xff | lo>>12&0xfff00
	}
	return hi, lo
}

func (p *rrParser) nm(e SystemUseEntry, off int64) error {
	a := p.a
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

// tf decodes time stamps in short and long form (RRIP 1.12, 4.1.6).
func (p *rrParser) tf(e SystemUseEntry, off int64) error {
	flags, b := e[4], []byte(e[5:])
	size := 7
	if flags&0x80 != 0 {
		size = 17
	}
	for bit := range 7 {
		if flags&(1<<bit) == 0 {
			continue
		}
		if len(b) < size {
			return fault.At(off, "Rock Ridge TF", "length", errorf(ErrFormat, "%d for flags %#x", len(e), flags))
		}
		switch {
		case bit != 1: // only the modification time is of interest
		case size == 7:
			p.a.Modified = date7(b)
		default:
			p.a.Modified = Date17(b[:17]).Time()
		}
		b = b[size:]
	}
	return nil
}

// finish checks what only the whole record can tell.
func (p *rrParser) finish(off int64) error {
	if !p.slDone && p.link.Len() > 0 {
		return fault.At(off, "Rock Ridge SL", "", errorf(ErrFormat, "continues, but nothing follows"))
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
