package diff

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/tree"
)

// sample has files of the same size and others, and of the same content.
var sample = map[string]string{
	"a": "first", "b": "other", "big": strings.Repeat("big", 1<<20), "d/x": "in d", "d/sub/y": "below", "e/z": "z", "empty": "",
}

func value[T any](v T) *T { return &v }

// TestTree: each edit is reported as what a user did, and nothing else is.
func TestTree(t *testing.T) {
	base := imageOf(t, isofs(t, sample, "-r", "-J"))
	same, bytes := 7, int64(5+5+3<<20+4+5+1)
	for _, c := range []struct {
		name  string
		edits []tree.Edit
		want  string
		less  int // files that are not the same
		gone  int64
	}{
		{"nothing", nil, "", 0, 0},
		{"added", []tree.Edit{put("/d/new", "new")}, "+ /d/new", 0, 0},
		{"directory added", []tree.Edit{put("/n/m/new", "new")}, "+ /n/\n+ /n/m/\n+ /n/m/new", 0, 0},
		{"removed", []tree.Edit{tree.Remove{Path: "/a"}}, "- /a", 1, 5},
		{"directory removed", []tree.Edit{tree.Remove{Path: "/d"}}, "- /d/\n- /d/sub/\n- /d/sub/y\n- /d/x", 2, 9},
		{"other content", []tree.Edit{put("/a", "First")}, "~ /a (content)", 1, 5},
		{"longer", []tree.Edit{put("/a", "longer")}, "~ /a (content, size 5 → 6)", 1, 5},
		{"continued", []tree.Edit{put("/a", "first and more")}, "~ /a (content, size 5 → 14)", 1, 5},
		{"shorter", []tree.Edit{put("/a", "")}, "~ /a (content, size 5 → 0)", 1, 5},
		{"the last byte", []tree.Edit{put("/big", sample["big"][:3<<20-1]+"B")}, "~ /big (content)", 1, 3 << 20},
		{"a byte in the middle", []tree.Edit{put("/big", sample["big"][:3<<19]+"B"+sample["big"][3<<19+1:])}, "~ /big (content)", 1, 3 << 20},
		{"mode", []tree.Edit{tree.SetAttr{Path: "/a", Mode: value(uint32(0o4755))}}, "~ /a (mode 0444 → 4755)", 0, 0},
		{"owner", []tree.Edit{tree.SetAttr{Path: "/d", UID: value(uint32(7)), GID: value(uint32(8))}}, "~ /d/ (owner 0:0 → 7:8)", 0, 0},
		{"time", []tree.Edit{tree.SetAttr{Path: "/a", ModTime: value(time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))}}, "~ /a (time 2024-05-06T07:08:09Z → 2025-01-02T03:04:05Z)", 0, 0},
		{"renamed", []tree.Edit{tree.Rename{Old: "/a", New: "/c"}}, "> /a → /c", 0, 0},
		{"moved", []tree.Edit{tree.Rename{Old: "/a", New: "/d/sub/a"}}, "> /a → /d/sub/a", 0, 0},
		{"moved with other attributes", []tree.Edit{tree.Rename{Old: "/a", New: "/c"}, tree.SetAttr{Path: "/c", Mode: value(uint32(0o600))}}, "> /a → /c (mode 0444 → 0600)", 0, 0},
		{"moved and changed", []tree.Edit{tree.Rename{Old: "/a", New: "/c"}, put("/c", "FIRST")}, "- /a\n+ /c", 1, 5},
		{"directory moved", []tree.Edit{tree.Rename{Old: "/d", New: "/e/d"}}, "> /d → /e/d/", 0, 0},
		{"directory moved, a file in it changed", []tree.Edit{tree.Rename{Old: "/d", New: "/m"}, put("/m/x", "IN D")}, "- /d/\n- /d/sub/\n- /d/x\n+ /m/\n+ /m/sub/\n> /d/sub/y → /m/sub/y\n+ /m/x", 1, 4},
		{"directory moved, a mode in it changed", []tree.Edit{tree.Rename{Old: "/d", New: "/m"}, tree.SetAttr{Path: "/m/x", Mode: value(uint32(0o600))}}, "- /d/\n- /d/sub/\n+ /m/\n+ /m/sub/\n> /d/sub/y → /m/sub/y\n> /d/x → /m/x (mode 0444 → 0600)", 0, 0},
		{"file to directory", []tree.Edit{tree.Remove{Path: "/a"}, put("/a/f", "new")}, "~ /a/ (type file → directory)\n+ /a/f", 1, 5},
		{"directory to file", []tree.Edit{tree.Remove{Path: "/d/sub"}, put("/d/sub", "new")}, "~ /d/sub (type directory → file)\n- /d/sub/y", 1, 5},
		{"an empty file for another", []tree.Edit{tree.Remove{Path: "/empty"}, put("/other", "")}, "- /empty\n+ /other", 1, 0},
		{"one to two", []tree.Edit{tree.Remove{Path: "/a"}, put("/x", "first"), put("/y", "first")}, "+ /x\n> /a → /y", 0, 0},
		{"swapped", []tree.Edit{tree.Rename{Old: "/a", New: "/t"}, tree.Rename{Old: "/b", New: "/a"}, tree.Rename{Old: "/t", New: "/b"}}, "~ /a (content)\n~ /b (content)", 2, 10},
	} {
		r := compare(t, base, edit(t, base, layout.Options{}, c.edits...))
		if got := text(r.Tree); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, got, c.want)
		}
		if r.Same != same-c.less || r.SameBytes != bytes-c.gone {
			t.Errorf("%s: %d files of %d bytes are the same, want %d of %d", c.name, r.Same, r.SameBytes, same-c.less, bytes-c.gone)
		}
	}
}

