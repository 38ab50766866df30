package hostile

import (
	"bytes"
	"compress/zlib"
)

var volumeRows = []Row{
	{ID: "V1", What: "no terminator", Kind: Format, Stage: Noted, Shows: "/a.txt", make: func(m Image) Image { m.Clear(AtEnd); return m }},
	{ID: "V2 same", What: "two primary descriptors, the same", Stage: Nobody, Shows: "/a.txt", twin: alone, make: func(m Image) Image {
		copy(m.Block(AtSVD), m.Block(AtPVD))
		return m
	}},
	{ID: "V2", What: "two primary descriptors of different trees", Kind: Conflict, Stage: Noted, Shows: "/a.txt", twin: alone, make: func(m Image) Image {
		m.Descriptor(AtSVD, 1, AtDir)
		return m
	}},
	{ID: "V3", What: "112 primary descriptors", Kind: Limit, Stage: Open, twin: alone, make: func(m Image) Image {
		for i := AtPVD; i < Allocate; i++ {
			m.Descriptor(i, 1, AtRoot)
		}
		return m
	}},
	{ID: "V3 many", What: "4,096 primary descriptors", Kind: Limit, Stage: Open, twin: alone, make: func(Image) Image {
		m := append(New(), make(Image, 4096*BlockSize)...)
		for i := AtPVD; i < AtPVD+4096; i++ {
			m.Descriptor(i, 1, AtRoot)
		}
		return m
	}},
	{ID: "V4 0", What: "blocks of 0 bytes", Kind: Unsupported, Stage: Open, make: patched(AtPVD, OffBlockSize, Pair16(0))},
	{ID: "V4 1", What: "blocks of 1 byte", Kind: Unsupported, Stage: Open, make: patched(AtPVD, OffBlockSize, Pair16(1))},
	{ID: "V4 512", What: "blocks of 512 bytes", Kind: Unsupported, Stage: Open, make: patched(AtPVD, OffBlockSize, Pair16(512))},
	{ID: "V4 65535", What: "blocks of 65,535 bytes", Kind: Unsupported, Stage: Open, make: patched(AtPVD, OffBlockSize, Pair16(65535))},
	{ID: "V5 0", What: "a volume of 0 blocks", Kind: Conflict, Stage: Noted, Shows: "/a.txt", make: patched(AtPVD, OffSpaceSize, Pair32(0))},
	{ID: "V5 max", What: "a volume of 0xffffffff blocks", Kind: Trunc, Stage: Noted, Shows: "/a.txt", make: patched(AtPVD, OffSpaceSize, Pair32(0xffffffff))},
	{ID: "V5 differs", What: "volume sizes in two byte orders differ", Kind: Conflict, Stage: Noted, make: patched(AtPVD, OffSpaceSize+4, []byte{0, 0, 0, 7})},
	// Path tables are never read to find files: whatever they say does no harm.
	{ID: "V6", What: "a path table of 0xffffffff bytes", Kind: Range, Stage: Noted, Shows: "/a.txt", make: patched(AtPVD, OffTableSize, Pair32(0xffffffff))},
	{ID: "V7", What: "a path table at block 0x7fffffff", Kind: Range, Stage: Noted, Shows: "/a.txt", make: patched(AtPVD, OffLTable, LE32(0x7fffffff))},
	{ID: "V8", What: "a path table that lists other directories", Kind: Conflict, Stage: Noted, Shows: "/a.txt", make: patched(AtPVD, OffLTable, LE32(AtText))},
	{ID: "V9", What: "the root at block 0", Kind: Format, Stage: Open, make: patched(AtPVD, OffRoot+2, Pair32(0))},
	{ID: "V9 far", What: "the root at block 0x7fffffff", Kind: Range, Stage: Open, make: patched(AtPVD, OffRoot+2, Pair32(0x7fffffff))},
	{ID: "V9 file", What: "the root is not a directory", Kind: Format, Stage: Open, make: patched(AtPVD, OffRoot+25, []byte{0})},
	{ID: "V9 size", What: "a root of 0xfffff800 bytes", Kind: Range, Stage: Open, make: patched(AtPVD, OffRoot+10, Pair32(0xfffff800))},
	// The field has 34 bytes whatever its first one says.
	{ID: "V9 length", What: "a root record of 255 bytes", Stage: Nobody, Shows: "/a.txt", make: patched(AtPVD, OffRoot, []byte{255})},
	{ID: "V9 identifier", What: "a root identifier of 255 bytes", Kind: Format, Stage: Open, make: patched(AtPVD, OffRoot+32, []byte{255})},
	{ID: "V10", What: "a second session behind the first", Stage: Noted, Shows: "/a.txt", twin: alone, make: func(m Image) Image {
		m.Put(AtPVD, OffSpaceSize, Pair32(64))
		m.Descriptor(64+16, 1, AtDir)
		m.Descriptor(64+17, 255, 0)
		return m
	}},
	{ID: "V11", What: "no primary descriptor", Kind: NotISO, Stage: Open, make: func(m Image) Image { m.Clear(AtPVD); return m }},
	{ID: "V12", What: "a volume set of 65,535 volumes", Stage: Nobody, Shows: "/a.txt", make: patched(AtPVD, 120, Pair16(65535), Pair16(65535))},
	{ID: "V13", What: "descriptor texts of control characters", Stage: Nobody, Shows: "/a.txt", make: patched(AtPVD, OffVolumeID, []byte("\x1b[2J\x1b]0;\x07\n\r\x00\xff"))},
	{ID: "V14", What: "dates of descriptors of 0xff", Kind: Format, Stage: Noted, Shows: "/a.txt", make: patched(AtPVD, OffCreated, Repeat(68, []byte{0xff}))},
}

