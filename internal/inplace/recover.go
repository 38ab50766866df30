package inplace

import (
	"errors"
	"fmt"
	"io/fs"
)

// takeBack restores the image from a journal and removes that. It closes f.
func takeBack(p place, img, f file) error {
	j, err := openJournal(f)
	switch {
	case errors.Is(err, errTorn):
		err = nil // nothing of the image was written
	case err == nil:
		err = j.restore(img)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("take the edit back: %w", err)
	}
	if err := p.remove(JournalSuffix); err != nil {
		return err
	}
	return p.sync()
}

// finish wipes what an edit that took effect has left to wipe, and removes the journal
// if it shall not be kept.
func finish(p place, img file) (kept bool, err error) {
	f, err := p.open(UndoSuffix)
	if err != nil {
		return false, err
	}
	j, err := openJournal(f)
	if err == nil {
		err = j.finish(img)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return true, err
	}
	if j.Flags&flagNoUndo == 0 {
		return true, nil
	}
	return false, errors.Join(p.remove(UndoSuffix), p.sync())
}

// recoverImage brings an image in order that a killed run has left.
func recoverImage(p place) (err error) {
	img, id, err := p.image()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	return recoverLocked(p, img, id)
}

func recoverLocked(p place, img file, id identity) error {
	f, err := p.open(JournalSuffix)
	if err == nil {
		if j, jerr := openJournal(f); jerr == nil {
			if err := j.belongs(img, id); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		if err := takeBack(p, img, f); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err = p.open(UndoSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	j, err := openJournal(f)
	pending := err == nil && !j.ended && j.belongs(img, id) == nil
	switch cerr := f.Close(); {
	case cerr != nil:
		return cerr
	case err != nil && !errors.Is(err, errTorn):
		return err
	case pending:
		// The rename may not have reached the disk yet, and what is wiped is not to be
		// restored any more.
		if err := p.sync(); err != nil {
			return err
		}
		_, err := finish(p, img)
		return err
	}
	return nil
}

// undo takes the last edit back.
func undo(p place) (err error) {
	img, id, err := p.image()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	if err := recoverLocked(p, img, id); err != nil {
		return err
	}
	f, err := p.open(UndoSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoUndo
	} else if err != nil {
		return err
	}
	if err := undoable(f, img, id); err != nil {
		return errors.Join(err, f.Close())
	}
	// From here on a killed run is taken further by the next one.
	if err := errors.Join(p.rename(UndoSuffix, JournalSuffix), p.sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	return takeBack(p, img, f)
}

// undoable reports whether the image is what the edit made of it.
func undoable(f, img file, id identity) error {
	j, err := openJournal(f)
	if err != nil {
		return err
	}
	if (identity{j.Device, j.Inode}) != id {
		return ErrForeign
	}
	size, err := img.Size()
	if err != nil {
		return err
	}
	if size != j.NewSize {
		return ErrSince
	}
	sum, err := j.after(img)
	if err == nil && sum != j.After {
		err = ErrSince
	}
	return err
}
