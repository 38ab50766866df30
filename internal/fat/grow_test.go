package fat

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/internal/isotest"
)

func TestCreate(t *testing.T) {
	for _, c := range []struct {
		f    Format
		want Type
	}{
		{Format{Size: 1440 << 10, Label: "floppy", ID: 0x12345678}, FAT12},
		{Format{Size: 4 << 20, ID: 1}, FAT12},
		{Format{Size: 32<<20 + 1, Label: "ESP"}, FAT16},
		{Format{Size: 200 << 20}, FAT16},
		{Format{Size: 64 << 20, Type: FAT32, Label: "A-B C"}, FAT32},
		{Format{Size: 600 << 20}, FAT32},
		{Format{Size: 10 << 20, SectorSize: 2048, ClusterSize: 2048, OEMName: "MSWIN4.1"}, FAT16},
		{Format{Size: 10 << 20, SectorSize: 4096}, FAT12},
		{Format{Size: 40 << 20, ClusterSize: 512, Type: FAT32}, FAT32},
	} {
		c.f.Time = editTime
		m, err := Create(c.f)
		if err != nil {
			t.Errorf("%+v: %v", c.f, err)
			continue
		}
		path := write(t, m)
		img := openPath(t, path)
		if img.Type() != c.want || img.Label() != strings.ToUpper(c.f.Label) || img.VolumeID() != c.f.ID {
			t.Errorf("%+v: %v %q %v", c.f, img.Type(), img.Label(), img.VolumeID())
		}
		if img.Size()%2048 != 0 || img.Size() < c.f.Size {
			t.Errorf("%+v: %d bytes", c.f, img.Size())
		}
		sound(t, path)
		if img.sector == 512 && c.f.Label != "" {
			if out := string(isotest.Run(t, "mlabel", "-s", "-i", path, "::")); !strings.Contains(out, strings.ToUpper(c.f.Label)) {
				t.Errorf("%+v: mlabel: %s", c.f, out)
			}
		}
	}
	for _, f := range []Format{
		{},
		{Size: 1 << 20, Type: FAT32},
		{Size: 1 << 20, Type: FAT16},
		{Size: 1 << 30, Type: FAT12},
		{Size: 1 << 20, SectorSize: 300},
		{Size: 1 << 20, ClusterSize: 700},
		{Size: 1 << 44},
	} {
		if _, err := Create(f); err == nil {
			t.Errorf("%+v: no error", f)
		}
	}
	for _, label := range []string{"twelve chars", "a/b", " x", "ä"} {
		if _, err := Create(Format{Size: 1 << 20, Label: label}); !errors.Is(err, ErrName) {
			t.Errorf("label %q: %v", label, err)
		}
	}
}

