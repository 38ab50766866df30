package sink

import (
	"errors"
	"math"
	"os"
	"syscall"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/atomicfile"
)

const (
	// minBulk is the length from which on an extent is worth system calls of
	// its own. Shorter ones are gathered in memory with their neighbours.
	minBulk = 64 << 10

	// minHole is the length from which on zeros behind written data are left out.
	minHole = 8 << 10

	// maxBlock is the largest block that is believed to be one: network file
	// systems name their transfer size.
	maxBlock = 64 << 10

	// maxAllocate bounds one allocation, since some file systems start it anew
	// after a signal.
	maxAllocate = 256 << 20
)

// how says what is done for a piece.
type how uint8

const (
	leave   how = iota // nothing: the bytes are zero already
	punch              // make zero what was cloned
	copied             // copy in the kernel
	written            // read and write
)

// piece is a range of the output that is not in place yet.
type piece struct {
	off, n int64
	how    how
	src    extent.Local // copied: the source
	srcOff int64
}

func (p piece) end() int64 { return p.off + p.n }

// prepare gives the file its size, clones, and lists what is left to do.
func (w *writer) prepare() error {
	err := atomicfile.Again(func() (err error) {
		w.space, err = w.sys.space(w.dst)
		return err
	})
	if atomicfile.Unsupported(err) {
		w.space.free = math.MaxInt64
	} else if err != nil {
		return wrap("free space", err)
	}
	if b := w.space.block; b <= 0 || b > maxBlock || b&(b-1) != 0 {
		w.space.block = 4096
	}
	if err := w.cloneBase(); err != nil {
		return err
	}
	if err := atomicfile.Again(func() error { return w.sys.truncate(w.dst, w.m.Size()) }); err != nil {
		return wrap("truncate", err)
	}
	for _, e := range w.m.Extents() {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.list(e); err != nil {
			return err
		}
	}
	return nil
}

// cloneBase clones the source that most of the map takes over unmoved: one call
// then does for all of its extents, and for blocks shared with an edit.
func (w *writer) cloneBase() error {
	base := mainSource(w.m)
	if base == nil {
		return nil
	}
	err := base.With(func(src *os.File) error {
		return atomicfile.Again(func() error { return w.sys.clone(w.dst, src) })
	})
	if atomicfile.Unsupported(err) {
		w.noClone[base] = true
		return nil
	}
	if err != nil {
		return wrap("clone "+base.Name(), err)
	}
	w.base, w.baseEnd = base, min(base.Size(), w.m.Size())
	w.res.Method = MethodReflink
	return nil
}

// mainSource returns the file that more than half of the map, and of the file,
// is at the same offset in both; nil if there is none.
func mainSource(m *extent.Map) extent.Local {
	kept := map[extent.Local]int64{}
	for _, e := range m.Extents() {
		if f, ok := e.Src.(extent.Local); ok && e.Off == e.SrcOff {
			kept[f] += e.Len
		}
	}
	for f, n := range kept { // at most one can be
		if n >= minBulk && n > max(m.Size(), f.Size())/2 {
			return f
		}
	}
	return nil
}

// list adds the work that an extent is.
func (w *writer) list(e extent.Extent) error {
	src, isFile := e.Src.(extent.Local)
	switch {
	case isFile && src == w.base && e.Off == e.SrcOff:
		w.res.Cloned += e.Len
		w.meter.add(e.Len)
	case isFile && e.Len >= minBulk && w.noShare[src.Device()] && !src.Sparse():
		w.add(piece{off: e.Off, n: e.Len, how: copied, src: src, srcOff: e.SrcOff})
	case isFile && e.Len >= minBulk:
		return src.With(func(o *os.File) error { return w.listBulk(e, src, o) })
	case e.Kind == extent.Zero:
		w.zero(e.Off, e.Len)
	default:
		w.add(piece{off: e.Off, n: e.Len, how: written})
	}
	return nil
}

