package strategy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/workspace"
)

// Runner returns what runs the commands of RUN, in the merged directory of a workspace.
// Without --network=host they see no network; the folder $SECRETS has their secrets.
func Runner(o workspace.Options, say func(string)) func(context.Context, isofile.RunCommand) ([]tree.Edit, func() error, error) {
	return func(ctx context.Context, c isofile.RunCommand) (edits []tree.Edit, cleanup func() error, err error) {
		w, err := Prepare(ctx, c.Image, Auto, o, say)
		if err != nil {
			return nil, nil, err
		}
		files := extent.NewFiles()
		cleanup = func() error { return errors.Join(files.Close(), w.Close()) }
		if err := runIn(ctx, w, c); err != nil {
			return nil, cleanup, err
		}
		res, err := w.Capture(workspace.CaptureOptions{Files: files})
		return res.Edits, cleanup, err
	}
}

// runIn runs one command and ends the workspace's processes.
func runIn(ctx context.Context, w *workspace.Workspace, c isofile.RunCommand) (ended error) {
	env := c.Env
	if len(c.Secrets) > 0 {
		dir, err := secretsDir(c.Secrets)
		if err != nil {
			return err
		}
		defer func() { ended = errors.Join(ended, os.RemoveAll(dir)) }()
		env = append(env, "SECRETS="+dir)
	}
	code, err := w.Run(ctx, workspace.Command{Args: c.Args, Env: env, Offline: !c.Network})
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("%w: it ended with %d", isofile.ErrCommand, code)
	}
	return w.Stop()
}

// secretsDir is a folder with links to secrets, under their ids.
func secretsDir(secrets map[string]string) (string, error) {
	dir, err := os.MkdirTemp("", "isolayer-secrets-")
	if err != nil {
		return "", err
	}
	for id, file := range secrets {
		if err := os.Symlink(file, filepath.Join(dir, id)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}
