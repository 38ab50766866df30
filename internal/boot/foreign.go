package boot

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// number is an integer field of the system area that counts in a unit.
type number struct {
	off   int64
	width int
	order binary.ByteOrder
	unit  int64 // bytes
}

func (n number) get(area []byte) int64 {
	if n.width == 8 {
		return int64(min(n.order.Uint64(area[n.off:]), math.MaxInt64/sectorSize/2)) * n.unit
	}
	return int64(n.order.Uint32(area[n.off:])) * n.unit
}

// put stores v bytes, rounded up to the unit.
func (n number) put(area []byte, v int64) error {
	v = (v + n.unit - 1) / n.unit
	if n.width == 8 {
		n.order.PutUint64(area[n.off:], uint64(v))
		return nil
	}
	if v > 1<<32-1 {
		return fmt.Errorf("system area, byte %d: %d: %w", n.off, v, iso9660.ErrLimit)
	}
	n.order.PutUint32(area[n.off:], uint32(v))
	return nil
}

// foreignRef is a pair of fields which tell where a file lies that a boot block of
// another machine loads.
type foreignRef struct {
	name    string
	at, len number
}

// foreignRefs lists the files that the boot block leads to.
func foreignRefs(kind string, area []byte) []foreignRef {
	var all []foreignRef
	big, little := binary.BigEndian, binary.LittleEndian
	add := func(name string, at, n number) {
		r := foreignRef{name, at, n}
		if r.at.get(area) >= systemAreaSize && r.len.get(area) > 0 {
			all = append(all, r)
		}
	}
	switch kind {
	case "HP-PA boot block":
		for _, f := range []struct {
			name string
			off  int64
		}{{"kernel32", 8}, {"ramdisk", 16}, {"kernel64", 232}, {"bootloader", 240}} {
			add("hppa-"+f.name, number{f.off, 4, big, 1}, number{f.off + 4, 4, big, 1})
		}
	case "MIPS volume header":
		for i := range int64(15) {
			off := 72 + 16*i
			add(fmt.Sprintf("mips%d", i+1), number{off + 8, 4, big, sectorSize}, number{off + 12, 4, big, 1})
		}
	case "MIPSel boot block":
		add("mipsel", number{28, 4, little, sectorSize}, number{24, 4, little, sectorSize})
	case "Alpha boot block":
		add("alpha", number{488, 8, little, sectorSize}, number{480, 8, little, sectorSize})
	case "SUN disk label":
		add("sun-core", number{552, 8, big, 1}, number{560, 4, big, 1})
	}
	return all
}

// foreignEnds lists the fields that tell the size of the image.
func foreignEnds(kind string) []number {
	switch kind {
	case "SUN disk label":
		return []number{{448, 4, binary.BigEndian, sectorSize}}
	case "MIPS volume header":
		return []number{{408, 4, binary.BigEndian, sectorSize}, {432, 4, binary.BigEndian, sectorSize}}
	}
	return nil
}

// foreign brings the boot block of another machine in line.
func (r *relocator) foreign() error {
	kind := r.e.System.Foreign
	for _, f := range foreignRefs(kind, r.e.area) {
		for o, p := range r.at {
			if !r.changed(o) || o.Off != f.at.get(r.e.area) {
				continue
			}
			if err := f.at.put(r.area, p.LBA.Offset()); err != nil {
				return err
			}
			if err := f.len.put(r.area, p.Size); err != nil {
				return err
			}
		}
	}
	for _, n := range foreignEnds(kind) {
		at := n.get(r.e.area) / sectorSize
		if to, ok := follow(r.out.from, r.out.to, at, 0); ok && at > 0 {
			if err := n.put(r.area, to*sectorSize); err != nil {
				return err
			}
		}
	}
	if kind != "" {
		if string(r.area) != string(r.e.area) {
			foreignSum(kind, r.area)
		}
		r.patch(0, sectorSize+64, kind)
	}
	return nil
}

// foreignSum makes the checksum right that firmware wants in the first sector.
func foreignSum(kind string, area []byte) {
	switch kind {
	case "SUN disk label":
		sum := uint16(0)
		for i := 0; i < 510; i += 2 {
			sum ^= binary.BigEndian.Uint16(area[i:])
		}
		binary.BigEndian.PutUint16(area[510:], sum)
	case "MIPS volume header":
		sum := uint32(0)
		for i := 0; i < 508; i += 4 {
			if i != 504 {
				sum += binary.BigEndian.Uint32(area[i:])
			}
		}
		binary.BigEndian.PutUint32(area[504:], -sum)
	case "Alpha boot block":
		sum := uint64(0)
		for i := 0; i < 504; i += 8 {
			sum += binary.LittleEndian.Uint64(area[i:])
		}
		binary.LittleEndian.PutUint64(area[504:], sum)
	}
}
