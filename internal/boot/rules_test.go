package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
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
// sectors from first to last, of the given size.
func gptOf(m *memory, size int64, parts ...[2]int64) {
	array := make([]byte, 128*gptEntrySize)
	for i, p := range parts {
		b := array[i*gptEntrySize:]
		copy(b, guidData[:])
		b[16] = byte(i + 1)
		le.PutUint64(b[32:], uint64(p[0]))
		le.PutUint64(b[40:], uint64(p[1]))
	}
	n, last := int64(len(array))/size, m.size/size-1
	for _, x := range []struct{ own, other, array int64 }{{1, last, 2}, {last, 1, last - n}} {
		h := make([]byte, gptHeaderSize)
		copy(h, "EFI PART\x00\x00\x01\x00\x5c")
		for off, v := range map[int]int64{24: x.own, 32: x.other, 40: 2 + n, 48: last - n - 1, 72: x.array} {
			le.PutUint64(h[off:], uint64(v))
		}
		le.PutUint32(h[80:], 128)
		le.PutUint32(h[84:], gptEntrySize)
		le.PutUint32(h[88:], crc(array))
		le.PutUint32(h[16:], crc(h))
		m.write(x.array*size, array)
		m.write(x.own*size, h)
	}
}

// TestGPTOfLargerSectors: addresses of a table count in the sectors that it is made for; a
// last sector is whole.
func TestGPTOfLargerSectors(t *testing.T) {
	for _, size := range []int64{512, 2048, 4096} {
		per := size / sectorSize
		m := &memory{map[int64][]byte{}, 1200 * iso9660.BlockSize}
		m.write(0, spec{mbr: []part{{kind: 0xee, first: 1, count: m.size/size - 1}}}.sector0())
		total := m.size / size
		gptOf(m, size, [2]int64{16 * 2048 / size, 1000*2048/size - 1})
		e, err := Parse(m, m.size, Volume{Blocks: 1000, End: 990})
		if err != nil || len(e.Findings) > 0 {
			t.Fatalf("%d: %v, %v", size, err, e.Findings)
		}
		g := e.System.GPT
		if g.SectorSize != size || g.Partitions[0].First != 64 || g.Partitions[0].Last != 3999 || g.Alternate != (total-1)*per || g.end() != e.sectors() || !g.Announced {
			t.Errorf("%d: %+v", size, g)
		}
		if n := 128*gptEntrySize/size + 1; g.LastUsable != (total-n)*per-1 || g.FirstUsable != (1+n)*per || g.trailerSectors() != n*per {
			t.Errorf("%d: usable %d to %d, backup of %d sectors", size, g.FirstUsable, g.LastUsable, g.trailerSectors())
		}
		f, err := resize(e, 990, 1500)
		if err != nil {
			t.Fatal(err)
		}
		h, err := Parse(m.apply(e, f), f.Size, Volume{Blocks: f.VolumeBlocks, End: 1500})
		if err != nil || len(h.Findings) > 0 {
			t.Errorf("%d grown: %v, %v", size, err, h.Findings)
		}
		if p := h.System.GPT.Partitions[0]; p.First != 64 || (p.Last+1)%per != 0 || p.Last+1 < 1500*4 || h.System.GPT.end()*sectorSize != f.Size {
			t.Errorf("%d grown: %+v in %d bytes", size, p, f.Size)
		}
	}
}

