package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/workspace"
)

// shieldOptions are the flags of shield.
type shieldOptions struct {
	save   string
	temp   string
	mount  string
	upper  string
	commit bool
	yes    bool
	asJSON bool
}

func (a *app) shieldCommand() *cobra.Command {
	var o shieldOptions
	cmd := &cobra.Command{
		Use:     "shield DIR... [-- COMMAND...]",
		Short:   "Work over a directory so that nothing reaches it",
		GroupID: "make",
		Long: `shield starts a shell, or COMMAND, for which DIR looks as always and can be written to,
but nothing reaches DIR itself: changes go to a directory beside. Afterwards they are
listed and thrown away, unless --save or --commit says otherwise. File systems mounted
below DIR are shielded too.

It guards against accidents, not against malice: files that were open before, and other
ways to the same files, pass it by; so does the redirection of a shell outside, as in
"shield DIR -- CMD > DIR/file". DIR should not change meanwhile.

With --mount the merged view stays at MERGED until isolayer umount MERGED; it needs root.

shield ends with the exit code of COMMAND, or with 125 if something else failed.`,
		Example: `  isolayer shield /srv/export -- createrepo /srv/export/repo
  isolayer shield /srv/export --save changes.tar -- ./script
  isolayer shield --mount /mnt/try --upper /var/tmp/try /srv/export`,
		Args: func(cmd *cobra.Command, args []string) error {
			n := cmd.ArgsLenAtDash()
			if n < 0 {
				n = len(args)
			}
			return needArgs("DIR...")(cmd, args[:n])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			n := cmd.ArgsLenAtDash()
			if n < 0 {
				n = len(args)
			}
			switch {
			case o.mount == "" && o.upper != "":
				return usagef("shield --mount MERGED --upper UPPER DIR", "--upper goes with --mount only")
			case o.mount != "" && (n != 1 || len(args) > 1 || o.save != "" || o.commit):
				return usagef("isolayer shield --mount MERGED DIR; then work there, then isolayer umount MERGED", "--mount takes one DIR and runs no command")
			case o.commit && !o.yes && !asks(a.in):
				return usagef("--commit --yes makes the changes without asking", "--commit asks: --yes is needed without a terminal")
			case o.mount != "":
				return ours(a.stand(cmd.Context(), workspace.Standing{Dir: args[0], Target: o.mount, Upper: o.upper, Temp: o.temp}))
			}
			return a.shield(cmd.Context(), args[:n], args[n:], o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.save, "save", "", "keep the changes in `FILE`, an OCI layer: .tar, .tar.gz or .tar.zst")
	f.BoolVar(&o.commit, "commit", false, "if COMMAND ended with 0: ask, then make the changes in DIR")
	f.BoolVar(&o.yes, "yes", false, "with --commit: do not ask")
	f.StringVar(&o.mount, "mount", "", "show the merged view at `MERGED` until isolayer umount")
	f.StringVar(&o.upper, "upper", "", "with --mount: keep the changes in `UPPER`")
	addWorkspaceFlags(f, &o.temp)
	f.BoolVar(&o.asJSON, "json", false, "print what would have changed as JSON")
	return cmd
}

func (a *app) shield(ctx context.Context, dirs, args []string, o shieldOptions) (err error) {
	defer func() { err = ours(err) }()
	command, err := shell(args)
	if err != nil {
		return err
	}
	if o.save != "" {
		if _, err := compressionOf(o.save); err != nil {
			return err
		}
	}
	opts := workspace.Options{Temp: o.temp, Stdout: a.out, Stderr: a.err}
	opts.Stdin, _ = a.in.(*os.File)
	w, err := workspace.Shield(ctx, dirs, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	code, err := w.Run(ctx, workspace.Command{Args: command, Env: []string{"ISOLAYER_SHIELD=" + strings.Join(dirs, ":")}})
	if err != nil {
		return err
	}
	if err := w.Stop(); err != nil {
		return err
	}
	files := extent.NewFiles()
	defer func() { err = errors.Join(err, files.Close()) }()
	list, err := w.Shielded(workspace.CaptureOptions{Files: files})
	if err != nil {
		return err
	}
	changes := under(list)
	if o.asJSON {
		err = printJSON(a.out, nonNil(changes))
	} else {
		a.changed(changes)
	}
	if err == nil && o.save != "" {
		err = a.saveShielded(ctx, list, dirs, files, o.save)
	}
	if err == nil && o.commit && len(changes) > 0 {
		err = a.commit(w, list, code, o.yes)
	}
	if err == nil && code != 0 {
		return coded{errSaid, code}
	}
	return err
}

// asks reports that questions reach somebody.
func asks(in io.Reader) bool {
	_, ok := terminal(in)
	return ok
}

// under are the changes of all directories, with their full paths.
func under(list []workspace.Shielded) []workspace.Change {
	var out []workspace.Change
	for _, s := range list {
		for _, c := range s.Changes {
			c.Path = path.Join(s.Dir, c.Path)
			out = append(out, c)
		}
	}
	return out
}

func (a *app) saveShielded(ctx context.Context, list []workspace.Shielded, dirs []string, files *extent.Files, to string) error {
	c, err := compressionOf(to)
	if err != nil {
		return err
	}
	root := ""
	if len(dirs) == 1 {
		if root, err = filepath.EvalSymlinks(dirs[0]); err == nil {
			root, err = filepath.Abs(root)
		}
		if err != nil {
			return err
		}
	}
	l, err := workspace.Layer(list, root, files)
	if err != nil {
		return err
	}
	_, _, err = a.writeLayer(ctx, l, to, c)
	return err
}

func (a *app) commit(w *workspace.Workspace, list []workspace.Shielded, code int, yes bool) error {
	if code != 0 {
		fmt.Fprintf(a.err, "isolayer: the command ended with %d: nothing is committed\n", code)
		return nil
	}
	if !yes {
		fmt.Fprint(a.err, "isolayer: make these changes? [y/N] ")
		line, _ := bufio.NewReader(a.in).ReadString('\n') // the end of input means no
		if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
			fmt.Fprintln(a.err, "isolayer: nothing was changed")
			return nil
		}
	}
	return workspace.Commit(list, w.Began())
}
