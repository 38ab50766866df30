package boot

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// Spec says what the system area of a new image holds and what lies behind its file
// system. The zero value is an area of zeros.
type Spec struct {
	// Code is the kind of MBR, whose bytes are those of Boot. CodeOther takes up to
	// 32 KiB as they are.
	Code Code
	Boot []byte
	// Loads is which entry's address other code keeps where that of isohybrid does, from
	// 1 on, 0 if none; LoadsSecond where GRUB's does, that of the second sector.
	Loads       int
	LoadsSecond bool
	// PartitionOffset is the block that a partition over the file system begins at; from
	// 16 on the image has a second set of descriptors there.
	PartitionOffset int64
	Protective      bool // an MBR partition over all of the image but its first sector
	ForceActive     bool // an active partition, if need be one without content
	Appended        []AppendedSpec
	AppendedGPT     bool // they are in a GPT, which the MBR announces
	EFIPartition    bool // a GPT has the first EFI boot image as EFI system partition
	// MBRType and GPTType of the file system's partition; nil: what is usual.
	MBRType *byte
	GPTType *GUID
	// DiskGUID of the GPT, from which those of its partitions follow; nil: made of Seed.
	DiskGUID *GUID
	// FileSystemBootable and FileSystemWritable are said of the file system's partition in
	// the GPT (UEFI 5.3.3, table 24: bit 2; not read-only).
	FileSystemBootable, FileSystemWritable bool
	// Align says whether ends are made multiples of a cylinder; see Alignment.
	Align          Alignment
	Heads, Sectors int64 // of the disk that addresses are given for; 0: chosen by size
	// Seed makes the signature and the GUIDs: the same seed gives the same ones.
	Seed []byte
}

// AppendedSpec is a partition behind the file system.
type AppendedSpec struct {
	Number int
	Type   byte
	GUID   GUID
	Size   int64 // bytes
}

// Alignment is when the image's end is made a multiple of a cylinder, as old BIOSes
// want it.
type Alignment uint8

// The ways to align.
const (
	AlignAuto Alignment = iota // where the code is that of isohybrid
	AlignOn                    // wherever there is an MBR
	AlignAll                   // appended partitions too
	AlignOff
)

// Arrangement is where the ends of a new image are. Blocks.
type Arrangement struct {
	Appended []Located
	Part     int64 // end of the partition over the file system
	Blocks   int64 // of the image, which are those of the volume
	shape    geometry
}

// gptBlocks is the room of a backup GPT of 128 entries.
const gptBlocks = (gptArraySectors + 1 + perBlock - 1) / perBlock

const (
	gptEntries      = 128
	gptArraySectors = gptEntries * gptEntrySize / sectorSize
)

// hasGPT reports whether a GPT is made, announced whether the MBR announces it.
func (s Spec) hasGPT(entries []EntrySpec) (gpt, announced bool) {
	if s.AppendedGPT && len(s.Appended) > 0 || s.EFIPartition {
		return true, true
	}
	for _, en := range entries {
		gpt = gpt || en.Partition
	}
	return gpt, false
}

// hasMBR reports whether a partition table is made.
func (s Spec) hasMBR(entries []EntrySpec) bool {
	gpt, _ := s.hasGPT(entries)
	return gpt || s.Code == CodeIsohybrid || s.Code == CodeGRUB2 || s.Protective || s.ForceActive || s.PartitionOffset > 0 || len(s.Appended) > 0
}

