package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/sinktest"
	"github.com/isolayer/isolayer/sink"
)

// minPart is the least that a part of an object but its last has, with those who store
// objects.
const minPart = 5 << 20

// bucket has one object, which is made of parts that are there in any order: what it is
// becomes seen when they are complete.
type bucket struct {
	object  []byte
	uploads int
}

type upload struct {
	b     *bucket
	parts map[int][]byte
}

func (b *bucket) begin() *upload {
	b.uploads++
	return &upload{b, map[int][]byte{}}
}

func (u *upload) put(number int, data []byte) error {
	if number < 1 || number > 10_000 {
		return fmt.Errorf("part %d", number)
	}
	u.parts[number] = bytes.Clone(data)
	return nil
}

func (u *upload) abort() { u.b.uploads-- }

func (u *upload) complete() error {
	object := []byte{}
	for i := range len(u.parts) {
		part, ok := u.parts[i+1]
		if !ok || len(part) < minPart && i+1 < len(u.parts) {
			return fmt.Errorf("part %d of %d bytes", i+1, len(part))
		}
		object = append(object, part...)
	}
	u.b.uploads--
	u.b.object = object
	return nil
}

// parts is a sink that uploads parts as they come, but for those with late bytes, which
// wait.
type parts struct{ to *bucket }

// Write implements sink.Sink.
func (s parts) Write(ctx context.Context, p sink.Plan, o sink.Options) (sink.Result, error) {
	if len(o.Observe) > 0 { // who hears all bytes, late ones too, hears them in order
		m, err := p.Seal(ctx, o.Progress)
		if err != nil {
			return sink.Result{}, err
		}
		p = sink.Plan{Map: m}
	}
	x, err := p.Start()
	if err != nil {
		return sink.Result{}, err
	}
	u := s.to.begin()
	if err := s.fill(ctx, u, p, x, o); err != nil {
		u.abort()
		return sink.Result{}, fmt.Errorf("upload: %w", err)
	}
	if o.Progress != nil {
		o.Progress(p.Map.Size(), p.Map.Size())
	}
	return sink.Result{Size: p.Map.Size(), Written: p.Map.Size(), Method: sink.MethodWrite}, nil
}

func (s parts) fill(ctx context.Context, u *upload, p sink.Plan, x *sink.Pass, o sink.Options) error {
	hear := io.MultiWriter(append([]io.Writer{x}, o.Observe...)...)
	wait, blank := map[int][]byte{}, p.Map.Blank()
	size := p.Map.Size()
	for number, off := 1, int64(0); number == 1 || off < size; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := make([]byte, min(minPart, size-off))
		if _, err := blank.ReadAt(b, off); err != nil {
			return err
		}
		if _, err := hear.Write(b); err != nil {
			return err
		}
		late := slices.ContainsFunc(p.Map.Range(off, off+int64(len(b))), func(e extent.Extent) bool { return e.Kind == extent.Late })
		if late {
			wait[number] = b
		} else if err := u.put(number, b); err != nil {
			return err
		}
		off += int64(len(b))
		if o.Progress != nil && off < size {
			o.Progress(off, size)
		}
	}
	list, err := x.Finish()
	if err != nil {
		return err
	}
	for number, b := range wait {
		from := int64(number-1) * minPart
		for _, e := range list {
			if e.End() > from && e.Off < from+int64(len(b)) {
				e = e.Slice(from, from+int64(len(b)))
				copy(b[e.Off-from:], e.Data)
			}
		}
		if err := u.put(number, b); err != nil {
			return err
		}
	}
	if err := errors.Join(ctx.Err(), sink.Check(ctx, p.Map, nil)); err != nil {
		return err
	}
	return u.complete()
}

// TestPartsIsASink: somebody else's sink, of another kind than ours.
func TestPartsIsASink(t *testing.T) {
	sinktest.Test(t, func(t *testing.T, _ string) sinktest.Medium {
		b := &bucket{object: []byte("old")}
		return sinktest.Medium{Sink: parts{b}, Has: func() []byte {
			if b.uploads != 0 {
				t.Errorf("%d uploads are left", b.uploads)
			}
			return b.object
		}}
	})
}
