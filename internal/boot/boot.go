// Package boot reads what makes an ISO 9660 image bootable: the El Torito
// catalog, the boot images it names, and the partition tables of the system
// area. It knows every address in them and what each points at, and plans which
// bytes change when the image grows or shrinks, or when what they point at gets
// another place or other content. It never writes.
package boot

import (
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	// sectorSize is the unit of partition tables and of El Torito counts. Addresses
	// in it are called sectors; addresses of iso9660.BlockSize are called blocks.
	sectorSize = 512
	// perBlock is how many sectors make a logical block.
	perBlock = iso9660.BlockSize / sectorSize
	// systemAreaSize is what ECMA-119 6.2.1 reserves in front of the descriptors.
	systemAreaSize = 16 * iso9660.BlockSize
	// systemAreaSectors is the same in sectors.
	systemAreaSectors = systemAreaSize / sectorSize
	// maxBlocks is what a 32-bit volume space size can tell.
	maxBlocks = 1<<32 - 1
)

// Volume is what the file system knows about its boot equipment.
type Volume struct {
	// Catalog is the block which the boot record points to, 0 for no boot record.
	Catalog iso9660.LBA
	// Blocks is the volume space size of the descriptor at block 16.
	Blocks int64
	// End is the first block behind all files and directories, 0 if that is not known.
	End int64
	// FileSize returns size in bytes and path of the file which starts at a block.
	// It may be nil.
	FileSize func(iso9660.LBA) (size int64, name string, ok bool)
}

// Equipment is all that the image has for booting. It is a value of the base
// image and does not change.
type Equipment struct {
	Layout   string    `json:"layout"` // short name of the class, see Describe
	Catalog  *Catalog  `json:"catalog,omitempty"`
	System   System    `json:"system_area"`
	Findings []Finding `json:"findings,omitempty"`

	objects []*Object
	in      source
	volume  Volume
	area    []byte // the system area as found, always systemAreaSize bytes
	budget  int64  // bytes of boot images which may still be summed up
}

// Finding is damage or oddity that was tolerated.
type Finding struct {
	Off   int64        `json:"offset"` // byte offset in the image
	Where string       `json:"where"`  // structure and field
	Kind  iso9660.Kind `json:"kind"`
	Text  string       `json:"text"`
}

func (f Finding) String() string {
	return fmt.Sprintf("offset %d: %s: %s: %s", f.Off, f.Where, f.Kind, f.Text)
}

// Range is a run of bytes in the image.
type Range struct {
	Off  int64  `json:"offset"`
	Len  int64  `json:"length"`
	Name string `json:"name"`
}

// End returns the offset behind the last byte.
func (r Range) End() int64 { return r.Off + r.Len }

// Parse reads the system area, the boot catalog and what they lead to, from an
// image of size bytes. Damage in them becomes a Finding; the error is one of
// reading, or of a size out of range.
func Parse(r io.ReaderAt, size int64, v Volume) (*Equipment, error) {
	if size < 0 || v.Blocks < 0 || v.Blocks > maxBlocks {
		return nil, fmt.Errorf("read boot equipment: size %d, volume of %d blocks: %w", size, v.Blocks, iso9660.ErrRange)
	}
	e := &Equipment{in: source{r, size}, volume: v, budget: maxSummed}
	for _, step := range []func() error{e.readSystemArea, e.readCatalog, e.readImages, e.readSecondSuperblocks} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("read boot equipment: %w", err)
		}
	}
	e.collectObjects()
	e.checkLoaderAddress()
	e.checkEnds()
	e.Layout = e.layout()
	return e, nil
}

func (e *Equipment) find(off int64, where string, kind iso9660.Kind, format string, args ...any) {
	e.Findings = append(e.Findings, Finding{off, where, kind, fmt.Sprintf(format, args...)})
}

// file looks up the file of the tree which starts at the block.
func (e *Equipment) file(at iso9660.LBA) (size int64, name string, ok bool) {
	if e.volume.FileSize == nil {
		return 0, "", false
	}
	return e.volume.FileSize(at)
}

// sectors is the length of the image in sectors; a part of one counts as whole.
func (e *Equipment) sectors() int64 { return (e.in.size + sectorSize - 1) / sectorSize }

// volumeSectors is the end of the volume in sectors.
func (e *Equipment) volumeSectors() int64 { return e.volume.Blocks * perBlock }

// source is an image of known size.
type source struct {
	r    io.ReaderAt
	size int64
}

// read returns n bytes at off, fewer where the image ends. An error is one of
// reading, never of the image being short.
func (s source) read(off, n int64) ([]byte, error) {
	if off < 0 || off >= s.size || n <= 0 {
		return nil, nil
	}
	b := make([]byte, min(n, s.size-off))
	got, err := s.r.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
	}
	return b[:got], nil
}
