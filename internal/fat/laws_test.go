package fat

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLaws are what holds for every volume: no edits change nothing, an edit
// and its undoing neither but for times, and all is the same a second time.
func TestLaws(t *testing.T) {
	for _, ref := range some() {
		b, err := os.ReadFile(ref.make(t))
		if err != nil {
			t.Fatal(err)
		}
		edit := func(b []byte, o Options, steps ...func(*Editor) error) []byte {
			t.Helper()
			e, err := openBytes(t, b).Edit(o)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				if err := s(e); err != nil {
					t.Fatal(err)
				}
			}
			m, err := e.Map()
			if err != nil {
				t.Fatal(err)
			}
			return readMap(t, m)
		}
		add := func(e *Editor) error { return e.Add("New File.txt", Bytes(content(7, 9000))) }
		remove := func(e *Editor) error { return e.Remove("new file.TXT") }
		if !bytes.Equal(b, edit(b, Options{})) {
			t.Errorf("%s: no edits change something", ref.name)
		}
		if !bytes.Equal(b, edit(b, Options{}, add, remove)) {
			t.Errorf("%s: an edit and its undoing change something", ref.name)
		}
		once := edit(b, Options{Time: editTime}, add)
		if !bytes.Equal(once, edit(b, Options{Time: editTime}, add)) {
			t.Errorf("%s: not the same a second time", ref.name)
		}
		secret := content(7, 9000)[100:400]
		if !bytes.Contains(once, secret) {
			t.Errorf("%s: no content", ref.name)
		}
		if bytes.Contains(edit(once, Options{}, remove), secret) {
			t.Errorf("%s: content survives its removal", ref.name)
		}
		if name := []byte("EWFIL~1TXT"); !bytes.Contains(once, name) || bytes.Contains(edit(once, Options{}, remove), name) {
			t.Errorf("%s: a name survives its removal", ref.name)
		}
		if !bytes.Contains(edit(once, Options{KeepFreed: true}, remove), secret) {
			t.Errorf("%s: freed clusters are gone although they were to be kept", ref.name)
		}
		same := edit(once, Options{Time: editTime}, func(e *Editor) error { return e.Replace("New File.txt", Bytes(content(7, 9000))) })
		if !bytes.Equal(once, same) {
			t.Errorf("%s: replacing a file by itself changes something", ref.name)
		}
	}
}

func TestManyEntries(t *testing.T) {
	for _, ref := range some() {
		img := openPath(t, ref.make(t))
		e, err := img.Edit(Options{Time: editTime})
		if err != nil {
			t.Fatal(err)
		}
		want := tree{"sub": ""}
		if err := e.Mkdir("sub"); err != nil {
			t.Fatal(err)
		}
		for i := range 400 {
			name := fmt.Sprintf("sub/Long name number %d.txt", i)
			want[name] = digest(content(i, i))
			if err := e.Add(name, Bytes(content(i, i))); err != nil {
				t.Fatal(err)
			}
		}
		m, err := e.Map()
		if err != nil {
			t.Fatal(err)
		}
		file := write(t, m)
		sound(t, file)
		if diff := cmp.Diff(want, theirs(t, file)); diff != "" {
			t.Errorf("mtools read (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(want, ours(t, openPath(t, file))); diff != "" {
			t.Errorf("we read (-want +got)\n%s", diff)
		}
	}
}

// TestInPlace replaces a file by one of the same length: its clusters, one
// sector of its directory, and nothing else.
func TestInPlace(t *testing.T) {
	v := newVolume(t, FAT16)
	img := v.image(t)
	old, err := img.Content("A Long Name.txt")
	if err != nil {
		t.Fatal(err)
	}
	e, err := img.Edit(Options{Time: editTime})
	if err != nil {
		t.Fatal(err)
	}
	data := Bytes(content(5, 1500))
	if err := e.Replace("a long name.TXT", &shifted{data, 0}); err != nil {
		t.Fatal(err)
	}
	patches, err := e.Patches()
	if err != nil {
		t.Fatal(err)
	}
	at := old.Extents()[0].SrcOff
	var got []string
	for _, p := range patches {
		got = append(got, p.String())
	}
	want := []string{fmt.Sprintf("%d +1500 copy memory@0", at), fmt.Sprintf("%d +36 zero", at+1500)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with the time that it has (-want +got)\n%s", diff)
	}
	e.opt.Time = editTime.AddDate(0, 0, 1)
	if patches, err = e.Patches(); err != nil || len(patches) != 3 || patches[0].Off != img.rootOff() || patches[0].Len != img.sector {
		t.Errorf("with another time: %v, %v", patches, err)
	}
}

// TestSecondTable edits a volume whose tables differ: the first one counts.
func TestSecondTable(t *testing.T) {
	v := newVolume(t, FAT16)
	img := v.image(t)
	v.put32(img.tableOff(1)+100, 0x12345678)
	e, err := img.Edit(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add("new", Bytes([]byte("new"))); err != nil {
		t.Fatal(err)
	}
	m, err := e.Map()
	if err != nil {
		t.Fatal(err)
	}
	sound(t, write(t, m))
}

// TestTimes keeps times that FAT can hold, to two seconds, and moves others.
func TestTimes(t *testing.T) {
	for _, c := range []struct{ give, want time.Time }{
		{editTime, editTime},
		{editTime.Add(time.Second), editTime},
		{editTime.In(time.FixedZone("", 3600)), editTime},
		{time.Time{}, time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)},
		{time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)},
	} {
		s := make(slot, slotSize)
		if s.setWritten(c.give); !s.written().Equal(c.want) {
			t.Errorf("%v became %v, not %v", c.give, s.written(), c.want)
		}
	}
	if s := make(slot, slotSize); !s.written().IsZero() {
		t.Errorf("no time is %v", s.written())
	}
}