// TestEmptyDirectories: an empty directory is no other one that moved.
func TestEmptyDirectories(t *testing.T) {
	mkdir := func(path string) tree.Put {
		return tree.Put{Path: path, Attr: tree.Attr{Mode: iso9660.ModeDir | 0o555}}
	}
	base := edit(t, imageOf(t, isofs(t, map[string]string{"a": "a"}, "-r")), layout.Options{}, mkdir("/hollow"))
	if got := text(compare(t, base, edit(t, base, layout.Options{}, tree.Remove{Path: "/hollow"}, mkdir("/void"))).Tree); got != "- /hollow/\n+ /void/" {
		t.Error(got)
	}
}

// TestHardLinks: content of several names is counted once.
func TestHardLinks(t *testing.T) {
	base := imageOf(t, isofs(t, map[string]string{"a": "12345"}, "-r"))
	src := &memory{[]byte("seven b")}
	link := func(path string) tree.Put {
		p := put(path, "")
		p.Source = src
		return p
	}
	two := edit(t, base, layout.Options{}, link("/x"), link("/y"))
	if r := compare(t, two, two); r.Same != 3 || r.SameBytes != 12 {
		t.Errorf("%d files, %d bytes", r.Same, r.SameBytes)
	}
}

// TestMovesAmongMany: of files with the same content, one of the same name is what moved; a
// file is compared with so many of its size and no more.
func TestMovesAmongMany(t *testing.T) {
	files := map[string]string{"from/k": "same", "other/m": "same", "other/l": "same"}
	base := imageOf(t, isofs(t, files, "-r"))
	r := compare(t, base, edit(t, base, layout.Options{}, tree.Rename{Old: "/other/m", New: "/to/m"}, tree.Remove{Path: "/from/k"}, tree.Remove{Path: "/other/l"}))
	if got := text(r.Tree); !strings.Contains(got, "> /other/m → /to/m") || !strings.Contains(got, "- /from/k") {
		t.Error(got)
	}
	for others, want := range map[int]string{7: "> /a/0 → /to/other", 8: "- /a/0"} {
		files = map[string]string{"z/k": "z", "a/0": "same"}
		for i := range others {
			files["a/"+string(rune('A'+i))] = "oth" + string(rune('a'+i))
		}
		base = imageOf(t, isofs(t, files, "-r"))
		edits := []tree.Edit{tree.Rename{Old: "/a/0", New: "/to/other"}}
		for i := range others {
			edits = append(edits, tree.Remove{Path: "/a/" + string(rune('A'+i))})
		}
		edits = append(edits, put("/a/keep", "not of that size"))
		if got := text(compare(t, base, edit(t, base, layout.Options{}, edits...)).Tree); !strings.Contains(got, want) {
			t.Errorf("%d others of the size: %s\nwant %s", others, got, want)
		}
	}
}

