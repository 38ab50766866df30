package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/workspace"
	"github.com/isolayer/isolayer/internal/workspace/strategy"
)

// exitOurs is what edit and shield end with when they fail themselves: other codes are
// those of the command.
const exitOurs = 125

// editOptions are the flags of edit.
type editOptions struct {
	build    buildOptions
	strategy string
	temp     string
	keep     bool
}

func (a *app) editCommand() *cobra.Command {
	var o editOptions
	cmd := &cobra.Command{
		Use:     "edit BASE [-o OUT] [-- COMMAND...]",
		Short:   "Change an image in a directory, with a shell or a command",
		GroupID: "make",
		Long: `edit shows BASE as a directory that can be changed and starts a shell there, or
COMMAND. Ending it with 0 builds OUT, in which only the changes are written; any other
end throws them away. What changed is listed first. Without -o it is listed only.

The directory is an overlay in a mount namespace of its own: nobody else sees it, and
nothing stays mounted, however it ends. That needs root, or a system on which users may
make namespaces. Where the kernel lays no overlay for them, fuse-overlayfs does if it is
installed; else the image is copied. Commands can change files, not mount.

edit ends with the exit code of COMMAND, or with 125 if something else failed.`,
		Example: `  isolayer edit base.iso -o custom.iso
  isolayer edit base.iso -o custom.iso -- sh -c 'cp ~/ks.cfg . && createrepo Packages'`,
		Args: func(cmd *cobra.Command, args []string) error {
			n := cmd.ArgsLenAtDash()
			if n < 0 {
				n = len(args)
			}
			return needArgs("BASE")(cmd, args[:n])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.edit(cmd.Context(), args[0], args[1:], o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.build.output, "output", "o", "", "the new image, `FILE`")
	o.build.strategyOptions = strategyOptions{strategy: native, mastering: native}
	o.strategy, o.build.mediaCheck, o.build.uuid, o.build.place = "auto", "auto", "keep", "reuse"
	choiceVar(f, &o.strategy, "strategy", "auto|overlay|copy", "how the directory is made; auto: an overlay where that is possible")
	addWorkspaceFlags(f, &o.temp)
	f.BoolVar(&o.keep, "keep", false, "keep the directory and tell where it is")
	choiceVar(f, &o.build.mediaCheck, "media-check", "auto|implant|strip", "what becomes of a media checksum")
	f.IntVar(&o.build.session, "session", 0, "of a multi-session image, `N`; 1 is the oldest")
	progressVar(f, &o.build.progress)
	f.BoolVar(&o.build.asJSON, "json", false, "print what changed as JSON")
	return cmd
}

// shell returns the command to be run: that of the command line, or the user's shell.
func shell(args []string) ([]string, error) {
	if len(args) == 0 {
		args = []string{os.Getenv("SHELL")}
		if args[0] == "" {
			args[0] = "/bin/sh"
		}
	}
	if _, err := exec.LookPath(args[0]); err != nil {
		return nil, hinted{fmt.Errorf("%s: %w", args[0], cause(err)), "name a program that is there: -- /bin/sh, or set SHELL"}
	}
	return args, nil
}

// cause is what the system said, without the name that was said already.
func cause(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

func (a *app) edit(ctx context.Context, path string, args []string, o editOptions) (err error) {
	defer func() { err = ours(err) }()
	command, err := shell(args)
	if err != nil {
		return err
	}
	o.build.dryRun = o.build.output == ""
	options, err := o.build.options(func(string) bool { return false })
	if err != nil {
		return err
	}
	base, err := a.openBase(path, o.build.session)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	if o.build.output != "" {
		if err := notBase(path, o.build.output); err != nil {
			return err
		}
	}
	w, err := a.prepare(ctx, path, strategy.How(o.strategy), o.temp, o.build.session)
	if err != nil {
		return err
	}
	done := func() error { return w.Close() }
	if o.keep {
		done = func() error { return a.kept(w) }
	}
	defer func() { err = errors.Join(err, done()) }()
	if len(args) == 0 {
		fmt.Fprintf(a.err, "isolayer: the image is here, to be changed (%s); exit builds, exit 1 throws away\n", w.Strategy)
	}
	code, err := w.Run(ctx, workspace.Command{Args: command, Env: []string{"ISOLAYER_WORKSPACE=" + w.Dir}})
	if err != nil {
		return err
	}
	if code != 0 {
		fmt.Fprintf(a.err, "isolayer: %s ended with %d; its changes are thrown away\n", name(filepath.Base(command[0])), code)
		return coded{errSaid, code}
	}
	if err := w.Stop(); err != nil {
		return err
	}
	files := extent.NewFiles()
	defer func() { err = errors.Join(err, files.Close()) }()
	res, err := w.Capture(workspace.CaptureOptions{Files: files, Epoch: options.Epoch})
	if err == nil {
		err = a.finish(ctx, base, path, res, o.build, options)
	}
	if err != nil && ctx.Err() == nil {
		done = func() error { return a.kept(w) } // the work is not lost
	}
	return err
}

// finish prints what changed and builds.
func (a *app) finish(ctx context.Context, base *baseimage.Base, path string, res workspace.Result, b buildOptions, options stage.Options) (err error) {
	if b.asJSON {
		if err := printJSON(a.out, nonNil(res.Changes)); err != nil {
			return err
		}
	} else {
		a.changed(res.Changes)
	}
	if b.output == "" {
		return nil
	}
	b.asJSON = false
	img, err := build.Build(ctx, base, []edit.Step{apply.Edits{List: res.Edits, From: path}}, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	return a.put(ctx, img, b, time.Now())
}

// changed lists changes, one a line, as git status does.
func (a *app) changed(list []workspace.Change) {
	for _, c := range list {
		p := name(c.Path)
		if c.Dir {
			p += "/"
		}
		if c.From != "" {
			p = name(c.From) + "/ -> " + p
		}
		fmt.Fprintf(a.out, "%c %s\n", c.Kind, p)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.err, "isolayer: nothing changed")
	}
}

// kept leaves a workspace and says how to go on with it.
func (a *app) kept(w *workspace.Workspace) error {
	dir, err := w.Keep()
	fmt.Fprintf(a.err, "isolayer: the workspace is kept: %s\n", name(dir))
	if w.Upper != "" {
		fmt.Fprintf(a.err, "isolayer: build from it with --upper %s\n", name(w.Upper))
	}
	return err
}

// ours gives errors that are not the command's their exit code.
func ours(err error) error {
	var own coded
	var usage usageError
	if err == nil || errors.As(err, &own) || errors.As(err, &usage) {
		return err
	}
	return coded{err, exitOurs}
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
