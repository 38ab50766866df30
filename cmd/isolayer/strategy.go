package main

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
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/workspace"
	"github.com/isolayer/isolayer/internal/workspace/strategy"
)

// strategyOptions say how build works in a directory. Natively it does not.
type strategyOptions struct {
	strategy, mastering, upper, temp string
}

const native = "native"

func addStrategyFlags(f *pflag.FlagSet, o *strategyOptions) {
	o.strategy, o.mastering = native, native
	choiceVar(f, &o.strategy, "strategy", "native|copy|overlay|bind|auto", "native needs no directory; else edits are made in one: a copy, an overlay, or binds over files that are there")
	choiceVar(f, &o.mastering, "mastering", "native|genisoimage|xorriso", "who makes the image of that directory; native writes only what changed")
	f.StringVar(&o.upper, "upper", "", "also make the changes that `DIR` holds, the upper directory of an overlay")
	addWorkspaceFlags(f, &o.temp)
}

func (o strategyOptions) check(b buildOptions) error {
	switch {
	case o.strategy == native && o.mastering != native:
		return usagef("add --strategy auto", "--mastering %s works on a directory", o.mastering)
	case o.strategy != native && (b.inPlace || b.dryRun):
		return usagef("leave --strategy out", "--in-place and --dry-run work without a directory")
	case o.mastering != native && (b.output == "-" || b.checksum != ""):
		return usagef("name a file with -o, without --checksum", "--mastering %s writes a file", o.mastering)
	case o.mastering != native && (b.repair || b.uuid == "new" || b.noBoot != "" || b.inPlace):
		return usagef("use --mastering native", "another program cannot repair, renew or drop boot equipment")
	}
	return nil
}

// withUpper adds the changes of an upper directory to the steps, before all others.
func (a *app) withUpper(base *baseimage.Base, o buildOptions, options stage.Options, files *extent.Files) ([]edit.Step, error) {
	if o.upper == "" {
		return o.steps, nil
	}
	if info, err := os.Stat(o.upper); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w", o.upper, syscall.ENOTDIR)
	}
	res, err := workspace.CaptureUpper(base.Path(), o.session, o.upper, workspace.CaptureOptions{Files: files, Epoch: options.Epoch, Limits: a.limits})
	if err != nil {
		return nil, err
	}
	return append([]edit.Step{apply.Edits{List: res.Edits, From: o.upper}}, o.steps...), nil
}

