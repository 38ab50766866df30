package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/spelling"
)

// Exit codes. Signals give 128 + their number.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitCheck  = 3
)

// app is what commands work with.
type app struct {
	in       io.Reader
	out, err io.Writer
	limits   fault.Limits
}

// usageError is a wrong command line.
type usageError struct {
	error
	hint string
}

func (e usageError) Unwrap() error { return e.error }

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

func (e coded) Unwrap() error { return e.error }

// errSaid is an outcome that the output has said already: only the exit code is left.
var errSaid = errors.New("said already")

func usagef(hint, format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...), hint}
}

// grace is how long a command has to end by itself after a signal. One that waits for
// a reader of its output does not, and is left behind.
// See RATIONALE.md, "A command that waits for its reader is left behind".
const grace = 1500 * time.Millisecond

// errLeft is the error of a command that did not end by itself.
var errLeft = errors.New("interrupted")

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, caught := catchSignals(ctx)
	a := &app{in: stdin, out: stdout, err: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := a.execute(ctx, root)
	if sig := caught(); sig != nil {
		fmt.Fprintf(stderr, "isolayer: interrupted; no half-written output is left\n")
		return 128 + int(sig.(syscall.Signal))
	}
	return a.report(err, wantsJSON(cmd))
}

// execute runs the command and, when the context ends, gives it some time.
func (a *app) execute(ctx context.Context, root *cobra.Command) (*cobra.Command, error) {
	type outcome struct {
		cmd *cobra.Command
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		cmd, err := root.ExecuteContextC(ctx)
		done <- outcome{cmd, err}
	}()
	select {
	case o := <-done:
		return o.cmd, o.err
	case <-ctx.Done():
	}
	select {
	case o := <-done:
		return o.cmd, o.err
	case <-time.After(grace):
		return nil, errLeft
	}
}

// catchSignals cancels the context at the first SIGINT or SIGTERM; a second one
// ends the program at once. The function returns which signal it was.
func catchSignals(ctx context.Context) (context.Context, func() os.Signal) {
	ctx, cancel := context.WithCancel(ctx)
	ch := make(chan os.Signal, 2)
	got := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case sig := <-ch:
			got <- sig
			cancel()
			signal.Stop(ch) // the next one has its default effect
		case <-ctx.Done():
		}
	}()
	return ctx, func() os.Signal {
		cancel()
		signal.Stop(ch)
		select {
		case sig := <-got:
			return sig
		default:
			return nil
		}
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "isolayer",
		Short: "Change ISO images and keep everything else as it is",
		Long: `isolayer changes ISO images the way container images are built: a read-only
base, a few changes, a new image. Nothing is unpacked or mounted, no rights are
needed, and what nobody asked to change stays byte for byte.`,
		Example:       "  isolayer build base.iso --add ks.cfg -o custom.iso",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			hint := "isolayer help lists the commands"
			if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
				hint = "did you mean isolayer " + s[0] + "?"
			}
			return usagef(hint, "unknown command %q", args[0])
		},
	}
	root.PersistentFlags().Var(limitsFlag{&a.limits}, "limits", limitsUsage)
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var missing *pflag.ValueRequiredError
		var unknown *pflag.NotExistError
		hint := cmd.CommandPath() + " --help lists the options"
		switch {
		case errors.As(err, &missing):
			_, usage := pflag.UnquoteUsage(missing.GetFlag())
			return usagef("--"+missing.GetFlag().Name+": "+usage, "--%s needs a value", missing.GetFlag().Name)
		case errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1:
			if near := nearFlag(cmd, unknown.GetSpecifiedName()); near != "" {
				hint = "did you mean --" + near + "?"
			}
		}
		err = wrongValue(err)
		return usagef(hint, "%w", err)
	})
	root.AddGroup(&cobra.Group{ID: "make", Title: "Make images:"}, &cobra.Group{ID: "look", Title: "Look into images:"}, &cobra.Group{ID: "store", Title: "Kept layers:"})
	root.AddCommand(a.buildCommand(), a.editCommand(), a.masterCommand(), a.sampleCommand(), a.layerCommand(), a.shieldCommand(), a.mountCommand(), a.umountCommand(), a.doctorCommand(), a.infoCommand(), a.lsCommand(), a.catCommand(), a.extractCommand(), a.verifyCommand(), a.diffCommand(), a.md5Command(), a.bootCommand(), a.menuCommand(), a.imagesCommand(), a.historyCommand(), a.pruneCommand(), a.versionCommand())
	for _, c := range root.Commands() {
		c.DisableFlagsInUseLine = true
	}
	return root
}

// needArgs demands positional arguments by name; those in brackets, which come
// last, may be left out, and one that ends in dots may be repeated.
func needArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		many := false
		for i, name := range names {
			many = many || name[len(name)-1] == '.' || len(name) > 4 && name[len(name)-4:] == "...]"
			if i >= len(args) && name[0] != '[' {
				return usagef("usage: "+cmd.UseLine(), "%s is missing", name)
			}
		}
		if len(args) > len(names) && !many {
			return usagef("usage: "+cmd.UseLine(), "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// wrongValue says what is wrong with the value of a flag, as it was given.
func wrongValue(err error) error {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err
	}
	text := value.GetValue()
	if text == "" || strings.ContainsFunc(text, unicode.IsSpace) {
		text = strconv.Quote(text)
	}
	var number *strconv.NumError
	cause := errors.Unwrap(value)
	if errors.As(cause, &number) {
		cause = errors.New("want a whole number")
	}
	return fmt.Errorf("--%s %s: %w", value.GetFlag().Name, text, cause)
}

// nearFlag is the flag that was probably meant: the shortest that
// begins so, or one that is spelled nearly so.
func nearFlag(cmd *cobra.Command, name string) string {
	var names, begin []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		names = append(names, f.Name)
		if strings.HasPrefix(f.Name, name) {
			begin = append(begin, f.Name)
		}
	})
	if len(begin) > 0 {
		return slices.MinFunc(begin, func(a, b string) int { return len(a) - len(b) })
	}
	return spelling.Nearest(name, names)
}
