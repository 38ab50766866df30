package boot

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"testing"
	"unicode/utf16"

	"github.com/isolayer/isolayer/internal/iso9660"
)

var le = binary.LittleEndian

// memory is a sparse image: blocks that were never written are zeros.
type memory struct {
	blocks map[int64][]byte
	size   int64
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) && off+int64(n) < m.size {
		at := off + int64(n)
		step := int(min(iso9660.BlockSize-at%iso9660.BlockSize, int64(len(p)-n), m.size-at))
		clear(p[n : n+step])
		if b := m.blocks[at/iso9660.BlockSize]; b != nil {
			copy(p[n:n+step], b[at%iso9660.BlockSize:])
		}
		n += step
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) write(off int64, p []byte) {
	for len(p) > 0 {
		at := off / iso9660.BlockSize
		if m.blocks[at] == nil {
			m.blocks[at] = make([]byte, iso9660.BlockSize)
		}
		n := copy(m.blocks[at][off%iso9660.BlockSize:], p)
		off, p = off+int64(n), p[n:]
	}
}

func (m *memory) clone() *memory {
	c := &memory{map[int64][]byte{}, m.size}
	for at, b := range m.blocks {
		c.blocks[at] = bytes.Clone(b)
	}
	return c
}

// equal compares the bytes of two images.
func (m *memory) equal(o *memory) bool {
	covers := func(a, b *memory) bool {
		for at, x := range a.blocks {
			y := b.blocks[at]
			if y == nil {
				y = make([]byte, iso9660.BlockSize)
			}
			if at*iso9660.BlockSize < a.size && !bytes.Equal(x, y) {
				return false
			}
		}
		return true
	}
	return m.size == o.size && covers(m, o) && covers(o, m)
}

// resize relocates for nothing but another end of the file system.
func resize(e *Equipment, from, to int64) (*Relocation, error) {
	return e.Relocate(Change{BaseEnd: from, NewEnd: to})
}

// apply does what the caller of Relocate has to do.
func (m *memory) apply(e *Equipment, f *Relocation) *memory {
	c := m.clone()
	if tail, ok := e.Trailer(); ok && f.TrailerMoves {
		c.write(tail.Off, make([]byte, tail.Len))
	}
	c.size = max(c.size, f.Size)
	for _, o := range e.appended() {
		c.write(o.Off, make([]byte, o.Len))
	}
	for _, a := range f.Appended {
		b := make([]byte, a.Object.Len)
		m.ReadAt(b, a.Object.Off)
		c.write(a.Off, b)
	}
	c.size = f.Size
	for _, p := range f.Patches {
		c.write(p.Off, p.Data)
	}
	return c
}

// part is a partition of a made image, in sectors.
type part struct {
	kind         byte // MBR type, 0 for a GPT entry
	active       bool
	first, count int64
	name         string
	guid         GUID
}

// spec describes an image to make.
type spec struct {
	sectors int64 // of the whole image
	volume  int64 // blocks
	code    string
	loader  uint64 // at byte 432
	shape   geometry
	mbr     []part
	gpt     []part
	array   int64 // sector of the GPT array
	entries int   // of the GPT
	catalog []byte
	images  map[int64][]byte // by block
}

const catalogAt = 40

// make builds the image and what the file system knows of it.
func (s spec) make() (*memory, Volume) {
	m := &memory{map[int64][]byte{}, s.sectors * sectorSize}
	v := Volume{Blocks: s.volume}
	if s.volume >= madeEnd {
		v.End = madeEnd
	}
	if s.mbr != nil {
		m.write(0, s.sector0())
	}
	if s.gpt != nil {
		s.writeGPT(m)
	}
	if s.catalog != nil {
		v.Catalog = catalogAt
		m.write(catalogAt*iso9660.BlockSize, s.catalog)
	}
	for at, b := range s.images {
		m.write(at*iso9660.BlockSize, b)
	}
	m.write(16*iso9660.BlockSize, []byte("\x01CD001\x01"))
	return m, v
}

func (s spec) sector0() []byte {
	b := make([]byte, sectorSize)
	copy(b[100:], s.code)
	le.PutUint64(b[mbrLoaderOff:], s.loader)
	le.PutUint32(b[440:], 0xcafebabe)
	b[510], b[511] = 0x55, 0xaa
	for i, p := range s.mbr {
		e := b[mbrTableOff+i*mbrEntrySize:]
		if p.active {
			e[0] = 0x80
		}
		first, last := CHS{0xfe, 0xff, 0xff}, CHS{0xfe, 0xff, 0xff}
		if s.shape.heads > 0 {
			first, last = s.shape.chs(p.first), s.shape.chs(p.first+p.count-1)
		}
		copy(e[1:], first[:])
		e[4] = p.kind
		copy(e[5:], last[:])
		le.PutUint32(e[8:], uint32(p.first))
		le.PutUint32(e[12:], uint32(p.count))
	}
	return b
}

