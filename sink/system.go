package sink

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// system is every call by which the file sink reads about, makes or changes
// something, so that a test can make any of them fail; hence its size. A method that the
// platform or the file system lacks returns an error for which unsupported
// is true.
type system interface {
	openDir(path string) (*os.File, error)
	createUnnamed(dir *os.File, perm fs.FileMode) (*os.File, error)
	createNamed(dir *os.File, name string, perm fs.FileMode) (*os.File, error)
	chmod(f *os.File, perm fs.FileMode) error
	chown(f *os.File, like fs.FileInfo) error
	link(f, dir *os.File, name string) error
	rename(dir *os.File, from, to string) error
	remove(dir *os.File, name string) error
	sync(f *os.File) error
	syncDir(dir *os.File) error
	close(f *os.File) error

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

// again repeats a call that a signal interrupted. It is not for sync and close,
// whose second answer says nothing about the first.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// unsupported tells whether a call failed because it can never work with these
// files here, so that another way is worth trying. EPERM is what sandboxes say
// to system calls that they do not know.
func unsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) ||
		errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.ENOTTY) || errors.Is(err, syscall.EPERM)
}

// plain is the system with what every platform has.
type plain struct{}

func (plain) openDir(path string) (*os.File, error) { return os.Open(path) }

func (plain) createUnnamed(*os.File, fs.FileMode) (*os.File, error) {
	return nil, errors.ErrUnsupported
}

func (plain) createNamed(dir *os.File, name string, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir.Name(), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

func (plain) chmod(f *os.File, perm fs.FileMode) error { return f.Chmod(perm) }
func (plain) chown(*os.File, fs.FileInfo) error        { return errors.ErrUnsupported }
func (plain) link(*os.File, *os.File, string) error    { return errors.ErrUnsupported }

func (plain) rename(dir *os.File, from, to string) error {
	return os.Rename(filepath.Join(dir.Name(), from), filepath.Join(dir.Name(), to))
}

func (plain) remove(dir *os.File, name string) error {
	return os.Remove(filepath.Join(dir.Name(), name))
}

func (plain) sync(f *os.File) error                                { return f.Sync() }
func (plain) syncDir(*os.File) error                               { return nil } // not possible everywhere
func (plain) close(f *os.File) error                               { return f.Close() }
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
