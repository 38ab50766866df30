package baseimage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/tree"
)

// spool is a layer that was unpacked to a temporary file, once for all images that are
// made of it at a time.
type spool struct {
	uses int // by images; guarded by the base

	once sync.Once
	src  extent.Source
	file io.Closer
	err  error
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Expand returns the archive that a layer is, not compressed, and what lets go of it.
// Sources of one identity are unpacked once.
func (b *Base) Expand(f extent.Source) (extent.Source, io.Closer, error) {
	var id any = f
	if x, ok := f.(extent.Identified); ok {
		id = x.Identity()
	}
	b.mu.Lock()
	s := b.spools[id]
	if s == nil {
		s = &spool{}
		if b.spools == nil {
			b.spools = map[any]*spool{}
		}
		b.spools[id] = s
	}
	s.uses++
	b.mu.Unlock()
	s.once.Do(func() { s.src, s.file, s.err = layer.Expand(f, "") })
	use := &use{b, id, s}
	if s.err != nil {
		return nil, nil, errors.Join(s.err, use.Close())
	}
	return s.src, use, nil
}

// use is one image's use of a spool.
type use struct {
	base *Base
	id   any
	s    *spool
}

// Close removes the temporary file with its last use.
func (u *use) Close() error {
	u.base.mu.Lock()
	defer u.base.mu.Unlock()
	if u.s.uses--; u.s.uses > 0 || u.base.spools[u.id] != u.s {
		return nil
	}
	delete(u.base.spools, u.id)
	return u.s.close()
}

// SameOnce is same that gives names of one content one answer, so that they go on to share
// it.
func (b *Base) SameOnce() layer.Same {
	type pair struct {
		at  iso9660.LBA
		new extent.Source
		is  bool // what it is compared with is still in the tree
	}
	known := map[pair]extent.Source{}
	return func(n *tree.Node, src extent.Source) (extent.Source, error) {
		s := Stored(n)
		if len(s) == 0 {
			return same(b, n, src)
		}
		key := pair{s[0].LBA, src, n.Source == nil}
		if out, ok := known[key]; ok {
			return out, nil
		}
		out, err := same(b, n, src)
		if err == nil {
			known[key] = out
		}
		return out, err
	}
}

// same compares a file of the base with a source of its size: nil if it has that content.
// Where only blocks differ, what is returned takes the others from the base, so that a
// large file of which little changed stays at its place.
func same(b *Base, n *tree.Node, src extent.Source) (extent.Source, error) {
	r, size, err := b.Open(n)
	if err != nil || size != src.Size() {
		return src, err
	}
	var old extent.Extent
	if s := Stored(n); len(s) == 1 && s[0].Size == size && size >= minMixed && !b.Addressed(s[0].LBA) { // stored as it is read
		old = extent.CopyOf(0, b.src, s[0].LBA.Offset(), size)
	}
	if n.Source != nil && old.Len == 0 { // replaced before: nothing of the base is to be kept
		return src, nil
	}
	const step = 1 << 20
	x, y := make([]byte, min(step, size)), make([]byte, min(step, size))
	var mixed []extent.Extent
	differs := false
	for off := int64(0); off < size; off += step {
		k := min(step, size-off)
		for i, from := range []io.ReaderAt{r, src} {
			if got, err := from.ReadAt([][]byte{x, y}[i][:k], off); int64(got) < k {
				return nil, fmt.Errorf("compare %s: %w", src.Name(), errors.Join(err, io.ErrUnexpectedEOF))
			}
		}
		for at := int64(0); at < k; at += iso9660.BlockSize {
			to := min(at+iso9660.BlockSize, k)
			part := extent.CopyOf(off+at, src, off+at, to-at)
			if bytes.Equal(x[at:to], y[at:to]) {
				part = old.Slice(off+at, off+to)
			} else if differs = true; old.Len == 0 {
				return src, nil
			}
			if last := len(mixed) - 1; last >= 0 && mixed[last].Src == part.Src {
				mixed[last].Len += part.Len
			} else if mixed = append(mixed, part); len(mixed) > maxPieces {
				return src, nil
			}
		}
	}
	if !differs && n.Source == nil {
		return nil, nil
	}
	m, err := extent.New(mixed)
	if err != nil {
		return nil, fmt.Errorf("internal error: %w", err)
	}
	return extent.Compose(src.Name(), m), nil
}

// Stored is where the base has a file's content, also of one that was replaced.
func Stored(n *tree.Node) []iso9660.Section {
	for _, e := range n.Found {
		if e != nil {
			return e.AppendSections(nil)
		}
	}
	return nil
}

// minMixed is from which size on that is worth it.
const minMixed = 1 << 20

// Addressed reports a boot image that has addresses of its own in it, which follow only
// where all of it is new.
func (b *Base) Addressed(at iso9660.LBA) bool {
	if b.boot.Catalog == nil {
		return false
	}
	return slices.ContainsFunc(b.boot.Catalog.Entries, func(e boot.Entry) bool {
		return e.LBA == at && (e.Image.BootInfo != nil || e.Image.GRUB2)
	})
}

// maxPieces bounds into how many a file is cut to stay at its place.
const maxPieces = 10_000

// PartOf is a reader of an image as a source.
func PartOf(r io.ReaderAt, name string, size int64, image string) extent.Source {
	return &part{r, name, size, image}
}

// part is a reader as a source.
type part struct {
	io.ReaderAt
	name  string
	size  int64
	image string
}

// ReadAt implements io.ReaderAt. An error that is the image's fault names it.
func (p *part) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, off)
	if kind := fault.Kind(""); errors.As(err, &kind) {
		err = &ImageError{"", p.image, err}
	}
	return n, err
}

// Name implements extent.Source.
func (p *part) Name() string { return p.name }

// Size implements extent.Source.
func (p *part) Size() int64 { return p.size }
