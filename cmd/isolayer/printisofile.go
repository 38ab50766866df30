package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/stage"
)

// buildIsofile does what build does with an Isofile: builds it, or prints that of the
// command line. It reports whether that is all.
func (a *app) buildIsofile(cmd *cobra.Command, args []string, o *buildOptions) (done bool, err error) {
	given := cmd.Flags().Changed
	if o.file == "" {
		for _, flag := range []string{"tag", "set", "values", "build-arg", "secret", "no-cache", "verify-base", "manifest"} {
			if given(flag) {
				return true, usagef("name the Isofile: -f Isofile", "--%s goes with -f", flag)
			}
		}
		if len(args) == 0 {
			return true, usagef("usage: "+cmd.UseLine(), "BASE is missing")
		}
		if o.print {
			if err := isofileSays(cmd.Flags()); err != nil {
				return true, err
			}
			options, err := o.optionsFor(given)
			if err != nil {
				return true, err
			}
			return true, a.printIsofile(cmd.Context(), args[0], *o, options)
		}
		return false, nil
	}
	switch {
	case len(args) > 0:
		return true, usagef("FROM names the base", "both -f and BASE")
	case o.print:
		return true, usagef("leave -f out: isolayer build BASE EDITS --print-isofile", "--print-isofile prints the Isofile of a command line")
	case len(o.steps) > 0:
		return true, usagef("put them into the Isofile; --print-isofile shows how", "-f with edits")
	case o.inPlace || o.undo:
		return true, usagef("make a new image with -o", "-f does not change an image in place")
	case o.output == "" && o.tag == "" && !o.dryRun:
		return true, usagef("name the new image: -o custom.iso, or only keep its layers: -t NAME:TAG", "-o is missing")
	}
	if err := isofileTakes(cmd.Flags()); err != nil {
		return true, err
	}
	options, err := o.optionsFor(given)
	if err != nil {
		return true, err
	}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	return true, a.buildRecipe(ctx, *o, options)
}

// optionsFor are the library's options where -o may be missing.
func (o *buildOptions) optionsFor(given func(string) bool) (stage.Options, error) {
	if o.output == "" {
		p := *o
		p.output = "out.iso"
		return p.options(given)
	}
	return o.options(given)
}

// printIsofile prints the Isofile, to lie in the current directory, that does what a
// command line does.
func (a *app) printIsofile(ctx context.Context, path string, o buildOptions, options stage.Options) (err error) {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	base, err := a.openBase(path, o.session)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	text, err := isofile.Text(ctx, base, path, dir, o.steps, options)
	switch {
	case errors.Is(err, isofile.ErrNotText):
		return usagef("rename the file", "--print-isofile: %w", err)
	case errors.Is(err, isofile.ErrUnknownDestination):
		return usagef("let DST end in a slash", "--print-isofile: %w", err)
	case errors.Is(err, isofile.ErrOutside):
		return hinted{err, "run the command in a directory that holds all its files, and put the Isofile there"}
	case err != nil:
		return baseimage.InImage(path, err)
	}
	_, err = fmt.Fprint(a.out, text)
	return err
}
