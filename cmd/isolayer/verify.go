package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/verify"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	base     string
	progress string
	asJSON   bool
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:     "verify IMAGE [--base BASE]",
		Short:   "Check whether an image is sound, and what differs from its base",
		GroupID: "look",
		Long: `verify checks descriptors, directories, path tables, partition tables, boot
images, the files that boot menus name, and media checksums. Nothing is written.

With --base it also says what differs from the image that IMAGE was made of, and
reads every other file in both images to prove that it is the same.

The exit code is 3 if there is a problem. Notices are unusual, but harmless as a rule.`,
		Example: "  isolayer verify custom.iso\n  isolayer verify custom.iso --base base.iso",
		Args:    needArgs("IMAGE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.verify(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.base, "base", "", "also compare with `BASE`, the image that IMAGE was made of")
	progressVar(f, &o.progress)
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return cmd
}

// verified is what verify prints.
type verified struct {
	Path     string         `json:"path"`
	Problems int            `json:"problems"`
	Checks   []verify.Group `json:"checks"`
	Base     string         `json:"base,omitempty"`
	Changes  *diff.Report   `json:"changes,omitempty"`
}

func (a *app) verify(ctx context.Context, path string, o verifyOptions) error {
	m := newMeter(a.err, o.progress)
	report, err := build.Verify(ctx, path, verify.Options{Progress: m.at, Limits: a.limits})
	m.done()
	if err != nil {
		return notISO(path, err)
	}
	v := verified{Path: path, Problems: report.Problems(), Checks: report.Groups, Base: o.base}
	if o.base != "" {
		m := newMeter(a.err, o.progress)
		err = a.compare(ctx, path, o.base, m.at, func(r *diff.Report) error {
			v.Changes = r
			return nil
		})
		m.done()
		if err != nil {
			return err
		}
	}
	if err := a.printVerified(v, o.asJSON); err != nil {
		return err
	}
	if v.Problems > 0 {
		return coded{hinted{
			fmt.Errorf("%s: %s", path, counts(v.Problems, "problem")),
			"each one is named above with its place; build --repair corrects boot tables, md5 implant --force a media check of an image changed on purpose",
		}, exitCheck}
	}
	return nil
}

// compare opens both images, compares them and hands the outcome to use.
func (a *app) compare(ctx context.Context, path, basePath string, progress diff.Progress, use func(*diff.Report) error) (err error) {
	base, err := a.openBase(basePath, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	image, err := a.openBase(path, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, image.Close()) }()
	report, err := build.Compare(ctx, image, base, progress)
	if err != nil {
		return err
	}
	return use(report)
}

func (a *app) printVerified(v verified, asJSON bool) error {
	if asJSON {
		return printJSON(a.out, v)
	}
	_, err := fmt.Fprint(a.out, v.text())
	return err
}

// text is the report for people: a line a check, what it found, what changed.
func (v verified) text() string {
	var b strings.Builder
	for _, g := range v.Checks {
		fmt.Fprintf(&b, "%-14s %-11s %s\n", g.Check, verdict(g), name(g.Summary))
		for _, f := range g.Findings {
			fmt.Fprintf(&b, "  %s\n", name(f.String()))
		}
		if more := g.Problems + g.Notices - len(g.Findings); more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
	}
	if c := v.Changes; c != nil {
		fmt.Fprintf(&b, "changes        %-11s %d files have the same content, %s\n", counts(c.Changes(), "change"), c.Same, size(c.SameBytes))
		for _, l := range changeLines(c) {
			fmt.Fprintf(&b, "  %s\n", l.text)
		}
	}
	return b.String()
}

// verdict is the outcome of a check in two words.
func verdict(g verify.Group) string {
	switch {
	case g.Problems > 0:
		return counts(g.Problems, "problem")
	case g.Notices > 0:
		return counts(g.Notices, "notice")
	}
	return "ok"
}

func counts(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
