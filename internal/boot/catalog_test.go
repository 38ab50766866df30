package boot

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

func join(bs ...[]byte) []byte { return slices.Concat(bs...) }

// parseCatalog parses an image with this catalog.
func parseCatalog(t *testing.T, catalog []byte) *Equipment {
	t.Helper()
	s := spec{sectors: 4000, volume: 1000, catalog: catalog, images: map[int64][]byte{50: []byte("xxxx")}}
	_, e := s.parse(t)
	return e
}

func TestCatalog(t *testing.T) {
	criteria := bootEntry(70, 0, 0x20)
	criteria[12] = 7
	extension := make([]byte, catalogRecord)
	extension[0] = recExtension
	e := parseCatalog(t, join(record("MAKER"),
		header(recHeader, byte(PowerPC), 1, "ppc"), bootEntry(60, 8, 0),
		header(recLastHeader, byte(UEFI), 2, "efi"), criteria, extension, bootEntry(80, 10, byte(Floppy288))))
	c := e.Catalog
	if c == nil || c.ID != "MAKER" || c.LBA != catalogAt || c.Blocks != 1 || len(c.Entries) != 4 {
		t.Fatalf("%+v", c)
	}
	a, b := c.Entries[1], c.Entries[2]
	if a.Platform != PowerPC || a.Section != "ppc" || a.LBA != 60 || a.Sectors != 8 || a.Image.Size != 4096 {
		t.Errorf("%+v", a)
	}
	if b.Platform != UEFI || b.MediaFlags != 0x20 || len(b.Criteria) != 20 || len(b.Extensions) != 1 {
		t.Errorf("%+v", b)
	}
	// The image ends before the floppy does.
	if d := c.Entries[3]; d.Image.Size != e.in.size-80*iso9660.BlockSize || d.Image.SizeFrom != "floppy emulation" {
		t.Errorf("%+v", d)
	}
	if b, err := json.Marshal(e); err != nil || !bytes.Contains(b, []byte(`"platform":"UEFI"`)) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestCatalogOfTwoBlocks(t *testing.T) {
	b := join(record(""), header(recLastHeader, byte(BIOS), 100, ""))
	for range 100 {
		b = append(b, bootEntry(50, 4, 0)...)
	}
	e := parseCatalog(t, b)
	if c := e.Catalog; c.Blocks != 2 || len(c.Entries) != 101 || len(e.Findings) > 0 {
		t.Errorf("%d blocks, %d entries, %v", c.Blocks, len(c.Entries), e.Findings)
	}
}

// TestHostileCatalog: each row is damage, the words its finding must have, and how
// many entries are left.
func TestHostileCatalog(t *testing.T) {
	sum := record("")
	sum[28] += 5
	many := record("")
	for range 62 {
		many = append(many, header(recHeader, 0, 0, "")...)
	}
	extensions := record("")
	for range 60 {
		extensions = append(extensions, join([]byte{recExtension}, make([]byte, 31))...)
	}
	full := record("")
	full = append(full, header(recLastHeader, 0, 65535, "")...)
	for len(full) < catalogBlocks*iso9660.BlockSize {
		full = append(full, bootEntry(50, 4, 0)...)
	}
	with := func(en []byte) []byte { return join(record("")[:32], en) }
	for _, c := range []struct {
		name    string
		catalog []byte
		want    string
		entries int
	}{
		{"no catalog", make([]byte, 64), "no boot catalog", -1},
		{"checksum", sum, "checksum", 1},
		{"image address", with(bootEntry(0x7ffffff0, 0xffff, 0)), "cannot hold", 1},
		{"image in the system area", with(bootEntry(3, 4, 0)), "cannot hold", 1},
		{"image passes the end", with(bootEntry(50, 0xffff, 0)), "passes the end", 1},
		{"no size", with(bootEntry(50, 0, 0)), "nothing gives the size", 1},
		{"hard disk without table", with(bootEntry(50, 1, byte(HardDisk))), "no partition table", 1},
		{"boot indicator", with(append([]byte{0x33}, bootEntry(50, 1, 0)[1:]...)), "neither", 1},
		{"section count", join(record(""), header(recLastHeader, 0, 65535, ""), bootEntry(50, 4, 0)), "65535 entries announced, 1 found", 2},
		{"section without end", full, "the catalog ends", 4*64 - 2},
		{"sections", many, "more than 32 sections", 1},
		{"extensions", extensions, "more than 16 extensions", 1},
		{"last header missing", join(record(""), header(recHeader, 0, 0, "")), "not marked as last", 1},
		{"header missing", join(record(""), bootEntry(50, 4, 0)), "without a section header", 2},
	} {
		e := parseCatalog(t, c.catalog)
		entries := -1
		if e.Catalog != nil {
			entries = len(e.Catalog.Entries)
		}
		found := slices.ContainsFunc(e.Findings, func(f Finding) bool { return strings.Contains(f.String(), c.want) })
		if !found || entries != c.entries {
			t.Errorf("%s: %d entries (want %d), %v", c.name, entries, c.entries, e.Findings)
		}
	}
}

func TestCatalogAddress(t *testing.T) {
	for _, at := range []iso9660.LBA{0x7fffffff, 1000, 16, 3} {
		m, v := spec{sectors: 4000, volume: 1000}.make()
		v.Catalog = at
		if e, err := Parse(m, m.size, v); err != nil || e.Catalog != nil || len(e.Findings) == 0 {
			t.Errorf("block %d: %v", at, err)
		}
	}
}

// fatSector makes the first sector of a FAT file system.
func fatSector(sectors uint16) []byte {
	b := make([]byte, sectorSize)
	copy(b, "\xeb\x3c\x90")
	le.PutUint16(b[11:], 512)
	b[13], b[16] = 4, 2
	le.PutUint16(b[19:], sectors)
	copy(b[54:], "FAT16   ")
	b[510], b[511] = 0x55, 0xaa
	return b
}

// loaderImage makes a boot image of n bytes at block 50 with a right boot info table.
func loaderImage(magic string, at, n int) []byte {
	b := make([]byte, n)
	copy(b[at:], magic)
	for i := 64; i < n; i += 7 {
		b[i] |= byte(i)
	}
	copy(b[at:], magic)
	if n >= grub2InfoOff+8 {
		le.PutUint64(b[grub2InfoOff:], 50*perBlock+5)
	}
	le.PutUint32(b[8:], 16)
	le.PutUint32(b[12:], 50)
	le.PutUint32(b[16:], uint32(n))
	sum := uint32(0)
	for w := append(slices.Clone(b[64:]), 0, 0, 0)[:(n-64+3)&^3]; len(w) > 0; w = w[4:] {
		sum += le.Uint32(w)
	}
	le.PutUint32(b[20:], sum)
	return b
}

func TestBootImages(t *testing.T) {
	disk := spec{mbr: []part{{kind: 6, first: 63, count: 937}}}.sector0()
	big := fatSector(0)
	le.PutUint32(big[32:], 100000)
	for _, c := range []struct {
		name   string
		image  []byte
		entry  []byte
		file   int64
		loader string
		size   int64
		from   string
	}{
		{"file", nil, bootEntry(50, 4, 0), 12345, "", 12345, "file"},
		{"isolinux", loaderImage("\xfb\xc0\x78\x70", 64, 3001), bootEntry(50, 4, 0), 0, LoaderIsolinux, 3001, "boot info table"},
		{"GRUB", loaderImage("\x00Geom\x00Read\x00 Error", 2300, 9000), bootEntry(50, 4, 0), 9000, LoaderGRUB2, 9000, "file"},
		{"FAT", fatSector(400), bootEntry(50, 1, 0), 0, LoaderFAT, 400 * 512, "FAT"},
		{"large FAT", big, bootEntry(50, 1, 0), 0, LoaderFAT, 4000 * 512, "FAT"}, // to the end of the image
		{"floppy", fatSector(2400), bootEntry(50, 1, byte(Floppy12)), 0, LoaderFAT, 1200 << 10, "floppy emulation"},
		{"hard disk", disk, bootEntry(50, 1, byte(HardDisk)), 0, LoaderDisk, 1000 * 512, "partition table of the disk image"},
		{"Windows", []byte("x BOOTMGR x"), bootEntry(50, 8, 0), 0, LoaderWindows, 4096, "load size"},
		{"partition", []byte("?"), bootEntry(50, 4, 0), 0, "", 700 * 512, "partition"},
	} {
		s := spec{sectors: 4200, volume: 1050, catalog: join(record("")[:32], c.entry), images: map[int64][]byte{50: c.image}}
		if c.name == "partition" {
			s.mbr = []part{{kind: 0x17, count: 4200}, {kind: 0xef, first: 200, count: 700}}
		}
		m, v := s.make()
		v.FileSize = func(at iso9660.LBA) (int64, string, bool) { return c.file, "dir/image", c.file > 0 && at == 50 }
		e, err := Parse(m, m.size, v)
		if err != nil {
			t.Fatal(err)
		}
		im := e.Catalog.Entries[0].Image
		if im.Loader != c.loader || im.Size != c.size || im.SizeFrom != c.from {
			t.Errorf("%s: %+v", c.name, im)
		}
		table := c.name == "isolinux" || c.name == "GRUB"
		if (im.BootInfo != nil) != table || table && (!im.BootInfo.OK || !im.GRUB2) {
			t.Errorf("%s: boot info %+v", c.name, im.BootInfo)
		}
	}
}

func TestStaleBootInfo(t *testing.T) {
	image := loaderImage("\xfb\xc0\x78\x70", 64, 3001)
	image[100]++
	_, e := spec{sectors: 4200, volume: 1050, catalog: record(""), images: map[int64][]byte{50: image}}.parse(t)
	if t1 := e.Catalog.Entries[0].Image.BootInfo; t1 == nil || t1.OK || len(e.Findings) != 1 {
		t.Errorf("%+v, %v", t1, e.Findings)
	}
	if d := e.Describe(); !strings.Contains(d[0], "boot info table stale") {
		t.Error(d)
	}
	e.budget = 0
	if err := e.readImages(); err != nil || e.Findings[1].Kind != iso9660.ErrLimit {
		t.Error(e.Findings, err)
	}
}

// failing is a disk with a bad sector.
type failing struct {
	memory
	from, to int64
}

var errDisk = errors.New("bad sector")

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off < f.to && off+int64(len(p)) > f.from {
		return 0, errDisk
	}
	return f.memory.ReadAt(p, off)
}

func TestReadErrors(t *testing.T) {
	s := made["isohybrid and GPT"]
	s.catalog = record("")
	s.images = map[int64][]byte{50: loaderImage("\xfb\xc0\x78\x70", 64, 8000)}
	m, v := s.make()
	for _, off := range []int64{
		0, catalogAt * iso9660.BlockSize, 50 * iso9660.BlockSize, 50*iso9660.BlockSize + 5000,
		66*iso9660.BlockSize + 1, m.size - 1, m.size - 20*sectorSize,
	} {
		if _, err := Parse(&failing{*m, off, off + 1}, m.size, v); !errors.Is(err, errDisk) {
			t.Errorf("offset %d: %v", off, err)
		}
	}
	if _, err := Parse(m, -1, v); !errors.Is(err, iso9660.ErrRange) {
		t.Error(err)
	}
}
