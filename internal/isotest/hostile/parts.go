package hostile

import (
	"encoding/binary"
	"slices"
)

// Part is a structure of an image: a descriptor, a record, an entry.
type Part struct {
	Kind   string
	Off, n int
	// room is where the part's container ends: what is put in front of the part moves
	// the rest up to there.
	room int
	// record is the offset of the directory record that the part is in, 0 for none.
	record int
}

// Field is one field of a part.
type Field struct {
	Part int // index
	Name string
	Off  int
	// Size is the bytes of the number, Twin those of both byte orders: the little-endian
	// number lies in front of the big-endian one. Big numbers are big-endian only. Texts
	// have neither Twin nor Big, and any size.
	Size int
	Twin bool
	Big  bool
}

// anatomy is what an image is made of, as far as that can be known: it is read again
// after every change of a program, so nothing in it needs to be sound.
type anatomy struct {
	m      Image
	parts  []Part
	fields []Field
}

// Limits of what is looked at; the bases have far less.
const (
	maxParts = 600
	maxDirs  = 40
)

// dissect finds the parts of an image.
func dissect(m Image) *anatomy {
	a := &anatomy{m: m}
	a.system()
	var roots [][2]int
	for _, origin := range []int{0, 64} {
		for at := origin + AtPVD; at < origin+AtPVD+8 && (at+1)*BlockSize <= len(m); at++ {
			if string(m[at*BlockSize+1:at*BlockSize+6]) == "CD001" {
				roots = append(roots, a.descriptor(at)...)
			}
		}
	}
	a.directories(roots)
	return a
}

// part notes a structure and returns its index, -1 if it is not inside the image.
func (a *anatomy) part(kind string, off, n, room int) int {
	if off < 0 || n <= 0 || off+n > len(a.m) || len(a.parts) == maxParts {
		return -1
	}
	a.parts = append(a.parts, Part{Kind: kind, Off: off, n: n, room: min(room, len(a.m))})
	return len(a.parts) - 1
}

// field notes a number or text of a part; form is "1", "2", "4", "8" for little-endian
// numbers, "22", "44" for both byte orders, ">2", ">4" for big-endian ones, "t" for texts.
func (a *anatomy) field(part int, name string, off int, form string, size ...int) {
	if part < 0 {
		return
	}
	f := Field{Part: part, Name: name, Off: a.parts[part].Off + off}
	switch form {
	case "1", "2", "4", "8":
		f.Size = int(form[0] - '0')
	case "22", "44":
		f.Size, f.Twin = int(form[0]-'0'), true
	case ">2", ">4":
		f.Size, f.Big = int(form[1]-'0'), true
	default:
		f.Size = size[0]
	}
	all := f.Size
	if f.Twin {
		all *= 2
	}
	if f.Size > 0 && off+all <= a.parts[part].n {
		a.fields = append(a.fields, f)
	}
}

func (a *anatomy) le32(off int) int {
	if off < 0 || off+4 > len(a.m) {
		return 0
	}
	return int(binary.LittleEndian.Uint32(a.m[off:]))
}

// system finds the MBR and both GPTs.
func (a *anatomy) system() {
	if len(a.m) < 1024 || string(a.m[510:512]) != "\x55\xaa" {
		return
	}
	for i := range 4 {
		p := a.part("MBR partition", 446+16*i, 16, 510)
		a.field(p, "status", 0, "1")
		a.field(p, "type", 4, "1")
		a.field(p, "first", 8, "4")
		a.field(p, "sectors", 12, "4")
	}
	for _, at := range []int{512, len(a.m) - 512} {
		if string(a.m[at:at+8]) != "EFI PART" {
			continue
		}
		p := a.part("GPT header", at, 512, at+512)
		for _, f := range []struct {
			name string
			off  int
			form string
		}{{"revision", 8, "4"}, {"size", 12, "4"}, {"checksum", 16, "4"}, {"this", 24, "8"}, {"other", 32, "8"}, {"first", 40, "8"}, {"last", 48, "8"}, {"entries", 72, "8"}, {"count", 80, "4"}, {"entry size", 84, "4"}, {"sum of entries", 88, "4"}} {
			a.field(p, f.name, f.off, f.form)
		}
		list := a.le32(at+72) * 512
		for i := range 2 {
			p := a.part("GPT entry", list+128*i, 128, list+8192)
			a.field(p, "type", 0, "t", 16)
			a.field(p, "first", 32, "8")
			a.field(p, "last", 40, "8")
			a.field(p, "flags", 48, "8")
			a.field(p, "name", 56, "t", 72)
		}
	}
}

