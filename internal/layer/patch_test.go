package layer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// noise is content that repeats nowhere.
func noise(n int, seed uint64) []byte {
	out := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// edited is content with some bytes changed.
func edited(b []byte, at ...int) []byte {
	b = bytes.Clone(b)
	for _, i := range at {
		b[i] ^= 0xff
	}
	return b
}

func mustDiffer(t testing.TB, lower, result []byte) *Patch {
	t.Helper()
	p, err := differ(bytesOf("lower", string(lower)), bytesOf("/f", string(result)), maxRangesLayer)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDiffer: a patch has what differs and no more, and makes the result; there is none
// where it would save less than half, or less than 64 KiB.
func TestDiffer(t *testing.T) {
	const kib = 1 << 10
	old := noise(1024*kib+100, 1)
	scattered := make([]int, 0, 2000)
	for i := 0; i < 1000*kib; i += patchUnit * 3 / 2 {
		scattered = append(scattered, i)
	}
	for _, c := range []struct {
		name   string
		result []byte
		ranges string // "none": no patch
	}{
		{"nothing", old, ""},
		{"a byte", edited(old, 5000), "4608+512"},
		{"two neighbours and the last", edited(old, 511, 512, len(old)-1), "0+1024 1048576+100"},
		{"a tail", append(bytes.Clone(old), "tail"...), "1048576+104"},
		{"cut", old[:700*kib], ""},
		{"cut and changed", edited(old[:700*kib], 0), "0+512"},
		{"over a step", edited(old, 1<<20-1, 1<<20), "1048064+612"},
		{"scattered", edited(old, scattered...), "none"},
		{"other", noise(len(old), 2), "none"},
		{"inserted", append([]byte("x"), old...), "none"},
		{"twice as long", append(bytes.Clone(old), old...), "none"},
		{"small", edited(old[:64*kib], 0), "none"},
		{"empty", nil, "none"},
	} {
		p := mustDiffer(t, old, c.result)
		if c.name == "small" {
			p = mustDiffer(t, old[:64*kib], c.result)
		}
		if p == nil {
			if c.ranges != "none" {
				t.Errorf("%s: no patch", c.name)
			}
			continue
		}
		if got := p.records("")[paxRanges]; got != c.ranges {
			t.Errorf("%s: %s, want %s", c.name, clip(got), c.ranges)
		}
		p.bound = nil
		src, err := p.Bind(bytesOf("lower", string(old)))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size())); err != nil || !bytes.Equal(got, c.result) {
			t.Errorf("%s: another result, %v", c.name, err)
		}
	}
	if _, err := mustDiffer(t, old, edited(old, 0)).Bind(bytesOf("x", "x")); err != nil {
		t.Errorf("bound once: %v", err)
	}
}

// TestCoarse: too many ranges become fewer and larger ones, with all that was in them.
func TestCoarse(t *testing.T) {
	l := &ranges{}
	for i := range int64(100) {
		l.add(Range{i * i * patchUnit, 1 + i%patchUnit})
	}
	for _, n := range []int{1, 2, 50, 99, 100} {
		got := l.coarse(n)
		if len(got) > n || len(got) == 0 {
			t.Errorf("%d: %d ranges", n, len(got))
		}
		for _, r := range l.list {
			in := false
			for _, g := range got {
				in = in || g.Off <= r.Off && g.End() >= r.End()
			}
			if !in {
				t.Fatalf("%d: %v is lost", n, r)
			}
		}
	}
	if l.coarse(0) != nil {
		t.Error("ranges where there is room for none")
	}
}

// patched is a layer with patches: a file of two names, one of which only attributes
// changed, and boot equipment; with it, what they apply to.
func patched(t testing.TB) (*Layer, map[string][]byte) {
	old := map[string][]byte{"/d/f": noise(200<<10, 3), "/mode": noise(100<<10, 4), "@efi": noise(300<<10, 5)}
	f := mustDiffer(t, old["/d/f"], append(edited(old["/d/f"], 1, 5000), "tail"...))
	f.of = "/d/f"
	attr := tree.Attr{Mode: iso9660.ModeRegular | 0o640}
	return &Layer{
		Root: tree.Attr{Mode: 0o755},
		Added: []tree.Put{
			{Path: "/a", Attr: attr, Source: f},
			{Path: "/d/f", Attr: attr, Source: f},
			{Path: "/mode", Attr: attr, Source: mustDiffer(t, old["/mode"], old["/mode"])},
		},
		Objects: map[string]extent.Source{"@efi": mustDiffer(t, old["@efi"], edited(old["@efi"], 99))},
	}, old
}

