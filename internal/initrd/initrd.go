package initrd

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/sums"
	"github.com/isolayer/isolayer/internal/tree"
)

// ErrNoInitrd reports an image whose boot entries name no initrd that is in it.
var ErrNoInitrd = errors.New("no boot entry names an initrd of the image")

// BootInitrd is an initrd that boot entries name, in the tree or in a FAT image.
type BootInitrd struct {
	name string // as users see it
	in   stage.Volume
	path string // in that

	src       extent.Source // its bytes, from off on
	off, size int64
	Open      *cpio.Initrd
}

// initrds finds those that boot entries of all configurations name. Loaders join what
// an entry names; the last one is meant, whose files win. Names that cannot be found are
// returned too.
func initrds(s *stage.Stage) (found []*BootInitrd, lost []string, err error) {
	list, err := bootedit.Configs(s)
	if err != nil {
		return nil, nil, err
	}
	area := coreos.FindIgnitionArea(s)
	for _, m := range list {
		for _, c := range m.Configs {
			for _, e := range c.File.Entries() {
				names := slices.DeleteFunc(slices.Clone(e.Initrds), func(n string) bool {
					return area != nil && strings.EqualFold(path.Base(n), path.Base(area.File))
				})
				if len(names) == 0 || !e.Boots() {
					continue
				}
				i := initrdAt(s, list[0], m, c, names[len(names)-1])
				switch {
				case i == nil:
					lost = append(lost, m.Prefix()+c.Path+": "+names[len(names)-1])
				case !slices.ContainsFunc(found, func(x *BootInitrd) bool { return x.name == i.name }):
					found = append(found, i)
				}
			}
		}
	}
	slices.Sort(lost)
	return found, slices.Compact(lost), nil
}

// initrdAt finds the initrd that a configuration names: in its own file system, else in
// the tree. nil without one.
func initrdAt(s *stage.Stage, root, m *stage.BootMenus, c *bootcfg.Config, name string) *BootInitrd {
	if _, rest, ok := strings.Cut(name, ")"); ok && strings.HasPrefix(name, "(") {
		name = rest
	}
	if c.File.Format() == bootcfg.Syslinux {
		name = bootcfg.Resolve(c.Dir, name)
	}
	for _, at := range []*stage.BootMenus{m, root} {
		found, dir, err := at.Lookup(stage.Slashless(name))
		if err != nil || dir {
			continue
		}
		if _, _, size, err := at.Content(found); err == nil && size == 0 {
			continue
		}
		if n := s.Tree.Find(found); n != nil && at.Prefix() == "/" {
			found = stage.Slashless(n.Path()) // where links lead
		}
		return &BootInitrd{name: at.Prefix() + found, in: at.Volume, path: found}
	}
	return nil
}

// contentOf is where the bytes of a source are from.
func contentOf(src extent.Source, off, size int64) baseimage.Content {
	if c, ok := src.(*extent.Composed); ok {
		if es := c.Extents(); len(es) == 1 && es[0].Kind == extent.Copy {
			return baseimage.Content{Src: es[0].Src, Off: es[0].SrcOff + off, Size: size}
		}
	}
	return baseimage.Content{Src: src, Off: off, Size: size}
}

// read opens an initrd and reads what is in it, once for all names and steps.
func read(s *stage.Stage, i *BootInitrd) (err error) {
	if i.Open == nil {
		if i.src, i.off, i.size, err = i.in.Content(i.path); err != nil {
			return err
		}
	}
	i.Open, err = unpack(s, i.name, contentOf(i.src, i.off, i.size))
	return err
}

// unpack opens the initrd that content is. One of the base is opened once for all images.
// See RATIONALE.md, "An initrd is read once".
func unpack(s *stage.Stage, name string, c baseimage.Content) (*cpio.Initrd, error) {
	if open := s.Unpacked[c]; open != nil {
		return open, nil
	}
	open := s.Base.Unpacked(c)
	if open == nil {
		s.Working("unpacking " + name)
		r := io.NewSectionReader(whileGoing{s.Ctx, c.Src}, c.Off, c.Size)
		heads, err := listedSums(s, c)
		if err != nil {
			return nil, err
		}
		if open, err = (cpio.Options{Keep: wantedInInitrd, Hear: heads}).Open(r, c.Size); err != nil {
			return nil, err
		}
		noteHeads(s, c, heads)
		open.From(io.NewSectionReader(c.Src, c.Off, c.Size))
		s.Base.KeepUnpacked(c, open)
	}
	noteUnpacked(s, c, open)
	return open, nil
}