// writeGPT writes both tables, on its own account of the format.
func (s spec) writeGPT(m *memory) {
	array := make([]byte, s.entries*gptEntrySize)
	for i, p := range s.gpt {
		b := array[i*gptEntrySize:]
		copy(b, p.guid[:])
		b[16] = byte(i + 1)
		le.PutUint64(b[32:], uint64(p.first))
		le.PutUint64(b[40:], uint64(p.first+p.count-1))
		for j, c := range utf16.Encode([]rune(p.name)) {
			le.PutUint16(b[56+2*j:], c)
		}
	}
	n := int64(len(array)) / sectorSize
	header := func(own, other, array int64, sum uint32) []byte {
		h := make([]byte, gptHeaderSize)
		copy(h, "EFI PART\x00\x00\x01\x00\x5c")
		for off, v := range map[int]int64{24: own, 32: other, 40: 34, 48: s.sectors - n - 2, 72: array} {
			le.PutUint64(h[off:], uint64(v))
		}
		copy(h[56:], "a disk GUID here")
		le.PutUint32(h[80:], uint32(s.entries))
		le.PutUint32(h[84:], gptEntrySize)
		le.PutUint32(h[88:], sum)
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h))
		return h
	}
	sum := crc32.ChecksumIEEE(array)
	last := s.sectors - 1
	m.write(sectorSize, header(1, last, s.array, sum))
	m.write(s.array*sectorSize, array)
	m.write((last-n)*sectorSize, array)
	m.write(last*sectorSize, header(last, 1, last-n, sum))
}

var (
	guidData = GUID{0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7}
	cd       = geometry{64, 32}
)

// The layouts that can be resized. Each file system ends at block 900.
const madeEnd = 900

var made = map[string]spec{
	"plain, padded":                    {sectors: 4 * 1050, volume: 1050, catalog: record("BIOS")},
	"plain, not padded":                {sectors: 4 * 900, volume: 900},
	"plain, padding behind the volume": {sectors: 4 * 1056, volume: 900},
	"isohybrid": {
		sectors: 6144, volume: 1050, code: "isolinux", loader: 50 * 4, shape: cd,
		mbr: []part{{kind: 0x17, active: true, count: 6144}},
	},
	"isohybrid with offset": {
		sectors: 6144, volume: 1050, code: "isolinux", shape: cd,
		mbr: []part{{kind: 0x17, active: true, first: 4, count: 6140}},
	},
	"isohybrid, 255 heads": {
		sectors: 16065, volume: 1050, code: "isolinux", shape: geometry{255, 63},
		mbr: []part{{kind: 0x17, active: true, count: 16065}},
	},
	"isohybrid by libisofs": {
		sectors: 6144, volume: 1536, code: "isolinux", shape: cd,
		mbr: []part{{kind: 0x17, active: true, count: 6144}},
	},
	"isohybrid by xorriso": {
		sectors: 4*1024 + 4*160, volume: 1024, code: "isolinux", shape: cd,
		mbr: []part{{kind: 0x17, active: true, count: 4096}},
	},
	"isohybrid and GPT": {
		sectors: 6144, volume: 1050, code: "isolinux", shape: cd, array: 2, entries: 128,
		mbr: []part{{active: true, count: 6144}, {kind: 0xef, first: 200, count: 1000}},
		gpt: []part{{guid: guidData, count: 4200, name: "ISOHybrid ISO"}, {guid: guidData, first: 200, count: 1000, name: "ISOHybrid"}},
	},
	"isohybrid and GPT by libisofs": {
		sectors: 6144, volume: 1536, code: "isolinux", shape: cd, array: 12, entries: 208,
		mbr: []part{{active: true, count: 6144}, {kind: 0xef, first: 172, count: 1000}},
		gpt: []part{{guid: guidData, count: 6144 - 56, name: "ISOHybrid"}, {guid: guidData, first: 172, count: 1000, name: "ISOHybrid1"}},
	},
	"appended, in a GPT": { // Ubuntu, Fedora
		sectors: 5264, volume: 1316, code: "GRUB ", array: 2, entries: 248, loader: 50*4 + 4,
		mbr: []part{{kind: 0xee, first: 1, count: 5263}, {active: true, count: 1}},
		gpt: []part{
			{guid: guidData, first: 64, count: 3600 - 64, name: "ISO9660"},
			{guid: guidESP, first: 3600, count: 1000, name: "Appended2"},
			{guid: guidData, first: 4600, count: 600, name: "Gap1"},
		},
		catalog: uefiToo(900, 1000), images: map[int64][]byte{50: grubImage(2600, 50), 900: fatSector(1000)},
	},
	"appended, on a cylinder": { // Arch
		sectors: 6144, volume: 1536, code: "isolinux", shape: cd, loader: 50 * 4,
		mbr:     []part{{active: true, first: 64, count: 4096 - 64}, {kind: 0xef, first: 4096, count: 2048}},
		catalog: uefiToo(1024, 2048), images: map[int64][]byte{50: isolinuxImage(3001, 50), 1024: fatSector(2048)},
	},
	"appended, behind the volume": { // memtest86+
		sectors: 5200, volume: 900, code: "boot code",
		mbr:     []part{{active: true, count: 3600}, {kind: 0xef, first: 3600, count: 1000}},
		catalog: uefiToo(900, 1000), images: map[int64][]byte{900: fatSector(1000)},
	},
	"two appended": {
		sectors: 5600, volume: 1400, code: "boot code",
		mbr:     []part{{active: true, count: 3600}, {kind: 0xef, first: 3600, count: 1000}, {kind: 0x83, first: 4600, count: 400}},
		catalog: uefiToo(900, 1000), images: map[int64][]byte{900: fatSector(1000), 1150: []byte("the second one")},
	},
	"gaps": { // grub-mkrescue
		sectors: 4248, volume: 1062, code: "GRUB ", array: 20, entries: 176, loader: 50*4 + 4,
		mbr: []part{{kind: 0xee, first: 1, count: 4247}},
		gpt: []part{
			{guid: guidData, first: 64, count: 284, name: "Gap0"},
			{guid: guidESP, first: 348, count: 400, name: "EFI boot partition"},
			{guid: guidHFS, first: 748, count: 2852, name: "HFSPLUS"},
			{guid: guidData, first: 3600, count: 600, name: "Gap1"},
		},
		catalog: uefiToo(87, 400), images: map[int64][]byte{50: grubImage(3000, 50), 87: fatSector(400)},
	},
	"GRUB 2": {
		sectors: 4 * 1050, volume: 1050, code: "GRUB ", shape: cd,
		mbr: []part{{kind: 0xcd, active: true, first: 1, count: 4*1050 - 1}},
	},
	"GRUB 2, addresses not told": {
		sectors: 4 * 1050, volume: 1050, code: "GRUB ",
		mbr: []part{{kind: 0xcd, active: true, first: 1, count: 4*1050 - 1}},
	},
}

