package iso9660

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// offsets of fields that are written once (ECMA-119 8.4).
const (
	offSystemID      = 8
	offSetSize       = 120
	offCopyright     = 702
	offAbstract      = 739
	offBibliographic = 776
	offExpires       = 847
	offEffective     = 864
	offStructure     = 881
	fileField        = 37 // bytes of the identifiers of files
)

// jolietEscapes are the escape sequences of UCS-2 levels 1 to 3 (Joliet 1.0).
var jolietEscapes = [...]string{"%/@", "%/C", "%/E"}

// VolumeTexts are what a volume descriptor of a new image says. Texts are ASCII, as long
// as their fields; a Joliet descriptor gets the first half.
type VolumeTexts struct {
	System, Volume                              string // 32 characters each
	VolumeSet, Publisher, Preparer, Application string // 128 characters each
	Copyright, Abstract, Bibliographic          string // names of files, 37 characters
	SetSize, SetNumber                          uint16 // 0: 1
	Created, Modified, Expires, Effective       time.Time
	JolietLevel                                 int    // 1 to 3; 0: 3
	ApplicationUse                              []byte // up to 512 bytes, then spaces
}

// NewDescriptor makes the volume descriptor of a hierarchy; sizes and addresses are
// zero. The error names the text that does not fit.
func NewDescriptor(h Hierarchy, block LBA, v VolumeTexts) (*Descriptor, error) {
	d := &Descriptor{Block: block, Raw: make([]byte, BlockSize)}
	b := d.Raw
	b[0], b[6] = TypePrimary, 1
	copy(b[1:], "CD001")
	b[offStructure] = 1
	switch h {
	case Joliet:
		level := v.JolietLevel
		if level == 0 {
			level = len(jolietEscapes)
		}
		b[0] = TypeSupplementary
		copy(b[offEscapes:], jolietEscapes[level-1])
	case Enhanced:
		b[0], b[6], b[offStructure] = TypeSupplementary, 2, 2
	}
	putBoth16(b[offSetSize:], max(1, v.SetSize))
	putBoth16(b[offVolumeSeq:], max(1, v.SetNumber))
	putBoth16(b[offBlockSize:], BlockSize)
	for _, f := range []struct {
		name, text string
		off, n     int
	}{
		{"system id", v.System, offSystemID, 32},
		{"volume id", v.Volume, OffVolumeID, 32},
		{"volume set id", v.VolumeSet, offVolumeSet, fieldSize},
		{"publisher", v.Publisher, offPublisher, fieldSize},
		{"preparer", v.Preparer, offPreparer, fieldSize},
		{"application id", v.Application, offApplication, fieldSize},
		{"copyright file", v.Copyright, offCopyright, fileField},
		{"abstract file", v.Abstract, offAbstract, fileField},
		{"bibliographic file", v.Bibliographic, offBibliographic, fileField},
	} {
		if err := d.putText(f.text, f.off, f.n); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for off, t := range map[int]time.Time{offCreated: v.Created, offModified: v.Modified, offExpires: v.Expires, offEffective: v.Effective} {
		copy(b[off:], "0000000000000000\x00")
		if !t.IsZero() {
			copy(b[off:], NewDate17(t))
		}
	}
	copy(b[OffAppUse:], strings.Repeat(" ", AppUseSize))
	if len(v.ApplicationUse) > AppUseSize {
		return nil, fmt.Errorf("application use: %w", errorf(ErrTooLong, "%d bytes, at most %d", len(v.ApplicationUse), AppUseSize))
	}
	if h == Primary {
		copy(b[OffAppUse:], v.ApplicationUse)
	}
	return d, nil
}

// putText writes a text padded with spaces into n bytes at off. Volume ids outside
// ASCII are common and readers show them as UTF-8; Joliet has them in UCS-2.
func (d *Descriptor) putText(s string, off, n int) error {
	if len(s) > n {
		return errorf(ErrTooLong, "%d characters, at most %d", len(s), n)
	}
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f {
			return errorf(ErrName, "%q: control character", s)
		}
	}
	if d.Joliet() > 0 {
		text := encodeUCS2(s + strings.Repeat(" ", n))
		copy(d.Raw[off:off+n&^1], text)
		return nil
	}
	copy(d.Raw[off:off+n], s+strings.Repeat(" ", n-len(s)))
	return nil
}

// Copyright is the name of the file that says who has the rights to the volume.
func (d *Descriptor) Copyright() string { return d.text(offCopyright, fileField) }

// Abstract is the name of the file that describes the volume.
func (d *Descriptor) Abstract() string { return d.text(offAbstract, fileField) }

// Bibliographic is the name of the file with bibliographic records.
func (d *Descriptor) Bibliographic() string { return d.text(offBibliographic, fileField) }

// SetRoot sets the record of the root directory.
func (d *Descriptor) SetRoot(l LBA, size uint32, date time.Time) {
	r := NewDraft([]byte{0}, FlagDirectory, date, nil).Record
	r.SetExtent(l, size)
	copy(d.Raw[OffRootRecord:], r)
}

// BootRecord makes the descriptor that leads to the boot catalog (El Torito 1.0,
// figure 7).
func BootRecord(catalog LBA) []byte {
	d := &Descriptor{Raw: make([]byte, BlockSize)}
	copy(d.Raw, "\x00CD001\x01EL TORITO SPECIFICATION")
	d.SetBootCatalog(catalog)
	return d.Raw
}

// SetBootCatalog sets the block that a boot record leads to.
func (d *Descriptor) SetBootCatalog(l LBA) { binary.LittleEndian.PutUint32(d.Raw[71:], uint32(l)) }

// Terminator makes the descriptor that ends the set (ECMA-119 8.3).
func Terminator() []byte {
	b := make([]byte, BlockSize)
	copy(b, "\xffCD001\x01")
	return b
}

// RootEntries encodes what only the root's own record has: the mark of the protocol in
// front of the entries, and its name behind them (SUSP 5.3, 5.5). The name is the older
// one of two that all readers know; newer fields are understood beside it.
func (r Rock) RootEntries(entries []SystemUseEntry) []SystemUseEntry {
	const (
		id     = "RRIP_1991A"
		what   = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
		source = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION."
	)
	er := SystemUseEntry{'E', 'R', byte(8 + len(id) + len(what) + len(source)), 1, byte(len(id)), byte(len(what)), byte(len(source)), 1}
	er = append(er, id+what+source...)
	out := append([]SystemUseEntry{{'S', 'P', 7, 1, 0xbe, 0xef, 0}}, entries...)
	return append(out, er)
}

// The entries of relocated directories (RRIP 1.12, 4.1.5).

// ChildLink is that of the record in the place where a relocated directory is shown.
func ChildLink() SystemUseEntry { return appendBoth32(SystemUseEntry{'C', 'L', 12, 1}, 0) }

// ParentLink is that of ".." in a relocated directory.
func ParentLink() SystemUseEntry { return appendBoth32(SystemUseEntry{'P', 'L', 12, 1}, 0) }

// Relocated is that of the record where a relocated directory is stored.
func Relocated() SystemUseEntry { return SystemUseEntry{'R', 'E', 4, 1} }