// catalog is an image with an El Torito boot catalog of one block at AtFree, whose image
// is at AtChain, of two blocks.
func catalog(recs ...[]byte) func(Image) Image {
	return func(m Image) Image {
		m = alone(m)
		copy(m.Block(AtEnd), m.Block(AtSVD))
		m.Clear(AtSVD)
		m.Put(AtSVD, 0, []byte("\x00CD001\x01EL TORITO SPECIFICATION"))
		m.Put(AtSVD, 71, LE32(AtFree))
		m.Put(AtFree, 0, recs...)
		m.Put(AtChain, 0, Repeat(4096/8, []byte("\xeb\xfebootok")))
		m.Root(InDir(), File("BOOT.BIN;1", AtChain, 4096, reg(), NM("boot.bin")), File("BOOT.CAT;1", AtFree, BlockSize, reg(), NM("boot.cat")))
		return m
	}
}

// validation is the first record of a catalog (El Torito 2.1).
func validation() []byte {
	v := Join([]byte{1, 0, 0, 0}, make([]byte, 24), []byte{0, 0, 0x55, 0xaa})
	sum := uint16(0)
	for i := 0; i < len(v); i += 2 {
		sum += uint16(v[i]) | uint16(v[i+1])<<8
	}
	copy(v[28:], LE16(-sum))
	return v
}

// boots is a catalog record of a boot image (El Torito 2.2).
func boots(media byte, sectors uint16, lba uint32) []byte {
	return Join([]byte{0x88, media, 0, 0, 0, 0}, LE16(sectors), LE32(lba), make([]byte, 20))
}

// header is a section header of n entries (El Torito 2.3); kind 0x91 is the last.
func header(kind, platform byte, n uint16) []byte {
	return Join([]byte{kind, platform}, LE16(n), make([]byte, 28))
}

// bootable is a sound catalog of one image.
var bootable = catalog(validation(), boots(0, 4, AtChain))

