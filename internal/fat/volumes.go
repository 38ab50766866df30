package fat

import (
	"io"
	"sync"

	"github.com/isolayer/isolayer/extent"
)

// Volumes opens FAT volumes that lie in sources, each once: whoever edits an image looks
// at those of its firmware again and again. The zero value is empty; it is safe for
// concurrent use.
type Volumes struct {
	mu   sync.Mutex
	open map[place]*Image
}

// place is where a volume lies. A source does not change.
type place struct {
	src       extent.Source
	off, size int64
}

// Open returns the volume at off of a source, nil if there is none: not every boot image
// is one.
func (v *Volumes) Open(src extent.Source, off, size int64) *Image {
	size = min(size, src.Size()-off)
	if size <= 0 {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	at := place{src, off, size}
	img, ok := v.open[at]
	if ok {
		return img
	}
	img, err := Open(io.NewSectionReader(src, off, size), size)
	if err != nil {
		img = nil
	}
	if v.open == nil {
		v.open = map[place]*Image{}
	}
	v.open[at] = img
	return img
}

// inside names a file of a volume; see Image.Identity.
type inside struct {
	img  *Image
	name string
}

// Identity returns a value that only this file has.
func (img *Image) Identity(name string) any { return inside{img, clean(name)} }
