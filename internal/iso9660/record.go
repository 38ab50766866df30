package iso9660

import (
	"time"

	"github.com/isolayer/isolayer/internal/fault"
)

// Directory record flags (ECMA-119 9.1.6).
const (
	FlagHidden      = 0x01
	FlagDirectory   = 0x02
	FlagAssociated  = 0x04
	FlagMultiExtent = 0x80
)

// recordFixed is the length of a directory record before its identifier.
const recordFixed = 33

// Record is a directory record as found, LEN_DR bytes (ECMA-119 9.1). It is a
// view: nothing is decoded until asked for, and unknown bytes survive.
type Record []byte

// XAR returns the length of the extended attribute record in blocks.
func (r Record) XAR() byte { return r[1] }

// LBA returns the first block of the extent.
func (r Record) LBA() LBA {
	v, _ := both32(r[2:])
	return LBA(v)
}

// Size returns the data length in bytes.
func (r Record) Size() uint32 {
	v, _ := both32(r[10:])
	return v
}

// Time returns the recording date; the zero time when there is none.
func (r Record) Time() time.Time { return date7(r[18:25]) }

// Flags returns the file flags.
func (r Record) Flags() byte { return r[25] }

// ID returns the file identifier as recorded.
func (r Record) ID() []byte { return r[recordFixed : recordFixed+int(r[32])] }

// SystemUse returns the system use area.
func (r Record) SystemUse() []byte {
	return r[recordFixed+int(r[32])+int(r[32]+1)%2:]
}

// SetExtent sets first block and data length.
func (r Record) SetExtent(l LBA, size uint32) {
	putBoth32(r[2:], uint32(l))
	putBoth32(r[10:], size)
}

// checkRecord validates the record at the start of block, the rest of a logical
// block from off on.
func checkRecord(block []byte, off int64) (Record, error) {
	bad := func(field, format string, args ...any) (Record, error) {
		return nil, fault.At(off, "directory record", field, errorf(ErrFormat, format, args...))
	}
	n := int(block[0])
	if n < recordFixed+1 {
		return bad("length", "%d bytes, the shortest record has 34", n)
	}
	if n > len(block) {
		return bad("length", "%d bytes, but only %d are left in the block", n, len(block))
	}
	id := int(block[32])
	if id == 0 {
		return nil, fault.At(off, "directory record", "identifier", errorf(ErrName, "empty"))
	}
	if recordFixed+id > n {
		return bad("identifier", "%d bytes in a record of %d", id, n)
	}
	r := Record(block[:n])
	if recordFixed+id+(id+1)%2 > n {
		// Some writers leave out the pad byte of an even identifier when nothing follows it.
		r = append(append(Record{}, r...), 0)
	}
	if r[26] != 0 || r[27] != 0 {
		return nil, fault.At(off, "directory record", "interleave", errorf(ErrUnsupported, "interleaved file"))
	}
	if r[25]&(FlagAssociated|FlagDirectory) == FlagAssociated|FlagDirectory {
		return bad("flags", "an associated file cannot be a directory")
	}
	return r, nil
}

// isSelf and isParent report the two special identifiers (ECMA-119 6.8.2.2).
func (r Record) isSelf() bool   { return r[32] == 1 && r[33] == 0 }
func (r Record) isParent() bool { return r[32] == 1 && r[33] == 1 }

// ClearXAR says that the extent has no extended attribute record.
func (r Record) ClearXAR() { r[1] = 0 }