// gpt is an image with a protective MBR and a primary GPT header of that many entries.
func gpt(entries, size uint32) func(Image) Image {
	return func(m Image) Image {
		m = alone(m)
		copy(m[446:], Join([]byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff}, LE32(1), LE32(uint32(len(m)/512-1))))
		copy(m[510:], "\x55\xaa")
		h := Join([]byte("EFI PART\x00\x00\x01\x00"), LE32(92), LE32(0), LE32(0), LE32(1), LE32(0), LE32(uint32(len(m)/512-1)), LE32(0), LE32(34), LE32(0), LE32(uint32(len(m)/512-34)), LE32(0), make([]byte, 16), LE32(2), LE32(0), LE32(entries), LE32(size), LE32(0))
		copy(m[512:], h)
		return m
	}
}

var bootRows = []Row{
	{ID: "E1", What: "a boot catalog at block 0x7fffffff", Kind: Range, Stage: Noted, Shows: "/a.txt", twin: bootable, make: patched(AtSVD, 71, LE32(0x7fffffff))},
	{ID: "E2", What: "a wrong checksum of the catalog", Kind: Format, Stage: Noted, Shows: "/a.txt", twin: bootable, make: patched(AtFree, 28, []byte{1, 2})},
	{ID: "E3", What: "a boot image at block 0x7ffffff0", Kind: Range, Stage: Noted, Shows: "/a.txt", twin: bootable, make: patched(AtFree, 32+8, LE32(0x7ffffff0))},
	{ID: "E3 size", What: "a boot image of 0xffff sectors", Kind: Range, Stage: Noted, Shows: "/a.txt", twin: bootable, make: patched(AtFree, 32+6, LE16(0xffff))},
	{ID: "E4", What: "a section of 65,535 entries", Kind: Limit, Stage: Noted, Shows: "/a.txt", twin: bootable, make: also(patched(AtFree, 64, header(0x91, 0xef, 65535)), patched(AtFree, 96, Repeat(61, boots(0, 4, AtChain))))},
	{ID: "E5", What: "62 sections, each of which announces a further one", Kind: Limit, Stage: Noted, Shows: "/a.txt", twin: bootable, make: patched(AtFree, 64, Repeat(62, header(0x90, 0, 0)))},
	{ID: "E6", What: "60 extension records of one entry", Kind: Limit, Stage: Noted, Shows: "/a.txt", twin: bootable, make: also(patched(AtFree, 64, header(0x91, 0, 1), boots(0, 4, AtChain)), patched(AtFree, 128, Repeat(60, Join([]byte{0x44, 0x20}, make([]byte, 30)))))},
	{ID: "E7", What: "a boot catalog at block 16", Kind: Format, Stage: Noted, Shows: "/a.txt", twin: bootable, make: patched(AtSVD, 71, LE32(AtPVD))},
	{ID: "E8", What: "a hard disk image without an MBR", Kind: Format, Stage: Noted, Shows: "/a.txt", twin: bootable, make: patched(AtFree, 33, []byte{4})},
	{ID: "E9", What: "a boot image of which nothing is loaded", Stage: Nobody, Shows: "/a.txt", twin: bootable, make: patched(AtFree, 32+6, LE16(0))},
	{
		ID: "E10", What: "a boot info table with a wrong checksum", Kind: Format, Stage: Noted, Shows: "/a.txt", twin: also(bootable, info),
		make: patched(AtChain, 8+12, []byte{1, 2, 3, 4}),
	},
	{ID: "E11", What: "a GPT with a wrong checksum and without a backup", Kind: Format, Stage: Noted, Shows: "/a.txt", twin: alone, make: gpt(128, 128)},
	{ID: "E11 entries", What: "a GPT of 0xffffffff entries", Kind: Unsupported, Stage: Edit, Shows: "/a.txt", twin: alone, make: gpt(0xffffffff, 128)},
	{ID: "E11 size", What: "a GPT of entries of 0xfffffff8 bytes", Kind: Unsupported, Stage: Edit, Shows: "/a.txt", twin: alone, make: gpt(128, 0xfffffff8)},
	{ID: "E12", What: "an MBR partition behind the end", Kind: Range, Stage: Noted, Shows: "/a.txt", twin: alone, make: also(patched(0, 446, []byte{0x80, 0, 2, 0, 0x17, 0xff, 0xff, 0xff}, LE32(0xfffffff0), LE32(0xfffffff0)), patched(0, 510, []byte{0x55, 0xaa}))},
	{ID: "E13", What: "an EFI image that says it is FAT and is not", Stage: Nobody, Shows: "/a.txt", twin: bootable, make: also(patched(AtFree, 64, header(0x91, 0xef, 1), boots(0, 8, AtChain+2)), patched(AtChain+2, 0, []byte("\xeb\x3c\x90mkfs.fat"), LE16(512), []byte{0, 0, 0, 0xff}), patched(AtChain+2, 510, []byte{0x55, 0xaa}))},
}