// TestPatchRoundTrip: what is written is small, read again, and makes the contents; links
// stay links. Programs for other layers see nothing of it in the tree.
func TestPatchRoundTrip(t *testing.T) {
	want, old := patched(t)
	b := archive(t, want)
	again, _ := patched(t)
	if !bytes.Equal(b, archive(t, again)) {
		t.Error("two runs differ")
	}
	if len(b) > 20<<10 {
		t.Errorf("%d bytes", len(b))
	}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if h.Name != "./" && !strings.HasPrefix(h.Name, objectsPath) {
			t.Errorf("an entry %s", h.Name)
		}
		if v := h.PAXRecords[paxVersion]; h.Name == "./" && v != versionPatches {
			t.Errorf("version %q", v)
		}
	}
	got, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, archive(t, got)) {
		t.Error("read and written, it is another")
	}
	if !got.Patches() || len(got.Added) != 3 || got.Added[0].Source != got.Added[1].Source || got.Added[1].Source == got.Added[2].Source {
		t.Fatalf("%v", got.Added)
	}
	if _, err := got.Added[0].Source.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrBase) {
		t.Errorf("content of what is not bound: %v", err)
	}
	result := map[string]extent.Source{"/d/f": got.Added[0].Source, "/mode": got.Added[2].Source, "@efi": got.Objects["@efi"]}
	sources := map[string]extent.Source{"/d/f": want.Added[0].Source, "/mode": want.Added[2].Source, "@efi": want.Objects["@efi"]}
	for name, src := range result {
		p := src.(*Patch)
		for _, wrong := range [][]byte{nil, old[name][1:], edited(old[name], 40000)} {
			if _, err := p.Bind(bytesOf(name, string(wrong))); !errors.Is(err, ErrBase) {
				t.Errorf("%s: on other content: %v", name, err)
			}
		}
		bound, err := p.Bind(bytesOf(name, string(old[name])))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		x, err := io.ReadAll(io.NewSectionReader(bound, 0, bound.Size()))
		y, err2 := io.ReadAll(io.NewSectionReader(sources[name], 0, sources[name].Size()))
		if err != nil || err2 != nil || !bytes.Equal(x, y) {
			t.Errorf("%s: another result, %v, %v", name, err, err2)
		}
	}
}

// hostilePatch is an entry that is no good patch.
type hostilePatch struct {
	name, entry           string
	lower, result, ranges string
	of, link              string
	data                  int
	field                 string // that the error names
	want                  error
}

