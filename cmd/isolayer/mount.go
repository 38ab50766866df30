package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/workspace"
)

func (a *app) mountCommand() *cobra.Command {
	var s workspace.Standing
	view := "auto"
	cmd := &cobra.Command{
		Use:     "mount IMAGE DIR",
		Short:   "Show an image at a directory, until umount",
		GroupID: "look",
		Long: `mount shows IMAGE at DIR, read-only, until isolayer umount DIR. It needs no iso9660 in
the kernel, and no root where fusermount3 is installed.

With --rw the directory can be written to: changes are kept in UPPER, from which
isolayer build IMAGE --upper UPPER makes an image. That needs root; isolayer edit does not.`,
		Example: `  isolayer mount base.iso /mnt
  isolayer mount --rw /var/tmp/changes base.iso /mnt
  isolayer umount /mnt
  isolayer build base.iso --upper /var/tmp/changes -o custom.iso`,
		Args: needArgs("IMAGE", "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			base, err := a.openBase(args[0], s.Session)
			if err != nil {
				return err
			}
			if err := base.Close(); err != nil {
				return err
			}
			s.Image, s.Target, s.Limits = args[0], args[1], a.limits
			if view != "auto" {
				s.Kinds = []string{view}
			}
			return a.stand(cmd.Context(), s)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.Upper, "rw", "", "let it be changed; `UPPER` holds the changes and is made if it is missing")
	choiceVar(f, &view, "view", "auto|erofs|iso9660|fuse", "who shows the image: the kernel by EROFS or iso9660, which needs root, or isolayer by FUSE")
	f.IntVar(&s.Session, "session", 0, "of a multi-session image, `N`; 1 is the oldest")
	addWorkspaceFlags(f, &s.Temp)
	jsonErrorsVar(f)
	return cmd
}

// stand makes a standing mount.
func (a *app) stand(_ context.Context, s workspace.Standing) error {
	kind, err := workspace.Stand(s)
	if err != nil {
		return err
	}
	if kind != "" {
		kind = " (" + kind + ")"
	}
	fmt.Fprintf(a.err, "mounted at %s%s; isolayer umount %s takes it away\n", name(s.Target), kind, name(s.Target))
	return nil
}

func (a *app) umountCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "umount DIR...",
		Short:   "Take away what mount or shield --mount made",
		GroupID: "look",
		Args:    needArgs("DIR..."),
		RunE: func(_ *cobra.Command, args []string) error {
			var errs []error
			for _, dir := range args {
				errs = append(errs, workspace.Unmount(dir))
			}
			return errors.Join(errs...)
		},
	}
}