// info puts a boot info table into the boot image of bootable.
func info(m Image) Image {
	img := m[AtChain*BlockSize : (AtChain+2)*BlockSize]
	sum := uint32(0)
	for i := 64; i < len(img); i += 4 {
		sum += uint32(img[i]) | uint32(img[i+1])<<8 | uint32(img[i+2])<<16 | uint32(img[i+3])<<24
	}
	clear(img[8:64])
	copy(img[8:], Join(LE32(AtPVD), LE32(AtChain), LE32(uint32(len(img))), LE32(sum)))
	return m
}

var zMagic = []byte{0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07}

func zHead(size uint32, words, blockLog byte) []byte {
	return Join(zMagic, LE32(size), []byte{words, blockLog, 0, 0})
}

// compressed is an image with a compressed file z, of what is stored.
func compressed(size uint32, blockLog byte, stored ...[]byte) func(Image) Image {
	return func(m Image) Image {
		b := Join(stored...)
		m = append(m, make(Image, max(0, AtChain*BlockSize+(len(b)+BlockSize-1)/BlockSize*BlockSize-len(m)))...)
		m.Put(AtPVD, OffSpaceSize, Pair32(uint32(len(m)/BlockSize)))
		m = rooted(File("Z.;1", AtChain, uint32(len(b)), reg(), NM("z"), SU("ZF", []byte("pz"), []byte{4, blockLog}, Pair32(size))))(m)
		m.Put(AtChain, 0, b)
		return m
	}
}

// hole is a compressed file of 100 zeros.
var hole = compressed(100, 15, zHead(100, 4, 15), LE32(24), LE32(24))

func compress(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(data) // memory
	_ = w.Close()
	return b.Bytes()
}

// bomb is a compressed file of blocks of zeros that are all stored in one place.
func bomb(blocks int) func(Image) Image {
	b := compress(make([]byte, 1<<17))
	size := uint32(blocks) << 17
	start := uint32(16 + 4*(blocks+1))
	table := make([]byte, 0, 4*(blocks+1))
	data := make([]byte, 0, blocks*len(b))
	for range blocks {
		table = append(table, LE32(start+uint32(len(data)))...)
		data = append(data, b...)
	}
	table = append(table, LE32(start+uint32(len(data)))...)
	return compressed(size, 17, zHead(size, 4, 17), table, data)
}

