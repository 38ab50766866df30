package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/spf13/pflag"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/stage"
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
	upper, err := strategy.Upper(base, o.session, o.upper, workspace.CaptureOptions{Files: files, Epoch: options.Epoch, Limits: a.limits})
	return append([]edit.Step{upper}, o.steps...), err
}

// buildIn builds by way of a directory.
func (a *app) buildIn(ctx context.Context, base *baseimage.Base, steps []edit.Step, o buildOptions, options stage.Options) (err error) {
	start := time.Now()
	if err := notBase(base.Path(), o.output); err != nil {
		return err
	}
	w, err := strategy.Do(ctx, base, steps, strategy.Options{
		How: strategy.How(o.strategy), Workspace: a.workspace(o.temp, o.session), Build: options, Say: a.say,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if o.mastering != native {
		return a.foreign(ctx, w, o, start)
	}
	img, err := w.Image(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	return a.put(ctx, img, o, start)
}

// foreign lets another program make the image, and moves it to its place.
func (a *app) foreign(ctx context.Context, w *strategy.Work, o buildOptions, start time.Time) error {
	made, err := w.Master(ctx, o.mastering)
	if errors.Is(err, exec.ErrNotFound) {
		return hinted{err, "install it, or use --mastering native"}
	}
	if err != nil {
		return err
	}
	for _, lost := range made.Lost {
		fmt.Fprintf(a.err, "isolayer: warning: %s: %s\n", o.mastering, plain(lost))
	}
	was := replaced(o.output)
	n, err := strategy.Publish(ctx, made.Path, o.output)
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
