package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// store puts the record into the root directory and its areas behind each
// other into blocks, and reads the image.
func store(t interface{ Fatal(...any) }, d *Draft) *Entry {
	m := newImage()
	block, off := uint32(atChain), 0
	for i, a := range d.Areas {
		if off+len(a) > BlockSize {
			block, off = block+1, 0
		}
		d.SetArea(i, LBA(block), off)
		off += len(a)
	}
	block, off = atChain, 0
	for _, a := range d.Areas {
		if off+len(a) > BlockSize {
			block, off = block+1, 0
		}
		m.Put(int(block), off, a)
		off += len(a)
	}
	m.Dir(atRoot, atRoot, sp(0), nil, d.Record)
	img, err := open(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := img.Tree(Primary)
	if err != nil {
		t.Fatal(err)
	}
	if w := img.Warnings(); len(w) > 0 {
		t.Fatal(w)
	}
	if len(root.Children()) != 1 {
		t.Fatal("children:", len(root.Children()))
	}
	return root.Children()[0]
}

// What is packed is read back the same, whatever finds room where.
func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rock := Rock{RR: rapid.Bool().Draw(t, "RR"), Serials: rapid.Bool().Draw(t, "serials")}
		name := strings.Repeat("n", rapid.IntRange(1, 255).Draw(t, "name"))
		s := Stat{
			Mode:  rapid.SampledFrom([]uint32{ModeRegular, ModeSymlink, ModeChar, ModeBlock, ModeFIFO, ModeSocket}).Draw(t, "type") | 0o640,
			Nlink: 1, UID: rapid.Uint32().Draw(t, "uid"), GID: 7, Time: time.Date(2026, 11, 23, 9, 5, 45, 0, time.UTC),
		}
		switch s.Mode & ModeType {
		case ModeSymlink:
			s.Link = drawLink(t)
		case ModeChar, ModeBlock:
			// Major 0 and a minor above 255 would be taken for the other form.
			s.Major, s.Minor = rapid.Uint32Range(1, 0xfff).Draw(t, "major"), rapid.Uint32Range(0, 0xfffff).Draw(t, "minor")
		}
		id := strings.Repeat("X", rapid.IntRange(1, 37).Draw(t, "id"))
		d := NewDraft([]byte(id), 0, s.Time, rock.Entries(name, s))
		for _, a := range d.Areas {
			if len(a) == 0 || len(a) > BlockSize {
				t.Fatalf("area of %d bytes", len(a))
			}
		}
		if n := len(d.Record); n > maxRecord || n%2 != 0 || int(d.Record[0]) != n {
			t.Fatalf("record of %d bytes says %d", n, d.Record[0])
		}
		e := store(t, d)
		got := Stat{e.Attributes().Mode, e.Attributes().Nlink, e.Attributes().UID, e.Attributes().GID, e.Attributes().Serial, e.Attributes().Major, e.Attributes().Minor, e.Attributes().Modified, e.Attributes().Link}
		if diff := cmp.Diff(s, got); diff != "" || e.Name() != name {
			t.Fatalf("%q %s", e.Name(), diff)
		}
		again := e.Raws()[0].Draft(0)
		if !bytes.Equal(again.Record, d.Record) || !slices.EqualFunc(again.Areas, d.Areas, bytes.Equal) {
			t.Fatal("the draft of what was read is another")
		}
		again.Rename([]byte("Y"), NameEntries("other"))
		again.SetOwner(ModeRegular, 1, 2)
		again.AddLinks(3)
		e = store(t, again)
		if e.Name() != "other" || e.Attributes().Mode != ModeRegular || e.Attributes().UID != 1 || e.Attributes().GID != 2 || e.Attributes().Nlink != 4 || e.Attributes().Link != s.Link || string(e.Record().ID()) != "Y" {
			t.Fatalf("%q %+v", e.Name(), e.Attributes())
		}
	})
}

// drawLink draws a canonical target of up to 4000 bytes.
func drawLink(t *rapid.T) string {
	part := rapid.OneOf(rapid.SampledFrom([]string{".", ".."}), rapid.Map(rapid.IntRange(1, 600), func(n int) string { return strings.Repeat("l", n) }))
	link := strings.Join(rapid.SliceOfN(part, 1, 60).Draw(t, "parts"), "/")
	if rapid.Bool().Draw(t, "absolute") {
		link = "/" + link
	}
	return strings.TrimSuffix(link[:min(len(link), 4000)], "/")
}

