package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/sink"
)

// buildOptions are the flags of build.
type buildOptions struct {
	strategyOptions
	isofileOptions
	steps       []edit.Step
	asEntry     string
	base        *baseimage.Base // of the command line; nil for an Isofile
	output      string
	noClobber   bool
	mediaCheck  string
	preserve    string
	place       string
	layout      string
	progress    string
	noBoot      string
	repair      bool
	resign      string
	insecure    bool
	refreshRepo bool
	uuid        string
	checksum    string
	fields      [4]string // by iso9660.Field
	session     int
	wipe        bool
	dryRun      bool
	showMap     bool
	asJSON      bool
	inPlace     bool
	undo        bool
	keepUndo    bool
	noUndo      bool
}

func (a *app) buildCommand() *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:     "build BASE [edits] -o OUT | --in-place",
		Short:   "Make a changed image from BASE",
		GroupID: "make",
		Long: `build makes a changed image from BASE. Edits are applied in the order given;
everything else stays as it is, byte for byte and at its place. OUT appears whole
or not at all; "-o -" writes to standard output.

With --in-place, BASE itself becomes the new image: only what differs is written. If
the run is killed, the next one that opens the image takes the edit back; --undo takes
back the last edit that took effect. What was removed is kept for that, beside BASE.

Added files belong to root and have mode 0644 or 0755; their times are bounded by
SOURCE_DATE_EPOCH if that is set.`,
		Example: `  isolayer build base.iso --add ks.cfg --add ./rpms:/extra/rpms -o custom.iso
  isolayer build base.iso --rm '/Packages/*-debuginfo-*' --mv /a:/b -o custom.iso --dry-run
  isolayer build base.iso --karg console=ttyS0 --label MY_ISO -o custom.iso
  isolayer build custom.iso --add ks.cfg --in-place
  isolayer build --undo custom.iso`,
		Args: oneBase,
		RunE: func(cmd *cobra.Command, args []string) error {
			if done, err := a.buildIsofile(cmd, args, &o); done || err != nil {
				return err
			}
			if o.undo {
				return a.undo(args[0], cmd.Flags().NFlag())
			}
			if err := o.ownEntries(); err != nil {
				return err
			}
			options, err := o.options(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			return a.build(cmd.Context(), args[0], o, options)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	addEditFlags(f, &o.steps)
	f.StringVar(&o.asEntry, "as-entry", "", "beside an answer file: a new boot entry of this `TITLE` reads it, the others stay manual")
	o.isofileOptions.addFlags(f)
	o.addFlags(f)
	addStrategyFlags(f, &o.strategyOptions)
	return cmd
}

// oneBase demands at most one image; who gives more has often put a blank for a colon.
func oneBase(cmd *cobra.Command, args []string) error {
	if len(args) > 1 && strings.HasPrefix(args[1], "/") {
		return usagef("edits are one word, with a colon: --add SRC:DST, --mv OLD:NEW; --rm stands before each PATH", "unexpected argument %q", args[1])
	}
	return needArgs("[BASE]")(cmd, args)
}

// addFlags defines the flags that are no edits.
func (o *buildOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.output, "output", "o", "", "the new image, `FILE`; - is standard output")
	f.BoolVar(&o.noClobber, "no-clobber", false, "do not replace a FILE that exists")
	f.BoolVar(&o.inPlace, "in-place", false, "change BASE itself")
	f.BoolVar(&o.undo, "undo", false, "take the last edit in place of BASE back")
	f.BoolVar(&o.keepUndo, "keep-undo", false, "with --in-place: keep what --undo needs, however much it is")
	f.BoolVar(&o.noUndo, "no-undo", false, "with --in-place: keep nothing, --undo will not be possible")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be done and how much written, write nothing")
	f.BoolVar(&o.showMap, "map", false, "with --dry-run: print the extents of the image")
	o.mediaCheck, o.uuid, o.place, o.layout = "auto", "keep", "reuse", "keep"
	choiceVar(f, &o.mediaCheck, "media-check", "auto|implant|strip", "what becomes of a media checksum; auto: the result has a valid one if BASE had one")
	f.BoolVar(&o.wipe, "wipe", true, "overwrite the bytes of removed files with zeros")
	f.Var(choices{choice{&o.noBoot, []string{"bios", "uefi", "all"}}}, "no-boot", "give up booting that way, so that boot images may be removed")
	f.BoolVar(&o.refreshRepo, "refresh-repo", false, "where packages were added or removed, let createrepo_c or apt-ftparchive write the repository's metadata")
	f.BoolVar(&o.insecure, "suse-insecure", false, "let SUSE's installer go on where a signature does not hold (insecure=1)")
	f.StringVar(&o.resign, "resign", "", "sign anew what signatures in BASE do not fit any more, by `KEY` of GnuPG")
	f.BoolVar(&o.repair, "repair", false, "make boot tables and checksums right that BASE has wrong")
	choiceVar(f, &o.checksum, "checksum", "sha256|sha512", "also write the image's checksum, to OUT.sha256 or OUT.sha512")
	for i, x := range fieldFlags {
		f.StringVar(&o.fields[i], x.name, "", "set the `TEXT` of the volume descriptors: "+x.usage)
	}
	choiceVar(f, &o.uuid, "uuid", "keep|new", "a new one changes every boot file that names the old one")
	choiceVar(f, &o.place, "place", "reuse|end", "where new data goes: into space that became free, or behind all else")
	choiceVar(f, &o.layout, "layout", "keep|compact", "compact writes everything afresh, without the gaps that edits left")
	f.StringVar(&o.preserve, "preserve", "", "take `mode,owner,time` from the source of added files")
	f.IntVar(&o.session, "session", 0, "read session `N` of a multi-session image, 1 is the oldest")
	progressVar(f, &o.progress)
	f.BoolVar(&o.asJSON, "json", false, "print a report as JSON")
}

