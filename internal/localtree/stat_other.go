//go:build !unix

package localtree

import "io/fs"

// Key identifies a file on this machine: its names have the same one. Here there is none.
type Key struct{}

// KeyOf returns the key of a file, the zero Key where the system has none, and whether the
// file has several names.
func KeyOf(fs.FileInfo) (key Key, linked bool) { return Key{}, false }

// OwnerOf returns whom a file belongs to.
func OwnerOf(fs.FileInfo) (uid, gid uint32) { return 0, 0 }

// DeviceOf returns the numbers of a device.
func DeviceOf(fs.FileInfo) (major, minor uint32) { return 0, 0 }
