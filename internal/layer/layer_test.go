package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// source is bytes as a source.
type source struct {
	name string
	*bytes.Reader
}

func (s source) Name() string { return s.name }

func bytesOf(name, content string) *source { return &source{name, bytes.NewReader([]byte(content))} }

// sample has one of everything.
func sample() *Layer {
	t := time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC)
	file := bytesOf("/f", "content")
	long := "/" + strings.Repeat("é", 100) + "/" + strings.Repeat("n", 200)
	return &Layer{
		Renames: []tree.Rename{{Old: "/old", New: "/new dir/név"}, {Old: "/a", New: "/b"}},
		Gone:    []string{"/gone", "/d/.hidden"},
		Opaque:  []string{"/", "/emptied"},
		Added: []tree.Put{
			{Path: "/d", Attr: tree.Attr{Mode: iso9660.ModeDir | 0o1755, UID: 3, GID: 1<<32 - 1, ModTime: t}},
			{Path: "/d/char", Attr: tree.Attr{Mode: iso9660.ModeChar | 0o600, Major: 5, Minor: 1<<20 - 1, ModTime: t}},
			{Path: "/d/block", Attr: tree.Attr{Mode: iso9660.ModeBlock | 0o600, Major: 8, Minor: 1, ModTime: t}},
			{Path: "/d/pipe", Attr: tree.Attr{Mode: iso9660.ModeFIFO | 0o644, ModTime: t}},
			{Path: "/d/empty", Attr: tree.Attr{Mode: iso9660.ModeRegular, ModTime: t}, Source: bytesOf("/e", "")},
			{Path: "/f", Attr: tree.Attr{Mode: iso9660.ModeRegular | 0o4644, ModTime: t}, Source: file},
			{Path: "/link", Attr: tree.Attr{Mode: iso9660.ModeSymlink | 0o777, Link: "../" + strings.Repeat("x", 300), ModTime: t}},
			{Path: long, Attr: tree.Attr{Mode: iso9660.ModeRegular | 0o644, ModTime: t}, Source: file},
		},
		Objects:  map[string]extent.Source{"@efi": bytesOf("@efi", "boot"), "@system-area": bytesOf("@system-area", "code")},
		Fields:   map[iso9660.Field]string{iso9660.FieldPublisher: "", iso9660.FieldApplication: "an application"},
		Modified: time.Date(2026, 1, 2, 3, 4, 5, 67e7, time.UTC),
	}
}

func archive(t testing.TB, l *Layer) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := l.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) (*Layer, error) { return Read(bytesOf("layer.tar", string(b))) }