// fieldFlags name the texts of descriptors, by iso9660.Field.
var fieldFlags = [...]struct{ name, usage string }{
	iso9660.FieldVolumeSet:   {"volset", "volume set"},
	iso9660.FieldPublisher:   {"publisher", "publisher"},
	iso9660.FieldPreparer:    {"preparer", "data preparer"},
	iso9660.FieldApplication: {"app-id", "application"},
}

// options checks the flags and turns them into those of the library.
func (o *buildOptions) options(given func(flag string) bool) (stage.Options, error) {
	out := stage.Options{Fields: map[iso9660.Field]string{}}
	for i, x := range fieldFlags {
		if given(x.name) {
			out.Fields[iso9660.Field(i)] = o.fields[i]
		}
	}
	if o.checksum != "" && (o.output == "-" || o.dryRun || o.inPlace) {
		return out, usagef("pipe the stream through sha256sum, or name a file with -o", "--checksum needs an output file")
	}
	switch {
	case o.inPlace && o.output != "":
		return out, usagef("-o makes a new image, --in-place changes BASE", "both -o and --in-place")
	case o.output == "" && !o.dryRun && !o.inPlace:
		return out, usagef("name the new image: -o custom.iso, or -o - for standard output; --in-place changes BASE itself", "-o is missing")
	case (o.keepUndo || o.noUndo) && !o.inPlace:
		return out, usagef("they tell what --in-place keeps", "--keep-undo and --no-undo go with --in-place only")
	case o.keepUndo && o.noUndo:
		return out, usagef("choose one", "both --keep-undo and --no-undo")
	}
	o.strategy, o.mastering = cmp.Or(o.strategy, native), cmp.Or(o.mastering, native)
	if err := o.check(*o); err != nil {
		return out, err
	}
	out.InPlace = o.inPlace
	out.MediaCheck, out.AtEnd = stage.MediaCheck(o.mediaCheck), o.place == "end"
	out.NoBoot = platforms(o.noBoot)
	out.Resign, out.Insecure, out.RefreshRepo = o.resign, o.insecure, o.refreshRepo
	out.Repair, out.NewUUID, out.Compact = o.repair, o.uuid == "new", o.layout == "compact"
	out.KeepFreed = !o.wipe
	for what := range strings.SplitSeq(o.preserve, ",") {
		switch what {
		case "":
		case "mode":
			out.Preserve.Mode = true
		case "owner":
			out.Preserve.Owner = true
		case "time":
			out.Preserve.Time = true
		default:
			return out, usagef("mode, owner and time, separated by commas", "--preserve %s: no attribute is called %q", o.preserve, what)
		}
	}
	epoch, err := sourceDateEpoch()
	out.Epoch = epoch
	return out, err
}