// listBulk clones the whole blocks of a long copy and adds what that leaves.
func (w *writer) listBulk(e extent.Extent, src extent.Local, o *os.File) error {
	block := w.space.block
	head := -e.Off & (block - 1)
	n := (e.Len - head) &^ (block - 1)
	if w.noClone[src] || w.noShare[src.Device()] || (e.Off-e.SrcOff)&(block-1) != 0 || n <= 0 {
		return w.listData(e, src, o)
	}
	err := atomicfile.Again(func() error { return w.sys.cloneRange(w.dst, e.Off+head, o, e.SrcOff+head, n) })
	if atomicfile.Unsupported(err) {
		w.noClone[src] = true
		// What neither the file system nor the pair of them can do, no other file can.
		w.noShare[src.Device()] = errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EXDEV)
		return w.listData(e, src, o)
	}
	if err != nil {
		return wrap("clone "+src.Name(), err)
	}
	w.res.Method = MethodReflink
	w.res.Cloned += n
	w.meter.add(n)
	w.add(piece{off: e.Off, n: head, how: written})
	w.add(piece{off: e.Off + head + n, n: e.Len - head - n, how: written})
	return nil
}

// listData adds the data of a long copy, and its holes as zeros.
func (w *writer) listData(e extent.Extent, src extent.Local, o *os.File) error {
	for at := e.SrcOff; at < e.SrcOff+e.Len; {
		var start, end int64
		err := atomicfile.Again(func() (err error) {
			start, end, err = w.sys.nextRange(o, at)
			return err
		})
		if atomicfile.Unsupported(err) {
			start, end = at, e.SrcOff+e.Len
		} else if err != nil {
			return wrap("find data of "+src.Name(), err)
		}
		start = min(start, e.SrcOff+e.Len)
		end = min(end, e.SrcOff+e.Len)
		shift := e.Off - e.SrcOff
		w.zero(at+shift, start-at)
		w.add(piece{off: start + shift, n: end - start, how: copied, src: src, srcOff: start})
		at = end
	}
	return nil
}

// zero adds a range of zeros.
func (w *writer) zero(off, n int64) {
	p := piece{off: off, n: n, how: leave}
	switch cloned := off < w.baseEnd; {
	case cloned && n >= minBulk:
		p.how = punch
	case cloned, n < minHole && w.follows(off):
		p.how = written
	}
	w.add(p)
}

// follows reports whether written data ends at off.
func (w *writer) follows(off int64) bool {
	last := len(w.rest) - 1
	return last >= 0 && w.rest[last].how == written && w.rest[last].end() == off
}

func (w *writer) add(p piece) {
	switch {
	case p.n == 0:
	case p.how == written && w.follows(p.off):
		w.rest[len(w.rest)-1].n += p.n
	default:
		w.rest = append(w.rest, p)
	}
}

// data yields the ranges that need space, in whole blocks, joined where they meet.
func (w *writer) data(yield func(off, n int64) bool) {
	var off, end int64
	for _, p := range w.rest {
		if p.how != copied && p.how != written {
			continue
		}
		from := p.off &^ (w.space.block - 1)
		if from > end {
			if end > off && !yield(off, end-off) {
				return
			}
			off = from
		}
		end = (p.end() + w.space.block - 1) &^ (w.space.block - 1)
	}
	if end > off {
		yield(off, end-off)
	}
}

func (w *writer) needed() (sum int64) {
	for _, n := range w.data {
		sum += n
	}
	return sum
}

// reserve makes sure that there is room before anything is written. Where the
// file system compresses, that may ask for too much. To allocate ahead also
// saves time: see window for the measure, it is 0.4 to 0.7 without.
func (w *writer) reserve() error {
	if need := w.needed(); w.space.free < need {
		return &SpaceError{Needed: need, Free: w.space.free}
	}
	for off, n := range w.data {
		if n < minBulk {
			continue
		}
		for end := min(off+n, w.m.Size()); off < end; off += maxAllocate {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			n := min(end-off, maxAllocate)
			err := atomicfile.Again(func() error { return w.sys.allocate(w.dst, off, n) })
			if atomicfile.Unsupported(err) {
				return nil
			}
			if err != nil {
				return wrap("allocate", err)
			}
		}
	}
	return nil
}