// Arrange computes the ends of an image whose file system ends at block end, with so
// many blocks of padding: inside the volume, behind appended partitions if a GPT has
// them.
func (s Spec) Arrange(entries []EntrySpec, end, padding int64) Arrangement {
	gpt, announced := s.hasGPT(entries)
	trailer := int64(0)
	if gpt {
		trailer = gptBlocks
	}
	rough := end + padding + trailer
	for _, a := range s.Appended {
		rough += iso9660.Blocks(a.Size)
	}
	a := Arrangement{shape: s.shape(rough * perBlock)}
	unit := int64(1)
	cylinder := a.shape.cylinder()
	if s.hasMBR(entries) && s.Align != AlignOff && (s.Code == CodeIsohybrid || s.Align != AlignAuto) && cylinder%perBlock == 0 && (rough*perBlock)/cylinder < 1024 {
		unit = cylinder / perBlock
	}
	at := end
	if len(s.Appended) == 0 || !announced {
		at += padding
	}
	if len(s.Appended) > 0 {
		at = roundUp(at, unit)
		a.Part = at
		for _, x := range s.Appended {
			a.Appended = append(a.Appended, Located{at, x.Size})
			at += iso9660.Blocks(x.Size)
			if s.Align == AlignAll || unit > 1 {
				at = roundUp(at, unit)
			}
		}
		if announced {
			at += padding
		}
	}
	a.Blocks = roundUp(at+trailer, unit)
	if len(s.Appended) == 0 {
		a.Part = a.Blocks
	}
	return a
}

// shape is the disk shape for an image of so many sectors: at most 1024 cylinders, each
// whole blocks, as far as that goes.
func (s Spec) shape(sectors int64) geometry {
	if s.Heads > 0 || s.Sectors > 0 { // of which one may be left to what is usual
		return geometry{cmp.Or(s.Heads, 64), cmp.Or(s.Sectors, 32)}
	}
	for _, g := range []geometry{{64, 32}, {128, 32}, {252, 32}, {252, 63}} {
		if sectors <= 1024*g.cylinder() {
			return g
		}
	}
	return geometry{252, 63}
}

// id makes an id of the seed, and of the GUID that was given for the disk.
func (s Spec) id(what string) GUID {
	seed := append([]byte(what+"\x00"), s.Seed...)
	if s.DiskGUID != nil {
		if what == "disk" {
			return *s.DiskGUID
		}
		seed = append(seed, s.DiskGUID[:]...)
	}
	sum := sha256.Sum256(seed)
	g := GUID(sum[:16])
	g[7], g[8] = g[7]&0x0f|0x40, g[8]&0x3f|0x80 // version 4
	return g
}

// Area encodes the system area, and the backup GPT that ends the image, nil without one.
// at says where the images of the entries lie.
func (s Spec) Area(entries []EntrySpec, a Arrangement, at []Located) (area, trailer []byte, err error) {
	area = make([]byte, systemAreaSize)
	if len(s.Boot) > len(area) {
		return nil, nil, fmt.Errorf("boot code of %d bytes: %w", len(s.Boot), iso9660.ErrLimit)
	}
	copy(area, s.Boot)
	if err := s.apm(area, entries, at); err != nil {
		return nil, nil, err
	}
	if !s.hasMBR(entries) {
		return area, nil, nil
	}
	if err := s.loader(area, entries, at); err != nil {
		return nil, nil, err
	}
	gpt, _ := s.hasGPT(entries)
	if gpt {
		for _, r := range [][2]int64{{gptOff, gptOff + sectorSize}, {gptStart(entries) * sectorSize, (gptStart(entries) + gptArraySectors) * sectorSize}} {
			if err := vacant(area[r[0]:r[1]], "GPT"); err != nil {
				return nil, nil, err
			}
		}
		trailer = s.gpt(area, entries, a, at)
	}
	sig := s.id("disk signature")
	copy(area[440:444], sig[:4])
	clear(area[444:510])
	area[510], area[511] = 0x55, 0xaa
	for _, p := range s.mbrParts(entries, a, at) {
		if p.First+p.Count > 1<<32-1 && p.Type != typeProtective {
			return nil, nil, fmt.Errorf("MBR partition %d ends at sector %d: %w", p.Number, p.First+p.Count, iso9660.ErrLimit)
		}
		b := area[mbrTableOff+(p.Number-1)*mbrEntrySize:][:mbrEntrySize]
		if p.Active {
			b[0] = 0x80
		}
		b[4] = p.Type
		from, to := a.shape.chs(p.First), a.shape.chs(p.First+p.Count-1)
		copy(b[1:], from[:])
		copy(b[5:], to[:])
		binary.LittleEndian.PutUint32(b[8:], uint32(p.First))
		binary.LittleEndian.PutUint32(b[12:], uint32(min(p.Count, 1<<32-1)))
	}
	return area, trailer, nil
}

