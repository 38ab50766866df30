package layer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/tree"
)

// Sum identifies content.
type Sum struct {
	SHA256 string // hexadecimal, small letters
	Size   int64  // bytes
}

// String is the sum as PAX records and messages have it.
func (s Sum) String() string { return fmt.Sprintf("sha256:%s %d", s.SHA256, s.Size) }

// Range is a part of content, in bytes.
type Range struct{ Off, Len int64 }

// End returns the offset behind the last byte.
func (r Range) End() int64 { return r.Off + r.Len }

// Patch is content that a layer has as what differs from the content of the same path, or
// of the same boot equipment, in the image that it is applied to. As a source it has its
// name and size; its bytes are known once it is bound.
// See RATIONALE.md, "A layer has of a large file what differs".
type Patch struct {
	Lower, Result Sum // of what it applies to, and of what it makes
	// Ranges of the result are new, the rest is that of the lower content at the same
	// place. They ascend, do not touch, and have all that lies behind the lower content.
	Ranges []Range
	Data   extent.Source // the bytes of the ranges, one behind the other

	name  string
	of    string        // path of the lower file, renames done; "" is that of the entry
	bound extent.Source // what came of it
}

// Limits of patches: the ranges of one keep its records far below the MiB that tar readers
// accept, those of all bound what reading a layer takes.
const (
	maxRanges      = 4096
	maxRangesLayer = 1 << 20
)

// Patches are made where they save at least half, and this many bytes.
const minSaved = 64 << 10

// rangeSize is about what a range takes in the records, in bytes.
const rangeSize = 16

// patchUnit is in which units content is compared, in bytes: the sectors of FAT.
const patchUnit = 512

// Name implements extent.Source.
func (p *Patch) Name() string { return p.name }

// Size implements extent.Source: it is the size of the result.
func (p *Patch) Size() int64 { return p.Result.Size }

// ReadAt implements io.ReaderAt. Before the patch is bound it is an error.
func (p *Patch) ReadAt(b []byte, off int64) (int, error) {
	if p.bound == nil {
		return 0, fmt.Errorf("%s: %w: a patch, whose content is known where the layer is applied", p.name, ErrBase)
	}
	return p.bound.ReadAt(b, off)
}

// Bind returns the result of applying the patch to a lower content, which is read and
// verified, and so is the result. The error is ErrBase if the content is another than the
// one that the patch was made for.
func (p *Patch) Bind(lower extent.Source) (extent.Source, error) {
	if p.bound != nil {
		return p.bound, nil
	}
	if lower.Size() != p.Lower.Size {
		return nil, fmt.Errorf("%w: it patches content of %d bytes, and there are %d", ErrBase, p.Lower.Size, lower.Size())
	}
	sum, err := sumOf(lower)
	if err != nil {
		return nil, err
	}
	if sum != p.Lower {
		return nil, fmt.Errorf("%w: it patches content with SHA-256 %.12s, and what is there has %.12s", ErrBase, p.Lower.SHA256, sum.SHA256)
	}
	m, err := p.compose(lower)
	if err != nil {
		return nil, err
	}
	out := extent.Compose(p.name, m)
	if len(p.Ranges) > 0 || p.Result.Size != p.Lower.Size {
		if sum, err = sumOf(out); err != nil {
			return nil, err
		}
	}
	if sum != p.Result {
		return nil, fmt.Errorf("%w: %s: the result has SHA-256 %s, not %s", ErrFormat, paxResult, sum.SHA256, p.Result.SHA256)
	}
	p.bound = out
	return out, nil
}

// compose puts the ranges over the lower content.
func (p *Patch) compose(lower extent.Source) (*extent.Map, error) {
	var es []extent.Extent
	at, from := int64(0), int64(0)
	copied := func(to int64) {
		if to > at {
			es = append(es, extent.CopyOf(at, lower, at, to-at))
		}
	}
	for _, r := range p.Ranges {
		copied(r.Off)
		es = append(es, extent.CopyOf(r.Off, p.Data, from, r.Len))
		at, from = r.End(), from+r.Len
	}
	copied(p.Result.Size)
	m, err := extent.New(es)
	if err != nil {
		return nil, fmt.Errorf("internal error: %w", err)
	}
	return m, nil
}

