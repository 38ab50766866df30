//go:build linux

package workspace

import (
	"os"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/tree"
)

// CaptureOptions say how changes are recorded.
type CaptureOptions struct {
	Files *extent.Files // opens what was added; nil: changes are told, edits have no content
	Epoch *time.Time    // latest time of files
}

// Capture tells what was changed, after Stop. Files stay where they are until Close.
func (w *Workspace) Capture(o CaptureOptions) (Result, error) {
	c := &capture{dir: w.Upper, files: o.Files, epoch: o.Epoch, attrs: true, squash: w.squash, own: [2]uint32{uint32(os.Geteuid()), uint32(os.Getegid())}}
	if w.Upper == "" {
		c.dir, c.full, c.since = w.Dir, true, w.since
		c.squash = os.Geteuid() != 0
		c.expect = copiedMode
	}
	return c.onImage(w.image, w.opts.Session)
}

// CaptureUpper tells what an upper directory of overlayfs changes in an image.
func CaptureUpper(image string, session int, upper string, o CaptureOptions) (Result, error) {
	c := &capture{dir: upper, files: o.Files, epoch: o.Epoch, attrs: true, own: [2]uint32{uint32(os.Geteuid()), uint32(os.Getegid())}}
	c.squash = os.Geteuid() != 0
	return c.onImage(image, session)
}

func (c *capture) onImage(image string, session int) (Result, error) {
	v := &viewSpec{Image: image, Session: session}
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
