package boot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// EntrySpec is an entry of a boot catalog to make (El Torito 2.2).
type EntrySpec struct {
	Platform    Platform
	Media       Media
	NotBootable bool
	LoadSegment uint16
	// Sectors of 512 bytes to load; 0: the whole image, as far as the field reaches.
	Sectors  int
	ID       string // of the catalog for the first entry, of its section for others
	Criteria []byte // up to 20 bytes: kind and data of the selection criteria
	// InfoTable and GRUB2 write what loaders want to know about themselves into the image.
	InfoTable, GRUB2 bool
	// Partition gives the image entries in partition tables, as isohybrid does.
	Partition bool
	// HFSPlus says of that partition that it is one of HFS+, as Macs look for.
	HFSPlus bool
	// APM gives the image an entry in an Apple partition map.
	APM bool
}

// Located is where a boot image or an appended partition lies.
type Located struct {
	LBA  int64
	Size int64 // bytes
}

// ErrMedia reports a boot image that is no image of the medium it shall be.
var ErrMedia = errors.New("boot image has the wrong size for its medium")

// ErrNoImage reports boot code without the boot image that it starts.
var ErrNoImage = errors.New("it starts a boot image for BIOS, and there is none")

// CatalogOf encodes a boot catalog of one block: a section for each entry but the first.
// heads are the first bytes of the images, from which hard disks tell their type.
func CatalogOf(entries []EntrySpec, at []Located, heads [][]byte) ([]byte, error) {
	b := make([]byte, 0, iso9660.BlockSize)
	for i, en := range entries {
		h := make([]byte, catalogRecord)
		if i == 0 {
			h[0], h[1], h[30], h[31] = recValidation, byte(en.Platform), 0x55, 0xaa
			copy(h[4:28], en.ID)
			fixValidation(h)
		} else {
			h[0], h[1], h[2] = recHeader, byte(en.Platform), 1
			if i == len(entries)-1 {
				h[0] = recLastHeader
			}
			copy(h[4:], en.ID)
		}
		rec, err := en.record(at[i], heads[i])
		if err != nil {
			return nil, err
		}
		b = append(append(b, h...), rec...)
	}
	if len(b) > iso9660.BlockSize {
		return nil, fmt.Errorf("boot catalog of %d entries: %w", len(entries), iso9660.ErrLimit)
	}
	return b[:iso9660.BlockSize], nil
}

// record encodes one entry.
func (en EntrySpec) record(at Located, head []byte) ([]byte, error) {
	b := make([]byte, catalogRecord)
	b[0], b[1] = recBootable, byte(en.Media)
	if en.NotBootable {
		b[0] = recNoBoot
	}
	binary.LittleEndian.PutUint16(b[2:], en.LoadSegment)
	sectors := en.Sectors
	switch en.Media {
	case NoEmulation:
		if sectors == 0 {
			sectors = int(iso9660.Blocks(at.Size) * perBlock)
		}
		if sectors > 0xffff { // 0 is all up to the end of the volume to UEFI
			sectors = 0
			if en.Platform != UEFI {
				sectors = 0xffff
			}
		}
	case HardDisk:
		m := parseMBR(head)
		if m == nil || len(m.Partitions) != 1 {
			return nil, fmt.Errorf("a hard disk image needs an MBR with one partition: %w", ErrMedia)
		}
		b[4], sectors = m.Partitions[0].Type, 1
	default:
		if at.Size != floppySizes[en.Media] {
			return nil, fmt.Errorf("%d bytes, a %s has %d: %w", at.Size, en.Media, floppySizes[en.Media], ErrMedia)
		}
		sectors = 1
	}
	binary.LittleEndian.PutUint16(b[6:], uint16(sectors))
	binary.LittleEndian.PutUint32(b[8:], uint32(at.LBA))
	copy(b[12:], en.Criteria)
	return b, nil
}

var floppySizes = map[Media]int64{Floppy12: 1200 << 10, Floppy144: 1440 << 10, Floppy288: 2880 << 10}

// FloppyOf returns the floppy disk that an image of so many bytes is one of.
func FloppyOf(size int64) (Media, bool) {
	for _, m := range []Media{Floppy12, Floppy144, Floppy288} {
		if floppySizes[m] == size {
			return m, true
		}
	}
	return NoEmulation, false
}

// Needs says from the first bytes of a boot image what it wants to know about itself:
// such a loader stops without.
func Needs(head []byte, p Platform) (infoTable, grub2 bool) {
	if p != BIOS || len(head) < 64 || fatSize(head) > 0 {
		return false, false
	}
	switch loader(head, &Entry{Platform: p}) {
	case LoaderIsolinux:
		return true, false
	case LoaderGRUB2:
		return true, len(head) >= grub2InfoOff+8
	}
	return false, false
}

// HeadSize is how many bytes of a boot image Needs and CatalogOf look at.
const HeadSize = loaderHead

// ErrInfoRoom reports a boot image whose size rules out what it is to hold about itself.
var ErrInfoRoom = errors.New("boot image without room for boot information")

// infoTableEnd is where the boot info table of mkisofs ends in a boot image.
const infoTableEnd = 64

// InfoPatches returns what a boot image of the given size at a block is to hold about
// itself, at offsets in it: the boot info table of mkisofs, GRUB's own address.
func InfoPatches(content io.ReaderAt, size int64, at iso9660.LBA, table, grub2 bool) ([]Patch, error) {
	return infoPatches(content, size, at, 16, table, grub2)
}

func infoPatches(content io.ReaderAt, size int64, at, pvd iso9660.LBA, table, grub2 bool) ([]Patch, error) {
	head := make([]byte, min(size, loaderHead))
	if n, err := content.ReadAt(head, 0); n < len(head) {
		return nil, fmt.Errorf("read boot image: %w", err)
	}
	if size > maxSummed {
		return nil, fmt.Errorf("%w: %d bytes are too many for a boot info table", ErrInfoRoom, size)
	}
	if grub2 && len(head) < grub2InfoOff+8 {
		return nil, fmt.Errorf("%w: %d bytes are too few for GRUB's boot info", ErrInfoRoom, size)
	}
	if table && len(head) < infoTableEnd { // as much of it as there is room for, as genisoimage does
		head = append(head, make([]byte, infoTableEnd-len(head))...)
	}
	before := slices.Clone(head)
	var out []Patch
	if grub2 { // the table's checksum covers it
		binary.LittleEndian.PutUint64(head[grub2InfoOff:], uint64(at)*perBlock+5)
	}
	if table {
		sum, err := source{content, size}.sum32(min(size, infoTableEnd), max(size-infoTableEnd, 0))
		if err != nil {
			return nil, err
		}
		sum += sumWords(head[infoTableEnd:]) - sumWords(before[min(infoTableEnd, len(before)):])
		clear(head[8:infoTableEnd])
		for i, v := range []uint32{uint32(pvd), uint32(at), uint32(size), sum} {
			binary.LittleEndian.PutUint32(head[8+4*i:], v)
		}
		if size > 8 {
			out = append(out, Patch{8, head[8:min(infoTableEnd, size)], "boot info table"})
		}
	}
	if grub2 {
		out = append(out, Patch{grub2InfoOff, head[grub2InfoOff : grub2InfoOff+8], "GRUB 2 boot info"})
	}
	return out, nil
}
