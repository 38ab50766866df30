//go:build linux

package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Options of a workspace. The zero value is the usual way.
type Options struct {
	Temp           string // where the workspace's directory is made; "" is os.TempDir
	Session        int    // of the image
	Limits         fault.Limits
	Lower          []string // kinds of views to try: erofs, iso9660, fuse; nil is all that this user can have
	Layers         []string // who may lay an overlay: Kernel, FuseOverlayfs; nil is the kernel, and without root else the program
	Stdin          *os.File // of programs; nil is nothing
	Stdout, Stderr io.Writer
}

// Workspace is a directory with an image's content, or what stands for another
// directory, that can be changed. It is not safe for concurrent use.
type Workspace struct {
	Strategy Strategy
	View     string // kind of the view: erofs, iso9660, fuse, copy
	Layer    string // who lays an overlay over it: Kernel, FuseOverlayfs
	Why      string // what the kernel says if it does not
	Dir      string // the merged directory, as programs see it
	Upper    string // holds what changed; "" if that is not known by it

	room    *room
	image   string
	opts    Options
	keeper  *keeper
	squash  bool            // the view shows everything as root's
	since   unix.Timespec   // of a copy: when it was complete
	exact   map[string]bool // of a copy: what was put there with its own attributes
	shields []string        // the directories that are shielded
	began   time.Time
}

// Prepare makes a workspace of the image. Overlay and Bind mount in a private
// namespace: nobody else sees it, and it goes with this process.
func Prepare(ctx context.Context, image string, s Strategy, o Options) (w *Workspace, err error) {
	if image, err = filepath.Abs(image); err != nil {
		return nil, err
	}
	w = &Workspace{Strategy: s, image: image, opts: o}
	if w.room, err = newRoom(o.Temp); err != nil {
		return nil, err
	}
	w.Dir = w.room.path("merged")
	switch s := s.(type) {
	case Copy:
		err = w.copyOut(ctx)
	case Overlay:
		err = w.overlay(ctx, s)
	case Bind:
		err = w.bind(ctx, s)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", s, err), w.Close())
	}
	return w, nil
}

func (w *Workspace) overlay(ctx context.Context, o Overlay) error {
	work := w.room.path("work")
	w.Upper = w.room.path("upper")
	if o.Upper != "" {
		u, err := filepath.Abs(o.Upper)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(u, 0o755); err != nil {
			return err
		}
		w.Upper, work = u, workOf(u)
		w.room.also = append(w.room.also, work)
	}
	if err := mkdirs(w.room.path("view"), w.Dir, w.Upper, work); err != nil {
		return err
	}
	if err := w.rootLike(o.Upper == ""); err != nil {
		return err
	}
	return w.start(ctx, func(user bool) spec {
		return spec{
			View:     w.viewSpec(user, w.room.path("view")),
			Overlays: []overlaySpec{{Lower: w.room.path("view"), Upper: w.Upper, Work: work, Target: w.Dir, UserXattr: user, Foreign: true, Kinds: w.layers(user)}},
		}
	})
}

// rootLike gives a new upper directory the attributes of the image's root, which the
// merged one then shows.
func (w *Workspace) rootLike(fresh bool) error {
	_, img, err := w.view().open()
	if err != nil || !fresh {
		return err
	}
	t, err := tree.FromImage(img)
	if err != nil {
		return err
	}
	a := t.Root.Attr
	if os.Geteuid() == 0 {
		if err := os.Chown(w.Upper, int(a.UID), int(a.GID)); err != nil {
			return err
		}
	}
	return errors.Join(os.Chmod(w.Upper, iso9660.FileMode(copiedMode(a.Mode))&^fs.ModeType), os.Chtimes(w.Upper, a.ModTime, a.ModTime))
}

func (w *Workspace) bind(ctx context.Context, b Bind) error {
	if err := mkdirs(w.Dir); err != nil {
		return err
	}
	binds, err := w.bindings(b)
	if err != nil {
		return err
	}
	return w.start(ctx, func(user bool) spec {
		return spec{View: w.viewSpec(user, w.Dir), Binds: binds}
	})
}

// bindings checks that sources and places are alike, before anything is mounted.
func (w *Workspace) bindings(b Bind) ([]Binding, error) {
	_, img, err := w.view().open()
	if err != nil {
		return nil, err
	}
	t, err := tree.FromImage(img)
	if err != nil {
		return nil, err
	}
	var out []Binding
	for _, x := range b.Map {
		src, err := filepath.Abs(x.Source)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(src)
		if err != nil {
			return nil, err
		}
		n, err := t.Lookup(x.Path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s %w", x.Path, ErrNotThere)
		case n.IsDir() && !info.IsDir():
			return nil, fmt.Errorf("%s %w", x.Path, tree.ErrIsDir)
		case !n.IsDir() && info.IsDir():
			return nil, fmt.Errorf("%s %w", x.Path, tree.ErrNotDir)
		case n.IsLink():
			return nil, fmt.Errorf("%s: %w: it leads to %s", x.Path, tree.ErrLinkPath, n.Link)
		}
		out = append(out, Binding{src, filepath.Join(w.Dir, n.Path())})
	}
	return out, nil
}

// view is the image, to be read.
func (w *Workspace) view() *viewSpec {
	return &viewSpec{Image: w.image, Session: w.opts.Session, Limits: w.opts.Limits}
}

// layers are those who may lay an overlay. Root gets the kernel's or an error that says
// why not: it can choose a better place.
func (w *Workspace) layers(user bool) []string {
	switch {
	case w.opts.Layers != nil:
		return w.opts.Layers
	case user:
		return []string{Kernel, FuseOverlayfs}
	}
	return []string{Kernel}
}

// viewSpec is a view to be mounted at dir.
func (w *Workspace) viewSpec(user bool, dir string) *viewSpec {
	kinds := w.opts.Lower
	if kinds == nil {
		kinds = []string{"erofs", "iso9660", "fuse"}
		if user {
			kinds = []string{"fuse"}
		}
	}
	w.squash = user
	v := w.view()
	v.Dir, v.Root, v.Kinds, v.Meta = dir, user, kinds, w.room.path("erofs")
	return v
}

func mkdirs(dirs ...string) error {
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// workOf is the directory overlayfs works in, beside an upper one: both must be on one
// file system.
func workOf(upper string) string {
	return filepath.Join(filepath.Dir(upper), "."+filepath.Base(upper)+".isolayer-work")
}