// platforms are those that the ways of --no-boot, separated by commas, boot.
func platforms(ways string) (out []boot.Platform) {
	for way := range strings.SplitSeq(ways, ",") {
		switch way {
		case "bios":
			out = append(out, boot.BIOS)
		case "uefi":
			out = append(out, boot.UEFI)
		case "all":
			for p := range 256 {
				out = append(out, boot.Platform(p))
			}
		}
	}
	return out
}

// sourceDateEpoch reads the environment; see reproducible-builds.org.
func sourceDateEpoch() (*time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil, usagef("it is a number of seconds since 1970", "SOURCE_DATE_EPOCH is %q", s)
	}
	t := time.Unix(n, 0).UTC()
	return &t, nil
}

// openBase opens an image and makes "not an image" say what the file is.
func (a *app) openBase(path string, session int) (*baseimage.Base, error) {
	if err := isFile(path); err != nil {
		return nil, err
	}
	b, err := baseimage.Open(path, baseimage.OpenOptions{Session: session, Limits: a.limits})
	return b, notISO(path, err)
}

// isFile refuses standard input as an image.
func isFile(path string) error {
	if path == "-" && !here(path) {
		return usagef(localHint(path), "an image cannot come from standard input")
	}
	return nil
}

// withTree opens an image and its tree for f. An error in the image names it.
func (a *app) withTree(path string, session int, f func(*baseimage.Base, *tree.Tree) error) (err error) {
	base, err := a.openBase(path, session)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	t, err := base.Tree()
	if err == nil {
		err = f(base, t)
	}
	return baseimage.InImage(path, err)
}

