package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/tree"
)

// maxFATFile is the size up to which files of the tree are looked at for FAT images
// that no boot equipment names, such as those for booting from a network.
const maxFATFile = 64 << 20

// maxFATFiles is how many such files are edited.
const maxFATFiles = 16

// FatVolume is a FAT image that firmware boots from, as earlier steps left it.
type FatVolume struct {
	*fat.Image
	s      *Stage
	name   string        // as users spell it: @efi, or the path of a file
	object *boot.Object  // nil for a file that no boot equipment names
	node   *tree.Node    // … which is this
	src    extent.Source // where its bytes are
	off    int64         // … and from where on
}

// Prefix implements Volume.
func (v *FatVolume) Prefix() string { return v.name + ":/" }

// Original implements Volume.
func (v *FatVolume) Original() bool { return v.src == v.s.Base.Source() }

// Content implements Volume.
func (v *FatVolume) Content(name string) (extent.Source, int64, int64, error) {
	m, err := v.Image.Content(name)
	if err != nil {
		return nil, 0, 0, err
	}
	return extent.Compose(v.Prefix()+name, m), 0, m.Size(), nil
}

// Intact reports whether the image can be edited.
func (v *FatVolume) Intact() bool {
	_, err := v.Image.Edit(fat.Options{})
	return err == nil
}

// openFAT opens a FAT image at off of src; nil if it is none.
func openFAT(s *Stage, src extent.Source, off, size int64) *fat.Image {
	if src == s.Base.Source() {
		return s.Base.Volumes.Open(src, off, size)
	}
	return s.volumesMade.Open(src, off, size)
}

// FatVolumes lists the FAT images that boot equipment names, and those files of the
// tree that look like one for it.
func (s *Stage) FatVolumes() (out []*FatVolume, err error) {
	for _, o := range s.Boot.Objects() {
		v, err := fatObject(s, o)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, v)
		}
	}
	err = s.Tree.Walk(func(n *tree.Node) error {
		if len(out) >= maxFATFiles || !n.IsRegular() || n.Size() > maxFATFile || !namedFAT(n.Name) ||
			slices.ContainsFunc(out, func(v *FatVolume) bool { return v.object != nil && v.object.Path == n.Path() }) {
			return nil
		}
		v := &FatVolume{s: s, name: n.Path(), node: n, src: n.Source}
		if v.src == nil {
			if len(n.Content()) != 1 {
				return nil
			}
			v.src, v.off = s.Base.Source(), n.Content()[0].LBA.Offset()
		}
		if v.Image = openFAT(s, v.src, v.off, n.Size()); v.Image != nil {
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

// namedFAT reports a name that FAT images for firmware have.
func namedFAT(name string) bool {
	if ext := path.Ext(name); ext != "" && !strings.EqualFold(ext, ".img") { // most files
		return false
	}
	name = strings.ToLower(name)
	return strings.Contains(name, "efi") || strings.Contains(name, "esp")
}

// fatObject opens boot equipment as a FAT image; nil if it is none or gone.
func fatObject(s *Stage, o *boot.Object) (*FatVolume, error) {
	src, off, err := s.ObjectSource(o)
	if err != nil || src == nil {
		return nil, err
	}
	v := &FatVolume{s: s, name: o.Name, object: o, src: src, off: off}
	size := o.Len
	if src != s.Base.Source() {
		size = src.Size()
	}
	if v.Image = openFAT(s, src, off, size); v.Image == nil {
		return nil, nil
	}
	return v, nil
}

// Edit implements Volume: the image changes in its place if there is room, else a larger one
// takes it.
func (v *FatVolume) Edit(change func(Editor) error) error {
	s := v.s
	e, err := v.Image.Edit(fat.Options{Time: s.FatTime(), KeepFreed: s.Options.KeepFreed, Base: v.src, BaseOff: v.off})
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	if err := change(fatEditor{e}); err != nil {
		return fmt.Errorf("%s: %w", v.name, bareFAT(err))
	}
	m, err := e.Map()
	if errors.Is(err, fat.ErrFull) {
		m, err = e.Grow(0)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	src := extent.Compose(v.name, m)
	if v.object != nil {
		return s.putObject(v.object, src)
	}
	return s.Tree.Do(tree.Put{Path: v.node.Path(), Attr: v.node.Attr, Source: src})
}

// bareFAT strips the operation from a path error but leaves the path.
func bareFAT(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("/%s: %w", p.Path, p.Err)
	}
	return err
}

// FatTime is the time of files that are put into FAT images. There is no clock in it.
func (s *Stage) FatTime() time.Time {
	if s.Options.Epoch != nil {
		return s.Options.Epoch.UTC()
	}
	return s.Tree.Epoch.UTC()
}

// ObjectSource returns where the bytes of boot equipment are to be read, edits of
// earlier steps included; nil for what is not to be edited.
func (s *Stage) ObjectSource(o *boot.Object) (extent.Source, int64, error) {
	if !o.Movable() {
		return nil, 0, nil
	}
	if src := s.Objects[o.Name]; src != nil {
		return src, 0, nil
	}
	if o.Path != "" {
		n, err := s.Tree.Lookup(o.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, 0, nil
		case err != nil:
			return nil, 0, err
		case n.Source != nil:
			return n.Source, 0, nil
		}
	}
	return s.Base.Source(), o.Off, nil
}

// putObject gives boot equipment new content, in the tree where it is a file.
func (s *Stage) putObject(o *boot.Object, src extent.Source) error {
	if o.Path == "" {
		s.Objects[o.Name] = src
		s.replacements++
		return nil
	}
	n, err := s.Tree.Lookup(o.Path)
	if err != nil {
		return err
	}
	return s.Tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: src})
}

// Reader reads the edited tree as boot loaders do.
func (s *Stage) Reader() tree.Files { return tree.Files{Tree: s.Tree, Base: s.Base.Open} }

// InObject splits a path inside boot equipment, such as @efi:/EFI/BOOT/grub.cfg; inside
// has no slash in front, and is "." for the root.
func InObject(p string) (object, inside string, ok bool) {
	object, inside, ok = SplitObject(p)
	if inside == "" {
		inside = "."
	}
	return object, inside, ok
}

// SplitObject is InObject with "" for the root.
func SplitObject(p string) (object, inside string, ok bool) {
	object, inside, ok = strings.Cut(p, ":/")
	return object, strings.TrimPrefix(path.Clean("/"+inside), "/"), ok && strings.HasPrefix(p, "@")
}

// FatNamed opens the FAT image that a path leads into.
func (s *Stage) FatNamed(name string) (*FatVolume, error) {
	o, ok := s.Boot.Find(name)
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, baseimage.ErrNoObject)
	}
	v, err := fatObject(s, o)
	if err == nil && v == nil {
		err = fmt.Errorf("%s %w", name, baseimage.ErrNotFAT)
	}
	return v, err
}

// fatEditor is an Editor of a FAT image.
type fatEditor struct{ e *fat.Editor }

// Put implements Editor.
func (f fatEditor) Put(name string, src extent.Source) error {
	err := f.e.Replace(name, src)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.Mkdir(path.Dir(name)); err != nil {
			return err
		}
		return f.e.Add(name, src)
	}
	return err
}

// Mkdir implements Editor.
func (f fatEditor) Mkdir(dir string) error {
	if dir == "." {
		return nil
	}
	if err := f.Mkdir(path.Dir(dir)); err != nil {
		return err
	}
	if err := f.e.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Remove implements Editor.
func (f fatEditor) Remove(name string) error { return f.e.RemoveAll(name) }
