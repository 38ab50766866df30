package isofile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/tree"
)

// RunCommand is a command that RUN states.
type RunCommand struct {
	Image   string   // the image file to run it in
	Args    []string // program and arguments
	Env     []string
	Network bool
	Secrets map[string]string // files by the names below /run/secrets
}

// materialise writes the image of a state to a temporary file, for RUN.
func (c *run) materialise(ctx context.Context, s *state) (path string, remove func() error, err error) {
	img, err := s.build(ctx, c.options(s), nil)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	f, err := c.Store.Temp()
	if err != nil {
		return "", nil, err
	}
	remove = func() error { return os.Remove(f.Name()) }
	if err := f.Close(); err != nil {
		return "", remove, err
	}
	_, err = img.WriteFile(ctx, f.Name(), sinkOptions)
	return f.Name(), remove, err
}

// command carries out RUN.
func (c *run) command(ctx context.Context, s *state, i *recipe.Instruction) error {
	if c.Run == nil {
		return fmt.Errorf("RUN: %w", errors.ErrUnsupported)
	}
	cmd := RunCommand{Args: i.Words, Secrets: map[string]string{}}
	for name, value := range s.args {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	slices.Sort(cmd.Env)
	if !i.Exact {
		script := i.Rest
		for k, d := range i.Docs {
			if k == 0 && i.Rest == d.Word {
				script = d.Text
				break
			}
			script += "\n" + d.Text + d.Name
		}
		cmd.Args = []string{"/bin/sh", "-e", "-c", script}
	}
	switch v, _ := i.Flag("network"); v {
	case "", "none":
	case "host":
		cmd.Network = true
	default:
		return fmt.Errorf("%w: --network=%s: want host or none", recipe.ErrSyntax, v)
	}
	for _, f := range i.Flags {
		if f.Name != "mount" {
			continue
		}
		if err := c.mount(&cmd, f.Value); err != nil {
			return err
		}
	}
	ids := []string{}
	for id := range cmd.Secrets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	key := keyOfStep(s.key, map[string]any{"name": "RUN", "args": cmd.Args, "env": cmd.Env, "network": cmd.Network, "secrets": ids})
	return c.change(ctx, s, i, key, func() ([]edit.Step, func() error, error) {
		image, remove, err := c.materialise(ctx, s)
		if err != nil {
			return nil, remove, err
		}
		cmd.Image = image
		edits, cleanup, err := c.Run(ctx, cmd)
		both := func() error {
			if cleanup != nil {
				return errors.Join(cleanup(), remove())
			}
			return remove()
		}
		return []edit.Step{apply.Edits{List: atTime(edits, c.epoch(s.base)), From: "the command"}}, both, err
	})
}

// mount reads type=secret,id=x.
func (c *run) mount(cmd *RunCommand, value string) error {
	o := map[string]string{}
	for part := range strings.SplitSeq(value, ",") {
		k, v, _ := strings.Cut(part, "=")
		o[k] = v
	}
	id := o["id"]
	if o["type"] != "secret" || id == "" || strings.ContainsAny(id, "/\x00") || id == ".." {
		return fmt.Errorf("%w: --mount=%s: want type=secret,id=NAME", recipe.ErrSyntax, value)
	}
	file, ok := c.Secrets[id]
	if !ok {
		return fmt.Errorf("%w %q", ErrSecret, id)
	}
	cmd.Secrets[id] = file
	return nil
}

// atTime gives what edits put into the image a time.
func atTime(edits []tree.Edit, t time.Time) []tree.Edit {
	for i, e := range edits {
		if p, ok := e.(tree.Put); ok {
			p.Attr.ModTime = t
			edits[i] = p
		}
	}
	return edits
}
