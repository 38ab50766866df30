package strategy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/workspace"
)

// Made is an image that another program made.
type Made struct {
	Path string   // of the file, in the workspace
	Lost []string // what the program did not keep, a text each
}

// Master lets another program, genisoimage or xorriso, make the image of the directory,
// gives it a media check if the base has one, and compares it with what this program would
// make. Nothing runs in the directory any more.
func (w *Work) Master(ctx context.Context, program string) (made Made, err error) {
	plan, err := build.Build(ctx, w.base, w.steps, w.o.Build)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	want, err := baseimage.OpenSource(extent.Compose("the plan", plan.Map.Blank()), w.open())
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, want.Close()) }()
	made.Path = w.Path("image.iso")
	m, err := like{w.base.Path(), w.base.Image(), w.base.Boot(), want.Image().Primary()}.by(program, w.Dir, made.Path)
	if err != nil {
		return made, err
	}
	if err := w.run(ctx, m); err != nil {
		return made, err
	}
	if o := w.o.Build.MediaCheck; o == stage.MediaImplant || o == stage.MediaAuto && w.base.Image().Primary().MediaCheck() != "" {
		if _, err := build.ImplantMedia(ctx, made.Path, build.ImplantOptions{Force: true}); err != nil {
			return made, err
		}
	}
	made.Lost, err = w.lost(ctx, want, made.Path, program, m.patched)
	return made, err
}

func (w *Work) open() baseimage.OpenOptions {
	return baseimage.OpenOptions{Limits: w.o.Workspace.Limits}
}

// run runs the program's commands in the workspace and ends it.
func (w *Work) run(ctx context.Context, m *mastering) error {
	w.readable(m.commands[0])
	for _, c := range m.commands {
		if _, err := exec.LookPath(c[0]); err != nil {
			return fmt.Errorf("%s: %w", c[0], errors.Unwrap(err))
		}
	}
	binds, err := w.copies(m.patched)
	if err != nil {
		return err
	}
	for i, c := range m.commands {
		if i > 0 {
			binds = nil
		}
		code, err := w.Run(ctx, workspace.Command{Args: c, Env: []string{"LC_ALL=C.UTF-8"}}, binds...)
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("%s ended with %d", c[0], code)
		}
	}
	return w.Stop()
}

// readable makes what a copy has readable by all where it has no owners.
func (w *Work) readable(args []string) {
	if _, copied := w.Strategy.(workspace.Copy); !copied || os.Geteuid() == 0 {
		return
	}
	w.o.Say("a copy made without root has no owners: all will be root's, and readable by all (-r)")
	if i := slices.Index(args, "-R"); i >= 0 {
		args[i] = "-r"
	}
}

// copies are binds of copies over boot images that the program writes into. In a copy
// and in an overlay it has its own already.
func (w *Work) copies(patched []string) (out []workspace.Binding, err error) {
	b, bound := w.bound()
	if !bound {
		return nil, nil
	}
	t, err := w.base.Merged()
	if err != nil {
		return nil, err
	}
	for i, p := range patched {
		n, err := t.Lookup(p)
		if err != nil {
			return nil, err
		}
		copied := w.Path(fmt.Sprintf("boot-%d", i))
		if err := w.copied(b, n, copied); err != nil {
			return nil, err
		}
		out = append(out, workspace.Binding{Source: copied, Path: filepath.Join(w.Dir, n.Path())})
	}
	return out, nil
}

// copied copies a file as the directory shows it.
func (w *Work) copied(b workspace.Bind, n *tree.Node, to string) error {
	r, size, err := w.base.Open(n)
	if err != nil {
		return err
	}
	from := io.Reader(io.NewSectionReader(r, 0, size))
	for _, x := range b.Map {
		if "/"+strings.Trim(x.Path, "/") == n.Path() {
			f, err := os.Open(x.Source)
			if err != nil {
				return err
			}
			defer f.Close()
			from = f
		}
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(n.Mode&0o777)|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close(), os.Chtimes(to, n.ModTime, n.ModTime))
}

// lost compares the image that the program made with what it should be.
func (w *Work) lost(ctx context.Context, want *baseimage.Base, made, program string, patched []string) (list []string, err error) {
	got, err := baseimage.Open(made, w.open())
	if err != nil {
		return nil, fmt.Errorf("the image that %s made: %w", program, err)
	}
	defer func() { err = errors.Join(err, got.Close()) }()
	before, err := build.Side(want)
	if err != nil {
		return nil, err
	}
	after, err := build.Side(got)
	if err != nil {
		return nil, err
	}
	return lost(ctx, before, after, patched)
}
