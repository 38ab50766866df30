package baseimage

import (
	"errors"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// List calls f for all that is in an image, as tree.Each does, with the checks of Open but
// without keeping what is in it. The error is iso9660.ErrRelocated, before f was called, for
// an image that cannot be read so.
func List(path string, o OpenOptions, f func(*tree.Node) error) (err error) {
	b := &Base{path: path, Files: extent.NewFiles()}
	defer func() { err = errors.Join(err, b.Files.Close()) }()
	s, err := stream(b, o)
	switch {
	case errors.Is(err, iso9660.ErrRelocated):
		return err
	case err != nil:
		return &ImageError{"open", path, Bare(err)}
	}
	return tree.Each(s, f)
}

// stream opens an image and checks what Open checks.
func stream(b *Base, o OpenOptions) (*iso9660.Stream, error) {
	if err := inplace.Recover(inplace.Target{Image: b.path}); err != nil {
		return nil, err
	}
	var err error
	if b.src, err = b.Files.Add(b.path); err != nil {
		return nil, err
	}
	if b.img, err = iso9660.Open(b.src, b.src.Size(), iso9660.Options{Session: o.Session, Budget: fault.NewBudget(b.src.Size(), o.Limits)}); err != nil {
		return nil, err
	}
	var places places
	s, err := iso9660.NewStream(b.img, func(h iso9660.Hierarchy, dir *iso9660.Entry) {
		b.end = max(b.end, reach(dir))
		for _, e := range dir.Entries() {
			b.end = max(b.end, reach(e))
			if h == iso9660.Primary {
				places.add(e)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	v := b.Volume()
	v.FileSize = func(at iso9660.LBA) (int64, string, bool) { return places.find(s, at) }
	_, err = boot.Parse(b.src, b.src.Size(), v)
	return s, err
}

// places are files by their first block.
type places []place

type place struct {
	at  iso9660.LBA
	dir *iso9660.Entry
}

func (p *places) add(e *iso9660.Entry) {
	if !e.IsDir() && e.Size() > 0 {
		*p = append(*p, place{e.Start(), e.Parent})
	}
}

// find returns size and path of the file that begins at a block.
func (p places) find(s *iso9660.Stream, at iso9660.LBA) (size int64, path string, ok bool) {
	for _, x := range p {
		if x.at != at {
			continue
		}
		if s.Load(x.dir) != nil {
			return 0, "", false
		}
		defer s.Release(x.dir)
		for _, e := range x.dir.Entries() {
			if !e.IsDir() && e.Size() > 0 && e.Start() == at {
				return e.Size(), e.Path(), true
			}
		}
	}
	return 0, "", false
}