// listedSums are the kinds of sums that lists of the tree have of content.
func listedSums(s *stage.Stage, c baseimage.Content) (stage.Heads, error) {
	out := stage.Heads{}
	err := s.Tree.Walk(func(n *tree.Node) error {
		if !n.IsRegular() || n.Replaced() || n.Size() > sums.MaxSize || !sums.Named(n.Name) || !sums.Named(n.Path()) {
			return nil
		}
		text, err := s.Reader().Content(n, sums.MaxSize)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Path(), err)
		}
		l, err := sums.Parse(n.Path(), text)
		if err != nil {
			return nil // refresh says so
		}
		for _, x := range l.Lines {
			if out[x.Hash] != nil || !x.Hash.Available() {
				continue
			}
			if is := s.Tree.Exact(x.Path); is != nil && contains(s, is, c) {
				out[x.Hash] = x.Hash.New()
			}
		}
		return nil
	})
	return out, err
}

// contains reports a file whose bytes are that content.
func contains(s *stage.Stage, n *tree.Node, c baseimage.Content) bool {
	if n.Source != nil {
		return contentOf(n.Source, 0, n.Source.Size()) == c
	}
	return len(n.Content()) == 1 && baseimage.Content{Src: s.Base.Source(), Off: n.Content()[0].LBA.Offset(), Size: n.Content()[0].Size} == c
}

func noteHeads(s *stage.Stage, c baseimage.Content, h stage.Heads) {
	if s.Heads == nil {
		s.Heads = map[baseimage.Content]stage.Heads{}
	}
	s.Heads[c] = h
}

// Head returns a hash of what an extent begins with, and of how many bytes: nil if that
// is not known.
func Head(s *stage.Stage, e extent.Extent, kind crypto.Hash) (hash.Hash, int64) {
	if e.Kind != extent.Copy {
		return nil, 0
	}
	for c, h := range s.Heads {
		state, ok := h[kind].(hash.Cloner)
		if !ok || c.Src != e.Src || c.Off != e.SrcOff || c.Size > e.Len {
			continue
		}
		if own, err := state.Clone(); err == nil {
			return own, c.Size
		}
	}
	return nil, 0
}

func noteUnpacked(s *stage.Stage, c baseimage.Content, open *cpio.Initrd) {
	if s.Unpacked == nil {
		s.Unpacked = map[baseimage.Content]*cpio.Initrd{}
	}
	s.Unpacked[c] = open
}

// wantedInInitrd reports the files whose content steps read.
func wantedInInitrd(e *cpio.Entry) bool {
	return e.Name == stage.Slashless(stage.InstallKey) || holdsArguments(e)
}

// whileGoing is a reader that ends with a context.
type whileGoing struct {
	ctx context.Context
	r   io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (w whileGoing) ReadAt(p []byte, off int64) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.ReadAt(p, off)
}

// AddToInitrds adds files to every initrd that boot entries name. Names of one file's
// content go on to share it.
func AddToInitrds(s *stage.Stage, files func(*BootInitrd) ([]stage.Local, error)) error {
	list, lost, err := initrds(s)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return ErrNoInitrd
	}
	for _, name := range lost {
		s.Warn(name + " is not in the image; nothing was added to it")
	}
	return extendInitrds(s, list, "files added", files)
}

// extendInitrds adds files to initrds; one for which there are none stays as it is.
func extendInitrds(s *stage.Stage, list []*BootInitrd, what string, files func(*BootInitrd) ([]stage.Local, error)) error {
	done := map[baseimage.Content]extent.Source{}
	for _, i := range list {
		if err := read(s, i); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		key := contentOf(i.src, i.off, i.size)
		if _, ok := done[key]; !ok {
			add, err := files(i)
			if err != nil {
				return err
			}
			done[key] = nil
			if len(add) > 0 {
				if done[key], err = with(s, i, add); err != nil {
					return fmt.Errorf("%s: %w", i.name, err)
				}
			}
		}
		if done[key] == nil {
			continue
		}
		s.Changed(i.name, what, 1)
		if err := replaceInitrd(s, i, done[key]); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
	}
	return nil
}

