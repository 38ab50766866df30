package baseimage

import (
	"fmt"
	"io"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// SystemArea is the name of the first 32 KiB of an image, beside those that
// boot.Equipment.Find knows.
const SystemArea = "@system-area"

// bootCode is how much of the first sector is code: the disk signature and the
// partition table follow.
const BootCode = 440

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
