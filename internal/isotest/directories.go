package isotest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

const block = 2048

// DirectoryFaults says what in the directories of an image contradicts itself: a directory
// has one address and one length, in the record that names it, in its own, in ".." of those
// in it, in the descriptor, and the same address in the path tables; a placeholder of a
// relocated directory leads to it, and that back (RRIP 1.12, 4.1.5).
//
// Unlike the readers of this project it believes nothing but the bytes.
func DirectoryFaults(tb testing.TB, image []byte) (faults []string) {
	tb.Helper()
	for at := 16 * block; at+block <= len(image); at += block {
		d := image[at : at+block]
		if string(d[1:6]) != "CD001" || d[0] == 255 {
			break
		}
		if d[0] == 1 || d[0] == 2 {
			w := dirWalker{image: image, what: fmt.Sprintf("descriptor %d", at/block)}
			w.walk(at)
			faults = append(faults, w.faults...)
		}
	}
	return faults
}

// place is what a record says of a directory.
type place struct{ lba, size uint32 }

type dirWalker struct {
	image  []byte
	what   string
	faults []string
	tables [2][]uint32 // addresses in the path tables L and M

	links map[uint32]uint32 // CL: target → directory that shows it
	backs map[uint32]uint32 // PL: directory → the one it is shown in
}

func (w *dirWalker) fault(format string, args ...any) {
	w.faults = append(w.faults, w.what+": "+fmt.Sprintf(format, args...))
}

// place reads the record at an offset.
func (w *dirWalker) place(at int) place {
	b := w.image[at:]
	p := place{binary.LittleEndian.Uint32(b[2:]), binary.LittleEndian.Uint32(b[10:])}
	if q := (place{binary.BigEndian.Uint32(b[6:]), binary.BigEndian.Uint32(b[14:])}); p != q {
		w.fault("record at %d: %v in one byte order, %v in the other", at, p, q)
	}
	return p
}

func (w *dirWalker) walk(desc int) {
	d := w.image[desc : desc+block]
	w.links, w.backs = map[uint32]uint32{}, map[uint32]uint32{}
	n := int(binary.LittleEndian.Uint32(d[132:]))
	w.tables[0] = w.table(int(binary.LittleEndian.Uint32(d[140:])), n, binary.LittleEndian)
	w.tables[1] = w.table(int(binary.BigEndian.Uint32(d[148:])), n, binary.BigEndian)
	type dir struct {
		at, up place
		name   string
	}
	root := w.place(desc + 156)
	dirs := []dir{{root, root, "/"}}
	count := 0
	for len(dirs) > 0 {
		x := dirs[0]
		dirs = dirs[1:]
		count++
		for i, t := range w.tables {
			if !slices.Contains(t, x.at.lba) {
				w.fault("%s at %d is not in path table %c", x.name, x.at.lba, "LM"[i])
			}
		}
		off := int(x.at.lba) * block
		end := off + int(x.at.size)
		if end > len(w.image) || count > 100_000 {
			w.fault("%s at %v passes the image", x.name, x.at)
			continue
		}
		for i := 0; off < end; {
			k := int(w.image[off])
			if k == 0 {
				off = (off/block + 1) * block
				continue
			}
			b := w.image[off : off+k]
			switch p := w.place(off); {
			case i == 0 && p != x.at:
				w.fault("%s has %v for itself, named with %v", x.name, p, x.at)
			case i == 1 && p != x.up:
				w.fault("%s has %v for its parent, which is at %v", x.name, p, x.up)
			case i > 1 && b[25]&2 != 0:
				dirs = append(dirs, dir{p, x.at, x.name + fmt.Sprintf("%s/", b[33:33+b[32]])})
			}
			w.relocated(b, x.at.lba, i)
			off += k
			i++
		}
	}
	if len(w.tables[0]) != count || len(w.tables[1]) != count {
		w.fault("%d directories, %d and %d in the path tables", count, len(w.tables[0]), len(w.tables[1]))
	}
	for target, from := range w.links {
		if w.backs[target] != from {
			w.fault("the directory at %d is shown in the one at %d, but says %d", target, from, w.backs[target])
		}
	}
	for dir := range w.backs {
		if _, ok := w.links[dir]; !ok {
			w.fault("the directory at %d is shown nowhere", dir)
		}
	}
}

// relocated notes CL and PL of a record of the directory.
func (w *dirWalker) relocated(b []byte, dir uint32, i int) {
	su := b[33+int(b[32]):]
	if j := bytes.Index(su, []byte("CL\x0c\x01")); j >= 0 && i > 1 {
		w.links[binary.LittleEndian.Uint32(su[j+4:])] = dir
	}
	if j := bytes.Index(su, []byte("PL\x0c\x01")); j >= 0 && i == 1 {
		w.backs[dir] = binary.LittleEndian.Uint32(su[j+4:])
	}
}

// table reads the addresses of a path table.
func (w *dirWalker) table(lba, size int, order binary.ByteOrder) (out []uint32) {
	if lba*block+size > len(w.image) {
		w.fault("path table at %d passes the image", lba)
		return nil
	}
	for b := w.image[lba*block : lba*block+size]; len(b) >= 8; {
		n := 8 + int(b[0]) + int(b[0])%2
		if n > len(b) {
			w.fault("path table at %d ends in an entry", lba)
			return out
		}
		out = append(out, order.Uint32(b[2:]))
		b = b[n:]
	}
	return out
}
