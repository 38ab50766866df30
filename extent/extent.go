// Package extent holds the plan of an image: an ordered list of byte ranges,
// each taken from a file, generated, or zero.
//
// It knows nothing about ISO 9660 and writes nothing; package sink does.
package extent

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Source holds bytes that an image takes over unchanged. ReadAt must be safe
// for concurrent use; the bytes must not change while a map refers to them.
// Sources are told apart by ==, so they must be comparable: pointers, as a rule.
type Source interface {
	io.ReaderAt
	Name() string // for people and for the text form of a map
	Size() int64  // in bytes
}

// Kind says where the bytes of an extent come from.
type Kind uint8

// The kinds of extents.
const (
	Zero  Kind = iota // zero bytes
	Bytes             // Data
	Copy              // Src, from SrcOff on
	Late              // bytes that depend on others and are not known yet
)

func (k Kind) String() string { return [...]string{"zero", "bytes", "copy", "late"}[k] }

// ErrUnsealed reports bytes that are asked for before they are known: they depend on
// other bytes of the image, as a checksum does that stands in it.
var ErrUnsealed = errors.New("bytes that depend on others are not computed yet")

// Extent is one byte range of an image. Off and Len are bytes.
type Extent struct {
	Off, Len int64
	Kind     Kind
	Data     []byte // Bytes: exactly Len bytes, never modified
	Src      Source // Copy
	SrcOff   int64  // Copy: offset in Src
}

// CopyOf is the extent that takes n bytes of src from srcOff on.
func CopyOf(off int64, src Source, srcOff, n int64) Extent {
	return Extent{Off: off, Len: n, Kind: Copy, Src: src, SrcOff: srcOff}
}

// BytesOf is the extent with the given content.
func BytesOf(off int64, data []byte) Extent {
	return Extent{Off: off, Len: int64(len(data)), Kind: Bytes, Data: data}
}

// ZeroOf is the extent of n zero bytes.
func ZeroOf(off, n int64) Extent { return Extent{Off: off, Len: n} }

// End returns the offset behind the extent.
func (e Extent) End() int64 { return e.Off + e.Len }

// String is the extent's line in the text form of a map: offset, length, kind
// and, for bytes, the head of their SHA-256, for copies the source and its offset.
func (e Extent) String() string {
	s := fmt.Sprintf("%d +%d %s", e.Off, e.Len, e.Kind)
	switch e.Kind {
	case Bytes:
		s += fmt.Sprintf(" %x", sha256.Sum256(e.Data))[:17]
	case Copy:
		s += fmt.Sprintf(" %s@%d", e.Src.Name(), e.SrcOff)
	}
	return s
}

// LateOf is the extent of n bytes that are not known yet.
func LateOf(off, n int64) Extent { return Extent{Off: off, Len: n, Kind: Late} }

// Slice returns the part of e that lies in [from, to).
func (e Extent) Slice(from, to int64) Extent {
	from, to = max(from, e.Off), min(to, e.End())
	skip := from - e.Off
	e.Off, e.Len = from, to-from
	switch e.Kind {
	case Bytes:
		e.Data = e.Data[skip : skip+e.Len]
	case Copy:
		e.SrcOff += skip
	}
	return e
}

// joins reports whether b continues a so that both are one extent.
func joins(a, b Extent) bool {
	if a.Kind != b.Kind || a.End() != b.Off {
		return false
	}
	switch a.Kind {
	case Zero:
		return true
	case Copy:
		return a.Src == b.Src && a.SrcOff+a.Len == b.SrcOff
	default:
		return false
	}
}

func (e Extent) check() error {
	switch {
	case e.Off < 0 || e.Len <= 0 || e.Off > e.Off+e.Len:
		return fmt.Errorf("extent %d +%d: bad range", e.Off, e.Len)
	case e.Kind == Bytes && int64(len(e.Data)) != e.Len:
		return fmt.Errorf("extent %d +%d: %d bytes of data", e.Off, e.Len, len(e.Data))
	case e.Kind == Copy && (e.Src == nil || e.SrcOff < 0 || e.Len > e.Src.Size()-e.SrcOff):
		return fmt.Errorf("extent %d +%d: source range %d +%d is not in it", e.Off, e.Len, e.SrcOff, e.Len)
	}
	return nil
}
