package isolayer

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

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/sums"
	"github.com/isolayer/isolayer/internal/tree"
)

// InitrdAdd puts local files or directory trees into the initrd of every boot entry, as
// an archive behind those it is made of. The rules for Dest are those of Add.
type InitrdAdd struct{ Adds []Add }

func (a InitrdAdd) String() string {
	var out []string
	for _, x := range a.Adds {
		out = append(out, x.String())
	}
	return strings.Join(out, ", ") + " in the initrd"
}

// ErrNoInitrd reports an image whose boot entries name no initrd that is in it.
var ErrNoInitrd = errors.New("no boot entry names an initrd of the image")

func (a InitrdAdd) apply(s *stage) error {
	return s.addToInitrds(func(i *bootInitrd) (files []local, err error) {
		for _, x := range a.Adds {
			more, err := s.localFiles(x, i)
			if err != nil {
				return nil, err
			}
			files = append(files, more...)
		}
		return files, nil
	})
}

// bootInitrd is an initrd that boot entries name, in the tree or in a FAT image.
type bootInitrd struct {
	name string // as users see it
	node *tree.Node
	fat  *fatVolume
	path string // in the FAT image

	src       extent.Source // its bytes, from off on
	off, size int64
	open      *cpio.Initrd
}

// initrds finds those that boot entries of all configurations name. Loaders join what
// an entry names; the last one is meant, whose files win. Names that cannot be found are
// returned too.
func (s *stage) initrds() (found []*bootInitrd, lost []string, err error) {
	list, err := s.menus()
	if err != nil {
		return nil, nil, err
	}
	area := s.ignitionArea()
	for _, m := range list {
		for _, c := range m.configs {
			for _, e := range c.File.Entries() {
				names := slices.DeleteFunc(slices.Clone(e.Initrds), func(n string) bool {
					return area != nil && strings.EqualFold(path.Base(n), path.Base(area.File))
				})
				if len(names) == 0 || !e.Boots() {
					continue
				}
				i := s.initrdAt(list[0], m, c, names[len(names)-1])
				switch {
				case i == nil:
					lost = append(lost, m.prefix+c.Path+": "+names[len(names)-1])
				case !slices.ContainsFunc(found, func(x *bootInitrd) bool { return x.name == i.name }):
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
func (s *stage) initrdAt(root, m *bootMenus, c *bootcfg.Config, name string) *bootInitrd {
	if _, rest, ok := strings.Cut(name, ")"); ok && strings.HasPrefix(name, "(") {
		name = rest
	}
	if c.File.Format() == bootcfg.Syslinux {
		name = bootcfg.Resolve(c.Dir, name)
	}
	for _, at := range []*bootMenus{m, root} {
		found, dir, err := at.volume.Lookup(slashless(name))
		if err != nil || dir {
			continue
		}
		if at.fat != nil {
			return &bootInitrd{name: at.prefix + found, fat: at.fat, path: found}
		}
		if n := s.tree.Find(found); n != nil && n.IsRegular() && n.Size() > 0 {
			return &bootInitrd{name: n.Path(), node: n}
		}
	}
	return nil
}

// content is where bytes are from, by which those of one content are told apart.
type content struct {
	src       extent.Source
	off, size int64
}

// contentOf is where the bytes of a source are from.
func contentOf(src extent.Source, off, size int64) content {
	if c, ok := src.(*extent.Composed); ok {
		if es := c.Extents(); len(es) == 1 && es[0].Kind == extent.Copy {
			return content{es[0].Src, es[0].SrcOff + off, size}
		}
	}
	return content{src, off, size}
}

// read opens an initrd and reads what is in it, once for all names and steps.
func (s *stage) read(i *bootInitrd) (err error) {
	switch {
	case i.open != nil: // before
	case i.fat != nil:
		m, err := i.fat.img.Content(i.path)
		if err != nil {
			return err
		}
		i.src, i.size = extent.Compose(i.name, m), m.Size()
	case i.node.Source != nil:
		i.src, i.size = i.node.Source, i.node.Source.Size()
	case len(i.node.Content) != 1:
		return fmt.Errorf("it is stored in %d pieces: %w", len(i.node.Content), iso9660.ErrUnsupported)
	default:
		i.src, i.off, i.size = s.base.src, i.node.Content[0].LBA.Offset(), i.node.Content[0].Size
	}
	i.open, err = s.unpack(i.name, contentOf(i.src, i.off, i.size))
	return err
}

// unpack opens the initrd that content is. One of the base is opened once for all images.
func (s *stage) unpack(name string, c content) (*cpio.Initrd, error) {
	if open := s.unpacked[c]; open != nil {
		return open, nil
	}
	open := s.base.unpacked(c)
	if open == nil {
		s.working("unpacking " + name)
		r := io.NewSectionReader(whileGoing{s.ctx, c.src}, c.off, c.size)
		heads, err := s.listedSums(c)
		if err != nil {
			return nil, err
		}
		if open, err = (cpio.Options{Keep: wantedInInitrd, Hear: heads}).Open(r, c.size); err != nil {
			return nil, err
		}
		s.noteHeads(c, heads)
		open.From(io.NewSectionReader(c.src, c.off, c.size))
		s.base.keepUnpacked(c, open)
	}
	s.noteUnpacked(c, open)
	return open, nil
}

// heads compute sums of an initrd while it is unpacked: what goes behind it changes the
// sums that lists have, which then need no further reading.
type heads map[crypto.Hash]hash.Hash

// Write implements io.Writer.
func (h heads) Write(p []byte) (int, error) {
	for _, w := range h {
		w.Write(p) // hashes return no errors
	}
	return len(p), nil
}

// listedSums are the kinds of sums that lists of the tree have of content.
func (s *stage) listedSums(c content) (heads, error) {
	out := heads{}
	err := s.tree.Walk(func(n *tree.Node) error {
		if !n.IsRegular() || n.Replaced() || n.Size() > sums.MaxSize || !sums.Named(n.Name) || !sums.Named(n.Path()) {
			return nil
		}
		text, err := s.reader().Content(n, sums.MaxSize)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Path(), err)
		}
		l, err := sums.Parse(n.Path(), text)
		if err != nil {
			return nil // books says so
		}
		for _, x := range l.Lines {
			if out[x.Hash] != nil || !x.Hash.Available() {
				continue
			}
			if is := s.tree.Exact(x.Path); is != nil && s.contains(is, c) {
				out[x.Hash] = x.Hash.New()
			}
		}
		return nil
	})
	return out, err
}

// contains reports a file whose bytes are that content.
func (s *stage) contains(n *tree.Node, c content) bool {
	if n.Source != nil {
		return contentOf(n.Source, 0, n.Source.Size()) == c
	}
	return len(n.Content) == 1 && content{s.base.src, n.Content[0].LBA.Offset(), n.Content[0].Size} == c
}

func (s *stage) noteHeads(c content, h heads) {
	if s.heads == nil {
		s.heads = map[content]heads{}
	}
	s.heads[c] = h
}

// head returns a hash of what an extent begins with, and of how many bytes: nil if that
// is not known.
func (s *stage) head(e extent.Extent, kind crypto.Hash) (hash.Hash, int64) {
	if e.Kind != extent.Copy {
		return nil, 0
	}
	for c, h := range s.heads {
		state, ok := h[kind].(hash.Cloner)
		if !ok || c.src != e.Src || c.off != e.SrcOff || c.size > e.Len {
			continue
		}
		if own, err := state.Clone(); err == nil {
			return own, c.size
		}
	}
	return nil, 0
}

func (s *stage) noteUnpacked(c content, open *cpio.Initrd) {
	if s.unpacked == nil {
		s.unpacked = map[content]*cpio.Initrd{}
	}
	s.unpacked[c] = open
}

// wantedInInitrd reports the files whose content steps read.
func wantedInInitrd(e *cpio.Entry) bool {
	return e.Name == slashless(installKey) || holdsArguments(e)
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

// unpacked is an initrd of the base that was opened before.
func (b *Base) unpacked(c content) *cpio.Initrd {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.initrds[c]
}

func (b *Base) keepUnpacked(c content, open *cpio.Initrd) {
	if c.src != b.src {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.initrds == nil {
		b.initrds = map[content]*cpio.Initrd{}
	}
	b.initrds[c] = open
}

// addToInitrds adds files to every initrd that boot entries name. Names of one file's
// content go on to share it.
func (s *stage) addToInitrds(files func(*bootInitrd) ([]local, error)) error {
	list, lost, err := s.initrds()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return ErrNoInitrd
	}
	for _, name := range lost {
		s.warn(name + " is not in the image; nothing was added to it")
	}
	return s.extendInitrds(list, "files added", files)
}

// extendInitrds adds files to initrds; one for which there are none stays as it is.
func (s *stage) extendInitrds(list []*bootInitrd, what string, files func(*bootInitrd) ([]local, error)) error {
	done := map[content]extent.Source{}
	for _, i := range list {
		if err := s.read(i); err != nil {
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
				if done[key], err = s.with(i, add); err != nil {
					return fmt.Errorf("%s: %w", i.name, err)
				}
			}
		}
		if done[key] == nil {
			continue
		}
		s.changed(i.name, what, 1)
		if err := s.replaceInitrd(i, done[key]); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
	}
	return nil
}

// with is the initrd with files added. What is in it then is known.
func (s *stage) with(i *bootInitrd, add []local) (extent.Source, error) {
	var files []cpio.File
	for _, f := range add {
		files = append(files, cpio.File{Name: f.name, Mode: f.attr.Mode, ModTime: f.attr.ModTime, Link: f.attr.Link, Source: f.src})
	}
	m, err := i.open.Add(i.src, i.off, files)
	if err != nil {
		return nil, err
	}
	src := extent.Compose(i.name, m)
	grown, err := i.open.Grown(src, src.Size())
	if err == nil && grown != nil {
		s.noteUnpacked(contentOf(src, 0, src.Size()), grown)
	}
	return src, err
}

func (s *stage) replaceInitrd(i *bootInitrd, src extent.Source) error {
	if i.fat != nil {
		volumes, err := s.fatVolumes() // anew: an earlier one may have changed the same image
		if err != nil {
			return err
		}
		k := slices.IndexFunc(volumes, func(v *fatVolume) bool { return v.name == i.fat.name })
		return s.editFAT(volumes[k], func(e *fat.Editor) error { return e.Replace(i.path, src) })
	}
	return s.tree.Do(tree.Put{Path: i.node.Path(), Attr: i.node.Attr, Source: src})
}

// localFiles lists what an Add puts into an initrd.
func (s *stage) localFiles(a Add, i *bootInitrd) (files []local, err error) {
	info, err := os.Stat(a.Source)
	if err != nil {
		return nil, err
	}
	dest := localtree.Destination(a.Dest, a.Source, info.IsDir(), func(dest string) bool {
		e, err := i.open.Find(dest)
		return err == nil && e.IsDir()
	})
	err = localtree.Walk(a.Source, info, nil, func(e localtree.Entry) error {
		f := local{name: path.Join("/", e.Below(dest)), attr: s.attr(e.Info)}
		f.attr.Link = e.Link
		if e.Info.Mode().IsRegular() {
			if f.src, err = s.source(e.Path, e.Info); err != nil {
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
func (b *Base) Initrd(number int) (*cpio.Initrd, string, error) {
	s, err := b.still()
	if err != nil {
		return nil, "", err
	}
	list, _, err := s.initrds()
	switch {
	case err != nil:
		return nil, "", err
	case number > len(list) && len(list) == 0:
		return nil, "", ErrNoInitrd
	case number > len(list):
		return nil, "", fmt.Errorf("@initrd%d: there are %d: %w", number, len(list), ErrNoInitrd)
	}
	i := list[number-1]
	if err := s.read(i); err != nil {
		return nil, i.name, fmt.Errorf("%s: %w", i.name, err)
	}
	return i.open, i.name, nil
}

// Initrds lists the initrds that boot entries name, the first as @initrd, the second as
// @initrd2 and so on.
func (b *Base) Initrds() ([]string, error) {
	s, err := b.still()
	if err != nil {
		return nil, err
	}
	list, _, err := s.initrds()
	var out []string
	for _, i := range list {
		out = append(out, i.name)
	}
	return out, err
}

// still is a stage on which nothing is done.
func (b *Base) still() (*stage, error) {
	t, err := b.Tree()
	return &stage{ctx: context.Background(), owned: &owned{}, base: b, tree: t, files: b.files, boot: b.boot, objects: map[string]extent.Source{}}, err
}
