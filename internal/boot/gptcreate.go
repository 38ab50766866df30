package boot

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// gptParts lists the entries of the GPT.
func (s Spec) gptParts(entries []EntrySpec, a Arrangement, at []Located) []GPTPartition {
	_, announced := s.hasGPT(entries)
	last := a.Blocks*perBlock - gptBlocks*perBlock - 1
	cover := GPTPartition{Number: 1, Type: guidBasic, First: s.PartitionOffset * perBlock, Last: last, Attributes: readOnlySystem, Name: "ISO9660"}
	if s.GPTType != nil {
		cover.Type = *s.GPTType
	}
	if s.FileSystemBootable {
		cover.Attributes |= legacyBootable
	}
	if s.FileSystemWritable {
		cover.Attributes &^= readOnly
	}
	var inner []GPTPartition
	for i, en := range entries {
		esp := announced && s.EFIPartition && en.Platform == UEFI
		if (esp || en.Partition) && !s.appendedAt(a, at[i].LBA) {
			p := GPTPartition{Type: guidBasic, First: at[i].LBA * perBlock, Last: at[i].LBA*perBlock + at[i].sectors() - 1, Attributes: readOnlySystem, Name: "ISOHybrid" + strconv.Itoa(len(inner)+1)}
			if esp {
				p.Type, p.Name = guidESP, "EFI boot partition"
			} else if en.HFSPlus {
				p.Type = guidHFS
			}
			inner = append(inner, p)
		}
	}
	if len(a.Appended) > 0 {
		cover.Last = a.Part*perBlock - 1
	}
	out := []GPTPartition{}
	switch {
	case !announced:
		cover.Name = "ISOHybrid"
		out = append(out, cover)
		out = append(out, inner...)
	case len(inner) > 0: // a valid table has no overlaps: entries around the inner one
		p := inner[0]
		before, after := cover, cover
		before.First, before.Last, before.Name = max(cover.First, systemAreaSectors), p.First-1, "Gap0"
		after.First, after.Name = p.Last+1, "Gap1"
		out = append(out, before, p, after)
	default:
		cover.First = max(cover.First, systemAreaSectors)
		out = append(out, cover)
	}
	for i := range out {
		out[i].Number = i + 1
	}
	for i, x := range s.Appended {
		p := GPTPartition{Number: x.Number, Type: x.GUID, First: a.Appended[i].LBA * perBlock, Name: "Appended" + strconv.Itoa(x.Number)}
		p.Last = p.First + a.Appended[i].sectors() - 1
		for n := range out {
			if out[n].Number == x.Number { // taken: behind the others
				p.Number = max(p.Number, len(out)+1)
			}
		}
		out = append(out, p)
	}
	return out
}

// readOnlySystem are the attributes that makers of images give the file system and what
// lies in it (UEFI 5.3.3).
const (
	readOnly       = 1 << 60
	legacyBootable = 1 << 2
	readOnlySystem = readOnly | 1
)

var guidBasic = GUID{0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7}

// gpt writes the primary table and returns the backup, whole blocks.
func (s Spec) gpt(area []byte, entries []EntrySpec, a Arrangement, at []Located) []byte {
	start := gptStart(entries)
	array := area[start*sectorSize:][:gptEntries*gptEntrySize]
	clear(array)
	for _, p := range s.gptParts(entries, a, at) {
		b := array[(p.Number-1)*gptEntrySize:][:gptEntrySize]
		copy(b, p.Type[:])
		id := s.id("partition " + strconv.Itoa(p.Number))
		copy(b[16:], id[:])
		binary.LittleEndian.PutUint64(b[32:], uint64(p.First))
		binary.LittleEndian.PutUint64(b[40:], uint64(p.Last))
		binary.LittleEndian.PutUint64(b[48:], p.Attributes)
		for i, u := range utf16.Encode([]rune(p.Name)) {
			binary.LittleEndian.PutUint16(b[56+2*i:], u)
		}
	}
	last := a.Blocks*perBlock - 1
	h := area[gptOff:][:gptHeaderSize]
	clear(area[gptOff : gptOff+sectorSize])
	copy(h, gptMagic)
	disk := s.id("disk")
	put := binary.LittleEndian.PutUint64
	binary.LittleEndian.PutUint32(h[8:], 0x10000)
	binary.LittleEndian.PutUint32(h[12:], gptHeaderSize)
	put(h[24:], 1)
	put(h[32:], uint64(last))
	put(h[40:], uint64(start+gptArraySectors))
	put(h[48:], uint64(last-gptArraySectors-1))
	copy(h[56:], disk[:])
	put(h[72:], uint64(start))
	binary.LittleEndian.PutUint32(h[80:], gptEntries)
	binary.LittleEndian.PutUint32(h[84:], gptEntrySize)
	binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(array))
	binary.LittleEndian.PutUint32(h[16:], headerCRC(h))
	g := &GPT{SectorSize: sectorSize, Count: gptEntries, EntrySize: gptEntrySize}
	b := backupPatch(g, h, array, last).Data
	return append(make([]byte, gptBlocks*iso9660.BlockSize-len(b)), b...)
}

// ParseGUID reads a GUID: in the usual form with hyphens, or as 32 hexadecimal digits of
// its bytes as stored.
func ParseGUID(s string) (g GUID, err error) {
	plain := strings.ReplaceAll(s, "-", "")
	b, err := hex.DecodeString(plain)
	if err != nil || len(b) != len(g) {
		return g, fmt.Errorf("%q is no GUID", s)
	}
	copy(g[:], b)
	if plain != s { // the first three groups are stored little-endian
		for _, r := range [][2]int{{0, 4}, {4, 6}, {6, 8}} {
			for i, j := r[0], r[1]-1; i < j; i, j = i+1, j-1 {
				g[i], g[j] = g[j], g[i]
			}
		}
	}
	return g, nil
}

// PartitionType turns a type of either table into those of both: known are the EFI
// system partition, and data for the rest.
func PartitionType(mbr byte) GUID {
	if mbr == typeESP {
		return guidESP
	}
	return guidBasic
}

// MBRTypeOf is the type in an MBR of a partition with that GUID.
func MBRTypeOf(g GUID) byte {
	if g == guidESP {
		return typeESP
	}
	return 0x83
}
