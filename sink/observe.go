package sink

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/isolayer/isolayer/extent"
)

// Feed gives all bytes of an image to writers, in order, reading ahead of them. progress,
// unless it is nil, is called with how many of total bytes they have, but not when they have all.
func Feed(ctx context.Context, m *extent.Map, progress func(done, total int64), to ...io.Writer) error {
	if !m.Sealed() {
		return extent.ErrUnsealed
	}
	return feed(ctx, m, to, newMeter(progress, m.Size()).add)
}

// block is a buffer on its way from reading to the observers.
type block struct {
	b   []byte
	err error
}

// feed reads ahead by a few buffers, so that reading and computing overlap.
func feed(ctx context.Context, m *extent.Map, to []io.Writer, heard func(int64)) error {
	ctx, cancel := context.WithCancel(ctx)
	const ahead, piece = 3, chunk / 4 // what is read is still near the processor
	free, full := make(chan []byte, ahead), make(chan block, ahead)
	for range ahead {
		free <- make([]byte, min(piece, m.Size()))
	}
	go func() {
		defer close(full)
		for off := int64(0); off < m.Size(); {
			select {
			case <-ctx.Done():
				return
			case b := <-free:
				b = b[:min(piece, m.Size()-off)]
				_, err := m.ReadAtContext(ctx, b, off)
				full <- block{b, err}
				if err != nil {
					return
				}
				off += int64(len(b))
			}
		}
	}()
	defer func() {
		cancel()
		for range full { // until the reader has let go of the sources
		}
	}()
	for x := range full {
		if x.err != nil {
			return x.err
		}
		for _, w := range to {
			if _, err := w.Write(x.b); err != nil {
				return err
			}
		}
		heard(int64(len(x.b)))
		free <- x.b[:cap(x.b)]
	}
	return ctx.Err()
}

// observation is a feed that runs beside a writer.
type observation struct {
	cancel context.CancelFunc
	done   chan error
	seen   atomic.Int64 // bytes observed
}

// observe starts one; the bytes come from the sources, which the writer has just
// read or is about to, never from the output.
func observe(ctx context.Context, m *extent.Map, to []io.Writer) *observation {
	ctx, cancel := context.WithCancel(ctx)
	o := &observation{cancel: cancel, done: make(chan error, 1)}
	if len(to) == 0 {
		o.done <- nil
		return o
	}
	go func() { o.done <- feed(ctx, m, to, func(n int64) { o.seen.Add(n) }) }()
	return o
}

// wait ends the observation: as soon as may be if the writer failed.
func (o *observation) wait(failed error, m *meter) error {
	defer o.cancel()
	if failed != nil {
		o.cancel()
		<-o.done
		return failed
	}
	tell := time.NewTicker(tick)
	defer tell.Stop()
	for {
		select {
		case err := <-o.done:
			return err
		case <-tell.C:
			m.add(0)
		}
	}
}

// seal writes late bytes over what was written.
func (w *writer) seal(x *Pass) error {
	list, err := x.Finish()
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := w.writeFull(e.Data, e.Off); err != nil {
			return err
		}
	}
	return nil
}
