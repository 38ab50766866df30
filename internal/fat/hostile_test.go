package fat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"time"
)

// volume is a small volume that tests break.
type volume []byte

func (v volume) put(at int64, b ...byte) volume  { copy(v[at:], b); return v }
func (v volume) put16(at int64, n uint16) volume { binary.LittleEndian.PutUint16(v[at:], n); return v }

func (v volume) put32(at int64, n uint32) volume   { binary.LittleEndian.PutUint32(v[at:], n); return v }
func (v volume) image(tb testing.TB) *Image        { return openBytes(tb, v) }
func (v volume) entry(tb testing.TB, c, to uint32) { v.image(tb).tableOf(v).set(c, to) }

// tableOf is the table that counts, over the bytes of the volume.
func (img *Image) tableOf(v volume) table {
	return table{v[img.tableOff(img.active):][:img.tableBytes()], img.typ}
}

// root is where slot i of the root directory lies.
func (img *Image) rootSlot(i int) int64 { return img.rawOff(img.root, int64(i)*slotSize) }

// newVolume has, in this order: "A Long Name.txt" of three clusters (slots 0 to
// 2), D (slot 3) with D/SUB in it, and E (slot 4).
func newVolume(tb testing.TB, t Type) volume {
	tb.Helper()
	g := geometry{typ: t, sector: 512, perCluster: 1, reserved: 1, tables: 2, rootEntries: 64, mirrored: true}
	size := int64(256 << 10)
	switch t {
	case FAT16:
		size = 3 << 20
	case FAT32: // too small by the book
		size = 2 << 20
		g.fat32()
	}
	if !g.fill(size / g.sector) {
		tb.Fatalf("no %v volume", t)
	}
	m, err := Format{Time: editTime}.build(g)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := openBytes(tb, readMap(tb, m)).Edit(Options{Time: editTime})
	if err != nil {
		tb.Fatal(err)
	}
	err = errors.Join(e.Add("A Long Name.txt", Bytes(content(1, 1500))), e.Mkdir("D"), e.Mkdir("D/SUB"), e.Mkdir("E"))
	if err != nil {
		tb.Fatal(err)
	}
	if m, err = e.Map(); err != nil {
		tb.Fatal(err)
	}
	return readMap(tb, m)
}

// survey opens a volume, reads all of it, and edits it.
func survey(r io.ReaderAt, size int64) error {
	img, err := Open(r, size)
	if err != nil {
		return err
	}
	var errs []error
	_ = fs.WalkDir(img, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			errs = append(errs, err)
			return fs.SkipDir
		}
		if !d.IsDir() {
			f, err := img.Open(path)
			if err == nil {
				_, err = io.Copy(io.Discard, io.LimitReader(f, 1<<20))
			}
			errs = append(errs, err)
		}
		return nil
	})
	e, err := img.Edit(Options{})
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, e.Add("a new file", Bytes([]byte("new"))))
	if _, err := e.Map(); !errors.Is(err, ErrFull) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// hostile breaks a rule; survey gives an error of the kind, at the structure.
type hostile struct {
	name      string
	typ       Type
	make      func(testing.TB, volume) volume
	kind      Kind
	structure string
}

// boot8, boot16 and boot32 change a field of the boot sector.
func boot8(at int64, n byte) func(testing.TB, volume) volume {
	return func(_ testing.TB, v volume) volume { return v.put(at, n) }
}

func boot16(at int64, n uint16) func(testing.TB, volume) volume {
	return func(_ testing.TB, v volume) volume { return v.put16(at, n) }
}

func boot32(at int64, n uint32) func(testing.TB, volume) volume {
	return func(_ testing.TB, v volume) volume { return v.put32(at, n) }
}

// linked changes the entry of the n-th cluster of a file.
func linked(name string, n int64, to func(chain) uint32) func(testing.TB, volume) volume {
	return func(tb testing.TB, v volume) volume {
		img := v.image(tb)
		e, err := img.lookup("open", name)
		if err != nil {
			tb.Fatal(err)
		}
		c, err := img.chain(e.first, maxChain)
		if err != nil {
			tb.Fatal(err)
		}
		_, rest := c.cut(n)
		v.entry(tb, rest.start(), to(c))
		return v
	}
}

func to(n uint32) func(chain) uint32 { return func(chain) uint32 { return n } }

