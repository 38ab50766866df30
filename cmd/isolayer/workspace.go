package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/isolayer/isolayer/internal/workspace"
	"github.com/isolayer/isolayer/sink"
)

// addWorkspaceFlags defines what all commands with a workspace have.
func addWorkspaceFlags(f *pflag.FlagSet, temp *string) {
	f.StringVar(temp, "workspace-dir", "", "where changes and copies are held meanwhile, `DIR` (default $TMPDIR)")
}

// prepare makes a workspace. The strategy auto is what an overlay needs, if this
// machine has it, else a copy; it tells why.
func (a *app) prepare(ctx context.Context, image, strategy, temp string, session int, overlay workspace.Overlay) (w *workspace.Workspace, err error) {
	defer func() { err = inImage(image, err) }()
	o := workspace.Options{Temp: temp, Session: session, Limits: a.limits, Stdout: a.out, Stderr: a.err}
	o.Stdin, _ = a.in.(*os.File)
	switch strategy {
	case "copy":
		return workspace.Prepare(ctx, image, workspace.Copy{}, o)
	}
	w, err = workspace.Prepare(ctx, image, overlay, o)
	if err == nil && w.Layer == workspace.FuseOverlayfs {
		fmt.Fprintf(a.err, "isolayer: fuse-overlayfs makes the overlay, which is slower: %s\n", plain(w.Why))
	}
	if strategy == "overlay" || err == nil || overlay.Upper != "" || ctx.Err() != nil {
		return w, err
	}
	if !errors.Is(err, workspace.ErrNoNamespace) && !errors.Is(err, workspace.ErrUpper) && !errors.Is(err, workspace.ErrLower) && !workspace.NoView(err) {
		return nil, err
	}
	fmt.Fprintf(a.err, "isolayer: no overlay, the image is copied: %s\n", plain(err.Error()))
	return workspace.Prepare(ctx, image, workspace.Copy{}, o)
}

// notBase refuses to write over the base.
func notBase(base, out string) error {
	x, err := os.Stat(base)
	if err != nil {
		return err
	}
	if y, err := os.Stat(out); err == nil && os.SameFile(x, y) {
		return fmt.Errorf("%s: %w", out, sink.ErrSameFile)
	}
	return nil
}