func (a *app) build(ctx context.Context, path string, o buildOptions, options stage.Options) (err error) {
	if _, ok := terminal(a.out); ok && o.output == "-" && !o.dryRun {
		return usagef("redirect it: > custom.iso, or name a file with -o", "an image does not belong on a terminal")
	}
	if err := mayWrite(o); err != nil {
		return err
	}
	options.Working = a.working(o.progress, "")
	start := time.Now()
	base, err := a.openBase(path, o.session)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	o.base = base
	files := extent.NewFiles()
	defer func() { err = errors.Join(err, files.Close()) }()
	steps, err := a.withUpper(base, o, options, files)
	if err != nil {
		return err
	}
	if o.strategy != native {
		return a.buildIn(ctx, base, steps, o, options)
	}
	img, err := build.Build(ctx, base, steps, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	if o.dryRun {
		return a.dryRun(img, o)
	}
	if o.inPlace {
		return a.inPlace(ctx, path, img, o, start)
	}
	return a.put(ctx, img, o, start)
}

// put writes the image and reports; start is when the work began.
func (a *app) put(ctx context.Context, img *build.Image, o buildOptions, start time.Time) error {
	res, err := a.write(ctx, img, o)
	if err != nil {
		return err
	}
	return a.built(img, res, o, start)
}

// built says what was written.
func (a *app) built(img *build.Image, res sink.Result, o buildOptions, start time.Time) error {
	report := written(img)
	if o.asJSON {
		w := a.out
		if o.output == "-" {
			w = a.err
		}
		return printJSON(w, struct {
			Output string        `json:"output"`
			Report layout.Report `json:"report"`
			Copied int64         `json:"bytes_written"`
			Cloned int64         `json:"bytes_shared"`
			Holes  int64         `json:"bytes_in_holes"`
			Method string        `json:"method"`
		}{o.output, report, res.Written, res.Cloned, res.Holes, res.Method})
	}
	a.summary(o.output, report, res, time.Since(start))
	a.idle(img, o)
	return nil
}

// written is the report of an image that was written: its media check is known.
func written(img *build.Image) layout.Report {
	r := img.Report
	r.MediaCheck = img.MediaCheck()
	return r
}

// write sends the image where the user wants it.
func (a *app) write(ctx context.Context, img *build.Image, o buildOptions) (sink.Result, error) {
	was := replaced(o.output)
	res, err := a.send(ctx, img, o)
	if err == nil {
		a.outputIs(o.output, was, o.checksum)
	}
	return res, err
}

// send writes the image to a file or stream, with its checksum if that is wanted.
func (a *app) send(ctx context.Context, img *build.Image, o buildOptions) (sink.Result, error) {
	m := newMeter(a.err, o.progress)
	defer m.done()
	opts := sink.Options{Progress: m.at}
	if !img.Sealed() && (o.output == "-" || o.checksum != "") {
		fmt.Fprintln(a.err, "isolayer: the media check stands in front of what it covers: all bytes are read twice; with --media-check strip once")
	}
	switch o.checksum {
	case "sha256":
		return a.summed(ctx, img, o, opts, sha256.New())
	case "sha512":
		return a.summed(ctx, img, o, opts, sha512.New())
	}
	if o.output == "-" {
		return img.Stream(ctx, a.out, opts)
	}
	return img.WriteFile(ctx, o.output, opts)
}

// summed writes the image and then, in the form of sha256sum, its checksum.
func (a *app) summed(ctx context.Context, img *build.Image, o buildOptions, opts sink.Options, h hash.Hash) (sink.Result, error) {
	opts.Observe = []io.Writer{h}
	res, err := img.WriteFile(ctx, o.output, opts)
	if err != nil {
		return res, err
	}
	line := fmt.Sprintf("%x  %s\n", h.Sum(nil), filepath.Base(o.output))
	_, err = sink.Write(ctx, o.output+"."+o.checksum, func(w io.Writer) error {
		_, err := io.WriteString(w, line)
		return err
	})
	return res, err
}

func (a *app) warn(r layout.Report) {
	for _, n := range r.Notes {
		fmt.Fprintf(a.err, "%s\n", plain(n))
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(a.err, "isolayer: warning: %s\n", plain(w))
	}
	if r.Untested {
		fmt.Fprintln(a.err, "hint: --karg=-rd.live.check takes the test out of the entries; --media-check implant gives the image a sum")
	}
	for _, s := range r.Signatures {
		fmt.Fprintf(a.err, "isolayer: warning: %s does not fit %s any more: %s\n", name(s.Path), name(s.Signs), plain(s.Meaning))
	}
	a.installs(r)
}

// dryRun prints the plan.
func (a *app) dryRun(img *build.Image, o buildOptions) error {
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
	p("Changes", "%s", changes(r))
	p("Size", "%s, the base has %s", size(r.Size), size(r.BaseSize))
	p("Differs", "%s", differs(r))
	for _, t := range r.Trees {
		p("Tree", "%s, %s: %d directories, %d entries", t.Hierarchy, t.Placement, t.Dirs, t.Records)
	}
	for _, m := range r.Moved {
		p("Makes room", "%s moves from block %d to %d, %s", name(m.Path), m.From, m.To, size(m.Size))
	}
	for _, f := range r.BootFiles {
		p("Edits", "%s", plain(f.String()))
	}
	for _, b := range r.Boot {
		p("Follows", "%s", b)
	}
	a.warn(r)
	a.idle(img, o)
	return nil
}
