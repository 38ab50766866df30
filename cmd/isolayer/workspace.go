package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/isolayer/isolayer/internal/workspace"
	"github.com/isolayer/isolayer/internal/workspace/strategy"
	"github.com/isolayer/isolayer/sink"
)

// addWorkspaceFlags defines what all commands with a workspace have.
func addWorkspaceFlags(f *pflag.FlagSet, temp *string) {
	f.StringVar(temp, "workspace-dir", "", "where changes and copies are held meanwhile, `DIR` (default $TMPDIR)")
}

// prepare makes a workspace and says where it is not what was to be expected.
func (a *app) prepare(ctx context.Context, image string, how strategy.How, temp string, session int) (*workspace.Workspace, error) {
	return strategy.Prepare(ctx, image, how, a.workspace(temp, session), a.say)
}

// say says what is other than was to be expected.
func (a *app) say(what string) { fmt.Fprintf(a.err, "isolayer: %s\n", plain(what)) }

// workspace are the options that all workspaces share.
func (a *app) workspace(temp string, session int) workspace.Options {
	o := workspace.Options{Temp: temp, Session: session, Limits: a.limits, Stdout: a.out, Stderr: a.err}
	o.Stdin, _ = a.in.(*os.File)
	return o
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
