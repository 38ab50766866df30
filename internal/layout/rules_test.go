package layout

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// both32 stores a number in both byte orders (ECMA-119 7.3.3).
func both32(b []byte, v uint32) {
	binary.LittleEndian.PutUint32(b, v)
	binary.BigEndian.PutUint32(b[4:], v)
}

// TestMediaCheck: the sum of a media check is that of the base, so any change blanks it, and
// nothing else of the application use field; without a change it stays.
func TestMediaCheck(t *testing.T) {
	raw := isofs(t, sample(), "-R", "-J")
	use := raw[16*blockSize+iso9660.OffAppUse:][:iso9660.AppUseSize]
	copy(use, "ISO MD5SUM = 0123456789abcdef;SKIPSECTORS = 15;")
	copy(raw[17*blockSize+iso9660.OffAppUse:], "something else")
	base := open(t, raw)
	_, b := plan(t, base, Options{}, put("/new", 1))
	d := open(t, b).Image
	if got := d.Primary().AppUse(); !bytes.Equal(got, bytes.Repeat([]byte{' '}, iso9660.AppUseSize)) {
		t.Errorf("application use is %.60q", got)
	}
	if got := d.Descriptor(iso9660.Joliet).AppUse(); !bytes.HasPrefix(got, []byte("something else")) {
		t.Errorf("application use of Joliet is %.60q", got)
	}
	if r, b := plan(t, base, Options{Repair: true}); !bytes.Equal(b, raw) || len(r.Map.Extents()) != 1 || r.Report.Written != 0 {
		t.Error("with nothing to repair the result is not the base")
	}
}

// TestSpaceSize: a descriptor that stated the end of the volume states it again, any other keeps
// its distance to that (ECMA-119 8.4.8).
func TestSpaceSize(t *testing.T) {
	raw := isofs(t, sample(), "-R", "-J")
	blocks := uint32(len(raw) / blockSize)
	for _, joliet := range []uint32{blocks, blocks - 10, blocks + 3} {
		both32(raw[17*blockSize+iso9660.OffSpaceSize:], joliet)
		_, b := plan(t, open(t, raw), Options{}, put("/new", 20*blockSize))
		img := open(t, b).Image
		got, volume := img.Descriptor(iso9660.Joliet).SpaceSize(), img.Primary().SpaceSize()
		if volume != uint32(len(b)/blockSize) || volume == blocks || got != volume-blocks+joliet {
			t.Errorf("Joliet has %d of %d blocks; in the result %d of %d", joliet, blocks, got, volume)
		}
	}
}

// TestDescriptors: texts and the modification date go into every descriptor with a tree; all
// else of them stays.
func TestDescriptors(t *testing.T) {
	base := open(t, isofs(t, sample(), "-R", "-J", "-V", "OLD", "-publisher", "SOMEBODY"))
	when := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	_, b := plan(t, base, Options{Modified: when, Fields: map[iso9660.Field]string{iso9660.FieldVolume: "NEW"}})
	img := open(t, b).Image
	for _, h := range []iso9660.Hierarchy{iso9660.Primary, iso9660.Joliet} {
		d, old := img.Descriptor(h), base.Image.Descriptor(h)
		if d.VolumeID() != "NEW" || !d.Modified().Time().Equal(when) || d.Publisher() != old.Publisher() || d.Root().LBA() != old.Root().LBA() {
			t.Errorf("%s: %q, %s, %q", h, d.VolumeID(), d.Modified().Time(), d.Publisher())
		}
	}
	if _, err := Plan(base, edited(t, base), Options{Fields: map[iso9660.Field]string{iso9660.FieldVolume: strings.Repeat("x", 33)}}); err == nil {
		t.Error("a volume identifier of 33 bytes passes")
	}
}

