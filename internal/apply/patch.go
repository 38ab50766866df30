package apply

import (
	"fmt"
	"maps"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// Lowers are the contents that a layer may patch, as they are where it is applied: before
// an image is planned, which puts addresses into boot images.
type Lowers struct {
	boot    *boot.Equipment
	files   map[string]extent.Source // by path
	objects map[string]extent.Source
}

// minLower is from which size on a file can be worth patching, in bytes: a patch is of at
// least 64 KiB, of which at least half stays.
const minLower = 32 << 10

// BaseLowers are those of the base as it is.
func BaseLowers(b *baseimage.Base) (*Lowers, error) {
	t, err := b.Merged()
	if err != nil {
		return nil, err
	}
	return LowersOf((&stage.Stage{Base: b, Tree: t, Boot: b.Boot()}))
}

// LowersOf are those of the stage as it is now.
func LowersOf(s *stage.Stage) (*Lowers, error) {
	l := &Lowers{boot: s.Boot, files: map[string]extent.Source{}, objects: maps.Clone(s.Objects)}
	if l.objects == nil {
		l.objects = map[string]extent.Source{}
	}
	for _, o := range s.Boot.Objects() {
		if !o.Movable() || o.Path != "" || l.objects[o.Name] != nil {
			continue
		}
		src, err := lowerObject(s, o)
		if err != nil {
			return nil, err
		}
		l.objects[o.Name] = src
	}
	return l, s.Tree.Walk(func(n *tree.Node) error {
		if !n.IsRegular() || n.Size() < minLower || n.Source == nil && compressed(n) {
			return nil
		}
		if first, err := s.Tree.Lookup(n.Path()); err != nil || first != n {
			return nil // one of several of that name
		}
		if src, err := lowerAt(s, n); err == nil { // of damaged files nothing is patched
			l.files[n.Path()] = src
		}
		return nil
	})
}

// compressed reports a file of the base that is not stored as it is read.
func compressed(n *tree.Node) bool {
	for _, e := range n.Found {
		if e != nil && e.Attributes().Compressed != nil {
			return true
		}
	}
	return false
}

// File is the content of a path, nil if that is not to be patched.
func (l *Lowers) File(p string) (extent.Source, error) { return l.files[p], nil }

// Object is the content of boot equipment, nil if that is not to be patched.
func (l *Lowers) Object(name string) (extent.Source, error) {
	o, ok := l.boot.Find(name)
	if !ok {
		return nil, nil
	}
	return l.objects[o.Name], nil
}

// lower is the content of a file that a layer patches. All of it is read: that counts
// against the base's limit for content.
func lower(s *stage.Stage, n *tree.Node) (extent.Source, error) {
	src, err := lowerAt(s, n)
	if err != nil {
		return nil, err
	}
	return src, charge(s, src)
}

// charge counts content that is read to be patched.
func charge(s *stage.Stage, src extent.Source) error {
	if most := s.Base.Image().Budget().OutBytes; src.Size() > most-s.Patched {
		return fault.Exceed(fault.Bomb, "out-bytes", "layers patch more than %d bytes of content", most)
	}
	s.Patched += src.Size()
	return nil
}

// lowerAt is the content of a file as the steps so far left it.
func lowerAt(s *stage.Stage, n *tree.Node) (extent.Source, error) {
	if n.Source != nil {
		return n.Source, nil
	}
	r, size, err := s.Base.Open(n)
	if err != nil {
		return nil, err
	}
	var es []extent.Extent
	at := int64(0)
	for _, part := range baseimage.Stored(n) {
		if part.Size > 0 {
			es = append(es, extent.CopyOf(at, s.Base.Source(), part.LBA.Offset(), part.Size))
			at += part.Size
		}
	}
	if compressed(n) || at != size {
		return baseimage.PartOf(r, n.Path(), size, s.Base.Path()), nil
	}
	m, err := extent.New(es)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", iso9660.ErrFormat, err)
	}
	return extent.Compose(n.Path(), m), nil
}

// lowerObject is the content of boot equipment as the steps so far left it.
func lowerObject(s *stage.Stage, o *boot.Object) (extent.Source, error) {
	src, off, err := s.ObjectSource(o)
	if src == nil || err != nil {
		return nil, err
	}
	if src != s.Base.Source() {
		return src, nil
	}
	m, err := extent.New([]extent.Extent{extent.CopyOf(0, src, off, o.Len)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", o.Name, iso9660.ErrFormat, err)
	}
	return extent.Compose(o.Name, m), nil
}

// patchObject applies a patch to boot equipment.
func patchObject(s *stage.Stage, name string, p *layer.Patch) (extent.Source, error) {
	o, ok := s.Boot.Find(name)
	if !ok {
		return nil, fmt.Errorf("%w: it patches boot equipment that is not there", layer.ErrBase)
	}
	src, err := lowerObject(s, o)
	if err != nil {
		return nil, err
	}
	if src == nil {
		return nil, fmt.Errorf("%w: it patches boot equipment that is not to be replaced", layer.ErrBase)
	}
	if err := charge(s, src); err != nil {
		return nil, err
	}
	return p.Bind(src)
}
