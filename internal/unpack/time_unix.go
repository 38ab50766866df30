//go:build unix

package unpack

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// linkTime sets the time of a link itself, in an open directory.
func linkTime(dir *os.File, name string, t time.Time) error {
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(dir.Fd()), name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}
