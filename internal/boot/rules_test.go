package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// TestSections: 32 sections are read, no more (El Torito 2.3).
func TestSections(t *testing.T) {
	for n, want := range map[int]int{31: 32, 32: 33, 33: 33} {
		b := record("")
		for i := range n {
			kind := byte(recHeader)
			if i == n-1 {
				kind = recLastHeader
			}
			b = append(b, join(header(kind, byte(UEFI), 1, fmt.Sprint(i)), bootEntry(50, 4, 0))...)
		}
		e := parseCatalog(t, b)
		if got := len(e.Catalog.Entries); got != want || (len(e.Findings) > 0) != (n > 32) {
			t.Errorf("%d sections: %d entries, %v", n, got, e.Findings)
		}
	}
}

// TestCHS: head, sector from 1 on with the upper bits of the cylinder, its lower bits; what

// is behind cylinder 1023 is the last address there is.
func TestCHS(t *testing.T) {
	g := geometry{64, 32}
	for at, want := range map[int64]CHS{
		0: {0, 1, 0}, 31: {0, 32, 0}, 32: {1, 1, 0}, 2047: {63, 32, 0}, 2048: {0, 1, 1}, 255 * 2048: {0, 1, 255}, 256 * 2048: {0, 0x41, 0},
		1023*2048 + 33: {1, 0xc2, 255}, 1024*2048 - 1: {63, 0xe0, 255}, 1024 * 2048: {63, 0xe0, 255}, 1 << 40: {63, 0xe0, 255},
	} {
		got := g.chs(at)
		if got != want {
			t.Errorf("sector %d: %v, want %v", at, got, want)
		}
		if c := min(at/2048, 1023); got.cylinder() != c {
			t.Errorf("sector %d is in cylinder %d, want %d", at, got.cylinder(), c)
		}
	}
}

// gptOf writes a table for larger sectors on its own account (UEFI 5.3): 64 KiB volumes of

// TestGPTOfLargerSectors: addresses of a table count in the sectors that it is made for; a

// TestRoom: edited in place, an appended partition stays as long as the file system ends in

// TestLoadSize: a load size that covered the image covers the new one, others stay; 0 is for

// what the field cannot hold (El Torito 2.2, UEFI 13.3.2.1).
func TestLoadSize(t *testing.T) {
	for _, c := range []struct {
		sectors  uint16
		was, now int64
		want     uint16
	}{
		{4, 5000, 9000, 4},
		{10, 5000, 9000, 18},
		{12, 5000, 9000, 18},
		{10, 5120, 5121, 11},
		{10, 5000, 1, 1},
		{10, 5000, 0xffff * 512, 0xffff},
		{10, 5000, 0xffff*512 + 1, 0},
		{0, 40 << 20, 50 << 20, 0},
		{0, 40 << 20, 5000, 10},
		{(40 << 11) & 0xffff, 40 << 20, 5000, 10},
		{0, 5000, 9000, 0},
		{11, 5000, 9000, 11},
	} {
		if got := loadSize(&Entry{Sectors: c.sectors, Image: Image{Size: c.was}}, c.now); got != c.want {
			t.Errorf("%d sectors of %d bytes, now %d: %d, want %d", c.sectors, c.was, c.now, got, c.want)
		}
	}
}

// TestBootInfoTable: a table is one that names the image's own block and descriptors in front

