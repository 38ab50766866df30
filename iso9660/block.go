package iso9660

import "fmt"

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

// FormatError tells that the image breaks its format at a given place.
type FormatError struct {
	Off       int64  // byte offset in the image
	Structure string // "directory record", "volume descriptor", …
	Field     string // the field in it, "" for the structure as a whole
	Err       error  // what is wrong: wraps one of the Err… kinds
}

func (e *FormatError) Error() string {
	s := e.Structure
	if e.Field != "" {
		s += ", " + e.Field
	}
	return fmt.Sprintf("offset %d: %s: %v", e.Off, s, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// Kind is the class of a FormatError.
type Kind string

func (k Kind) Error() string { return string(k) }

// The kinds of malformed input.
const (
	ErrFormat      Kind = "malformed"                // the bytes make no sense here
	ErrRange       Kind = "points outside the image" // an address or size passes the end
	ErrTruncated   Kind = "image is cut short"       // bytes that must be there are not
	ErrLoop        Kind = "loop"                     // a structure contains itself or has two parents
	ErrLimit       Kind = "limit passed"             // more than isolayer is willing to read
	ErrName        Kind = "name not allowed"         // a name that is no single path component
	ErrConflict    Kind = "contradiction"            // two statements that cannot both hold
	ErrUnsupported Kind = "not supported"            // legal, but beyond isolayer
	ErrNotISO      Kind = "not an ISO 9660 image"    // no volume descriptor at block 16
)

func errorf(kind Kind, format string, args ...any) error {
	return fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
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
