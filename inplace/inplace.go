// Package inplace writes a planned image over its base: only what differs is written,
// and whatever happens meanwhile, the file is the base again or the new image.
//
// What is to be overwritten is saved beforehand, in a journal beside the image. New
// data goes first, to where the base uses nothing, then what the base has structures
// at; the edit takes effect when the journal is renamed. Whoever opens the image next
// takes back an edit that was killed before that; see Recover. What only the base used
// is wiped afterwards. The journal then is what Undo works with.
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

const (
	pageSize = 4096
	bufSize  = 1 << 20
	// MaxUndo is how many bytes are kept for Undo without being asked to.
	MaxUndo = 64 << 20
)

// Names beside the image.
const (
	JournalSuffix = ".isolayer-journal"
	UndoSuffix    = ".isolayer-undo"
)

var (
	// ErrBusy reports an image that another run is editing.
	ErrBusy = errors.New("another run is editing the image")
	// ErrUnsafe reports an image that cannot be edited in place.
	ErrUnsafe = errors.New("cannot be changed in place")
	// ErrForeign reports a journal that belongs to another file than the image.
	ErrForeign = errors.New("the journal is that of another file")
	// ErrUndoSize reports that more would have to be kept for Undo than MaxUndo.
	ErrUndoSize = errors.New("undo needs much space")
	// ErrNoUndo reports that there is nothing to take back.
	ErrNoUndo = errors.New("nothing to undo")
	// ErrSince reports an image that was changed since the edit.
	ErrSince = errors.New("the image was changed since its last edit in place")
)

// UndoPolicy says what becomes of the journal of an edit that took effect.
type UndoPolicy int

// The policies.
const (
	UndoAuto UndoPolicy = iota // keep it, but fail with ErrUndoSize above MaxUndo
	UndoKeep                   // keep it
	UndoDrop                   // remove it; bytes that are wiped are not saved
)

// Edit is what to do to an image.
type Edit struct {
	// Map is the new image; its base is the image itself, Base the source of that name.
	Map  *extent.Map
	Base extent.Source
	// Overwritten are the ranges, in bytes, of what is new at a place that the base uses;
	// they are written last. Wiped are ranges of zeros that only the base uses; they
	// are written when the edit has taken effect.
	Overwritten, Wiped []extent.Extent
	Undo               UndoPolicy
	// Check, unless nil, is asked before the edit takes effect: have sources changed?
	Check func() error
	// Progress hears how much of the new bytes is written.
	Progress func(done, total int64)
}

// Result tells what was done.
type Result struct {
	Written int64         // bytes of the image
	Wiped   int64         // bytes made zero afterwards
	Journal int64         // bytes of the journal
	Undo    string        // path of what Undo works with, "" without
	Removed bool          // whether that has content that was removed from the image
	Synced  time.Duration // waited for the disk
}

// file is a file that is open for reading and writing.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(int64) error
	Zero(off, n int64) error
	Sync() error
}

// place is a directory with an image and its journals.
type place interface {
	// image opens the image, locked against other runs; ErrBusy if one has it.
	image() (file, identity, error)
	open(suffix string) (file, error)   // fs.ErrNotExist
	create(suffix string) (file, error) // fs.ErrExist
	rename(old, new string) error
	remove(suffix string) error
	sync() error
}

// identity tells an image file from others.
type identity struct{ device, inode uint64 }

// write is a range with new bytes.
type write struct {
	extent.Extent
	late bool // it lies where the base uses something
}

// apply carries an edit out.
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
	size := a.Base.Size()
	if now, err := a.img.Size(); err != nil {
		return err
	} else if now != size {
		return fmt.Errorf("%w: it has %d bytes, not %d", extent.ErrChanged, now, size)
	}
	if c, ok := a.Base.(interface{ Check() error }); ok {
		if err := c.Check(); err != nil {
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
	a.j.After, err = a.j.after(a.Map)
	return err
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
		if a.j.over, err = scan(a.img, r, a.j.over, most); err != nil {
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
		if a.j.post, err = scan(a.img, r, a.j.post, most); err != nil {
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
	if a.res.Journal, err = a.j.write(a.f, a.img); err == nil {
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

// undoable tells whether the image is what the edit made of it.
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

// ranges are the ranges of extents, sorted and joined.
func ranges(list []extent.Extent) []entry {
	var out []write
	for _, e := range list {
		out = append(out, write{Extent: e})
	}
	return union(out)
}

// union are the ranges of writes, sorted and joined.
func union(list []write) []entry {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b write) int { return cmp.Compare(a.Off, b.Off) })
	var out []entry
	for _, w := range list {
		if k := len(out) - 1; k >= 0 && w.Off <= out[k].end() {
			out[k].n = max(out[k].end(), w.End()) - out[k].off
		} else if w.Len > 0 {
			out = append(out, entry{off: w.Off, n: w.Len})
		}
	}
	return out
}

// without is a run of zeros without the ranges that are wiped later, and without what
// lies behind the end, where a file reads as zeros.
func without(e extent.Extent, wiped []entry, size int64) []extent.Extent {
	var out []extent.Extent
	off, end := e.Off, min(e.End(), size)
	i, _ := slices.BinarySearchFunc(wiped, off, func(r entry, at int64) int { return cmp.Compare(r.end(), at+1) })
	for ; i < len(wiped) && wiped[i].off < end; i++ {
		if wiped[i].off > off {
			out = append(out, extent.ZeroOf(off, wiped[i].off-off))
		}
		off = max(off, wiped[i].end())
	}
	if off < end {
		out = append(out, extent.ZeroOf(off, end-off))
	}
	return out
}

// split parts an extent into what lies in the ranges and what does not.
func split(e extent.Extent, late []entry) []write {
	var out []write
	put := func(from, to int64, isLate bool) {
		if from < to {
			out = append(out, write{e.Slice(from, to), isLate})
		}
	}
	off := e.Off
	i, _ := slices.BinarySearchFunc(late, off, func(r entry, at int64) int { return cmp.Compare(r.end(), at+1) })
	for ; i < len(late) && late[i].off < e.End(); i++ {
		put(off, late[i].off, false)
		put(max(off, late[i].off), min(late[i].end(), e.End()), true)
		off = late[i].end()
	}
	put(off, e.End(), false)
	return out
}
