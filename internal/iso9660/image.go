// Package iso9660 reads ISO 9660 images (ECMA-119) with Rock Ridge, Joliet and
// ISO 9660:1999 hierarchies, and encodes their directory records and path tables.
//
// It does not decide where anything lies in an image: package layout does.
package iso9660

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/isolayer/isolayer/internal/fault"
)

// Options choose how an image is read. The zero value is the usual way.
type Options struct {
	// Session selects a session of a multi-session image, 1 being the oldest;
	// 0 is the one described at block 16, which every reader of a file sees.
	Session int
	// Budget is charged for what is read; nil: one of its own, with the default limits.
	// Images inside of an image share its budget.
	Budget *fault.Budget
}

// Image is an open image: its volume descriptors and, on demand, its directory
// hierarchies. Only metadata is read until a file's content is asked for.
// It is safe for concurrent use.
type Image struct {
	r        io.ReaderAt
	size     int64
	budget   *fault.Budget
	sessions []Session
	start    LBA // of the session read: its descriptors begin 16 blocks behind

	Descriptors []*Descriptor // as found, terminator included
	primary     *Descriptor
	joliet      *Descriptor
	enhanced    *Descriptor
	udf         bool

	warn  warnings
	trees [3]struct {
		once sync.Once
		root *Entry
		rr   bool
		err  error

		ahead *walker // has read it, for its first user
	}
	mu      sync.Mutex
	missing []error
}

// Open reads the volume descriptors of the image that r holds in size bytes.
// An image without a primary volume descriptor gives an error that wraps
// ErrNotISO; other damage gives a FormatError.
func Open(r io.ReaderAt, size int64, o Options) (*Image, error) {
	img := &Image{r: r, size: size, budget: o.Budget}
	if img.budget == nil {
		img.budget = fault.NewBudget(size, fault.Limits{})
	}
	if err := img.readDescriptors(0); err != nil {
		return nil, err
	}
	if volume := int64(img.primary.SpaceSize()) * BlockSize; volume > size {
		img.warn.add(img.primary.Block.Offset(), "volume descriptor", "space size", errorf(ErrTruncated, "%d bytes of %d", size, volume))
	}
	img.sessions = img.findSessions()
	if n := o.Session; n != 0 {
		if n < 0 || n > len(img.sessions) {
			return nil, fmt.Errorf("session %d: the image has %d", n, len(img.sessions))
		}
		if s := img.sessions[n-1]; !s.Active {
			if err := img.readDescriptors(s.Start); err != nil {
				return nil, fmt.Errorf("session %d: %w", n, err)
			}
		}
	}
	return img, nil
}

// readDescriptors reads the volume descriptor set of the session that begins at
// block start (ECMA-119 6.7.1).
func (img *Image) readDescriptors(start LBA) error {
	img.start, img.Descriptors = start, nil
	img.primary, img.joliet, img.enhanced, img.udf = nil, nil, nil, false
	for block := start + 16; ; block++ {
		raw := make([]byte, BlockSize)
		if n, err := img.r.ReadAt(raw, block.Offset()); n < BlockSize {
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read volume descriptor at %d: %w", block.Offset(), err)
			}
			break
		}
		if string(raw[1:6]) != "CD001" {
			if img.primary != nil {
				img.warn.add(block.Offset(), "volume descriptor set", "", errorf(ErrFormat, "no terminator"))
			}
			break
		}
		if int64(len(img.Descriptors)) >= img.budget.Descriptors {
			return fault.At(block.Offset(), "volume descriptor set", "", errorf(ErrLimit, "more than %d descriptors", img.budget.Descriptors))
		}
		d := &Descriptor{Block: block, Raw: raw}
		img.Descriptors = append(img.Descriptors, d)
		if d.Type() == TypeTerminator {
			break
		}
		if err := img.classify(d); err != nil {
			return err
		}
	}
	if img.primary == nil {
		return fault.At((start + 16).Offset(), "volume descriptor", "", ErrNotISO)
	}
	img.udf = img.findUDF()
	return nil
}

