package localtree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// ErrSpecial reports a local file that is no regular file, directory or link.
var ErrSpecial = errors.New("is a device, FIFO or socket")

// Entry is a regular file, a directory or a symbolic link of a local tree.
type Entry struct {
	Path string      // on this machine
	Rel  string      // below the top, with slashes; "." is the top
	Info fs.FileInfo // of the link, where it is one
	Link string      // where a link leads, with slashes
}

// IsLink reports a symbolic link.
func (e Entry) IsLink() bool { return e.Info.Mode()&fs.ModeSymlink != 0 }

// Below is where the entry goes if the top goes to dest. That of the top is dest as it is
// spelled: whether it is a path of the image is not decided here.
func (e Entry) Below(dest string) string {
	if e.Rel == "." {
		return dest
	}
	return path.Join(dest, e.Rel)
}

// Walk calls f for the file that info describes, and for all that is below it if it is a
// directory: directories before what they hold, names in order. info is what os.Stat
// says of source: a link that is given by name is followed, those below are not. What
// skip names is left out; nil skips nothing. Anything but files, directories and links
// is ErrSpecial.
func Walk(source string, info fs.FileInfo, skip func(p string) (bool, error), f func(Entry) error) error {
	return walk(Entry{Path: source, Rel: ".", Info: info}, skip, f)
}

func walk(e Entry, skip func(p string) (bool, error), f func(Entry) error) error {
	left := false
	if skip != nil {
		var err error
		if left, err = skip(e.Path); err != nil {
			return err
		}
	}
	if !left {
		if err := e.read(); err != nil {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
	}
	if !e.Info.IsDir() {
		return nil
	}
	return Children(e.Path, nil, func(p, name string, info fs.FileInfo) error {
		return walk(Entry{Path: p, Rel: path.Join(e.Rel, name), Info: info}, skip, f)
	})
}

// Children calls f for all that a directory holds, whatever it is, in the order of names;
// before that count, unless it is nil, with how much that is. Links are not followed.
func Children(dir string, count func(n int), f func(p, name string, info fs.FileInfo) error) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if count != nil {
		count(len(list))
	}
	for _, d := range list {
		info, err := d.Info()
		if err != nil {
			return err
		}
		p := filepath.Join(dir, d.Name())
		if err := f(p, p[len(p)-len(d.Name()):], info); err != nil { // a name that shares its path's memory
			return err
		}
	}
	return nil
}

// read reads where a link leads, and refuses what is no part of an image.
func (e *Entry) read() error {
	switch e.Info.Mode().Type() {
	case 0, fs.ModeDir:
		return nil
	case fs.ModeSymlink:
		target, err := os.Readlink(e.Path)
		e.Link = filepath.ToSlash(target)
		return err
	}
	return fmt.Errorf("%s %w", e.Path, ErrSpecial)
}
