package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/sink"
)

// inPlace changes the base itself; start is when the work began.
func (a *app) inPlace(ctx context.Context, path string, img *build.Image, o buildOptions, start time.Time) error {
	place := sink.InPlaceOptions{}
	switch {
	case o.keepUndo:
		place.Undo = sink.UndoKeep
	case o.noUndo:
		place.Undo = sink.UndoDrop
	}
	if !img.Sealed() {
		fmt.Fprintln(a.err, "isolayer: the media check covers the whole image, which is read once; with --media-check strip not at all")
	}
	m := newMeter(a.err, o.progress)
	res, err := img.WriteInPlace(ctx, place, sink.Options{Progress: m.at})
	took := time.Since(start)
	m.done()
	if errors.Is(err, inplace.ErrUndoSize) {
		return hinted{err, "--keep-undo keeps it all the same, --no-undo nothing of it"}
	}
	if err != nil {
		return err
	}
	if !img.Unchanged() {
		a.staleSums(path, "")
	}
	r, did := written(img), res.Edit
	if o.asJSON {
		return printJSON(a.out, struct {
			Image   string        `json:"image"`
			Report  layout.Report `json:"report"`
			Written int64         `json:"bytes_written"`
			Wiped   int64         `json:"bytes_wiped"`
			Journal int64         `json:"bytes_journal"`
			Undo    string        `json:"undo,omitempty"`
			Seconds float64       `json:"seconds"`
			Synced  float64       `json:"seconds_syncing"`
		}{path, r, res.Written, did.Wiped, did.Journal, did.Undo, took.Seconds(), did.Synced.Seconds()})
	}
	fmt.Fprintf(a.err, "%s: %s, %s; %s written in place, in %.3f s, of which %.3f s waiting for the disk\n",
		name(path), size(r.Size), changes(r), size(res.Written+did.Wiped), took.Seconds(), did.Synced.Seconds())
	if r.MediaCheck != "" {
		fmt.Fprintf(a.err, "media check: %s\n", r.MediaCheck)
	}
	if did.Undo != "" {
		fmt.Fprintf(a.err, "undo with: isolayer build --undo %s\n", name(path))
	}
	if did.Removed {
		fmt.Fprintf(a.err, "isolayer: what was removed is still in %s; delete that file, or use --no-undo, if it must not be\n", name(did.Undo))
	}
	a.bootFiles(r)
	a.warn(r)
	a.idle(img, o)
	return nil
}

// undo takes the last edit in place back.
func (a *app) undo(path string, flags int) error {
	if flags > 1 {
		return usagef("isolayer build --undo IMAGE takes no other options", "--undo with other options")
	}
	if err := build.Undo(path); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%s: as it was before the last edit in place\n", name(path))
	return nil
}
