package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// lsOptions are the flags of ls.
type lsOptions struct {
	long, recursive, blocks, asJSON bool
	session                         int
}

func (a *app) lsCommand() *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:     "ls IMAGE [PATH]",
		Short:   "List files of an image",
		GroupID: "look",
		Long: `ls lists a directory of an image, the root without PATH, sorted by name. Names
of Rock Ridge mind case; on images without it names may be given in any case. With
@efi:/PATH or @partN:/PATH it lists what is inside of boot equipment, with @initrd:/PATH
what is in the initrd that boot entries name, @initrd2 being another one.
Control characters in names are shown escaped.`,
		Example: "  isolayer ls -lR base.iso /isolinux",
		Args:    needArgs("IMAGE", "[PATH]"),
		RunE: func(_ *cobra.Command, args []string) error {
			path := "/"
			if len(args) > 1 {
				path = args[1]
			}
			return a.ls(args[0], path, o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.long, "long", "l", false, "mode, owner, size, time and link target as well")
	f.BoolVarP(&o.recursive, "recursive", "R", false, "everything below, as paths")
	f.BoolVar(&o.blocks, "blocks", false, "the first block of the content as well")
	f.IntVar(&o.session, "session", 0, "read session `N` of a multi-session image")
	f.BoolVar(&o.asJSON, "json", false, "print an array of objects")
	return cmd
}

// listed is one entry in --json.
type listed struct {
	Path   string `json:"path"`
	Type   string `json:"type"`
	Mode   string `json:"mode"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Size   int64  `json:"size"`
	Time   string `json:"time,omitempty"`
	Target string `json:"target,omitempty"`
	Block  int64  `json:"block,omitempty"`
}

func (a *app) ls(image, path string, o lsOptions) error {
	if path == "/" && o.recursive {
		if err := a.lsAll(image, o); !errors.Is(err, iso9660.ErrRelocated) {
			return err
		}
	}
	return a.withTree(image, o.session, func(base *baseimage.Base, t *tree.Tree) error {
		if number, inside, ok := initrd.InInitrd(path); ok {
			return a.lsInitrd(base, number, inside, o)
		}
		if strings.HasPrefix(path, "@") {
			return a.lsInside(base, path, o)
		}
		return a.lsTree(t, path, o)
	})
}

// lsAll lists all of an image while it is read. The error may be iso9660.ErrRelocated: it
// cannot be read so, and nothing was printed.
func (a *app) lsAll(image string, o lsOptions) error {
	if err := isFile(image); err != nil {
		return err
	}
	out := bufio.NewWriter(a.out)
	show := func(n *tree.Node) error {
		_, err := fmt.Fprintln(out, line(n, name(n.Path()), o))
		return err
	}
	count := 0
	if o.asJSON {
		show = func(n *tree.Node) error {
			text, err := indented(describe(n), "  ")
			if err != nil {
				return err
			}
			between := ",\n"
			if count++; count == 1 {
				between = "[\n"
			}
			_, err = fmt.Fprint(out, between, "  ", text)
			return err
		}
	}
	err := baseimage.List(image, baseimage.OpenOptions{Session: o.session, Limits: a.limits}, show)
	if err != nil {
		return errors.Join(notISO(image, baseimage.InImage(image, err)), out.Flush())
	}
	switch {
	case o.asJSON && count == 0:
		fmt.Fprintln(out, "[]")
	case o.asJSON:
		fmt.Fprintln(out, "\n]")
	}
	return out.Flush()
}

func (a *app) lsTree(t *tree.Tree, path string, o lsOptions) error {
	top, err := t.Lookup(path)
	if err != nil {
		return err
	}
	nodes := list(top, o.recursive)
	if o.asJSON {
		out := make([]listed, 0, len(nodes))
		for _, n := range nodes {
			out = append(out, describe(n))
		}
		return printJSON(a.out, out)
	}
	for _, n := range nodes {
		shown := n.Name
		if o.recursive || n == top {
			shown = n.Path()
		}
		if _, err := fmt.Fprintln(a.out, line(n, name(shown), o)); err != nil {
			return err
		}
	}
	return nil
}

// list returns what ls shows of top: itself, its children, or all below it.
func list(top *tree.Node, recursive bool) []*tree.Node {
	if !top.IsDir() {
		return []*tree.Node{top}
	}
	if !recursive {
		return tree.Shown(top)
	}
	var out []*tree.Node
	stack := tree.Shown(top)
	slices.Reverse(stack)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		out = append(out, n)
		children := tree.Shown(n)
		slices.Reverse(children)
		stack = append(stack, children...)
	}
	return out
}

// line is an entry as text.
func line(n *tree.Node, shown string, o lsOptions) string {
	var b strings.Builder
	if o.blocks {
		fmt.Fprintf(&b, "%10d ", first(n))
	}
	if !o.long {
		b.WriteString(shown)
		return b.String()
	}
	size := fmt.Sprint(n.ContentSize())
	if t := n.Mode & iso9660.ModeType; t == iso9660.ModeChar || t == iso9660.ModeBlock {
		size = fmt.Sprintf("%d, %d", n.Major, n.Minor)
	}
	when := "                "
	if !n.ModTime.IsZero() {
		when = n.ModTime.UTC().Format("2006-01-02 15:04")
	}
	fmt.Fprintf(&b, "%s %4d %4d %11s %s %s", modeString(n.Mode), n.UID, n.GID, size, when, shown)
	if n.IsLink() {
		b.WriteString(" -> " + name(n.Link))
	}
	return b.String()
}

// first is the first block of a file's content or a directory's extent, 0 without one.
func first(n *tree.Node) int64 {
	if len(n.Content()) > 0 {
		return int64(n.Content()[0].LBA)
	}
	if e := n.Found[iso9660.Primary]; e != nil && n.IsDir() {
		return int64(e.Record().LBA())
	}
	return 0
}

// types names st_mode's file types as ls letters and as JSON has them.
var types = map[uint32]struct {
	letter byte
	name   string
}{
	iso9660.ModeRegular: {'-', "file"},
	iso9660.ModeDir:     {'d', "directory"},
	iso9660.ModeSymlink: {'l', "link"},
	iso9660.ModeChar:    {'c', "character device"},
	iso9660.ModeBlock:   {'b', "block device"},
	iso9660.ModeFIFO:    {'p', "fifo"},
	iso9660.ModeSocket:  {'s', "socket"},
}

// modeString is st_mode as ls -l has it.
func modeString(m uint32) string {
	out := []byte("?rwxrwxrwx")
	if t, ok := types[m&iso9660.ModeType]; ok {
		out[0] = t.letter
	}
	for i := range 9 {
		if m&(1<<(8-i)) == 0 {
			out[1+i] = '-'
		}
	}
	for _, s := range []struct {
		bit      uint32
		at       int
		with, no byte
	}{{0o4000, 3, 's', 'S'}, {0o2000, 6, 's', 'S'}, {0o1000, 9, 't', 'T'}} {
		if m&s.bit != 0 {
			if out[s.at] == 'x' {
				out[s.at] = s.with
			} else {
				out[s.at] = s.no
			}
		}
	}
	return string(out)
}

func describe(n *tree.Node) listed {
	l := listed{Path: n.Path(), Type: types[n.Mode&iso9660.ModeType].name, Mode: fmt.Sprintf("%04o", n.Mode&0o7777), UID: n.UID, GID: n.GID, Size: n.ContentSize(), Target: n.Link, Block: first(n)}
	if !n.ModTime.IsZero() {
		l.Time = n.ModTime.UTC().Format("2006-01-02T15:04:05Z")
	}
	return l
}
