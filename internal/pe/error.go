package pe

import "fmt"

// FormatError reports that the file breaks its format at a given place.
type FormatError struct {
	Off       int64  // byte offset in the file
	Structure string // "DOS header", "section table", …
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
	ErrFormat    Kind = "malformed"               // the bytes make no sense here
	ErrRange     Kind = "points outside the file" // an address or size passes the end
	ErrTruncated Kind = "file is cut short"       // bytes that must be there are not
	ErrLimit     Kind = "limit passed"            // more than isolayer is willing to read
	ErrNotPE     Kind = "not a PE program"        // another kind of file
)

func formatError(off int64, structure, field string, kind Kind, format string, args ...any) error {
	return &FormatError{off, structure, field, fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))}
}
