package baseimage

import (
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/internal/fat"
)

// ErrNotFAT reports a path inside boot equipment that has no files.
var ErrNotFAT = errors.New("is not a FAT image: there are no files in it")

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