// Whatever is in front of the entries stays when they are packed anew.
func TestPackSkip(t *testing.T) {
	r := Record(file("X.;1", 5, 6, []byte("xa-bytes"), nm("x")))
	d := Raw{Record: r}.Draft(8)
	d.Rename([]byte("LONGER.;1"), NameEntries("y"))
	want := file("LONGER.;1", 5, 6, []byte("xa-bytes"), nm("y"))
	if diff := cmp.Diff(want, []byte(d.Record)); diff != "" {
		t.Error(diff)
	}
}

// Records as other tools write them must survive being written again.
func TestDraftOfOddRecords(t *testing.T) {
	short := file("XY.;12", atHello, 5)[:39] // no byte behind a name of even length
	short[0] = 39
	m := newImage()
	m.Descriptor(atSVD, TypeTerminator, 0)
	m.PlainRoot(short, file("Z.;1", 0, 0))
	img, err := open(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := img.Tree(Primary)
	if err != nil {
		t.Fatal(err)
	}
	records := []Record{root.Self().Record, root.Up().Record}
	for _, c := range root.Children() {
		records = append(records, c.Raws()[0].Draft(0).Record)
	}
	copy(m[atRoot*BlockSize:], PackDirectory(records))
	if got := survey(bytes.NewReader(m), int64(len(m))); got.err != nil || !strings.Contains(got.list, `"/Z"`) {
		t.Errorf("what follows such a record is lost: %v, %s", got.err, got.list)
	}
}

// An empty continuation area is none: the record is packed anew, here without any.
func TestDraftEmptyArea(t *testing.T) {
	d := Raw{
		Record: file("X.;1", 0, 0, ce(atCE, 0, 0), ce(atCE, 0, 6)),
		Areas:  []Area{{Data: nm("x")}},
	}.Draft(0)
	if !bytes.Contains(d.Record, nm("x")) || bytes.Contains(d.Record, []byte("CE")) || len(d.Areas) != 0 {
		t.Errorf("record %q, areas %q", d.Record, d.Areas)
	}
}

// An area that no block holds is packed anew.
func TestDraftLargeArea(t *testing.T) {
	area := bytes.Repeat(entry("ZZ", make([]byte, 200)), 15)
	d := Raw{Record: file("X.;1", 0, 0, nm("x"), ce(1, 0, 1)), Areas: []Area{{Data: area}}}.Draft(0)
	if len(d.Areas) != 2 || len(d.Entries()) != 16 {
		t.Errorf("%d areas, %d entries", len(d.Areas), len(d.Entries()))
	}
	if e := store(t, d); e.Name() != "x" || len(e.Raws()[0].Areas) != 2 {
		t.Errorf("%q, %d areas", e.Name(), len(e.Raws()[0].Areas))
	}
}

func TestRelocation(t *testing.T) {
	d := NewDraft([]byte("X.;1"), 0, time.Time{}, []SystemUseEntry{at("CL", 5), nm("x")})
	d.SetRelocation(1234)
	if !bytes.Contains(d.Record, at("CL", 1234)) {
		t.Errorf("%q", d.Record)
	}
}

func TestPackDirectory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var records []Record
		for _, n := range rapid.SliceOfN(rapid.IntRange(1, 110), 0, 200).Draw(t, "names") {
			records = append(records, file(strings.Repeat("X", 2*n-1), 0, 0))
		}
		data := PackDirectory(records)
		lengths := func(yield func(int) bool) {
			for _, r := range records {
				if !yield(len(r)) {
					return
				}
			}
		}
		if n := DirectoryBlocks(lengths) * BlockSize; n != int64(len(data)) {
			t.Fatalf("%d bytes, foreseen %d", len(data), n)
		}
		var got []Record
		for off := 0; off < len(data); {
			if data[off] == 0 {
				off += BlockSize - off%BlockSize
				continue
			}
			n := int(data[off])
			if off%BlockSize+n > BlockSize {
				t.Fatalf("the record at %d crosses its block", off)
			}
			got = append(got, data[off:off+n])
			off += n
		}
		if !slices.EqualFunc(records, got, func(a, b Record) bool { return bytes.Equal(a, b) }) {
			t.Fatal("other records are read")
		}
	})
}

