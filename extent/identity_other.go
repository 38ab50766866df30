//go:build !linux

package extent

import "io/fs"

// identify has size and time only: enough to notice a file written to.
func identify(info fs.FileInfo) identity {
	return identity{size: info.Size(), mtime: info.ModTime().UnixNano()}
}

// sparse cannot be known here.
func sparse(fs.FileInfo) bool { return true }
