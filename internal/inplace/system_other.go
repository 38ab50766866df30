//go:build !unix

package inplace

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

const nonblock, nofollow = 0, 0

func identify(fs.FileInfo) (identity, uint64, error) {
	return identity{}, 0, fmt.Errorf("%w: not on %s, for want of locks and of syncing directories", ErrUnsafe, runtime.GOOS)
}

func lock(*os.File) error                     { return nil }
func ownedByUs(fs.FileInfo, fs.FileInfo) bool { return true }
func syncDir(*os.File) error                  { return nil }
