package inplace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Target is an image file and where its journals lie.
type Target struct {
	Image string
	// Journal is the path that their names begin with; "" is that of the image, links
	// followed, so that they lie beside it.
	Journal string
}

// Apply changes the image file of a target. With an error, the image is as it was, unless
// the error is one of taking the edit back: then the next run does that.
func Apply(ctx context.Context, t Target, e Edit) (Result, error) {
	p, err := at(t)
	if err != nil {
		return Result{}, err
	}
	res, err := apply(ctx, p, e)
	if res.Undo != "" {
		res.Undo = p.journal + res.Undo
	}
	return res, err
}

// Undo takes the last edit of the image file back: ErrNoUndo if there is none, ErrSince if
// the image was changed otherwise since.
func Undo(t Target) error {
	p, err := at(t)
	if err != nil {
		return err
	}
	return undo(p)
}

// Recover brings an image file in order if a killed run has left it half edited. It is
// cheap if there is nothing to do, and to be called before the image is read.
func Recover(t Target) error {
	p, err := at(t)
	if err != nil {
		return nil // opening it says why
	}
	if _, err := os.Lstat(p.journal + JournalSuffix); err != nil && !p.pending() {
		return nil
	}
	return recoverImage(p)
}

// files are an image and its journals on disk.
type files struct{ path, journal string }

// at finds the files of a target.
func at(t Target) (files, error) {
	real, err := filepath.EvalSymlinks(t.Image)
	if err != nil {
		return files{}, err
	}
	return files{real, cmp.Or(t.Journal, real)}, nil
}

// pending reports whether an edit took effect but did not end. A file that cannot be
// read is somebody else's business.
func (p files) pending() bool {
	f, err := os.Open(p.journal + UndoSuffix)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	tail := make([]byte, len(done))
	_, err = f.ReadAt(tail, max(0, info.Size()-int64(len(done))))
	return err == nil && string(tail) != done
}

func (p files) image() (file, identity, error) {
	f, err := os.OpenFile(p.path, os.O_RDWR|nonblock, 0)
	if err != nil {
		return nil, identity{}, err
	}
	id, err := safe(f, p.path)
	if err != nil {
		return nil, id, errors.Join(err, f.Close())
	}
	return disk{f}, id, nil
}

// safe locks an image and reports whether it may be written to.
func safe(f *os.File, path string) (identity, error) {
	info, err := f.Stat()
	if err != nil {
		return identity{}, err
	}
	if !info.Mode().IsRegular() {
		return identity{}, fmt.Errorf("%w: it is not a regular file, and what guards the edit could not lie beside it", ErrUnsafe)
	}
	id, links, err := identify(info)
	if err != nil {
		return id, err
	}
	if links > 1 {
		return id, fmt.Errorf("%w: it has %d names (hard links), and would change under all of them", ErrUnsafe, links)
	}
	if err := lock(f); err != nil {
		return id, err
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(info, now) {
		return id, errors.Join(ErrBusy, err)
	}
	if dev := attached(id); dev != "" {
		return id, fmt.Errorf("%w: it is attached to %s", ErrUnsafe, dev)
	}
	return id, nil
}

func (p files) open(suffix string) (file, error) {
	f, err := os.OpenFile(p.journal+suffix, os.O_RDWR|nonblock|nofollow, 0)
	if err != nil {
		return nil, err
	}
	if err := trusted(f, p.path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return disk{f}, nil
}

// trusted reports whether a journal was written by who may write the image: it decides
// what is written there.
func trusted(f *os.File, image string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	img, err := os.Stat(image)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || !ownedByUs(info, img) {
		return fmt.Errorf("%s: %w", f.Name(), ErrForeign)
	}
	return nil
}

func (p files) create(suffix string) (file, error) {
	f, err := os.OpenFile(p.journal+suffix, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return disk{f}, nil
}

func (p files) rename(old, to string) error { return os.Rename(p.journal+old, p.journal+to) }
func (p files) remove(suffix string) error  { return os.Remove(p.journal + suffix) }

func (p files) sync() (err error) {
	d, err := os.Open(filepath.Dir(p.journal))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return syncDir(d)
}

// disk is a file of the system.
type disk struct{ *os.File }

func (d disk) Size() (int64, error) {
	info, err := d.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Zero writes zeros: as holes where that is possible and worth it.
func (d disk) Zero(off, n int64) error {
	if n >= holeSize && punch(d.File, off, n) == nil {
		return nil
	}
	_, err := io.Copy(io.NewOffsetWriter(d.File, off), io.LimitReader(zeroReader{}, n))
	return err
}

// holeSize is from which length on zeros are worth a hole.
const holeSize = 1 << 20

// zeroReader reads zeros without end.
type zeroReader struct{}

// Read implements io.Reader.
func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
