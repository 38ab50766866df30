//go:build !unix

package isolayer

import "io/fs"

// fileKey tells hard links of one file; here they are not told.
type fileKey struct{}

func keyOf(fs.FileInfo) (fileKey, bool)     { return fileKey{}, false }
func ownerOf(fs.FileInfo) (uid, gid uint32) { return 0, 0 }
func dirKey(fs.FileInfo) (fileKey, bool)    { return fileKey{}, false }

func deviceOf(fs.FileInfo) (major, minor uint32) { return 0, 0 }
