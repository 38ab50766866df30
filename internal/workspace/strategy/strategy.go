package strategy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/workspace"
)

// ErrBind reports a step that changes more than what files and directories hold.
var ErrBind = errors.New("only files and directories that are there can be laid over")

// Options say how an image is made by way of a directory.
type Options struct {
	How       How
	Workspace workspace.Options
	Build     stage.Options
	// Say hears in a few words what is other than was to be expected.
	Say func(what string)
}

// Work is a directory in which steps were carried out. Close it when what was made of it is
// written.
type Work struct {
	*workspace.Workspace

	base  *baseimage.Base
	steps []edit.Step
	o     Options
	files *extent.Files // that were captured
}

// Do carries the steps out in a directory over the image. Steps that no directory shows are
// refused.
func Do(ctx context.Context, base *baseimage.Base, steps []edit.Step, o Options) (w *Work, err error) {
	edits, err := apply.EditsOf(ctx, base, steps, o.Build)
	if err != nil {
		return nil, err
	}
	w = &Work{base: base, steps: steps, o: o, files: extent.NewFiles()}
	if w.Workspace, err = w.prepare(ctx); err != nil {
		return nil, err
	}
	if _, bound := w.bound(); !bound {
		if err := w.Apply(ctx, edits); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// Close removes the directory.
func (w *Work) Close() error { return errors.Join(w.files.Close(), w.Workspace.Close()) }

// prepare makes the directory.
func (w *Work) prepare(ctx context.Context) (*workspace.Workspace, error) {
	if w.o.How != Bind {
		dir, err := Prepare(ctx, w.base.Path(), w.o.How, w.o.Workspace, w.o.Say)
		if err == nil && w.o.How == Auto {
			w.o.Say(fmt.Sprintf("strategy %s, the image shown by %s", dir.Strategy, dir.View))
		}
		return dir, err
	}
	b, err := binds(w.base, w.steps)
	if err != nil {
		return nil, err
	}
	dir, err := workspace.Prepare(ctx, w.base.Path(), b, w.o.Workspace)
	return dir, baseimage.InImage(w.base.Path(), err)
}

// bound is the strategy if local files are bound over those of the image.
func (w *Work) bound() (workspace.Bind, bool) {
	b, ok := w.Strategy.(workspace.Bind)
	return b, ok
}

// binds are the steps as local files over those of the image.
func binds(base *baseimage.Base, steps []edit.Step) (b workspace.Bind, err error) {
	t, err := base.Merged()
	if err != nil {
		return b, err
	}
	for _, s := range steps {
		add, ok := s.(edit.Add)
		if !ok {
			return b, fmt.Errorf("bind: %s: %w", s, ErrBind)
		}
		dest := localtree.Destination(add.Dest, add.Source, isDir(add.Source), func(dest string) bool {
			n, err := t.Lookup(dest)
			return err == nil && n.IsDir()
		})
		b.Map = append(b.Map, workspace.Binding{Source: add.Source, Path: dest})
	}
	return b, nil
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}

// Image plans the image of what the directory shows now, in which only what changed is
// written. Nothing runs in the directory any more. Close the image before the work.
func (w *Work) Image(ctx context.Context) (*build.Image, error) {
	if err := w.Stop(); err != nil {
		return nil, err
	}
	if b, bound := w.bound(); bound { // its map is known
		return build.Build(ctx, w.base, append([]edit.Step{opaque(b)}, w.steps...), w.o.Build)
	}
	res, err := w.Capture(workspace.CaptureOptions{Files: w.files, Epoch: w.o.Build.Epoch})
	if err != nil {
		return nil, err
	}
	return build.Build(ctx, w.base, []edit.Step{apply.Edits{List: res.Edits, From: w.Strategy.String()}}, w.o.Build)
}

// opaque empties the directories that others are bound over: nothing of them shows.
func opaque(b workspace.Bind) edit.Step {
	var edits []tree.Edit
	for _, x := range b.Map {
		if isDir(x.Source) {
			edits = append(edits, tree.Opaque{Path: x.Path})
		}
	}
	return apply.Edits{List: edits, From: "bind"}
}

// Upper is the step that makes the changes which the upper directory of an overlay over the
// base holds.
func Upper(base *baseimage.Base, session int, dir string, o workspace.CaptureOptions) (edit.Step, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	}
	res, err := workspace.CaptureUpper(base.Path(), session, dir, o)
	if err != nil {
		return nil, err
	}
	return apply.Edits{List: res.Edits, From: dir}, nil
}
