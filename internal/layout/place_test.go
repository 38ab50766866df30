package layout

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/tree"
)

// TestFreedSpace: new content goes into the first free run behind the directories that
// holds it, else behind the last block in use; at the end if that is asked for.
func TestFreedSpace(t *testing.T) {
	base := open(t, isofs(t, files{"a": string(noise("a", 2*blockSize)), "b": "b", "c": string(noise("c", 4*blockSize)), "d": "d"}, "-R", "-no-pad"))
	raw := base.Source.(*content).b
	a, c, end := where(t, raw, "/a"), where(t, raw, "/c"), int64(len(raw)/blockSize)
	for _, x := range []struct {
		blocks int
		o      Options
		want   int64
	}{
		{1, Options{}, a},
		{2, Options{}, a},
		{3, Options{}, c},
		{4, Options{}, c},
		{5, Options{}, end},
		{1, Options{AtEnd: true}, end},
		{1, Options{InPlace: true}, end},
	} {
		r, b := plan(t, base, x.o, tree.Remove{Path: "/a"}, tree.Remove{Path: "/c"}, put("/new", x.blocks*blockSize))
		if got := where(t, b, "/new"); got != x.want {
			t.Errorf("%d blocks, %+v: at %d, want %d", x.blocks, x.o, got, x.want)
		}
		freed := b[(c+3)*blockSize : (c+4)*blockSize]
		if x.blocks != 4 && !bytes.Equal(freed, make([]byte, blockSize)) {
			t.Errorf("%d blocks, %+v: what was freed holds %.20q", x.blocks, x.o, freed)
		}
		if int64(x.blocks*blockSize) != r.Report.Content {
			t.Errorf("%d blocks of content, the report says %d bytes", x.blocks, r.Report.Content)
		}
	}
	_, b := plan(t, base, Options{KeepFreed: true}, tree.Remove{Path: "/c"})
	if !bytes.Contains(b, noise("c", 4*blockSize)) {
		t.Error("what was freed is wiped, though it shall be kept")
	}
}

// TestPlacement: a hierarchy stays in place as long as no directory outgrows its extent; it
// is laid anew over free blocks and those of the first files, which make room; behind all
// content if that is too much to move, or asked for. Boot images stay.
func TestPlacement(t *testing.T) {
	small := files{"a": "a", "b": "b", "c": "c", "d/x": "x", "d/y": "y", "e/z": "z"}
	large := files{"a": strings.Repeat("a", 9<<20), "d/x": string(noise("x", 30000))}
	loaded := files{"boot/loader": "\xfb\xc0\x78\x70" + string(noise("loader", 3000)), "c": string(noise("c", 30000)), "d/x": "x"}
	boots := []string{"-R", "-b", "boot/loader", "-c", "boot/cat", "-no-emul-boot"}
	for _, x := range []struct {
		name  string
		fs    files
		args  []string
		o     Options
		edits []tree.Edit
		want  string
		moved string
	}{
		{"nothing in the records", small, []string{"-R"}, Options{}, []tree.Edit{put("/a", 1)}, placedHere, ""},
		{"room in the block", small, []string{"-R"}, Options{}, many("/d", 5), placedHere, ""},
		{"an area where areas are not in order", sample(), []string{"-R"}, Options{}, []tree.Edit{put("/"+strings.Repeat("n", 240), 1)}, placedRelaid, ""},
		{"new directory", small, []string{"-R"}, Options{}, []tree.Edit{mkdir("/d/n")}, placedHere, ""},
		{"one block more", small, []string{"-R"}, Options{}, many("/d", 20), placedRelaid, ""},
		{"one block more, and the next one free", small, []string{"-R"}, Options{}, append(many("/e", 20), tree.Remove{Path: "/d"}), placedRelaid, ""},
		{"more than is free", small, []string{"-R"}, Options{}, many("/d", 120), placedRelaid, "/a /b"},
		{"much more", small, []string{"-R"}, Options{}, many("/d", 150), placedRelaid, "/a /b /c /e/z"},
		{"large file first", large, []string{"-R"}, Options{}, many("/d", 120), placedRelaid, "/d/x"},
		{"nothing that may move", files{"a": strings.Repeat("a", 9<<20)}, []string{"-R"}, Options{}, many("/d", 20), placedHere, ""},
		{"too much to move", files{"a": strings.Repeat("a", 9<<20)}, []string{"-R"}, Options{}, many("/", 200), placedEnd, ""},
		{"at the end", small, []string{"-R"}, Options{AtEnd: true}, many("/d", 20), placedEnd, ""},
		{"compact", small, []string{"-R"}, Options{Compact: true}, many("/d", 20), placedCompact, ""},
		{"boot image first", loaded, boots, Options{}, many("/d", 120), placedRelaid, "/c"},
	} {
		base := open(t, isofs(t, x.fs, x.args...))
		r, _ := plan(t, base, x.o, x.edits...)
		var moved []string
		for _, m := range r.Report.Moved {
			moved = append(moved, m.Path)
		}
		if got := r.Report.Trees[0].Placement; got != x.want || strings.Join(moved, " ") != x.moved {
			t.Errorf("%s: %s, moved %q; want %s, %q", x.name, got, moved, x.want, x.moved)
		}
	}
}