// TestCreatedGPT: the header of a new table by UEFI 5.3.2, table 21, and what sgdisk says.
func TestCreatedGPT(t *testing.T) {
	const end = 3000
	s := Spec{Code: CodeGRUB2, Boot: []byte("GRUB"), EFIPartition: true}
	entries := []EntrySpec{{Platform: BIOS}, {Platform: UEFI}}
	a := s.Arrange(entries, end, 150)
	at := []Located{{100, 5000}, {200, 2 << 20}}
	area, trailer, err := s.Area(entries, a, at)
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(a.Blocks*perBlock - 1)
	h, array := area[512:604], area[1024:][:128*128]
	backup, backupArray := trailer[len(trailer)-512:][:92], trailer[len(trailer)-512-128*128:][:128*128]
	for name, x := range map[string]struct {
		h, array             []byte
		own, other, arrayLBA uint64
	}{"primary": {h, array, 1, last, 2}, "backup": {backup, backupArray, last, 1, last - 32}} {
		for field, v := range map[int]uint64{24: x.own, 32: x.other, 40: 34, 48: last - 33, 72: x.arrayLBA} {
			if got := le.Uint64(x.h[field:]); got != v {
				t.Errorf("%s header, byte %d: %d, want %d", name, field, got, v)
			}
		}
		plain := bytes.Clone(x.h)
		clear(plain[16:20])
		if le.Uint32(x.h[16:]) != crc(plain) || le.Uint32(x.h[88:]) != crc(x.array) || le.Uint32(x.h[80:]) != 128 || le.Uint32(x.h[84:]) != 128 || le.Uint32(x.h[12:]) != 92 {
			t.Errorf("%s: sums or sizes are wrong", name)
		}
	}
	image := filepath.Join(t.TempDir(), "image")
	b := make([]byte, a.Blocks*iso9660.BlockSize)
	copy(b, area)
	copy(b[len(b)-len(trailer):], trailer)
	if err := os.WriteFile(image, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := isotest.Run(t, "sgdisk", "-v", image); !bytes.Contains(out, []byte("No problems found")) {
		t.Errorf("sgdisk:\n%s", out)
	}
}

// TestProtectiveEntry: an entry that announces a GPT of more sectors than it can tell says
// 0xffffffff (UEFI 5.2.3).
func TestProtectiveEntry(t *testing.T) {
	m, e := made["appended, in a GPT"].parse(t)
	f, err := resize(e, madeEnd, 1<<31)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := m.apply(e, f).ReadAt(b, mbrTableOff+12); err != nil || le.Uint32(b) != 1<<32-1 {
		t.Errorf("%x, %v", b, err)
	}
}

// TestRoom: edited in place, an appended partition stays as long as the file system ends in
// front of it, else it leaves room; the image does not shrink.
func TestRoom(t *testing.T) {
	const room = 1000
	s := made["appended, in a GPT"]
	_, e := s.parse(t)
	at := func(c Change) (*Relocation, int64) {
		c.BaseEnd = madeEnd
		r, err := e.Relocate(c)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Appended) == 0 {
			return r, 0
		}
		return r, r.Appended[0].Off / iso9660.BlockSize
	}
	for _, c := range []struct{ end, room, want int64 }{
		{madeEnd, room, 900}, {madeEnd - 10, room, 900}, {madeEnd + 1, room, 901 + room}, {madeEnd - 10, 0, 890}, {madeEnd + 1, 0, 901},
	} {
		r, got := at(Change{NewEnd: c.end, Room: c.room})
		if got != c.want || c.room > 0 && r.Size < e.in.size {
			t.Errorf("end %d, room %d: at %d, want %d; %d bytes, were %d", c.end, c.room, got, c.want, r.Size, e.in.size)
		}
	}
	r, _ := at(Change{NewEnd: madeEnd, Room: room, Drop: []Platform{UEFI}})
	if r.Size != e.in.size || len(r.Appended) != 0 {
		t.Errorf("without its partition, the image has %d bytes of %d", r.Size, e.in.size)
	}
}

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