// TestCount: the report counts what was added, replaced, changed and removed, hard links by
// their names.
func TestCount(t *testing.T) {
	base := open(t, isofs(t, sample(), "-R", "-J"))
	mode := uint32(0o600)
	for _, c := range []struct {
		edits []tree.Edit
		want  [4]int // added, replaced, changed, removed
	}{
		{[]tree.Edit{put("/n/new", 1)}, [4]int{2, 0, 0, 0}},
		{[]tree.Edit{put("/a", 1), put("/d/b", 1)}, [4]int{0, 2, 0, 0}},
		{[]tree.Edit{tree.Remove{Path: "/d"}}, [4]int{0, 0, 0, 6}},
		{[]tree.Edit{tree.Rename{Old: "/a", New: "/b"}, tree.Rename{Old: "/z", New: "/d/z"}, tree.SetAttr{Path: "/e", Mode: &mode}}, [4]int{0, 0, 3, 0}},
		{[]tree.Edit{tree.Remove{Path: "/a"}, put("/a", 1)}, [4]int{1, 0, 0, 1}},
	} {
		r, _ := plan(t, base, Options{}, c.edits...)
		if got := [4]int{r.Report.Added, r.Report.Replaced, r.Report.Changed, r.Report.Removed}; got != c.want {
			t.Errorf("%v: added, replaced, changed, removed are %v, want %v", c.edits, got, c.want)
		}
	}
}

// TestWarnings: what the format holds but not every reader shows is warned of by name.
func TestWarnings(t *testing.T) {
	base := open(t, isofs(t, files{"a": "a"}, "-R"))
	at := func(path string, year int) tree.Put {
		p := put(path, 1)
		p.Attr.ModTime = time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)
		return p
	}
	var old []tree.Edit
	for i := range 7 {
		old = append(old, at(fmt.Sprintf("/%d", i), 1800))
	}
	long := strings.Repeat("n", 254)
	for _, c := range []struct {
		edits []tree.Edit
		want  string
		n     int
	}{
		{[]tree.Edit{at("/"+long[:253], 2000)}, "", 0},
		{[]tree.Edit{at("/"+long, 2000)}, long + ": Linux cuts names", 1},
		{[]tree.Edit{tree.Rename{Old: "/a", New: "/" + long}}, long + ": Linux cuts names", 1},
		{[]tree.Edit{at("/x", 1900), at("/y", 2155)}, "", 0},
		{[]tree.Edit{at("/x", 1899)}, "/x: records hold times of the years 1900 to 2155: 1899-06-01 became 1900", 1},
		{[]tree.Edit{at("/x", 2156)}, "/x: records hold times of the years 1900 to 2155: 2156-06-01 became 2155", 1},
		{old, "the times of 2 more files", 6},
	} {
		r, err := Plan(base, edited(t, base, c.edits...), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if w := strings.Join(r.Report.Warnings, "\n"); len(r.Report.Warnings) != c.n || !strings.Contains(w, c.want) {
			t.Errorf("%.80s…: %q, want %d with %q", fmt.Sprint(c.edits), w, c.n, c.want)
		}
	}
}

// TestInPlaceRanges: edited in place, what is written over something the base uses is
// marked, for a journal, and so are the zeros over what only the base used.
func TestInPlaceRanges(t *testing.T) {
	raw := isofs(t, sample(), "-R")
	base := open(t, raw)
	r, b := plan(t, base, Options{InPlace: true}, tree.Remove{Path: "/e/y"}, put("/d/new", 5000))
	within := func(list []extent.Extent, at int64) bool {
		for _, e := range list {
			if e.Off <= at && at < e.End() {
				return true
			}
		}
		return false
	}
	y, fresh := where(t, raw, "/e/y"), where(t, b, "/d/new")
	p := planner{base: base, tree: edited(t, base)}
	p.sets, _ = setsOf(base)
	own, err := p.owners()
	if err != nil {
		t.Fatal(err)
	}
	for at := range int64(len(b)) {
		if at >= int64(len(raw)) || b[at] == raw[at] {
			continue
		}
		block := at / blockSize
		used := own.kept.plus(own.content).plus(own.trees).overlaps(span{block, block + 1})
		if marked := within(r.Overwritten, at) || within(r.Wiped, at); used != marked && used {
			t.Fatalf("byte %d changes, the base uses it: %v, marked %v", at, used, marked)
		}
	}
	if !within(r.Wiped, y*blockSize) || within(r.Overwritten, y*blockSize) || within(r.Overwritten, fresh*blockSize) {
		t.Errorf("removed content at %d, new at %d: overwritten %v, wiped %v", y, fresh, r.Overwritten, r.Wiped)
	}
	for _, e := range r.Wiped {
		if e.Kind != extent.Zero || !bytes.Equal(b[e.Off:e.End()], make([]byte, e.Len)) {
			t.Errorf("%v is not wiped", e)
		}
	}
}

