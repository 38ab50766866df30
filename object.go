package isolayer

import (
	"fmt"
	"io"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
)

// SystemArea is the name of the first 32 KiB of an image, beside those that
// boot.Equipment.Find knows.
const SystemArea = "@system-area"

// bootCode is how much of the first sector is code: the disk signature and the
// partition table follow.
const bootCode = 440

// Object returns the bytes of boot equipment by its name.
func (b *Base) Object(name string) (*io.SectionReader, error) {
	if name == SystemArea {
		return io.NewSectionReader(b.src, 0, min(16*iso9660.BlockSize, b.src.Size())), nil
	}
	o, ok := b.boot.Find(name)
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, ErrNoObject)
	}
	return io.NewSectionReader(b.src, o.Off, o.Len), nil
}

// Objects lists the names of all boot equipment, the system area first.
func (b *Base) Objects() []string {
	names := []string{SystemArea}
	for _, o := range b.boot.Objects() {
		if !o.Shared() {
			names = append(names, o.Name)
		}
	}
	return names
}

// Program is an EFI program that firmware starts.
type Program = boot.Program

// Programs lists the programs that UEFI firmware starts from removable media.
func (b *Base) Programs() []Program { return b.boot.Programs(b.src, b.img.Budget()) }

// withSystemArea returns the base as it is with a new system area: all of it, or
// the boot code of its first sector.
func (b *Base) withSystemArea(src extent.Source) (layout.Base, []byte, error) {
	l := b.layout()
	n := src.Size()
	if n != 16*iso9660.BlockSize && (n == 0 || n > bootCode) {
		return l, nil, fmt.Errorf("%s: %d bytes; it takes %d for all of it, or up to %d of boot code: %w", SystemArea, n, 16*iso9660.BlockSize, bootCode, iso9660.ErrUnsupported)
	}
	area := make([]byte, n)
	if got, err := src.ReadAt(area, 0); got < len(area) {
		return l, nil, err
	}
	over, err := extent.Whole(b.src).Overlay([]extent.Extent{extent.BytesOf(0, area)})
	if err != nil {
		return l, nil, fmt.Errorf("internal error: %w", err)
	}
	l.Boot, err = boot.Parse(over, over.Size(), b.volume())
	return l, area, err
}
