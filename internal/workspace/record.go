//go:build linux

package workspace

import (
	"os"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/tree"
)

// CaptureOptions say how changes are recorded.
type CaptureOptions struct {
	Files *extent.Files // opens what was added; nil: changes are listed, edits have no content
	Epoch *time.Time    // latest time of files
	// Limits are those of reading the image, for CaptureUpper.
	Limits fault.Limits
}

// Capture says what was changed, after Stop. Files stay where they are until Close.
func (w *Workspace) Capture(o CaptureOptions) (Result, error) {
	c := &capture{dir: w.Upper, marks: w.Layer == FuseOverlayfs, files: o.Files, epoch: o.Epoch, attrs: true, squash: w.squash, own: [2]uint32{uint32(os.Geteuid()), uint32(os.Getegid())}}
	if w.Upper == "" {
		c.dir, c.full, c.since = w.Dir, true, w.since
		c.squash = os.Geteuid() != 0
		c.expect, c.exact = copiedMode, w.exact
	}
	return c.onImage(w.view())
}

// CaptureUpper says what an upper directory of overlayfs or fuse-overlayfs changes in an
// image.
func CaptureUpper(image string, session int, upper string, o CaptureOptions) (Result, error) {
	c := &capture{dir: upper, marks: true, files: o.Files, epoch: o.Epoch, attrs: true, own: [2]uint32{uint32(os.Geteuid()), uint32(os.Getegid())}}
	c.squash = os.Geteuid() != 0
	return c.onImage(&viewSpec{Image: image, Session: session, Limits: o.Limits})
}

func (c *capture) onImage(v *viewSpec) (Result, error) {
	_, img, err := v.open()
	if err != nil {
		return Result{}, err
	}
	var trees [2]*tree.Tree
	for i := range trees {
		if trees[i], err = tree.FromImage(img); err != nil {
			return Result{}, err
		}
	}
	c.below, c.work, c.made = imageBelow{img, trees[0]}, trees[1], trees[0].Epoch
	c.attrs = trees[0].RockRidge
	if c.epoch != nil {
		c.made = *c.epoch
		c.work.Epoch = *c.epoch
	}
	return c.run()
}
