package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/mediacheck"
)

// md5Options are the flags of md5's commands.
type md5Options struct {
	progress  string
	asJSON    bool
	force     bool
	supported bool
	show      bool
}

func (a *app) md5Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "md5",
		Short:   "Implant, check or show a media check, as isomd5sum does",
		GroupID: "look",
		Long: `md5 works with the media checks of installer images: the checksum that the boot
menu's "Test this media" compares. implant and check are those of implantisomd5 and
checkisomd5, byte for byte; check and show know SUSE's checkmedia too.

Called by the name implantisomd5 or checkisomd5 (a link will do), isolayer is that
program and has its exit codes. build keeps a media check valid by itself.`,
		Example: "  isolayer md5 check installer.iso\n  isolayer md5 implant --force custom.iso",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usagef("implant, check or show", "unknown command %q of md5", args[0])
		},
	}
	cmd.AddCommand(a.md5Implant(), a.md5Check(), a.md5Show())
	return cmd
}

func (a *app) md5Implant() *cobra.Command {
	var o md5Options
	cmd := &cobra.Command{
		Use:   "implant IMAGE",
		Short: "Put a media check into an image, in place",
		Long: `implant reads the whole image and writes 512 bytes into it: a media check that
checkisomd5 and the installers of the Fedora family understand.`,
		Args: needArgs("IMAGE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.implant(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.force, "force", "f", false, "overwrite a media check, or what else the field holds")
	f.BoolVarP(&o.supported, "supported-iso", "S", false, "set the flag that says the medium is supported by its vendor")
	progressVar(f, &o.progress)
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) md5Check() *cobra.Command {
	var o md5Options
	cmd := &cobra.Command{
		Use:   "check IMAGE",
		Short: "Compare an image with its media check",
		Long: `check reads what the media check covers and compares. It stops at the first part
that is damaged and names it with the files that lie there. The exit code is 3 if
the image is damaged or has no media check.`,
		Args: needArgs("IMAGE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.show {
				return a.showMedia(args[0], o)
			}
			return a.checkMedia(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	progressVar(f, &o.progress)
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	// Those of checkisomd5.
	f.BoolVarP(&o.show, "md5sumonly", "o", false, "as show")
	f.BoolP("verbose", "v", false, "")
	f.BoolP("gauge", "g", false, "")
	for _, name := range []string{"md5sumonly", "verbose", "gauge"} {
		f.Lookup(name).Hidden = true
	}
	return cmd
}

func (a *app) md5Show() *cobra.Command {
	var o md5Options
	cmd := &cobra.Command{
		Use:   "show IMAGE",
		Short: "Print the media check of an image without checking it",
		Args:  needArgs("IMAGE"),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.showMedia(args[0], o) },
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	return cmd
}

// mediaTag is a media check as JSON.
type mediaTag struct {
	Path         string `json:"path"`
	Program      string `json:"program"`
	Digest       string `json:"digest"`
	Sum          string `json:"sum"`
	Covered      int64  `json:"bytes_covered"`
	Fragments    int    `json:"fragments,omitempty"`
	FragmentSums string `json:"fragment_sums,omitempty"`
	Supported    bool   `json:"supported"`
}

func asTag(path string, t *mediacheck.Tag, blocks int64) mediaTag {
	covered, err := t.Covered(blocks)
	if err != nil {
		covered = 0 // the check says so
	}
	return mediaTag{path, string(t.Kind), t.Digest, t.Sum, covered, t.Fragments, t.FragmentSums, t.Supported}
}

func (t mediaTag) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s %s\n", t.Program, t.Sum)
	fmt.Fprintf(&b, "%-14s %s (%d bytes)\n", "covers", size(t.Covered), t.Covered)
	if t.Fragments > 0 {
		fmt.Fprintf(&b, "%-14s %d, %s\n", "fragments", t.Fragments, t.FragmentSums)
	}
	if t.Program == string(mediacheck.ISOMD5) {
		fmt.Fprintf(&b, "%-14s %v\n", "supported", t.Supported)
	}
	return b.String()
}

func (a *app) showMedia(path string, o md5Options) error {
	m, err := build.ReadMediaCheck(path)
	if err != nil {
		return noMedia(path, err)
	}
	t := asTag(path, m.Tag, m.Blocks)
	if o.asJSON {
		return printJSON(a.out, t)
	}
	_, err = fmt.Fprint(a.out, t.text())
	return err
}

// noMedia gives an image without a media check the exit code of a check that said no.
func noMedia(path string, err error) error {
	if errors.Is(err, build.ErrNoMediaCheck) {
		return coded{err, exitCheck}
	}
	return notISO(path, err)
}

func (a *app) checkMedia(ctx context.Context, path string, o md5Options) error {
	bar := newMeter(a.err, o.progress)
	m, err := build.CheckMedia(ctx, path, bar.at)
	bar.done()
	if err != nil {
		return noMedia(path, err)
	}
	if o.asJSON {
		err = printJSON(a.out, struct {
			mediaTag
			mediacheck.Outcome
			Files []string `json:"files,omitempty"`
		}{asTag(path, m.Tag, m.Blocks), m.Outcome, m.Files})
	} else if m.OK {
		_, err = fmt.Fprintf(a.out, "%s: passed, %s %s\n", name(path), m.Tag.Kind, m.Tag.Sum)
	}
	if err != nil || m.OK {
		return err
	}
	part := "the sum of all is wrong"
	if m.Fragment > 0 {
		part = fmt.Sprintf("fragment %d of %d is damaged", m.Fragment, m.Tag.Fragments+1)
	}
	return coded{hinted{
		fmt.Errorf("%s: %s: bytes %d to %d; %s", path, part, m.From, m.To-1, mediacheck.Where(m.Files)),
		"fetch the image again; if it was changed on purpose, isolayer md5 implant --force makes the check right",
	}, exitCheck}
}

func (a *app) implant(ctx context.Context, path string, o md5Options) error {
	bar := newMeter(a.err, o.progress)
	tag, err := build.ImplantMedia(ctx, path, build.ImplantOptions{Force: o.force, Supported: o.supported, Progress: bar.at})
	bar.done()
	switch {
	case errors.Is(err, build.ErrFieldUsed):
		return hinted{err, "--force overwrites it"}
	case err != nil:
		return notISO(path, err)
	}
	if o.asJSON {
		return printJSON(a.out, asTag(path, tag, 0))
	}
	fmt.Fprintf(a.err, "%s: media check implanted, %s %s\n", name(path), tag.Kind, tag.Sum)
	return nil
}

// personality lets the program be what it is called as: the command line it then is,
// and how that program numbers its exits.
func personality(argv []string) (args []string, exit func(int) int) {
	exit = func(code int) int { return code }
	if len(argv) == 0 {
		return nil, exit
	}
	switch strings.TrimSuffix(filepath.Base(argv[0]), ".exe") {
	case "mkisofs", "genisoimage":
		return append([]string{"master"}, argv[1:]...), exit
	case "xorrisofs":
		return append([]string{"master", "-as-xorrisofs"}, argv[1:]...), exit
	case "implantisomd5":
		return append([]string{"md5", "implant"}, argv[1:]...), func(code int) int { return min(code, 1) }
	case "checkisomd5":
		return append([]string{"md5", "check"}, argv[1:]...), func(code int) int {
			if code > 128 {
				return 2 // aborted
			}
			return min(code, 1)
		}
	}
	return argv[1:], exit
}