// TestArrange: where the file system, appended partitions, padding and the backup GPT end.
func TestArrange(t *testing.T) {
	esp := AppendedSpec{2, typeESP, guidESP, 3 << 20}
	bios, uefi := EntrySpec{Platform: BIOS}, EntrySpec{Platform: UEFI, Partition: true}
	for _, c := range []struct {
		name     string
		s        Spec
		entries  []EntrySpec
		part     int64
		appended []int64
		blocks   int64
	}{
		{"plain", Spec{}, []EntrySpec{bios}, 3150, nil, 3150},
		{"isohybrid, whole cylinders", Spec{Code: CodeIsohybrid}, []EntrySpec{bios}, 3584, nil, 3584},
		{"isohybrid, any end", Spec{Code: CodeIsohybrid, Align: AlignOff}, []EntrySpec{bios}, 3150, nil, 3150},
		{"isohybrid and GPT", Spec{Code: CodeIsohybrid}, []EntrySpec{bios, uefi}, 3584, nil, 3584},
		{"GRUB", Spec{Code: CodeGRUB2}, []EntrySpec{bios}, 3150, nil, 3150},
		{"GRUB, whole cylinders", Spec{Code: CodeGRUB2, Align: AlignOn}, []EntrySpec{bios}, 3584, nil, 3584},
		{"GRUB and GPT", Spec{Code: CodeGRUB2, EFIPartition: true}, []EntrySpec{bios}, 3159, nil, 3159},
		{"appended", Spec{Code: CodeGRUB2, Appended: []AppendedSpec{esp, {3, 0x83, guidBasic, 5000}}}, []EntrySpec{bios}, 3150, []int64{3150, 4686}, 4689},
		{"appended in a GPT", Spec{Code: CodeGRUB2, Appended: []AppendedSpec{esp}, AppendedGPT: true}, []EntrySpec{bios}, 3000, []int64{3000}, 4695},
		{"isohybrid, appended", Spec{Code: CodeIsohybrid, Appended: []AppendedSpec{esp}}, []EntrySpec{bios}, 3584, []int64{3584}, 5120},
		{"all aligned", Spec{Code: CodeGRUB2, Align: AlignAll, Appended: []AppendedSpec{{2, 0x83, guidBasic, 5000}, {3, 0x83, guidBasic, 5000}}}, []EntrySpec{bios}, 3584, []int64{3584, 4096}, 4608},
		{"a shape that was given", Spec{Code: CodeIsohybrid, Heads: 128}, []EntrySpec{bios}, 4096, nil, 4096},
	} {
		a := c.s.Arrange(c.entries, 3000, 150)
		var at []int64
		for _, l := range a.Appended {
			at = append(at, l.LBA)
		}
		if a.Part != c.part || a.Blocks != c.blocks || !slices.Equal(at, c.appended) {
			t.Errorf("%s: %d, appended at %d, %d blocks; want %d, %d, %d", c.name, a.Part, at, a.Blocks, c.part, c.appended, c.blocks)
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
// for all up to the end.
func TestEntryRecord(t *testing.T) {
	for _, c := range []struct {
		en   EntrySpec
		size int64
		want uint16
	}{
		{EntrySpec{Sectors: 4}, 9000, 4},
		{EntrySpec{}, 9000, 20},
		{EntrySpec{Platform: UEFI}, 2048, 4},
		{EntrySpec{}, 0xffff * 512, 0xffff},
		{EntrySpec{}, 40 << 20, 0xffff},
		{EntrySpec{Platform: UEFI}, 40 << 20, 0},
		{EntrySpec{Media: Floppy144, Criteria: []byte{7, 8}}, 1440 << 10, 1},
	} {
		b, err := c.en.record(Located{77, c.size}, nil)
		if err != nil || le.Uint16(b[6:]) != c.want || le.Uint32(b[8:]) != 77 || Media(b[1]) != c.en.Media || !bytes.HasPrefix(b[12:], c.en.Criteria) {
			t.Errorf("%+v of %d bytes: %x, %v", c.en, c.size, b, err)
		}
	}
}

// TestInfoPatches: GRUB wants the sector behind its first block of four and one, the table
// says where the image is and what its words from byte 64 on add up to, GRUB's own included.
func TestInfoPatches(t *testing.T) {
	b := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, 500)
	list, err := InfoPatches(bytes.NewReader(b), int64(len(b)), 77, true, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		copy(b[p.Off:], p.Data)
	}
	want := bytes.Clone(b)
	fillBootInfo(want, 77)
	if le.Uint64(b[2548:]) != 77*4+5 || !bytes.Equal(b, want) {
		t.Errorf("GRUB's address is %d; %x, want %x", le.Uint64(b[2548:]), b[8:64], want[8:64])
	}
}

// TestIDs: ids made of a seed are those of version 4 and variant 1 (RFC 9562, 5.4), other for
// other things and seeds, and follow the GUID of the disk if that is given.
func TestIDs(t *testing.T) {
	seen := map[GUID]bool{}
	for _, s := range []Spec{{}, {Seed: []byte("a")}, {Seed: []byte("b")}, {DiskGUID: &guidESP}} {
		for _, what := range []string{"disk", "partition 1", "partition 2"} {
			g := s.id(what)
			if s.DiskGUID != nil && what == "disk" {
				if g != guidESP {
					t.Errorf("the disk has %s", g)
				}
				continue
			}
			if text := g.String(); text[14] != '4' || !strings.ContainsRune("89ab", rune(text[19])) || seen[g] || s.id(what) != g {
				t.Errorf("%s of %q is %s", what, s.Seed, text)
			}
			seen[g] = true
		}
	}
}

// TestCreatedParts: partitions of a new MBR: what several tools take for holes belongs to the
// one in front; an Apple map counts itself and its entries.
func TestCreatedParts(t *testing.T) {
	s := Spec{Code: CodeIsohybrid, Boot: []byte("isolinux"), Appended: []AppendedSpec{{2, typeESP, guidESP, 5000}, {3, 0x83, guidBasic, 7000}}}
	entries := []EntrySpec{{Platform: BIOS}}
	a := s.Arrange(entries, 3000, 150)
	at := []Located{{100, 5000}}
	var got []string
	for _, p := range s.mbrParts(entries, a, at) {
		got = append(got, fmt.Sprintf("%d %02x %v %d+%d", p.Number, p.Type, p.Active, p.First, p.Count))
	}
	if want := "1 17 true 0+14336, 2 ef false 14336+2048, 3 83 false 16384+16"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %s", got, want)
	}
	apple := []EntrySpec{{Platform: BIOS}, {Platform: UEFI, APM: true}, {Platform: UEFI, APM: true}}
	at = []Located{{100, 5000}, {200, 8192}, {300, 4096}}
	area, _, err := Spec{}.Area(apple, Arrangement{}, at)
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	for _, p := range parseAPM(area).Partitions {
		b := area[p.Number*2048:]
		got = append(got, fmt.Sprintf("%s %s %d+%d of %d, status %x", p.Name, p.Type, p.First, p.Count, binary.BigEndian.Uint32(b[4:]), p.Status))
	}
	if want := "Apple Apple_partition_map 4+12 of 3, status 3, EFI Apple_HFS 800+16 of 3, status 40000013, EFI Apple_HFS 1200+8 of 3, status 40000013"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %s", got, want)
	}
}

