package boot

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

func value[T any](v T) *T { return &v }

// fakeLoader is a boot image that is taken for isolinux.
func fakeLoader() []byte {
	b := bytes.Repeat([]byte{1, 2, 3, 4, 5}, 1000)
	copy(b[64:], "\xfb\xc0\x78\x70")
	return b
}

// TestCreate makes equipment of every kind and parses it: nothing is found amiss, and
// everything is what was asked for.
func TestCreate(t *testing.T) {
	bios := EntrySpec{Platform: BIOS, Sectors: 4, InfoTable: true, ID: "loader"}
	uefi := EntrySpec{Platform: UEFI}
	inner := EntrySpec{Platform: UEFI, Partition: true}
	code := append(bytes.Repeat([]byte{0x90}, 400), "isolinux GRUB"...)
	mac := EntrySpec{Platform: UEFI, Partition: true, HFSPlus: true, APM: true}
	apple, both := mac, mac
	apple.Partition, apple.HFSPlus, both.HFSPlus = false, false, false
	hybrid := append([]byte{0x33, 0xed}, code...)
	for _, c := range []struct {
		name    string
		s       Spec
		entries []EntrySpec
		layout  string
		ways    string
	}{
		{"plain", Spec{}, []EntrySpec{bios, uefi}, "plain El Torito", "CD BIOS,CD UEFI"},
		{"isohybrid", Spec{Code: CodeIsohybrid, Boot: code}, []EntrySpec{bios}, "isohybrid MBR", "CD BIOS,disk BIOS"},
		{"isohybrid with GPT", Spec{Code: CodeIsohybrid, Boot: code}, []EntrySpec{bios, inner}, "isohybrid MBR + GPT", "CD BIOS,CD UEFI,disk BIOS,disk UEFI"},
		{"isohybrid with GPT and APM", Spec{Code: CodeIsohybrid, Boot: hybrid}, []EntrySpec{bios, both}, "isohybrid MBR + GPT + APM", "CD BIOS,CD UEFI,disk BIOS,disk UEFI"},
		{"isohybrid with APM", Spec{Code: CodeIsohybrid, Boot: hybrid}, []EntrySpec{bios, apple}, "isohybrid MBR + APM", "CD BIOS,CD UEFI,disk BIOS"},
		{"isohybrid for Macs", Spec{Code: CodeIsohybrid, Boot: hybrid}, []EntrySpec{bios, mac}, "isohybrid MBR + GPT + APM", "CD BIOS,CD UEFI,disk BIOS"},
		{"GRUB with APM", Spec{Code: CodeGRUB2, Boot: append(append([]byte{0xeb, 0x63}, code[:24]...), "GRUB"...)}, []EntrySpec{bios, both}, "GRUB 2 MBR + GPT + APM", "CD BIOS,CD UEFI,disk BIOS,disk UEFI"},
		{"code of its own", Spec{Code: CodeOther, Boot: []byte("code"), Protective: true, Loads: 1, LoadsSecond: true}, []EntrySpec{bios}, "MBR", "CD BIOS,disk BIOS"},
		{"code of its own, first sector", Spec{Code: CodeOther, Boot: []byte("code"), Protective: true, Loads: 1}, []EntrySpec{bios}, "MBR", "CD BIOS,disk BIOS"},
		{"APM alone", Spec{}, []EntrySpec{bios, apple}, "El Torito + APM", "CD BIOS,CD UEFI"},
		{"isohybrid, appended", Spec{Code: CodeIsohybrid, Boot: code, PartitionOffset: 16, Appended: []AppendedSpec{{2, typeESP, guidESP, 3 << 20}}}, []EntrySpec{bios, uefi}, "isohybrid MBR, appended partition", "CD BIOS,CD UEFI,disk BIOS,disk UEFI"},
		{"GRUB, appended in a GPT", Spec{Code: CodeGRUB2, Boot: code[404:], Appended: []AppendedSpec{{2, typeESP, guidESP, 3 << 20}}, AppendedGPT: true, ForceActive: true}, []EntrySpec{bios, uefi}, "GRUB 2 MBR + GPT, appended partition", "CD BIOS,CD UEFI,disk BIOS,disk UEFI"},
		{"offset and types", Spec{Code: CodeOther, Boot: []byte("code"), PartitionOffset: 16, MBRType: value(byte(0x42)), ForceActive: true}, []EntrySpec{bios}, "MBR", "CD BIOS,disk BIOS"},
		{"GPT of a type", Spec{Code: CodeGRUB2, Boot: code[404:], EFIPartition: true, GPTType: value(GUID{1, 2, 3})}, []EntrySpec{bios, uefi}, "GRUB 2 MBR + GPT", "CD BIOS,CD UEFI,disk BIOS,disk UEFI"},
		{"GRUB, ESP inside", Spec{Code: CodeGRUB2, Boot: code[404:], EFIPartition: true}, []EntrySpec{bios, uefi}, "GRUB 2 MBR + GPT", "CD BIOS,CD UEFI,disk BIOS,disk UEFI"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const first, end = 100, 3000
			a := c.s.Arrange(c.entries, end, 150)
			at := []Located{{first, 5000}, {first + 10, 2 << 20}}[:len(c.entries)]
			if len(a.Appended) > 0 && len(at) > 1 {
				at[1] = a.Appended[0]
			}
			area, trailer, err := c.s.Area(c.entries, a, at)
			if err != nil {
				t.Fatal(err)
			}
			heads := [][]byte{fakeLoader(), make([]byte, 4096)}[:len(at)]
			catalog, err := CatalogOf(c.entries, at, heads)
			if err != nil {
				t.Fatal(err)
			}
			m := &memory{map[int64][]byte{}, a.Blocks * iso9660.BlockSize}
			m.write(0, area)
			m.write(16*iso9660.BlockSize, []byte("\x01CD001\x01"))
			if at := c.s.PartitionOffset; at > 0 {
				m.write((at+16)*iso9660.BlockSize, []byte("\x01CD001\x01"))
			}
			m.write(90*iso9660.BlockSize, catalog)
			m.write(first*iso9660.BlockSize, fakeLoader())
			patches, err := InfoPatches(bytes.NewReader(fakeLoader()), 5000, first, true, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range patches {
				m.write(first*iso9660.BlockSize+p.Off, p.Data)
			}
			m.write(m.size-int64(len(trailer)), trailer)
			e, err := Parse(m, m.size, Volume{Catalog: 90, Blocks: a.Blocks, End: end, FileSize: func(l iso9660.LBA) (int64, string, bool) {
				for i, x := range at {
					if int64(l) == x.LBA && x.LBA < end {
						return x.Size, fmt.Sprint("/image", i), true
					}
				}
				return 0, "", false
			}})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range e.Findings {
				t.Error(f)
			}
			var ways []string
			for _, w := range e.Ways() {
				ways = append(ways, w.Medium+" "+w.Firmware)
			}
			if e.Layout != c.layout || strings.Join(ways, ",") != c.ways {
				t.Errorf("%q boots from %q", e.Layout, ways)
			}
			if b := e.Catalog.Entries[0].Image.BootInfo; b == nil || !b.OK || e.Catalog.ID != "loader" || e.Catalog.Entries[0].Sectors != 4 {
				t.Errorf("%+v, table %+v", e.Catalog, b)
			}
			s, entries, notes := e.Replay()
			if s.Code != c.s.Code && c.s.Code != "" || len(entries) != len(c.entries) || len(s.Appended) != len(c.s.Appended) || s.AppendedGPT != c.s.AppendedGPT || s.EFIPartition != c.s.EFIPartition || s.Loads != c.s.Loads || s.LoadsSecond != c.s.LoadsSecond || len(notes) > 0 {
				t.Errorf("made again: %+v %+v %q", s, entries, notes)
			}
			sameAgain(t, c.s, s, entries, a, at, area, trailer)
			for i, en := range entries {
				if want := c.entries[i]; en.Partition != want.Partition || en.HFSPlus != want.HFSPlus || en.APM != want.APM {
					t.Errorf("entry %d made again: %+v", i+1, en)
				}
			}
		})
	}
}

