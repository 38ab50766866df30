package store

import (
	"io/fs"
	"syscall"
	"time"
)

func identify(info fs.FileInfo) (identity, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, false
	}
	return identity{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}, true
}

// recent reports a file whose times are so new that a change in the same moment of the
// clock would not show.
func recent(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || time.Since(time.Unix(0, st.Ctim.Nano())) < 50*time.Millisecond
}
