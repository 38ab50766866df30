//go:build linux

package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/tree"
)

// Shielded is what would have changed in one directory, or in a file system mounted
// below one.
type Shielded struct {
	Dir string // the directory itself
	Result
}

// Shield makes a workspace in which the directories can be written to, and what is
// mounted below them, while they stay as they are. It guards against accidents, not
// against malice: a program that holds a file open, or reaches it by another mount,
// passes it by.
func Shield(ctx context.Context, dirs []string, o Options) (w *Workspace, err error) {
	targets, err := targetsOf(dirs)
	if err != nil {
		return nil, err
	}
	w = &Workspace{Strategy: Overlay{}, opts: o, shields: targets, began: time.Now()}
	if w.room, err = newRoom(o.Temp); err != nil {
		return nil, err
	}
	if err := w.shield(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("shield: %w", err), w.Close())
	}
	return w, nil
}

func (w *Workspace) shield(ctx context.Context) error {
	real, err := filepath.EvalSymlinks(w.room.dir)
	if err != nil {
		return err
	}
	var overlays []overlaySpec
	for i, t := range w.shields {
		if within(real, t) {
			return fmt.Errorf("%s: %w", w.room.dir, ErrInside)
		}
		o := overlaySpec{Lower: t, Upper: w.upperOf(i), Work: w.room.path(fmt.Sprintf("work-%d", i)), Target: t, Kinds: []string{Kernel}}
		if err := mkdirs(o.Upper, o.Work); err != nil {
			return err
		}
		if err := like(o.Upper, t); err != nil {
			return err
		}
		overlays = append(overlays, o)
	}
	return w.start(ctx, func(user bool) spec {
		s := spec{Overlays: slices.Clone(overlays)}
		for i := range s.Overlays {
			s.Overlays[i].UserXattr = user
		}
		return s
	})
}

func (w *Workspace) upperOf(i int) string { return w.room.path(fmt.Sprintf("upper-%d", i)) }