// TestWithout: zeros do not cover what is written.
func TestWithout(t *testing.T) {
	zeros := []extent.Extent{extent.ZeroOf(100, 100), extent.ZeroOf(300, 100)}
	got := without(zeros, []extent.Extent{extent.ZeroOf(390, 20), extent.ZeroOf(90, 20), extent.ZeroOf(150, 10), extent.ZeroOf(200, 100)})
	if want := "[110 +40 zero 160 +40 zero 300 +90 zero]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestBootImages: a boot image goes only with all that boots from it, and is replaced only by
// one that has content; the catalog is kept by no one else.
func TestBootImages(t *testing.T) {
	raw := isofs(t, booted(), "-R", "-b", "boot/loader", "-c", "boot/cat", "-no-emul-boot", "-boot-info-table")
	base := open(t, raw)
	for _, c := range []struct {
		name string
		edit tree.Edit
		o    Options
		want string
	}{
		{"removed", tree.Remove{Path: "/boot/loader"}, Options{}, "/boot/loader: the image boots from it"},
		{"removed with its platform", tree.Remove{Path: "/boot/loader"}, Options{Drop: []boot.Platform{boot.BIOS}}, ""},
		{"removed with another platform", tree.Remove{Path: "/boot/loader"}, Options{Drop: []boot.Platform{boot.UEFI}}, "the image boots from it"},
		{"catalog removed", tree.Remove{Path: "/boot/cat"}, Options{}, "/boot/cat: the image boots from it"},
		{"all removed", tree.Remove{Path: "/boot"}, Options{Drop: []boot.Platform{boot.BIOS}}, ""},
		{"catalog replaced", put("/boot/cat", 10), Options{}, "keeps the boot catalog itself"},
		{"emptied", put("/boot/loader", 0), Options{}, "the new one is empty"},
		{"replaced", put("/boot/loader", 9000), Options{}, ""},
		{"renamed", tree.Rename{Old: "/boot/loader", New: "/loader"}, Options{}, ""},
	} {
		r, err := Plan(base, edited(t, base, c.edit), c.o)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrBootImage) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
			continue
		}
		if err != nil {
			continue
		}
		b := make([]byte, r.Map.Size())
		if _, err := r.Map.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		got := open(t, b)
		if len(c.o.Drop) > 0 {
			if got.Image.BootCatalog() != 0 || bytes.Contains(b, []byte("loader 7\n")) != strings.Contains(c.name, "other") {
				t.Errorf("%s: catalog at %d", c.name, got.Image.BootCatalog())
			}
		} else if en := got.Boot.Catalog.Entries[0]; en.Image.BootInfo == nil && c.name != "replaced" || len(got.Boot.Findings) > 0 || en.Image.Name == "" {
			t.Errorf("%s: %+v, %v", c.name, en.Image, got.Boot.Findings)
		}
	}
}

