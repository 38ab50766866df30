package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/workspace"
)

// health is what doctor finds.
type health struct {
	Can    []workspace.Ability  `json:"abilities"`
	Mounts []workspace.Standing `json:"mounts"`
	Gone   []workspace.Standing `json:"gone"`
	Stale  []string             `json:"left_behind"`
}

func (a *app) doctorCommand() *cobra.Command {
	var temp string
	var clean, asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Tell what this machine can do, and what was left behind",
		GroupID: "look",
		Long: `doctor shows what edit, shield, mount and build --strategy can do here, which mounts
stand, and what killed runs left. --clean removes that.`,
		Args: needArgs(),
		RunE: func(*cobra.Command, []string) error {
			h := health{Can: workspace.Abilities(temp)}
			var err, serr error
			h.Mounts, h.Gone, err = workspace.Standings()
			h.Stale, serr = workspace.Stale(cmp.Or(temp, workspace.Temp()))
			if err := errors.Join(err, serr); err != nil {
				return err
			}
			if asJSON {
				h.Mounts, h.Gone, h.Stale = nonNil(h.Mounts), nonNil(h.Gone), nonNil(h.Stale)
				if err := printJSON(a.out, h); err != nil {
					return err
				}
			} else {
				a.diagnose(h)
			}
			if !clean {
				return nil
			}
			return cleanUp(h, cmp.Or(temp, workspace.Temp()))
		},
	}
	f := cmd.Flags()
	f.BoolVar(&clean, "clean", false, "remove what was left behind")
	addWorkspaceFlags(f, &temp)
	f.BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

func (a *app) diagnose(h health) {
	for _, c := range h.Can {
		yes := "yes"
		if !c.OK {
			yes = "no"
		}
		fmt.Fprintf(a.out, "%-20s %-4s %s\n", c.Name, yes, plain(c.Text))
	}
	for _, s := range h.Mounts {
		fmt.Fprintf(a.out, "mounted: %s at %s\n", name(cmp.Or(s.Image, s.Dir)), name(s.Target))
	}
	for _, s := range h.Gone {
		fmt.Fprintf(a.out, "left behind: a mount of %s at %s that is gone\n", name(cmp.Or(s.Image, s.Dir)), name(s.Target))
	}
	for _, d := range h.Stale {
		fmt.Fprintf(a.out, "left behind: %s\n", name(d))
	}
	if len(h.Gone)+len(h.Stale) > 0 {
		fmt.Fprintln(a.err, "isolayer: doctor --clean removes what was left behind")
	}
}

func cleanUp(h health, temp string) error {
	var errs []error
	for _, s := range h.Gone {
		errs = append(errs, workspace.Unmount(s.Target))
	}
	_, err := workspace.Sweep(temp)
	return errors.Join(append(errs, err)...)
}
