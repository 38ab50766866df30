// Package fault says what is wrong with an input and where, and bounds what
// reading one may cost.
//
// It knows no format: packages iso9660, boot and fat do.
package fault

import (
	"errors"
	"fmt"
	"io/fs"
)

// Error reports that an image breaks its format at a given place.
type Error struct {
	Off       int64  // byte offset in the image
	Structure string // "directory record", "volume descriptor", …
	Field     string // the field in it, "" for the structure as a whole
	Err       error  // what is wrong: wraps a Kind
}

func (e *Error) Error() string {
	s := e.Structure
	if e.Field != "" {
		s += ", " + e.Field
	}
	return fmt.Sprintf("offset %d: %s: %v", e.Off, s, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Kind is the class of an error.
type Kind string

func (k Kind) Error() string { return string(k) }

// The kinds of malformed input.
const (
	Format      Kind = "malformed"                // the bytes make no sense here
	Range       Kind = "points outside the image" // an address or size passes the end
	Truncated   Kind = "image is cut short"       // bytes that must be there are not
	Loop        Kind = "loop"                     // a structure contains itself or has two parents
	Limit       Kind = "limit passed"             // more than isolayer is willing to read
	TooLong     Kind = "too long"                 // a text that its field does not hold
	Name        Kind = "name not allowed"         // a name that is no single path component
	Bomb        Kind = "grows too much"           // far more bytes come out than are stored
	Conflict    Kind = "contradiction"            // two statements that cannot both hold
	Unsupported Kind = "not supported"            // legal, but beyond isolayer
	NotISO      Kind = "not an ISO 9660 image"    // no volume descriptor at block 16
)

// codes are the kinds as programs know them.
var codes = map[Kind]string{
	Format: "format", Range: "range", Truncated: "truncated", Loop: "loop", Limit: "limit",
	TooLong: "too-long", Name: "name", Bomb: "bomb", Conflict: "conflict", Unsupported: "unsupported", NotISO: "not-iso",
}

// Code returns the word for the kind that programs can rely on; "" for kinds of
// other packages.
func (k Kind) Code() string { return codes[k] }

// Errorf returns an error of the kind.
func Errorf(kind Kind, format string, args ...any) error {
	return fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
}

// Exceeded reports what reading an image costs more of than its budget allows.
type Exceeded struct {
	Kind  Kind
	Limit string // its name, as Parse takes it
	text  string
}

// Exceed returns the error of a limit.
func Exceed(kind Kind, limit, format string, args ...any) error {
	return &Exceeded{kind, limit, fmt.Sprintf(format, args...)}
}

func (e *Exceeded) Error() string {
	return fmt.Sprintf("%s: %s (limit %s)", e.Kind, e.text, e.Limit)
}

// Unwrap implements errors.Unwrap.
func (e *Exceeded) Unwrap() error { return e.Kind }

// At returns the error of a field in a structure at byte off of the image.
func At(off int64, structure, field string, err error) *Error {
	return &Error{Off: off, Structure: structure, Field: field, Err: err}
}

// Bare strips the operation from a path error whose path the caller names already.
func Bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