// descriptor finds the fields of a volume descriptor, and what it leads to; it returns
// the root directory as block and size.
func (a *anatomy) descriptor(at int) (roots [][2]int) {
	off := at * BlockSize
	p := a.part("descriptor", off, BlockSize, off+BlockSize)
	a.field(p, "type", 0, "1")
	a.field(p, "identifier", 1, "t", 5)
	a.field(p, "version", 6, "1")
	switch a.m[off] {
	case 0:
		a.field(p, "boot system", 7, "t", 32)
		a.field(p, "catalog", 71, "4")
		a.catalog(a.le32(off+71) * BlockSize)
	case 1, 2:
		for _, f := range []struct {
			name string
			off  int
			form string
		}{{"flags", 7, "1"}, {"space size", OffSpaceSize, "44"}, {"set size", 120, "22"}, {"sequence", 124, "22"}, {"block size", OffBlockSize, "22"}, {"table size", OffTableSize, "44"}, {"L table", OffLTable, "4"}, {"second L table", 144, "4"}, {"M table", OffMTable, ">4"}, {"second M table", 152, ">4"}, {"structure version", 881, "1"}} {
			a.field(p, f.name, f.off, f.form)
		}
		a.field(p, "volume id", OffVolumeID, "t", 32)
		a.field(p, "escapes", OffEscapes, "t", 32)
		a.field(p, "created", OffCreated, "t", 17)
		a.field(p, "modified", OffCreated+17, "t", 17)
		a.record(off+OffRoot, 34, off+OffRoot+34)
		a.tables(off)
		roots = append(roots, [2]int{a.le32(off + OffRoot + 2), a.le32(off + OffRoot + 10)})
	}
	return roots
}

// tables finds the records of both path tables.
func (a *anatomy) tables(desc int) {
	size := min(a.le32(desc+OffTableSize), BlockSize)
	for _, big := range []bool{false, true} {
		at, form := a.le32(desc+OffLTable)*BlockSize, ""
		if big {
			at, form = int(binary.BigEndian.Uint32(a.m[desc+OffMTable:]))*BlockSize, ">"
		}
		end := at + size
		for i := 0; i < 16 && at >= 0 && at+8 < min(end, len(a.m)); i++ {
			n := 8 + int(a.m[at]) + int(a.m[at])%2
			p := a.part("path table record", at, n, end)
			a.field(p, "length", 0, "1")
			a.field(p, "attributes", 1, "1")
			a.field(p, "extent", 2, form+"4")
			a.field(p, "parent", 6, form+"2")
			a.field(p, "identifier", 8, "t", n-8)
			at += n
		}
	}
}

// catalog finds the records of a boot catalog, and a boot info table.
func (a *anatomy) catalog(off int) {
	for i := range 8 {
		at := off + 32*i
		if at < 0 || at+32 > len(a.m) || a.m[at] == 0 && i > 1 {
			return
		}
		kind := "boot entry"
		switch head := a.m[at]; {
		case i == 0:
			kind = "validation entry"
		case head == 0x90 || head == 0x91:
			kind = "section header"
		}
		p := a.part(kind, at, 32, off+BlockSize)
		a.field(p, "indicator", 0, "1")
		a.field(p, "second byte", 1, "1")
		a.field(p, "third", 2, "2")
		a.field(p, "system type", 4, "1")
		a.field(p, "sectors", 6, "2")
		a.field(p, "address", 8, "4")
		a.field(p, "checksum", 28, "2")
		a.field(p, "key", 30, "2")
		if lba := a.le32(at + 8); i == 1 && lba < len(a.m)/BlockSize {
			t := a.part("boot info table", lba*BlockSize+8, 56, lba*BlockSize+64)
			for j, name := range []string{"descriptor", "file", "length", "checksum"} {
				a.field(t, name, 4*j, "4")
			}
		}
	}
}

// dot reports whether the record is that of a directory itself or of its parent.
func (m Image) dot(record int) bool { return m[record+32] == 1 && m[record+33] < 2 }

// directories finds the records of all directories that can be reached.
func (a *anatomy) directories(queue [][2]int) {
	var seen []int
	for len(queue) > 0 && len(seen) < maxDirs {
		at, size := queue[0][0]*BlockSize, queue[0][1]
		queue = queue[1:]
		if at <= 0 || at >= len(a.m) || slices.Contains(seen, at) {
			continue
		}
		seen = append(seen, at)
		end := min(at+min(size, 4*BlockSize), len(a.m))
		for off := at; off+34 <= end; {
			n := int(a.m[off])
			if n == 0 {
				off += BlockSize - off%BlockSize
				continue
			}
			if n < 34 || off+n > end {
				break
			}
			a.record(off, n, off+BlockSize-off%BlockSize)
			if a.m[off+25]&2 != 0 && !a.m.dot(off) {
				queue = append(queue, [2]int{a.le32(off + 2), a.le32(off + 10)})
			}
			off += n
		}
	}
}
