package unpack

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// file writes a regular file. Names of one file go on to be that, where the file system
// can do it.
func (d *Dir) file(it item) error {
	if err := d.clear(it.to); err != nil {
		return err
	}
	if done, err := d.hardLink(it); done || err != nil {
		return err
	}
	r, size, err := d.o.Open(it.n)
	if err != nil {
		return err
	}
	if err := d.create(it.to, io.NewSectionReader(r, 0, size), size); err != nil {
		return err
	}
	return d.attributes(it)
}

// same is what names of one file have in common. Programs that store equal content once make
// such that share it and are different files.
type same struct {
	at        iso9660.LBA
	size      int64
	mode      uint32
	uid, gid  uint32
	sec, nsec int64
}

func sameOf(n *tree.Node, at iso9660.LBA) same {
	return same{at, n.ContentSize(), n.Mode, n.UID, n.GID, n.ModTime.Unix(), int64(n.ModTime.Nanosecond())}
}

// hardLink links a file to one that is written and is the same; false if there is none.
func (d *Dir) hardLink(it item) (bool, error) {
	content := it.n.Content()
	if len(content) == 0 || it.n.Source != nil {
		return false, nil
	}
	key := sameOf(it.n, content[0].LBA)
	first, ok := d.linked[key]
	if !ok || !slices.Equal(first.n.Content(), content) {
		d.linked[key] = it
		return false, nil
	}
	if err := d.root.Link(first.to, it.to); err != nil { // not on every file system, and not any number
		d.Copied = append(d.Copied, it.n.Path())
		d.linked[key] = it
		return false, nil
	}
	d.wrote(it.n.ContentSize())
	return true, nil
}

// Create writes a file that no node describes; mod is its time, unless that is zero.
// What is at its path is replaced.
func (d *Dir) Create(to string, r io.Reader, mod time.Time) error {
	if err := local(to); err != nil {
		return err
	}
	if err := d.clear(to); err != nil {
		return err
	}
	if err := d.create(to, r, -1); err != nil || mod.IsZero() {
		return err
	}
	return d.root.Chtimes(to, mod, mod)
}

// FS writes a file, or a directory with all below it, of another file system to a path;
// "." is the directory itself.
// Errors name what it is about as fsys does.
func (d *Dir) FS(fsys fs.FS, top, to string) error {
	if to != "." {
		if err := local(to); err != nil {
			return err
		}
	}
	return fs.WalkDir(fsys, top, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := path.Join(to, strings.TrimPrefix(p, top))
		if top == "." {
			at = path.Join(to, p)
		}
		if err := d.oneFS(fsys, p, at, e.IsDir()); err != nil {
			return &nodeError{p, err}
		}
		return d.ctx.Err()
	})
}

func (d *Dir) oneFS(fsys fs.FS, p, to string, isDir bool) (err error) {
	if isDir {
		if to == "." {
			return nil
		}
		return d.Mkdir(to)
	}
	f, err := fsys.Open(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return d.Create(to, f, info.ModTime())
}

// create makes a file, whole or not at all. It has to be of size bytes; less than 0 is any
// number.
func (d *Dir) create(p string, r io.Reader, size int64) error {
	perm := fs.FileMode(0o666)
	if d.o.Mode != nil { // not readable by more than in the end
		perm = 0o600
	}
	f, err := d.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	n, err := d.copy(f, r)
	if err == nil && size >= 0 && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, d.root.Remove(p))
	}
	return nil
}

// step is how much is copied at once.
const step = 1 << 20

func (d *Dir) copy(w io.Writer, r io.Reader) (n int64, err error) {
	if d.buf == nil {
		d.buf = make([]byte, step)
	}
	for {
		k, rerr := io.ReadFull(r, d.buf)
		if _, err := w.Write(d.buf[:k]); err != nil {
			return n, err
		}
		n += int64(k)
		d.wrote(int64(k))
		switch {
		case errors.Is(rerr, io.EOF), errors.Is(rerr, io.ErrUnexpectedEOF):
			return n, nil
		case rerr != nil:
			return n, rerr
		}
		if err := d.ctx.Err(); err != nil {
			return n, err
		}
	}
}

func (d *Dir) wrote(n int64) {
	if d.o.Wrote != nil {
		d.o.Wrote(n)
	}
}