var zisofsRows = []Row{
	{ID: "Z1", What: "0.3 MB that become 262 MB", Stage: Nobody, Shows: "/z", Big: true, twin: hole, make: remade(bomb(2000))},
	{ID: "Z1 bomb", File: "/z", What: "4 MB that become 4 GB", Kind: Bomb, Stage: Extract, Big: true, twin: hole, make: remade(bomb(32000))},
	{ID: "Z2", File: "/z", What: "a compressed file of 4 GiB without data", Kind: Trunc, Stage: Unpack, twin: hole, make: compressed(0xffffffff, 15, zHead(0xffffffff, 4, 15))},
	{ID: "Z3", What: "compressed blocks of 2^2 bytes", Kind: Format, Stage: Open, twin: hole, make: compressed(100, 2, zHead(100, 4, 2))},
	{ID: "Z3 255", What: "compressed blocks of 2^255 bytes", Kind: Format, Stage: Open, twin: hole, make: compressed(100, 255, zHead(100, 4, 255))},
	{ID: "Z4", File: "/z", What: "block pointers that fall", Kind: Format, Stage: Unpack, twin: hole, make: compressed(100, 15, zHead(100, 4, 15), LE32(24), LE32(16))},
	{ID: "Z4 far", File: "/z", What: "a block pointer behind the file", Kind: Format, Stage: Unpack, twin: hole, make: compressed(100, 15, zHead(100, 4, 15), LE32(24), LE32(2500))},
	{ID: "Z4 data", File: "/z", What: "a block of no compressed data", Kind: Format, Stage: Unpack, twin: hole, make: compressed(100, 15, zHead(100, 4, 15), LE32(16), LE32(20))},
	{ID: "Z5", File: "/z", What: "sizes of header and entry differ", Kind: Conflict, Stage: Unpack, twin: hole, make: compressed(100, 15, zHead(101, 4, 15), LE32(24), LE32(24))},
	{ID: "Z7", File: "/z", What: "no header in front of the data", Kind: Format, Stage: Unpack, twin: hole, make: compressed(100, 15, make([]byte, 24))},
	{ID: "Z8", What: "an unknown algorithm", Kind: Unsupported, Stage: Open, twin: hole, make: entries(SU("ZF", []byte("xz"), []byte{4, 15}, Pair32(9)))},
	{ID: "Z9", What: "an entry ZF of 8 bytes", Kind: Format, Stage: Open, twin: hole, make: entries(SU("ZF", []byte("pz"), []byte{4, 15}))},
}

// special is a file that is none.
func special(mode uint32) func(Image) Image {
	return used(nil, PX(mode), NM("x"), SU("PN", Pair32(8), Pair32(0)))
}

// cut is a shorter image.
func cut(n int) func(Image) Image { return func(m Image) Image { return m[:n] } }

var fileRows = []Row{
	{ID: "P1", What: "a device node", Stage: Nobody, Shows: "/x", twin: entries(), make: special(ModeChar | 0o666)},
	{ID: "P1 fifo", What: "a FIFO", Stage: Nobody, Shows: "/x", twin: entries(), make: special(ModeFIFO | 0o666)},
	{ID: "P1 setuid", What: "a setuid program", Stage: Nobody, Shows: "/x", twin: entries(), make: used(nil, PX(ModeRegular|0o6755), NM("x"))},
	{ID: "P2 root", What: "cut in the root directory", Kind: Trunc, Stage: Open, make: cut(AtRoot*BlockSize + 100)},
	{ID: "P2 descriptor", What: "cut in the descriptor", Kind: NotISO, Stage: Open, make: cut(AtPVD*BlockSize + 100)},
	{ID: "P2 behind", What: "cut behind the descriptor", Kind: Trunc, Stage: Open, make: cut((AtPVD + 1) * BlockSize)},
	{ID: "P2 file", File: "/dir/b", What: "cut in a file", Kind: Trunc, Stage: Content, make: cut(AtText*BlockSize + 30)},
	{ID: "P2 padding", What: "cut in the padding", Kind: Trunc, Stage: Noted, Shows: "/a.txt", make: cut(120 * BlockSize)},
	{ID: "P3 empty", What: "an empty file", Kind: NotISO, Stage: Open, make: cut(0)},
	{ID: "P3 zero", What: "40 KiB of zeros", Kind: NotISO, Stage: Open, make: func(Image) Image { return make(Image, 40<<10) }},
	{ID: "P3 text", What: "text", Kind: NotISO, Stage: Open, make: func(Image) Image { return Repeat(2000, []byte("<html>not found</html>\n")) }},
	{ID: "P3 gzip", What: "gzip data", Kind: NotISO, Stage: Open, make: func(Image) Image { return Join([]byte("\x1f\x8b\x08\x00"), make([]byte, 64<<10)) }},
	{ID: "P4", What: "4 TiB of holes", Stage: Nobody, Shows: "/a.txt", Grow: 4 << 40, make: func(m Image) Image { return m }},
}
