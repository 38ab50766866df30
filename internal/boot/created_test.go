package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
)

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