// slotField changes bytes of a slot of the root directory.
func slotField(i int, at int64, b ...byte) func(testing.TB, volume) volume {
	return func(tb testing.TB, v volume) volume { return v.put(v.image(tb).rootSlot(i)+at, b...) }
}

// pointing gives slot i of the root the first cluster of another file.
func pointing(i int, name string) func(testing.TB, volume) volume {
	return func(tb testing.TB, v volume) volume {
		img := v.image(tb)
		e, err := img.lookup("open", name)
		if err != nil {
			tb.Fatal(err)
		}
		slot(v[img.rootSlot(i):][:slotSize]).setCluster(e.first, img.typ)
		return v
	}
}

var catalogue = []hostile{
	{"sector size 0", FAT12, boot16(offSectorSize, 0), ErrFormat, "boot sector"},
	{"sector size 256", FAT12, boot16(offSectorSize, 256), ErrFormat, "boot sector"},
	{"sector size 513", FAT12, boot16(offSectorSize, 513), ErrFormat, "boot sector"},
	{"sector size 8192", FAT12, boot16(offSectorSize, 8192), ErrFormat, "boot sector"},
	{"sector size larger than it is", FAT12, boot16(offSectorSize, 4096), ErrTruncated, "boot sector"},
	{"cluster size 0", FAT12, boot8(offClusterSize, 0), ErrFormat, "boot sector"},
	{"cluster size 3", FAT12, boot8(offClusterSize, 3), ErrFormat, "boot sector"},
	{"no reserved sector", FAT12, boot16(offReserved, 0), ErrFormat, "boot sector"},
	{"reserved sectors leave no cluster", FAT12, boot16(offReserved, 0xffff), ErrRange, "boot sector"},
	{"no table", FAT12, boot8(offTables, 0), ErrFormat, "boot sector"},
	{"five tables", FAT12, boot8(offTables, 5), ErrFormat, "boot sector"},
	{"no slots in the root", FAT16, boot16(offRootEntries, 0), ErrFormat, "boot sector"},
	{"media", FAT16, boot8(offMedia, 0x42), ErrFormat, "boot sector"},
	{"no sectors", FAT12, boot16(offTotal16, 0), ErrFormat, "boot sector"},
	{"more sectors than bytes", FAT12, boot16(offTotal16, 0xffff), ErrTruncated, "boot sector"},
	{"more sectors than bytes, in 32 bits", FAT32, boot32(offTotal32, 0xffffffff), ErrTruncated, "boot sector"},
	{"fewer sectors than tables", FAT12, boot16(offTotal16, 2), ErrRange, "boot sector"},
	{"table too short", FAT16, boot16(offTableSize16, 3), ErrRange, "boot sector"},
	{"table longer than the volume", FAT16, boot16(offTableSize16, 0xffff), ErrRange, "boot sector"},
	{"FAT32 table longer than the volume", FAT32, boot32(offTableSize32, 0xffffffff), ErrRange, "boot sector"},
	{"FAT32 without table", FAT32, boot32(offTableSize32, 0), ErrFormat, "boot sector"},
	{"FAT32 with slots in the root", FAT32, boot16(offRootEntries, 16), ErrFormat, "boot sector"},
	{"FAT32 of a later version", FAT32, boot16(offVersion32, 1), ErrFormat, "boot sector"},
	{"FAT32 active table", FAT32, boot16(offFlags32, 0x82), ErrRange, "boot sector"},
	{"FAT32 FSInfo sector", FAT32, boot16(offFSInfo, 32), ErrRange, "boot sector"},
	{"FAT32 backup sector", FAT32, boot16(offBackup, 100), ErrRange, "boot sector"},
	{"FAT32 root cluster 0", FAT32, boot32(offRoot32, 0), ErrRange, "boot sector"},
	{"FAT32 root cluster behind the end", FAT32, boot32(offRoot32, 0x0fffffff), ErrRange, "boot sector"},
	{"no signature", FAT12, boot16(offSignature, 0), ErrFormat, "boot sector"},
	{"cut in the boot sector", FAT12, func(_ testing.TB, v volume) volume { return v[:300] }, ErrTruncated, "image"},
	{"cut in the table", FAT16, func(_ testing.TB, v volume) volume { return v[:2000] }, ErrTruncated, "boot sector"},
	{"empty", FAT12, func(_ testing.TB, v volume) volume { return nil }, ErrTruncated, "image"},

	{"chain of a file into itself", FAT12, linked("A Long Name.txt", 2, func(c chain) uint32 { return c.start() }), ErrLoop, "file allocation table"},
	{"chain of one cluster into itself", FAT16, linked("A Long Name.txt", 0, func(c chain) uint32 { return c.start() }), ErrLoop, "file allocation table"},
	{"chain of a directory into itself", FAT12, linked("D", 0, func(c chain) uint32 { return c.start() }), ErrLoop, "file allocation table"},
	{"chain into a free cluster", FAT12, linked("A Long Name.txt", 0, to(100)), ErrFormat, "file allocation table"},
	{"chain ends in a free entry", FAT16, linked("A Long Name.txt", 1, to(entryFree)), ErrFormat, "file allocation table"},
	{"chain into a bad cluster", FAT32, linked("A Long Name.txt", 1, to(entryBad)), ErrFormat, "file allocation table"},
	{"chain to cluster 1", FAT16, linked("A Long Name.txt", 1, to(1)), ErrRange, "file allocation table"},
	{"chain behind the end", FAT16, linked("A Long Name.txt", 1, to(0xfff0)), ErrRange, "file allocation table"},
	{"FAT12 chain behind the end", FAT12, linked("A Long Name.txt", 1, to(0xff0)), ErrRange, "file allocation table"},
	{"FAT32 chain behind the end", FAT32, linked("A Long Name.txt", 1, to(0x0ffffff0)), ErrRange, "file allocation table"},
	{"chain shorter than the file", FAT16, linked("A Long Name.txt", 1, to(entryEnd)), ErrFormat, "directory"},
	{"chain into another file's", FAT32, linked("A Long Name.txt", 2, func(c chain) uint32 { return c.start() + 3 }), ErrLoop, "directory"},

	{"first cluster 0", FAT12, slotField(2, slotLow, 0, 0), ErrRange, "file allocation table"},
	{"first cluster behind the end", FAT12, slotField(2, slotLow, 0xff, 0xff), ErrRange, "file allocation table"},
	{"size of 4 GiB", FAT16, slotField(2, slotLength, 0xff, 0xff, 0xff, 0xff), ErrFormat, "directory"},
	{"file that begins as another", FAT16, func(tb testing.TB, v volume) volume {
		return pointing(4, "A Long Name.txt")(tb, slotField(4, slotAttr, attrArchive)(tb, v))
	}, ErrLoop, "directory"},
	{"directory that is its parent's", FAT32, func(tb testing.TB, v volume) volume {
		img := v.image(tb)
		slot(v[img.rootSlot(3):][:slotSize]).setCluster(img.rootCluster, FAT32)
		return v
	}, ErrLoop, "directory"},
	{"directory at cluster 0", FAT16, slotField(3, slotLow, 0, 0), ErrLoop, "directory"},
	{"two names of a directory", FAT12, pointing(4, "D"), ErrLoop, "directory"},
	{"directory below itself", FAT12, func(tb testing.TB, v volume) volume {
		img := v.image(tb)
		d, _ := img.lookup("open", "D")
		slot(v[img.offset(d.first)+2*slotSize:][:slotSize]).setCluster(d.first, img.typ)
		return v
	}, ErrLoop, "directory"},
	{"loop of more than 65536 slots", FAT16, func(tb testing.TB, v volume) volume {
		t := v.image(tb).tableOf(v)
		for c := uint32(100); c < 5000; c++ {
			t.set(c, c+1)
		}
		t.set(5000, 100)
		img := v.image(tb)
		slot(v[img.rootSlot(3):][:slotSize]).setCluster(100, FAT16)
		return v
	}, ErrLimit, "file allocation table"},
	{"more than 65536 slots", FAT16, func(tb testing.TB, v volume) volume {
		t := v.image(tb).tableOf(v)
		const first, n = 100, 4200
		for c := uint32(first); c < first+n; c++ {
			t.set(c, c+1)
		}
		t.set(first+n, entryEnd)
		img := v.image(tb)
		slot(v[img.rootSlot(3):][:slotSize]).setCluster(first, FAT16)
		return v
	}, ErrLimit, "file allocation table"},
}

