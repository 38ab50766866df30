package boot

import (
	"bytes"
	"encoding/binary"
)

// These erase what says that a disk has partitions, in its first bytes; head keeps all
// else. They do nothing where there is no such table.

// EraseMBR erases the table of partitions of an MBR, not its code.
func EraseMBR(head []byte) {
	if len(head) >= sectorSize && head[510] == 0x55 && head[511] == 0xaa {
		clear(head[446:510])
	}
}

// EraseGPT erases the first header of a GPT and its entries, as far as head has them
// (UEFI 5.3.2).
func EraseGPT(head []byte) {
	if len(head) < 2*sectorSize || !bytes.HasPrefix(head[sectorSize:], []byte("EFI PART")) {
		return
	}
	h := head[sectorSize : 2*sectorSize]
	at, size := binary.LittleEndian.Uint64(h[72:]), int64(binary.LittleEndian.Uint32(h[80:]))*int64(binary.LittleEndian.Uint32(h[84:]))
	clear(h)
	if at < 1<<32 && size >= 0 {
		from := int64(at) * sectorSize
		clearRange(head, from, from+size)
	}
}

// EraseAPM erases the entries of an Apple partition map, as far as head has them.
func EraseAPM(head []byte) {
	if len(head) < sectorSize || head[0] != 'E' || head[1] != 'R' {
		return
	}
	unit := int64(max(binary.BigEndian.Uint16(head[2:]), sectorSize))
	for at := unit; at+2 <= int64(len(head)) && head[at] == 'P' && head[at+1] == 'M'; at += unit {
		clearRange(head, at, at+unit)
	}
}

// clearRange clears the part of a range that b has.
func clearRange(b []byte, from, to int64) {
	if to = min(to, int64(len(b))); from >= 0 && from < to {
		clear(b[from:to])
	}
}
