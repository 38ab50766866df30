// Package strategy makes images by way of a directory: which kind of workspace, the steps
// carried out in it, and the image of it, by this program or by another one's command lines.
//
// How a directory is shown, and what runs in it, is the work of package workspace.
package strategy

import (
	"context"
	"errors"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/workspace"
)

// How a directory is made.
type How string

// The ways.
const (
	Auto    How = "auto" // an overlay if this machine has what it needs, else a copy
	Overlay How = "overlay"
	Copy    How = "copy"
	Bind    How = "bind" // local files over those of the image
)

// Prepare makes a workspace over an image. say hears why it is another one than was to be
// expected.
func Prepare(ctx context.Context, image string, how How, o workspace.Options, say func(why string)) (w *workspace.Workspace, err error) {
	defer func() { err = baseimage.InImage(image, err) }()
	if how == Copy {
		return workspace.Prepare(ctx, image, workspace.Copy{}, o)
	}
	w, err = workspace.Prepare(ctx, image, workspace.Overlay{}, o)
	if err == nil && w.Layer == workspace.FuseOverlayfs {
		say("fuse-overlayfs makes the overlay, which is slower: " + w.Why)
	}
	if how == Overlay || err == nil || ctx.Err() != nil {
		return w, err
	}
	if !needsOverlay(err) {
		return nil, err
	}
	say("no overlay, the image is copied: " + err.Error())
	return workspace.Prepare(ctx, image, workspace.Copy{}, o)
}

// needsOverlay reports an error that a copy does not have.
func needsOverlay(err error) bool {
	return errors.Is(err, workspace.ErrNoNamespace) || errors.Is(err, workspace.ErrUpper) || errors.Is(err, workspace.ErrLower) || workspace.NoView(err)
}