// buildIn builds by way of a directory.
func (a *app) buildIn(ctx context.Context, base *baseimage.Base, steps []edit.Step, o buildOptions, options stage.Options) (err error) {
	start := time.Now()
	edits, err := apply.EditsOf(ctx, base, steps, options)
	if err != nil {
		return err
	}
	if err := notBase(base.Path(), o.output); err != nil {
		return err
	}
	w, err := a.directory(ctx, base, steps, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	_, bound := w.Strategy.(workspace.Bind)
	if !bound {
		if err := w.Apply(ctx, edits); err != nil {
			return err
		}
	}
	if o.mastering != native {
		return a.foreign(ctx, base, w, steps, o, options, start)
	}
	if err := w.Stop(); err != nil {
		return err
	}
	if bound { // its map is known
		steps = append(opaque(w.Strategy.(workspace.Bind)), steps...)
	} else {
		files := extent.NewFiles()
		defer func() { err = errors.Join(err, files.Close()) }()
		res, err := w.Capture(workspace.CaptureOptions{Files: files, Epoch: options.Epoch})
		if err != nil {
			return err
		}
		steps = []edit.Step{apply.Edits{List: res.Edits, From: w.Strategy.String()}}
	}
	img, err := build.Build(ctx, base, steps, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	return a.put(ctx, img, o, start)
}

// opaque empties the directories that others are bound over: nothing of them shows.
func opaque(b workspace.Bind) []edit.Step {
	var edits []tree.Edit
	for _, x := range b.Map {
		if info, err := os.Stat(x.Source); err == nil && info.IsDir() {
			edits = append(edits, tree.Opaque{Path: x.Path})
		}
	}
	return []edit.Step{apply.Edits{List: edits, From: "bind"}}
}

// directory prepares the workspace that the strategy asks for.
func (a *app) directory(ctx context.Context, base *baseimage.Base, steps []edit.Step, o buildOptions) (*workspace.Workspace, error) {
	if o.strategy != "bind" {
		w, err := a.prepare(ctx, base.Path(), strategy.How(o.strategy), o.temp, o.session)
		if err == nil && o.strategy == "auto" {
			fmt.Fprintf(a.err, "isolayer: strategy %s, the image shown by %s\n", w.Strategy, w.View)
		}
		return w, err
	}
	t, err := base.Tree()
	if err != nil {
		return nil, err
	}
	var b workspace.Bind
	for _, s := range steps {
		add, ok := s.(edit.Add)
		if !ok {
			return nil, hinted{fmt.Errorf("bind: %s: only files and directories that are there can be laid over", s), "use --strategy overlay, or none"}
		}
		dest := localtree.Destination(add.Dest, add.Source, isDir(add.Source), func(dest string) bool {
			n, err := t.Lookup(dest)
			return err == nil && n.IsDir()
		})
		b.Map = append(b.Map, workspace.Binding{Source: add.Source, Path: dest})
	}
	return workspace.Prepare(ctx, base.Path(), b, a.workspace(o.temp, o.session))
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}

// foreign lets another program make the image of the directory, gives it a media check
// if the base has one, and moves it to its place.
func (a *app) foreign(ctx context.Context, base *baseimage.Base, w *workspace.Workspace, steps []edit.Step, o buildOptions, options stage.Options, start time.Time) (err error) {
	want, plan, err := a.planned(ctx, base, steps, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	made := w.Path("image.iso")
	m, err := strategy.Like{Path: base.Path(), Image: base.Image(), Boot: base.Boot(), Texts: want.Image().Primary()}.By(o.mastering, w.Dir, made)
	if err != nil {
		return err
	}
	if _, copied := w.Strategy.(workspace.Copy); copied && os.Geteuid() != 0 {
		fmt.Fprintln(a.err, "isolayer: a copy made without root has no owners: all will be root's, and readable by all (-r)")
		if i := slices.Index(m.Commands[0], "-R"); i >= 0 {
			m.Commands[0][i] = "-r"
		}
	}
	for _, c := range m.Commands {
		if _, err := exec.LookPath(c[0]); err != nil {
			return hinted{fmt.Errorf("%s: %w", c[0], errors.Unwrap(err)), "install it, or use --mastering native"}
		}
	}
	binds, err := a.copies(base, w, m.Patched)
	if err != nil {
		return err
	}
	for i, c := range m.Commands {
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
	if err := w.Stop(); err != nil {
		return err
	}
	check := options.MediaCheck == stage.MediaImplant || options.MediaCheck == stage.MediaAuto && base.Image().Primary().MediaCheck() != ""
	if check {
		if _, err := build.ImplantMedia(ctx, made, build.ImplantOptions{Force: true}); err != nil {
			return err
		}
	}
	if err := a.lost(ctx, want, made, m.Patched, o.mastering); err != nil {
		return err
	}
	was := replaced(o.output)
	n, err := strategy.Publish(ctx, made, o.output)
	if err != nil {
		return err
	}
	a.outputIs(o.output, was, "")
	if o.asJSON {
		return printJSON(a.out, struct {
			Output    string `json:"output"`
			Size      int64  `json:"size"`
			Strategy  string `json:"strategy"`
			View      string `json:"view"`
			Mastering string `json:"mastering"`
		}{o.output, n, w.Strategy.String(), w.View, o.mastering})
	}
	fmt.Fprintf(a.err, "%s: %s, made by %s of a directory (%s), in %.1f s\n", name(o.output), size(n), o.mastering, w.Strategy, time.Since(start).Seconds())
	return nil
}

// copies are binds of copies over boot images that the program writes into. In a copy
// and in an overlay it has its own already.
func (a *app) copies(base *baseimage.Base, w *workspace.Workspace, patched []string) ([]workspace.Binding, error) {
	b, ok := w.Strategy.(workspace.Bind)
	if !ok {
		return nil, nil
	}
	t, err := base.Tree()
	if err != nil {
		return nil, err
	}
	var out []workspace.Binding
	for i, p := range patched {
		n, err := t.Lookup(p)
		if err != nil {
			return nil, err
		}
		r, size, err := base.Open(n)
		if err != nil {
			return nil, err
		}
		from := io.Reader(io.NewSectionReader(r, 0, size))
		for _, x := range b.Map {
			if "/"+strings.Trim(x.Path, "/") == n.Path() {
				f, err := os.Open(x.Source)
				if err != nil {
					return nil, err
				}
				defer f.Close()
				from = f
			}
		}
		copied := w.Path(fmt.Sprintf("boot-%d", i))
		f, err := os.OpenFile(copied, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(n.Mode&0o777)|0o200)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(f, from)
		if err := errors.Join(err, f.Close(), os.Chtimes(copied, n.ModTime, n.ModTime)); err != nil {
			return nil, err
		}
		out = append(out, workspace.Binding{Source: copied, Path: filepath.Join(w.Dir, n.Path())})
	}
	return out, nil
}

// planned is the image that this program would make of the steps, which is what another
// one is to make.
func (a *app) planned(ctx context.Context, base *baseimage.Base, steps []edit.Step, o stage.Options) (*baseimage.Base, *build.Image, error) {
	img, err := build.Build(ctx, base, steps, o)
	if err != nil {
		return nil, nil, err
	}
	want, err := baseimage.OpenSource(extent.Compose("the plan", img.Map.Blank()), baseimage.OpenOptions{Limits: a.limits})
	if err != nil {
		return nil, nil, errors.Join(err, img.Close())
	}
	return want, img, nil
}

// lost warns of all that another program did not keep.
func (a *app) lost(ctx context.Context, want *baseimage.Base, made string, patched []string, program string) (err error) {
	got, err := baseimage.Open(made, baseimage.OpenOptions{Limits: a.limits})
	if err != nil {
		return fmt.Errorf("the image that %s made: %w", program, err)
	}
	defer func() { err = errors.Join(err, got.Close()) }()
	before, err := build.Side(want)
	if err != nil {
		return err
	}
	after, err := build.Side(got)
	if err != nil {
		return err
	}
	list, err := strategy.Lost(ctx, before, after, patched)
	if err != nil {
		return err
	}
	for _, w := range list {
		fmt.Fprintf(a.err, "isolayer: warning: %s: %s\n", program, plain(w))
	}
	return nil
}
