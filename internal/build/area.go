package build

import (
	"fmt"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
)

// withSystemArea returns the base as it is with a new system area: all of it, or
// the boot code of its first sector.
func withSystemArea(b *baseimage.Base, src extent.Source) (layout.Base, []byte, error) {
	l := b.Layout()
	n := src.Size()
	if n != 16*iso9660.BlockSize && (n == 0 || n > baseimage.BootCode) {
		return l, nil, fmt.Errorf("%s: %d bytes; it takes %d for all of it, or up to %d of boot code: %w", baseimage.SystemArea, n, 16*iso9660.BlockSize, baseimage.BootCode, iso9660.ErrUnsupported)
	}
	area := make([]byte, n)
	if got, err := src.ReadAt(area, 0); got < len(area) {
		return l, nil, err
	}
	over, err := extent.Whole(b.Source()).Overlay([]extent.Extent{extent.BytesOf(0, area)})
	if err != nil {
		return l, nil, fmt.Errorf("internal error: %w", err)
	}
	l.Boot, err = boot.Parse(over, over.Size(), b.Volume())
	return l, area, err
}
