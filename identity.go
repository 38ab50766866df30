package isolayer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/fat"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/pe"
	"github.com/isolayer/isolayer/tree"
)

// maxBootFile is the size up to which files are searched for the UUID: boot
// configurations are far smaller.
const maxBootFile = 1 << 20

// renewal gives an image another UUID: the modification date of its primary
// descriptor, which boot configurations search for.
type renewal struct {
	s        *stage
	b        *Base
	old, now []byte // as boot files write them, of one length
	time     time.Time
	named    []string // files that named the old one
}

// renewUUID changes every boot file that names the UUID, in the tree and in FAT
// images that firmware boots from, and returns the new modification date and what
// was done.
func (s *stage) renewUUID(b *Base) (*renewal, error) {
	r := &renewal{s: s, b: b, old: []byte(b.img.Primary().Modified().UUID())}
	r.time = s.newDate(b)
	r.now = []byte(iso9660.NewDate17(r.time).UUID())
	if len(r.old) == 0 {
		return r, nil // nothing can name it
	}
	if err := r.treeFiles(); err != nil {
		return nil, err
	}
	for _, o := range b.boot.Objects() {
		if err := r.fatImage(o); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// newDate is the date that the new UUID is made of. There is no clock in it: the
// same base and the same files give the same UUID. It is SOURCE_DATE_EPOCH, else
// the time of the newest file put in, and always later than the base's.
func (s *stage) newDate(b *Base) time.Time {
	var t time.Time
	if s.options.Epoch != nil {
		t = *s.options.Epoch
	} else {
		_ = s.tree.Walk(func(n *tree.Node) error {
			if n.Replaced() && n.ModTime.After(t) {
				t = n.ModTime
			}
			return nil
		})
	}
	if old := b.img.Primary().Modified().Time(); !t.After(old) {
		t = old.Add(10 * time.Millisecond) // the last digits
	}
	return t.UTC()
}

// treeFiles changes the boot files of the tree, and the names of those that are
// called after the UUID.
func (r *renewal) treeFiles() error {
	var hits []*tree.Node
	if err := r.s.tree.Walk(func(n *tree.Node) error {
		if n.IsRegular() && n.Size() <= maxBootFile && bootFile(n.Path()) {
			hits = append(hits, n)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, n := range hits {
		content, err := r.s.content(r.b, n)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Path(), err)
		}
		if r.replaces(content) {
			src := fat.Bytes(bytes.ReplaceAll(content, r.old, r.now))
			if err := r.s.tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: src}); err != nil {
				return err
			}
			r.named = append(r.named, n.Path())
		}
		if strings.Contains(n.Name, string(r.old)) {
			to := path.Join(path.Dir(n.Path()), strings.ReplaceAll(n.Name, string(r.old), string(r.now)))
			if err := r.s.tree.Do(tree.Rename{Old: n.Path(), New: to}); err != nil {
				return err
			}
			r.named = append(r.named, to)
		}
	}
	return nil
}

// replaces reports whether a file names the UUID and may be changed: programs that
// are signed would not start any more.
func (r *renewal) replaces(content []byte) bool {
	if !bytes.Contains(content, r.old) {
		return false
	}
	if !bytes.HasPrefix(content, []byte("MZ")) {
		return true
	}
	p, err := pe.Open(bytes.NewReader(content), int64(len(content)))
	return err == nil && len(p.Signatures) == 0
}

// bootFile reports a path where boot loaders have their configuration.
func bootFile(p string) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".cfg", ".conf", ".lst", ".prm", ".uuid":
		return true
	}
	for dir := range strings.SplitSeq(strings.ToLower(path.Dir(p)), "/") {
		if slices.Contains([]string{"boot", "efi", "isolinux", "syslinux", "loader", ".disk"}, dir) {
			return true
		}
	}
	return false
}

// content reads a file of the edited tree.
func (s *stage) content(b *Base, n *tree.Node) ([]byte, error) {
	var r io.ReaderAt = n.Source
	size := n.Size()
	if n.Source == nil {
		var err error
		if r, size, err = b.Open(n); err != nil {
			return nil, err
		}
	}
	if size > maxBootFile {
		return nil, nil // zisofs tells another size
	}
	return io.ReadAll(io.NewSectionReader(r, 0, size))
}

// fatImage changes the files of a FAT image that firmware boots from.
func (r *renewal) fatImage(o *boot.Object) error {
	src, off, err := r.s.objectSource(r.b, o)
	if err != nil || src == nil {
		return err
	}
	size := min(o.Len, src.Size()-off)
	if off == 0 {
		size = src.Size()
	}
	img, err := fat.Open(io.NewSectionReader(src, off, size), size)
	if err != nil {
		return nil // not every boot image is one
	}
	edit, err := img.Edit(fat.Options{Time: r.time, Base: src, BaseOff: off})
	if err != nil {
		return nil // damaged; nothing is changed in it
	}
	found := false
	err = fs.WalkDir(img, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() > maxBootFile {
			return err
		}
		content, err := fs.ReadFile(img, p)
		if err != nil || !r.replaces(content) {
			return err
		}
		found = true
		r.named = append(r.named, o.Name+":/"+p)
		return edit.Replace(p, fat.Bytes(bytes.ReplaceAll(content, r.old, r.now)))
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	if !found {
		return nil
	}
	m, err := edit.Map()
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	return r.s.putObject(o, extent.Compose(o.Name, m))
}

// objectSource returns where the bytes of boot equipment are to be read, edits of
// earlier steps included; nil for what is not to be edited.
func (s *stage) objectSource(b *Base, o *boot.Object) (extent.Source, int64, error) {
	if !o.Movable() {
		return nil, 0, nil
	}
	if src := s.objects[o.Name]; src != nil {
		return src, 0, nil
	}
	if o.Path != "" {
		n, err := s.tree.Lookup(o.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, 0, nil
		case err != nil:
			return nil, 0, err
		case n.Source != nil:
			return n.Source, 0, nil
		}
	}
	return b.src, o.Off, nil
}

// putObject gives boot equipment new content, in the tree where it is a file.
func (s *stage) putObject(o *boot.Object, src extent.Source) error {
	if o.Path == "" {
		s.objects[o.Name] = src
		return nil
	}
	n, err := s.tree.Lookup(o.Path)
	if err != nil {
		return err
	}
	return s.tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: src})
}

// note tells what the new UUID is and what named the old one.
func (r *renewal) note() string {
	named := "no boot file named the old one"
	if len(r.named) > 0 {
		slices.Sort(r.named)
		named = "changed in " + strings.Join(slices.Compact(r.named), ", ")
	}
	return fmt.Sprintf("UUID %s, was %s; %s", r.now, cmp.Or(string(r.old), "none"), named)
}
