package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	// apmBlock is the block size of maps to make: with 512 the first entry would lie
	// where a GPT has its header.
	apmBlock = iso9660.BlockSize

	// apmMost is how many images a map can have that leaves room for a GPT.
	apmMost = (systemAreaSectors - gptArraySectors - 2*perBlock) / perBlock

	// apmStatus says of a partition what libisofs says: valid, allocated, readable and
	// more. apmMapStatus is that of the map itself.
	apmStatus, apmMapStatus = 0x40000013, 3
)

// The first bytes of a disk with a map, which are its signature and block size, as code:
// what follows is skipped or does no harm.
var (
	apmHeadIsohybrid = append([]byte{'E', 'R', 8, 0, 0, 0, 0x90, 0x90}, make([]byte, 24)...)
	apmHeadGRUB2     = []byte{'E', 'R', 8, 0, 0xeb, 2, 0xff, 0xff}
)

// ErrNoRoom reports boot code that lies where a table is to be.
var ErrNoRoom = errors.New("the boot code leaves no room for it")

// inAPM counts the images that an Apple partition map is to have.
func inAPM(entries []EntrySpec) (n int64) {
	for _, en := range entries {
		if en.APM {
			n++
		}
	}
	return n
}

// gptStart is the sector where the entries of a GPT begin: behind an Apple partition map.
func gptStart(entries []EntrySpec) int64 {
	if n := inAPM(entries); n > 0 {
		return (n + 2) * perBlock
	}
	return 2
}

// apm writes an Apple partition map of the images that want to be in it.
func (s Spec) apm(area []byte, entries []EntrySpec, at []Located) error {
	n := inAPM(entries)
	if n == 0 {
		return nil
	}
	if n > apmMost {
		return fmt.Errorf("an Apple partition map of %d images: %w", n, iso9660.ErrLimit)
	}
	if err := s.apmHead(area); err != nil {
		return err
	}
	if err := vacant(area[apmBlock:(n+2)*apmBlock], "Apple partition map"); err != nil {
		return err
	}
	number := 0
	put := func(name, kind string, first, count int64, status uint32) {
		number++
		b := area[number*apmBlock:][:sectorSize]
		copy(b, "PM")
		binary.BigEndian.PutUint32(b[4:], uint32(n+1))
		binary.BigEndian.PutUint32(b[8:], uint32(first))
		binary.BigEndian.PutUint32(b[12:], uint32(count))
		copy(b[16:48], name)
		copy(b[48:80], kind)
		binary.BigEndian.PutUint32(b[84:], uint32(count))
		binary.BigEndian.PutUint32(b[88:], status)
	}
	put("Apple", "Apple_partition_map", 1, n+1, apmMapStatus)
	for i, en := range entries {
		if en.APM {
			put("EFI", "Apple_HFS", at[i].LBA, iso9660.Blocks(at[i].Size), apmStatus)
		}
	}
	return nil
}

// apmHead writes the signature over boot code that is made for that.
func (s Spec) apmHead(area []byte) error {
	nops := func(b []byte) bool { return bytes.Count(b, []byte{0x90}) == len(b) }
	switch {
	case bytes.HasPrefix(area, []byte("ER")): // code of an image that had a map
		copy(area[2:], []byte{apmBlock >> 8, apmBlock & 0xff})
	case s.Code == CodeIsohybrid && bytes.HasPrefix(area, []byte{0x33, 0xed}) && nops(area[2:32]):
		copy(area, apmHeadIsohybrid)
	case s.Code == CodeGRUB2 && bytes.HasPrefix(area, []byte{0xeb, 0x63}) && nops(area[2:26]):
		copy(area, apmHeadGRUB2)
	case zero(area[:sectorSize]):
		copy(area, apmHeadIsohybrid[:4])
	default:
		return fmt.Errorf("%s MBR, Apple partition map: %w", s.Code, ErrNoRoom)
	}
	return nil
}

// vacant fails where boot code lies that a table is to overwrite.
func vacant(area []byte, what string) error {
	if !zero(area) {
		return fmt.Errorf("%s: %w", what, ErrNoRoom)
	}
	return nil
}
