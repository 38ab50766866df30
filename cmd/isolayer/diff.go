package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/diff"
)

// diffOptions are the flags of diff.
type diffOptions struct {
	text     bool
	progress string
	asJSON   bool
}

func (a *app) diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:     "diff A B",
		Short:   "Tell how two images differ",
		GroupID: "look",
		Long: `diff compares two images: what was added (+), removed (-), moved (>) or changed (~)
in the tree, attributes, volume descriptors and boot equipment. Content is compared
byte for byte.

The exit code is 0 if nothing differs, 1 if something does, 2 if it cannot be told.`,
		Example: "  isolayer diff base.iso custom.iso\n  isolayer diff base.iso custom.iso --text",
		Args:    needArgs("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			same, err := a.diff(cmd.Context(), args[0], args[1], o)
			switch {
			case err != nil:
				return coded{err, exitUsage} // as diff(1)
			case !same:
				return coded{errSaid, exitFailed}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.text, "text", false, "show what changed in text files, as a unified diff")
	progressVar(f, &o.progress)
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) diff(ctx context.Context, before, after string, o diffOptions) (same bool, err error) {
	var out strings.Builder
	m := newMeter(a.err, o.progress)
	err = a.compare(ctx, after, before, m.at, func(r *diff.Report) error {
		same = r.Changes() == 0
		if o.asJSON {
			return printJSON(&out, r)
		}
		for _, l := range changeLines(r) {
			fmt.Fprintln(&out, l.text)
			if !o.text || l.change.Kind == diff.Added || l.change.Kind == diff.Removed {
				continue
			}
			text, err := r.Text(l.change)
			if err != nil {
				return err
			}
			for s := range strings.Lines(string(text)) {
				fmt.Fprintln(&out, name(strings.TrimSuffix(s, "\n")))
			}
		}
		return nil
	})
	m.done()
	if err != nil {
		return false, err
	}
	_, err = fmt.Fprint(a.out, out.String())
	return same, err
}

// changeLine is a change as people read it.
type changeLine struct {
	text   string
	change diff.Change
}

// changeLines lists all changes; of a tree that came or went whole, its root with the
// number of what is in it.
func changeLines(r *diff.Report) (out []changeLine) {
	for _, list := range [][]diff.Change{r.Tree, r.Volume, r.Boot} {
		for i := 0; i < len(list); i++ {
			c := list[i]
			n := 0
			for c.Dir && (c.Kind == diff.Added || c.Kind == diff.Removed) && i+1 < len(list) &&
				list[i+1].Kind == c.Kind && strings.HasPrefix(list[i+1].Name, c.Name+"/") {
				n, i = n+1, i+1
			}
			text := name(c.String())
			if n > 0 {
				text += fmt.Sprintf(" (with %d files and directories)", n)
			}
			out = append(out, changeLine{text, c})
		}
	}
	return out
}