func TestPathTable(t *testing.T) {
	dirs := []PathTableDir{{[]byte{0}, 20, 0}, {[]byte("AB"), 21, 0}, {[]byte("C"), 0x01020304, 1}}
	want := "\x01\x00\x14\x00\x00\x00\x01\x00\x00\x00" + "\x02\x00\x15\x00\x00\x00\x01\x00AB" + "\x01\x00\x04\x03\x02\x01\x02\x00C\x00"
	if diff := cmp.Diff(want, string(PathTable(dirs, binary.LittleEndian))); diff != "" {
		t.Error(diff)
	}
	want = "\x01\x00\x00\x00\x00\x14\x00\x01\x00\x00" + "\x02\x00\x00\x00\x00\x15\x00\x01AB" + "\x01\x00\x01\x02\x03\x04\x00\x02C\x00"
	if diff := cmp.Diff(want, string(PathTable(dirs, binary.BigEndian))); diff != "" {
		t.Error(diff)
	}
	many := make([]PathTableDir, 70_000)
	for i := range many {
		many[i] = PathTableDir{[]byte("A"), 1, max(0, i-1)}
	}
	table := PathTable(many, binary.LittleEndian)
	last := table[len(table)-10:]
	if n, parent := len(table)/10, int(binary.LittleEndian.Uint16(last[6:])); n > 0x10000 || parent != n-1 {
		t.Errorf("%d directories, the last with parent %d", n, parent)
	}
}

func TestSections(t *testing.T) {
	for size, want := range map[int64][]Section{
		0:                  nil,
		1:                  {{9, 1}},
		1<<32 - 2048:       {{9, 1<<32 - 2048}},
		1<<32 - 2047:       {{9, 1<<32 - 2048}, {9 + 1<<21 - 1, 1}},
		2*(1<<32-2048) + 5: {{9, 1<<32 - 2048}, {9 + 1<<21 - 1, 1<<32 - 2048}, {9 + 1<<22 - 2, 5}},
	} {
		got := SplitSections(9, size)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d: %s", size, diff)
		}
		if n := SectionCount(size); n != max(1, len(want)) {
			t.Errorf("%d: %d sections", size, n)
		}
	}
}

func TestDates(t *testing.T) {
	cet := time.FixedZone("", 3600)
	for _, c := range []struct {
		b    string
		want time.Time
	}{
		{"\x7e\x0b\x17\x09\x05\x2d\x00", time.Date(2026, 11, 23, 9, 5, 45, 0, time.UTC)},
		{"\x7e\x0b\x17\x09\x05\x2d\x04", time.Date(2026, 11, 23, 9, 5, 45, 0, cet)},
		{"\x7e\x0b\x17\x09\x05\x2d\xfc", time.Date(2026, 11, 23, 10, 5, 45, 0, time.UTC)},
		{"\x7e\x0b\x17\x09\x05\x2d\x7f", time.Date(2026, 11, 23, 9, 5, 45, 0, time.UTC)}, // no such zone
		{"\x00\x00\x00\x00\x00\x00\x00", time.Time{}},
		{"\x7e\x0d\x17\x09\x05\x2d\x00", time.Time{}},
		{"\x7e\x0b\x00\x09\x05\x2d\x00", time.Time{}},
		{"\x7e\x0b\x17\x18\x05\x2d\x00", time.Time{}},
		{"\x7e\x0b\x17\x09\x3c\x2d\x00", time.Time{}},
		{"\x7e\x0b\x17\x09\x05\x3d\x00", time.Time{}},
	} {
		if got := date7([]byte(c.b)); !got.Equal(c.want) {
			t.Errorf("date7(%q) = %v, want %v", c.b, got, c.want)
		}
	}
	for _, c := range []struct {
		b, uuid string
		want    time.Time
	}{
		{"2026112309054577\x04", "2026-11-23-09-05-45-77", time.Date(2026, 11, 23, 9, 5, 45, 770_000_000, cet)},
		{"0000000000000000\x00", "", time.Time{}},
		{"2026110009054577\x00", "2026-11-00-09-05-45-77", time.Time{}},
		{"2026 12309054577\x00", "", time.Time{}},
		{"+026112309054577\x00", "", time.Time{}},
	} {
		d := Date17(c.b)
		if !d.Time().Equal(c.want) || d.UUID() != c.uuid {
			t.Errorf("%q: %v, %q", c.b, d.Time(), d.UUID())
		}
	}
	b := make([]byte, 7)
	for _, at := range []time.Time{time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2155, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2026, 11, 23, 0, 5, 45, 0, cet)} {
		if putDate7(b, at); !date7(b).Equal(at) {
			t.Errorf("%v is read as %v", at, date7(b))
		}
	}
	for at, want := range map[time.Time]time.Time{
		{}: {},
		time.Date(1899, 12, 31, 23, 59, 59, 0, time.UTC): firstTime,
		time.Date(2156, 1, 1, 0, 0, 0, 0, time.UTC):      lastTime,
		time.Date(2400, 1, 1, 12, 0, 0, 0, time.UTC):     lastTime,
	} {
		if putDate7(b, at); !date7(b).Equal(want) {
			t.Errorf("%v is read as %v", at, date7(b))
		}
		if _, ok := RecordTime(at); ok != at.IsZero() {
			t.Errorf("RecordTime of %v: %v", at, ok)
		}
	}
	if d := NewDate17(time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)); len(d) != 17 || d.Time().Year() != 9999 {
		t.Errorf("%q", d)
	}
}