// with is the initrd with files added. What is in it then is known.
func with(s *stage.Stage, i *BootInitrd, add []stage.Local) (extent.Source, error) {
	var files []cpio.File
	for _, f := range add {
		files = append(files, cpio.File{Name: f.Name, Mode: f.Attr.Mode, ModTime: f.Attr.ModTime, Link: f.Attr.Link, Source: f.Src})
	}
	m, err := i.Open.Add(i.src, i.off, files)
	if err != nil {
		return nil, err
	}
	src := extent.Compose(i.name, m)
	grown, err := i.Open.Grown(src, src.Size())
	if err == nil && grown != nil {
		noteUnpacked(s, contentOf(src, 0, src.Size()), grown)
	}
	return src, err
}

func replaceInitrd(s *stage.Stage, i *BootInitrd, src extent.Source) error {
	v, err := s.Fresh(i.in) // an earlier one may have changed the same image
	if err != nil {
		return err
	}
	return v.Edit(func(e stage.Editor) error { return e.Put(i.path, src) })
}

// LocalFiles lists what an Add puts into an initrd.
func LocalFiles(s *stage.Stage, a edit.Add, i *BootInitrd) (files []stage.Local, err error) {
	info, err := os.Stat(a.Source)
	if err != nil {
		return nil, err
	}
	dest := localtree.Destination(a.Dest, a.Source, info.IsDir(), func(dest string) bool {
		e, err := i.Open.Find(dest)
		return err == nil && e.IsDir()
	})
	err = localtree.Walk(a.Source, info, nil, func(e localtree.Entry) error {
		f := stage.Local{Name: path.Join("/", e.Below(dest)), Attr: s.Attr(e.Info)}
		f.Attr.Link = e.Link
		if e.Info.Mode().IsRegular() {
			if f.Src, err = s.Source(e.Path, e.Info); err != nil {
				return err
			}
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// InInitrd splits a path inside an initrd, such as @initrd:/etc/conf. Of several initrds
// @initrd2 is the second. ok is false for other paths; number counts from 1.
func InInitrd(p string) (number int, inside string, ok bool) {
	name, inside, _ := strings.Cut(p, ":")
	digits, ok := strings.CutPrefix(name, "@initrd")
	if !ok {
		return 0, "", false
	}
	if digits == "" {
		return 1, inside, true
	}
	n, err := strconv.Atoi(digits)
	return n, inside, err == nil && n > 0
}

// Initrd opens an initrd that boot entries name, by its number from 1, and returns the
// path of the file.
func Initrd(b *baseimage.Base, number int) (*cpio.Initrd, string, error) {
	s, err := still(b)
	if err != nil {
		return nil, "", err
	}
	list, _, err := initrds(s)
	switch {
	case err != nil:
		return nil, "", err
	case number > len(list) && len(list) == 0:
		return nil, "", ErrNoInitrd
	case number > len(list):
		return nil, "", fmt.Errorf("@initrd%d: there are %d: %w", number, len(list), ErrNoInitrd)
	}
	i := list[number-1]
	if err := read(s, i); err != nil {
		return nil, i.name, fmt.Errorf("%s: %w", i.name, err)
	}
	return i.Open, i.name, nil
}

// Initrds lists the initrds that boot entries name, the first as @initrd, the second as
// @initrd2 and so on.
func Initrds(b *baseimage.Base) ([]string, error) {
	s, err := still(b)
	if err != nil {
		return nil, err
	}
	list, _, err := initrds(s)
	var out []string
	for _, i := range list {
		out = append(out, i.name)
	}
	return out, err
}

// still is a stage on which nothing is done.
func still(b *baseimage.Base) (*stage.Stage, error) {
	t, err := b.Tree()
	return &stage.Stage{Ctx: context.Background(), Owned: &baseimage.Owned{}, Base: b, Tree: t, Files: b.Files, Boot: b.Boot(), Objects: map[string]extent.Source{}}, err
}
