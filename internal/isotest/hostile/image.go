// Package hostile makes small ISO 9660 images by hand, byte by byte: sound ones, and
// for each row of a catalogue one that breaks a rule, beside its unbroken twin.
//
// It does not use the packages it helps to test, so that a mistake of theirs cannot
// hide behind the same mistake here.
package hostile

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
)

// BlockSize is that of all images here.
const BlockSize = 2048

// The blocks of the image that [New] makes.
const (
	AtPVD    = 16
	AtSVD    = 17
	AtEnd    = 18
	AtRoot   = 20
	AtDir    = 21
	AtFree   = 22 // 22 to 29: zero
	AtCE     = 24
	AtJRoot  = 30
	AtJDir   = 31
	AtTable  = 32 // path tables: L and M, primary and Joliet
	AtHello  = 40 // "hello"
	AtText   = 41 // "There is a lot of text here. …"
	AtChain  = 50 // and behind: zero
	Allocate = 128
)

// Offsets in a volume descriptor (ECMA-119 8.4).
const (
	OffVolumeID  = 40
	OffSpaceSize = 80
	OffEscapes   = 88
	OffBlockSize = 128
	OffTableSize = 132
	OffLTable    = 140
	OffMTable    = 148
	OffRoot      = 156
	OffCreated   = 813
)

// Modes of PX.
const (
	ModeDir     = 0o040000
	ModeRegular = 0o100000
	ModeSymlink = 0o120000
	ModeChar    = 0o020000
	ModeFIFO    = 0o010000
)

// Image is an image: the bytes themselves, to be patched at will.
type Image []byte

// LE16, LE32, Pair16 and Pair32 encode numbers in little-endian and in both byte orders.
func LE16(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }

// LE32 is the little-endian number.
func LE32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// Pair16 is the number in both byte orders (ECMA-119 7.2.3).
func Pair16(v uint16) []byte { return binary.BigEndian.AppendUint16(LE16(v), v) }

// Pair32 is the number in both byte orders (ECMA-119 7.3.3).
func Pair32(v uint32) []byte { return binary.BigEndian.AppendUint32(LE32(v), v) }

// Join puts parts in a row.
func Join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Repeat is n times b.
func Repeat(n int, b []byte) []byte { return bytes.Repeat(b, n) }

// UCS is a name in the characters of Joliet.
func UCS(s string) string {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return string(b)
}

// Rec is a directory record (ECMA-119 9.1) with the given system use entries.
func Rec(id string, lba, size uint32, flags byte, su ...[]byte) []byte {
	r := Join([]byte{0, 0}, Pair32(lba), Pair32(size), []byte{126, 11, 23, 9, 5, 45, 0, flags, 0, 0}, Pair16(1), []byte{byte(len(id))}, []byte(id))
	if len(id)%2 == 0 {
		r = append(r, 0)
	}
	r = append(r, Join(su...)...)
	if len(r)%2 == 1 {
		r = append(r, 0)
	}
	r[0] = byte(len(r))
	return r
}

// File is the record of a file.
func File(id string, lba, size uint32, su ...[]byte) []byte { return Rec(id, lba, size, 0, su...) }

// Sub is the record of a directory of one block.
func Sub(id string, lba uint32, su ...[]byte) []byte { return Rec(id, lba, BlockSize, 2, su...) }

// SU is a system use entry (SUSP 4.1).
func SU(sig string, data ...[]byte) []byte {
	e := Join([]byte(sig), []byte{0, 1}, Join(data...))
	e[2] = byte(len(e))
	return e
}

// PX is the entry of mode, one link, owner 0.
func PX(mode uint32) []byte { return SU("PX", Pair32(mode), Pair32(1), Pair32(0), Pair32(0)) }

// NM is the entry of a name.
func NM(name string) []byte { return SU("NM", []byte{0}, []byte(name)) }

// SP is the entry that begins system use fields (SUSP 5.3).
func SP(skip byte) []byte { return SU("SP", []byte{0xbe, 0xef, skip}) }

// At is an entry of one address: CL, PL.
func At(sig string, v uint32) []byte { return SU(sig, Pair32(v)) }

// CE is the entry that leads to a continuation area (SUSP 5.1).
func CE(block, off, n uint32) []byte { return SU("CE", Pair32(block), Pair32(off), Pair32(n)) }

// SL is the entry of a link of one component.
func SL(more, flags byte, text string) []byte {
	return SU("SL", []byte{more, flags, byte(len(text))}, []byte(text))
}

// Put copies b to offset off of block lba.
func (m Image) Put(lba, off int, b ...[]byte) { copy(m[lba*BlockSize+off:], Join(b...)) }

// Clear zeroes a block.
func (m Image) Clear(lba int) { clear(m.Block(lba)) }

// Block is the bytes of a block.
func (m Image) Block(lba int) []byte { return m[lba*BlockSize : (lba+1)*BlockSize] }

// Dir writes a directory at block lba, one block as a rule; dot are the system
// use entries of its own record, up those of its parent's.
func (m Image) Dir(lba, parent uint32, dot, up []byte, recs ...[]byte) {
	m.Clear(int(lba))
	off := 0
	for _, r := range append([][]byte{Rec("\x00", lba, BlockSize, 2, dot), Rec("\x01", parent, BlockSize, 2, up)}, recs...) {
		if left := BlockSize - off%BlockSize; len(r) > left {
			off += left
		}
		m.Put(int(lba), off, r)
		off += len(r)
	}
}

