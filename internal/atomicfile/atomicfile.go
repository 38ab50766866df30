// Package atomicfile writes files that appear under their name when all of them is on the
// disk: until then, and after any error, an older file of that name is as it was.
//
// It knows nothing of what is in them.
package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
)

// maxName keeps a hidden name below the 255 bytes that file systems allow.
const maxName = 200

// Unnamed matches the names of files that a run which was killed left: they never got
// their own.
const Unnamed = ".*.isolayer-*"

// File is a file that is being written and has not got its name yet.
//
//	openat(dir, O_TMPFILE)       or a hidden name in dir where that is not possible
//	…                            everything is written
//	fsync(file)                  never retried: pages may be dropped after an error
//	linkat(file, dir, hidden)    since linkat cannot replace
//	close(file)
//	renameat(dir, hidden, name)
//	fsync(dir)
type File struct {
	f      *os.File
	sys    System
	target Target
	dir    *os.File
	temp   string // its name in dir; "" while, or as soon as, it has none of ours
}

// Create makes the file, with the permission bits it will have: those of the file that it
// replaces, whose owner it gets too where the caller may do that; else mode, or 0666
// without the bits of the umask if that is 0. Publish or Discard it.
func Create(sys System, t Target, mode fs.FileMode) (*File, error) {
	out := &File{sys: sys, target: t}
	err := Again(func() (err error) {
		out.dir, err = sys.OpenDir(t.Dir)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	// The kernel takes the umask from 0666; other bits are set in full later.
	first := fs.FileMode(0o666)
	if mode != 0 || t.Old != nil {
		first = 0o600
	}
	if err = out.open(first); err == nil {
		err = out.setMode(mode)
	}
	if err != nil {
		return nil, errors.Join(err, out.Discard())
	}
	return out, nil
}

func (out *File) open(perm fs.FileMode) error {
	err := Again(func() (err error) {
		out.f, err = out.sys.CreateUnnamed(out.dir, perm)
		return err
	})
	// EISDIR and ENOENT are what kernels and file systems without O_TMPFILE say.
	if !Unsupported(err) && !errors.Is(err, syscall.EISDIR) && !errors.Is(err, syscall.ENOENT) {
		return wrap("cannot create a file in "+out.target.Dir, nameless(err))
	}
	return wrap("cannot create a file in "+out.target.Dir, out.hide(func(name string) (err error) {
		out.f, err = out.sys.CreateNamed(out.dir, name, perm)
		return err
	}))
}

func (out *File) setMode(mode fs.FileMode) error {
	if old := out.target.Old; old != nil {
		mode = old.Mode().Perm()
		err := Again(func() error { return out.sys.Chown(out.f, old) })
		if err != nil && !Unsupported(err) && !errors.Is(err, fs.ErrPermission) {
			return wrap("set owner", err)
		}
	}
	if mode == 0 && out.target.Old == nil {
		return nil
	}
	return wrap("set mode", Again(func() error { return out.sys.Chmod(out.f, mode.Perm()) }))
}

// hide calls use with hidden names until it finds one that is free.
func (out *File) hide(use func(name string) error) error {
	base := out.target.Name
	if len(base) > maxName {
		base = strings.ToValidUTF8(base[:maxName], "")
	}
	var err error
	for range 100 {
		name := fmt.Sprintf(".%s.isolayer-%08x", base, rand.Uint32())
		err = Again(func() error { return use(name) })
		if err == nil {
			out.temp = name
		}
		if !errors.Is(err, fs.ErrExist) {
			return nameless(err)
		}
	}
	return nameless(err)
}

// nameless takes hidden names, which nobody gave, off an error.
func nameless(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}

// OS is the file to write to.
func (out *File) OS() *os.File { return out.f }

// Call gives the file another name in its directory: where what is in it decides that.
func (out *File) Call(name string) { out.target.Name, out.target.Old = name, nil }

// Publish gives the written file its name. Only an error in the very last step, syncing
// the directory, leaves the new file, which is complete but may be gone after a power
// failure.
func (out *File) Publish(ctx context.Context) error {
	if err := out.sys.Sync(out.f); err != nil {
		return wrap("sync", err)
	}
	if out.temp == "" {
		err := out.hide(func(name string) error { return out.sys.Link(out.f, out.dir, name) })
		if err != nil {
			return wrap("link", err)
		}
	}
	if err := out.closeFile(); err != nil {
		return wrap("close", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := Again(func() error { return out.sys.Rename(out.dir, out.temp, out.target.Name) }); err != nil {
		return wrap("rename", err)
	}
	out.temp = ""
	if err := out.sys.SyncDir(out.dir); err != nil {
		return wrap("sync directory", err)
	}
	return wrap("close directory", out.closeDir())
}

// Discard removes what Publish did not get to give its name.
func (out *File) Discard() error {
	errs := []error{out.closeFile()}
	if out.temp != "" {
		errs = append(errs, wrap("remove", Again(func() error { return out.sys.Remove(out.dir, out.temp) })))
	}
	return errors.Join(append(errs, out.closeDir())...)
}

func (out *File) closeFile() (err error) {
	if out.f != nil {
		err = out.sys.Close(out.f)
		out.f = nil
	}
	return err
}

func (out *File) closeDir() (err error) {
	if out.dir != nil {
		err = out.sys.Close(out.dir)
		out.dir = nil
	}
	return err
}

// Write writes what fill writes to the file at path, symbolic links followed. It returns
// how many bytes that is. For mode see Create.
func Write(ctx context.Context, path string, mode fs.FileMode, fill func(io.Writer) error) (n int64, err error) {
	return write(ctx, Native, path, mode, fill)
}

func write(ctx context.Context, sys System, path string, mode fs.FileMode, fill func(io.Writer) error) (n int64, err error) {
	t, err := Resolve(path)
	if err != nil {
		return 0, err
	}
	if t.Special() {
		return 0, fmt.Errorf("write %s: %w", path, &fs.PathError{Op: "replace", Path: path, Err: errors.New("not a regular file")})
	}
	out, err := Create(sys, t, mode)
	if err == nil {
		if n, err = out.Fill(ctx, fill); err == nil {
			err = out.Publish(ctx)
		}
		if err != nil {
			err = errors.Join(err, out.Discard())
		}
	}
	if err != nil {
		return n, fmt.Errorf("write %s: %w", path, err)
	}
	return n, nil
}

// Fill lets fill write to the file until the context ends. It returns how many bytes that
// are.
func (out *File) Fill(ctx context.Context, fill func(io.Writer) error) (n int64, err error) {
	c := &counter{ctx: ctx, w: out.f}
	err = fill(c)
	return c.n, err
}

// counter counts what is written until the context ends.
type counter struct {
	ctx context.Context
	w   io.Writer
	n   int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
