package inplace

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// punch makes a hole, which reads as zeros.
func punch(f *os.File, off, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

// attached names a loop device that has the file, "" if none is known to.
func attached(id identity) string {
	list, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, p := range list {
		b, err := os.ReadFile(p)
		if err != nil {
			continue
		}
		info, err := os.Stat(strings.TrimSuffix(string(b), "\n"))
		if err != nil {
			continue
		}
		if other, _, err := identify(info); err == nil && other == id {
			return "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(p)))
		}
	}
	return ""
}
