package iso9660

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
)

// Descriptor types (ECMA-119 8.1.1).
const (
	TypeBootRecord    = 0
	TypePrimary       = 1
	TypeSupplementary = 2 // Joliet, or the enhanced descriptor of ISO 9660:1999
	TypePartition     = 3
	TypeTerminator    = 255
)

// Offsets of the fields of a primary or supplementary volume descriptor that
// are patched (ECMA-119 8.4, 8.5).
const (
	OffVolumeID      = 40
	OffSpaceSize     = 80
	offEscapes       = 88
	offVolumeSeq     = 124
	offBlockSize     = 128
	OffPathTableSize = 132
	OffLTable        = 140
	OffLTableOpt     = 144
	OffMTable        = 148
	OffMTableOpt     = 152
	OffRootRecord    = 156
	offVolumeSet     = 190
	offPublisher     = 318
	offPreparer      = 446
	offApplication   = 574
	offCreated       = 813
	offModified      = 830
	OffAppUse        = 883
	AppUseSize       = 512
)

// Descriptor is a volume descriptor as found: BlockSize bytes at block Block.
type Descriptor struct {
	Block LBA
	Raw   []byte
}

// Type returns the volume descriptor type (ECMA-119 8.1.1).
func (d *Descriptor) Type() byte { return d.Raw[0] }

// Version returns the volume descriptor version; 2 for an enhanced descriptor.
func (d *Descriptor) Version() byte { return d.Raw[6] }

// Joliet returns the UCS-2 level, 1 to 3, or 0 when this is no Joliet descriptor.
func (d *Descriptor) Joliet() int {
	if d.Type() != TypeSupplementary || d.Version() == 2 {
		return 0
	}
	for level, esc := range []string{"%/@", "%/C", "%/E"} {
		if bytes.Contains(d.Raw[offEscapes:offEscapes+32], []byte(esc)) {
			return level + 1
		}
	}
	return 0
}

// Enhanced reports an enhanced volume descriptor of ISO 9660:1999.
func (d *Descriptor) Enhanced() bool { return d.Type() == TypeSupplementary && d.Version() == 2 }

// SpaceSize returns the volume space size in blocks.
func (d *Descriptor) SpaceSize() uint32 {
	v, _ := both32(d.Raw[OffSpaceSize:])
	return v
}

// PathTableSize returns the length of each path table in bytes.
func (d *Descriptor) PathTableSize() uint32 {
	v, _ := both32(d.Raw[OffPathTableSize:])
	return v
}

// PathTables returns the blocks of the type L, optional L, type M and optional
// M path tables; 0 means there is none.
func (d *Descriptor) PathTables() (l, optL, m, optM LBA) {
	le, be := binary.LittleEndian, binary.BigEndian
	return LBA(le.Uint32(d.Raw[OffLTable:])), LBA(le.Uint32(d.Raw[OffLTableOpt:])),
		LBA(be.Uint32(d.Raw[OffMTable:])), LBA(be.Uint32(d.Raw[OffMTableOpt:]))
}

// Root returns the directory record of the root directory: 34 bytes.
func (d *Descriptor) Root() Record { return Record(d.Raw[OffRootRecord : OffRootRecord+34]) }

// BootCatalog returns the block of the El Torito boot catalog and whether this
// is an El Torito boot record (El Torito 1.0, figure 7).
func (d *Descriptor) BootCatalog() (LBA, bool) {
	if d.Type() != TypeBootRecord || !bytes.HasPrefix(d.Raw[7:], []byte("EL TORITO SPECIFICATION")) {
		return 0, false
	}
	return LBA(binary.LittleEndian.Uint32(d.Raw[71:])), true
}

// text returns a space-padded field, decoded from UCS-2 in a Joliet descriptor.
func (d *Descriptor) text(off, n int) string {
	b := d.Raw[off : off+n]
	if d.Joliet() > 0 {
		return strings.TrimRight(decodeUCS2(b[:n&^1]), " \x00")
	}
	return strings.TrimRight(string(b), " \x00")
}

// VolumeID returns the volume identifier: the label.
func (d *Descriptor) VolumeID() string { return d.text(OffVolumeID, 32) }

// SystemID returns the system identifier.
func (d *Descriptor) SystemID() string { return d.text(8, 32) }

// VolumeSetID returns the volume set identifier.
func (d *Descriptor) VolumeSetID() string { return d.text(offVolumeSet, 128) }