// sameAgain checks that equipment which is made again is the same, byte for byte, where it was
// made of the same seed.
func sameAgain(t *testing.T, was, s Spec, entries []EntrySpec, a Arrangement, at []Located, area, trailer []byte) {
	t.Helper()
	s.Seed, s.DiskGUID = was.Seed, was.DiskGUID
	x, y, err := s.Area(entries, a, at)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x {
		if x[i] != area[i] && (i < 24 || i >= 440) { // the head of a map is that of code that had one
			t.Errorf("made again, byte %d of the system area is %02x, was %02x", i, x[i], area[i])
			break
		}
	}
	if !bytes.Equal(y, trailer) {
		t.Error("made again, the backup GPT is another one")
	}
}

// TestCreateRefused: images that do not fit their medium, and code without an image.
func TestCreateRefused(t *testing.T) {
	at := []Located{{100, 5000}}
	for _, en := range []EntrySpec{{Media: Floppy144}, {Media: HardDisk}} {
		if _, err := CatalogOf([]EntrySpec{en}, at, [][]byte{make([]byte, 4096)}); !errors.Is(err, ErrMedia) {
			t.Errorf("%s: %v", en.Media, err)
		}
	}
	s := Spec{Code: CodeIsohybrid, Boot: []byte("isolinux")}
	entries := []EntrySpec{{Platform: UEFI}}
	if _, _, err := s.Area(entries, s.Arrange(entries, 1000, 0), at); !errors.Is(err, ErrNoImage) {
		t.Error("code of isohybrid without an image for BIOS passes")
	}
	apple := []EntrySpec{{APM: true}}
	for _, s := range []Spec{{Code: CodeIsohybrid, Boot: []byte("\x33\xed\x90isolinux")}, {Code: CodeIsohybrid, Boot: append([]byte{0x33, 0xed}, bytes.Repeat([]byte{0x99, 0xf8}, 20)...)}, {Code: CodeGRUB2, Boot: []byte("\xeb\x63\x90GRUB")}, {Code: CodeGRUB2, Boot: append([]byte{0xeb, 0x63}, make([]byte, 90)...)}, {Code: CodeOther, Boot: []byte("code")}, {Code: CodeOther, Boot: append(make([]byte, 3000), 1)}} {
		if _, _, err := s.Area(apple, s.Arrange(apple, 1000, 0), at); !errors.Is(err, ErrNoRoom) {
			t.Errorf("an Apple partition map overwrites the code of %s", s.Code)
		}
	}
	if _, _, err := (Spec{}).Area(slices.Repeat(apple, 7), Arrangement{}, slices.Repeat(at, 7)); !errors.Is(err, iso9660.ErrLimit) {
		t.Errorf("7 Apple partitions: %v", err)
	}
	if _, err := InfoPatches(bytes.NewReader(make([]byte, 60)), 60, 100, true, true); !errors.Is(err, ErrInfoRoom) {
		t.Errorf("GRUB's information in 60 bytes: %v", err)
	}
	for _, size := range []int64{1, 8, 20, 63, 64, 65} { // as much of the table as there is room for
		list, err := InfoPatches(bytes.NewReader(bytes.Repeat([]byte{1}, int(size))), size, 100, true, false)
		n := int64(0)
		for _, p := range list {
			n += int64(len(p.Data))
		}
		if err != nil || n != max(0, min(size, 64)-8) {
			t.Errorf("a table in %d bytes: %d bytes, %v", size, n, err)
		}
	}
	if _, err := CatalogOf(make([]EntrySpec, 40), make([]Located, 40), make([][]byte, 40)); !errors.Is(err, iso9660.ErrLimit) {
		t.Errorf("40 entries: %v", err)
	}
}

func TestParseGUID(t *testing.T) {
	for s, want := range map[string]GUID{"C12A7328-F81F-11D2-BA4B-00A0C93EC93B": guidESP, "28732ac11ff8d211ba4b00a0c93ec93b": guidESP} {
		if g, err := ParseGUID(s); err != nil || g != want {
			t.Errorf("%s: %s, %v", s, g, err)
		}
	}
	if _, err := ParseGUID("c12a"); err == nil {
		t.Error("a short one passes")
	}
}
