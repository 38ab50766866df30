package iso9660

import "github.com/isolayer/isolayer/internal/fault"

// BlockSize is the logical block size in bytes. ECMA-119 6.2.2 also allows 512
// and 1024; no image in the field uses them and Open refuses them.
const BlockSize = 2048

// LBA is a logical block address: a block of BlockSize bytes counted from the
// start of the image (ECMA-119 6.2.2).
type LBA uint32

// Offset returns the byte offset of the block in the image.
func (l LBA) Offset() int64 { return int64(l) * BlockSize }

// Blocks returns how many logical blocks n bytes occupy.
func Blocks(n int64) int64 { return (n + BlockSize - 1) / BlockSize }

// FormatError reports that the image breaks its format at a given place.
type FormatError = fault.Error

// Kind is the class of a FormatError.
type Kind = fault.Kind

// The kinds of malformed input; see package fault.
const (
	ErrFormat      = fault.Format
	ErrRange       = fault.Range
	ErrTruncated   = fault.Truncated
	ErrLoop        = fault.Loop
	ErrLimit       = fault.Limit
	ErrName        = fault.Name
	ErrBomb        = fault.Bomb
	ErrTooLong     = fault.TooLong
	ErrConflict    = fault.Conflict
	ErrUnsupported = fault.Unsupported
	ErrNotISO      = fault.NotISO
)

func errorf(kind Kind, format string, args ...any) error {
	return fault.Errorf(kind, format, args...)
}

// sectionMax is the longest section of a file: the largest whole number of
// blocks that a 32-bit data length can tell (ECMA-119 6.5.1, 9.1.4).
const sectionMax = 1<<32 - BlockSize

// SectionCount returns how many sections a file of size bytes is recorded in; an
// empty one has one.
func SectionCount(size int64) int {
	return max(1, int((size+sectionMax-1)/sectionMax))
}

// SplitSections returns the sections of size bytes that lie contiguously from l on.
func SplitSections(l LBA, size int64) []Section {
	var out []Section
	for size > 0 {
		n := min(size, sectionMax)
		out = append(out, Section{l, n})
		l += LBA(Blocks(n))
		size -= n
	}
	return out
}
