package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/sink"
)

func (a *app) layerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "layer",
		Short:   "Keep a change of an image as an OCI layer",
		GroupID: "make",
		Long: `layer works with changes of images, stored as the layers of container images are: a
tar archive with whiteouts, plain or compressed with gzip or zstd.`,
		Example: `  isolayer layer create base.iso custom.iso -o change.tar.zst
  isolayer layer ls change.tar.zst
  isolayer layer apply base.iso change.tar.zst -o again.iso`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usagef("create, ls or apply", "unknown command %q of layer", args[0])
		},
	}
	cmd.AddCommand(a.layerCreate(), a.layerList(), a.layerApply())
	return cmd
}

// layerOptions are the flags of layer create.
type layerOptions struct {
	output   string
	plain    bool
	progress string
	asJSON   bool
}

func (a *app) layerCreate() *cobra.Command {
	var o layerOptions
	cmd := &cobra.Command{
		Use:   "create A B -o FILE",
		Short: "Store the change from image A to image B",
		Long: `create compares two images and writes the change from A to B as an OCI layer. Applied to
A, it gives the tree of B, its boot equipment and the texts of its descriptors.

What only moved is stored as a rename, and of a large file of which little changed
only that, which other programs do not know and which fits A alone; --plain stores
both whole. FILE is compressed as its name says: .tar, .tar.gz or .tar.zst;
"-o -" writes plain tar.`,
		Args: needArgs("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.createLayer(cmd.Context(), args[0], args[1], o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "the layer, `FILE`; - is standard output")
	f.BoolVar(&o.plain, "plain", false, "no renames and patches: every OCI program understands the layer")
	progressVar(f, &o.progress)
	f.BoolVar(&o.asJSON, "json", false, "print a report as JSON")
	return cmd
}

// compressionOf reads from a file's name how it is compressed.
func compressionOf(path string) (layer.Compression, error) {
	for _, s := range []struct {
		suffix string
		c      layer.Compression
	}{{".tar", layer.None}, {".tar.gz", layer.Gzip}, {".tgz", layer.Gzip}, {".tar.zst", layer.Zstd}, {".tzst", layer.Zstd}} {
		if strings.HasSuffix(path, s.suffix) {
			return s.c, nil
		}
	}
	if path == "-" {
		return layer.None, nil
	}
	return "", usagef("call it .tar, .tar.gz or .tar.zst", "%s: its name does not say how to compress it", path)
}

func (a *app) createLayer(ctx context.Context, before, after string, o layerOptions) (err error) {
	if o.output == "" {
		return usagef("name the layer: -o change.tar.zst", "-o is missing")
	}
	compression, err := compressionOf(o.output)
	if err != nil {
		return err
	}
	if _, ok := terminal(a.out); ok && o.output == "-" {
		return usagef("redirect it: > change.tar, or name a file with -o", "a layer does not belong on a terminal")
	}
	x, err := a.openBase(before, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	y, err := a.openBase(after, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, y.Close()) }()
	m := newMeter(a.err, o.progress)
	l, unsaid, err := build.MakeLayer(ctx, y, x, build.LayerOptions{Plain: o.plain, Progress: m.at})
	m.done()
	if err != nil {
		return err
	}
	sum, n, err := a.writeLayer(ctx, l, o.output, compression)
	if err != nil {
		return err
	}
	for _, s := range unsaid {
		fmt.Fprintf(a.err, "isolayer: warning: a layer cannot say: %s\n", plain(s))
	}
	if o.asJSON {
		w := a.out
		if o.output == "-" {
			w = a.err
		}
		return printJSON(w, struct {
			Output string   `json:"output"`
			DiffID string   `json:"diff_id"`
			Bytes  int64    `json:"bytes"`
			Unsaid []string `json:"not_in_layer,omitempty"`
		}{o.output, "sha256:" + sum, n, unsaid})
	}
	fmt.Fprintf(a.err, "%s: %s, %s; diff id sha256:%s\n", name(o.output), layerCounts(l), size(n), sum)
	return nil
}

// writeLayer writes a layer and returns the digest of the archive, as OCI images name it
// before compression, and the length of the file.
func (a *app) writeLayer(ctx context.Context, l *layer.Layer, path string, c layer.Compression) (sum string, n int64, err error) {
	h := sha256.New()
	fill := func(w io.Writer) error {
		z, err := layer.Compress(w, c)
		if err != nil {
			return err
		}
		return errors.Join(l.Write(io.MultiWriter(z, h)), z.Close())
	}
	if path == "-" {
		counted := &writeCounter{w: a.out}
		err = fill(counted)
		n = counted.n
	} else {
		n, err = sink.Write(ctx, path, fill)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), n, err
}

type writeCounter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *writeCounter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// layerCounts says in words what a layer does.
func layerCounts(l *layer.Layer) string {
	var out []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{len(l.Added), "added or changed"},
		{len(l.Gone) + len(l.Opaque), "removed"},
		{len(l.Renames), "renamed"},
		{len(l.Objects), "of the boot equipment"},
		{len(l.Fields), "of the descriptors' texts"},
	} {
		if c.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(out) == 0 {
		return "no change"
	}
	return strings.Join(out, ", ")
}

func (a *app) layerList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls FILE",
		Short: "List what a layer changes",
		Long:  `ls lists what a layer removes (-), renames (>), and adds or changes (+).`,
		Args:  needArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return build.ReadLayer(args[0], func(l *layer.Layer) error { return a.printLayer(l, asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// layerEntry is a line of layer ls.
type layerEntry struct {
	Kind string `json:"kind"` // removed, emptied, renamed, added, boot equipment, volume field
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	Mode string `json:"mode,omitempty"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	Size int64  `json:"size"`
	Time string `json:"time,omitempty"`
	Link string `json:"link,omitempty"`
	// Patch is how much of the content the layer has, if the rest is that of the image
	// which it is applied to.
	Patch *int64 `json:"patch,omitempty"`
	line  string
}

func (a *app) printLayer(l *layer.Layer, asJSON bool) error {
	entries := layerEntries(l)
	if asJSON {
		return printJSON(a.out, entries)
	}
	for _, e := range entries {
		fmt.Fprintln(a.out, e.line)
	}
	return nil
}

func layerEntries(l *layer.Layer) []layerEntry {
	out := []layerEntry{}
	for _, r := range l.Renames {
		out = append(out, layerEntry{Kind: "renamed", Name: r.New, From: r.Old, line: fmt.Sprintf("> %s → %s", name(r.Old), name(r.New))})
	}
	for _, p := range l.Gone {
		out = append(out, layerEntry{Kind: "removed", Name: p, line: "- " + name(p)})
	}
	for _, p := range l.Opaque {
		out = append(out, layerEntry{Kind: "emptied", Name: p, line: "- " + name(strings.TrimSuffix(p, "/")) + "/*"})
	}
	for _, p := range l.Added {
		out = append(out, addedEntry(p))
	}
	for object, src := range l.Objects {
		n, words := patchOf(src)
		out = append(out, layerEntry{Kind: "boot equipment", Name: object, Size: src.Size(), Patch: n, line: fmt.Sprintf("+ %s, %s%s", name(object), size(src.Size()), words)})
	}
	for f, text := range l.Fields {
		flag := fieldFlag(f)
		out = append(out, layerEntry{Kind: "volume field", Name: flag.name, line: fmt.Sprintf("+ %s %s", flag.usage, name(text))})
	}
	tail := out[len(l.Renames)+len(l.Gone)+len(l.Opaque)+len(l.Added):]
	slices.SortFunc(tail, func(x, y layerEntry) int { return strings.Compare(x.line, y.line) })
	return out
}

// fieldFlag is the flag that sets a text of the descriptors.
func fieldFlag(f iso9660.Field) struct{ name, usage string } {
	if f == iso9660.FieldVolume {
		return struct{ name, usage string }{"label", "label"}
	}
	return fieldFlags[f]
}

func addedEntry(p tree.Put) layerEntry {
	e := layerEntry{Kind: "added", Name: p.Path, Mode: modeString(p.Attr.Mode), UID: p.Attr.UID, GID: p.Attr.GID, Link: p.Attr.Link, Time: p.Attr.ModTime.UTC().Format("2006-01-02T15:04:05Z")}
	shown := name(p.Path)
	switch {
	case p.Source != nil:
		e.Size = p.Source.Size()
	case p.Attr.Mode&iso9660.ModeType == iso9660.ModeDir:
		shown += "/"
	case p.Attr.Link != "":
		shown += " → " + name(p.Attr.Link)
	}
	patch, words := patchOf(p.Source)
	e.Patch = patch
	e.line = fmt.Sprintf("+ %s %d:%d %s %s%s", e.Mode, e.UID, e.GID, size(e.Size), shown, words)
	return e
}

// patchOf is how many bytes of a content a layer has, and that in words; nil if it has all.
func patchOf(src extent.Source) (*int64, string) {
	p, ok := src.(*layer.Patch)
	if !ok {
		return nil, ""
	}
	n := p.Data.Size()
	if p.Lower == p.Result {
		return &n, " (content as it was)"
	}
	return &n, fmt.Sprintf(" (patch of %s)", size(n))
}

func (a *app) layerApply() *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "apply BASE LAYER... -o OUT",
		Short: "Make a changed image from BASE and layers",
		Long:  `apply is build BASE --layer LAYER... with all its options; layers are applied in order.`,
		Args:  needArgs("BASE", "LAYER..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, l := range args[1:] {
				o.steps = append(o.steps, edit.Layer{Path: l})
			}
			options, err := o.options(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			return a.build(cmd.Context(), args[0], o, options)
		},
	}
	cmd.Flags().SortFlags = false
	o.addFlags(cmd.Flags())
	return cmd
}