// classify takes note of a descriptor that leads to a directory hierarchy.
func (img *Image) classify(d *Descriptor) error {
	off := d.Block.Offset()
	var slot **Descriptor
	switch {
	case d.Type() == TypePrimary:
		slot = &img.primary
	case d.Joliet() > 0:
		slot = &img.joliet
	case d.Enhanced():
		slot = &img.enhanced
	default:
		return nil
	}
	if bs, _ := both16(d.Raw[offBlockSize:]); bs != BlockSize {
		return fault.At(off, "volume descriptor", "logical block size", errorf(ErrUnsupported, "%d", bs))
	}
	if _, ok := both32(d.Raw[OffSpaceSize:]); !ok {
		img.warn.add(off, "volume descriptor", "space size", errorf(ErrConflict, "byte orders differ"))
	}
	if *slot != nil {
		if string((*slot).Raw) != string(d.Raw) {
			img.warn.add(off, "volume descriptor", "", errorf(ErrConflict, "a second one of its kind, not used"))
		}
		return nil
	}
	*slot = d
	return nil
}

// findUDF looks for a volume recognition sequence behind the descriptors (ECMA-167 2/8.3.1).
func (img *Image) findUDF() bool {
	last := img.Descriptors[len(img.Descriptors)-1].Block
	id := make([]byte, 5)
	for b := last + 1; b < last+4; b++ {
		if n, _ := img.r.ReadAt(id, b.Offset()+1); n == 5 && (string(id) == "NSR02" || string(id) == "NSR03") {
			return true
		}
	}
	return false
}

// Size returns the length of the image in bytes.
func (img *Image) Size() int64 { return img.size }

// Start returns the first block of the session that was opened; 0 as a rule.
func (img *Image) Start() LBA { return img.start }

// Budget returns what reading the image has cost; whoever takes content out of it
// charges that there.
func (img *Image) Budget() *fault.Budget { return img.budget }

// Primary returns the primary volume descriptor.
func (img *Image) Primary() *Descriptor { return img.primary }

// UDF reports a UDF file system beside ISO 9660 (a bridge).
func (img *Image) UDF() bool { return img.udf }

// MediaCheck names the program whose media checksum the image has, "" without one.
func (img *Image) MediaCheck() string { return img.primary.MediaCheck() }

// BootCatalog returns the block of the El Torito boot catalog; 0 if there is none.
func (img *Image) BootCatalog() LBA {
	for _, d := range img.Descriptors {
		if l, ok := d.BootCatalog(); ok {
			return l
		}
	}
	return 0
}

// Warnings returns the oddities tolerated so far, one line each.
func (img *Image) Warnings() []string {
	img.mu.Lock()
	defer img.mu.Unlock()
	return img.warn.lines()
}

// Tolerated returns the same oddities with their places: at most 100, the first
// ones found.
func (img *Image) Tolerated() []FormatError {
	img.mu.Lock()
	defer img.mu.Unlock()
	return slices.Clone(img.warn.list)
}

// readMeta reads n bytes of metadata at off.
func (img *Image) readMeta(off, n int64) ([]byte, error) {
	if err := img.checkRange(off, n); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if got, err := img.r.ReadAt(b, off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = errorf(ErrTruncated, "%d of %d bytes at %d", got, n, off)
		}
		return nil, err
	}
	return b, nil
}

// checkRange reports whether n bytes at off lie in the image.
func (img *Image) checkRange(off, n int64) error {
	if off < 0 || n < 0 || off > img.size || n > img.size-off {
		if volume := int64(img.primary.SpaceSize()) * BlockSize; off+n <= volume {
			return errorf(ErrTruncated, "%d bytes at %d, the image ends at %d of %d", n, off, img.size, volume)
		}
		return errorf(ErrRange, "%d bytes at %d, the image has %d", n, off, img.size)
	}
	return nil
}