// Root writes the root directory with Rock Ridge, "a.txt", and recs.
func (m Image) Root(recs ...[]byte) {
	m.Dir(AtRoot, AtRoot, Join(SP(0), PX(ModeDir|0o755)), PX(ModeDir|0o755), append([][]byte{ATxt()}, recs...)...)
}

// PlainRoot writes the root directory without Rock Ridge.
func (m Image) PlainRoot(recs ...[]byte) { m.Dir(AtRoot, AtRoot, nil, nil, recs...) }

// ATxt is the record of a.txt.
func ATxt(su ...[]byte) []byte {
	return File("A.TXT;1", AtHello, 5, append([][]byte{PX(ModeRegular | 0o644), NM("a.txt")}, su...)...)
}

// InDir is the record of the subdirectory that New has.
func InDir() []byte { return Sub("DIR", AtDir, PX(ModeDir|0o700), NM("dir")) }

// Descriptor writes a volume descriptor (ECMA-119 8) whose root directory is at block
// root. Kind 2 is that of Joliet, 255 the terminator.
func (m Image) Descriptor(lba int, kind byte, root uint32) {
	m.Clear(lba)
	m.Put(lba, 0, []byte{kind}, []byte("CD001\x01"))
	if kind == 255 {
		return
	}
	name := []byte("VOLUME ")
	blank := []byte{' '}
	if kind == 2 {
		name, blank = []byte(UCS("VOLUME ")), []byte(UCS(" "))
		m.Put(lba, OffEscapes, []byte("%/E"))
	}
	m.Put(lba, 8, Repeat(64/len(blank), blank))
	m.Put(lba, OffVolumeID, name)
	m.Put(lba, OffSpaceSize, Pair32(uint32(len(m)/BlockSize)))
	m.Put(lba, 120, Pair16(1), Pair16(1), Pair16(BlockSize))
	m.Put(lba, OffRoot, Rec("\x00", root, BlockSize, 2))
	for off, n := 190, 0; off < OffCreated; off += n { // texts: four of 128 bytes, three of 37
		n = 128
		if off >= 702 {
			n = 37
		}
		m.Put(lba, off, Repeat(n/len(blank), blank))
	}
	m.Put(lba, OffCreated, []byte("2026112309054500\x00"), []byte("2026112309054577\x04"), Repeat(2, []byte("0000000000000000\x00")))
	m[lba*BlockSize+881] = 1
}

// New makes a sound image with Rock Ridge and Joliet: /a.txt and /dir/b.
func New() Image {
	m := make(Image, Allocate*BlockSize)
	m.Descriptor(AtPVD, 1, AtRoot)
	m.Descriptor(AtSVD, 2, AtJRoot)
	m.Descriptor(AtEnd, 255, 0)
	m.Root(InDir())
	m.Dir(AtDir, AtRoot, PX(ModeDir|0o700), PX(ModeDir|0o755), File("B.;1", AtText, 60, PX(ModeRegular|0o600), NM("b")))
	m.Dir(AtJRoot, AtJRoot, nil, nil, File(UCS("a.txt"), AtHello, 5), Sub(UCS("dir"), AtJDir))
	m.Dir(AtJDir, AtJRoot, nil, nil, File(UCS("b"), AtText, 60))
	m.Put(AtHello, 0, []byte("hello"))
	m.Put(AtText, 0, Repeat(50, []byte("There is a lot of text here. ")))
	m.Tables()
	return m
}

// Tables writes the path tables of both trees (ECMA-119 9.4), which must be sound,
// each of at most two blocks.
func (m Image) Tables() {
	at := AtTable
	for _, d := range []int{AtPVD, AtSVD} {
		if kind := m[d*BlockSize]; kind == 1 || kind == 2 {
			l, big := m.table(d)
			m.Put(at, 0, make([]byte, 4*BlockSize))
			m.Put(at, 0, l)
			m.Put(at+2, 0, big)
			m.Put(d, OffTableSize, Pair32(uint32(len(l))), LE32(uint32(at)), LE32(0), binary.BigEndian.AppendUint32(nil, uint32(at+2)))
			at += 4
		}
	}
}

// table is the path table of the tree under descriptor d, level by level, in both byte orders.
func (m Image) table(d int) (little, big []byte) {
	type dir struct {
		id     string
		lba    uint32
		parent int
	}
	root := m[d*BlockSize+OffRoot:]
	queue := []dir{{"\x00", binary.LittleEndian.Uint32(root[2:]), 1}}
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		head := []byte{byte(len(at.id)), 0}
		pad := make([]byte, len(at.id)%2)
		little = Join(little, head, LE32(at.lba), LE16(uint16(at.parent)), []byte(at.id), pad)
		big = Join(big, head, binary.BigEndian.AppendUint32(nil, at.lba), binary.BigEndian.AppendUint16(nil, uint16(at.parent)), []byte(at.id), pad)
		for _, r := range m.Records(int(at.lba)) {
			if id := string(r[33 : 33+int(r[32])]); r[25]&2 != 0 && id != "\x00" && id != "\x01" {
				queue = append(queue, dir{id, binary.LittleEndian.Uint32(r[2:]), i + 1})
			}
		}
	}
	return little, big
}

// Records are the records of a sound directory at block lba, of the length that its
// own record says.
func (m Image) Records(lba int) (out [][]byte) {
	data := m[lba*BlockSize:]
	data = data[:binary.LittleEndian.Uint32(data[10:])]
	for len(data) > 0 {
		n := int(data[0])
		if n == 0 { // nothing more in this block
			data = data[(len(data)-1)%BlockSize+1:]
			continue
		}
		out = append(out, data[:n])
		data = data[n:]
	}
	return out
}