// TestRefused: an image that a plan would break is refused for a reason that names it.
func TestRefused(t *testing.T) {
	tables := isofs(t, sample(), "-R")
	alias := bytes.Clone(tables)
	at := where(t, alias, "/a") // content on the root directory
	root := open(t, alias).Image.Primary().Root().LBA()
	for i := range len(alias) - 34 {
		if alias[i] > 33 && alias[i+32] == 4 && binary.LittleEndian.Uint32(alias[i+2:]) == uint32(at) && alias[i+33] == 'A' {
			both32(alias[i+2:], uint32(root))
		}
	}
	base := open(t, alias)
	if _, err := Plan(base, edited(t, base, put("/new", 1)), Options{}); !errors.Is(err, fault.Conflict) {
		t.Errorf("content on a directory: %v", err)
	}
	base = open(t, isofs(t, booted(), "-R", "-partition_offset", "16", "-b", "boot/loader", "-no-emul-boot"))
	raw := bytes.Clone(base.Source.(*content).b)
	second := int64(base.Boot.System.SecondSuperblocks[0])
	r := open(t, raw[(second-16)*blockSize:]).Image.Primary().Root()
	dir := raw[(second-16+int64(r.LBA()))*blockSize:][:blockSize]
	i := bytes.Index(dir, []byte("\x04Z.;1")) // another identifier in the second tree
	dir[i+1] = 'Q'
	base = open(t, raw)
	if _, err := Plan(base, edited(t, base, put("/new", 1)), Options{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("two trees that differ: %v", err)
	}
	raw = bytes.Clone(base.Source.(*content).b)
	dir = raw[(second-16+int64(r.LBA()))*blockSize:][:blockSize]
	dir[i+1] = 'Z'
	both32(dir[i-30:], 100) // the right one, and other content
	base = open(t, raw)
	if _, err := Plan(base, edited(t, base, put("/new", 1)), Options{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("two trees of other content: %v", err)
	}
	base = open(t, tables)
	if _, err := Plan(base, edited(t, base), Options{Compact: true, InPlace: true}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("compact and in place: %v", err)
	}
}

// TestContent: the bytes of a file of the result, and whether they are those of the base.
func TestContent(t *testing.T) {
	base := open(t, isofs(t, sample(), "-R"))
	for _, o := range []Options{{}, {Compact: true}} {
		tr := edited(t, base, put("/a", 4000), put("/none", 0), tree.Rename{Old: "/z", New: "/d/z"}, tree.Remove{Path: "/big"})
		before := edited(t, base)
		r, err := Plan(base, tr, o)
		if err != nil {
			t.Fatal(err)
		}
		for path, same := range map[string]bool{"/a": false, "/d/z": true, "/e/y": true, "/none": false, "/d/sub/more": true} {
			n := lookup(t, tr, path)
			m, err := r.Content(n)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, m.Size())
			if _, err := m.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, bytesOf(t, base, n)) {
				t.Errorf("%s: %q, %v", path, got, err)
			}
			was, _ := before.Lookup(strings.Replace(path, "/d/z", "/z", 1))
			if got := r.Same(base.Source, was, n); got != same {
				t.Errorf("%s is the same: %v", path, got)
			}
		}
		if r.Same(base.Source, lookup(t, before, "/d/b"), lookup(t, tr, "/d/c")) || r.Same(base.Source, lookup(t, before, "/z"), lookup(t, tr, "/e/x")) {
			t.Error("two files are told to be the same")
		}
		late := &tree.Node{Name: "late", Attr: tree.Attr{Mode: iso9660.ModeRegular}, Source: &content{"late", []byte("late")}}
		if m, err := r.Content(late); err != nil || m.Size() != 4 {
			t.Errorf("content that came after the plan: %v", err)
		}
	}
}

// TestNamed: who asks for the identifiers of the result gets them, may give files other
// content for them, and finds that in the result.
func TestNamed(t *testing.T) {
	base := open(t, isofs(t, sample(), "-R"))
	tr := edited(t, base, put("/d/brand new", 1))
	rounds := 0
	r, err := Plan(base, tr, Options{Named: func(id func(*tree.Node) []byte) (bool, error) {
		rounds++
		if got := string(id(lookup(t, tr, "/d/brand new"))) + string(id(lookup(t, tr, "/e/x"))) + string(id(tr.Root)); got != "BRAND_NE.;1X.;1" {
			t.Errorf("identifiers %q", got)
		}
		lookup(t, tr, "/d/brand new").Source = &content{"other", []byte("other content")}
		return true, nil
	}})
	if err != nil || rounds != 1 {
		t.Fatal(rounds, err)
	}
	b := make([]byte, r.Map.Size())
	if _, err := r.Map.ReadAt(b, 0); err != nil || !bytes.Contains(b, []byte("other content")) {
		t.Error("the result has the content of before", err)
	}
	boom := errors.New("no names")
	if _, err := Plan(base, tr, Options{Named: func(func(*tree.Node) []byte) (bool, error) { return false, boom }}); !errors.Is(err, boom) {
		t.Error(err)
	}
}

