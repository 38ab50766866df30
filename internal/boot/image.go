package boot

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	// loaderHead is how much of a boot image says what loader it is.
	loaderHead = 4096
	// maxSummed bounds the bytes of boot images read for checksums. Loaders with a
	// boot info table measure some MiB at most.
	maxSummed = 64 << 20
	// grub2InfoOff is where GRUB's CD loader keeps the address of its second sector.
	grub2InfoOff = 2548
)

// Loaders as Image.Loader names them; other images have the empty name.
const (
	LoaderIsolinux = "isolinux"
	LoaderGRUB2    = "GRUB 2"
	LoaderWindows  = "Windows boot manager"
	LoaderFAT      = "FAT image"
	LoaderESP      = "EFI system partition"
	LoaderDisk     = "with partitions"
)

// Image is what a catalog entry points to.
type Image struct {
	Name string `json:"name,omitempty"` // path of the file in the tree
	// Size in bytes, 0 if nothing says it; and what says it. El Torito itself has
	// no such field.
	Size     int64     `json:"size"`
	SizeFrom string    `json:"size_from,omitempty"`
	Loader   string    `json:"loader,omitempty"`
	BootInfo *BootInfo `json:"boot_info_table,omitempty"`
	// GRUB2 says that the image holds its own sector address at byte 2548.
	GRUB2 bool `json:"grub2_boot_info,omitempty"`
}

// BootInfo is the boot info table which mkisofs writes into bytes 8-63 of a boot
// image. Only a table that names the image's own block is taken for one: loaders
// ship with a filled-in table whose address is 0.
type BootInfo struct {
	PVD      iso9660.LBA `json:"pvd"`
	LBA      iso9660.LBA `json:"block"`
	Length   uint32      `json:"length"`   // of the image, in bytes
	Checksum uint32      `json:"checksum"` // sum of its words from byte 64
	OK       bool        `json:"ok"`       // length and checksum are right
}

