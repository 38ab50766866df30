package localtree

import (
	"cmp"
	"path"
	"path/filepath"
	"strings"
)

// Destination is where a source goes that is to be put at dest: into dest, see Into, if
// that ends in a slash, or if it is a directory of the image and the source, which dir
// says, is none; else to dest itself. isDir is asked only where that decides.
func Destination(dest, source string, dir bool, isDir func(dest string) bool) string {
	if !IsInto(dest) && !dir && isDir(dest) {
		dest += "/"
	}
	return Into(dest, Name(source))
}

// IsInto reports a destination that is the directory something goes into: one that ends in
// a slash, or none, which is the root.
func IsInto(dest string) bool { return dest == "" || strings.HasSuffix(dest, "/") }

// Into is where something called name goes: below dest if that is the directory to go
// into, see IsInto; else it is dest. What stands in front of a colon, as in @efi:/EFI/,
// stays as it is.
func Into(dest, name string) string {
	if !IsInto(dest) {
		return dest
	}
	if at, inside, ok := strings.Cut(dest, ":/"); ok && strings.HasPrefix(dest, "@") {
		return at + ":" + path.Join("/", inside, name)
	}
	return path.Join(cmp.Or(dest, "/"), name)
}

// Name is what a source is called in the directory that it goes into. It has none where
// it is given as ".", ".." or a root directory: then all that it holds goes there.
func Name(source string) string {
	switch base := filepath.Base(filepath.Clean(source)); base {
	case ".", "..", string(filepath.Separator):
		return ""
	default:
		return base
	}
}
