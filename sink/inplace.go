package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/inplace"
)

// UndoPolicy says what becomes of what an edit in place overwrote.
type UndoPolicy int

// The policies.
const (
	UndoAuto UndoPolicy = iota // keep it, but refuse the edit above 64 MiB
	UndoKeep                   // keep it
	UndoDrop                   // keep nothing
)

// InPlaceOptions tune InPlace. The zero value is the default.
type InPlaceOptions struct {
	Undo UndoPolicy
	// Journal is the path that names of the journal and of what undoing needs begin with;
	// "" is that of the image, which they then lie beside. Who opens the image finds an
	// edit that was killed there alone: whoever chooses another place calls Recover first.
	Journal string
}

// Edited is what an edit in place did besides writing the image.
type Edited struct {
	Wiped   int64         // bytes made zero when it had taken effect
	Journal int64         // bytes of the journal
	Undo    string        // path of what undoing it needs, "" without
	Removed bool          // whether that has content that was removed from the image
	Synced  time.Duration // waited for the disk
}

// ErrNoPlace reports a plan that was not made for its place.
var ErrNoPlace = errors.New("the image was not planned for its place")

// InPlace is the image file at path, which becomes the image of a plan that has it as its
// base: only what differs is written. With an error the file is as it was, unless the error
// is one of taking the edit back: then opening it the next time does that.
func InPlace(path string, o InPlaceOptions) Sink { return edited{path, o} }

// Recover brings the image file at path in order if an edit in place of it was killed: it
// is the base again, or the new image. To be called before it is read; cheap if there is
// nothing to do.
func Recover(path string, o InPlaceOptions) error {
	if err := inplace.Recover(o.target(path)); err != nil {
		return fmt.Errorf("recover %s: %w", path, once(path, err))
	}
	return nil
}

// Undo takes the last edit in place of the image file at path back.
func Undo(path string, o InPlaceOptions) error {
	if err := inplace.Undo(o.target(path)); err != nil {
		return fmt.Errorf("undo %s: %w", path, once(path, err))
	}
	return nil
}

func (o InPlaceOptions) target(path string) inplace.Target {
	return inplace.Target{Image: path, Journal: o.Journal}
}

type edited struct {
	path string
	o    InPlaceOptions
}

// Write implements Sink.
func (s edited) Write(ctx context.Context, p Plan, o Options) (Result, error) {
	if p.Base == nil {
		return Result{}, fmt.Errorf("change %s: %w", s.path, ErrNoPlace)
	}
	m, err := p.Seal(ctx, o.Progress)
	if err == nil && len(o.Observe) > 0 {
		err = Feed(ctx, m, o.Progress, o.Observe...)
	}
	if err != nil {
		return Result{}, fmt.Errorf("change %s: %w", s.path, err)
	}
	if unchanged(m, p.Base) {
		return Result{Size: m.Size(), Kept: m.Size(), Method: MethodInPlace, Edit: &Edited{}}, nil
	}
	meter := newMeter(o.Progress, 0)
	res, err := inplace.Apply(ctx, s.o.target(s.path), inplace.Edit{
		Map: m, Base: p.Base, Overwritten: p.Overwritten, Wiped: p.Wiped, Undo: inplace.UndoPolicy(s.o.Undo),
		Check: func() error { return Check(ctx, m, p.Base) },
		Progress: func(done, total int64) {
			meter.total = total
			meter.add(done - meter.done)
		},
	})
	if err != nil {
		return Result{}, fmt.Errorf("change %s: %w", s.path, once(s.path, err))
	}
	meter.finish()
	return Result{
		Size: m.Size(), Written: res.Written, Kept: m.Size() - res.Written, Method: MethodInPlace,
		Edit: &Edited{Wiped: res.Wiped, Journal: res.Journal, Undo: res.Undo, Removed: res.Removed, Synced: res.Synced},
	}, nil
}

// once takes the path off an error that names it: it is said already. Others, of a journal,
// stay.
func once(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && filepath.Base(p.Path) == filepath.Base(path) {
		return p.Err
	}
	return err
}

// unchanged reports a map that is its base.
func unchanged(m *extent.Map, base extent.Source) bool {
	es := m.Extents()
	return len(es) == 1 && es[0].Kind == extent.Copy && es[0].Src == base && es[0].SrcOff == 0 && es[0].Len == base.Size()
}
