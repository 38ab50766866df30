package sink

import (
	"errors"
	"os"

	"github.com/isolayer/isolayer/internal/atomicfile"
)

// system is every call by which the file sink reads about, makes or changes
// something, so that a test can make any of them fail; hence its size. A method that the
// platform or the file system lacks returns an error for which unsupported
// is true.
type system interface {
	atomicfile.System

	space(f *os.File) (space, error)
	truncate(f *os.File, size int64) error
	allocate(f *os.File, off, n int64) error
	punch(f *os.File, off, n int64) error
	clone(dst, src *os.File) error
	cloneRange(dst *os.File, off int64, src *os.File, srcOff, n int64) error
	copyRange(dst *os.File, off int64, src *os.File, srcOff, n int64) (int64, error)
	// nextRange returns the first range of data at or behind off; at the end
	// of the file it is empty.
	nextRange(src *os.File, off int64) (start, end int64, err error)
	writeAt(f *os.File, p []byte, off int64) (int, error)
	// openDirect opens the file once more, for writing that bypasses the page cache.
	openDirect(f *os.File) (*os.File, error)
	// writeDirect writes memory and a range that start and end on pages, all of it
	// or less.
	writeDirect(f *os.File, vec [][]byte, off int64) (int64, error)
	// mapFile maps a range of whole pages for writeDirect: to read it is a crash if the
	// file gets shorter.
	mapFile(src *os.File, off, n int64) ([]byte, error)
	unmap(b []byte) error
	startWriteback(f *os.File, off, n int64) error
	awaitWriteback(f *os.File, off, n int64) error
}

// space is what a file system has, in bytes.
type space struct {
	block int64 // the unit of allocation
	free  int64 // for us
}

// plain is a system that writes as every platform can.
type plain struct{ atomicfile.System }

func (plain) space(*os.File) (space, error)                        { return space{}, errors.ErrUnsupported }
func (plain) truncate(f *os.File, size int64) error                { return f.Truncate(size) }
func (plain) allocate(*os.File, int64, int64) error                { return errors.ErrUnsupported }
func (plain) punch(*os.File, int64, int64) error                   { return errors.ErrUnsupported }
func (plain) clone(*os.File, *os.File) error                       { return errors.ErrUnsupported }
func (plain) awaitWriteback(*os.File, int64, int64) error          { return errors.ErrUnsupported }
func (plain) startWriteback(*os.File, int64, int64) error          { return errors.ErrUnsupported }
func (plain) writeAt(f *os.File, p []byte, off int64) (int, error) { return f.WriteAt(p, off) }

func (plain) openDirect(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }
func (plain) unmap([]byte) error                    { return errors.ErrUnsupported }

func (plain) writeDirect(*os.File, [][]byte, int64) (int64, error) {
	return 0, errors.ErrUnsupported
}

func (plain) mapFile(*os.File, int64, int64) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func (plain) cloneRange(*os.File, int64, *os.File, int64, int64) error {
	return errors.ErrUnsupported
}

func (plain) copyRange(*os.File, int64, *os.File, int64, int64) (int64, error) {
	return 0, errors.ErrUnsupported
}

func (plain) nextRange(*os.File, int64) (int64, int64, error) {
	return 0, 0, errors.ErrUnsupported
}