// record makes a catalog with a default entry for block 50.
func record(id string) []byte {
	b := make([]byte, 64)
	b[0], b[30], b[31] = 1, 0x55, 0xaa
	copy(b[4:28], id)
	le.PutUint16(b[28:], -sum16(b))
	copy(b[32:], bootEntry(50, 4, 0))
	return b
}

// uefiToo is record with an entry for UEFI.
func uefiToo(at uint32, sectors uint16) []byte {
	return join(record(""), header(recLastHeader, 0xef, 1, ""), bootEntry(at, sectors, 0))
}

// isolinuxImage is a boot image of n bytes for block at, with its table filled in.
func isolinuxImage(n int, at uint32) []byte {
	b := loaderImage("\xfb\xc0\x78\x70", 64, n)
	fillBootInfo(b, at)
	return b
}

// grubImage is the same of GRUB.
func grubImage(n int, at uint32) []byte {
	b := loaderImage("\x00Geom\x00Read\x00 Error", 512, n)
	if n >= grub2InfoOff+8 {
		le.PutUint64(b[grub2InfoOff:], uint64(at)*4+5)
	}
	fillBootInfo(b, at)
	return b
}

// fillBootInfo is the table by its description, on its own account.
func fillBootInfo(b []byte, at uint32) {
	sum := uint32(0)
	for i := 64; i < len(b); i++ {
		sum += uint32(b[i]) << (8 * (i % 4))
	}
	clear(b[8:64])
	for i, v := range []uint32{16, at, uint32(len(b)), sum} {
		le.PutUint32(b[8+4*i:], v)
	}
}

func bootEntry(at uint32, sectors uint16, media byte) []byte {
	b := make([]byte, catalogRecord)
	b[0], b[1] = recBootable, media
	le.PutUint16(b[6:], sectors)
	le.PutUint32(b[8:], at)
	return b
}

func header(kind, platform byte, count uint16, id string) []byte {
	b := make([]byte, catalogRecord)
	b[0], b[1] = kind, platform
	le.PutUint16(b[2:], count)
	copy(b[4:], id)
	return b
}

// parse makes the image and parses it.
func (s spec) parse(tb testing.TB) (*memory, *Equipment) {
	tb.Helper()
	m, v := s.make()
	e, err := Parse(m, m.size, v)
	if err != nil {
		tb.Fatal(err)
	}
	return m, e
}

func crc(b []byte) uint32 { return crc32.ChecksumIEEE(b) }