// TestOrder: a directory stands in front of what it holds, and that behind it.
func TestOrder(t *testing.T) {
	base := imageOf(t, isofs(t, map[string]string{"k": "k"}, "-r"))
	r := compare(t, base, edit(t, base, layout.Options{}, put("/d/x", "1"), put("/d-e", "2"), put("/d/a/b", "3"), put("/d.e", "4")))
	if got, want := text(r.Tree), "+ /d/\n+ /d/a/\n+ /d/a/b\n+ /d/x\n+ /d-e\n+ /d.e"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestForks: an associated file is no name of its own; another one is a change of its file.
func TestForks(t *testing.T) {
	image := func(fork string) Side {
		b := isofs(t, map[string]string{"d/a": fork, "d/b": "file", "c": "c"})
		isotest.Associate(t, b, "A.;1", "B.;1")
		return imageOf(t, b)
	}
	base := image("fork")
	for fork, want := range map[string]string{"fork": "", "FORK": "~ /D/B (resource fork)"} {
		if got := text(compare(t, base, image(fork)).Tree); got != want {
			t.Errorf("%s: %q, want %q", fork, got, want)
		}
	}
	without := imageOf(t, isofs(t, map[string]string{"d/b": "file", "c": "c"}))
	for _, sides := range [][2]Side{{base, without}, {without, base}} {
		if got := text(compare(t, sides[0], sides[1]).Tree); got != "~ /D/B (resource fork)" {
			t.Error(got)
		}
	}
	if got := text(compare(t, base, edit(t, base, layout.Options{}, tree.Remove{Path: "/D"})).Tree); got != "- /D/\n- /D/B" {
		t.Error(got)
	}
	if got := text(compare(t, base, edit(t, base, layout.Options{}, put("/D/B", "file"))).Tree); !strings.Contains(got, "resource fork") {
		t.Error(got)
	}
}

// TestSameNames: a name that a directory has twice is compared in its order.
func TestSameNames(t *testing.T) {
	two := func(sizes ...string) Side {
		s := Side{Size: 1 << 20, Tree: &tree.Tree{Root: &tree.Node{Attr: tree.Attr{Mode: iso9660.ModeDir}}}}
		for _, link := range sizes {
			s.Tree.Root.Children = append(s.Tree.Root.Children, &tree.Node{Name: "n", Parent: s.Tree.Root, Attr: tree.Attr{Mode: iso9660.ModeSymlink, Link: link}})
		}
		return s
	}
	for _, c := range []struct {
		a, b Side
		want string
	}{
		{two("1", "2"), two("1", "2"), ""},
		{two("1", "2"), two("1", "3"), "~ /n (target 2 → 3)"},
		{two("1", "2"), two("1"), "- /n"},
		{two("1"), two("1", "2", "3"), "+ /n\n+ /n"},
	} {
		x := comparison{ctx: t.Context(), a: c.a, b: c.b}
		if err := x.trees(); err != nil || text(x.changes) != c.want {
			t.Errorf("%q, %v; want %q", text(x.changes), err, c.want)
		}
	}
}

// TestHierarchies: a name that is in fewer hierarchies is another one.
func TestHierarchies(t *testing.T) {
	files := map[string]string{"a": "a"}
	r := compare(t, imageOf(t, isofs(t, files, "-r", "-J")), imageOf(t, isofs(t, files, "-r", "-J", "-hide-joliet", "a")))
	if got := text(r.Tree); got != "~ /a (hierarchies primary and Joliet → primary)" {
		t.Error(got)
	}
}

// failing cannot be read at all from some offset on.
type failing struct {
	memory
	from int64
}

var errDisk = errors.New("bad sector")

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.from {
		return 0, errDisk
	}
	return f.memory.ReadAt(p, off)
}

// TestPlannedSame: what plans of the same base take over from it is the same without being
// read.
func TestPlannedSame(t *testing.T) {
	b := isofs(t, sample, "-r", "-J")
	var at int64
	whole := imageOf(t, b)
	if n, err := whole.Tree.Lookup("/big"); err == nil {
		at = n.Content()[0].LBA.Offset()
	}
	base := whole
	src := &failing{memory{b}, int64(len(b))}
	base.Source = src
	x, y := planned(t, base, layout.Options{}, put("/e/z", "1")), planned(t, base, layout.Options{}, put("/e/z", "2"))
	p, q := side(t, x, x.Size()), side(t, y, y.Size())
	src.from = at + 1<<20
	r, err := Images(t.Context(), p, q, nil)
	if err != nil || text(r.Tree) != "~ /e/z (content)" || r.Same != 6 {
		t.Errorf("%v, %+v", err, r)
	}
	if _, err := Images(t.Context(), p, whole, nil); !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "compare /big") {
		t.Errorf("read errors: %v", err)
	}
	// The same place of the base, and other content: places of one plan are not those of the other.
	src.from = int64(len(b))
	z := planned(t, base, layout.Options{Compact: true})
	s := side(t, z, z.Size())
	c := comparison{a: p, b: s}
	m, n := look(t, p, "/a").Content(), look(t, s, "/b").Content()
	short := slices.Clone(look(t, s, "/a").Content())
	short[0].Size--
	if c.shared(m, n) || c.shared(m, short) || !c.shared(m, look(t, s, "/a").Content()) || c.shared(m, append(n, n...)) || c.shared(m, append(slices.Clone(look(t, s, "/a").Content()), n...)) {
		t.Error("content is shared that is another, or is not that is the same")
	}
}

