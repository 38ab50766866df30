package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
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
	return a.withTree(image, o.session, func(base *isolayer.Base, t *tree.Tree) error { return a.extractTree(ctx, base, t, paths, o) })
}

func (a *app) extractTree(ctx context.Context, base *isolayer.Base, t *tree.Tree, paths []string, o extractOptions) (err error) {
	var objects []string
	if o.boot {
		objects = base.Objects()
	} else if len(paths) == 0 {
		paths = []string{"/"}
	}
	var tops []*tree.Node
	var inside []string
	for _, p := range paths {
		if _, _, ok := isolayer.InObject(p); ok {
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
	if err := os.MkdirAll(o.dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	x := &extractor{ctx: ctx, base: base, root: root, meter: newMeter(a.err, o.progress), linked: map[iso9660.Section]string{}, made: map[string]bool{}}
	x.devices = o.devices
	x.keepMode, x.keepOwner = strings.Contains(o.preserve, "mode"), strings.Contains(o.preserve, "owner")
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
		return err
	}
	for _, p := range x.twice {
		fmt.Fprintf(a.err, "isolayer: warning: %s is there twice; the first one was taken\n", name(p))
	}
	for _, p := range x.skipped {
		fmt.Fprintf(a.err, "isolayer: warning: %s is a device, FIFO or socket and was left out\n", name(p))
	}
	return nil
}

// extractor writes nodes below a directory that it cannot leave.
type extractor struct {
	ctx                 context.Context
	base                *isolayer.Base
	root                *os.Root
	meter               *meter
	keepMode, keepOwner bool
	devices             bool

	done, total int64
	linked      map[iso9660.Section]string // content that is out already → path
	made        map[string]bool            // directories that are there
	links       []item
	dirs        []item
	skipped     []string
	twice       []string // what has the name of something else
}

// objects writes boot equipment, each to a file named after it.
func (x *extractor) objects(names []string) error {
	for _, name := range names {
		content, err := x.base.Object(name)
		if err != nil {
			return err
		}
		x.total += content.Size()
		to := strings.TrimPrefix(name, "@") + ".img"
		if err := errors.Join(x.clear(to), x.create(to, content)); err != nil {
			return fmt.Errorf("extract %s: %w", name, err)
		}
	}
	return nil
}

// item is a node and the path it gets below the directory.
type item struct {
	n  *tree.Node
	to string
}

// all writes files and directories, then links, then the attributes of
// directories, which may forbid writing.
func (x *extractor) all(tops []*tree.Node) error {
	var items []item
	for _, top := range tops {
		strip := path.Dir(top.Path())
		for _, n := range append([]*tree.Node{top}, list(top, true)...) {
			to := strings.TrimPrefix(strings.TrimPrefix(n.Path(), strip), "/")
			if to == "" || n == top && len(items) > 0 && items[len(items)-1].n == top {
				continue
			}
			items = append(items, item{n, to})
			x.total += contentSize(n)
		}
	}
	kept := map[string]*tree.Node{}
	lost := map[*tree.Node]bool{}
	for _, it := range items {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		// Of entries with one name the first one counts; a directory of that name
		// would else be filled through what a link leads to.
		if first := kept[it.to]; lost[it.n.Parent] && it.n.Parent != it.n || first != nil && first != it.n {
			lost[it.n] = true
			x.twice = append(x.twice, it.n.Path())
			continue
		}
		kept[it.to] = it.n
		if err := x.one(it); err != nil {
			return fmt.Errorf("extract %s: %w", it.n.Path(), err)
		}
	}
	for _, it := range x.links {
		if err := x.link(it); err != nil {
			return fmt.Errorf("extract %s: %w", it.n.Path(), err)
		}
	}
	for _, it := range slices.Backward(x.dirs) {
		if err := x.attributes(it, 0o777); err != nil {
			return fmt.Errorf("extract %s: %w", it.n.Path(), err)
		}
	}
	return nil
}

func (x *extractor) one(it item) error {
	if err := portable(it.to); err != nil {
		return err
	}
	switch {
	case it.n.IsDir():
		x.dirs = append(x.dirs, it)
		return x.dir(it.to)
	case it.n.IsLink():
		x.links = append(x.links, it)
		return nil
	case it.n.IsRegular():
		return x.file(it)
	}
	if x.devices && it.n.Mode&iso9660.ModeType != iso9660.ModeSocket {
		return x.device(it)
	}
	x.skipped = append(x.skipped, it.n.Path())
	return nil
}

// device makes a device node or a FIFO.
func (x *extractor) device(it item) error {
	if err := x.clear(it.to); err != nil {
		return err
	}
	dir, err := x.root.Open(path.Dir(it.to))
	if err != nil {
		return err
	}
	err = errors.Join(makeNode(dir, path.Base(it.to), it.n), dir.Close())
	if err != nil {
		return err
	}
	return x.attributes(it, 0o777)
}

// portable refuses names that mean something else on this system.
func portable(p string) error {
	if !fs.ValidPath(strings.ToValidUTF8(p, "_")) || strings.ContainsRune(p, os.PathSeparator) && os.PathSeparator != '/' {
		return fmt.Errorf("%w: the name cannot be used here", fs.ErrInvalid)
	}
	return nil
}

// dir makes a directory and its parents, writable until all is done. What is in
// the way and no directory is replaced: a link would lead elsewhere.
func (x *extractor) dir(p string) error {
	if x.made[p] { // looking again would take deep trees the cube of their depth
		return nil
	}
	x.made[p] = true
	if parent := path.Dir(p); parent != "." {
		if err := x.dir(parent); err != nil {
			return err
		}
	}
	info, err := x.root.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return x.root.Mkdir(p, 0o777)
	case err != nil:
		return err
	case info.IsDir():
		return x.root.Chmod(p, info.Mode().Perm()|0o700)
	}
	if err := x.root.Remove(p); err != nil {
		return err
	}
	return x.root.Mkdir(p, 0o777)
}

// clear takes away an older file or link at p.
func (x *extractor) clear(p string) error {
	if parent := path.Dir(p); parent != "." {
		if err := x.dir(parent); err != nil {
			return err
		}
	}
	if err := x.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (x *extractor) file(it item) error {
	if err := x.clear(it.to); err != nil {
		return err
	}
	if len(it.n.Content) > 0 {
		if first, ok := x.linked[it.n.Content[0]]; ok {
			x.add(contentSize(it.n))
			return x.root.Link(first, it.to)
		}
		x.linked[it.n.Content[0]] = it.to
	}
	r, size, err := x.base.Open(it.n)
	if err != nil {
		return err
	}
	if err := x.base.Charge(it.n, size); err != nil {
		return err
	}
	if err := x.create(it.to, io.NewSectionReader(r, 0, size)); err != nil {
		return err
	}
	return x.attributes(it, 0o777)
}

// create makes a file, whole or not at all.
func (x *extractor) create(p string, r io.Reader) error {
	f, err := x.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if err := errors.Join(x.copy(f, r), f.Close()); err != nil {
		return errors.Join(err, x.root.Remove(p))
	}
	return nil
}

func (x *extractor) copy(w io.Writer, r io.Reader) error {
	for {
		n, err := io.CopyN(w, r, 8<<20)
		x.add(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := x.ctx.Err(); err != nil {
			return err
		}
	}
}

func (x *extractor) add(n int64) {
	x.done += n
	x.meter.at(x.done, x.total)
}

func (x *extractor) link(it item) error {
	if err := x.clear(it.to); err != nil {
		return err
	}
	if err := x.root.Symlink(it.n.Link, it.to); err != nil {
		return err
	}
	if x.keepOwner {
		return x.root.Lchown(it.to, int(it.n.UID), int(it.n.GID))
	}
	return nil
}

// attributes sets owner, mode and time; without --preserve the umask rules and
// the owner may always write.
func (x *extractor) attributes(it item, most fs.FileMode) error {
	if x.keepOwner {
		if err := x.root.Lchown(it.to, int(it.n.UID), int(it.n.GID)); err != nil {
			return err
		}
	}
	mode := iso9660.FileMode(it.n.Mode) & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if !x.keepMode {
		info, err := x.root.Lstat(it.to)
		if err != nil {
			return err
		}
		mode = info.Mode().Perm()&^0o111 | mode&0o111&most | 0o600
		if it.n.IsDir() {
			mode = info.Mode().Perm()
		}
	}
	if err := x.root.Chmod(it.to, mode); err != nil {
		return err
	}
	if t := it.n.ModTime; !t.IsZero() {
		return x.root.Chtimes(it.to, t, t)
	}
	return nil
}