// sumOf reads a source.
func sumOf(src extent.Source) (Sum, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{io.NewSectionReader(src, 0, src.Size())}, make([]byte, 1<<20))
	if err == nil && n < src.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Sum{}, fmt.Errorf("read %s: %w", src.Name(), err)
	}
	return Sum{hex.EncodeToString(h.Sum(nil)), n}, nil
}

// differ makes the patch that turns a content into another one, of most ranges or less;
// nil where one saves too little.
func differ(lower, result extent.Source, most int) (*Patch, error) {
	size := result.Size()
	room := min(size/2, size-minSaved) // for new bytes
	if room < max(0, size-lower.Size()) || lower.Size() == 0 {
		return nil, nil
	}
	p := &Patch{name: result.Name()}
	ranges, err := p.compare(lower, result, room)
	if ranges == nil || err != nil {
		return nil, err
	}
	if p.Ranges = ranges.coarse(min(most, maxRanges)); p.Ranges == nil && len(ranges.list) > 0 {
		return nil, nil
	}
	var es []extent.Extent
	at := int64(0)
	for _, r := range p.Ranges {
		es = append(es, extent.CopyOf(at, result, r.Off, r.Len))
		at += r.Len
	}
	if at+int64(len(p.Ranges))*rangeSize > room {
		return nil, nil
	}
	m, err := extent.New(es)
	if err != nil {
		return nil, fmt.Errorf("internal error: %w", err)
	}
	p.Data, p.bound = extent.Compose(result.Name(), m), result
	return p, nil
}

// compare reads both contents: their sums go into the patch. It returns where the result
// is other than the lower content; nil if that is more than room.
func (p *Patch) compare(lower, result extent.Source, room int64) (*ranges, error) {
	const step = 1 << 20
	was, is := sha256.New(), sha256.New()
	x, y := make([]byte, step), make([]byte, step)
	out := &ranges{}
	for off := int64(0); off < max(lower.Size(), result.Size()); off += step {
		a, err := window(lower, x, off)
		if err != nil {
			return nil, err
		}
		b, err := window(result, y, off)
		if err != nil {
			return nil, err
		}
		was.Write(a)
		is.Write(b)
		for at := 0; at < len(b); at += patchUnit {
			to := min(at+patchUnit, len(b))
			if to > len(a) || !bytes.Equal(a[at:to], b[at:to]) {
				out.add(Range{off + int64(at), int64(to - at)})
			}
		}
		if out.bytes > room {
			return nil, nil
		}
	}
	p.Lower = Sum{hex.EncodeToString(was.Sum(nil)), lower.Size()}
	p.Result = Sum{hex.EncodeToString(is.Sum(nil)), result.Size()}
	return out, nil
}

// window reads what a source has at off into the buffer.
func window(src extent.Source, buf []byte, off int64) ([]byte, error) {
	buf = buf[:max(0, min(int64(len(buf)), src.Size()-off))]
	if n, err := src.ReadAt(buf, off); n < len(buf) {
		return nil, fmt.Errorf("compare %s: %w", src.Name(), errors.Join(err, io.ErrUnexpectedEOF))
	}
	return buf, nil
}

// ranges are ranges that ascend and do not touch.
type ranges struct {
	list  []Range
	bytes int64
}

// add adds a range behind the others.
func (l *ranges) add(r Range) {
	l.bytes += r.Len
	if n := len(l.list); n > 0 && l.list[n-1].End() == r.Off {
		l.list[n-1].Len += r.Len
		return
	}
	l.list = append(l.list, r)
}

// coarse closes the smallest gaps until there are at most n ranges; nil if there is no way.
func (l *ranges) coarse(n int) []Range {
	list := l.list
	for gap := int64(patchUnit); len(list) > n; gap *= 2 {
		if n == 0 {
			return nil
		}
		var out []Range
		for _, r := range list {
			if k := len(out); k > 0 && r.Off-out[k-1].End() <= gap {
				out[k-1].Len = r.End() - out[k-1].Off
				continue
			}
			out = append(out, r)
		}
		list = out
	}
	return list
}

