package pe

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
)

// Digest reads the whole program and computes its Authenticode digest, in the
// order of Microsoft's "Windows Authenticode Portable Executable Signature
// Format": headers, sections by their place, what lies behind them.
func (b *Binary) Digest() (Digest, error) {
	spans, err := b.signed()
	if err != nil {
		return Digest{}, err
	}
	h := sha256.New()
	for _, s := range spans {
		if err := b.hash(h, s); err != nil {
			return Digest{}, err
		}
	}
	return Digest(h.Sum(nil)), nil
}

// signed returns the ranges that the digest covers, in order. They do not
// overlap, so the digest reads no byte twice.
func (b *Binary) signed() ([]span, error) {
	out := []span{{0, b.checksum}}
	rest := b.checksum + 4
	if b.entry != 0 {
		out = append(out, span{rest, b.entry - rest})
		rest = b.entry + sizeDirectory
	}
	out = append(out, span{rest, b.headers - rest})
	end := b.headers
	sections := slices.Clone(b.sections)
	slices.SortStableFunc(sections, func(x, y section) int { return cmp.Compare(x.off, y.off) })
	covered := b.headers
	for _, s := range sections {
		if s.n == 0 {
			continue
		}
		if s.off < end {
			return nil, formatError(s.off, "section", s.name, ErrFormat, "overlaps what is before it up to %d", end)
		}
		out = append(out, s.span)
		covered += s.n
		end = s.end()
	}
	last := b.size
	if b.certs.n != 0 {
		if last = b.certs.off; b.certs.end() != b.size || last < covered {
			return nil, formatError(b.certs.off, "certificate table", "", ErrFormat, "it does not end the file")
		}
	}
	return append(out, span{covered, max(0, last-covered)}), nil
}

func (b *Binary) hash(h hash.Hash, s span) error {
	n, err := io.Copy(h, io.NewSectionReader(b.r, s.off, s.n))
	if err != nil {
		return fmt.Errorf("read program at %d: %w", s.off+n, err)
	}
	if n < s.n {
		return formatError(s.off, "program", "", ErrTruncated, "%d of %d bytes", n, s.n)
	}
	return nil
}

// Intact reports whether the program is the one that a signature was made for.
// It does not say whether the signature itself is good.
func (b *Binary) Intact(s Signature) (bool, error) {
	if !s.Algorithm.Equal(oidSHA256) {
		return false, nil
	}
	d, err := b.Digest()
	return err == nil && slices.Equal(d[:], s.Digest), err
}
