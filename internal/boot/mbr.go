package boot

import (
	"bytes"
	"encoding/binary"

	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	mbrLoaderOff = 432 // where the boot code keeps the address of the boot image
	mbrTableOff  = 446
	mbrEntrySize = 16
	// typeProtective marks the entry which announces a GPT (UEFI 5.2.3).
	typeProtective = 0xee
	typeESP        = 0xef // EFI system partition
	typeLinux      = 0x83
)

// Code is the kind of boot code in sector 0.
type Code string

// The kinds of boot code.
const (
	CodeNone      Code = "none"
	CodeIsohybrid Code = "isohybrid" // of isolinux
	CodeGRUB2     Code = "GRUB 2"
	CodeOther     Code = "other"
)

// MBR is sector 0 of the image when it bears the signature 55 AA.
type MBR struct {
	Code      Code   `json:"code"`
	Signature uint32 `json:"disk_signature"`
	// Loader is the block of the boot image that the code loads: that of isohybrid, of
	// GRUB 2, and other code that keeps the address in the same place.
	Loader     iso9660.LBA    `json:"loader_block,omitempty"`
	Partitions []MBRPartition `json:"partitions"` // entries of size 0 are left out

	second bool // the address is that of the image's second sector
}

// MBRPartition is an entry of the partition table. First and Count are sectors.
type MBRPartition struct {
	Number   int    `json:"number"` // 1 to 4
	Active   bool   `json:"active"`
	Status   uint8  `json:"status"`
	Type     uint8  `json:"type"`
	StartCHS CHS    `json:"start_chs"`
	EndCHS   CHS    `json:"end_chs"`
	First    uint32 `json:"first"`
	Count    uint32 `json:"count"`
	Role     Role   `json:"role"`

	per int64 // sectors of 512 bytes that one of its makes, if they are larger; else 0
}

// Sectors is the entry in sectors of 512 bytes: one that announces a GPT for larger ones
// may count in those.
func (p MBRPartition) Sectors() (first, count int64) {
	per := max(1, p.per)
	return int64(p.First) * per, int64(p.Count) * per
}

func (p MBRPartition) end() int64 { return int64(p.First) + int64(p.Count) }

// offset is where the entry lies in the image.
func (p MBRPartition) offset() int64 { return mbrTableOff + int64(p.Number-1)*mbrEntrySize }

// parseMBR reads sector 0; it returns nil where the signature is missing.
func parseMBR(b []byte) *MBR {
	if len(b) < sectorSize || b[510] != 0x55 || b[511] != 0xaa {
		return nil
	}
	m := &MBR{Code: code(b), Signature: binary.LittleEndian.Uint32(b[440:])}
	word := binary.LittleEndian.Uint64(b[mbrLoaderOff:])
	switch {
	case m.Code == CodeIsohybrid && word%perBlock == 0 && word>>32 == 0:
		m.Loader = iso9660.LBA(word / perBlock)
	case m.Code == CodeGRUB2 && word%perBlock == 0 && word >= perBlock && word/perBlock <= maxBlocks:
		m.Loader, m.second = iso9660.LBA(word/perBlock-1), true
	}
	for i := range 4 {
		t := b[mbrTableOff+i*mbrEntrySize:][:mbrEntrySize]
		p := MBRPartition{
			Number: i + 1, Active: t[0] == 0x80, Status: t[0], Type: t[4],
			StartCHS: CHS(t[1:4]), EndCHS: CHS(t[5:8]),
			First: binary.LittleEndian.Uint32(t[8:]), Count: binary.LittleEndian.Uint32(t[12:]),
		}
		if p.Count != 0 {
			m.Partitions = append(m.Partitions, p)
		}
	}
	return m
}

func code(b []byte) Code {
	switch b = b[:mbrTableOff-6]; {
	case zero(b) || string(b[:2]) == "ER" && zero(b[8:]): // the driver descriptor of an Apple map alone
		return CodeNone
	case bytes.Contains(b, []byte("isolinux")):
		return CodeIsohybrid
	case bytes.Contains(b, []byte("GRUB")):
		return CodeGRUB2
	}
	return CodeOther
}

