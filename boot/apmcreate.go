package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/isolayer/isolayer/iso9660"
)

const (
	// apmBlock is the block size of maps to make: with 512 the first entry would lie
	// where a GPT has its header.
	apmBlock = iso9660.BlockSize

	// apmMost is how many images a map can have with a GPT behind it.
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
		return fmt.Errorf("Apple partition map of %d images: %w", n, iso9660.ErrLimit)
	}
	if err := s.apmHead(area); err != nil {
		return err
	}
	number := 0
	put := func(name, kind string, first, count int64, status uint32) {
		number++
		b := area[number*apmBlock:][:sectorSize]
		clear(b)
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
	head, idle := []byte{'E', 'R', 8, 0}, area[:8]
	switch {
	case bytes.HasPrefix(area, head): // code of an image that had a map
		return nil
	case s.Code == CodeIsohybrid && bytes.HasPrefix(area, []byte{0x33, 0xed}):
		head, idle = apmHeadIsohybrid, bytes.Trim(area[2:32], "\x90")
	case s.Code == CodeGRUB2 && bytes.HasPrefix(area, []byte{0xeb, 0x63}):
		head, idle = apmHeadGRUB2, bytes.Trim(area[2:26], "\x90")
	}
	if len(bytes.Trim(idle, "\x00")) > 0 {
		return fmt.Errorf("this %s MBR leaves no room for an Apple partition map", s.Code)
	}
	copy(area, head)
	return nil
}
