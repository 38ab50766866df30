package sink

import (
	"context"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/extent"
)

// Sink is where an image goes: a file, a stream, what a program of somebody else makes of
// it.
type Sink interface {
	// Write writes the image, or nothing: with an error, and when the context ends, what
	// was there before is there, if the medium can take anything back. Bytes that are
	// late are written last, or before others as what they are in the end; a plan whose
	// bytes are not all known is refused with extent.ErrUnsealed before the first of
	// them. A source that changed meanwhile is extent.ErrChanged; see Check.
	Write(ctx context.Context, p Plan, o Options) (Result, error)
}

// Plan is an image to be written. It may be written any number of times, also at once.
// See RATIONALE.md, "A plan has its late bytes, a sink says when".
type Plan struct {
	Map *extent.Map

	// Late make the bytes that the map leaves open: all of its late extents.
	Late []Late

	// Base, unless nil, is the file that the map may be written over; see InPlace.
	Base extent.Source
	// Overwritten are the ranges of what is new at a place that the base uses. Wiped are
	// ranges of zeros that only the base uses.
	Overwritten, Wiped []extent.Extent
}

// Late is a range of an image whose bytes depend on its others, as a checksum does that
// stands in it.
type Late struct {
	Off, Len int64 // bytes; the map has late extents there

	// Start begins to make the bytes, for one writing of the image. w gets all bytes of
	// the image, in order, and zeros for those that are late; what done returns then are
	// the Len bytes. Many may be under way at once.
	Start func() (w io.Writer, done func() ([]byte, error), err error)
}

// Seal returns the map with its late bytes, which takes a pass over all others. progress,
// unless it is nil, is called with how many of total bytes were read, but not when all were.
func (p Plan) Seal(ctx context.Context, progress func(done, total int64)) (*extent.Map, error) {
	x, err := p.Start()
	if err != nil || len(x.list) == 0 {
		return p.Map, err
	}
	meter := newMeter(progress, p.Map.Size())
	if err := feed(ctx, p.Map.Blank(), x.hear, meter.add); err != nil {
		return nil, err
	}
	over, err := x.Finish()
	if err != nil {
		return nil, err
	}
	return p.Map.Overlay(over)
}

// known reports bytes that are not known and that nothing makes, and late ones that are
// known.
func (p Plan) known() error {
	if len(p.Late) == 0 {
		if !p.Map.Sealed() {
			return extent.ErrUnsealed
		}
		return nil
	}
	var over []extent.Extent
	for _, l := range p.Late {
		over = append(over, extent.ZeroOf(l.Off, l.Len))
		for _, e := range p.Map.Range(l.Off, l.Off+l.Len) {
			if e.Kind != extent.Late {
				return fmt.Errorf("late bytes at %d: the map has others there", e.Off)
			}
		}
	}
	m, err := p.Map.Overlay(over)
	if err != nil {
		return fmt.Errorf("late bytes: %w", err)
	}
	if !m.Sealed() {
		return extent.ErrUnsealed
	}
	return nil
}

// Pass is one making of the late bytes of a plan. It is for one goroutine.
type Pass struct {
	list []Late
	hear []io.Writer
	done []func() ([]byte, error)
}

// Start begins the making of all late bytes: what a sink does that can write them last. It
// refuses a plan whose bytes are not all known with extent.ErrUnsealed.
func (p Plan) Start() (*Pass, error) {
	if err := p.known(); err != nil {
		return nil, err
	}
	x := &Pass{list: p.Late}
	for _, l := range p.Late {
		w, done, err := l.Start()
		if err != nil {
			return nil, err
		}
		x.hear, x.done = append(x.hear, w), append(x.done, done)
	}
	return x, nil
}

// Write implements [io.Writer] for all bytes of the image in order: those of Map.Blank, of
// which the late ones are zeros.
func (x *Pass) Write(b []byte) (int, error) {
	for _, w := range x.hear {
		if n, err := w.Write(b); err != nil {
			return n, err
		}
	}
	return len(b), nil
}

// Finish returns the late bytes, when all others were written to the pass.
func (x *Pass) Finish() ([]extent.Extent, error) {
	var out []extent.Extent
	for i, l := range x.list {
		b, err := x.done[i]()
		if err != nil {
			return nil, err
		}
		if int64(len(b)) != l.Len {
			return nil, fmt.Errorf("late bytes at %d: there are %d, not %d", l.Off, len(b), l.Len)
		}
		out = append(out, extent.BytesOf(l.Off, b))
	}
	return out, nil
}
