package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/unpack"
)

// extractOptions are the flags of extract.
type extractOptions struct {
	dir      string
	preserve string
	progress string
	session  int
	boot     bool
	devices  bool
}

func (a *app) extractCommand() *cobra.Command {
	var o extractOptions
	cmd := &cobra.Command{
		Use:     "extract IMAGE [PATH...] -C DIR",
		Short:   "Take files out of an image",
		GroupID: "look",
		Long: `extract writes files and directory trees of an image below DIR, everything without
PATH. Nothing is written outside DIR, whatever the image holds: links are made
last and never followed. Hard links stay hard links. Devices are left out unless --devices asks for them, setuid
and setgid bits too unless --preserve mode asks for them.

Boot equipment is extracted by its name (@bios, @efi, @catalog, @partN,
@system-area), or all of it with --boot: boot images, also those that no directory
lists, the boot catalog, the system area and the contents of partitions. With
@efi:/PATH it takes out what is inside of one.`,
		Example: "  isolayer extract base.iso /EFI /isolinux/isolinux.cfg -C out/",
		Args:    needArgs("IMAGE", "[PATH...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.extract(cmd.Context(), args[0], args[1:], o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.dir, "directory", "C", "", "put the files below `DIR`; made if it is missing")
	f.StringVar(&o.preserve, "preserve", "", "`mode,owner` as the image has them")
	f.IntVar(&o.session, "session", 0, "read session `N` of a multi-session image")
	progressVar(f, &o.progress)
	jsonErrorsVar(f)
	f.BoolVar(&o.devices, "devices", false, "make device nodes and FIFOs too, which takes root")
	f.BoolVar(&o.boot, "boot", false, "take out the boot equipment, and no files unless PATH names some")
	return cmd
}

func (a *app) extract(ctx context.Context, image string, paths []string, o extractOptions) error {
	if o.dir == "" {
		return usagef("say where the files go: -C DIR", "-C is missing")
	}
	return a.withTree(image, o.session, func(base *baseimage.Base, t *tree.Tree) error { return a.extractTree(ctx, base, t, paths, o) })
}

func (a *app) extractTree(ctx context.Context, base *baseimage.Base, t *tree.Tree, paths []string, o extractOptions) (err error) {
	var objects []string
	if o.boot {
		objects = base.Objects()
	} else if len(paths) == 0 {
		paths = []string{"/"}
	}
	var tops []*tree.Node
	var inside []string
	for _, p := range paths {
		if _, _, ok := stage.InObject(p); ok {
			inside = append(inside, p)
			continue
		}
		if strings.HasPrefix(p, "@") {
			objects = append(objects, p)
			continue
		}
		n, err := t.Lookup(p)
		if err != nil {
			return err
		}
		tops = append(tops, n)
	}
	x := &extractor{base: base, meter: newMeter(a.err, o.progress)}
	options := unpack.Options{Open: x.open, Owner: strings.Contains(o.preserve, "owner"), Devices: o.devices, Wrote: x.wrote}
	if strings.Contains(o.preserve, "mode") {
		options.Mode = func(mode uint32) fs.FileMode { return iso9660.FileMode(mode) &^ fs.ModeType }
	}
	x.dir, err = unpack.Open(ctx, o.dir, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.dir.Close()) }()
	defer x.meter.done()
	if err := x.objects(objects); err != nil {
		return err
	}
	for _, p := range inside {
		if err := x.inside(p); err != nil {
			return err
		}
	}
	if err := x.all(tops); err != nil {
		return fmt.Errorf("extract %w", err)
	}
	for _, p := range x.dir.Twice {
		fmt.Fprintf(a.err, "isolayer: warning: %s is there twice; the first one was taken\n", name(p))
	}
	for _, p := range x.dir.Skipped {
		fmt.Fprintf(a.err, "isolayer: warning: %s is a device, FIFO or socket and was left out\n", name(p))
	}
	if n := len(x.dir.Copied); n > 0 {
		fmt.Fprintf(a.err, "isolayer: warning: %s and %d more are copies: there can be no hard links in %s\n", name(x.dir.Copied[0]), n-1, name(o.dir))
	}
	return nil
}

// extractor takes files out of an image.
type extractor struct {
	base  *baseimage.Base
	dir   *unpack.Dir
	meter *meter

	done, total int64
}

// objects writes boot equipment, each to a file named after it.
func (x *extractor) objects(names []string) error {
	for _, name := range names {
		content, err := x.base.Object(name)
		if err != nil {
			return err
		}
		x.total += content.Size()
		if err := x.dir.Create(strings.TrimPrefix(name, "@")+".img", content, time.Time{}); err != nil {
			return fmt.Errorf("extract %s: %w", name, err)
		}
	}
	return nil
}

// all writes files and directories, each under its last name; the root is what is in it.
func (x *extractor) all(tops []*tree.Node) error {
	var list []*tree.Node
	for _, top := range tops {
		if top.Parent == nil {
			list = append(list, top.Children...)
		} else {
			list = append(list, top)
		}
	}
	for _, n := range list {
		x.count(n)
	}
	for _, n := range list {
		if err := x.dir.Tree(n, n.Name); err != nil {
			return err
		}
	}
	return x.dir.Finish()
}

// count adds what is to be written for a node to the total.
func (x *extractor) count(n *tree.Node) {
	if n.Hidden {
		return
	}
	if n.IsRegular() {
		x.total += n.ContentSize()
	}
	for _, c := range n.Children {
		x.count(c)
	}
}

// open returns the content of a file.
func (x *extractor) open(n *tree.Node) (io.ReaderAt, int64, error) {
	r, size, err := x.base.Open(n)
	if err == nil {
		err = x.base.Charge(n, size)
	}
	return r, size, err
}

func (x *extractor) wrote(n int64) {
	x.done += n
	x.meter.at(x.done, x.total)
}