// Two sessions: that of block 16 is read as a rule, the other one if asked for.
func TestSessions(t *testing.T) {
	m := newImage()
	m.Put(atPVD, OffSpaceSize, pair32(96))
	m.Descriptor(96+16, TypePrimary, 120)
	m.Descriptor(96+17, TypeTerminator, 0)
	m.Dir(120, 120, nil, nil, file("LATER.;1", 0, 0))
	m.Put(96+16, OffVolumeID, []byte("SECOND"))
	want := []Session{{0, 96, "VOLUME", true}, {96, allocate, "SECOND", false}}
	for n, name := range []string{"a.txt", "a.txt", "LATER"} {
		img, err := open(m, Options{Session: n})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, img.Sessions()); diff != "" {
			t.Error(diff)
		}
		fsys, err := img.FSOf(Primary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fsys.Stat(name); err != nil {
			t.Errorf("session %d: %v", n, err)
		}
	}
	for _, n := range []int{-1, 3} {
		if _, err := open(m, Options{Session: n}); err == nil {
			t.Errorf("session %d was opened", n)
		}
	}
	m.Put(96+17, 0, make([]byte, BlockSize))
	m.Put(96+16, offBlockSize, pair16(512))
	if _, err := open(m, Options{Session: 2}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("broken session: %v", err)
	}
}

// TestDraftWithoutEntries: system use fields that are not read stay as they are, as far as
// a longer identifier leaves room.
func TestDraftWithoutEntries(t *testing.T) {
	su := append([]byte("CE\x1c\x01"), bytes.Repeat([]byte{'S'}, 180)...)
	r := NewDraft([]byte("A"), 0, time.Time{}, nil).Record
	r = append(r, su...)
	r[0] = byte(len(r))
	odd := append(r[:len(r):len(r)], bytes.Repeat([]byte{'S'}, 255-len(r))...)
	odd[0] = 255
	if d := (Raw{Record: odd}).Draft(NoEntries); !bytes.Equal(d.Record[1:], odd[1:254]) || d.Record[0] != 254 {
		t.Errorf("%x became %x", odd, d.Record)
	}
	r[0] = byte(len(r))
	d := Raw{Record: r}.Draft(NoEntries)
	if !bytes.Equal(d.Record, r) || len(d.Entries()) > 0 {
		t.Errorf("%x became %x", r, d.Record)
	}
	d.Rename(bytes.Repeat([]byte{'B'}, 100), nil)
	if n := len(d.Record); n != maxRecord || int(d.Record[0]) != n || !bytes.HasPrefix(su, d.Record.SystemUse()) {
		t.Errorf("renamed: %d bytes, %x", n, d.Record)
	}
}
