package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"github.com/isolayer/isolayer/internal/atomicfile"
)

const (
	// directWindow is how much one call brings to the disk: from 1 to 8 MiB the
	// measured time is the same.
	directWindow = 4 << 20

	// directMap is the shortest range of a source that is worth mapping.
	directMap = 32 << 10

	// directAhead is how many windows are ready, or being made so, at once.
	directAhead = 2
)

// worth says when to leave out the page cache. Amounts are bytes.
type worth struct {
	// least is the amount to write from which on it is tried. A small image has little to
	// gain, and whoever reads it next finds it in the page cache.
	least int64

	// span is the shortest range to write so.
	span int64

	// rate, a second, is what the disk must reach: whoever wants the image next reads it
	// back at about that rate. On slower disks the page cache is worth more than the
	// time of the processor that it costs.
	rate float64

	// trial is how much is written before the rate counts.
	trial int64
}

var usual = worth{least: 512 << 20, span: 1 << 20, rate: 512 << 20, trial: 64 << 20}

// span is a range of the output, of whole blocks and pages, with what is to do in it.
type span struct {
	off, n int64
	pieces []piece // ascending
}

// spans parts what is to do in spans and what they leave, both ascending.
func (w *writer) spans() (list []span, others []piece) {
	unit := max(w.space.block, int64(os.Getpagesize()))
	rest := slices.Clone(w.rest)
	for off, n := range w.data {
		from, to := (off+unit-1)&^(unit-1), min(off+n, w.m.Size())&^(unit-1)
		if to-from < w.worth.span {
			continue
		}
		var before []piece
		before, rest = part(rest, from)
		others = append(others, before...)
		for at := from; at < to; at += directWindow {
			x := span{off: at, n: min(directWindow, to-at)}
			x.pieces, rest = part(rest, at+x.n)
			list = append(list, x)
		}
	}
	return list, append(others, rest...)
}

// part returns the pieces before an offset and, in the same memory, those behind it.
func part(pieces []piece, at int64) (before, behind []piece) {
	i, _ := slices.BinarySearchFunc(pieces, at, func(p piece, at int64) int { return cmp.Compare(p.end(), at) })
	for i < len(pieces) && pieces[i].end() <= at {
		i++
	}
	before = slices.Clone(pieces[:i])
	if i < len(pieces) && pieces[i].off < at {
		p := &pieces[i]
		head := *p
		head.n = at - p.off
		before = append(before, head)
		p.off, p.srcOff, p.n = at, p.srcOff+head.n, p.n-head.n
	}
	return before, pieces[i:]
}

// direct writes long ranges without the page cache of the output: the disk takes them
// from where the page cache has the sources, so that nobody copies them. What is left
// to do, which is everything where that is not possible, is w.rest again.
// See RATIONALE.md, "Large images go around the page cache".
func (w *writer) direct() error {
	list, others := w.spans()
	var sum int64
	for _, x := range list {
		sum += x.n
	}
	if sum < w.worth.least || len(list) == 0 {
		return nil
	}
	f, err := w.sys.openDirect(w.dst)
	if err != nil { // then not: the other ways need no further descriptor
		return nil
	}
	left, err := w.drive(f, list)
	if err = errors.Join(err, wrap("close", w.sys.Close(f))); err != nil {
		return err
	}
	w.rest = append(others, left...)
	slices.SortFunc(w.rest, func(a, b piece) int { return cmp.Compare(a.off, b.off) })
	w.flushed, w.settled = 0, 0
	return nil
}

