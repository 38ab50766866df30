//go:build linux

package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// copiedMode are the permission bits that a copy has: all of root's, else such that the
// user can work in it.
func copiedMode(mode uint32) uint32 {
	if os.Geteuid() == 0 {
		return mode
	}
	switch mode & iso9660.ModeType {
	case iso9660.ModeDir:
		return mode&^0o7000 | 0o700
	case iso9660.ModeRegular:
		return mode&^0o6000 | 0o600
	}
	return mode
}

// skippedByCopy tells what a copy leaves out: devices, FIFOs and sockets.
func skippedByCopy(mode uint32) bool {
	switch mode & iso9660.ModeType {
	case iso9660.ModeDir, iso9660.ModeRegular, iso9660.ModeSymlink:
		return false
	}
	return true
}

// copyOut unpacks the image. Nothing is written outside the directory, whatever it holds.
func (w *Workspace) copyOut(ctx context.Context) (err error) {
	w.View = "copy"
	_, img, err := w.view().open()
	if err != nil {
		return err
	}
	t, err := tree.FromImage(img)
	if err != nil {
		return err
	}
	if err := os.Mkdir(w.Dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(w.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	x := copier{ctx, root, img, map[iso9660.Section]string{}}
	var dirs []*tree.Node
	kept, lost := map[string]bool{}, map[*tree.Node]bool{}
	if err := t.Walk(func(n *tree.Node) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Of entries with one name the first one counts, as in views.
		if n.Parent != nil && (lost[n.Parent] || kept[n.Path()]) {
			lost[n] = true
			return nil
		}
		kept[n.Path()] = true
		if n.IsDir() {
			dirs = append(dirs, n)
		}
		if n.Parent == nil || skippedByCopy(n.Mode) {
			return nil
		}
		if err := x.one(n, local(n.Path())); err != nil {
			return fmt.Errorf("copy %s: %w", n.Path(), bare(err))
		}
		return nil
	}); err != nil {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- { // children first: making them changes a directory's time
		if err := x.attributes(dirs[i], local(dirs[i].Path())); err != nil {
			return fmt.Errorf("copy %s: %w", dirs[i].Path(), bare(err))
		}
	}
	return w.mark()
}

// mark notes the moment in which the copy is complete, by the file system's own clock.
func (w *Workspace) mark() error {
	p := w.room.path("complete")
	if err := os.WriteFile(p, nil, 0o600); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		return err
	}
	w.since = st.Ctim
	time.Sleep(10 * time.Millisecond) // one tick of that clock: later work is later
	return nil
}

type copier struct {
	ctx   context.Context
	root  *os.Root
	img   *iso9660.Image
	first map[iso9660.Section]string // the first name of each content
}

func (x copier) one(n *tree.Node, p string) error {
	switch {
	case n.IsDir():
		return x.root.Mkdir(p, 0o700)
	case n.IsLink():
		if err := x.root.Symlink(n.Link, p); err != nil {
			return err
		}
		if os.Geteuid() == 0 {
			if err := x.root.Lchown(p, int(n.UID), int(n.GID)); err != nil {
				return err
			}
		}
		return applier{x.root}.linkTime(p, n.ModTime)
	}
	if len(n.Content) > 0 {
		if old, ok := x.first[n.Content[0]]; ok {
			if err := x.root.Link(old, p); err == nil {
				return nil
			}
		}
		x.first[n.Content[0]] = p
	}
	for _, e := range n.Found {
		if e == nil {
			continue
		}
		if err := x.file(e, p); err != nil {
			return err
		}
		return x.attributes(n, p)
	}
	return nil
}

func (x copier) file(e *iso9660.Entry, p string) error {
	r, size, err := x.img.Open(e)
	if err != nil {
		return err
	}
	if err := x.img.Budget().Out(size); err != nil {
		return fault.At(e.Raws[0].Off, "file", "size", fmt.Errorf("%d bytes: %w", size, err))
	}
	out, err := x.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(out, stoppable{x.ctx, io.NewSectionReader(r, 0, size)}, make([]byte, 1<<20))
	return errors.Join(err, out.Close())
}

// stoppable reads until the context ends.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

func (x copier) attributes(n *tree.Node, p string) error {
	if os.Geteuid() == 0 {
		if err := x.root.Lchown(p, int(n.UID), int(n.GID)); err != nil {
			return err
		}
	}
	if err := x.root.Chmod(p, iso9660.FileMode(copiedMode(n.Mode))&^fs.ModeType); err != nil {
		return err
	}
	return x.root.Chtimes(path.Clean(p), n.ModTime, n.ModTime)
}
