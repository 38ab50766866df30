//go:build linux

package workspace

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// An upper directory says by extended attributes and devices what is removed.
// fuse-overlayfs, where it can have neither, does so by empty files with names of its own,
// which OCI layers have too; it lets nobody else make such names.
const (
	markPrefix = ".wh."
	markOpaque = ".wh..wh..opq"
)

// xattr returns an attribute of overlayfs, nil without one: it is called trusted as
// root, user with the option userxattr.
func (c *capture) xattr(q, name string) []byte {
	buf := make([]byte, 4096)
	for _, space := range []string{"trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."} {
		if n, err := unix.Lgetxattr(filepath.Join(c.dir, q), space+name, buf); err == nil {
			return buf[:n]
		}
	}
	return nil
}

// isOpaque reports whether an upper directory hides all of the lower one.
func (c *capture) isOpaque(q string) bool {
	if string(c.xattr(q, "opaque")) == "y" {
		return true
	}
	var st unix.Stat_t
	return c.marks && unix.Lstat(filepath.Join(c.dir, q, markOpaque), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// mark reports whether an entry only says that something is removed, and what; "" is nothing
// by itself.
func (c *capture) mark(p string, d fs.DirEntry) (name string, ok bool) {
	name, ok = strings.CutPrefix(d.Name(), markPrefix)
	if !ok || !c.marks || !d.Type().IsRegular() {
		return "", false
	}
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(c.dir, p, d.Name()), &st); err != nil || st.Size > 0 {
		return "", false
	}
	if d.Name() == markOpaque || unix.Lstat(filepath.Join(c.dir, p, name), &st) == nil {
		return "", true
	}
	return name, true
}

// marked notes that a name of a directory is removed.
func (c *capture) marked(p, origin, name string) error {
	if name == "" || origin == "" {
		return nil
	}
	return c.whiteout(path.Join(p, name), c.below.lookup(path.Join(origin, name)))
}
