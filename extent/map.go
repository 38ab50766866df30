package extent

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

// Map is an image as a plan: extents sorted by offset, without gap or overlap,
// from 0 to Size. Neighbours that are one range of one source are one extent.
// A Map never changes; ReadAt is safe for concurrent use.
type Map struct {
	extents []Extent
}

// New makes a map of extents in any order. They must not overlap and must leave
// no gap between 0 and the last end.
func New(extents []Extent) (*Map, error) {
	sorted := slices.Clone(extents)
	slices.SortFunc(sorted, func(a, b Extent) int { return cmp.Compare(a.Off, b.Off) })
	m := &Map{extents: make([]Extent, 0, len(sorted))}
	for _, e := range sorted {
		if err := e.check(); err != nil {
			return nil, err
		}
		if e.Off != m.Size() {
			return nil, fmt.Errorf("extent %d +%d: expected at %d", e.Off, e.Len, m.Size())
		}
		m.push(e)
	}
	return m, nil
}

// Whole is the map of everything that src holds.
func Whole(src Source) *Map {
	if src.Size() == 0 {
		return &Map{}
	}
	return &Map{extents: []Extent{CopyOf(0, src, 0, src.Size())}}
}

// push appends an extent that starts where the map ends.
func (m *Map) push(e Extent) {
	if n := len(m.extents); n > 0 && joins(m.extents[n-1], e) {
		m.extents[n-1].Len += e.Len
		return
	}
	m.extents = append(m.extents, e)
}

// Size returns the length of the image in bytes.
func (m *Map) Size() int64 {
	if len(m.extents) == 0 {
		return 0
	}
	return m.extents[len(m.extents)-1].End()
}

// Extents returns the extents; the caller must not modify them.
func (m *Map) Extents() []Extent { return m.extents }

// Range returns the extents of [from, to), the first and the last cut to it.
func (m *Map) Range(from, to int64) []Extent {
	i := sort.Search(len(m.extents), func(i int) bool { return m.extents[i].End() > from })
	var out []Extent
	for ; i < len(m.extents) && m.extents[i].Off < to; i++ {
		out = append(out, m.extents[i].Slice(from, to))
	}
	return out
}

// Resize returns the map cut, or continued with zeros, to size bytes.
func (m *Map) Resize(size int64) *Map {
	out := &Map{extents: make([]Extent, 0, len(m.extents)+1)}
	for _, e := range m.extents {
		if e.Off < size {
			out.push(e.Slice(0, size))
		}
	}
	if n := size - out.Size(); n > 0 {
		out.push(ZeroOf(out.Size(), n))
	}
	return out
}

// Overlay returns the map with the given extents, in any order, in place of
// what they cover. They must lie inside the map and not overlap each other.
func (m *Map) Overlay(over []Extent) (*Map, error) {
	sorted := slices.Clone(over)
	slices.SortFunc(sorted, func(a, b Extent) int { return cmp.Compare(a.Off, b.Off) })
	out := &Map{extents: make([]Extent, 0, len(m.extents)+2*len(sorted))}
	under := m.extents
	// fill takes over what lies underneath, up to the given end.
	fill := func(end int64) {
		for len(under) > 0 && out.Size() < end {
			if under[0].End() <= out.Size() {
				under = under[1:]
				continue
			}
			out.push(under[0].Slice(out.Size(), end))
		}
	}
	for _, e := range sorted {
		if err := e.check(); err != nil {
			return nil, err
		}
		if e.End() > m.Size() {
			return nil, fmt.Errorf("extent %d +%d: passes the end at %d", e.Off, e.Len, m.Size())
		}
		fill(e.Off)
		if e.Off != out.Size() {
			return nil, fmt.Errorf("extent %d +%d: overlaps the one before it, which ends at %d", e.Off, e.Len, out.Size())
		}
		out.push(e)
	}
	fill(m.Size())
	return out, nil
}

// Sealed reports whether all bytes are known: no extent is Late.
func (m *Map) Sealed() bool {
	return !slices.ContainsFunc(m.extents, func(e Extent) bool { return e.Kind == Late })
}

// Blank returns the map with zeros for what is not known yet. It is what a checksum is
// computed from that takes its own place as filled with something.
func (m *Map) Blank() *Map {
	if m.Sealed() {
		return m
	}
	out := &Map{extents: make([]Extent, 0, len(m.extents))}
	for _, e := range m.extents {
		if e.Kind == Late {
			e.Kind = Zero
		}
		out.push(e)
	}
	return out
}

// ReadAt reads the image's bytes as if it were written out. A source that ends
// early gives io.ErrUnexpectedEOF, never a short image; bytes that are not known yet
// give ErrUnsealed, never others in their place.
func (m *Map) ReadAt(p []byte, off int64) (int, error) {
	return m.ReadAtContext(context.Background(), p, off)
}

// ReadAtContext is ReadAt that ends with the context where the source can; see ContextReader.
func (m *Map) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	i := sort.Search(len(m.extents), func(i int) bool { return m.extents[i].End() > off })
	end := off + min(int64(len(p)), m.Size()-off)
	n := 0
	for ; i < len(m.extents) && n < len(p); i++ {
		e := m.extents[i].Slice(off+int64(n), end)
		if err := e.read(ctx, p[n:n+int(e.Len)]); err != nil {
			return n, err
		}
		n += int(e.Len)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read fills p, which is as long as the extent.
func (e Extent) read(ctx context.Context, p []byte) error {
	switch e.Kind {
	case Bytes:
		copy(p, e.Data)
	case Zero:
		clear(p)
	case Late:
		return fmt.Errorf("read at %d: %w", e.Off, ErrUnsealed)
	case Copy:
		n, err := readAt(ctx, e.Src, p, e.SrcOff)
		if n == len(p) {
			return nil
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %s at %d: %w", e.Src.Name(), e.SrcOff+int64(n), err)
	}
	return nil
}

// readAt reads from a source, with the context if it takes one.
func readAt(ctx context.Context, src Source, p []byte, off int64) (int, error) {
	if x, ok := src.(ContextReader); ok {
		return x.ReadAtContext(ctx, p, off)
	}
	return src.ReadAt(p, off)
}

// Prefetch announces to the sources what the map takes of them, in the order of the image;
// see Prefetcher.
func (m *Map) Prefetch(ctx context.Context) {
	ranges := map[Source][]Range{}
	var order []Source
	for _, e := range m.extents {
		if _, ok := e.Src.(Prefetcher); !ok {
			continue
		}
		if ranges[e.Src] == nil {
			order = append(order, e.Src)
		}
		ranges[e.Src] = append(ranges[e.Src], Range{e.SrcOff, e.Len})
	}
	for _, src := range order {
		src.(Prefetcher).Prefetch(ctx, ranges[src])
	}
}

// WriteText writes the golden form: one line an extent.
func (m *Map) WriteText(w io.Writer) error {
	bw := bufio.NewWriter(w)
	for _, e := range m.extents {
		fmt.Fprintln(bw, e)
	}
	return bw.Flush()
}

// Written returns how many bytes do not come from src: what a sink that clones
// src has to write.
func (m *Map) Written(src Source) int64 {
	var n int64
	for _, e := range m.extents {
		if e.Kind != Copy || e.Src != src || e.Off != e.SrcOff {
			n += e.Len
		}
	}
	return n
}