// checkLoaderAddress compares the address in the boot code with the catalog. Of code that
// is not known it is one only if it leads to an image for BIOS: that of memtest86+ does.
// See RATIONALE.md, "Boot code that is not known may hold an address".
func (e *Equipment) checkLoaderAddress() {
	m := e.System.MBR
	if m == nil || e.Catalog == nil || m.Code == CodeNone {
		return
	}
	word := binary.LittleEndian.Uint64(e.area[mbrLoaderOff:])
	for _, second := range []bool{false, true} {
		for _, en := range e.Catalog.Entries {
			at := uint64(en.LBA) * perBlock
			if second {
				at += perBlock
			}
			switch {
			case m.Code != CodeOther && en.LBA == m.Loader:
				return
			case m.Code == CodeOther && en.Platform == BIOS && en.LBA > 0 && word == at:
				m.Loader, m.second = en.LBA, second
				return
			}
		}
	}
	if m.Code != CodeOther {
		e.find(mbrLoaderOff, "MBR, boot image address", iso9660.ErrConflict,
			"the boot code loads block %d, where the boot catalog has no image", m.Loader)
	}
}

// CHS is an address of a partition table as stored: head, sector with the upper
// bits of the cylinder, cylinder.
type CHS [3]byte

func (c CHS) cylinder() int64 { return int64(c[1]&0xc0)<<2 | int64(c[2]) }
func (c CHS) head() int64     { return int64(c[0]) }
func (c CHS) sector() int64   { return int64(c[1] & 0x3f) }

// MarshalJSON gives [cylinder, head, sector].
func (c CHS) MarshalJSON() ([]byte, error) { return jsonInts(c.cylinder(), c.head(), c.sector()) }

// geometry is a disk shape: heads per cylinder, sectors per head.
type geometry struct{ heads, sectors int64 }

func (g geometry) cylinder() int64 { return g.heads * g.sectors }

// chs encodes a sector address; one behind cylinder 1023 becomes the last address
// there is, as partition tools do it.
func (g geometry) chs(at int64) CHS {
	c, h, s := at/g.cylinder(), at/g.sectors%g.heads, at%g.sectors+1
	if c > 1023 {
		c, h, s = 1023, g.heads-1, g.sectors
	}
	return CHS{byte(h), byte(s) | byte(c>>8)<<6, byte(c)}
}

// geometryOf deduces the shape from the end of a partition: its CHS address and
// its end in sectors. No shape fits addresses which say "see the sector number".
func geometryOf(end CHS, at int64) (geometry, bool) {
	if at <= 0 || end.sector() == 0 {
		return geometry{}, false
	}
	candidates := []geometry{
		{end.head() + 1, end.sector()}, // the partition ends with a cylinder, or is clamped
		{64, 32}, {255, 63}, {16, 63}, {128, 32}, {255, 32}, {128, 63}, {240, 63},
	}
	for _, g := range candidates {
		if g.chs(at-1) == end && g.heads <= 255 {
			return g, true
		}
	}
	return geometry{}, false
}

// cylinderAligned returns the alignment in sectors that the partition over the file
// system keeps, and that isohybrid makers give the image. Images with GRUB code end
// anywhere.
func (m *MBR) cylinderAligned(p MBRPartition) (int64, bool) {
	g, ok := geometryOf(p.EndCHS, p.end())
	if !ok || m.Code == CodeGRUB2 || p.end()%g.cylinder() != 0 {
		return 0, false
	}
	return g.cylinder(), true
}

// scaleProtective notes whether the entry that announces a GPT for larger sectors counts
// in those, too: from the second one to the end of the image, or without end.
func (m *MBR) scaleProtective(g *GPT, sectors int64) {
	for i := range m.Partitions {
		p := &m.Partitions[i]
		if p.Type != typeProtective || g.per() == 1 || p.First != 1 {
			continue
		}
		if end := p.end() * g.per(); end == g.end() || end == roundUp(sectors, g.per()) {
			p.per = g.per()
		}
	}
}

// partition returns the entry of that number.
func (m *MBR) partition(number int) *MBRPartition {
	for i := range m.Partitions {
		if m.Partitions[i].Number == number {
			return &m.Partitions[i]
		}
	}
	return nil
}

// move writes a new start and end into a copy of the entry's bytes. CHS addresses
// follow where the old ones tell a geometry, and stay otherwise.
func (p MBRPartition) move(entry []byte, first, end int64) {
	if g, ok := geometryOf(p.EndCHS, p.end()); ok {
		if p.StartCHS == g.chs(int64(p.First)) {
			c := g.chs(first)
			copy(entry[1:4], c[:])
		}
		c := g.chs(end - 1)
		copy(entry[5:8], c[:])
	}
	binary.LittleEndian.PutUint32(entry[8:], uint32(first))
	binary.LittleEndian.PutUint32(entry[12:], uint32(end-first))
}
