//go:build !linux

package isotest

// NeedFUSE does nothing: there is no FUSE that tests use.
func NeedFUSE() {}