func (c hostilePatch) archive(t testing.TB) []byte {
	t.Helper()
	h := &tar.Header{Typeflag: tar.TypeReg, Name: c.entry, Size: int64(c.data), Mode: 0o644, Format: tar.FormatPAX, PAXRecords: map[string]string{}}
	if h.Name == "" {
		h.Name = patchesPath + "f"
	}
	if c.link != "" {
		h.Typeflag, h.Linkname = tar.TypeLink, c.link
	}
	for key, text := range map[string]string{paxLower: c.lower, paxResult: c.result, paxRanges: c.ranges, paxOf: c.of} {
		if text != "" {
			h.PAXRecords[key] = text
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(c.name, err)
	}
	if _, err := w.Write(make([]byte, c.data)); err != nil {
		t.Fatal(c.name, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(c.name, err)
	}
	return b.Bytes()
}

func hostilePatches() []hostilePatch {
	sum := func(n int) string { return fmt.Sprintf("sha256:%x %d", sha256.Sum256(make([]byte, n)), n) }
	a, b := sum(1000), sum(2000)
	return []hostilePatch{
		{name: "no records", field: paxLower, want: ErrFormat},
		{name: "no result", lower: a, field: paxResult, want: ErrFormat},
		{name: "short digest", lower: "sha256:00 5", result: a, field: paxLower, want: ErrFormat},
		{name: "other digest", lower: "md5" + a[6:], result: a, field: paxLower, want: ErrFormat},
		{name: "capitals", lower: a, result: strings.ToUpper(a[:10]) + a[10:], field: paxResult, want: ErrFormat},
		{name: "negative size", lower: a[:72] + "-1", result: a, field: paxLower, want: ErrFormat},
		{name: "huge size", lower: a[:72] + "9223372036854775808", result: a, field: paxLower, want: ErrFormat},
		{name: "no number", lower: a, result: a, ranges: "0+x", data: 1, field: paxRanges, want: ErrFormat},
		{name: "no length", lower: a, result: a, ranges: "5", data: 5, field: paxRanges, want: ErrFormat},
		{name: "empty range", lower: a, result: a, ranges: "5+0", field: paxRanges, want: ErrFormat},
		{name: "negative", lower: a, result: a, ranges: "-5+1", data: 1, field: paxRanges, want: ErrFormat},
		{name: "leading zero", lower: a, result: a, ranges: "05+1", data: 1, field: paxRanges, want: ErrFormat},
		{name: "overlapping", lower: a, result: a, ranges: "0+10 9+10", data: 20, field: paxRanges, want: ErrFormat},
		{name: "touching", lower: a, result: a, ranges: "0+10 10+10", data: 20, field: paxRanges, want: ErrFormat},
		{name: "backwards", lower: a, result: a, ranges: "50+10 0+10", data: 20, field: paxRanges, want: ErrFormat},
		{name: "outside", lower: a, result: a, ranges: "995+10", data: 10, field: paxRanges, want: ErrFormat},
		{name: "far outside", lower: a, result: a, ranges: "9223372036854775807+9223372036854775807", data: 10, field: paxRanges, want: ErrFormat},
		{name: "sums wrap", lower: a, result: a[:72] + "9223372036854775807", ranges: "0+9223372036854775806", data: 10, field: paxRanges, want: ErrFormat},
		{name: "more data", lower: a, result: a, ranges: "0+10", data: 11, field: paxRanges, want: ErrFormat},
		{name: "less data", lower: a, result: a, ranges: "0+10", data: 9, field: paxRanges, want: ErrFormat},
		{name: "data without ranges", lower: a, result: a, data: 9, field: paxRanges, want: ErrFormat},
		{name: "nothing at the end", lower: a, result: b, ranges: "0+10", data: 10, field: paxRanges, want: ErrFormat},
		{name: "a gap at the end", lower: a, result: b, ranges: "1001+999", data: 999, field: paxRanges, want: ErrFormat},
		{name: "short of the end", lower: a, result: b, ranges: "1000+999", data: 999, field: paxRanges, want: ErrFormat},
		{name: "vast result", lower: a, result: a[:72] + "9223372036854775807", field: paxRanges, want: ErrFormat},
		{name: "many ranges", lower: a, result: a, ranges: strings.Repeat("0+1 ", maxRanges+1), data: 1, field: paxRanges, want: ErrFormat},
		{name: "of outside", lower: a, result: a, of: "/../x", field: paxOf, want: ErrFormat},
		{name: "of no path", lower: a, result: a, of: "x", field: paxOf, want: ErrFormat},
		{name: "outside", entry: patchesPath + "../../../x", lower: a, result: a, want: ErrFormat},
		{name: "root", entry: patchesPath + ".", lower: a, result: a, want: ErrFormat},
		{name: "whiteout", entry: patchesPath + "d/.wh.x", lower: a, result: a, want: ErrFormat},
		{name: "in the tree", entry: "f", lower: a, result: a, want: ErrFormat},
		{name: "object", entry: objectsPath + "@efi", lower: a, result: a, ranges: "0+10", data: 9, field: paxRanges, want: ErrFormat},
		{name: "link to nothing", link: patchesPath + "g", want: ErrUnsupported},
	}
}

// TestHostilePatches: what is no good patch is refused by its entry and record.
func TestHostilePatches(t *testing.T) {
	for _, c := range hostilePatches() {
		_, err := read(c.archive(t))
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.field) {
			t.Errorf("%s: %v; want %v, %s", c.name, err, c.want, c.field)
		}
	}
	// Links between patches and files, either way.
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{{Name: "f", Typeflag: tar.TypeReg}, {Name: patchesPath + "g", Typeflag: tar.TypeLink, Linkname: "f"}} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := read(b.Bytes()); !errors.Is(err, ErrFormat) {
		t.Errorf("a patch that is a link to a file: %v", err)
	}
	b.Reset()
	b.Write(hostilePatch{lower: hostilePatches()[1].lower, result: hostilePatches()[1].lower}.archive(t)[:2048])
	w = tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "g", Typeflag: tar.TypeLink, Linkname: patchesPath + "f"}); err != nil {
		t.Fatal(err)
	}
	if _, err := read(b.Bytes()); !errors.Is(err, ErrFormat) {
		t.Errorf("a file that is a link to a patch: %v", err)
	}
}

// TestPatchLies: what an entry says of its result is verified.
func TestPatchLies(t *testing.T) {
	_, old := patched(t)
	for _, lie := range []func(*Patch){
		func(p *Patch) { p.Result.SHA256 = strings.Repeat("0", 64) },
		func(p *Patch) { p.Data = bytesOf("data", strings.Repeat("x", int(p.Data.Size()))) },
		func(p *Patch) { p.Ranges[0].Off += 512 },
		func(p *Patch) { p.Result.Size-- },
	} {
		l, _ := patched(t)
		p := l.Objects["@efi"].(*Patch)
		p.bound = nil
		lie(p)
		if _, err := p.Bind(bytesOf("@efi", string(old["@efi"]))); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), paxResult) {
			t.Errorf("%v", err)
		}
	}
}
