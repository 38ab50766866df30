//go:build unix

package isolayer

import (
	"io/fs"
	"syscall"
)

// fileKey tells hard links of one file.
type fileKey struct{ dev, ino uint64 }

// keyOf returns the key of a file that has several links.
func keyOf(info fs.FileInfo) (fileKey, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink < 2 {
		return fileKey{}, false
	}
	return fileKey{uint64(st.Dev), uint64(st.Ino)}, true
}

func ownerOf(info fs.FileInfo) (uid, gid uint32) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid, st.Gid
	}
	return 0, 0
}