// drive writes spans as they get ready. It returns what it left undone since that is
// not possible here, or not worth it.
func (w *writer) drive(f *os.File, list []span) (left []piece, err error) {
	ctx, cancel := context.WithCancel(w.ctx)
	free, ready := make(chan *load, directAhead), make(chan *load)
	for range directAhead {
		free <- &load{buf: pages(directWindow)}
	}
	go func() {
		defer close(ready)
		for _, x := range list {
			select {
			case <-ctx.Done():
				return
			case l := <-free:
				l.fill(w, x)
				ready <- l
			}
		}
	}()
	defer func() {
		cancel()
		for l := range ready {
			err = errors.Join(err, l.release(w.sys))
		}
	}()
	done := 0
	var took time.Duration
	var sum int64
	for l := range ready {
		start := time.Now()
		n, err := l.write(w, f)
		took, sum = took+time.Since(start), sum+n
		if err = errors.Join(err, l.release(w.sys)); err != nil {
			return nil, err
		}
		done++
		if n < l.n {
			_, left = part(slices.Clone(l.pieces), l.off+n)
			break
		}
		if sum >= w.worth.trial && float64(sum) < took.Seconds()*w.worth.rate {
			break
		}
		free <- l
	}
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	for _, x := range list[done:] {
		left = append(left, x.pieces...)
	}
	return left, nil
}

// load is a span with its bytes.
type load struct {
	span
	err  error
	buf  []byte   // for what is not mapped
	vec  [][]byte // the bytes, in order
	maps [][]byte // those of them that are mapped
}

// fill maps what can be mapped and reads the rest.
func (l *load) fill(w *writer, x span) {
	l.span, l.err, l.vec = x, nil, l.vec[:0]
	buf, at := l.buf, x.off
	read := func(to int64) {
		if l.err != nil || to == at {
			return
		}
		b := buf[:to-at]
		_, l.err = w.m.ReadAtContext(w.ctx, b, at)
		l.vec, buf = append(l.vec, b), buf[to-at:]
	}
	page := int64(os.Getpagesize())
	for _, p := range x.pieces {
		lo, hi := (p.off+page-1)&^(page-1), p.end()&^(page-1)
		if p.how != copied || (p.off-p.srcOff)&(page-1) != 0 || hi-lo < directMap {
			continue
		}
		var b []byte
		err := p.src.With(func(o *os.File) (err error) {
			b, err = w.sys.mapFile(o, p.srcOff+lo-p.off, hi-lo)
			return err
		})
		if err != nil { // to read will work, or tell why not
			continue
		}
		read(lo)
		l.vec, l.maps, at = append(l.vec, b), append(l.maps, b), hi
	}
	read(x.off + x.n)
}

// write writes the span and returns how many bytes, from its start, are in place: not
// all if that cannot be done this way.
func (l *load) write(w *writer, f *os.File) (n int64, err error) {
	if l.err != nil {
		return 0, l.err
	}
	err = atomicfile.Again(func() (err error) {
		n, err = w.sys.writeDirect(f, l.vec, l.off)
		return err
	})
	// EFAULT: a source got shorter, or its disk failed.
	if err != nil && !atomicfile.Unsupported(err) && !errors.Is(err, syscall.EFAULT) && !errors.Is(err, syscall.ENOMEM) {
		return n, fmt.Errorf("write at %d: %w", l.off, err)
	}
	if n > 0 && w.res.Method != MethodReflink {
		w.res.Method = MethodDirect
	}
	before, _ := part(slices.Clone(l.pieces), l.off+n)
	var sum int64
	for _, p := range before {
		sum += p.n
	}
	// To write back is nothing to do then, but for file systems that use their cache all
	// the same, such as ext4 with data=journal.
	return n, w.wrote(l.off+n, sum)
}

// release gives the mapped memory back.
func (l *load) release(sys system) error {
	var errs []error
	for _, b := range l.maps {
		errs = append(errs, wrap("unmap", sys.unmap(b)))
	}
	l.maps = l.maps[:0]
	return errors.Join(errs...)
}

// pages returns n bytes of memory that start on a page.
func pages(n int) []byte {
	page := os.Getpagesize()
	b := make([]byte, n+page)
	return b[-uintptr(unsafe.Pointer(&b[0]))&uintptr(page-1):][:n:n]
}
