// Package inplace writes a planned image over its base: only what differs is written,
// and whatever happens meanwhile, the file is the base again or the new image.
//
// What is to be overwritten is saved beforehand, in a journal, as a rule beside the image. New
// data goes first, to where the base uses nothing, then what the base has structures
// at; the edit takes effect when the journal is renamed. Whoever opens the image next
// takes back an edit that was killed before that; see Recover. What only the base used
// is wiped afterwards. The journal then is what Undo works with.
package inplace

import (
	"errors"
	"io"
	"time"

	"github.com/isolayer/isolayer/extent"
)

const (
	pageSize = 4096
	bufSize  = 1 << 20
	// MaxUndo is how many bytes are kept for Undo without being asked to.
	MaxUndo = 64 << 20
)

// How the names of journals end.
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

// Result is what was done.
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

// identity distinguishes an image file from others.
type identity struct{ device, inode uint64 }
