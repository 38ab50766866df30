// Package sink writes a planned image: to a file, whole or not at all, or to a
// stream.
//
// It neither decides what an image holds, which is the map's business, nor
// edits a file in place.
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
	// Progress, unless nil, hears how many of total bytes are done: never more
	// than about 20 times a second, always from the calling goroutine, and once
	// with done == total when every byte is in place.
	Progress func(done, total int64)

	// Observe hear all bytes of the image while it is written. A file gets late bytes
	// last. A stream cannot take anything back, and an observer without late bytes
	// wants to hear those of others at their place: the sources are then read once
	// more, beforehand.
	Observe []Observer

	// Mode holds the permission bits of a file that does not exist yet;
	// 0 means 0666 without the bits of the umask.
	Mode fs.FileMode

	worth *worth // tests set other limits than the usual ones
}

// Result tells how the bytes of an image came to be where they are.
// Written, Cloned and Holes add up to Size.
type Result struct {
	Size    int64
	Written int64  // bytes copied or written
	Cloned  int64  // bytes shared with a source
	Holes   int64  // zero bytes that take no space
	Method  string // the best way that was used, a Method constant
}

// The ways to write, from the cheapest to the dearest.
const (
	MethodReflink = "reflink"         // whole blocks shared with a source
	MethodDirect  = "direct"          // taken by the disk from where the sources are in memory
	MethodCopy    = "copy_file_range" // copied by the kernel
	MethodWrite   = "write"           // read and written
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

// File writes the image to the file at path, symbolic links followed.
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
//
// A source that changes meanwhile makes it fail with extent.ErrChanged.
func File(ctx context.Context, path string, m *extent.Map, o Options) (Result, error) {
	return file(ctx, native, path, m, o)
}

func file(ctx context.Context, sys system, path string, m *extent.Map, o Options) (Result, error) {
	t, err := atomicfile.Resolve(path)
	if err != nil {
		return Result{}, err
	}
	if err := errors.Join(differs(t, m), known(m, o.Observe)); err != nil {
		return Result{}, fmt.Errorf("write %s: %w", path, err)
	}
	write := replace
	if t.Special() {
		write = through
	}
	res, err := write(ctx, sys, t, m, o)
	if err != nil {
		return Result{}, fmt.Errorf("write %s: %w", path, err)
	}
	return res, nil
}

// Write writes what fill writes to the file at path, which appears as that of File
// does. It returns how many bytes that is.
func Write(ctx context.Context, path string, fill func(io.Writer) error) (n int64, err error) {
	return atomicfile.Write(ctx, path, 0, fill)
}

// replace writes a regular file.
func replace(ctx context.Context, sys system, t atomicfile.Target, m *extent.Map, o Options) (Result, error) {
	out, err := atomicfile.Create(sys, t, o.Mode)
	if err != nil {
		return Result{}, err
	}
	w, err := fill(ctx, sys, out.OS(), m, o)
	if err == nil {
		err = check(m)
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

// fill writes all bytes while the observers hear them, and theirs at last.
func fill(ctx context.Context, sys system, f *os.File, m *extent.Map, o Options) (*writer, error) {
	obs := o.Observe
	if early, rest := split(obs); len(early) > 0 && len(rest) > 0 {
		var err error
		if m, err = Feed(ctx, m, o.Progress, early...); err != nil {
			return nil, err
		}
		obs = rest
	}
	blank := m.Blank()
	w := newWriter(ctx, sys, f, blank, o)
	hear := observe(ctx, blank, obs)
	if len(obs) > 0 {
		w.meter.behind = hear.seen.Load
	}
	if err := hear.wait(w.write(), w.meter); err != nil {
		return nil, err
	}
	return w, w.seal(m, obs)
}

// Stream writes the image to w from its first byte to its last. What w got
// before an error is not taken back. A map that is not sealed, without an observer that
// does that, is refused with extent.ErrUnsealed before the first byte, as by File.
func Stream(ctx context.Context, w io.Writer, m *extent.Map, o Options) (Result, error) {
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		if err != nil {
			return Result{}, err
		}
		if err := differs(atomicfile.Target{Old: info}, m); err != nil {
			return Result{}, fmt.Errorf("write %s: %w", f.Name(), err)
		}
	}
	if err := known(m, o.Observe); err != nil {
		return Result{}, err
	}
	early, rest := split(o.Observe)
	if len(early) > 0 {
		var err error
		if m, err = Feed(ctx, m, o.Progress, early...); err != nil {
			return Result{}, err
		}
	}
	meter := newMeter(o.Progress, m.Size())
	buf := make([]byte, min(chunk, m.Size()))
	for off := int64(0); off < m.Size(); {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		p := buf[:min(chunk, m.Size()-off)]
		if _, err := m.ReadAt(p, off); err != nil {
			return Result{}, err
		}
		for _, obs := range rest {
			if _, err := obs.Write(p); err != nil {
				return Result{}, err
			}
		}
		n, err := w.Write(p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return Result{}, fmt.Errorf("write at %d: %w", off+int64(n), err)
		}
		off += int64(len(p))
		meter.add(int64(len(p)))
	}
	if err := check(m); err != nil {
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
		f, ok := src.(*extent.File)
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

// check tells whether every source is still what the map was made from.
func check(m *extent.Map) error { return Check(m, nil) }

// Check tells whether every source of the map, but for one, is still what the map was
// made from: extent.ErrChanged if not.
func Check(m *extent.Map, but extent.Source) error {
	for src := range sources(m) {
		if src == but {
			continue
		}
		if c, ok := src.(interface{ Check() error }); ok {
			if err := c.Check(); err != nil {
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
