package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
)

// maxName keeps a hidden name below the 255 bytes that file systems allow.
const maxName = 200

// output is a file that is being written and has not got its name yet.
//
//	openat(dir, O_TMPFILE)       or a hidden name in dir where that is not possible
//	…                            everything is written
//	fsync(file)                  never retried: pages may be dropped after an error
//	linkat(file, dir, hidden)    since linkat cannot replace
//	close(file)
//	renameat(dir, hidden, name)
//	fsync(dir)
type output struct {
	sys    system
	target target
	dir    *os.File
	f      *os.File
	temp   string // its name in dir; "" while, or as soon as, it has none of ours
}

// create makes the file, with the permission bits it will have.
func create(sys system, t target, mode fs.FileMode) (*output, error) {
	out := &output{sys: sys, target: t}
	err := again(func() (err error) {
		out.dir, err = sys.openDir(t.dir)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	// The kernel takes the umask from 0666; other bits are set in full later.
	first := fs.FileMode(0o666)
	if mode != 0 || t.old != nil {
		first = 0o600
	}
	if err = out.open(first); err == nil {
		err = out.setMode(mode)
	}
	if err != nil {
		return nil, errors.Join(err, out.discard())
	}
	return out, nil
}

func (out *output) open(perm fs.FileMode) error {
	err := again(func() (err error) {
		out.f, err = out.sys.createUnnamed(out.dir, perm)
		return err
	})
	// EISDIR and ENOENT are what kernels and file systems without O_TMPFILE say.
	if !unsupported(err) && !errors.Is(err, syscall.EISDIR) && !errors.Is(err, syscall.ENOENT) {
		return wrap("cannot create a file in "+out.target.dir, nameless(err))
	}
	return wrap("cannot create a file in "+out.target.dir, out.hide(func(name string) (err error) {
		out.f, err = out.sys.createNamed(out.dir, name, perm)
		return err
	}))
}

func (out *output) setMode(mode fs.FileMode) error {
	if old := out.target.old; old != nil {
		mode = old.Mode().Perm()
		err := again(func() error { return out.sys.chown(out.f, old) })
		if err != nil && !unsupported(err) && !errors.Is(err, fs.ErrPermission) {
			return wrap("set owner", err)
		}
	}
	if mode == 0 && out.target.old == nil {
		return nil
	}
	return wrap("set mode", again(func() error { return out.sys.chmod(out.f, mode.Perm()) }))
}

// hide calls use with hidden names until it finds one that is free.
func (out *output) hide(use func(name string) error) error {
	base := out.target.name
	if len(base) > maxName {
		base = strings.ToValidUTF8(base[:maxName], "")
	}
	var err error
	for range 100 {
		name := fmt.Sprintf(".%s.isolayer-%08x", base, rand.Uint32())
		err = again(func() error { return use(name) })
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

// publish gives the written file its name.
func (out *output) publish(ctx context.Context) error {
	if err := out.sys.sync(out.f); err != nil {
		return wrap("sync", err)
	}
	if out.temp == "" {
		err := out.hide(func(name string) error { return out.sys.link(out.f, out.dir, name) })
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
	if err := again(func() error { return out.sys.rename(out.dir, out.temp, out.target.name) }); err != nil {
		return wrap("rename", err)
	}
	out.temp = ""
	if err := out.sys.syncDir(out.dir); err != nil {
		return wrap("sync directory", err)
	}
	return wrap("close directory", out.closeDir())
}

// discard removes what publish did not get to give its name.
func (out *output) discard() error {
	errs := []error{out.closeFile()}
	if out.temp != "" {
		errs = append(errs, wrap("remove", again(func() error { return out.sys.remove(out.dir, out.temp) })))
	}
	return errors.Join(append(errs, out.closeDir())...)
}

func (out *output) closeFile() (err error) {
	if out.f != nil {
		err = out.sys.close(out.f)
		out.f = nil
	}
	return err
}

func (out *output) closeDir() (err error) {
	if out.dir != nil {
		err = out.sys.close(out.dir)
		out.dir = nil
	}
	return err
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
