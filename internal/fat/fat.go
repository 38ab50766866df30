// Package fat reads and edits FAT12, FAT16 and FAT32 images: the EFI system
// partitions and floppy images that ISO images boot from.
//
// It mounts nothing and writes nothing: an edit is a plan of byte ranges over
// the old image, or of a larger one, that other packages lay over a map.
package fat

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fault"
)

// The limits on what Open reads; an image beyond them is refused with ErrLimit.
// They are above what the format's own users write and keep memory and time
// bounded on hostile images.
const (
	maxTable    = 64 << 20 // of one file allocation table in bytes: 16 million clusters
	maxDirSlots = 1 << 16  // of one directory, the format's own limit
	maxSlots    = 1 << 18  // of all directories
	maxDepth    = 128      // of directories: a path of 260 characters has no more
	maxWarnings = 100
)

// Image is an open image: its parameters, its file allocation table and all its
// directories. Content is read on demand. It never changes and is safe for
// concurrent use.
type Image struct {
	r    io.ReaderAt
	src  extent.Source
	size int64
	boot bootSector
	geometry
	table    table
	root     *entry
	label    string // of the root directory
	slots    int    // read so far
	budget   *fault.Budget
	warnings []string
}

// Open reads the metadata of the image that r holds in size bytes. Damage of the
// parameters, the table or the root directory is a FormatError; that of another
// directory is a warning, and an error of whatever needs it.
func Open(r io.ReaderAt, size int64) (*Image, error) { return OpenWithin(r, size, nil) }

// OpenWithin does what Open does and charges the directories it reads to the
// budget of the image that the volume lies in.
func OpenWithin(r io.ReaderAt, size int64, b *fault.Budget) (*Image, error) {
	if b == nil {
		b = fault.NewBudget(size, fault.Limits{})
	}
	img := &Image{r: r, size: size, budget: b}
	if s, ok := r.(extent.Source); ok && s.Size() == size {
		img.src = s
	} else {
		img.src = &section{r, size}
	}
	if err := img.readBoot(); err != nil {
		return nil, err
	}
	raw, err := img.read(img.tableOff(img.active), img.tableBytes())
	if err != nil {
		return nil, fmt.Errorf("read file allocation table: %w", err)
	}
	img.table = table{raw, img.typ}
	if err := img.readTree(); err != nil {
		return nil, err
	}
	return img, nil
}

// readBoot reads the boot sector and, on FAT32, looks at the FSInfo sector.
func (img *Image) readBoot() error {
	b, err := img.read(0, minSector)
	if err != nil {
		return fmt.Errorf("read boot sector: %w", err)
	}
	img.boot = b
	if img.geometry, err = img.boot.geometry(img.size); err != nil {
		return err
	}
	said := img.fsInfo != 0
	if img.typ == FAT32 && !said && img.reserved > 1 {
		img.fsInfo = 1 // as Linux reads it
	}
	if img.fsInfo == 0 {
		return nil
	}
	info, err := img.read(img.fsInfo*img.sector, minSector)
	if err != nil {
		return fmt.Errorf("read FSInfo sector: %w", err)
	}
	if !fsInfoSector(info).valid() {
		if said {
			img.warn(formatError(img.fsInfo*img.sector, "FSInfo sector", "signature", ErrFormat, "not used"))
		}
		img.fsInfo = 0
	}
	return nil
}

// Type returns how wide the entries of the table are.
func (img *Image) Type() Type { return img.typ }

// Size returns the length of the image in bytes, padding behind the volume included.
func (img *Image) Size() int64 { return img.size }

// SectorSize returns the bytes of a sector.
func (img *Image) SectorSize() int64 { return img.sector }

// ClusterSize returns the bytes of a cluster, the unit of allocation.
func (img *Image) ClusterSize() int64 { return img.clusterSize() }

// Clusters returns how many clusters the volume has.
func (img *Image) Clusters() int64 { return int64(img.clusters) }

// Free returns how many bytes no file or directory has, counted in the table.
func (img *Image) Free() int64 { return int64(img.table.countFree(img.clusters)) * img.clusterSize() }

// Label returns the volume label: the root directory's, else the boot sector's.
func (img *Image) Label() string {
	if img.label != "" {
		return img.label
	}
	return img.boot.label(img.typ)
}

// VolumeID returns the serial number of the volume, 0 without one.
func (img *Image) VolumeID() VolumeID { return img.boot.volumeID(img.typ) }

// OEMName returns the name of what formatted the volume.
func (img *Image) OEMName() string { return strings.TrimRight(decodeOEM(img.boot[3:11]), " \x00") }

// Warnings returns the oddities tolerated, one line each.
func (img *Image) Warnings() []string { return img.warnings }

func (img *Image) warn(err error) {
	if len(img.warnings) < maxWarnings {
		img.warnings = append(img.warnings, err.Error())
	}
}

// read reads n bytes of metadata at off.
func (img *Image) read(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > img.size || n > img.size-off {
		return nil, formatError(off, "image", "", ErrTruncated, "%d bytes needed, it has %d", n, img.size)
	}
	b := make([]byte, n)
	if got, err := img.r.ReadAt(b, off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = formatError(off, "image", "", ErrTruncated, "%d of %d bytes", got, n)
		}
		return nil, err
	}
	return b, nil
}

// section makes a source of the reader of an image.
type section struct {
	io.ReaderAt
	size int64
}

func (s *section) Name() string { return "FAT image" }
func (s *section) Size() int64  { return s.size }
