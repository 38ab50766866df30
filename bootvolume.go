package isolayer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/tree"
)

// maxFATFile is the size up to which files of the tree are looked at for FAT images
// that no boot equipment names, such as those for booting from a network.
const maxFATFile = 64 << 20

// maxFATFiles is how many such files are edited.
const maxFATFiles = 16

// fatVolume is a FAT image that firmware boots from, as earlier steps left it.
type fatVolume struct {
	name   string       // as users spell it: @efi, or the path of a file
	object *boot.Object // nil for a file that no boot equipment names
	node   *tree.Node   // … which is this
	img    *fat.Image
	src    extent.Source // where its bytes are
	off    int64         // … and from where on
}

// openFAT opens a FAT image at off of src; nil if it is none.
func (s *stage) openFAT(src extent.Source, off, size int64) *fat.Image {
	if src == s.base.src {
		return s.base.volumes.Open(src, off, size)
	}
	return s.volumesMade.Open(src, off, size)
}

// fatVolumes lists the FAT images that boot equipment names, and those files of the
// tree that look like one for it.
func (s *stage) fatVolumes() (out []*fatVolume, err error) {
	for _, o := range s.boot.Objects() {
		v, err := s.fatObject(o)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, v)
		}
	}
	err = s.tree.Walk(func(n *tree.Node) error {
		if len(out) >= maxFATFiles || !n.IsRegular() || n.Size() > maxFATFile || !namedFAT(n.Name) ||
			slices.ContainsFunc(out, func(v *fatVolume) bool { return v.object != nil && v.object.Path == n.Path() }) {
			return nil
		}
		v := &fatVolume{name: n.Path(), node: n, src: n.Source}
		if v.src == nil {
			if len(n.Content) != 1 {
				return nil
			}
			v.src, v.off = s.base.src, n.Content[0].LBA.Offset()
		}
		if v.img = s.openFAT(v.src, v.off, n.Size()); v.img != nil {
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
func (s *stage) fatObject(o *boot.Object) (*fatVolume, error) {
	src, off, err := s.objectSource(o)
	if err != nil || src == nil {
		return nil, err
	}
	v := &fatVolume{name: o.Name, object: o, src: src, off: off}
	size := o.Len
	if src != s.base.src {
		size = src.Size()
	}
	if v.img = s.openFAT(src, off, size); v.img == nil {
		return nil, nil
	}
	return v, nil
}

// editFAT changes the image: in its place if there is room, else as a larger one.
func (s *stage) editFAT(v *fatVolume, do func(*fat.Editor) error) error {
	e, err := v.img.Edit(fat.Options{Time: s.fatTime(), KeepFreed: s.options.KeepFreed, Base: v.src, BaseOff: v.off})
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	if err := do(e); err != nil {
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
	return s.tree.Do(tree.Put{Path: v.node.Path(), Attr: v.node.Attr, Source: src})
}

// replaceFAT gives files of an image new content; without any the image stays.
func (s *stage) replaceFAT(v *fatVolume, now map[string][]byte) error {
	if len(now) == 0 {
		return nil
	}
	return s.editFAT(v, func(e *fat.Editor) error {
		for _, p := range slices.Sorted(maps.Keys(now)) {
			if err := e.Replace(p, fat.Bytes(now[p])); err != nil {
				return err
			}
		}
		return nil
	})
}

// bareFAT strips the operation from a path error but leaves the path.
func bareFAT(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("/%s: %w", p.Path, p.Err)
	}
	return err
}

// fatTime is the time of files that are put into FAT images. There is no clock in it.
func (s *stage) fatTime() time.Time {
	if s.options.Epoch != nil {
		return s.options.Epoch.UTC()
	}
	return s.tree.Epoch.UTC()
}

// objectSource returns where the bytes of boot equipment are to be read, edits of
// earlier steps included; nil for what is not to be edited.
func (s *stage) objectSource(o *boot.Object) (extent.Source, int64, error) {
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
	return s.base.src, o.Off, nil
}

// putObject gives boot equipment new content, in the tree where it is a file.
func (s *stage) putObject(o *boot.Object, src extent.Source) error {
	if o.Path == "" {
		s.objects[o.Name] = src
		s.replacements++
		return nil
	}
	n, err := s.tree.Lookup(o.Path)
	if err != nil {
		return err
	}
	return s.tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: src})
}

// reader reads the edited tree as boot loaders do.
func (s *stage) reader() tree.Files { return tree.Files{Tree: s.tree, Base: s.base.Open} }

// InObject splits a path inside boot equipment, such as @efi:/EFI/BOOT/grub.cfg; inside
// has no slash in front, and is "." for the root.
func InObject(p string) (object, inside string, ok bool) {
	object, inside, ok = inObject(p)
	if inside == "" {
		inside = "."
	}
	return object, inside, ok
}

func inObject(p string) (object, inside string, ok bool) {
	object, inside, ok = strings.Cut(p, ":/")
	return object, strings.TrimPrefix(path.Clean("/"+inside), "/"), ok && strings.HasPrefix(p, "@")
}

// ErrNotFAT reports a path inside boot equipment that has no files.
var ErrNotFAT = errors.New("is no FAT image, there are no files in it")

// fatNamed opens the FAT image that a path leads into.
func (s *stage) fatNamed(name string) (*fatVolume, error) {
	o, ok := s.boot.Find(name)
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, ErrNoObject)
	}
	v, err := s.fatObject(o)
	if err == nil && v == nil {
		err = fmt.Errorf("%s %w", name, ErrNotFAT)
	}
	return v, err
}

// FAT opens the file system inside boot equipment of the base: the EFI system
// partition, as a rule. The name is one that Object takes.
func (b *Base) FAT(name string) (*fat.Image, error) {
	o, ok := b.boot.Find(name)
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, ErrNoObject)
	}
	img, err := fat.OpenWithin(io.NewSectionReader(b.src, o.Off, o.Len), o.Len, b.img.Budget())
	if errors.Is(err, fat.ErrFormat) {
		err = fmt.Errorf("%w: %w", ErrNotFAT, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return img, nil
}

// mkdirs makes a directory in a FAT image and what is missing above it.
func mkdirs(e *fat.Editor, dir string) error {
	if dir == "." {
		return nil
	}
	if err := mkdirs(e, path.Dir(dir)); err != nil {
		return err
	}
	if err := e.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// putFAT adds or replaces a file in a FAT image.
func putFAT(e *fat.Editor, name string, src extent.Source) error {
	err := e.Replace(name, src)
	if errors.Is(err, fs.ErrNotExist) {
		if err := mkdirs(e, path.Dir(name)); err != nil {
			return err
		}
		return e.Add(name, src)
	}
	return err
}