func look(t *testing.T, s Side, path string) *tree.Node {
	t.Helper()
	n, err := s.Tree.Lookup(path)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestHostileContent: content outside of the image is not read, and trees that list the same
// bytes over and over are compared so far and no further.
func TestHostileContent(t *testing.T) {
	b := isofs(t, map[string]string{"a": "12345", "b": "12345"}, "-r")
	base := imageOf(t, b)
	far := imageOf(t, b)
	record := look(t, far, "/a").Found[iso9660.Primary].Record()
	record.SetExtent(iso9660.LBA(len(b)/iso9660.BlockSize), 5)
	if got := text(compare(t, base, far).Tree); got != "~ /a (content not compared: it is not all in the image)" {
		t.Error(got)
	}
	record.SetExtent(iso9660.LBA(len(b)/iso9660.BlockSize)-1, 5)
	if got := text(compare(t, base, far).Tree); got != "~ /a (content)" {
		t.Error(got)
	}
	for limit, want := range map[int64]string{10: "", 9: "content not compared: the trees list more than the images hold", 4: "content not compared: the trees list more than the images hold"} {
		c := comparison{ctx: t.Context(), a: base, b: imageOf(t, b), limit: limit}
		why := ""
		for _, path := range []string{"/a", "/b"} {
			same, says, err := c.content(look(t, c.a, path), look(t, c.b, path))
			if err != nil {
				t.Fatal(err)
			}
			if !same {
				why = says
			}
		}
		if why != want {
			t.Errorf("limit %d: %q, want %q", limit, why, want)
		}
	}
}

// TestLimit: the same bytes under many names are compared up to four times of what both images
// hold.
func TestLimit(t *testing.T) {
	b := make([]byte, 100*iso9660.BlockSize)
	for names, want := range map[int]int{7: 0, 9: 1} {
		s := Side{Source: &memory{b}, Size: int64(len(b)), Tree: &tree.Tree{Root: &tree.Node{Attr: tree.Attr{Mode: iso9660.ModeDir}}}}
		for i := range names {
			record := make(iso9660.Record, 34)
			record[0], record[32] = 34, 1
			record.SetExtent(0, uint32(s.Size)-uint32(i))
			n := &tree.Node{Name: string(rune('a' + i)), Parent: s.Tree.Root, Attr: tree.Attr{Mode: iso9660.ModeRegular}}
			n.Found[iso9660.Primary] = iso9660.EntryOf(iso9660.Raw{Record: record})
			s.Tree.Root.Children = append(s.Tree.Root.Children, n)
		}
		base := imageOf(t, isofs(t, map[string]string{"a": "a"}))
		s.Image, s.Boot = base.Image, base.Boot
		r := compare(t, s, s)
		if got := strings.Count(text(r.Tree), "content not compared: the trees list more than the images hold"); got != want || r.Same != names-want {
			t.Errorf("%d names: %s; %d are the same", names, text(r.Tree), r.Same)
		}
	}
}

// TestEqual: what ends early is no end of the comparison, and progress never passes the total.
func TestEqual(t *testing.T) {
	last := int64(0)
	c := comparison{ctx: t.Context(), total: 5, progress: func(done, total int64) { last = done }}
	x := strings.Repeat("x", 10)
	for _, v := range []struct {
		a, b string
		n    int64
		want bool
		err  error
	}{{x, x, 10, true, nil}, {x, x[:9] + "y", 10, false, nil}, {x, x[:9] + "y", 9, true, nil}, {x, x[:9], 10, false, io.ErrUnexpectedEOF}, {x[:9], x, 10, false, io.ErrUnexpectedEOF}} {
		if got, err := c.equal(strings.NewReader(v.a), strings.NewReader(v.b), v.n); got != v.want || !errors.Is(err, v.err) || err != nil && v.err == nil {
			t.Errorf("%q, %q: %v, %v", v.a, v.b, got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&comparison{ctx: ctx}).equal(strings.NewReader(x), strings.NewReader(x), 10); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	if last != 5 {
		t.Errorf("progress %d of 5", last)
	}
}

// TestSections: content of several sections is read as one (ECMA-119 6.5.1).
func TestSections(t *testing.T) {
	b := make([]byte, 6*iso9660.BlockSize)
	for i := range b {
		b[i] = byte(i / 7)
	}
	p := parts{&memory{b}, []iso9660.Section{{LBA: 4, Size: 2048}, {LBA: 1, Size: 3000}, {LBA: 5, Size: 10}}}
	want := slices.Concat(b[4*2048:5*2048], b[2048:2048+3000], b[5*2048:5*2048+10])
	for _, c := range [][2]int{{0, 5058}, {0, 2048}, {2047, 2}, {2048, 3000}, {2040, 3018}, {5047, 2}, {5050, 8}} {
		got := make([]byte, c[1])
		if n, err := p.ReadAt(got, int64(c[0])); n != c[1] || err != nil || string(got) != string(want[c[0]:c[0]+c[1]]) {
			t.Errorf("%d bytes at %d: %d, %v", c[1], c[0], n, err)
		}
	}
	if n, err := p.ReadAt(make([]byte, 10), 5055); n != 3 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// TestProgress: progress never passes the total, and a context that has ended ends it.
func TestProgress(t *testing.T) {
	b := isofs(t, sample, "-r")
	x, y := imageOf(t, b), imageOf(t, b)
	last, calls := int64(0), 0
	_, err := Images(t.Context(), x, y, func(done, total int64) {
		if done < last || done > total || total != int64(len(b)) {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last, calls = done, calls+1
	})
	if err != nil || last != 3<<20+20 || calls != 8 {
		t.Errorf("%d bytes in %d calls, %v", last, calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Images(ctx, x, y, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestCompare makes random edits and wants these reported and nothing else.
func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"rhel9-isolinux", "debian", "arch", "norr"} {
		b, err := os.ReadFile(isotest.Image(t, name))
		if err != nil {
			t.Fatal(err)
		}
		base := imageOf(t, b)
		if r := compare(t, base, base); r.Changes() > 0 || r.Same == 0 {
			t.Errorf("%s differs from itself: %s; %d files are the same", name, text(r.Tree), r.Same)
		}
		var files []string
		_ = base.Tree.Walk(func(n *tree.Node) error {
			if n.IsRegular() && n.Size() > 0 && !slices.ContainsFunc(append(base.Boot.Objects(), nil), bootOf(n)) {
				files = append(files, n.Path())
			}
			return nil
		})
		for round := range 5 {
			r := rand.New(rand.NewPCG(uint64(round), 7))
			pick := slices.Clone(files)
			r.Shuffle(len(pick), func(i, j int) { pick[i], pick[j] = pick[j], pick[i] })
			content := strings.Repeat(string(rune('a'+r.IntN(26))), 1000+r.IntN(5000))
			added := map[string]string{"norr": "/FRESH/NEW"}[name]
			if added == "" {
				added = "/fresh/new"
			}
			edits := []tree.Edit{
				tree.Remove{Path: pick[0]},
				put(pick[1], content), put(added, content),
				tree.Rename{Old: pick[2], New: "/MOVED"},
				tree.Rename{Old: pick[3], New: pick[3] + "0"},
			}
			want := []string{
				"- " + pick[0], "~ " + pick[1], "+ " + added[:7-1] + "/", "+ " + added, "> " + pick[2] + " → /MOVED", "> " + pick[3] + " → " + pick[3] + "0",
			}
			out := edit(t, base, layout.Options{}, edits...)
			got := names(compare(t, base, out).Tree)
			slices.Sort(want)
			if !slices.Equal(want, got) {
				t.Errorf("%s, round %d:\nwant %s\ngot  %s", name, round, strings.Join(want, "\n     "), strings.Join(got, "\n     "))
			}
			if back := compare(t, out, base); len(back.Tree) != len(want) {
				t.Errorf("%s, round %d, the other way round: %s", name, round, text(back.Tree))
			}
		}
	}
}
