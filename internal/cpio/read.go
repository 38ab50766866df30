package cpio

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/isolayer/isolayer/internal/spelling"
)

// Find returns the entry of that name, following links; fs.ErrNotExist without one. The
// root, which needs no entry, is a directory.
func (i *Initrd) Find(name string) (*Entry, error) {
	if name = clean(name); name == "" {
		return &Entry{Mode: ModeDir | 0o755}, nil
	}
	for range maxLinks {
		at, err := i.resolve(name)
		if err != nil {
			return nil, err
		}
		e := i.entries[at]
		if e == nil {
			break
		}
		if !e.IsLink() {
			return e, nil
		}
		if name = e.Link; name == "" || name[0] != '/' {
			name = clean(at + "/../" + name)
		}
	}
	return nil, &fs.PathError{Op: "find", Path: "/" + name, Err: &spelling.Missing{Path: name, Near: func() string { return i.near(name) }}}
}

// near returns the path that was probably meant by one that is not there.
func (i *Initrd) near(name string) string {
	names := map[string][]string{}
	for p := range i.entries {
		dir := path.Dir(p)
		if dir == "." {
			dir = ""
		}
		names[dir] = append(names[dir], path.Base(p))
	}
	for _, list := range names {
		slices.Sort(list)
	}
	if near := spelling.Path(name, func(dir string) []string { return names[dir] }); near != "" {
		return "/" + near
	}
	return ""
}

// Copy writes the content of a file. It unpacks what lies in front of it, unless the
// content was kept.
func (i *Initrd) Copy(w io.Writer, e *Entry) error {
	if e.IsDir() {
		return fmt.Errorf("/%s %w", e.Name, ErrIsDir)
	}
	if !e.IsRegular() {
		return fmt.Errorf("/%s is a device, FIFO or socket: %w", e.Name, fs.ErrInvalid)
	}
	if e.Size == 0 { // a hard link, perhaps
		if e = i.all[[2]int64{int64(e.archive), e.inode}]; e == nil {
			return nil
		}
	}
	if b, ok := i.kept[e]; ok {
		_, err := w.Write(b)
		return err
	}
	of := i.Archives[e.archive]
	m := &member{compression: of.Compression, r: i.r, off: of.Off, size: of.Len}
	r, err := m.open()
	if err != nil {
		return err
	}
	defer r.Close()
	c, a, found := &counter{r: r, left: maxUnpacked}, Archive{}, false
	for !found {
		more, err := c.skipZeros()
		if err != nil || !more {
			return unexpected(err)
		}
		_, err = i.walk(c, &a, func(at *Entry, content io.Reader) (bool, error) {
			if at.number != e.number {
				return false, nil
			}
			found = true
			_, err := io.CopyN(w, content, e.Size)
			return true, err
		})
		if err != nil {
			return fmt.Errorf("read /%s: %w", e.Name, err)
		}
	}
	return nil
}
