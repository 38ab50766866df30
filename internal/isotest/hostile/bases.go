package hostile

import (
	"encoding/binary"
	"hash/crc32"
)

// Base is a small sound image that programs change.
type Base struct {
	Name string
	Image
}

// Bases are the images that a [Program] chooses from, each with other structures.
func Bases() []Base {
	return []Base{
		{"plain", plain(Sub("DIR", AtDir), File("W.;1", AtHello, 5), section(AtText, BlockSize, 0x80), section(AtText+1, 5, 0), File("Y.;1", AtText, 60))(New()).sound()},
		{"rock ridge", rocky(New()).sound()},
		{"joliet", New()},
		{"boot", booting(New()).sound()},
		{"zisofs", deflated(New()).sound()},
		{"sessions", sessions(New())},
	}
}

// sound brings the path tables in line, which the makers of rows leave as they were.
func (m Image) sound() Image {
	m.Tables()
	return m
}

// rocky has what SUSP and Rock Ridge know: continuation areas, links of several
// components, times, a device, a hard link, a directory that is stored elsewhere.
func rocky(m Image) Image {
	m = moved(m)
	m.Put(AtCE, 0, SU("NM", []byte{0}, []byte("-and-its-end")), SU("TF", []byte{0x0e}, make([]byte, 21)), CE(AtCE, 100, 20))
	m.Put(AtCE, 100, SU("ZZ", make([]byte, 16)))
	m.Root(
		File("CL.;1", 0, 0, PX(ModeDir|0o755), NM("cl"), At("CL", AtDir)),
		File("DEV.;1", 0, 0, PX(ModeChar|0o600), NM("dev"), SU("PN", Pair32(0), Pair32(0x105))),
		File("HARD.;1", AtHello, 5, reg(), NM("hard")),
		File("LINK.;1", 0, 0, PX(ModeSymlink|0o777), NM("link"), SU("SL", []byte{0, 8, 0, 4, 0, 0, 3}, []byte("usr"), []byte{1, 2}, []byte("sh"), []byte{0, 3}, []byte("are"))),
		File("LONG.;1", AtText, 60, reg(), SU("NM", []byte{1}, []byte("a-long-name")), CE(AtCE, 0, uint32(17+5+21+28))),
		Sub("RR_MOVED", AtFree, PX(ModeDir|0o755), NM("rr_moved")),
	)
	return m
}

// booting has El Torito with two entries, a boot info table, an MBR and a GPT with
// checksums that are right.
func booting(m Image) Image {
	m = also(bootable, info)(m)
	m.Put(AtFree, 64, header(0x91, 0xef, 1), boots(0, 8, AtChain+2))
	m.Put(AtChain+2, 0, Repeat(4096/8, []byte("efi file")))
	m.guid()
	return m
}

// Places of the GPT of the base with one, in sectors of 512 bytes.
const (
	gptEntries    = 2 // sectors 2 to 17, up to the descriptors' area
	gptEntryCount = 64
)

// guid writes an MBR and a GPT over the whole image, with one partition: the EFI image.
func (m Image) guid() {
	last := uint64(len(m)/512 - 1)
	copy(m[446:], Join([]byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff}, LE32(1), LE32(uint32(last))))
	copy(m[510:], "\x55\xaa")
	entry := Join([]byte{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}, Repeat(16, []byte{7}),
		le64((AtChain+2)*4), le64((AtChain+4)*4-1), le64(0), []byte("E\x00F\x00I\x00"))
	copy(m[gptEntries*512:], entry)
	backup := last - gptEntryCount*128/512
	copy(m[backup*512:], m[gptEntries*512:gptEntries*512+gptEntryCount*128])
	for _, h := range [][4]uint64{{1, 1, last, gptEntries}, {last, last, 1, backup}} {
		copy(m[h[0]*512:], Join([]byte("EFI PART\x00\x00\x01\x00"), LE32(92), LE32(0), LE32(0), le64(h[1]), le64(h[2]), le64(18), le64(backup-1), Repeat(16, []byte{9}), le64(h[3]), LE32(gptEntryCount), LE32(128), LE32(0)))
	}
	m.sumGPT()
}

func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// sumGPT computes the checksums of both headers of a GPT, as far as they make sense.
func (m Image) sumGPT() {
	for _, at := range []int{512, len(m) - 512} {
		if at < 0 || at+512 > len(m) || string(m[at:at+8]) != "EFI PART" {
			continue
		}
		h := m[at:]
		first, n, size := binary.LittleEndian.Uint64(h[72:]), uint64(binary.LittleEndian.Uint32(h[80:])), uint64(binary.LittleEndian.Uint32(h[84:]))
		if end := uint64(len(m)); first < end/512 && n < end && size < end && first*512+n*size <= end {
			binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(m[first*512:first*512+n*size]))
		}
		if size := binary.LittleEndian.Uint32(h[12:]); size >= 20 && size <= 512 {
			clear(h[16:20])
			binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:size]))
		}
	}
}

// deflated has a compressed file that is a hole and one of data.
func deflated(m Image) Image {
	m = hole(m)
	packed := compress(Repeat(2000, []byte("text that packs ")))
	stored := Join(zHead(32000, 4, 15), LE32(24), LE32(uint32(24+len(packed))), packed)
	m.Put(AtChain+1, 0, stored)
	m.Root(InDir(),
		File("Y.;1", AtChain+1, uint32(len(stored)), reg(), NM("y"), SU("ZF", []byte("pz"), []byte{4, 15}, Pair32(32000))),
		File("Z.;1", AtChain, 24, reg(), NM("z"), SU("ZF", []byte("pz"), []byte{4, 15}, Pair32(100))))
	return m
}

// sessions has a second session at block 64, whose tree shares a file of the first.
func sessions(m Image) Image {
	m = alone(m)
	m.Tables()
	m.Put(AtPVD, OffSpaceSize, Pair32(64))
	const at = 64
	copy(m[(at+16)*BlockSize:(at+19)*BlockSize], m[AtPVD*BlockSize:(AtPVD+3)*BlockSize])
	copy(m[(at+32)*BlockSize:(at+36)*BlockSize], m[AtTable*BlockSize:(AtTable+4)*BlockSize])
	m.Put(at+16, OffSpaceSize, Pair32(uint32(len(m)/BlockSize)))
	m.Put(at+16, OffRoot+2, Pair32(at+20))
	m.Dir(at+20, at+20, Join(SP(0), PX(ModeDir|0o755)), PX(ModeDir|0o755), ATxt(), File("NEW.;1", at+22, 5, reg(), NM("new")), InDir())
	m.Put(at+22, 0, []byte("newer"))
	m.Dir(AtDir, at+20, PX(ModeDir|0o700), PX(ModeDir|0o755), File("B.;1", AtText, 60, PX(ModeRegular|0o600), NM("b")))
	l, big := m.table(at + 16)
	m.Put(at+32, 0, l)
	m.Put(at+34, 0, big)
	m.Put(at+16, OffTableSize, Pair32(uint32(len(l))), LE32(at+32), LE32(0), binary.BigEndian.AppendUint32(nil, at+34))
	return m
}