// TestBetween: the gaps that libisofs has entries for are what no partition has.
func TestBetween(t *testing.T) {
	for _, c := range []struct {
		used       []span
		first, end int64
		want       string
	}{
		{nil, 10, 20, "[{10 20}]"},
		{[]span{{12, 15}}, 10, 20, "[{10 12} {15 20}]"},
		{[]span{{15, 25}, {5, 12}}, 10, 20, "[{12 15}]"},
		{[]span{{10, 20}}, 10, 20, "[]"},
		{[]span{{11, 18}, {12, 14}}, 10, 20, "[{10 11} {18 20}]"},
		{[]span{{12, 13}, {30, 40}}, 10, 20, "[{10 12} {13 20}]"},
	} {
		if got := fmt.Sprint(between(c.used, c.first, c.end)); got != c.want {
			t.Errorf("%v from %d to %d: %s, want %s", c.used, c.first, c.end, got, c.want)
		}
	}
}

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
// the image.
func TestLostBackup(t *testing.T) {
	m, v := made["appended, in a GPT"].make()
	head := m.size - sectorSize
	m.write(head, make([]byte, sectorSize))
	e, err := Parse(m, m.size, v)
	if r, ok := e.Trailer(); err != nil || !ok || r.End() != m.size || r.Len != e.System.GPT.trailerSectors()*sectorSize {
		t.Errorf("%+v, %v, %v", r, ok, err)
	}
	m.size -= sectorSize // and now it does not
	e, err = Parse(m, m.size, v)
	if r, ok := e.Trailer(); err != nil || ok {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestVolumeOfAppended: a volume that ends in front of appended partitions goes on to.
func TestVolumeOfAppended(t *testing.T) {
	s := made["appended, behind the volume"]
	s.volume = 895
	m, v := s.make()
	v.Blocks, v.End = 895, 890
	e, err := Parse(m, m.size, v)
	if err != nil {
		t.Fatal(err)
	}
	for grow, want := range map[int64]int64{0: 895, 5: 895, 8: 900, 100: 990, -20: 875} {
		c := Change{BaseEnd: 890, NewEnd: 890 + grow}
		if grow == 8 { // more than would fit in front of a partition that stays
			c.Room = 1000
		}
		r, err := e.Relocate(c)
		if err != nil {
			t.Fatal(err)
		}
		if at := r.Appended[0].Off / 2048; r.VolumeBlocks < 890+grow || r.VolumeBlocks > at || (grow == 0 || grow == 8) && r.VolumeBlocks != want {
			t.Errorf("grown by %d: volume of %d blocks, the partition is at %d", grow, r.VolumeBlocks, at)
		}
	}
}

// TestShorterAppended: what lies behind an appended partition follows it when it gets shorter
// or longer.
func TestShorterAppended(t *testing.T) {
	_, e := made["two appended"].parse(t)
	o, _ := e.Find("@efi")
	for size, want := range map[int64]int64{100 * 2048: 1000, 300 * 2048: 1200, o.Len: 900 + (o.Len+2047)/2048} {
		r, err := e.Relocate(Change{BaseEnd: madeEnd, NewEnd: madeEnd, Objects: map[*Object]Placement{o: {Size: size, Content: bytes.NewReader(make([]byte, size))}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Appended[1].Off / 2048; got != want || r.Appended[0].Off/2048 != 900 || r.Appended[0].Len != (size+2047)/2048*2048 {
			t.Errorf("%d bytes: the next one is at %d, want %d; %+v", size, got, want, r.Appended)
		}
	}
}

// TestKeptInTables: what a session or a layout has of its own is kept: the block of the
// descriptors in a boot info table, the room behind the last usable sector of a GPT.
func TestKeptInTables(t *testing.T) {
	image := isolinuxImage(3001, 50)
	le.PutUint32(image[8:], 33)
	_, e := spec{sectors: 4200, volume: 1050, catalog: record(""), images: map[int64][]byte{50: image}}.parse(t)
	o, _ := e.Find("@bios")
	for at, want := range map[iso9660.LBA]uint32{60: 33, 33: 16, 20: 16} {
		r, err := e.Relocate(Change{BaseEnd: madeEnd, NewEnd: madeEnd + 1, Objects: map[*Object]Placement{o: {LBA: at, Size: 3001, Content: bytes.NewReader(image)}}})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(r.Patches, func(p Patch) bool { return p.What == "boot info table" })
		if i < 0 || le.Uint32(r.Patches[i].Data) != want {
			t.Errorf("at %d: %+v, want %d", at, r.Patches, want)
		}
	}
	for _, room := range []int64{34, 40, 60} { // from the last usable sector to the header
		m, v := made["isohybrid and GPT"].make()
		h := make([]byte, gptHeaderSize)
		m.ReadAt(h, gptOff)
		le.PutUint64(h[48:], le.Uint64(h[32:])-uint64(room))
		clear(h[16:20])
		le.PutUint32(h[16:], crc(h))
		m.write(gptOff, h)
		e, err := Parse(m, m.size, v)
		if err != nil {
			t.Fatal(err)
		}
		r, err := resize(e, madeEnd, madeEnd+5000)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Parse(m.apply(e, r), r.Size, Volume{Blocks: r.VolumeBlocks})
		if err != nil || g.System.GPT.Alternate-g.System.GPT.LastUsable != room {
			t.Errorf("%d sectors of room are %d now", room, g.System.GPT.Alternate-g.System.GPT.LastUsable)
		}
	}
}

// TestScaledProtective: an entry that announces a GPT of larger sectors counts in those where
// it ends with the table or with the image.
func TestScaledProtective(t *testing.T) {
	for _, c := range []struct {
		count uint32
		want  int64
	}{{100*4 - 1, 4}, {120*4 - 1, 4}, {77, 1}} {
		g := &GPT{SectorSize: 2048, Alternate: 100*16 - 4}
		m := &MBR{Partitions: []MBRPartition{{Type: typeProtective, First: 1, Count: c.count}}}
		m.scaleProtective(g, 120*16-1)
		if first, count := m.Partitions[0].Sectors(); first != c.want || count != int64(c.count)*c.want {
			t.Errorf("%d: %d+%d", c.count, first, count)
		}
	}
}

// TestFollow: what coincides with a landmark goes with it, and what lies within the slack of
// the end of the tables; anything else stays.
func TestFollow(t *testing.T) {
	o := &Object{}
	from := landmarks{volume: 4000, table: 4200, size: 4400, appended: map[*Object]span{o: {4100, 4150}}}
	to := landmarks{volume: 5000, table: 5200, size: 5400, appended: map[*Object]span{o: {5100, 5160}}}
	for _, c := range []struct {
		at, slack, want int64
		known           bool
	}{
		{4000, 0, 5000, true},
		{4200, 0, 5200, true},
		{4400, 0, 5400, true},
		{4100, 0, 5100, true},
		{4150, 0, 5160, true},
		{4199, 0, 4199, false},
		{4199, 2, 5199, true},
		{4190, 10, 4190, false},
		{4191, 10, 5191, true},
		{4201, 10, 4201, false},
	} {
		if got, known := follow(from, to, c.at, c.slack); got != c.want || known != c.known {
			t.Errorf("sector %d, slack %d: %d, %v; want %d, %v", c.at, c.slack, got, known, c.want, c.known)
		}
	}
}

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

// TestTrailerMoves: the backup GPT has another place in a longer image and in a shorter one.
func TestTrailerMoves(t *testing.T) {
	_, e := made["GRUB 2 and GPT"].parse(t)
	if e.System.GPT == nil {
		_, e = made["appended, in a GPT"].parse(t)
	}
	for grow, want := range map[int64]bool{0: false, 1000: true, -300: true} {
		r, err := resize(e, madeEnd, madeEnd+grow)
		if err != nil || r.TrailerMoves != want {
			t.Errorf("grown by %d: %v, %v", grow, r.TrailerMoves, err)
		}
	}
}

// TestAppleFree: an entry of an Apple map whose image goes is free space; numbers stay.
func TestAppleFree(t *testing.T) {
	entries := []EntrySpec{{Platform: BIOS}, {Platform: UEFI, APM: true}}
	at := []Located{{100, 5000}, {200, 8192}}
	area, _, err := Spec{}.Area(entries, Arrangement{}, at)
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := CatalogOf(entries, at, make([][]byte, 2))
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{map[int64][]byte{}, 1000 * iso9660.BlockSize}
	m.write(0, area)
	m.write(catalogAt*iso9660.BlockSize, catalog)
	e, err := Parse(m, m.size, Volume{Blocks: 1000, End: madeEnd, Catalog: catalogAt})
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Relocate(Change{BaseEnd: madeEnd, NewEnd: madeEnd, Drop: []Platform{UEFI}})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3*2048)
	if _, err := m.apply(e, r).ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if ps := parseAPM(append(b, make([]byte, 26<<10)...)).Partitions; len(ps) != 2 || ps[1].Type != "Apple_Free" || ps[1].Name != "" {
		t.Errorf("%+v", ps)
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