// TestAreasFillUp: names that need a continuation area go behind those that the
// directory has, as long as its blocks have room; trees stay where they are.
func TestAreasFillUp(t *testing.T) {
	long := func(c string) string { return strings.Repeat(c, 230) }
	base := open(t, isofs(t, files{long("a"): "a", long("b"): "b", "c": "c"}, "-R"))
	for _, c := range []struct {
		names     []string
		placement string
	}{
		{[]string{"d"}, placedHere},
		{[]string{"e", "f"}, placedHere},
		{[]string{"d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"}, placedRelaid}, // the directory outgrows its block
	} {
		var edits []tree.Edit
		for _, n := range c.names {
			edits = append(edits, put("/"+long(n), 10))
		}
		r, b := plan(t, base, Options{}, edits...)
		if got := r.Report.Trees[0].Placement; got != c.placement {
			t.Errorf("%v: %s, want %s", c.names, got, c.placement)
		}
		image := isofile(t, b)
		for _, n := range c.names {
			if got := isotest.Run(t, "bsdtar", "-xOf", image, long(n)); !bytes.Equal(got, noise("/"+long(n), 10)) {
				t.Errorf("%v: bsdtar reads %q of %s", c.names, got, n)
			}
			if got := isotest.Run(t, "isoinfo", "-R", "-i", image, "-x", "/"+long(n)); !bytes.Equal(got, noise("/"+long(n), 10)) {
				t.Errorf("%v: isoinfo reads %q of %s", c.names, got, n)
			}
		}
	}
}

