//go:build linux

package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/unpack"
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

// skippedByCopy says what a copy leaves out: devices, FIFOs and sockets.
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
	d, err := unpack.Open(ctx, w.Dir, unpack.Options{
		Open:  func(n *tree.Node) (io.ReaderAt, int64, error) { return contentOf(img, n) },
		Owner: os.Geteuid() == 0,
		Mode:  func(mode uint32) fs.FileMode { return iso9660.FileMode(copiedMode(mode)) &^ fs.ModeType },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	// What has the name of something before it is left out, as views do, and so are devices.
	if err := d.Tree(t.Root, "."); err != nil {
		return fmt.Errorf("copy %w", err)
	}
	if err := d.Finish(); err != nil {
		return fmt.Errorf("copy %w", err)
	}
	return w.mark()
}

// contentOf is the content of a file of the image, counted.
func contentOf(img *iso9660.Image, n *tree.Node) (io.ReaderAt, int64, error) {
	for _, e := range n.Found {
		if e == nil {
			continue
		}
		r, size, err := img.Open(e)
		if err != nil {
			return nil, 0, err
		}
		if err := img.Budget().Out(size); err != nil {
			return nil, 0, fault.At(e.Off(), "file", "size", fmt.Errorf("%d bytes: %w", size, err))
		}
		return r, size, nil
	}
	return nil, 0, fmt.Errorf("internal error: no entry: %w", fs.ErrNotExist)
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
