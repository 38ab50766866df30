//go:build unix

package isolayer

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileKey tells hard links of one file.
type fileKey struct{ dev, ino uint64 }

// keyOf returns the key of a file, and whether it has several links.
func keyOf(info fs.FileInfo) (fileKey, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileKey{}, false
	}
	return fileKey{uint64(st.Dev), uint64(st.Ino)}, st.Nlink > 1
}

func ownerOf(info fs.FileInfo) (uid, gid uint32) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid, st.Gid
	}
	return 0, 0
}

// dirKey returns the key of any file.
func dirKey(info fs.FileInfo) (fileKey, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileKey{}, false
	}
	return fileKey{uint64(st.Dev), uint64(st.Ino)}, true
}

// deviceOf returns the numbers of a device.
func deviceOf(info fs.FileInfo) (major, minor uint32) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode()&fs.ModeDevice != 0 {
		return unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	}
	return 0, 0
}