// Publisher returns the publisher identifier.
func (d *Descriptor) Publisher() string { return d.text(offPublisher, 128) }

// Preparer returns the data preparer identifier.
func (d *Descriptor) Preparer() string { return d.text(offPreparer, 128) }

// Application returns the application identifier.
func (d *Descriptor) Application() string { return d.text(offApplication, 128) }

// Created returns the volume creation date as found, 17 bytes (ECMA-119 8.4.26.1).
func (d *Descriptor) Created() Date17 { return Date17(d.Raw[offCreated : offCreated+17]) }

// Modified returns the volume modification date as found, 17 bytes. Its digits
// are what the world takes as the UUID of the file system.
func (d *Descriptor) Modified() Date17 { return Date17(d.Raw[offModified : offModified+17]) }

// AppUse returns the application use area, 512 bytes.
func (d *Descriptor) AppUse() []byte { return d.Raw[OffAppUse : OffAppUse+AppUseSize] }

// mediaCheckMarks begin the texts that media checks keep in the application use
// area: isomd5sum's, and the digest keys of checkmedia.
var mediaCheckMarks = map[string]string{
	"ISO MD5SUM": "isomd5sum", "md5sum=": "checkmedia", "sha1sum=": "checkmedia", "sha224sum=": "checkmedia",
	"sha256sum=": "checkmedia", "sha384sum=": "checkmedia", "sha512sum=": "checkmedia",
}

// MediaCheck names the program whose media checksum is in the application use
// area, "" if there is none.
func (d *Descriptor) MediaCheck() string {
	for mark, program := range mediaCheckMarks {
		if bytes.Contains(d.AppUse(), []byte(mark)) {
			return program
		}
	}
	return ""
}

// SetSpaceSize sets the volume space size in blocks.
func (d *Descriptor) SetSpaceSize(blocks uint32) { putBoth32(d.Raw[OffSpaceSize:], blocks) }

// SetPathTables sets size in bytes and blocks of the path tables; 0 for the
// optional ones that are not there.
func (d *Descriptor) SetPathTables(size uint32, l, optL, m, optM LBA) {
	putBoth32(d.Raw[OffPathTableSize:], size)
	binary.LittleEndian.PutUint32(d.Raw[OffLTable:], uint32(l))
	binary.LittleEndian.PutUint32(d.Raw[OffLTableOpt:], uint32(optL))
	binary.BigEndian.PutUint32(d.Raw[OffMTable:], uint32(m))
	binary.BigEndian.PutUint32(d.Raw[OffMTableOpt:], uint32(optM))
}

// Field is a text of a volume descriptor (ECMA-119 8.4).
type Field int

// The fields that can be set.
const (
	FieldVolumeSet Field = iota
	FieldPublisher
	FieldPreparer
	FieldApplication
	FieldVolume // the volume identifier: the label
)

// fieldSize is the length of most of these fields in bytes.
const fieldSize = 128

// fieldPlaces are offset and length in bytes of these fields.
var fieldPlaces = [...]struct{ off, size int }{
	{offVolumeSet, fieldSize}, {offPublisher, fieldSize}, {offPreparer, fieldSize}, {offApplication, fieldSize}, {OffVolumeID, 32},
}

// JolietLabel is how many characters of a label a Joliet descriptor holds.
const JolietLabel = 16

// SetField sets a text, padded with spaces: up to 128 characters of ASCII, 32 in the
// label, of which the standard allows capitals, digits and some marks, readers all. A
// Joliet descriptor, in UCS-2, gets the first half of them.
func (d *Descriptor) SetField(f Field, s string) error {
	off, size := fieldPlaces[f].off, fieldPlaces[f].size
	if len(s) > size {
		return errorf(ErrTooLong, "%d characters, at most %d", len(s), size)
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return errorf(ErrName, "only ASCII is possible")
		}
	}
	padded := s + strings.Repeat(" ", size-len(s))
	b := d.Raw[off : off+size]
	if d.Joliet() > 0 {
		copy(b, encodeUCS2(padded))
	} else {
		copy(b, padded)
	}
	return nil
}

// SetModified sets the modification date, which readers take for the UUID of the
// volume.
func (d *Descriptor) SetModified(t time.Time) {
	copy(d.Raw[offModified:], NewDate17(t))
}

// Clone returns a copy that can be patched.
func (d *Descriptor) Clone() *Descriptor {
	return &Descriptor{Block: d.Block, Raw: bytes.Clone(d.Raw)}
}
