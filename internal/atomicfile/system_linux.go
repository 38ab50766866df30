package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Native is the system with what the kernel offers beyond Portable. Names are looked up in
// the open directory, whatever happens to its path.
var Native System = linux{}

type linux struct{ plain }

func (linux) OpenDir(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
}

func (linux) CreateUnnamed(dir *os.File, perm fs.FileMode) (*os.File, error) {
	// link needs /proc; without it all the work would be lost at the end.
	if err := unix.Access("/proc/self/fd", unix.X_OK); err != nil {
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return openat(dir, ".", unix.O_RDWR|unix.O_TMPFILE, perm)
}

func (linux) CreateNamed(dir *os.File, name string, perm fs.FileMode) (*os.File, error) {
	return openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, perm)
}

func openat(dir *os.File, name string, flags int, perm fs.FileMode) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC, uint32(perm))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
}

func (linux) Chown(f *os.File, like fs.FileInfo) error {
	st, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.ErrUnsupported
	}
	return unix.Fchown(int(f.Fd()), int(st.Uid), int(st.Gid))
}

// link goes by way of /proc because AT_EMPTY_PATH needs a capability.
func (linux) Link(f, dir *os.File, name string) error {
	from := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	return unix.Linkat(unix.AT_FDCWD, from, int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}

func (linux) Rename(dir *os.File, from, to string) error {
	return unix.Renameat(int(dir.Fd()), from, int(dir.Fd()), to)
}

func (linux) Remove(dir *os.File, name string) error {
	return unix.Unlinkat(int(dir.Fd()), name, 0)
}

func (linux) SyncDir(dir *os.File) error { return dir.Sync() }