// TestRoundTrip: what is written is read, hard links included.
func TestRoundTrip(t *testing.T) {
	want := sample()
	b := archive(t, want)
	if !bytes.Equal(b, archive(t, sample())) {
		t.Error("two runs differ")
	}
	got, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	content := cmp.Transformer("content", func(s extent.Source) string {
		if s == nil {
			return "none"
		}
		c, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
		if err != nil {
			t.Error(err)
		}
		return string(c)
	})
	sorted := cmpopts.SortSlices(strings.Compare)
	if d := cmp.Diff(want, got, content, sorted); d != "" {
		t.Error(d)
	}
	n := len(got.Added)
	if got.Added[n-3].Source != got.Added[n-1].Source {
		t.Error("a hard link became a file of its own")
	}
	for _, c := range []Compression{None, Gzip, Zstd} {
		var packed bytes.Buffer
		w, err := Compress(&packed, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		src, closer, err := Expand(bytesOf("packed", packed.String()), t.TempDir())
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		plain, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
		if err != nil || !bytes.Equal(plain, b) {
			t.Errorf("%s: other bytes, %v", c, err)
		}
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
		if c == None {
			continue
		}
		cut := packed.String()[:packed.Len()-9]
		if _, _, err := Expand(bytesOf("cut", cut), t.TempDir()); !errors.Is(err, ErrFormat) {
			t.Errorf("%s, cut short: %v", c, err)
		}
	}
}

// TestRefused: what images cannot hold, and what is damaged, is an error of its kind.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		h    tar.Header
		want error
	}{
		{"outside", tar.Header{Name: "../x"}, ErrFormat},
		{"outside, deep", tar.Header{Name: "a/../../x"}, ErrFormat},
		{"long name", tar.Header{Name: strings.Repeat("a", 256)}, ErrFormat},
		{"whiteout of nothing", tar.Header{Name: "d/.wh."}, ErrFormat},
		{"whiteout of its directory", tar.Header{Name: "d/.wh.."}, ErrFormat},
		{"whiteout of the directory above", tar.Header{Name: "d/e/.wh..."}, ErrFormat},
		{"link into nothing", tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "y"}, ErrUnsupported},
		{"link outside", tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "../y"}, ErrUnsupported},
		{"no target", tar.Header{Name: "x", Typeflag: tar.TypeSymlink}, ErrFormat},
		{"contiguous", tar.Header{Name: "x", Typeflag: tar.TypeCont}, ErrUnsupported},
		{"object that is a link", tar.Header{Name: objectsPath + "@efi", Typeflag: tar.TypeSymlink, Linkname: "x"}, ErrUnsupported},
		{"later version", tar.Header{Name: "./", Typeflag: tar.TypeDir, PAXRecords: map[string]string{paxVersion: "3"}}, ErrUnsupported},
		{"rename, no list", tar.Header{Name: "./", Typeflag: tar.TypeDir, PAXRecords: map[string]string{paxVersion: "1", paxRenames: "{"}}, ErrFormat},
		{"rename outside", tar.Header{Name: "./", Typeflag: tar.TypeDir, PAXRecords: map[string]string{paxVersion: "1", paxRenames: `[["/a","/../b"]]`}}, ErrFormat},
		{"bad date", tar.Header{Name: "./", Typeflag: tar.TypeDir, PAXRecords: map[string]string{paxVersion: "1", paxModified: "2026139912345678"}}, ErrFormat},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&c.h); err != nil {
			t.Fatal(c.name, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(c.name, err)
		}
		if _, err := read(b.Bytes()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	whole := archive(t, sample())
	for _, n := range []int{0, 1, 511, 600, len(whole) / 2} {
		if _, err := read(whole[:n]); !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes of it: %v", n, err)
		}
	}
	if _, err := read(bytes.Repeat([]byte("text\n"), 1000)); !errors.Is(err, ErrFormat) {
		t.Errorf("text: %v", err)
	}
	for _, l := range []*Layer{
		{Added: []tree.Put{{Path: "/.wh.x", Attr: tree.Attr{Mode: iso9660.ModeDir}}}},
		{Added: []tree.Put{{Path: "/x", Attr: tree.Attr{Mode: iso9660.ModeSocket}}}},
	} {
		if err := l.Write(io.Discard); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v: %v", l.Added, err)
		}
	}
}

// TestBomb: what unpacks to unreasonably much is refused, and leaves nothing.
func TestBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 64 MiB")
	}
	var b bytes.Buffer
	w, err := Compress(&b, Zstd)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, _, err := Expand(bytesOf("bomb", b.String()), dir); !errors.Is(err, ErrLimit) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, c := range []string{"\xfd7zXZ\x00\x00", "BZh91AY"} {
		if _, _, err := Expand(bytesOf("packed", c), dir); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// FuzzRead: no archive makes reading go wrong, and what is read can be written.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := sample().Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{})
	p, _ := patched(f)
	f.Add(archive(f, p))
	for _, c := range hostilePatches() {
		f.Add(c.archive(f))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := read(b)
		if err != nil {
			return
		}
		for _, p := range l.Added {
			if clean, err := tree.Clean(p.Path); err != nil || clean != p.Path {
				t.Errorf("path %q: %v", p.Path, err)
			}
			if p, ok := p.Source.(*Patch); ok && p.Lower.Size < 1<<20 { // no patch makes binding go wrong
				_, _ = p.compose(bytesOf("lower", strings.Repeat("l", int(p.Lower.Size))))
				if _, err := p.Bind(bytesOf("lower", strings.Repeat("l", int(p.Lower.Size)))); err != nil && !errors.Is(err, ErrBase) && !errors.Is(err, ErrFormat) {
					t.Error(err)
				}
			}
		}
		var out bytes.Buffer
		if err := l.Write(&out); err != nil {
			return // names that only mean something
		}
		again, err := read(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Added) != len(l.Added) || len(again.Gone) != len(l.Gone) || len(again.Renames) != len(l.Renames) {
			t.Error("read again, it is another layer")
		}
	})
}
