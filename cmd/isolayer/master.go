package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/master/scan"
)

func (a *app) masterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "master DIR... [options of mkisofs] [-o OUT]",
		Short:   "Make a new image of local files, with the options of mkisofs",
		GroupID: "make",
		Long: `master makes an image of files and directories. Its options are those of mkisofs,
genisoimage and xorrisofs, so that a command line of theirs works as it is; an option
that is not supported is an error. Called by one of these names (a link will do),
isolayer is that program; as xorrisofs it records Rock Ridge unless --norock is given,
and later files take the place of earlier ones of the same name. Without -o the image
goes to standard output.

What is new: files of any size, hard links, names in UTF-8, the same image from the same
tree at any time; the source is never written to, and OUT appears whole or not at all.

Some options of our own: --boot-from BASE takes the boot equipment of an image; --fix
adds what boot loaders need and nobody asked for; --media-check implant, --checksum
sha256|sha512, --dry-run, --print-map, --json, --progress and --limits are those of build.`,
		Example: `  isolayer master -r -J -V MYDISK -o out.iso dir
  isolayer master -U -r -T -J -joliet-long -V "CentOS 7 x86_64" -b isolinux/isolinux.bin \
    -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table -o out.iso .
  isolayer master -r -J --boot-from base.iso -o out.iso dir`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := parseMkisofs(args, a.in)
			if err != nil {
				return err
			}
			if m.show.asJSON {
				_ = cmd.Flags().Set("json", "true") // of a flag that is there
			}
			switch {
			case m.show.help:
				return a.masterHelp(cmd)
			case m.show.version:
				return a.versionCommand().RunE(cmd, nil)
			}
			return a.master(cmd.Context(), m)
		},
	}
	jsonErrorsVar(cmd.Flags()) // its own parser reads the command line
	return cmd
}

// masterHelp lists the options after what cobra says.
func (a *app) masterHelp(cmd *cobra.Command) error {
	fmt.Fprintf(a.out, "%s\n\nUsage:\n  %s\n\nExamples:\n%s\n", cmd.Long, cmd.UseLine(), cmd.Example)
	for _, yes := range []bool{true, false} {
		var names []string
		for _, o := range mkisofsOptions {
			if (o.do != nil) == yes {
				names = append(names, "-"+strings.ReplaceAll(o.names, " ", " -"))
			}
		}
		title := "Options, with other names of the same:"
		if !yes {
			title = "Not supported:"
			sort.Strings(names)
		}
		fmt.Fprintf(a.out, "\n%s\n%s", title, wrapped(names))
	}
	return nil
}

// wrapped lays words out in lines of at most 90 characters.
func wrapped(words []string) string {
	var b strings.Builder
	column := 0
	for _, w := range words {
		if column > 0 && column+len(w)+2 > 90 {
			b.WriteString("\n")
			column = 0
		}
		if column == 0 {
			b.WriteString("  ")
		}
		b.WriteString(w + ", ")
		column += len(w) + 2
	}
	return strings.TrimSuffix(b.String(), ", ") + "\n"
}

// master makes the image.
func (a *app) master(ctx context.Context, m *mkisofs) (err error) {
	o := m.show
	switch _, term := terminal(a.out); {
	case len(m.sources) == 0:
		return usagef("name a directory", "nothing to put into the image")
	case term && o.output == "-" && !o.dryRun && !m.print:
		return usagef("redirect it: > out.iso, or name a file with -o", "an image does not belong on a terminal")
	case o.checksum != "" && (o.output == "-" || o.dryRun):
		return usagef("pipe the stream through sha256sum, or name a file with -o", "--checksum needs an output file")
	}
	if m.options.Epoch, err = sourceDateEpoch(); err != nil {
		return err
	}
	// Planning holds every name: with the usual 100 the peak is 1.3 KiB a file, with this
	// 0.85, for a tenth more time.
	defer debug.SetGCPercent(debug.SetGCPercent(30))
	start := time.Now()
	img, err := build.Master(m.grafted(), m.options)
	if err != nil {
		return masterHint(err, m.options)
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	for _, p := range startupFiles() {
		if !m.noStartup {
			fmt.Fprintf(a.err, "isolayer: warning: %s is not read: give its texts as options, or -no_rc\n", name(p))
		}
	}
	if m.print {
		_, err := fmt.Fprintln(a.out, img.Map.Size()/iso9660.BlockSize)
		return err
	}
	if o.dryRun {
		return a.masterPlan(img, o)
	}
	progress := o.progress
	if o.quiet {
		progress = progressNone
	}
	res, err := a.write(ctx, img, buildOptions{output: o.output, progress: progress, checksum: o.checksum})
	if err != nil {
		return err
	}
	if o.asJSON {
		w := a.out
		if o.output == "-" {
			w = a.err
		}
		return printJSON(w, masterReport{o.output, written(img), res.Written, res.Cloned, res.Holes, res.Method})
	}
	if !o.quiet {
		fmt.Fprintf(a.err, "%s: %s, %d files, in %.1f s\n", name(o.output), size(img.Report.Size), img.Report.Added, time.Since(start).Seconds())
		if check := img.MediaCheck(); check != "" {
			fmt.Fprintf(a.err, "media check: %s\n", check)
		}
	}
	a.warn(img.Report)
	return nil
}

// masterHint adds what to do about an error that options are to blame for.
func masterHint(err error, o scan.Options) error {
	var twice *master.TwiceError
	switch {
	case errors.As(err, &twice):
		return hinted{err, "leave one out (-m PATTERN), or give it a name: -graft-points NAME=FILE"}
	case errors.Is(err, master.ErrCoding) && o.Names.Input == nil:
		return hinted{err, "choose another -output-charset, or leave it out: names are recorded in UTF-8"}
	case errors.Is(err, master.ErrCoding):
		return hinted{err, "name the coding that it has with -input-charset, or rename it with convmv"}
	case errors.Is(err, scan.ErrNotUTF8):
		return hinted{err, "name the coding that it has, such as -input-charset iso8859-1, or leave -J out"}
	case errors.Is(err, master.ErrLong):
		return hinted{err, "rename it, or cut names: -file_name_limit 255"}
	case errors.Is(err, iso9660.ErrTooLong):
		return hinted{err, "give a shorter text; -V and -sysid have 32 characters, -A, -P, -p and -volset 128, names of files 37"}
	case errors.Is(err, boot.ErrInfoRoom):
		return hinted{err, "leave the option out, or give the loader that it is for"}
	}
	return err
}

// masterReport is what --json prints.
type masterReport struct {
	Output string        `json:"output"`
	Report layout.Report `json:"report"`
	Copied int64         `json:"bytes_written"`
	Cloned int64         `json:"bytes_shared"`
	Holes  int64         `json:"bytes_in_holes"`
	Method string        `json:"method"`
}

// masterPlan prints what would be written.
func (a *app) masterPlan(img *build.Image, o showOptions) error {
	r := img.Report
	if o.showMap {
		return img.Map.WriteText(a.out)
	}
	if o.asJSON {
		return printJSON(a.out, r)
	}
	p := func(label, format string, args ...any) {
		fmt.Fprintf(a.out, "%-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	p("Files", "%d, %s", r.Added, size(r.Content))
	p("Size", "%s", size(r.Size))
	for _, t := range r.Trees {
		p("Tree", "%s: %d directories, %d records, %s", t.Hierarchy, t.Dirs, t.Records, size(t.Bytes))
	}
	a.warn(r)
	return nil
}