// of it.
func TestBootInfoTable(t *testing.T) {
	for _, c := range []struct {
		n       int
		pvd, at uint32
		want    bool
	}{{64, 16, 50, true}, {64, 49, 50, true}, {64, 50, 50, false}, {64, 15, 50, false}, {64, 16, 51, false}, {63, 16, 50, false}, {64, 0, 0, false}} {
		b := make([]byte, c.n)
		le.PutUint32(b[8:], c.pvd)
		le.PutUint32(b[12:], c.at)
		le.PutUint32(b[16:], 777)
		le.PutUint32(b[20:], 888)
		got := bootInfo(b, 50)
		if (got != nil) != c.want || got != nil && (*got != BootInfo{PVD: iso9660.LBA(c.pvd), LBA: 50, Length: 777, Checksum: 888}) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// TestSmallLoader: a loader of few bytes gets as much of a table as there is room for if the

// tree says its length, and else none.
func TestSmallLoader(t *testing.T) {
	image := isolinuxImage(100, 50)
	for _, c := range []struct {
		path string
		n    int
		want bool
	}{{"/loader", 20, true}, {"/loader", 19, false}, {"/loader", 63, true}, {"", 63, false}, {"", 64, true}} {
		m, v := spec{sectors: 4200, volume: 1050, catalog: record(""), images: map[int64][]byte{50: image}}.make()
		v.FileSize = func(l iso9660.LBA) (int64, string, bool) { return 100, c.path, l == 50 && c.path != "" }
		e, err := Parse(m, m.size, v)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := e.Find("@bios")
		r, err := e.Relocate(Change{BaseEnd: madeEnd, NewEnd: madeEnd + 10, Objects: map[*Object]Placement{o: {LBA: 60, Size: int64(c.n), Content: bytes.NewReader(make([]byte, c.n))}}})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(r.Patches, func(p Patch) bool { return p.What == "boot info table" })
		if (i >= 0) != c.want || i >= 0 && (r.Patches[i].Off != 60*2048+8 || len(r.Patches[i].Data) != min(c.n, 64)-8 || le.Uint32(r.Patches[i].Data[4:]) != 60) {
			t.Errorf("%q of %d bytes: %+v", c.path, c.n, r.Patches)
		}
	}
}

// TestObjectLength: what several entries and partitions have at one place is one object, as

// long as the longest says, and ends with the image.
func TestObjectLength(t *testing.T) {
	for _, c := range []struct{ file, count, want int64 }{{2000, 100, 100 * 512}, {200 * 512, 100, 200 * 512}, {2000, 5000, 1050*2048 - 100*2048}} {
		m, v := spec{sectors: 4200, volume: 1050, catalog: uefiToo(100, 4), mbr: []part{{count: 4200, active: true}, {kind: 0xef, first: 400, count: c.count}}}.make()
		v.FileSize = func(l iso9660.LBA) (int64, string, bool) { return c.file, "efi.img", l == 100 }
		e, err := Parse(m, m.size, v)
		if err != nil {
			t.Fatal(err)
		}
		o, ok := e.Find("@efi")
		if !ok || o.Len != c.want || len(o.entries) != 1 || len(o.partitions) != 1 {
			t.Errorf("a file of %d bytes, %d sectors: %+v", c.file, c.count, o)
		}
	}
}

// TestOuterRole: where a partition begins and ends says what it is to the image.
func TestOuterRole(t *testing.T) {
	e := &Equipment{volume: Volume{Blocks: 1000, End: 900, FileSize: func(l iso9660.LBA) (int64, string, bool) { return 1, "f", l == 1200 }}}
	cover := partition{first: 0, count: 5000}
	for _, c := range []struct {
		first, count int64
		cover        partition
		want         Role
	}{
		{3599, 10, partition{first: -1}, RoleInside},
		{3600, 10, partition{first: -1}, RoleUnknown},
		{3999, 10, partition{first: -1}, RoleUnknown},
		{4000, 10, partition{first: -1}, RoleAppended},
		{4000, 10, cover, RoleAppended},
		{3600, 10, cover, RoleInside},
		{3600, 1400, cover, RoleInside},
		{3600, 1401, cover, RoleUnknown},
		{3700, 10, partition{first: 0, count: 3700}, RoleAppended},
		{4800, 10, partition{first: -1}, RoleInside},
		{4801, 10, partition{first: -1}, RoleAppended},
	} {
		if got := e.outerRole(partition{first: c.first, count: c.count}, c.cover); got != c.want {
			t.Errorf("%d+%d, cover %+v: %s, want %s", c.first, c.count, c.cover, got, c.want)
		}
	}
}

// TestForeignMoves: the boot blocks of other machines follow a file that moves and the end of

// the image, with the checksum that firmware wants.
func TestForeignMoves(t *testing.T) {
	big, little := binary.BigEndian, binary.LittleEndian
	sum := func(order binary.ByteOrder, b []byte, width int) (n uint64) {
		for ; len(b) > 0; b = b[width:] {
			switch width {
			case 4:
				n = uint64(uint32(n) + order.Uint32(b))
			case 8:
				n += order.Uint64(b)
			}
		}
		return n
	}
	const at, size = 100 * 2048, 5000
	for name, c := range map[string]struct {
		fill  func(b []byte)
		check func(b []byte, at, size, end uint64) bool
	}{
		"HP-PA boot block": {
			func(b []byte) {
				copy(b, "\x80\x00PALO\x00\x05")
				big.PutUint32(b[240:], at)
				big.PutUint32(b[244:], size)
			},
			func(b []byte, at, size, _ uint64) bool {
				return uint64(big.Uint32(b[240:])) == at && uint64(big.Uint32(b[244:])) == size
			},
		},
		"MIPS volume header": {
			func(b []byte) {
				big.PutUint32(b, 0x0be5a941)
				big.PutUint32(b[72+16+8:], at/512)
				big.PutUint32(b[72+16+12:], size)
				big.PutUint32(b[408:], 4200)
				big.PutUint32(b[504:], -uint32(sum(big, b[:512], 4)))
			},
			func(b []byte, at, size, end uint64) bool {
				return uint64(big.Uint32(b[96:])) == at/512 && uint64(big.Uint32(b[100:])) == size && uint64(big.Uint32(b[408:])) == end/512 && sum(big, b[:512], 4) == 0
			},
		},
		"MIPSel boot block": {
			func(b []byte) {
				little.PutUint32(b[8:], 0x0002757a)
				little.PutUint32(b[28:], at/512)
				little.PutUint32(b[24:], (size+511)/512)
			},
			func(b []byte, at, size, _ uint64) bool {
				return uint64(little.Uint32(b[28:])) == at/512 && uint64(little.Uint32(b[24:])) == (size+511)/512
			},
		},
		"Alpha boot block": {
			func(b []byte) {
				little.PutUint64(b[480:], (size+511)/512)
				little.PutUint64(b[488:], at/512)
				little.PutUint64(b[504:], sum(little, b[:504], 8))
			},
			func(b []byte, at, size, _ uint64) bool {
				return little.Uint64(b[488:]) == at/512 && little.Uint64(b[480:]) == (size+511)/512 && little.Uint64(b[504:]) == sum(little, b[:504], 8)
			},
		},
		"SUN disk label": {
			func(b []byte) {
				b[508], b[509] = 0xda, 0xbe
				big.PutUint64(b[552:], at)
				big.PutUint32(b[560:], size)
				big.PutUint32(b[448:], 4200)
				x := uint16(0)
				for i := 0; i < 510; i += 2 {
					x ^= big.Uint16(b[i:])
				}
				big.PutUint16(b[510:], x)
			},
			func(b []byte, at, size, end uint64) bool {
				x := uint16(0)
				for i := 0; i < 512; i += 2 {
					x ^= big.Uint16(b[i:])
				}
				return big.Uint64(b[552:]) == at && uint64(big.Uint32(b[560:])) == size && uint64(big.Uint32(b[448:])) == end/512 && x == 0
			},
		},
	} {
		m := &memory{map[int64][]byte{}, 4200 * sectorSize}
		b := make([]byte, 1024)
		c.fill(b)
		m.write(0, b)
		e, err := Parse(m, m.size, Volume{Blocks: 1050, End: madeEnd})
		if err != nil || e.System.Foreign != name || len(e.Objects()) != 1 {
			t.Fatalf("%s: %+v, %v", name, e.System, err)
		}
		o := e.Objects()[0]
		r, err := e.Relocate(Change{BaseEnd: madeEnd, NewEnd: madeEnd + 500, Objects: map[*Object]Placement{o: {LBA: 950, Size: 7000, Content: bytes.NewReader(make([]byte, 7000))}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.apply(e, r).ReadAt(b, 0); err != nil || !c.check(b, 950*2048, 7000, uint64(r.Size)) {
			t.Errorf("%s does not follow: %x", name, b)
		}
		r, err = e.Relocate(Change{BaseEnd: madeEnd, NewEnd: madeEnd + 500})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.apply(e, r).ReadAt(b, 0); err != nil || !c.check(b, at, uint64(o.Len), uint64(r.Size)) {
			t.Errorf("%s does not stay: %x", name, b)
		}
	}
}

// TestDrop: without a platform its entries, code and partitions go, the first entry that is

// left becomes the default one, and the sum of the validation entry is right.
func TestDrop(t *testing.T) {
	for _, c := range []struct {
		name string
		drop []Platform
		want string // platforms of the entries
		left int    // partitions of the MBR
	}{
		{"isohybrid and GPT", []Platform{BIOS}, "-", 2},
		{"appended, in a GPT", []Platform{BIOS}, "UEFI", 2},
		{"appended, in a GPT", []Platform{UEFI}, "BIOS", 2},
		{"appended, in a GPT", []Platform{BIOS, UEFI}, "none", 2},
		{"two appended", []Platform{UEFI}, "BIOS", 2},
	} {
		m, e := made[c.name].parse(t)
		r, err := e.Relocate(Change{BaseEnd: madeEnd, NewEnd: madeEnd, Drop: c.drop})
		if err != nil {
			t.Fatal(err)
		}
		v := Volume{Blocks: r.VolumeBlocks, Catalog: e.volume.Catalog, End: madeEnd}
		if r.NoCatalog != (c.want == "none") {
			t.Errorf("%s without %v: no catalog %v", c.name, c.drop, r.NoCatalog)
		}
		if r.NoCatalog {
			v.Catalog = 0
		}
		g, err := Parse(m.apply(e, r), r.Size, v)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, en := range g.boots() {
			got = append(got, en.Platform.String())
		}
		if text := strings.Join(got, " "); text != strings.Trim(strings.Replace(c.want, "none", "", 1), "-") || len(g.Findings) > len(e.Findings) {
			t.Errorf("%s without %v: %q, %v", c.name, c.drop, text, g.Findings)
		}
		if slices.Contains(c.drop, BIOS) != (g.System.MBR.Code == CodeNone) || len(g.System.MBR.Partitions) != c.left {
			t.Errorf("%s without %v: %s", c.name, c.drop, g.System.MBR)
		}
		if _, ok := g.Find("@efi"); ok && slices.Contains(c.drop, UEFI) && c.name != "two appended" {
			t.Errorf("%s without %v has an EFI system partition", c.name, c.drop)
		}
	}
}

// TestReplacedMedia: what is emulated as a medium is replaced by one of its size and kind.
func TestReplacedMedia(t *testing.T) {
	disk := spec{mbr: []part{{kind: 6, first: 63, count: 937}}}.sector0()
	two := spec{mbr: []part{{kind: 6, first: 63, count: 100}, {kind: 7, first: 200, count: 100}}}.sector0()
	other := spec{mbr: []part{{kind: 0x0e, first: 63, count: 937}}}.sector0()
	for _, c := range []struct {
		media    Media
		was, now []byte
		err      error
	}{
		{Floppy12, make([]byte, 1200<<10), make([]byte, 1200<<10), nil},
		{Floppy12, make([]byte, 1200<<10), make([]byte, 1200<<10-1), ErrUnfit},
		{HardDisk, disk, other, nil},
		{HardDisk, disk, two, ErrUnfit},
		{HardDisk, disk, make([]byte, 600), ErrUnfit},
	} {
		s := spec{sectors: 8400, volume: 2100, catalog: join(record("")[:32], bootEntry(950, 1, byte(c.media))), images: map[int64][]byte{950: c.was}}
		m, e := s.parse(t)
		o, _ := e.Find("@bios")
		r, err := e.Relocate(Change{BaseEnd: 2100, NewEnd: 2100, Objects: map[*Object]Placement{o: {LBA: 950, Size: int64(len(c.now)), Content: bytes.NewReader(c.now)}}})
		if !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s: %v, want %v", c.media, err, c.err)
		}
		if err == nil && c.media == HardDisk {
			b := make([]byte, 64)
			if _, err := m.apply(e, r).ReadAt(b, catalogAt*2048); err != nil || b[32+4] != 0x0e {
				t.Errorf("system type %x", b[36])
			}
		}
	}
}

// TestHints: loaders have their configurations beside themselves, GRUB one directory above too.
func TestHints(t *testing.T) {
	for _, c := range []struct{ loader, name, want string }{
		{LoaderIsolinux, "/isolinux/isolinux.bin", "syslinux [isolinux] GRUB []"},
		{LoaderGRUB2, "/boot/grub/i386-pc/eltorito.img", "syslinux [] GRUB [boot/grub/i386-pc boot/grub]"},
		{"", "/boot/GRUB/x.img", "syslinux [] GRUB [boot/GRUB boot]"},
		{"", "/boot/x.img", "syslinux [] GRUB []"},
		{LoaderIsolinux, "", "syslinux [] GRUB []"},
	} {
		e := &Equipment{Catalog: &Catalog{Entries: []Entry{{Image: Image{Name: c.name, Loader: c.loader}}}}}
		if h := e.Hints(); fmt.Sprint("syslinux ", h.Syslinux, " GRUB ", h.GRUB) != c.want {
			t.Errorf("%s %s: %v", c.loader, c.name, h)
		}
	}
	if h := (&Equipment{}).Hints(); len(h.Syslinux)+len(h.GRUB) > 0 {
		t.Error(h)
	}
}

// TestWays: a FAT image that is said to be for BIOS is started by UEFI where there is no other,

// code that leads to no image starts nothing, and a partition needs a table that firmware sees.
func TestWays(t *testing.T) {
	hybrid := made["isohybrid"]
	hybrid.catalog = record("")
	lost := hybrid
	lost.loader = 51 * 4
	fat := spec{sectors: 4200, volume: 1050, catalog: record(""), images: map[int64][]byte{50: fatSector(400)}}
	quiet := made["isohybrid and GPT"]
	quiet.mbr = quiet.mbr[:1]
	quiet.gpt = slices.Clone(quiet.gpt)
	quiet.gpt[1].guid = guidESP
	for name, c := range map[string]struct {
		s    spec
		want string
	}{
		"isohybrid": {hybrid, "CD BIOS boot image, disk BIOS isohybrid MBR"}, "lost": {lost, "CD BIOS boot image"}, "disguised": {fat, "CD BIOS FAT image, CD UEFI FAT image"},
		"GPT that is not announced": {quiet, ""}, "both": {made["appended, in a GPT"], "CD BIOS GRUB 2, CD UEFI EFI system partition, disk BIOS GRUB 2 MBR, disk UEFI GPT EFI system partition"},
	} {
		_, e := c.s.parse(t)
		var got []string
		for _, w := range e.Ways() {
			got = append(got, w.Medium+" "+w.Firmware+" "+w.By)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
}

// TestMedia: the lower half of the media byte is the type, the upper one flags (El Torito 2.2).
func TestMedia(t *testing.T) {
	for b, want := range map[byte]Media{0: NoEmulation, 1: Floppy12, 3: Floppy288, 4: HardDisk, 0xf4: HardDisk, 0x0c: 12, 0x8f: 15} {
		en := parseCatalog(t, join(record("")[:32], bootEntry(50, 1, b))).Catalog.Entries[0]
		if en.Media != want || en.MediaFlags != b&0xf0 {
			t.Errorf("%02x: %s, flags %02x", b, en.Media, en.MediaFlags)
		}
	}
}

// TestEntryRecord: what is to be loaded of an image, as far as the field reaches: UEFI takes 0

// TestInfoPatches: GRUB wants the sector behind its first block of four and one, the table

// TestIDs: ids made of a seed are those of version 4 and variant 1 (RFC 9562, 5.4), other for

// TestCreatedParts: partitions of a new MBR: what several tools take for holes belongs to the

// TestFATSize: the sectors that a FAT file system counts, of the size that it says.
func TestFATSize(t *testing.T) {
	for _, size := range []uint16{512, 1024, 2048, 4096} {
		b := fatSector(400)
		le.PutUint16(b[11:], size)
		if got := fatSize(b); got != 400*int64(size) {
			t.Errorf("sectors of %d: %d", size, got)
		}
	}
	for what, f := range map[string]func(b []byte){
		"sectors of 600": func(b []byte) { le.PutUint16(b[11:], 600) }, "of 8192": func(b []byte) { le.PutUint16(b[11:], 8192) }, "of 256": func(b []byte) { le.PutUint16(b[11:], 256) },
		"no jump": func(b []byte) { b[0] = 0 }, "no signature": func(b []byte) { b[511] = 0 }, "clusters of 3": func(b []byte) { b[13] = 3 }, "no table": func(b []byte) { b[16] = 0 }, "5 tables": func(b []byte) { b[16] = 5 }, "no name": func(b []byte) { b[54] = 0 },
	} {
		b := fatSector(400)
		if f(b); fatSize(b) != 0 {
			t.Errorf("%s: %d", what, fatSize(b))
		}
	}
}

// TestLostBackup: a backup whose header is lost is known by its entries, as long as it lies in

// TestShorterAppended: what lies behind an appended partition follows it when it gets shorter

// TestKeptInTables: what a session or a layout has of its own is kept: the block of the

// TestScaledProtective: an entry that announces a GPT of larger sectors counts in those where

// TestFollow: what coincides with a landmark goes with it, and what lies within the slack of

// TestMarker: a partition that ends within the system area carries a flag, no data.
func TestMarker(t *testing.T) {
	e := &Equipment{volume: Volume{Blocks: 1000}}
	for _, c := range []struct {
		first, count int64
		want         Role
	}{{0, 64, RoleMarker}, {0, 65, RoleFileSystem}, {64, 100, RoleFileSystem}, {10, 0, RoleUnknown}} {
		got := e.roles([]partition{{table: "MBR", first: c.first, count: c.count}}, "MBR", func(int) Role { return "" })
		if got[0] != c.want {
			t.Errorf("%d+%d: %s, want %s", c.first, c.count, got[0], c.want)
		}
	}
}

// TestNoTables: an Apple map of a block size that is none, and a catalog where descriptors are,

// are none.
func TestNoTables(t *testing.T) {
	b := make([]byte, 1100)
	copy(b, "ER\x03\xe8")
	copy(b[1000:], "PM")
	if e := area(t, 0, b); e.System.APM != nil {
		t.Errorf("%+v", e.System.APM)
	}
	for at, want := range map[int64]bool{17: false, 18: true} {
		m := &memory{map[int64][]byte{}, 1000 * iso9660.BlockSize}
		m.write(at*iso9660.BlockSize, record(""))
		e, err := Parse(m, m.size, Volume{Blocks: 1000, Catalog: iso9660.LBA(at)})
		if err != nil || (e.Catalog != nil) != want {
			t.Errorf("block %d: %+v, %v", at, e.Catalog, err)
		}
	}
}
