package fat

import "github.com/isolayer/isolayer/internal/fault"

// FormatError reports that the volume breaks its format at a given place.
type FormatError = fault.Error

// Kind is the class of an error.
type Kind = fault.Kind

// The kinds of malformed input, see package fault, and of what an edit cannot do.
const (
	ErrFormat         = fault.Format
	ErrRange          = fault.Range
	ErrTruncated      = fault.Truncated
	ErrLoop           = fault.Loop
	ErrLimit          = fault.Limit
	ErrName           = fault.Name
	ErrFull      Kind = "no space left"       // Grow makes room
	ErrNotEmpty  Kind = "directory not empty" // RemoveAll takes it away
)

func errorf(kind Kind, format string, args ...any) error {
	return fault.Errorf(kind, format, args...)
}

func formatError(off int64, structure, field string, kind Kind, format string, args ...any) error {
	return fault.At(off, structure, field, errorf(kind, format, args...))
}
