package boot

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

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