// loader writes into the code of the MBR where its boot image is: for known code the first one
// for BIOS.
func (s Spec) loader(area []byte, entries []EntrySpec, at []Located) error {
	n, second := s.Loads-1, s.LoadsSecond
	if s.Code == CodeIsohybrid || s.Code == CodeGRUB2 {
		second = s.Code == CodeGRUB2
		n = slices.IndexFunc(entries, func(en EntrySpec) bool { return en.Platform == BIOS && en.Media == NoEmulation })
		if n < 0 {
			return fmt.Errorf("%s MBR: %w", s.Code, ErrNoImage)
		}
	}
	if n < 0 || n >= len(at) {
		return nil
	}
	v := uint64(at[n].LBA) * perBlock
	if second {
		v += perBlock
	}
	binary.LittleEndian.PutUint64(area[mbrLoaderOff:], v)
	return nil
}

// mbrPart is an entry of the partition table to write. Sectors.
type mbrPart struct {
	Number       int
	Type         byte
	Active       bool
	First, Count int64
}

// mbrParts lists the entries of the MBR. What the code boots is active; a type of 0 over
// the image lets UEFI find the partition in it.
func (s Spec) mbrParts(entries []EntrySpec, a Arrangement, at []Located) []mbrPart {
	gpt, announced := s.hasGPT(entries)
	total, start := a.Blocks*perBlock, s.PartitionOffset*perBlock
	if announced {
		out := []mbrPart{{1, typeProtective, false, 1, total - 1}}
		if s.ForceActive {
			out = append(out, mbrPart{2, 0, true, 0, 1})
		}
		return out
	}
	loads := s.Code == CodeIsohybrid || s.Code == CodeGRUB2
	cover := mbrPart{1, 0xcd, loads || s.Protective || s.ForceActive, max(start, 1), 0}
	if len(s.Appended) > 0 && !s.Protective && start == 0 {
		cover.Type, cover.First = typeLinux, 0
	}
	if s.Code == CodeIsohybrid {
		cover.Type, cover.First = 0x17, start
		if gpt || inAPM(entries) > 0 {
			cover.Type = 0
		}
	}
	if s.MBRType != nil {
		cover.Type = *s.MBRType
	}
	cover.Count = a.Part*perBlock - cover.First
	used := map[int]bool{1: true}
	var out []mbrPart
	for i, x := range s.Appended {
		used[x.Number] = true
		p := mbrPart{x.Number, x.Type, false, a.Appended[i].LBA * perBlock, 0}
		p.Count = a.Appended[i].sectors()
		if next := i + 1; next < len(a.Appended) {
			p.Count = max(p.Count, a.Appended[next].LBA*perBlock-p.First)
		}
		out = append(out, p)
	}
	for i, en := range entries {
		if !en.Partition || s.appendedAt(a, at[i].LBA) {
			continue
		}
		for n := 2; n <= 4; n++ {
			if !used[n] {
				used[n] = true
				p := mbrPart{n, typeESP, false, at[i].LBA * perBlock, at[i].sectors()}
				if en.HFSPlus {
					p.Type = 0
				}
				out = append(out, p)
				break
			}
		}
	}
	return append([]mbrPart{cover}, out...)
}

// sectors is the length in whole blocks.
func (l Located) sectors() int64 { return iso9660.Blocks(l.Size) * perBlock }

// appendedAt reports whether an appended partition begins at a block.
func (s Spec) appendedAt(a Arrangement, at int64) bool {
	for _, l := range a.Appended {
		if l.LBA == at {
			return true
		}
	}
	return false
}