// TestGrowType grows volumes up to where their type has to change.
func TestGrowType(t *testing.T) {
	for _, c := range []struct {
		from    Format
		to      int64
		typ     Type
		cluster int64
	}{
		{Format{Size: 1440 << 10}, 3 << 20, FAT12, 1024},
		{Format{Size: 1440 << 10}, 100 << 20, FAT12, 32 << 10},
		{Format{Size: 1440 << 10}, 160 << 20, FAT16, 4096},
		{Format{Size: 10 << 20, Type: FAT16}, 10 << 20, FAT16, 2048},
		{Format{Size: 10 << 20, Type: FAT16}, 1 << 30, FAT16, 16 << 10},
		{Format{Size: 10 << 20, Type: FAT16}, 3 << 30, FAT32, 4096},
		{Format{Size: 1440 << 10}, 3 << 30, FAT32, 4096},
		{Format{Size: 40 << 20, Type: FAT32}, 3 << 30, FAT32, 512},
		{Format{Size: 20 << 20, SectorSize: 4096}, 200 << 20, FAT12, 0},
	} {
		c.from.Label, c.from.ID, c.from.OEMName = "KEEP ME", 0xfeedbeef, "OEM NAME"
		m, err := Create(c.from)
		if err != nil {
			t.Fatal(err)
		}
		img := openBytes(t, readMap(t, m))
		e, err := img.Edit(Options{Time: editTime})
		if err != nil {
			t.Fatal(err)
		}
		want := tree{"dir": "", "dir/below": ""}
		err = errors.Join(e.Mkdir("dir"), e.Mkdir("dir/below"))
		for i := range 30 {
			name := fmt.Sprintf("dir/below/file %d", i)
			data := content(i, i*1000)
			want[name] = digest(data)
			err = errors.Join(err, e.Add(name, Bytes(data)))
		}
		if err != nil {
			t.Fatal(err)
		}
		if m, err = e.Grow(c.to); err != nil {
			t.Errorf("%+v to %d: %v", c.from, c.to, err)
			continue
		}
		path := write(t, m)
		big := openPath(t, path)
		if c.cluster == 0 {
			c.typ, c.cluster = big.Type(), big.ClusterSize()
		}
		if big.Type() != c.typ || big.ClusterSize() != c.cluster || big.Size() != c.to || big.SectorSize() != img.SectorSize() {
			t.Errorf("%+v to %d: %v, clusters of %d, %d bytes", c.from, c.to, big.Type(), big.ClusterSize(), big.Size())
		}
		if big.Label() != "KEEP ME" || big.VolumeID() != 0xfeedbeef || big.OEMName() != "OEM NAME" {
			t.Errorf("%+v to %d: %q %v %q", c.from, c.to, big.Label(), big.VolumeID(), big.OEMName())
		}
		if diff := cmp.Diff(want, ours(t, big)); diff != "" {
			t.Errorf("%+v to %d (-want +got)\n%s", c.from, c.to, diff)
		}
		sound(t, path)
		if diff := cmp.Diff(want, theirs(t, path)); diff != "" {
			t.Errorf("%+v to %d: they read (-want +got)\n%s", c.from, c.to, diff)
		}
	}
}

