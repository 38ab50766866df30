package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// System is every call by which a file gets its name, so that a test can make any of them
// fail; hence its size. A method that the platform or the file system lacks returns an
// error for which Unsupported is true.
type System interface {
	OpenDir(path string) (*os.File, error)
	CreateUnnamed(dir *os.File, perm fs.FileMode) (*os.File, error)
	CreateNamed(dir *os.File, name string, perm fs.FileMode) (*os.File, error)
	Chmod(f *os.File, perm fs.FileMode) error
	Chown(f *os.File, like fs.FileInfo) error
	Link(f, dir *os.File, name string) error
	Rename(dir *os.File, from, to string) error
	Remove(dir *os.File, name string) error
	Sync(f *os.File) error
	SyncDir(dir *os.File) error
	Close(f *os.File) error
}

// Again repeats a call that a signal interrupted. It is not for sync and close,
// whose second answer says nothing about the first.
func Again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Unsupported reports whether a call failed because it can never work with these
// files here, so that another way is worth trying. EPERM is what sandboxes say
// to system calls that they do not know.
func Unsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) ||
		errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.ENOTTY) || errors.Is(err, syscall.EPERM)
}

// Portable is the system with what every platform has.
var Portable System = plain{}

type plain struct{}

func (plain) OpenDir(path string) (*os.File, error) { return os.Open(path) }

func (plain) CreateUnnamed(*os.File, fs.FileMode) (*os.File, error) {
	return nil, errors.ErrUnsupported
}

func (plain) CreateNamed(dir *os.File, name string, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir.Name(), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

func (plain) Chmod(f *os.File, perm fs.FileMode) error { return f.Chmod(perm) }
func (plain) Chown(*os.File, fs.FileInfo) error        { return errors.ErrUnsupported }
func (plain) Link(*os.File, *os.File, string) error    { return errors.ErrUnsupported }

func (plain) Rename(dir *os.File, from, to string) error {
	return os.Rename(filepath.Join(dir.Name(), from), filepath.Join(dir.Name(), to))
}

func (plain) Remove(dir *os.File, name string) error {
	return os.Remove(filepath.Join(dir.Name(), name))
}

func (plain) Sync(f *os.File) error  { return f.Sync() }
func (plain) SyncDir(*os.File) error { return nil } // not possible everywhere
func (plain) Close(f *os.File) error { return f.Close() }
