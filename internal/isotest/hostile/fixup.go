package hostile

import (
	"encoding/binary"
	"slices"
)

// fix makes something agree with the rest of an image again. A how other than 1 lets it
// do that wrong.
type fix struct {
	name string
	fix  func(m Image, how byte)
}

// fixes are done in this order.
var fixes = []fix{
	{"twins", fixTwins},
	{"dots", fixDots},
	{"path tables", fixTables},
	{"space size", fixSpace},
	{"catalog checksum", fixCatalog},
	{"boot info", fixInfo},
	{"GPT copy", fixBackup},
	{"GPT checksums", func(m Image, how byte) {
		if m.sumGPT(); how > 1 {
			m[512+16] += how
		}
	}},
}

// fixTwins makes big-endian numbers agree with the little-endian ones; how 2 to 9 leave
// every how-th out.
func fixTwins(m Image, how byte) {
	a := dissect(m)
	for i := range a.fields {
		if f := &a.fields[i]; f.Twin && (how < 2 || i%int(how) != 0) {
			a.put(f, a.get(f), 3)
		}
	}
}

// fixDots lets "." and ".." of directories tell where they and their parents are.
func fixDots(m Image, how byte) {
	a := dissect(m)
	for _, p := range a.parts {
		if p.Kind != "record" || m[p.Off+25]&2 == 0 || m.dot(p.Off) {
			continue
		}
		at, parent := a.le32(p.Off+2), p.Off/BlockSize
		if at <= AtEnd || at >= len(m)/BlockSize || m[at*BlockSize] < 34 {
			continue
		}
		up := at*BlockSize + int(m[at*BlockSize])
		copy(m[at*BlockSize+2:], Pair32(uint32(at+int(how-1))))
		if up+34 <= len(m) {
			copy(m[up+2:], Pair32(uint32(parent)))
		}
	}
}

// fixTables writes path tables of what can be reached, where the descriptors say; a how
// above 1 is put into the first record.
func fixTables(m Image, how byte) {
	for _, p := range dissect(m).parts {
		if p.Kind != "descriptor" || m[p.Off] != 1 && m[p.Off] != 2 {
			continue
		}
		d := m[p.Off:]
		l, b := int(binary.LittleEndian.Uint32(d[OffLTable:])), int(binary.BigEndian.Uint32(d[OffMTable:]))
		if l <= AtEnd || b <= AtEnd || l >= len(m)/BlockSize || b >= len(m)/BlockSize {
			continue
		}
		little, big := m.reached(p.Off)
		if len(little) == 0 {
			continue
		}
		if how > 1 {
			little[2] += how
		}
		n := min(len(little), len(m)-l*BlockSize, len(m)-b*BlockSize)
		copy(m[l*BlockSize:], little[:n])
		copy(m[b*BlockSize:], big[:n])
		copy(d[OffTableSize:], Pair32(uint32(n)))
	}
}

// reached is the path table of the directories that can be reached from a descriptor,
// each once, in both byte orders.
func (m Image) reached(desc int) (little, big []byte) {
	type dir struct {
		id     string
		lba    int
		parent int
	}
	a := &anatomy{m: m}
	queue := []dir{{"\x00", a.le32(desc + OffRoot + 2), 1}}
	seen := map[int]bool{}
	for i := 0; i < len(queue) && i < maxDirs; i++ {
		at := queue[i]
		head, pad := []byte{byte(len(at.id)), 0}, make([]byte, len(at.id)%2)
		little = Join(little, head, LE32(uint32(at.lba)), LE16(uint16(at.parent)), []byte(at.id), pad)
		big = Join(big, head, binary.BigEndian.AppendUint32(nil, uint32(at.lba)), binary.BigEndian.AppendUint16(nil, uint16(at.parent)), []byte(at.id), pad)
		if seen[at.lba] || at.lba <= 0 || at.lba >= len(m)/BlockSize {
			continue
		}
		seen[at.lba] = true
		for off, end := at.lba*BlockSize, (at.lba+1)*BlockSize; off+34 <= end; {
			n := int(m[off])
			if n < 34 || off+n > end || 33+int(m[off+32]) > n {
				break
			}
			if m[off+25]&2 != 0 && !m.dot(off) {
				queue = append(queue, dir{string(m[off+33 : off+33+int(m[off+32])]), a.le32(off + 2), i + 1})
			}
			off += n
		}
	}
	return little, big
}

// fixSpace lets the volume of the last session end where the image does, or how-1 blocks
// behind.
func fixSpace(m Image, how byte) {
	for _, p := range slices.Backward(dissect(m).parts) {
		if p.Kind == "descriptor" && m[p.Off] == 1 {
			copy(m[p.Off+OffSpaceSize:], Pair32(uint32(len(m)/BlockSize)+uint32(how)-1))
			return
		}
	}
}

// fixCatalog makes the sum of the validation entry zero, or how-1.
func fixCatalog(m Image, how byte) {
	for _, p := range dissect(m).parts {
		if p.Kind != "validation entry" {
			continue
		}
		v, sum := m[p.Off:p.Off+32], uint16(0)
		copy(v[28:], LE16(0))
		for i := 0; i < 32; i += 2 {
			sum += binary.LittleEndian.Uint16(v[i:])
		}
		copy(v[28:], LE16(uint16(how)-1-sum))
	}
}

// fixInfo makes the boot info table one of the file that the catalog leads to.
func fixInfo(m Image, how byte) {
	for _, p := range dissect(m).parts {
		if p.Kind != "boot info table" {
			continue
		}
		t := m[p.Off:]
		n := int(binary.LittleEndian.Uint32(t[8:]))
		if n < 64 || p.Off-8+n > len(m) {
			continue
		}
		sum := uint32(how) - 1
		for i := 64; i+4 <= n; i += 4 {
			sum += binary.LittleEndian.Uint32(m[p.Off-8+i:])
		}
		copy(t, Join(LE32(AtPVD), LE32(uint32(p.Off/BlockSize)), LE32(uint32(n)), LE32(sum)))
	}
}

// fixBackup makes the second GPT a copy of the first, or the first of the second.
func fixBackup(m Image, how byte) {
	first, second := m[512:1024], m[len(m)-512:]
	if string(first[:8]) != "EFI PART" || string(second[:8]) != "EFI PART" {
		return
	}
	const list = gptEntryCount * 128
	there := len(m) - 512 - list
	if how > 1 {
		first, second = second, first
		copy(m[gptEntries*512:], m[there:there+list])
	} else {
		copy(m[there:], m[gptEntries*512:gptEntries*512+list])
	}
	keep := append([]byte(nil), second[24:40]...)
	at := append([]byte(nil), second[72:80]...)
	copy(second, first)
	copy(second[24:], keep)
	copy(second[72:], at)
}
