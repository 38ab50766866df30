package cpio_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/isotest"
)

// packers compress as initrds of distributions are.
var packers = map[cpio.Compression][]string{
	cpio.None: {"cat"}, cpio.Gzip: {"gzip", "-9"}, cpio.XZ: {"xz", "--check=crc32"}, cpio.Zstd: {"zstd", "-q"},
	cpio.Bzip2: {"bzip2"}, cpio.LZMA: {"xz", "--format=lzma"}, cpio.LZ4: {"lz4", "-l", "-q"},
}

// archive makes one by GNU cpio, in a directory that make fills.
func archive(tb testing.TB, c cpio.Compression, files map[string]string) []byte {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			tb.Fatal(err)
		}
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(to, p); err != nil {
				tb.Fatal(err)
			}
		} else if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	isotest.Tool(tb, "cpio")
	pack := packers[c]
	isotest.Tool(tb, pack[0])
	out, err := exec.CommandContext(tb.Context(), "sh", "-c", "cd "+dir+" && find . | LC_ALL=C sort | cpio -o -H newc --quiet | "+strings.Join(pack, " ")).Output()
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// source is bytes as a Source.
type source struct{ *bytes.Reader }

func (source) Name() string { return "test" }

func open(tb testing.TB, b []byte) *cpio.Initrd {
	tb.Helper()
	i, err := cpio.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

// text is the content of a file.
func text(tb testing.TB, i *cpio.Initrd, name string) string {
	tb.Helper()
	e, err := i.Find(name)
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	if err := i.Copy(&b, e); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// TestReadsAll: every compression, alone and behind the plain archive of microcode, with
// other archives in front of and behind it.
func TestReadsAll(t *testing.T) {
	early := archive(t, cpio.None, map[string]string{"kernel/x86/microcode/GenuineIntel.bin": "code"})
	for c := range packers {
		main := archive(t, c, map[string]string{"init": "#!/bin/sh\n", "etc/conf": strings.Repeat("conf ", 5000), "lib": "-> usr/lib", "usr/lib/a": "a"})
		for _, in := range [][]byte{main, append(bytes.Clone(early), main...)} {
			i := open(t, in)
			if got := i.Archives[len(i.Archives)-1].Compression; got != c {
				t.Errorf("%s: read as %s", c, got)
			}
			if got := text(t, i, "/etc/conf"); got != strings.Repeat("conf ", 5000) {
				t.Errorf("%s: /etc/conf is %d bytes", c, len(got))
			}
			if got := text(t, i, "lib/a"); got != "a" {
				t.Errorf("%s: /lib/a is %q", c, got)
			}
			if _, err := i.Find("/none"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: /none: %v", c, err)
			}
		}
	}
}

// TestSeveral: streams of which the end is known may stand anywhere; what is later wins.
func TestSeveral(t *testing.T) {
	var in []byte
	kinds := []cpio.Compression{cpio.Gzip, cpio.XZ, cpio.Zstd, cpio.None, cpio.Gzip, cpio.Zstd, cpio.XZ}
	for n, c := range kinds {
		in = append(in, archive(t, c, map[string]string{"same": fmt.Sprint("same", n), fmt.Sprint("own", n): fmt.Sprint(n)})...)
		in = append(in, make([]byte, n*3)...)
		for len(in)%4 > 0 {
			in = append(in, 0)
		}
	}
	i := open(t, in)
	if len(i.Archives) != len(kinds) {
		t.Fatalf("%d archives: %+v", len(i.Archives), i.Archives)
	}
	if got := text(t, i, "same"); got != "same6" {
		t.Errorf("the last one does not win: %s", got)
	}
	for n := range kinds {
		if got := text(t, i, fmt.Sprint("own", n)); got != fmt.Sprint(n) {
			t.Errorf("own%d: %q", n, got)
		}
	}
}

// add returns the initrd with files added.
func add(tb testing.TB, in []byte, files ...cpio.File) ([]byte, error) {
	tb.Helper()
	m, err := open(tb, in).Add(source{bytes.NewReader(in)}, 0, files)
	if err != nil {
		return nil, err
	}
	out := make([]byte, m.Size())
	if _, err := m.ReadAt(out, 0); err != nil {
		tb.Fatal(err)
	}
	return out, nil
}

func file(name, content string) cpio.File {
	return cpio.File{Name: name, Mode: cpio.ModeReg | 0o644, ModTime: time.Unix(1700000000, 0), Source: source{bytes.NewReader([]byte(content))}}
}

// TestAdd: the bytes that were there stay, links on the way are followed, missing
// parents made, and GNU cpio reads what was added.
func TestAdd(t *testing.T) {
	for c := range packers {
		in := archive(t, c, map[string]string{"init": "x", "etc/conf": "old", "lib": "-> usr/lib", "usr/lib/a": "a", "odd": "1"})
		out, err := add(t, in, file("/preseed.cfg", "d-i x"), file("/lib/new/b", "b"), cpio.File{Name: "/s", Mode: cpio.ModeLink | 0o777, Link: "init"},
			cpio.File{Name: "/lib", Mode: cpio.ModeDir | 0o700})
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		i := open(t, out)
		for name, want := range map[string]string{"preseed.cfg": "d-i x", "usr/lib/new/b": "b", "s": "x", "lib/a": "a", "etc/conf": "old"} {
			if got := text(t, i, name); got != want {
				t.Errorf("%s: %s is %q", c, name, got)
			}
		}
		for _, e := range i.Entries() {
			if e.Name == "lib" && !e.IsLink() {
				t.Errorf("%s: the link lib was replaced", c)
			}
		}
		if !bytes.Contains(out, in) {
			t.Errorf("%s: the initrd's own bytes changed", c)
		}
		own := i.Archives[len(i.Archives)-1]
		if bytes.HasPrefix(out, in) {
			if own.Off%4 != 0 {
				t.Errorf("%s: the new archive is at %d", c, own.Off)
			}
		} else if own = i.Archives[0]; c != cpio.LZ4 && c != cpio.LZMA && c != cpio.Bzip2 {
			t.Errorf("%s: the new archive is not behind the others", c)
		}
		cmd := exec.CommandContext(t.Context(), "cpio", "-it", "--quiet")
		cmd.Stdin = bytes.NewReader(out[own.Off : own.Off+own.Len])
		list, err := cmd.Output()
		if want := "preseed.cfg\nusr/lib/new\nusr/lib/new/b\ns\n"; err != nil || string(list) != want {
			t.Errorf("%s: cpio lists %q (%v)", c, list, err)
		}
	}
}

func TestAddReplaces(t *testing.T) {
	files := map[string]string{"etc/conf": "old", "d/x": "x"}
	out, err := add(t, archive(t, cpio.Zstd, files), file("etc/conf", "new"))
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, open(t, out), "etc/conf"); got != "new" {
		t.Errorf("etc/conf is %q", got)
	}
	for c, want := range map[cpio.Compression]error{cpio.LZ4: cpio.ErrBehind, cpio.Gzip: nil} {
		if _, err := add(t, archive(t, c, files), file("etc/conf", "new")); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", c, err, want)
		}
	}
	for name, want := range map[string]error{"d": cpio.ErrIsDir, "etc/conf/x": cpio.ErrNotDir, "TRAILER!!!": fs.ErrInvalid} {
		if _, err := add(t, archive(t, cpio.None, files), file(name, "new")); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// TestHostile: errors, in no time and with little memory.
func TestHostile(t *testing.T) {
	good := archive(t, cpio.None, map[string]string{"a": "b", "loop": "-> loop"})
	big := append([]byte("070701"), bytes.Repeat([]byte("f"), 104)...)
	window := archive(t, cpio.XZ, map[string]string{"a": "b"})
	window[12+4] = 40 // a dictionary of 4 GiB
	for name, in := range map[string][]byte{
		"empty": nil, "zeros": make([]byte, 5000), "text": []byte("hello, world"), "cut": good[:200], "sizes": big,
		"gzip head": []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00"), "window": window, "lzo": []byte("\x89LZO\x00\r\n\x1a\n"),
		"cut xz": archive(t, cpio.XZ, map[string]string{"a": "b"})[:40], "cut zstd": archive(t, cpio.Zstd, map[string]string{"a": "b"})[:30],
	} {
		if i, err := cpio.Open(bytes.NewReader(in), int64(len(in))); err == nil {
			t.Errorf("%s: %+v", name, i.Archives)
		} else if len(err.Error()) < 10 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(t, good).Find("loop"); err == nil {
		t.Error("a link to itself was found")
	}
	if _, err := add(t, good, file("loop/x", "")); !errors.Is(err, cpio.ErrLimit) {
		t.Errorf("a file below a link to itself: %v", err)
	}
}

// TestAddToDamaged: an initrd that opens, with an archive added, opens again, wherever it is
// cut or has another bit: nothing that was taken for whole swallows what follows. Every place
// under ISOLAYER_SOAK, else every fourth, and the last ones.
func TestAddToDamaged(t *testing.T) {
	for c := range packers {
		good := archive(t, c, map[string]string{"init": "x", "lib": "-> usr/lib", "usr/lib/a": "a"})
		for k := range good {
			if os.Getenv("ISOLAYER_SOAK") == "" && k%4 != 0 && k < len(good)-30 {
				continue
			}
			readsAgain(t, fmt.Sprintf("%s cut at %d", c, k), good[:k])
			in := bytes.Clone(good)
			in[k] ^= 1 << (k % 8)
			readsAgain(t, fmt.Sprintf("%s with another bit in byte %d", c, k), in)
		}
	}
}

// readsAgain adds a file to an initrd, if it is one, and opens it again.
func readsAgain(t *testing.T, what string, in []byte) {
	t.Helper()
	i, err := cpio.Open(bytes.NewReader(in), int64(len(in)))
	if err != nil {
		return
	}
	m, err := i.Add(source{bytes.NewReader(in)}, 0, []cpio.File{file("isolayer/added", "content")})
	if err != nil {
		return
	}
	out := make([]byte, m.Size())
	if _, err := m.ReadAt(out, 0); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	again, err := cpio.Open(bytes.NewReader(out), m.Size())
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if got := text(t, again, "isolayer/added"); got != "content" {
		t.Fatalf("%s: the added file is %q", what, got)
	}
}

func FuzzOpen(f *testing.F) {
	for c := range packers {
		f.Add(archive(f, c, map[string]string{"init": "x", "lib": "-> usr/lib", "usr/lib/a": "a"}))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		i, err := cpio.Open(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			return
		}
		var total int64
		for _, e := range i.Entries() {
			if total += e.Size; e.IsRegular() && total < 1<<20 {
				if err := i.Copy(&bytes.Buffer{}, e); err != nil {
					t.Fatalf("%s was listed: %v", e.Name, err)
				}
			}
		}
		readsAgain(t, "this", in)
	})
}

var _ extent.Source = source{}

// counted is a reader that counts what is read of it.
type counted struct {
	io.ReaderAt
	n int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// TestReadsOnce: to open an initrd takes one pass over it, also where only unpacking says
// where archives end, and what was kept is not unpacked again.
func TestReadsOnce(t *testing.T) {
	big := make([]byte, 700<<10)
	rand.NewChaCha8([32]byte{1}).Read(big)
	early := archive(t, cpio.None, map[string]string{"early": "early"})
	last := archive(t, cpio.Gzip, map[string]string{"last": string(big)})
	for c := range packers {
		in := append(bytes.Clone(early), archive(t, c, map[string]string{"etc/conf": "conf", "big": string(big)})...)
		if c == cpio.Gzip || c == cpio.XZ || c == cpio.Zstd { // others end with the initrd
			in = append(in, last...)
		}
		var heard bytes.Buffer
		r := &counted{ReaderAt: bytes.NewReader(in)}
		i, err := cpio.Options{Keep: func(e *cpio.Entry) bool { return e.Name == "etc/conf" }, Hear: &heard}.Open(r, int64(len(in)))
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		// The headers of zstd's blocks are read beforehand: 3 bytes of 128 KiB.
		if most := int64(len(in)) + 4<<10; r.n > most {
			t.Errorf("%s: %d bytes read of %d", c, r.n, len(in))
		}
		if !bytes.Equal(heard.Bytes(), in) {
			t.Errorf("%s: %d bytes heard of %d", c, heard.Len(), len(in))
		}
		r.n = 0
		if got := text(t, i, "etc/conf"); got != "conf" || r.n > 0 {
			t.Errorf("%s: kept %q, %d bytes read for it", c, got, r.n)
		}
		if got := text(t, i, "big"); got != string(big) || r.n > int64(len(in))+1<<20 {
			t.Errorf("%s: %d bytes read of %d for one file", c, r.n, len(in))
		}
	}
}
