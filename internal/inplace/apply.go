package inplace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/isolayer/isolayer/extent"
)

// apply carries an edit out.
// See RATIONALE.md, "An edit in place is a journal and two barriers".
func apply(ctx context.Context, p place, e Edit) (res Result, err error) {
	img, id, err := p.image()
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	if err := recoverLocked(p, img, id); err != nil {
		return res, err
	}
	a := &applier{ctx: ctx, p: p, img: img, id: id, Edit: e}
	if err := a.plan(); err != nil {
		return res, err
	}
	if err := a.writeJournal(); err != nil {
		return res, err
	}
	if err := a.commit(); err != nil {
		return res, errors.Join(err, a.rollback())
	}
	return a.res, a.after()
}

// applier is one edit under way.
type applier struct {
	Edit
	ctx    context.Context
	p      place
	img    file
	id     identity
	writes []write
	total  int64
	j      *journal
	f      file // the journal
	res    Result
}

// plan lists what is to be written and what has to be saved.
func (a *applier) plan() error {
	if !a.Map.Sealed() {
		return extent.ErrUnsealed
	}
	size := a.Base.Size()
	if now, err := a.img.Size(); err != nil {
		return err
	} else if now != size {
		return fmt.Errorf("%w: it has %d bytes, not %d", extent.ErrChanged, now, size)
	}
	if c, ok := a.Base.(extent.Checked); ok {
		if err := c.Check(a.ctx); err != nil {
			return err
		}
	}
	wiped, late := ranges(a.Wiped), ranges(a.Overwritten)
	for _, e := range a.Map.Extents() {
		if e.Kind == extent.Copy && e.Src == a.Base && e.SrcOff == e.Off || e.Kind == extent.Zero && e.Off >= size {
			continue
		}
		parts := []extent.Extent{e}
		if e.Kind == extent.Zero {
			parts = without(e, wiped, size)
		}
		for _, part := range parts {
			for _, w := range split(part, late) {
				a.writes = append(a.writes, w)
				a.total += w.Len
			}
		}
	}
	if err := a.hazards(); err != nil {
		return err
	}
	a.j = &journal{header: header{OldSize: size, NewSize: a.Map.Size(), Device: a.id.device, Inode: a.id.inode}}
	post := wiped
	if a.Map.Size() < size {
		post = append(post, entry{off: a.Map.Size(), n: size - a.Map.Size()})
	}
	if err := a.save(union(a.writes), post); err != nil {
		return err
	}
	var err error
	a.j.After, err = a.j.after(a.going(a.Map))
	return err
}

// going is r until the context ends: what is read before the journal is complete may be much.
func (a *applier) going(r io.ReaderAt) io.ReaderAt { return whileGoing{a.ctx, r} }

type whileGoing struct {
	ctx context.Context
	r   io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (w whileGoing) ReadAt(p []byte, off int64) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.ReadAt(p, off)
}

// save lists what the journal will hold.
func (a *applier) save(over, post []entry) (err error) {
	most := int64(math.MaxInt64)
	switch a.Undo {
	case UndoAuto:
		most = MaxUndo
	case UndoDrop:
		a.j.Flags |= flagNoUndo
	}
	for _, r := range over {
		if r.n = min(r.end(), a.j.OldSize) - r.off; r.n <= 0 {
			continue
		}
		if a.j.over, err = scan(a.going(a.img), r, a.j.over, most); err != nil {
			return err
		}
	}
	for _, r := range post {
		switch r.n = min(r.end(), a.j.OldSize) - r.off; {
		case r.n <= 0:
			continue
		case a.Undo == UndoDrop:
			a.j.post = append(a.j.post, entry{r.off, r.n, kindLost})
			continue
		}
		if a.j.post, err = scan(a.going(a.img), r, a.j.post, most); err != nil {
			return err
		}
	}
	a.res.Removed = saved(a.j.post) > 0
	return nil
}