// records are the PAX records of a patch in the entry of a path.
func (p *Patch) records(file string) map[string]string {
	var b strings.Builder
	for i, r := range p.Ranges {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d+%d", r.Off, r.Len)
	}
	out := map[string]string{paxLower: p.Lower.String(), paxResult: p.Result.String()}
	if b.Len() > 0 { // tar has no empty records
		out[paxRanges] = b.String()
	}
	if p.of != "" && p.of != file { // the file of that name has links, of which this is one
		out[paxOf] = p.of
	}
	return out
}

// isPatch reports PAX records of a patch.
func isPatch(records map[string]string) bool {
	for key := range records {
		if strings.HasPrefix(key, paxPatch) {
			return true
		}
	}
	return false
}

// parsePatch reads a patch: its data is the content of the entry.
func parsePatch(name string, records map[string]string, data extent.Source, most int) (*Patch, error) {
	p := &Patch{name: name, Data: data}
	for _, s := range []struct {
		key string
		sum *Sum
	}{{paxLower, &p.Lower}, {paxResult, &p.Result}} {
		var err error
		if *s.sum, err = parseSum(records[s.key]); err != nil {
			return nil, fmt.Errorf("%w: %s %w", ErrFormat, s.key, err)
		}
	}
	if of, ok := records[paxOf]; ok {
		if clean, err := tree.Clean(of); err != nil || clean != of {
			return nil, fmt.Errorf("%w: %s %q: want a path", ErrFormat, paxOf, clip(of))
		}
		p.of = of
	}
	if err := p.parseRanges(records[paxRanges], min(most, maxRanges)); err != nil {
		return nil, fmt.Errorf("%s: %w", paxRanges, err)
	}
	return p, nil
}

// parseSum reads "sha256:HEX SIZE".
func parseSum(text string) (Sum, error) {
	digest, size, ok := strings.Cut(text, " ")
	sum, ok2 := strings.CutPrefix(digest, "sha256:")
	if b, err := hex.DecodeString(sum); !ok || !ok2 || err != nil || len(b) != sha256.Size || strings.ToLower(sum) != sum {
		return Sum{}, fmt.Errorf("%q: want sha256:HEX SIZE", clip(text))
	}
	n, err := decimal(size)
	if err != nil {
		return Sum{}, fmt.Errorf("%q: want sha256:HEX SIZE", clip(text))
	}
	return Sum{sum, n}, nil
}

// parseRanges reads "OFF+LEN OFF+LEN …" and checks them against the sizes.
func (p *Patch) parseRanges(text string, most int) error {
	if n := strings.Count(text, "+"); n > most {
		return fmt.Errorf("%w: %d ranges, at most %d", ErrFormat, n, most)
	}
	end, n := int64(-1), int64(0)
	for s := range strings.FieldsSeq(text) {
		off, size, _ := strings.Cut(s, "+")
		a, err := decimal(off)
		b, err2 := decimal(size)
		switch r := (Range{a, b}); {
		case err != nil || err2 != nil || b == 0:
			return fmt.Errorf("%w: %q: want OFFSET+LENGTH", ErrFormat, clip(s))
		case a <= end:
			return fmt.Errorf("%w: %s begins in front of %d, where the one before ends", ErrFormat, clip(s), end+1)
		case b > p.Result.Size || a > p.Result.Size-b:
			return fmt.Errorf("%w: %s lies outside of the result's %d bytes", ErrFormat, clip(s), p.Result.Size)
		default:
			p.Ranges = append(p.Ranges, r)
			end, n = r.End(), n+b
		}
	}
	if n != p.Data.Size() {
		return fmt.Errorf("%w: they have %d bytes, the content of the entry %d", ErrFormat, n, p.Data.Size())
	}
	return p.covered()
}

// covered reports a result which is longer than what lower content and ranges have.
func (p *Patch) covered() error {
	if p.Result.Size <= p.Lower.Size {
		return nil
	}
	if k := len(p.Ranges); k == 0 || p.Ranges[k-1].End() < p.Result.Size || p.Ranges[k-1].Off > p.Lower.Size {
		return fmt.Errorf("%w: the bytes from %d to %d of the result are in no range", ErrFormat, p.Lower.Size, p.Result.Size)
	}
	return nil
}

// decimal reads a number in the one way to write it.
func decimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) != s || n < 0 {
		err = strconv.ErrSyntax
	}
	return n, err
}

// clip shortens hostile text for messages.
func clip(s string) string { return s[:min(len(s), 100)] }