// TestFull fills volumes to the last cluster and slot, and one further.
func TestFull(t *testing.T) {
	for _, ref := range some() {
		img := openPath(t, ref.make(t))
		edit := func() *Editor {
			e, err := img.Edit(Options{})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		data := content(1, int(img.Free()))
		e := edit()
		if err := e.Add("all", Bytes(data)); err != nil {
			t.Fatal(err)
		}
		m, err := e.Map()
		if err != nil {
			t.Fatalf("%s: %v", ref.name, err)
		}
		path := write(t, m)
		sound(t, path)
		full := openPath(t, path)
		if full.Free() != 0 {
			t.Errorf("%s: %d bytes free", ref.name, full.Free())
		}
		img = full
		e = edit()
		if err := e.Add("one more", Bytes([]byte{1})); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Patches(); !errors.Is(err, ErrFull) {
			t.Errorf("%s: one byte more: %v", ref.name, err)
		}
		if m, err = e.Grow(0); err != nil {
			t.Fatalf("%s: %v", ref.name, err)
		}
		if m.Size() <= img.Size() || m.Size() > img.Size()+img.Size()/8+64<<10 {
			t.Errorf("%s: %d bytes became %d", ref.name, img.Size(), m.Size())
		}
		path = write(t, m)
		sound(t, path)
		if diff := cmp.Diff(tree{"all": digest(data), "one more": digest([]byte{1})}, ours(t, openPath(t, path))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", ref.name, diff)
		}
	}
}

// TestRootFull needs more slots than the root directory of FAT16 has.
func TestRootFull(t *testing.T) {
	img := openPath(t, references[4].make(t))
	e, err := img.Edit(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 64 {
		if err := e.Add(fmt.Sprintf("F%d", i), Bytes(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Patches(); !errors.Is(err, ErrFull) {
		t.Errorf("65 slots of 64: %v", err)
	}
	m, err := e.Grow(0)
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, m)
	sound(t, path)
	if got := ours(t, openPath(t, path)); len(got) != 64 {
		t.Errorf("%d files", len(got))
	}
	if err := e.Remove("F7"); err != nil {
		t.Fatal(err)
	}
	if m, err = e.Map(); err != nil {
		t.Fatal(err)
	}
	path = write(t, m)
	sound(t, path)
	if got := theirs(t, path); len(got) != 63 {
		t.Errorf("%d files", len(got))
	}
}

// TestRefused are edits that cannot be.
func TestRefused(t *testing.T) {
	img := openPath(t, references[0].make(t))
	e, err := img.Edit(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Mkdir("Directory"), e.Add("Directory/Long Name.txt", Bytes(nil)), e.Add("F.TXT", Bytes(nil))); err != nil {
		t.Fatal(err)
	}
	add := func(name string) error { return e.Add(name, Bytes(nil)) }
	replace := func(name string) error { return e.Replace(name, Bytes(nil)) }
	for _, c := range []struct {
		name string
		edit func(string) error
		path string
		want error
	}{
		{"add", add, "f.txt", fs.ErrExist},
		{"add over an alias", add, "directory/longna~1.TXT", fs.ErrExist},
		{"add nowhere", add, "none/x", fs.ErrNotExist},
		{"add below a file", add, "f.txt/x", fs.ErrNotExist},
		{"add outside", add, "../x", fs.ErrInvalid},
		{"add", add, "a:b", ErrName},
		{"add", add, "a\x01b", ErrName},
		{"add", add, "ends in a dot.", ErrName},
		{"add", add, strings.Repeat("x", 256), ErrName},
		{"add", add, strings.Repeat("😀", 128), ErrName},
		{"add", add, "\xff", fs.ErrInvalid},
		{"add the root", add, ".", ErrName},
		{"mkdir", e.Mkdir, "DIRECTORY", fs.ErrExist},
		{"replace", replace, "none", fs.ErrNotExist},
		{"replace a directory", replace, "directory", fs.ErrInvalid},
		{"remove", e.Remove, "none", fs.ErrNotExist},
		{"remove", e.Remove, "directory", ErrNotEmpty},
		{"remove the root", e.Remove, ".", fs.ErrInvalid},
		{"remove all", e.RemoveAll, "none", fs.ErrNotExist},
		{"remove all of the root", e.RemoveAll, ".", fs.ErrInvalid},
		{"add too much", func(name string) error { return e.Add(name, huge{}) }, "huge", ErrLimit},
		{"replace by too much", func(name string) error { return e.Replace(name, huge{}) }, "f.txt", ErrLimit},
	} {
		err := c.edit(c.path)
		var at *fs.PathError
		if !errors.Is(err, c.want) || !errors.As(err, &at) || at.Path != c.path {
			t.Errorf("%s %q: %v, not %v", c.name, c.path, err, c.want)
		}
	}
	m, err := e.Map()
	if err != nil {
		t.Fatal(err)
	}
	want := tree{"Directory": "", "Directory/Long Name.txt": digest(nil), "F.TXT": digest(nil)}
	if diff := cmp.Diff(want, ours(t, openBytes(t, readMap(t, m)))); diff != "" {
		t.Errorf("what was refused has left traces (-want +got)\n%s", diff)
	}
}

// huge is a source that FAT cannot hold.
type huge struct{}

func (huge) Name() string { return "huge" }
func (huge) Size() int64  { return 1 << 32 }

func (huge) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(nil).ReadAt(p, off)
}

// TestAliases makes more names of the same beginning than numbers of one digit.
func TestAliases(t *testing.T) {
	used := map[shortName]bool{}
	for i := range 3000 {
		s := alias(fmt.Sprintf("long name %d.text", i), func(s shortName) bool { return used[s] })
		if used[s] {
			t.Fatalf("%q is taken", s)
		}
		used[s] = true
	}
	for name, want := range map[string]string{
		"Foo.Txt": "FOO     TXT", "a+b.c": "A_B~1   C  ", ".profile": "PROFIL~1   ", "größe": "GR__E~1    ", "x.tar.gz": "XTAR~1  GZ ", "...": "_~1        ",
	} {
		if got := alias(name, func(shortName) bool { return false }); string(got[:]) != want {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
	}
}