// TestUseSlack: an area goes behind the last one of a block if it fits to the last byte, and
// none crosses the end of a block.
func TestUseSlack(t *testing.T) {
	ref := func(n int) areaRef {
		r := &record{drafts: []*iso9660.Draft{{Areas: [][]byte{make([]byte, n)}}}}
		return r.refs()[0]
	}
	slack := map[int64]int{7: 2000, 8: 1000}
	list := []areaRef{ref(48), ref(1), ref(1048), ref(1)}
	rest := useSlack(list, []int64{7, 8}, slack)
	var got []string
	for _, a := range list {
		got = append(got, fmt.Sprint(a.r.areas[0][0]))
	}
	if want := "[{7 2000} {8 1000} {0 0} {8 1001}]"; fmt.Sprint(got) != want || len(rest) != 1 || rest[0].size() != 1048 {
		t.Errorf("%s, %d left; want %s", got, len(rest), want)
	}
	list = []areaRef{ref(2000), ref(48), ref(1), ref(2048), ref(5)}
	if n := packAreas(list, 100); n != 4 {
		t.Errorf("%d blocks", n)
	}
	got = nil
	for _, a := range list {
		got = append(got, fmt.Sprint(a.r.areas[0][0]))
	}
	if want := "[{100 0} {100 2000} {101 0} {102 0} {103 0}]"; fmt.Sprint(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestExtendedAttributes: an extended attribute record lies in front of what it belongs to
// and takes blocks of its own (ECMA-119 9.1.3).
func TestExtendedAttributes(t *testing.T) {
	record := make(iso9660.Record, 34)
	record[0], record[1], record[32] = 34, 2, 1
	record.SetExtent(100, 5000)
	e := iso9660.EntryOf(iso9660.Raw{Record: record})
	s := set{origin: 16}
	for what, got := range map[string][]span{"file": s.content(nil, e), "directory": s.metadata(nil, e)} {
		if len(got) != 1 || got[0] != (span{116, 121}) {
			t.Errorf("%s: %v", what, got)
		}
	}
	record.SetExtent(100, 0)
	if got := s.content(nil, e); len(got) != 0 {
		t.Errorf("a file without content has %v", got)
	}
}

// TestScanner: blocks that nobody owns hold data, zeros or a checksum tag of libisofs; what
// is not read is taken for data.
func TestScanner(t *testing.T) {
	b := make([]byte, 100*blockSize+100)
	b[40*blockSize+2047] = 1
	copy(b[50*blockSize:], "libisofs_tree_checksum_tag_v1 pos=50 range_start=0\n")
	copy(b[51*blockSize:], "libisofs_no tag\n_checksum_tag_v1 pos=")
	b[len(b)-1] = 1
	for _, c := range []struct {
		g      span
		budget int64
		last   int64
		tags   int
	}{
		{span{0, 40}, 100, -1, 0},
		{span{0, 41}, 100, 40, 0},
		{span{40, 41}, 1, 40, 0},
		{span{41, 51}, 100, -1, 1},
		{span{41, 52}, 100, 51, 1},
		{span{60, 101}, 100, 100, 0},
		{span{0, 32}, 32, -1, 0},
		{span{0, 32}, 31, 31, 0},
		{span{0, 40}, 39, 39, 0},
	} {
		s := scanner{src: &content{"b", b}, budget: c.budget}
		if last, err := s.gap(c.g); last != c.last || len(s.tags) != c.tags || err != nil {
			t.Errorf("%v, budget %d: %d, %d tags, %v; want %d, %d", c.g, c.budget, last, len(s.tags), err, c.last, c.tags)
		}
	}
}

// TestParity: content of 64 KiB and more begins in the half of a 4 KiB block in which its
// source does; any other anywhere.
func TestParity(t *testing.T) {
	for _, c := range []struct{ size, off, want int64 }{
		{64<<10 - 1, 2048, -1}, {64 << 10, 2048, 1}, {64 << 10, 4096, 0}, {1 << 40, 0, 0}, {1 << 20, 4095, 1},
	} {
		if got := parity(c.size, c.off); got != c.want {
			t.Errorf("%d bytes from %d: %d, want %d", c.size, c.off, got, c.want)
		}
	}
}

// TestPatchedContent: a file whose new content is the old one with some bytes changed stays
// where it is, unless another name has the old one; less than half of it is no patch.
func TestPatchedContent(t *testing.T) {
	fs := files{"a": string(noise("a", 5*blockSize)), "b": "b"}
	raw := isofs(t, fs, "-R")
	base := open(t, raw)
	at := where(t, raw, "/a")
	patched := func(keep int64) extent.Source {
		m, err := extent.New([]extent.Extent{extent.BytesOf(0, noise("new", int(5*blockSize-keep))), extent.CopyOf(5*blockSize-keep, base.Source, (at+5)*blockSize-keep, keep)})
		if err != nil {
			t.Fatal(err)
		}
		return extent.Compose("patched", m)
	}
	for _, c := range []struct {
		name string
		keep int64
		o    Options
		stay bool
	}{
		{"one block new", 4 * blockSize, Options{}, true},
		{"half", 5 * blockSize / 2, Options{}, true},
		{"less than half", 5*blockSize/2 - 1, Options{}, false},
		{"at the end", 4 * blockSize, Options{AtEnd: true}, false},
		{"compact", 4 * blockSize, Options{Compact: true}, false},
	} {
		r, b := plan(t, base, c.o, tree.Put{Path: "/a", Attr: tree.Attr{Mode: iso9660.ModeRegular | 0o644}, Source: patched(c.keep)})
		fresh := int64(5 * blockSize)
		if c.stay {
			fresh -= c.keep
		}
		if got := where(t, b, "/a"); c.stay && got != at || r.Report.Content != fresh {
			t.Errorf("%s: at %d, was at %d; %d bytes are new, the report says %d", c.name, got, at, fresh, r.Report.Content)
		}
	}
}

// TestCompactRuns: runs of neighbours move as a whole, and nothing else has a place in a
// compact image.
func TestCompactRuns(t *testing.T) {
	p := planner{runs: []run{{span{10, 14}, 100}, {span{20, 21}, 104}}}
	for at, want := range map[int64]int64{9: -1, 10: 100, 13: 103, 14: -1, 19: -1, 20: 104, 21: -1} {
		got, ok := p.follow(at)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("block %d goes to %d, want %d", at, got, want)
		}
	}
}

// TestCompactGaps looks for blocks that nobody uses.
func TestCompactGaps(t *testing.T) {
	gaps := func(name string, base Base, edits ...tree.Edit) {
		r, err := Plan(base, edited(t, base, edits...), Options{Compact: true})
		if err != nil {
			t.Fatal(err)
		}
		last := int64(0)
		for _, x := range r.Map.Extents() {
			if x.Kind == extent.Copy && x.Off != x.SrcOff { // else a backup GPT that stays
				last = x.Off
			}
		}
		for _, x := range r.Map.Extents() {
			if x.Kind == extent.Zero && x.Off > 20*blockSize && x.Off < last && x.Len > blockSize {
				t.Errorf("%s: %d bytes at %d are unused", name, x.Len, x.Off)
			}
		}
	}
	for _, kind := range []string{"nothing", "file removed", "directory removed", "more than a block"} {
		gaps(kind, open(t, isofs(t, sample(), "-R", "-J")), kinds(false)[kind]...)
	}
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"rhel-like-small", "alpine", "utf8", "multisession"} {
		b, err := os.ReadFile(isotest.Image(t, name))
		if err != nil {
			t.Fatal(err)
		}
		base := open(t, b)
		var edits []tree.Edit
		if name != "utf8" {
			modules, err := edited(t, base).Glob("/**/*.c32", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range modules {
				edits = append(edits, tree.Remove{Path: n.Path()})
			}
		}
		gaps(name, base, edits...)
	}
}
