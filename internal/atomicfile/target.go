package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxLinks bounds a chain of symbolic links, as Linux does.
const maxLinks = 40

// DirError reports an output in a directory that is not there.
type DirError struct{ Dir string }

func (e *DirError) Error() string { return "directory " + e.Dir + " does not exist" }

// Unwrap returns fs.ErrNotExist.
func (e *DirError) Unwrap() error { return fs.ErrNotExist }

// Target is where a file goes.
type Target struct {
	Path string      // as given
	Dir  string      // directory of the file, free of symbolic links
	Name string      // name in Dir; "" for what is not a regular file
	Old  fs.FileInfo // what is there now; nil if nothing
}

// Resolve finds the file that a path means. It may not exist, even if symbolic
// links lead to it.
func Resolve(path string) (Target, error) {
	t := Target{Path: path}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return t, err
	case info.IsDir():
		return t, &fs.PathError{Op: "write", Path: path, Err: syscall.EISDIR}
	default:
		t.Old = info
	}
	if t.Special() {
		return t, nil
	}
	if t.Dir, t.Name, err = follow(path); err != nil {
		return t, err
	}
	if t.Old == nil {
		return t, nil
	}
	// A link of /proc/self/fd opens its file whatever the text of the link says.
	info, err = os.Lstat(filepath.Join(t.Dir, t.Name))
	if err != nil {
		return t, err
	}
	if !os.SameFile(info, t.Old) {
		return t, &fs.PathError{Op: "write", Path: path, Err: errors.New("has no name to replace")}
	}
	return t, nil
}

// follow splits a path into a directory free of symbolic links and a name
// which is none.
func follow(path string) (dir, name string, err error) {
	next := path
	for range maxLinks {
		dir, name = filepath.Split(next)
		if name == "" {
			return "", "", &fs.PathError{Op: "write", Path: path, Err: fs.ErrNotExist}
		}
		if dir == "" {
			dir = "."
		}
		shown := filepath.Clean(dir)
		if dir, err = filepath.EvalSymlinks(dir); errors.Is(err, fs.ErrNotExist) {
			return "", "", &DirError{shown}
		} else if err != nil {
			return "", "", fmt.Errorf("directory of %s: %w", path, err)
		}
		link, err := os.Readlink(filepath.Join(dir, name))
		if err != nil { // no link, or nothing
			return dir, name, nil
		}
		if next = link; !filepath.IsAbs(link) {
			// Not Join: it would take back a ".." that follows a symbolic link.
			next = dir + string(filepath.Separator) + link
		}
	}
	return "", "", &fs.PathError{Op: "write", Path: path, Err: syscall.ELOOP}
}

// Special reports whether the target cannot be replaced, only written to.
func (t Target) Special() bool { return t.Old != nil && !t.Old.Mode().IsRegular() }
