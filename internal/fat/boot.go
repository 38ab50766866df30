package fat

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// minSector is the smallest sector and what of the boot sector is in use.
const minSector = 512

// VolumeID is the serial number that a formatter gives to a volume.
type VolumeID uint32

// String is the form in which blkid shows it as the UUID.
func (id VolumeID) String() string {
	return fmt.Sprintf("%04X-%04X", uint32(id)>>16, uint32(id)&0xffff)
}

// bootSector is sector 0 with the BIOS parameter block
// (Microsoft FAT specification 1.03, "Boot Sector and BPB").
type bootSector []byte

// Offsets in the boot sector. From offExtended on FAT32 has other fields, and
// then the same extended block as the others.
const (
	offOEM         = 3
	offSectorSize  = 11
	offClusterSize = 13
	offReserved    = 14
	offTables      = 16
	offRootEntries = 17
	offTotal16     = 19
	offMedia       = 21
	offTableSize16 = 22
	offTrack       = 24
	offHeads       = 26
	offTotal32     = 32
	offExtended    = 36 // FAT12, FAT16

	offTableSize32 = 36
	offFlags32     = 40
	offVersion32   = 42
	offRoot32      = 44
	offFSInfo      = 48
	offBackup      = 50
	offExtended32  = 64
	offSignature   = 510
)

// Offsets in the extended block: drive, reserved, signature, id, label, type.
const (
	extSignature = 2
	extID        = 3
	extLabel     = 7
	extType      = 18
	extEnd       = 26
)

func (b bootSector) u16(off int) int64 { return int64(binary.LittleEndian.Uint16(b[off:])) }
func (b bootSector) u32(off int) int64 { return int64(binary.LittleEndian.Uint32(b[off:])) }

func (b bootSector) put16(off int, v int64) { binary.LittleEndian.PutUint16(b[off:], uint16(v)) }
func (b bootSector) put32(off int, v int64) { binary.LittleEndian.PutUint32(b[off:], uint32(v)) }

// extended returns the extended block.
func (b bootSector) extended(t Type) []byte {
	if t == FAT32 {
		return b[offExtended32:][:extEnd]
	}
	return b[offExtended:][:extEnd]
}

// volumeID returns the serial number; both signatures tell that it is there.
func (b bootSector) volumeID(t Type) VolumeID {
	x := b.extended(t)
	if x[extSignature]|1 != 0x29 {
		return 0
	}
	return VolumeID(binary.LittleEndian.Uint32(x[extID:]))
}

// label returns the label of the boot sector, which only signature 29h promises.
func (b bootSector) label(t Type) string {
	x := b.extended(t)
	label := strings.TrimRight(decodeOEM(x[extLabel:extType]), " \x00")
	if x[extSignature] != 0x29 || label == "NO NAME" {
		return ""
	}
	return label
}

// encode writes what a geometry decides into the parameter block.
func (b bootSector) encode(g geometry) {
	b.put16(offSectorSize, g.sector)
	b[offClusterSize] = byte(g.perCluster)
	b.put16(offReserved, g.reserved)
	b[offTables] = byte(g.tables)
	b.put16(offRootEntries, g.rootEntries)
	b.put16(offTotal16, 0)
	b.put32(offTotal32, 0)
	if g.typ != FAT32 && g.total < 1<<16 {
		b.put16(offTotal16, g.total)
	} else {
		b.put32(offTotal32, g.total)
	}
	b.put16(offTableSize16, 0)
	if g.typ != FAT32 {
		b.put16(offTableSize16, g.tableSectors)
	} else {
		b.put32(offTableSize32, g.tableSectors)
		b.put32(offRoot32, int64(g.rootCluster))
		if g.fsInfo != 0 { // else what is there is no FSInfo sector, or there is none
			b.put16(offFSInfo, g.fsInfo)
		}
		b.put16(offBackup, g.backup)
	}
	copy(b.extended(g.typ)[extType:], g.typ.String()+"   ")
	b.put16(offSignature, 0xaa55)
}

// fsInfoSector is the FSInfo sector of FAT32 ("FSInfo Sector Structure").
type fsInfoSector []byte

func (f fsInfoSector) valid() bool {
	return string(f[:4]) == "RRaA" && string(f[484:488]) == "rrAa" && f[510] == 0x55 && f[511] == 0xaa
}

// set writes how many clusters are free and where to look for one.
func (f fsInfoSector) set(free, next uint32) {
	binary.LittleEndian.PutUint32(f[488:], free)
	binary.LittleEndian.PutUint32(f[492:], next)
}

func newFSInfo() fsInfoSector {
	f := make(fsInfoSector, minSector)
	copy(f, "RRaA")
	copy(f[484:], "rrAa")
	f[510], f[511] = 0x55, 0xaa
	return f
}
