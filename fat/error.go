package fat

import "fmt"

// FormatError tells that the image breaks its format at a given place.
type FormatError struct {
	Off       int64  // byte offset in the image
	Structure string // "boot sector", "file allocation table", "directory", …
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

// Kind is the class of an error.
type Kind string

func (k Kind) Error() string { return string(k) }

// The kinds of malformed input, and of what an edit cannot do.
const (
	ErrFormat    Kind = "malformed"                // the bytes make no sense here
	ErrRange     Kind = "points outside the image" // an address or size passes the end
	ErrTruncated Kind = "image is cut short"       // bytes that must be there are not
	ErrLoop      Kind = "loop"                     // a structure contains itself or has two owners
	ErrLimit     Kind = "limit passed"             // more than isolayer reads, or than the format holds
	ErrName      Kind = "name not allowed"         // a name that VFAT cannot hold
	ErrFull      Kind = "no space left"            // Grow makes room
	ErrNotEmpty  Kind = "directory not empty"      // RemoveAll takes it away
)

func errorf(kind Kind, format string, args ...any) error {
	return fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
}

func formatError(off int64, structure, field string, kind Kind, format string, args ...any) error {
	return &FormatError{off, structure, field, errorf(kind, format, args...)}
}
