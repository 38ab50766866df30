// Package sink writes a planned image: to a file, whole or not at all, to a stream, or
// over the base that it was planned for; or to what a Sink of somebody else makes of it.
//
// It does not decide what an image holds, which is the map's business.
package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/atomicfile"
)

// chunk is how many bytes go through memory at once. From 256 KiB on the
// measured throughput is flat.
const chunk = 1 << 20

// Options tune how an image is written. The zero value is the default.
type Options struct {
	// Progress, unless nil, is called with how many of total bytes are done: never more
	// than about 20 times a second, always from the calling goroutine, and once
	// with done == total when every byte is in place.
	Progress func(done, total int64)

	// Observe get all bytes of the image, in order, while it is written, late ones at
	// their place too: where there are such, the sources are read once more, beforehand.
	Observe []io.Writer

	// Mode holds the permission bits of a file that does not exist yet;
	// 0 means 0666 without the bits of the umask.
	Mode fs.FileMode

	worth *worth // tests set other limits than the usual ones
}

// Result says how the bytes of an image came to be where they are.
// Written, Cloned, Holes and Kept add up to Size.
type Result struct {
	Size    int64
	Written int64   // bytes copied or written
	Cloned  int64   // bytes shared with a source
	Holes   int64   // zero bytes that take no space
	Kept    int64   // bytes that were there before
	Method  string  // the best way that was used, a Method constant
	Edit    *Edited // what InPlace did besides
}

// The ways to write, from the cheapest to the dearest.
const (
	MethodReflink = "reflink"         // whole blocks shared with a source
	MethodDirect  = "direct"          // taken by the disk from where the sources are in memory
	MethodCopy    = "copy_file_range" // copied by the kernel
	MethodWrite   = "write"           // read and written
	MethodInPlace = "in place"        // over the base
)

var (
	// ErrSameFile reports that the output is one of the image's sources.
	ErrSameFile = errors.New("output is a source of the image")

	// ErrNoSpace reports that the image does not fit; see SpaceError.
	ErrNoSpace = errors.New("not enough space")
)

// SpaceError is an ErrNoSpace with its numbers, in bytes.
type SpaceError struct {
	Needed, Free int64
	Err          error // what the system said; nil if the shortage was foreseen
}

func (e *SpaceError) Error() string {
	s := fmt.Sprintf("%v: %d bytes needed, %d free", ErrNoSpace, e.Needed, e.Free)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap makes the error match ErrNoSpace and its cause.
func (e *SpaceError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrNoSpace}
	}
	return []error{ErrNoSpace, e.Err}
}

// File is the file at path, symbolic links followed.
//
// The file appears under its name when all of it is on the disk: until then,
// and after any error, an older file at path is as it was and nothing is left
// beside it. Only an error in the very last step, syncing the directory, leaves
// the new file, which is complete but may be gone after a power failure. A file
// that is replaced passes on its permission bits and, where the caller may do
// that, its owner; other hard links to it keep the old content.
//
// Devices and FIFOs are written straight through and may hold part of an image
// after an error.
func File(path string) Sink { return file{path, native} }

// file is a file of a system.
type file struct {
	path string
	sys  system
}

// Write implements Sink.
func (f file) Write(ctx context.Context, p Plan, o Options) (Result, error) {
	t, err := atomicfile.Resolve(f.path)
	if err != nil {
		return Result{}, err
	}
	if err := errors.Join(differs(t, p.Map), p.known()); err != nil {
		return Result{}, fmt.Errorf("write %s: %w", f.path, err)
	}
	write := replace
	if t.Special() {
		write = through
	}
	res, err := write(ctx, f.sys, t, p, o)
	if err != nil {
		return Result{}, fmt.Errorf("write %s: %w", f.path, err)
	}
	return res, nil
}

// Write writes what fill writes to the file at path, which appears as that of File
// does. It returns how many bytes that is.
func Write(ctx context.Context, path string, fill func(io.Writer) error) (n int64, err error) {
	return atomicfile.Write(ctx, path, 0, fill)
}

