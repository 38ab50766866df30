//go:build unix

package localtree

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// Key identifies a file on this machine: its names have the same one.
type Key struct{ dev, ino uint64 }

// KeyOf returns the key of a file, the zero Key where the system has none, and whether the
// file has several names.
func KeyOf(info fs.FileInfo) (key Key, linked bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Key{}, false
	}
	return Key{uint64(st.Dev), uint64(st.Ino)}, st.Nlink > 1
}

// OwnerOf returns whom a file belongs to.
func OwnerOf(info fs.FileInfo) (uid, gid uint32) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid, st.Gid
	}
	return 0, 0
}

// DeviceOf returns the numbers of a device.
func DeviceOf(info fs.FileInfo) (major, minor uint32) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode()&fs.ModeDevice != 0 {
		return unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	}
	return 0, 0
}