func TestHostile(t *testing.T) {
	for _, typ := range []Type{FAT12, FAT16, FAT32} {
		v := newVolume(t, typ)
		if err := survey(bytes.NewReader(v), int64(len(v))); err != nil {
			t.Fatalf("the sound %v volume: %v", typ, err)
		}
	}
	for _, c := range catalogue {
		v := c.make(t, newVolume(t, c.typ))
		var err error
		modestly(t, c.name, func() { err = survey(bytes.NewReader(v), int64(len(v))) })
		var at *FormatError
		switch {
		case !errors.Is(err, c.kind) || !errors.As(err, &at):
			t.Errorf("%s: %v, not %q", c.name, err, c.kind)
		case !strings.Contains(at.Error(), c.structure):
			t.Errorf("%s: %v, not in the %s", c.name, at, c.structure)
		}
	}
}

// modestly runs f and fails if it takes 5 seconds or allocates 16 MiB.
func modestly(tb testing.TB, name string, f func()) {
	tb.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	f()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; took > 5*time.Second || n > 16<<20 {
		tb.Fatalf("%s: %v, %d bytes", name, took, n)
	}
}

// TestOdd are volumes that break a rule and are read all the same.
func TestOdd(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  Type
		make func(testing.TB, volume) volume
		want string // in the listing of the root
	}{
		{"sound", FAT12, func(_ testing.TB, v volume) volume { return v }, "A Long Name.txt D E"},
		{"checksum of a long name", FAT12, slotField(0, longCheck, 0xaa), "ALONGN~1.TXT D E"},
		{"order of a long name", FAT12, slotField(0, longOrder, 0x43), "ALONGN~1.TXT D E"},
		{"part of a long name is missing", FAT12, slotField(1, 0, slotDeleted), "ALONGN~1.TXT D E"},
		{"slash in a long name", FAT12, slotField(1, 1, '/'), `D E \u002f Long Name.txt`},
		{"half a surrogate pair", FAT12, slotField(1, 1, 0x3d, 0xd8), `D E \ud83d Long Name.txt`},
		{"slash in a short name", FAT12, slotField(3, 0, '/'), `A Long Name.txt E \u002f`},
		{"byte of a code page", FAT12, slotField(3, 0, 0x8e), "A Long Name.txt E Ä"},
		{"E5h in front", FAT12, slotField(3, 0, slotKanji), "A Long Name.txt E σ"},
		{"no name", FAT12, slotField(3, 0, ' '), `A Long Name.txt E \u0020`},
		{"two of a name", FAT12, slotField(4, 0, 'd'), "A Long Name.txt D"},
		{"end mark", FAT16, slotField(3, 0, slotLast), "A Long Name.txt"},
		{"deleted", FAT16, slotField(4, 0, slotDeleted), "A Long Name.txt D"},
		{"second label", FAT16, slotField(4, slotAttr, attrLabel), "A Long Name.txt D"},
		{"FSInfo without signature", FAT32, boot32(512, 0), "A Long Name.txt D E"},
		{"no FSInfo", FAT32, boot16(offFSInfo, 0xffff), "A Long Name.txt D E"},
		{"one table counts", FAT32, boot16(offFlags32, 0x80), "A Long Name.txt D E"},
		{"no 16-bit count", FAT12, func(_ testing.TB, v volume) volume { return v.put16(offTotal16, 0).put32(offTotal32, 512) }, "A Long Name.txt D E"},
	} {
		v := c.make(t, newVolume(t, c.typ))
		list, err := fs.ReadDir(v.image(t), ".")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, d := range list {
			got = append(got, d.Name())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, not %q", c.name, s, c.want)
		}
		if err := survey(bytes.NewReader(v), int64(len(v))); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestDamagedDirectory reads what lies beside a directory that cannot be read.
func TestDamagedDirectory(t *testing.T) {
	v := linked("D", 0, to(entryFree))(t, newVolume(t, FAT16))
	img := v.image(t)
	if _, err := fs.ReadFile(img, "A Long Name.txt"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"D", "D/SUB"} {
		if _, err := fs.ReadDir(img, name); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(img.Warnings()) != 1 {
		t.Errorf("warnings: %q", img.Warnings())
	}
	if _, err := img.Edit(Options{}); !errors.Is(err, ErrFormat) {
		t.Errorf("edit: %v", err)
	}
}

// TestCutWhileReading has a reader that ends before it said.
func TestCutWhileReading(t *testing.T) {
	v := newVolume(t, FAT16)
	for _, n := range []int{100, 600, 26000, 28000, len(v) - 1} {
		err := survey(bytes.NewReader(v[:n]), int64(len(v)))
		if sound := n == len(v)-1; (err == nil) != sound {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err != nil && !errors.Is(err, ErrTruncated) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", n, fmt.Sprint(err))
		}
	}
}
