package sink

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/isolayer/isolayer/extent"
)

// Observer wants the bytes of an image, all of them and in order: a checksum. Some
// bytes of an image may depend on its others, such as a media checksum in a volume
// descriptor; an observer makes them when it has seen all.
type Observer struct {
	io.Writer
	// Late returns bytes to be laid over the image when Writer has had all; nil if
	// there are none. Where the map has late extents, Writer got zeros.
	Late func() ([]extent.Extent, error)
}

// Feed gives the bytes of an image to observers, in order, and returns the map with
// their late bytes. It is how a checksum that stands in front of what it covers is
// computed for a stream.
func Feed(ctx context.Context, m *extent.Map, progress func(done, total int64), obs ...Observer) (*extent.Map, error) {
	if err := known(m, obs); err != nil {
		return nil, err
	}
	meter := newMeter(progress, m.Size())
	if err := feed(ctx, m.Blank(), obs, meter.add); err != nil {
		return nil, err
	}
	_, sealed, err := late(m, obs)
	return sealed, err
}

// known reports a map with late extents that no observer makes.
func known(m *extent.Map, obs []Observer) error {
	if early, _ := split(obs); len(early) == 0 && !m.Sealed() {
		return extent.ErrUnsealed
	}
	return nil
}

// split separates the observers that have late bytes from the others.
func split(obs []Observer) (early, rest []Observer) {
	for _, o := range obs {
		if o.Late != nil {
			early = append(early, o)
		} else {
			rest = append(rest, o)
		}
	}
	return early, rest
}

// late collects what observers add, and returns the map with it.
func late(m *extent.Map, obs []Observer) ([]extent.Extent, *extent.Map, error) {
	var out []extent.Extent
	for _, o := range obs {
		if o.Late == nil {
			continue
		}
		list, err := o.Late()
		if err != nil {
			return nil, nil, err
		}
		out = append(out, list...)
	}
	sealed, err := m.Overlay(out)
	if err == nil && !sealed.Sealed() {
		err = extent.ErrUnsealed
	}
	return out, sealed, err
}

// block is a buffer on its way from reading to the observers.
type block struct {
	b   []byte
	err error
}

// feed reads ahead by a few buffers, so that reading and computing overlap.
func feed(ctx context.Context, m *extent.Map, obs []Observer, heard func(int64)) error {
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
				_, err := m.ReadAt(b, off)
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
		for _, o := range obs {
			if _, err := o.Write(x.b); err != nil {
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
	seen   atomic.Int64 // bytes heard
}

// observe starts one; the bytes come from the sources, which the writer has just
// read or is about to, never from the output.
func observe(ctx context.Context, m *extent.Map, obs []Observer) *observation {
	ctx, cancel := context.WithCancel(ctx)
	o := &observation{cancel: cancel, done: make(chan error, 1)}
	if len(obs) == 0 {
		o.done <- nil
		return o
	}
	go func() { o.done <- feed(ctx, m, obs, func(n int64) { o.seen.Add(n) }) }()
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
func (w *writer) seal(m *extent.Map, obs []Observer) error {
	list, _, err := late(m, obs)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Kind != extent.Bytes {
			return errors.New("internal error: late extents are bytes")
		}
		if err := w.writeFull(e.Data, e.Off); err != nil {
			return err
		}
	}
	return nil
}
