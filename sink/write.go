package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"syscall"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/atomicfile"
)

const (
	// window is how much the kernel copies in one call, and how much is written
	// before it is told to bring that to the disk. The time of cp and fsync is
	// 1; these are medians for 1 GB on ext4, 9 to 15 rounds, alternating: 0.3 to
	// 0.5 with 1, 2 and 8 MiB, 0.7 with 32 MiB, 0.8 to 1.1 if the disk starts
	// only with fsync.
	window = 8 << 20

	// backlog is how much may wait for the disk. To wait costs nothing, since
	// fsync would, and buys that progress is true and that fsync, which cannot
	// be cancelled, is short.
	backlog = 32 << 20
)

// writer brings the bytes of a map into an empty file: it clones what can be
// cloned, then makes sure that the rest fits, then writes that: directly where that
// pays, the remainder in ascending order.
type writer struct {
	ctx   context.Context
	sys   system
	dst   *os.File
	m     *extent.Map
	meter *meter
	res   Result
	space space
	rest  []piece
	buf   []byte

	base    extent.Local // cloned as a whole, or nil
	baseEnd int64        // what lies before was cloned from base
	noClone map[extent.Local]bool
	noShare map[uint64]bool // by device
	noCopy  map[extent.Local]bool
	worth   worth
	noFlush bool
	flushed int64 // writeback has been started up to here
	settled int64 // and waited for up to here
}

func newWriter(ctx context.Context, sys system, dst *os.File, m *extent.Map, o Options) *writer {
	if o.worth == nil {
		o.worth = &usual
	}
	return &writer{
		ctx: ctx, sys: sys, dst: dst, m: m,
		meter:   newMeter(o.Progress, m.Size()),
		res:     Result{Size: m.Size(), Method: MethodWrite},
		noClone: map[extent.Local]bool{},
		noShare: map[uint64]bool{},
		noCopy:  map[extent.Local]bool{},
		worth:   *o.worth,
	}
}

func (w *writer) write() error {
	err := w.prepare()
	if err == nil {
		err = w.reserve()
	}
	if err == nil {
		w.m.Prefetch(w.ctx)
		err = w.direct()
	}
	for i := 0; err == nil && i < len(w.rest); i++ {
		err = w.do(w.rest[i])
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return w.short(err)
	}
	return err
}

// short adds to the news that the disk is full how much would have been needed.
func (w *writer) short(err error) error {
	free := w.space.free
	if now, serr := w.sys.space(w.dst); serr == nil {
		free = now.free
	} else if free == math.MaxInt64 {
		free = 0 // unknown, and full
	}
	return &SpaceError{Needed: w.needed(), Free: free, Err: err}
}

func (w *writer) do(p piece) error {
	switch p.how {
	case leave:
		w.res.Holes += p.n
		w.meter.add(p.n)
		return nil
	case punch:
		return w.punch(p)
	case copied:
		return w.copy(p)
	default:
		return w.through(p.off, p.n)
	}
}

func (w *writer) punch(p piece) error {
	err := atomicfile.Again(func() error { return w.sys.punch(w.dst, p.off, p.n) })
	if atomicfile.Unsupported(err) {
		return w.through(p.off, p.n)
	}
	if err == nil {
		w.res.Holes += p.n
		w.meter.add(p.n)
	}
	return wrap("punch hole", err)
}

// copy lets the kernel copy; what it cannot goes through memory.
func (w *writer) copy(p piece) error {
	if !w.noCopy[p.src] {
		err := p.src.With(func(o *os.File) error { return w.copyIn(&p, o) })
		if err != nil {
			return err
		}
	}
	return w.through(p.off, p.n)
}

// copyIn copies the head of p and makes p what is left of it.
func (w *writer) copyIn(p *piece, src *os.File) error {
	for p.n > 0 {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		n, err := w.sys.copyRange(w.dst, p.off, src, p.srcOff, min(p.n, window))
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case atomicfile.Unsupported(err):
			w.noCopy[p.src] = true
			return nil
		case err != nil:
			return fmt.Errorf("copy %s at %d: %w", p.src.Name(), p.srcOff, err)
		case n == 0: // the source ends here; reading will say so
			return nil
		}
		if w.res.Method == MethodWrite {
			w.res.Method = MethodCopy
		}
		p.off, p.srcOff, p.n = p.off+n, p.srcOff+n, p.n-n
		if err := w.wrote(p.off, n); err != nil {
			return err
		}
	}
	return nil
}

// through writes a range by way of memory.
func (w *writer) through(off, n int64) error {
	for end := off + n; off < end; {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if w.buf == nil {
			w.buf = make([]byte, chunk)
		}
		p := w.buf[:min(chunk, end-off)]
		if _, err := w.m.ReadAtContext(w.ctx, p, off); err != nil {
			return err
		}
		if err := w.writeFull(p, off); err != nil {
			return err
		}
		off += int64(len(p))
		if err := w.wrote(off, int64(len(p))); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) writeFull(p []byte, off int64) error {
	for len(p) > 0 {
		n, err := w.sys.writeAt(w.dst, p, off)
		p, off = p[n:], off+int64(n)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return fmt.Errorf("write at %d: %w", off, err)
		}
	}
	return nil
}

// wrote counts n bytes that end at off and from time to time makes the kernel
// write to the disk, so that the disk works while we copy.
func (w *writer) wrote(off, n int64) error {
	w.res.Written += n
	w.meter.add(n)
	if w.noFlush || off-w.flushed < window {
		return nil
	}
	err := atomicfile.Again(func() error { return w.sys.startWriteback(w.dst, w.flushed, off-w.flushed) })
	w.flushed = off
	if late := off - backlog; err == nil && late > w.settled {
		err = atomicfile.Again(func() error { return w.sys.awaitWriteback(w.dst, w.settled, late-w.settled) })
		w.settled = late
	}
	if atomicfile.Unsupported(err) {
		w.noFlush = true
		return nil
	}
	return wrap("write back", err)
}
