//go:build unix

package inplace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	nonblock = unix.O_NONBLOCK // or a FIFO would block
	nofollow = unix.O_NOFOLLOW
)

func identify(info fs.FileInfo) (identity, uint64, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, 0, fmt.Errorf("%w: the system does not say which file it is", ErrUnsafe)
	}
	return identity{uint64(st.Dev), st.Ino}, uint64(st.Nlink), nil
}

// lock keeps other runs out, until the file is closed.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	}
	return err
}

// ownedByUs reports whether a journal belongs to us or to the owner of the image.
func ownedByUs(journal, image fs.FileInfo) bool {
	a, ok := journal.Sys().(*syscall.Stat_t)
	b, ok2 := image.Sys().(*syscall.Stat_t)
	return ok && ok2 && (a.Uid == b.Uid || int(a.Uid) == os.Geteuid())
}

func syncDir(d *os.File) error { return d.Sync() }