// like gives an upper directory the attributes of the lower one, which the merged one
// then shows.
func like(upper, lower string) error {
	var st unix.Stat_t
	if err := unix.Stat(lower, &st); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(upper, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(upper, fs.FileMode(st.Mode&0o777))
}

// within reports whether p is dir or below it.
func within(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/")
}

// unshieldable are file systems that are no files.
var unshieldable = []string{"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "debugfs", "tracefs", "securityfs", "autofs", "binfmt_misc", "bpf", "configfs", "fusectl", "pstore", "efivarfs"}

// targetsOf are the directories and what is mounted below them, outer ones first.
func targetsOf(dirs []string) ([]string, error) {
	var out []string
	for _, d := range dirs {
		real, err := filepath.EvalSymlinks(d)
		if err == nil {
			real, err = filepath.Abs(real)
		}
		if err != nil {
			return nil, err
		}
		if info, err := os.Stat(real); err != nil {
			return nil, err
		} else if !info.IsDir() {
			return nil, fmt.Errorf("%s: %w", d, unix.ENOTDIR)
		}
		if real == "/" {
			return nil, fmt.Errorf("/: %w: name directories below it", ErrLower)
		}
		out = append(out, real)
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	for _, d := range slices.Clone(out) {
		for _, m := range mounts {
			if m.Mountpoint != d && within(m.Mountpoint, d) {
				if slices.Contains(unshieldable, m.FSType) {
					return nil, fmt.Errorf("%s: %w: %s is mounted there", m.Mountpoint, ErrLower, m.FSType)
				}
				out = append(out, m.Mountpoint)
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	// A directory inside another one, and on its file system, is shielded with it.
	var keep []string
	for _, t := range out {
		inside := slices.ContainsFunc(keep, func(k string) bool { return within(t, k) })
		mounted := slices.ContainsFunc(mounts, func(m *mountinfo.Info) bool { return m.Mountpoint == t })
		if !inside || mounted {
			keep = append(keep, t)
		}
	}
	return keep, nil
}

// Shielded returns, after Stop, what would have changed.
func (w *Workspace) Shielded(o CaptureOptions) ([]Shielded, error) {
	var out []Shielded
	for i, t := range w.shields {
		c := &capture{dir: w.upperOf(i), below: dirBelow(t), files: o.Files, epoch: o.Epoch, attrs: true, made: time.Now()}
		res, err := c.run()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t, err)
		}
		out = append(out, Shielded{t, res})
	}
	return out, nil
}

// Began is when the shield was put up.
func (w *Workspace) Began() time.Time { return w.began }

// Commit makes the changes in the directories. Nothing is changed if one of the files
// concerned was changed by somebody else since: that is ErrMeanwhile. Each file appears
// whole or not at all.
func Commit(list []Shielded, since time.Time) error {
	for _, s := range list {
		for _, e := range s.Edits {
			if err := untouchedSince(s.Dir, editPath(e), since); err != nil {
				return err
			}
		}
	}
	for _, s := range list {
		b, err := encodeEdits(s.Edits, func(extent.Source) (string, error) { return "", fs.ErrInvalid })
		if err != nil {
			return err
		}
		if err := applyEdits(s.Dir, b); err != nil {
			return fmt.Errorf("%s: %w", s.Dir, err)
		}
	}
	return nil
}

func editPath(e tree.Edit) string {
	switch e := e.(type) {
	case tree.Put:
		return e.Path
	case tree.Remove:
		return e.Path
	case tree.Opaque:
		return e.Path
	case tree.SetAttr:
		return e.Path
	}
	return "/"
}

// untouchedSince checks a path and, if it is a directory, what is in it.
func untouchedSince(dir, p string, since time.Time) error {
	return filepath.WalkDir(filepath.Join(dir, p), func(q string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		if time.Unix(st.Ctim.Unix()).After(since) {
			return fmt.Errorf("%s %w", q, ErrMeanwhile)
		}
		return nil
	})
}

// Layer is the change as a layer that tar and container tools understand. Paths count
// from the directory, if there is one only, else from the root.
func Layer(list []Shielded, root string, files *extent.Files) (*layer.Layer, error) {
	l := &layer.Layer{Root: tree.Attr{Mode: unix.S_IFDIR | 0o755}}
	for _, s := range list {
		prefix := s.Dir
		if rel, err := filepath.Rel(root, s.Dir); root != "" && err == nil && filepath.IsLocal(rel) {
			prefix = path.Join("/", rel)
		}
		for _, e := range s.Edits {
			p := path.Join(prefix, editPath(e))
			switch e := e.(type) {
			case tree.Remove:
				l.Gone = append(l.Gone, p)
			case tree.Opaque:
				l.Opaque = append(l.Opaque, p)
			case tree.Put:
				e.Path = p
				l.Added = append(l.Added, e)
			case tree.SetAttr:
				put, err := altered(s.Dir, e, files)
				if err != nil {
					return nil, err
				}
				put.Path = p
				l.Added = append(l.Added, put)
			}
		}
	}
	return l, nil
}

// altered is a file or directory with other attributes, whole.
func altered(dir string, e tree.SetAttr, files *extent.Files) (tree.Put, error) {
	b := dirBelow(dir).lookup(e.Path)
	if b == nil {
		return tree.Put{}, fmt.Errorf("%s: %w", e.Path, fs.ErrNotExist)
	}
	put := tree.Put{Attr: b.Attr}
	if e.Mode != nil {
		put.Attr.Mode = put.Attr.Mode&unix.S_IFMT | *e.Mode
	}
	if e.UID != nil {
		put.Attr.UID = *e.UID
	}
	if e.GID != nil {
		put.Attr.GID = *e.GID
	}
	if e.ModTime != nil {
		put.Attr.ModTime = *e.ModTime
	}
	if b.is(unix.S_IFREG) {
		src, err := files.Add(filepath.Join(dir, e.Path))
		if err != nil {
			return put, err
		}
		put.Source = src
	}
	return put, nil
}