// TestBootFileString: a changed configuration on one line.
func TestBootFileString(t *testing.T) {
	for want, changes := range map[string]map[string]int{
		"/x: 1 entry": {"entries": 1}, "/x: 2 entries, label": {"entries": 2, "label": 1}, "/x: label in 3 places": {"label": 3},
	} {
		if got := (BootFile{"/x", changes}).String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestChangedOnly: what the base has already is not written, block by block, to the first and
// the last byte; neighbours are one extent.
func TestChangedOnly(t *testing.T) {
	raw := noise("base", 10*blockSize-100)
	p := planner{base: Base{Source: &content{"base", raw}}}
	for _, c := range []struct {
		off   int64
		n     int
		other []int
		size  int64
		want  string
	}{
		{0, 3 * blockSize, nil, 1 << 20, ""},
		{0, 3 * blockSize, []int{2048}, 1 << 20, "2048+2048"},
		{0, 3 * blockSize, []int{4095}, 1 << 20, "2048+2048"},
		{0, 3 * blockSize, []int{2047, 2048}, 1 << 20, "0+4096"},
		{0, 3 * blockSize, []int{0, 6143}, 1 << 20, "0+2048 4096+2048"},
		{1000, 2000, []int{0}, 1 << 20, "1000+1048"},
		{1000, 2000, []int{1048}, 1 << 20, "2048+952"},
		{9 * blockSize, blockSize - 100, nil, 1 << 20, ""},
		{9 * blockSize, blockSize, nil, 1 << 20, "18432+2048"},
		{2 * blockSize, 2 * blockSize, nil, 3 * blockSize, "6144+2048"},
	} {
		data := append(bytes.Clone(raw), make([]byte, 200)...)[c.off:][:c.n]
		for _, i := range c.other {
			data[i] ^= 1
		}
		list, err := p.changedOnly([]extent.Extent{extent.BytesOf(c.off, data)}, c.size)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list {
			got = append(got, fmt.Sprintf("%d+%d", e.Off, e.Len))
			if !bytes.Equal(e.Data, data[e.Off-c.off:][:e.Len]) {
				t.Errorf("%+v: other bytes at %d", c, e.Off)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestAppendedContent: what is behind the new content of an appended partition, up to its
// last block, is zeros; one that moves keeps its bytes.
func TestAppendedContent(t *testing.T) {
	base := bases(t)["appended"]
	var name string
	for _, o := range base.Boot.Objects() {
		if o.Appended {
			name = o.Name
		}
	}
	for _, o := range []Options{{}, {InPlace: true}, {Compact: true}} {
		o.Objects = map[string]extent.Source{name: &content{"new", noise("new partition", 5000)}}
		_, b := plan(t, base, o, put("/new", 100))
		x, _ := open(t, b).Boot.Find(name)
		if x == nil || !bytes.Equal(b[x.Off:][:5000], noise("new partition", 5000)) || !bytes.Equal(b[x.Off+5000:][:6144-5000], make([]byte, 6144-5000)) || x.Len != 6144 {
			t.Errorf("%+v: %+v", o, x)
		}
		o.Objects = nil
		r, b := plan(t, base, o, put("/new", 300000))
		x, _ = open(t, b).Boot.Find(name)
		if x == nil || !bytes.Equal(b[x.Off:][:50000], noise("partition", 50000)) || len(r.Report.Moved) != 1 || r.Report.Moved[0].To != x.Off/blockSize {
			t.Errorf("%+v: %+v, moved %v", o, x, r.Report.Moved)
		}
	}
}

// TestNobody: data that no directory and no table names is kept: whole gaps between what is
// owned, if anything is in them, and behind that up to the last byte that is not zero.
func TestNobody(t *testing.T) {
	gap := "x" + strings.Repeat("\x00", 3*blockSize)
	base := open(t, isofs(t, files{"a": "a", "b": gap, "c": "c"}, "-R", "-no-pad"))
	at := where(t, base.Source.(*content).b, "/b")
	_, b := plan(t, base, Options{KeepFreed: true}, tree.Remove{Path: "/b"})
	b = append(b, make([]byte, 5*blockSize)...)
	end := int64(len(b) / blockSize)
	b[len(b)-3*blockSize-1] = 1
	base = open(t, b)
	p := planner{base: base, tree: edited(t, base)}
	p.sets, _ = setsOf(base)
	own, err := p.owners()
	if err != nil {
		t.Fatal(err)
	}
	if want := (spans{{at, at + 4}, {end - 5, end - 3}}); fmt.Sprint(own.nobody) != fmt.Sprint(want) || own.end != end-3 {
		t.Errorf("%v, end %d; want %v, %d", own.nobody, own.end, want, end-3)
	}
}
