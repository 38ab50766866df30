package boot

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// TestUnsupported: a word of each reason.
func TestUnsupported(t *testing.T) {
	s := made["appended, in a GPT"]
	broken := s
	broken.array = 60
	for _, c := range []struct {
		name, want string
		s          spec
	}{
		{"nothing announced", "there is none", spec{sectors: 4200, volume: 1050, mbr: []part{{kind: 0xee, first: 1, count: 4199}}}},
		{"array at the end", "not inside the system area", broken},
		{"fine", "", s},
	} {
		_, e := c.s.parse(t)
		why := strings.Join(e.Unsupported(), " ")
		if !strings.Contains(why, c.want) || c.want == "" && why != "" {
			t.Errorf("%s: %q, want %q", c.name, why, c.want)
		}
		_, err := resize(e, madeEnd, 1000)
		if (err == nil) != (c.want == "") || err != nil && !errors.Is(err, iso9660.ErrUnsupported) {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(e.Describe()) == 0 || e.Layout == "" {
			t.Errorf("%s: nothing to say", c.name)
		}
	}
}

// TestGPTDamage: each change of the header makes the table unusable, nothing more.
func TestGPTDamage(t *testing.T) {
	for _, c := range []struct {
		off   int
		value uint32
		want  string
	}{
		{12, 0, "header has 0 bytes"},
		{12, 0xffffffff, "header has"},
		{80, 0, "0 entries"},
		{80, 0xffffffff, "4294967295 entries"},
		{84, 0, "entries have 0 bytes"},
		{76, 0x80000000, "not inside the system area"},
	} {
		m, v := made["isohybrid and GPT"].make()
		m.write(gptOff+int64(c.off), le.AppendUint32(nil, c.value))
		e, err := Parse(m, m.size, v)
		if err != nil || !strings.Contains(e.System.GPT.Problem, c.want) || len(e.Findings) != 1 {
			t.Errorf("offset %d: %v, %v", c.off, e.Findings, err)
		}
		if d := e.Describe(); !strings.Contains(strings.Join(d, "\n"), "not usable") {
			t.Error(d)
		}
	}
	m, v := made["isohybrid and GPT"].make()
	m.write(2048, []byte(gptMagic))
	m.write(gptOff, make([]byte, 8))
	if e, err := Parse(m, m.size, v); err != nil || e.System.GPT.SectorSize != 2048 {
		t.Errorf("%v", err)
	}
}

// area parses a system area with these bytes in front.
func area(t *testing.T, at int64, b []byte) *Equipment {
	t.Helper()
	m := &memory{map[int64][]byte{}, 1000 * iso9660.BlockSize}
	m.write(at, b)
	e, err := Parse(m, m.size, Volume{Blocks: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestForeign(t *testing.T) {
	alpha := make([]byte, sectorSize)
	le.PutUint64(alpha[480:], 100)
	le.PutUint64(alpha[488:], 400)
	le.PutUint64(alpha[504:], 500)
	for name, e := range map[string]*Equipment{
		"SUN disk label":     area(t, 508, []byte{0xda, 0xbe}),
		"MIPS volume header": area(t, 0, []byte{0x0b, 0xe5, 0xa9, 0x41}),
		"MIPSel boot block":  area(t, 8, []byte{0x7a, 0x75, 0x02, 0x00}),
		"HP-PA boot block":   area(t, 0, []byte("\x80\x00PALO\x00\x05")),
		"Alpha boot block":   area(t, 0, alpha),
	} {
		if e.System.Foreign != name || e.Layout != name || len(e.Unsupported()) != 0 || len(e.Describe()) != 1 {
			t.Errorf("%s: %+v, %q", name, e.System, e.Layout)
		}
	}
}

func TestApple(t *testing.T) {
	for _, magic := range []string{"BD", "H+", "HX"} {
		if e := area(t, 1024, []byte(magic)); e.System.HFS == "" || !e.Shared() {
			t.Errorf("%s: %+v", magic, e.System)
		}
	}
	entry := func(name, kind string, first, count uint32) []byte {
		b := make([]byte, 2048)
		copy(b, "PM")
		binary.BigEndian.PutUint32(b[8:], first)
		binary.BigEndian.PutUint32(b[12:], count)
		copy(b[16:], name)
		copy(b[48:], kind)
		return b
	}
	head := append([]byte("ER\x08\x00"), make([]byte, 2044)...)
	e := area(t, 0, join(head, entry("Apple", "Apple_partition_map", 1, 4), entry("Gap0", "ISO9660_data", 16, 100),
		entry("HFSPLUS_Hybrid", "Apple_HFS", 116, 800), entry("Gap1", "ISO9660_data", 916, 84)))
	roles := []Role{RoleMarker, RoleFileSystem, RoleHFS, RoleGap}
	if a := e.System.APM; a == nil || len(a.Partitions) != len(roles) {
		t.Fatalf("%+v", a)
	}
	for i, p := range e.System.APM.Partitions {
		if p.Role != roles[i] {
			t.Errorf("%s: %s", p.Name, p.Role)
		}
	}
	if e.Layout != "APM + HFS+" || !e.Shared() {
		t.Errorf("%q, %v", e.Layout, e.Objects())
	}
}

func TestUnknownSystemArea(t *testing.T) {
	e := area(t, 5000, []byte("something"))
	if len(e.Findings) != 1 || len(e.Unsupported()) != 0 || e.Layout != "unknown system area" {
		t.Errorf("%v, %q, %q", e.Findings, e.Unsupported(), e.Layout)
	}
	if e := area(t, 5000, nil); e.System.Used || e.Layout != "not bootable" {
		t.Errorf("%+v", e.System)
	}
}

func TestLoaderAddress(t *testing.T) {
	for _, c := range []struct {
		code     string
		loader   uint64
		findings int
	}{
		{"isolinux", 50 * 4, 0}, {"isolinux", 51 * 4, 1}, {"GRUB", 50*4 + 4, 0}, {"GRUB", 50 * 4, 1}, {"other", 7, 0},
	} {
		s := made["isohybrid"]
		s.code, s.loader, s.catalog = c.code, c.loader, record("")
		if _, e := s.parse(t); len(e.Findings) != c.findings {
			t.Errorf("%s %d: %v", c.code, c.loader, e.Findings)
		}
	}
}

func TestObjects(t *testing.T) {
	_, e := made["appended, in a GPT"].parse(t)
	var got []string
	for _, o := range e.Objects() {
		got = append(got, fmt.Sprintf("%s %d+%d %v", o.Name, o.Off/iso9660.BlockSize, o.Len, o.Appended))
	}
	if want := []string{"@catalog 40+2048 false", "@bios 50+2600 false", "@efi 900+512000 true"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for name, at := range map[string]int64{"@efi": 900, "@part2": 900, "@boot2": 900, "@boot1": 50, "@catalog": 40, "@part1": 0, "@part9": 0, "@boot": 0, "@x": 0} {
		if o, ok := e.Find(name); ok != (at > 0) || ok && o.Off != at*iso9660.BlockSize {
			t.Errorf("%s: %+v, %v", name, o, ok)
		}
	}
	var refs []string
	for _, r := range e.Refs() {
		refs = append(refs, fmt.Sprintf("%d %s %s", r.Off, r.Field, r.Object.Name))
	}
	want := []string{
		"432 MBR, boot image address @bios", "1184 GPT partition 2, start @efi", "34887 boot record, catalog @catalog",
		"81960 boot catalog, entry 1 @bios", "82024 boot catalog, entry 2 @efi", "102412 boot info table of entry 1 @bios", "104948 GRUB 2 boot info of entry 1 @bios",
		"2663072 backup GPT partition 2, start @efi",
	}
	if !slices.Equal(refs, want) {
		t.Errorf("%q", refs)
	}
}

func TestVolumePassesImage(t *testing.T) {
	s := made["plain, padded"]
	s.volume = 2000
	if _, e := s.parse(t); len(e.Findings) != 1 || e.Findings[0].Kind != iso9660.ErrTruncated {
		t.Errorf("%v", e.Findings)
	}
}

func TestNames(t *testing.T) {
	if s := Platform(9).String() + Media(9).String() + Mac.String() + PowerPC.String(); s != "platform 0x09media type 9MacPowerPC" {
		t.Error(s)
	}
	if guidESP.String() != "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" {
		t.Error(guidESP)
	}
	_, e := made["isohybrid and GPT"].parse(t)
	if b, err := json.Marshal(e); err != nil || !strings.Contains(string(b), `"type":"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"`) {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := json.Marshal(CHS{63, 0xe0, 0xe3}); err != nil || string(b) != "[995,63,32]" {
		t.Errorf("%s, %v", b, err)
	}
}