// replace writes a regular file.
func replace(ctx context.Context, sys system, t atomicfile.Target, p Plan, o Options) (Result, error) {
	out, err := atomicfile.Create(sys, t, o.Mode)
	if err != nil {
		return Result{}, err
	}
	w, err := fill(ctx, sys, out.OS(), p, o)
	if err == nil {
		err = Check(ctx, p.Map, nil)
	}
	if err == nil {
		err = out.Publish(ctx)
	}
	if err != nil {
		return Result{}, errors.Join(err, out.Discard())
	}
	w.meter.finish()
	return w.res, nil
}

// fill writes all bytes while the observers get them, and late ones at last.
func fill(ctx context.Context, sys system, f *os.File, p Plan, o Options) (*writer, error) {
	if len(p.Late) > 0 && len(o.Observe) > 0 {
		m, err := p.Seal(ctx, o.Progress)
		if err != nil {
			return nil, err
		}
		p = Plan{Map: m}
	}
	x, err := p.Start()
	if err != nil {
		return nil, err
	}
	blank, to := p.Map.Blank(), append(x.hear, o.Observe...)
	w := newWriter(ctx, sys, f, blank, o)
	hear := observe(ctx, blank, to)
	if len(to) > 0 {
		w.meter.behind = hear.seen.Load
	}
	if err := hear.wait(w.write(), w.meter); err != nil {
		return nil, err
	}
	return w, w.seal(x)
}

// Stream is w, which gets the image from its first byte to its last. What it got before an
// error is not taken back.
func Stream(w io.Writer) Sink { return stream{w} }

type stream struct{ w io.Writer }

// Write implements Sink.
func (s stream) Write(ctx context.Context, p Plan, o Options) (Result, error) {
	if f, ok := s.w.(*os.File); ok {
		info, err := f.Stat()
		if err != nil {
			return Result{}, err
		}
		if err := differs(atomicfile.Target{Old: info}, p.Map); err != nil {
			return Result{}, fmt.Errorf("write %s: %w", f.Name(), err)
		}
	}
	m, err := p.Seal(ctx, o.Progress)
	if err != nil {
		return Result{}, err
	}
	meter := newMeter(o.Progress, m.Size())
	buf := make([]byte, min(chunk, m.Size()))
	m.Prefetch(ctx)
	for off := int64(0); off < m.Size(); {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		b := buf[:min(chunk, m.Size()-off)]
		if _, err := m.ReadAtContext(ctx, b, off); err != nil {
			return Result{}, err
		}
		for _, to := range o.Observe {
			if _, err := to.Write(b); err != nil {
				return Result{}, err
			}
		}
		n, err := s.w.Write(b)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return Result{}, fmt.Errorf("write at %d: %w", off+int64(n), err)
		}
		off += int64(len(b))
		meter.add(int64(len(b)))
	}
	if err := Check(ctx, m, nil); err != nil {
		return Result{}, err
	}
	meter.finish()
	return Result{Size: m.Size(), Written: m.Size(), Method: MethodWrite}, nil
}

// differs fails if the target is a source of the map, under whatever name.
func differs(t atomicfile.Target, m *extent.Map) error {
	if t.Old == nil {
		return nil
	}
	for src := range sources(m) {
		f, ok := src.(extent.Local)
		if !ok {
			continue
		}
		info, err := os.Stat(f.Name())
		if err != nil {
			return err
		}
		if os.SameFile(info, t.Old) {
			return fmt.Errorf("%w: %s", ErrSameFile, f.Name())
		}
	}
	return nil
}

// Check reports whether every source of the map, but for one, is still what the map was
// made from: extent.ErrChanged if not.
func Check(ctx context.Context, m *extent.Map, but extent.Source) error {
	for src := range sources(m) {
		if src == but {
			continue
		}
		if c, ok := src.(extent.Checked); ok {
			if err := c.Check(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// sources yields every source of the map, in the order of first use; those of a pack one
// by one.
func sources(m *extent.Map) func(yield func(extent.Source) bool) {
	return func(yield func(extent.Source) bool) {
		seen := map[extent.Source]bool{}
		for _, e := range m.Extents() {
			if e.Kind != extent.Copy || seen[e.Src] {
				continue
			}
			seen[e.Src] = true
			if p, ok := e.Src.(*extent.Pack); ok {
				for _, f := range p.Files() {
					if !yield(f) {
						return
					}
				}
				continue
			}
			if !yield(e.Src) {
				return
			}
		}
	}
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
