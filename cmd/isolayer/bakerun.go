package main

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
	"github.com/isolayer/isolayer/internal/workspace/strategy"
)

// runIn runs the commands of RUN in the merged directory of a workspace. Without
// --network=host they see no network; the folder $SECRETS has their secrets.
func runIn(a *app) func(context.Context, isofile.RunCommand) ([]tree.Edit, func() error, error) {
	return func(ctx context.Context, c isofile.RunCommand) (edits []tree.Edit, cleanup func() error, err error) {
		w, err := a.prepare(ctx, c.Image, strategy.Auto, "", 0)
		if err != nil {
			return nil, nil, err
		}
		files := extent.NewFiles()
		cleanup = func() error { return errors.Join(files.Close(), w.Close()) }
		env := c.Env
		if len(c.Secrets) > 0 {
			dir, err := secretsDir(c.Secrets)
			if err != nil {
				return nil, cleanup, err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			env = append(env, "SECRETS="+dir)
		}
		code, err := w.Run(ctx, workspace.Command{Args: c.Args, Env: env, Offline: !c.Network})
		if err == nil && code != 0 {
			err = fmt.Errorf("%w: it ended with %d", isofile.ErrCommand, code)
		}
		if err == nil {
			err = w.Stop()
		}
		if err != nil {
			return nil, cleanup, err
		}
		res, err := w.Capture(workspace.CaptureOptions{Files: files})
		return res.Edits, cleanup, err
	}
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