// readImages looks at each boot image of the catalog.
func (e *Equipment) readImages() error {
	e.assignRoles() // which some images are known by
	if e.Catalog == nil {
		return nil
	}
	for i := range e.Catalog.Entries {
		if err := e.readImage(&e.Catalog.Entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *Equipment) readImage(en *Entry) error {
	if en.LBA == 0 && !en.Bootable {
		return nil // a placeholder
	}
	head, err := e.in.read(en.LBA.Offset(), loaderHead)
	if err != nil {
		return err
	}
	if len(head) == 0 || en.LBA < 16 {
		e.find(en.Off+8, "boot catalog, image address", iso9660.ErrRange, "block %d cannot hold a boot image", en.LBA)
		return nil
	}
	im := &en.Image
	im.Loader = loader(head, en)
	im.BootInfo = bootInfo(head, en.LBA)
	im.GRUB2 = len(head) >= grub2InfoOff+8 &&
		binary.LittleEndian.Uint64(head[grub2InfoOff:]) == uint64(en.LBA)*perBlock+5
	e.measure(en, head)
	return e.checkBootInfo(en)
}

// loader says by its bytes what boot image this is.
func loader(head []byte, en *Entry) string {
	at := func(off int, magic string) bool {
		return len(head) >= off+len(magic) && string(head[off:off+len(magic)]) == magic
	}
	switch {
	case at(64, "\xfb\xc0\x78\x70"), bytes.Contains(head, []byte("ISOLINUX ")):
		return LoaderIsolinux
	case bytes.Contains(head, []byte("\x00Geom\x00Read\x00 Error")):
		return LoaderGRUB2
	case fatSize(head) > 0 && en.Platform == UEFI:
		return LoaderESP
	case fatSize(head) > 0:
		return LoaderFAT
	case bytes.Contains(head, []byte("BOOTMGR")):
		return LoaderWindows
	case en.Media == HardDisk && diskSize(head) > 0:
		return LoaderDisk
	}
	return ""
}

// measure finds the size of the image: what the tree says, else what the emulated
// medium needs, else what the image or a partition says, else what is loaded.
func (e *Equipment) measure(en *Entry, head []byte) {
	im := &en.Image
	floppies := map[Media]int64{Floppy12: 1200 << 10, Floppy144: 1440 << 10, Floppy288: 2880 << 10}
	try := func(size int64, from string) {
		if im.Size == 0 && size > 0 {
			im.Size, im.SizeFrom = size, from
		}
	}
	if size, name, ok := e.file(en.LBA); ok {
		im.Name = name
		try(size, "file")
	}
	try(floppies[en.Media], "floppy emulation")
	if en.Media == HardDisk {
		size := diskSize(head)
		if size == 0 {
			e.find(en.LBA.Offset(), "hard disk image", iso9660.ErrFormat, "no partition table in it")
		}
		try(size, "partition table of the disk image")
	}
	if im.BootInfo != nil {
		try(int64(im.BootInfo.Length), "boot info table")
	}
	for _, p := range e.System.partitions() {
		if p.first == int64(en.LBA)*perBlock && p.role != RoleFileSystem {
			try(p.count*sectorSize, "partition")
		}
	}
	try(fatSize(head), "FAT")
	try(int64(en.Sectors)*sectorSize, "load size")
	if im.Size == 0 {
		e.find(en.Off+6, "boot catalog, image size", iso9660.ErrFormat, "nothing gives the size of the boot image at block %d", en.LBA)
	}
	if rest := e.in.size - en.LBA.Offset(); im.Size > rest {
		e.find(en.Off+8, "boot catalog, image size", iso9660.ErrTruncated, "boot image of %d bytes at block %d passes the end", im.Size, en.LBA)
		im.Size = rest
	}
}

// bootInfo returns the table in head if it names the block the image lies at.
func bootInfo(head []byte, at iso9660.LBA) *BootInfo {
	if len(head) < 64 || binary.LittleEndian.Uint32(head[12:]) != uint32(at) {
		return nil
	}
	t := &BootInfo{
		PVD:      iso9660.LBA(binary.LittleEndian.Uint32(head[8:])),
		LBA:      at,
		Length:   binary.LittleEndian.Uint32(head[16:]),
		Checksum: binary.LittleEndian.Uint32(head[20:]),
	}
	// Sessions and second superblocks have their descriptors behind block 16, but
	// all tables name a block before their own.
	if t.PVD < 16 || t.PVD >= at {
		return nil
	}
	return t
}

// checkBootInfo sums up the image if it has a table.
func (e *Equipment) checkBootInfo(en *Entry) error {
	t, size := en.Image.BootInfo, en.Image.Size
	if t == nil {
		return nil
	}
	if size > e.budget {
		e.find(en.LBA.Offset()+20, "boot info table", iso9660.ErrLimit, "boot image of %d bytes is too large to be summed up", size)
		return nil
	}
	e.budget -= size
	sum, err := e.in.sum32(en.LBA.Offset()+64, size-64)
	if err != nil {
		return err
	}
	t.OK = int64(t.Length) == size && t.Checksum == sum
	if !t.OK {
		e.find(en.LBA.Offset()+8, "boot info table", iso9660.ErrConflict,
			"it says %d bytes, sum %08x; the image has %d bytes, sum %08x", t.Length, t.Checksum, size, sum)
	}
	return nil
}

// sum32 adds up the little-endian words of n bytes at off, the last one filled up
// with zeros.
func (s source) sum32(off, n int64) (sum uint32, err error) {
	const step = 1 << 16
	for n > 0 {
		b, err := s.read(off, min(n, step))
		if err != nil {
			return 0, err
		}
		if len(b) == 0 {
			break
		}
		off, n = off+int64(len(b)), n-int64(len(b))
		sum += sumWords(b)
	}
	return sum, nil
}

func sumWords(b []byte) (sum uint32) {
	for ; len(b) >= 4; b = b[4:] {
		sum += binary.LittleEndian.Uint32(b)
	}
	var rest [4]byte
	copy(rest[:], b)
	return sum + binary.LittleEndian.Uint32(rest[:])
}

// fatSize returns the bytes that a FAT file system starting with head says to
// have, 0 if there is none.
func fatSize(head []byte) int64 {
	if len(head) < sectorSize || head[510] != 0x55 || head[511] != 0xaa || (head[0] != 0xeb && head[0] != 0xe9) {
		return 0
	}
	sector := int64(binary.LittleEndian.Uint16(head[11:]))
	cluster, tables := head[13], head[16]
	power := func(n int64) bool { return n > 0 && n&(n-1) == 0 }
	if !power(sector) || sector < 512 || sector > 4096 || !power(int64(cluster)) || tables == 0 || tables > 4 {
		return 0
	}
	if !strings.HasPrefix(string(head[54:62]), "FAT") && !strings.HasPrefix(string(head[82:90]), "FAT") {
		return 0
	}
	count := int64(binary.LittleEndian.Uint16(head[19:]))
	if count == 0 {
		count = int64(binary.LittleEndian.Uint32(head[32:]))
	}
	return count * sector
}

// diskSize returns where the last partition of a disk image ends, in bytes; 0 if
// it has no partition.
func diskSize(head []byte) int64 {
	m := parseMBR(head)
	if m == nil {
		return 0
	}
	end := int64(0)
	for _, p := range m.Partitions {
		end = max(end, int64(p.First)+int64(p.Count))
	}
	return end * sectorSize
}