// hazards makes sure that no range is overwritten before it is read: what is copied
// within the image comes from where nothing is written before or at that time.
func (a *applier) hazards() error {
	early := slices.DeleteFunc(slices.Clone(a.writes), func(w write) bool { return w.late })
	before, all := union(early), union(a.writes)
	for _, w := range a.writes {
		if w.Kind != extent.Copy || w.Src != a.Base {
			continue
		}
		dst := before
		if w.late {
			dst = all
		}
		i, _ := slices.BinarySearchFunc(dst, w.SrcOff, func(r entry, at int64) int { return cmp.Compare(r.end(), at+1) })
		if i < len(dst) && dst[i].off < w.SrcOff+w.Len {
			return fmt.Errorf("%w: bytes at %d would be overwritten before they are read", ErrUnsafe, w.SrcOff)
		}
	}
	return nil
}

// sync waits for the disk and counts the time.
func (a *applier) sync(f func() error) error {
	start := time.Now()
	err := f()
	a.res.Synced += time.Since(start)
	return err
}

// writeJournal saves what will be overwritten. Without an error it is on the disk; with
// one, nothing is left.
func (a *applier) writeJournal() (err error) {
	if a.f, err = a.p.create(JournalSuffix); err != nil {
		return err
	}
	if a.res.Journal, err = a.j.write(a.f, a.going(a.img)); err == nil {
		err = a.sync(a.f.Sync)
	}
	if err == nil {
		err = a.sync(a.p.sync)
	}
	if err == nil {
		err = a.ctx.Err()
	}
	if err != nil {
		return errors.Join(err, a.f.Close(), a.p.remove(JournalSuffix))
	}
	return nil
}

// commit writes the new image; with the rename it is the image.
func (a *applier) commit() error {
	if a.Check != nil {
		if err := a.Check(); err != nil {
			return err
		}
	}
	if err := a.img.Truncate(max(a.j.OldSize, a.j.NewSize)); err != nil {
		return err
	}
	for _, late := range []bool{false, true} {
		n := 0
		for _, w := range a.writes {
			if w.late == late {
				n++
				if err := a.write(w.Extent); err != nil {
					return err
				}
			}
		}
		if n > 0 || !late {
			if err := a.sync(a.img.Sync); err != nil {
				return err
			}
		}
	}
	if a.Check != nil {
		if err := a.Check(); err != nil {
			return err
		}
	}
	if err := a.p.rename(JournalSuffix, UndoSuffix); err != nil {
		return err
	}
	return nil
}

// write writes one range.
func (a *applier) write(e extent.Extent) error {
	a.tell(0)
	if err := a.ctx.Err(); err != nil {
		return err
	}
	if e.Kind == extent.Bytes {
		a.tell(e.Len)
		_, err := a.img.WriteAt(e.Data, e.Off)
		return err
	}
	if e.Kind == extent.Zero {
		a.tell(e.Len)
		return a.img.Zero(e.Off, e.Len)
	}
	var src io.ReaderAt = e.Src
	if e.Src == a.Base {
		src = a.img // which this edit may have changed elsewhere
	}
	buf := make([]byte, min(bufSize, e.Len))
	for at := int64(0); at < e.Len; {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(bufSize, e.Len-at)]
		if err := readFull(src, b, e.SrcOff+at); err != nil {
			return fmt.Errorf("%s: %w", e.Src.Name(), err)
		}
		if _, err := a.img.WriteAt(b, e.Off+at); err != nil {
			return err
		}
		at += int64(len(b))
		a.tell(int64(len(b)))
	}
	return nil
}

func (a *applier) tell(n int64) {
	a.res.Written += n
	if a.Progress != nil {
		a.Progress(a.res.Written, a.total)
	}
}

// rollback takes back an edit that failed.
func (a *applier) rollback() error {
	err := a.f.Close()
	f, oerr := a.p.open(JournalSuffix)
	if errors.Is(oerr, fs.ErrNotExist) {
		return err // it was renamed: the edit took effect
	}
	if oerr != nil {
		return errors.Join(err, oerr)
	}
	return errors.Join(err, takeBack(a.p, a.img, f))
}

// after does what comes when the edit has taken effect.
func (a *applier) after() error {
	if err := errors.Join(a.sync(a.p.sync), a.f.Close()); err != nil {
		return err
	}
	for _, e := range a.j.post {
		a.res.Wiped += e.n
	}
	start := time.Now()
	kept, err := finish(a.p, a.img)
	a.res.Synced += time.Since(start)
	if !kept {
		a.res.Removed = false
	} else {
		a.res.Undo = UndoSuffix
	}
	return err
}
