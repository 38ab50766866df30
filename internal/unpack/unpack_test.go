package unpack_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/unpack"
)

var when = time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)

// node makes a node: a directory of children, a file of content, or a link if the name has
// an arrow in it.
func node(name string, content any) *tree.Node {
	n := &tree.Node{Name: name, Attr: tree.Attr{Mode: iso9660.ModeRegular | 0o644, ModTime: when}}
	switch c := content.(type) {
	case []*tree.Node:
		n.Mode, n.Children = iso9660.ModeDir|0o755, c
		for _, x := range c {
			x.Parent = n
		}
	case string:
		n.Source = memory{strings.NewReader(c)}
	case uint32:
		n.Mode = c
	}
	if at, to, ok := strings.Cut(name, " -> "); ok {
		n.Name, n.Mode, n.Link, n.Source = at, iso9660.ModeSymlink|0o777, to, nil
	}
	return n
}

func dir(children ...*tree.Node) []*tree.Node { return children }

type memory struct{ *strings.Reader }

func (memory) Name() string { return "memory" }

func open(n *tree.Node) (io.ReaderAt, int64, error) { return n.Source, n.Source.Size(), nil }

// put unpacks a tree into a directory.
func put(t *testing.T, to string, top *tree.Node, o unpack.Options) (*unpack.Dir, error) {
	t.Helper()
	if o.Open == nil {
		o.Open = open
	}
	d, err := unpack.Open(t.Context(), to, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := d.Tree(top, "."); err != nil {
		return d, err
	}
	return d, d.Finish()
}

// listing is what is below a directory: names, and content or targets.
func listing(t *testing.T, top string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == top {
			return err
		}
		line := strings.TrimPrefix(p, top+string(filepath.Separator))
		switch {
		case d.IsDir():
			line += "/"
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " -> " + to
		default:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += ": " + string(b)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func needUnix(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("links and modes are Unix's")
	}
}

// outside makes a directory beside that which is unpacked into, and fails the test if
// anything in it changes.
func outside(t *testing.T) (outside, inside string) {
	t.Helper()
	top := t.TempDir()
	outside, inside = filepath.Join(top, "outside"), filepath.Join(top, "inside")
	for _, d := range []string{outside, filepath.Join(outside, "d"), inside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "f"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if got := listing(t, outside); !slices.Equal(got, []string{"d/", "f: old"}) {
			t.Errorf("outside of the directory there is %q", got)
		}
		if info, err := os.Stat(filepath.Join(outside, "f")); err != nil || info.Mode().Perm() != 0o644 || info.ModTime().Equal(when) {
			t.Errorf("the file outside of the directory: %v, %v", info, err)
		}
	})
	return outside, inside
}

// TestTree: everything is there with its content, times and, where they are asked for,
// modes; also in directories that forbid writing.
func TestTree(t *testing.T) {
	needUnix(t)
	to := filepath.Join(t.TempDir(), "new", "deep")
	shut := node("shut", dir(node("f", "in"), node("l -> ../shut/f", nil)))
	shut.Mode = iso9660.ModeDir | 0o555
	script := node("run", "#!")
	script.Mode = iso9660.ModeRegular | 0o4711
	hidden := node("hidden", "no")
	hidden.Hidden = true
	if _, err := put(t, to, node("", dir(shut, script, node("empty", ""), node("lost -> /nowhere", nil), hidden)), unpack.Options{
		Mode: func(m uint32) fs.FileMode { return iso9660.FileMode(m) &^ fs.ModeType },
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"empty: ", "lost -> /nowhere", "run: #!", "shut/", "shut/f: in", "shut/l -> ../shut/f"}
	if diff := cmp.Diff(want, listing(t, to)); diff != "" {
		t.Error(diff)
	}
	for p, mode := range map[string]fs.FileMode{"shut": fs.ModeDir | 0o555, "run": fs.ModeSetuid | 0o711, "lost": 0, "shut/l": 0, "empty": 0o644, "": fs.ModeDir | 0o755} {
		info, err := os.Lstat(filepath.Join(to, p))
		if err != nil || mode != 0 && info.Mode() != mode || !info.ModTime().Equal(when) {
			t.Errorf("%s: %v %v, %v", p, info.Mode(), info.ModTime(), err)
		}
	}
	if err := os.Chmod(filepath.Join(to, "shut"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestModeOfUmask: without modes that are asked for, what can be started stays so, setuid
// bits go, and the owner may write.
func TestModeOfUmask(t *testing.T) {
	needUnix(t)
	to := t.TempDir()
	if err := os.WriteFile(filepath.Join(to, "probe"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	probe, err := os.Stat(filepath.Join(to, "probe"))
	if err != nil {
		t.Fatal(err)
	}
	script, locked := node("run", "#!"), node("locked", "x")
	script.Mode, locked.Mode = iso9660.ModeRegular|0o4755, iso9660.ModeRegular
	if _, err := put(t, to, node("", dir(script, locked)), unpack.Options{}); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]fs.FileMode{"run": probe.Mode() | 0o111, "locked": probe.Mode() | 0o600} {
		if info, err := os.Stat(filepath.Join(to, p)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v", p, info.Mode(), want)
		}
	}
}

// TestBadNames: names that lead elsewhere are refused, and named.
func TestBadNames(t *testing.T) {
	_, in := outside(t)
	for _, name := range []string{"..", ".", "", "a/b", "../outside/f", "/", "nul\x00", "../../x"} {
		_, err := put(t, in, node("", dir(node("d", dir(node(name, "evil"))))), unpack.Options{})
		if !errors.Is(err, unpack.ErrUnusable) || !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "/d/") {
			t.Errorf("%q: %v", name, err)
		}
	}
	d, err := unpack.Open(t.Context(), in, unpack.Options{Open: open})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, to := range []string{"../outside/f", "/etc/x", "a//b", "a/../../outside/f", ""} {
		for what, err := range map[string]error{
			"Create": d.Create(to, strings.NewReader("evil"), when),
			"Mkdir":  d.Mkdir(to),
			"Tree":   d.Tree(node("f", "evil"), to),
			"FS":     d.FS(fstest.MapFS{"f": {Data: []byte("evil")}}, "f", to),
		} {
			if !errors.Is(err, unpack.ErrUnusable) {
				t.Errorf("%s(%q): %v", what, to, err)
			}
		}
	}
}

// TestLinksAreNotFollowed: neither those that the tree has nor those that are there
// already.
func TestLinksAreNotFollowed(t *testing.T) {
	needUnix(t)
	for what, top := range map[string]*tree.Node{
		"a link, then a directory of its name": node("", dir(node("x -> ../outside", nil), node("x", dir(node("f", "evil"))))),
		"a directory, then a link of its name": node("", dir(node("x", dir(node("g", "fine"))), node("x -> ../outside", nil), node("x", dir(node("f", "evil"))))),
		"a link, then a file of its name":      node("", dir(node("x -> ../outside/f", nil), node("x", "evil"))),
		"a link to a link":                     node("", dir(node("x -> y", nil), node("y -> ../outside", nil), node("x", dir(node("f", "evil"))))),
	} {
		_, in := outside(t)
		d, err := put(t, in, top, unpack.Options{})
		if err != nil || len(d.Twice) == 0 {
			t.Errorf("%s: %q, %v", what, d.Twice, err)
		}
	}
	for _, at := range []string{"x", "x/y", "f"} {
		out, in := outside(t)
		if dir := filepath.Dir(at); dir != "." {
			if err := os.Mkdir(filepath.Join(in, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		to := map[bool]string{true: filepath.Join(out, "f"), false: out}[at == "f"]
		if err := os.Symlink(to, filepath.Join(in, at)); err != nil {
			t.Fatal(err)
		}
		top := node("", dir(node("x", dir(node("f", "new"), node("y", dir(node("f", "new"))))), node("f", "new")))
		if _, err := put(t, in, top, unpack.Options{}); err != nil {
			t.Errorf("a link at %s: %v", at, err)
		}
		if got := listing(t, in); !slices.Equal(got, []string{"f: new", "x/", "x/f: new", "x/y/", "x/y/f: new"}) {
			t.Errorf("a link at %s: %q", at, got)
		}
	}
}

// TestSwappedWhileWriting: somebody replaces a directory by a link while files are written
// into it.
func TestSwappedWhileWriting(t *testing.T) {
	needUnix(t)
	out, in := outside(t)
	swap := func(n *tree.Node) (io.ReaderAt, int64, error) {
		if n.Name == "f" {
			if err := os.Rename(filepath.Join(in, "x"), filepath.Join(in, "was")); err != nil {
				t.Error(err)
			}
			if err := os.Symlink(out, filepath.Join(in, "x")); err != nil {
				t.Error(err)
			}
		}
		return open(n)
	}
	top := node("", dir(node("x", dir(node("a", "fine"), node("f", "evil"), node("d", dir(node("f2", "evil")))))))
	if _, err := put(t, in, top, unpack.Options{Open: swap, Owner: os.Geteuid() == 0}); err == nil {
		t.Error("nothing was refused")
	}
}

// stored says that the base has a file in pieces of 3 bytes at those blocks.
func stored(n *tree.Node, at ...iso9660.LBA) {
	var list []iso9660.Raw
	for _, l := range at {
		r := make(iso9660.Record, 34)
		r[0], r[32] = 34, 1
		r.SetExtent(l, 3)
		list = append(list, iso9660.Raw{Record: r})
	}
	n.Found[iso9660.Primary] = iso9660.EntryOf(list...)
}

// TestSameContentTwice: names of one file are hard links; files that only share content,
// or a part of it, are files of their own.
func TestSameContentTwice(t *testing.T) {
	needUnix(t)
	to := t.TempDir()
	a, b, older, longer := node("a", nil), node("b", nil), node("older", nil), node("longer", nil)
	for _, n := range []*tree.Node{a, b, older} {
		stored(n, 100)
	}
	older.ModTime = when.Add(-time.Hour)
	stored(longer, 100, 200)
	var wrote int64
	_, err := put(t, to, node("", dir(a, older, longer, b)), unpack.Options{Wrote: func(n int64) { wrote += n }, Open: func(n *tree.Node) (io.ReaderAt, int64, error) {
		text := "one"
		if n == longer {
			text = "onetwo"
		}
		return strings.NewReader(text), int64(len(text)), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := listing(t, to), []string{"a: one", "b: one", "longer: onetwo", "older: one"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	same := func(x, y string) bool {
		i, err := os.Stat(filepath.Join(to, x))
		j, err2 := os.Stat(filepath.Join(to, y))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		return os.SameFile(i, j)
	}
	if !same("a", "b") || same("a", "older") || same("a", "longer") {
		t.Error(same("a", "b"), same("a", "older"), same("a", "longer"))
	}
	if wrote != 3+3+3+6 {
		t.Error(wrote)
	}
}

// TestNoHardLinks: where no link can be made, names of one file are copies, and named; those
// that follow are linked to the newest.
func TestNoHardLinks(t *testing.T) {
	needUnix(t)
	to := t.TempDir()
	list := []*tree.Node{node("a", nil), node("between", "x"), node("b", nil), node("c", nil)}
	for _, n := range list {
		if n.Source == nil {
			stored(n, 100)
		}
	}
	d, err := put(t, to, node("", list), unpack.Options{Open: func(n *tree.Node) (io.ReaderAt, int64, error) {
		if n.Name == "between" { // what would be linked to is gone
			if err := os.Remove(filepath.Join(to, "a")); err != nil {
				t.Error(err)
			}
		}
		return strings.NewReader("one"), 3, nil
	}})
	if got := listing(t, to); err != nil || !slices.Equal(got, []string{"b: one", "between: one", "c: one"}) || !slices.Equal(d.Copied, []string{"/b"}) {
		t.Errorf("%q, copied %q, %v", got, d.Copied, err)
	}
	b, err := os.Stat(filepath.Join(to, "b"))
	c, err2 := os.Stat(filepath.Join(to, "c"))
	if err != nil || err2 != nil || !os.SameFile(b, c) {
		t.Error("the next name is not linked to the copy", err, err2)
	}
}

// TestFinish: links, and the modes of directories that nobody could go into, come last.
func TestFinish(t *testing.T) {
	needUnix(t)
	to := t.TempDir()
	deep := node("deep", dir(node("f", "x")))
	closed := node("closed", dir(deep, node("l -> f", nil)))
	closed.Mode, deep.Mode = iso9660.ModeDir, iso9660.ModeDir|0o100
	d, err := unpack.Open(t.Context(), to, unpack.Options{Open: open, Mode: func(m uint32) fs.FileMode { return fs.FileMode(m & 0o777) }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Tree(node("", dir(closed)), "."); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, to); !slices.Equal(got, []string{"closed/", "closed/deep/", "closed/deep/f: x"}) {
		t.Errorf("before, there is %q", got)
	}
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(to, "closed"))
	if err != nil || info.Mode().Perm() != 0 {
		t.Fatal(info.Mode(), err)
	}
	if err := os.Chmod(filepath.Join(to, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(filepath.Join(to, "closed", "l")); err != nil || to != "f" {
		t.Error(to, err)
	}
	if info, err := os.Stat(filepath.Join(to, "closed", "deep")); err != nil || info.Mode().Perm() != 0o100 {
		t.Error(info.Mode(), err)
	}
	if err := os.Chmod(filepath.Join(to, "closed", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestTwiceNamed: what was written is not written again, and of two of one name the first
// one counts.
func TestTwiceNamed(t *testing.T) {
	to := t.TempDir()
	x := node("x", dir(node("f", "one"), node("f", "two")))
	node("", dir(x))
	d, err := unpack.Open(t.Context(), to, unpack.Options{Open: open})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 2 {
		if err := d.Tree(x, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, to); !slices.Equal(got, []string{"x/", "x/f: one"}) || !slices.Equal(d.Twice, []string{"/x/f"}) {
		t.Errorf("%q, twice %q", got, d.Twice)
	}
}

// TestKeep: what is not wanted is left out with all below it; a device is skipped, and
// named.
func TestKeep(t *testing.T) {
	to := t.TempDir()
	top := node("", dir(node("no", dir(node("f", "x"))), node("yes", dir(node("f", "x"), node("fifo", uint32(iso9660.ModeFIFO))))))
	d, err := put(t, to, top, unpack.Options{Keep: func(n *tree.Node) bool { return n.Name != "no" }})
	if got := listing(t, to); err != nil || !slices.Equal(got, []string{"yes/", "yes/f: x"}) || !slices.Equal(d.Skipped, []string{"/yes/fifo"}) {
		t.Errorf("%q, skipped %q, %v", got, d.Skipped, err)
	}
}

// failing is content that ends with an error, or too early.
type failing struct{ err error }

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off > 0 {
		return 0, f.err
	}
	return copy(p, "some"), f.err
}

// TestFilesAreWhole: of a file that could not be read, or not to its end, nothing stays;
// nor of one that is being written when the context ends.
func TestFilesAreWhole(t *testing.T) {
	for _, want := range []error{iso9660.ErrUnsupported, io.ErrUnexpectedEOF} {
		to := t.TempDir()
		end := want
		if want == io.ErrUnexpectedEOF {
			end = io.EOF
		}
		_, err := put(t, to, node("", dir(node("a", "fine"), node("f", "x"))), unpack.Options{Open: func(n *tree.Node) (io.ReaderAt, int64, error) {
			if n.Name == "a" {
				return open(n)
			}
			return failing{end}, 1 << 40, nil
		}})
		if got := listing(t, to); !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "/f: ") || !slices.Equal(got, []string{"a: fine"}) {
			t.Errorf("%v: %q", err, got)
		}
	}
	to := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	d, err := unpack.Open(ctx, to, unpack.Options{
		Open: func(*tree.Node) (io.ReaderAt, int64, error) {
			return bytes.NewReader(make([]byte, 64<<20)), 64 << 20, nil
		},
		Wrote: func(int64) { cancel() },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Tree(node("", dir(node("f", "x"), node("g", "x"))), "."); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := listing(t, to); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// TestReplaces: what is there already makes way, but for a directory with something in it.
func TestReplaces(t *testing.T) {
	to := t.TempDir()
	if _, err := put(t, to, node("", dir(node("a", "old"), node("d", dir(node("keep", "x"))), node("e", "old"))), unpack.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, to, node("", dir(node("a", "new"), node("d", dir(node("f", "new"))), node("e", dir()))), unpack.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, to); !slices.Equal(got, []string{"a: new", "d/", "d/f: new", "d/keep: x", "e/"}) {
		t.Errorf("%q", got)
	}
	if _, err := put(t, to, node("", dir(node("d", "file"))), unpack.Options{}); err == nil {
		t.Error("a directory with something in it made way")
	}
}

// TestFS: what is in another file system goes the same way.
func TestFS(t *testing.T) {
	to := t.TempDir()
	src := fstest.MapFS{"EFI/BOOT/a.efi": {Data: []byte("a"), ModTime: when}, "EFI/x": {Data: []byte("x")}}
	d, err := unpack.Open(t.Context(), to, unpack.Options{Open: open})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for top, at := range map[string]string{"EFI": "EFI", ".": "all", "EFI/BOOT/a.efi": "one.efi"} {
		if err := d.FS(src, top, at); err != nil {
			t.Error(err)
		}
	}
	want := []string{"EFI/", "EFI/BOOT/", "EFI/BOOT/a.efi: a", "EFI/x: x", "all/", "all/EFI/", "all/EFI/BOOT/", "all/EFI/BOOT/a.efi: a", "all/EFI/x: x", "one.efi: a"}
	if diff := cmp.Diff(want, listing(t, to)); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(filepath.Join(to, "one.efi")); err != nil || !info.ModTime().Equal(when) {
		t.Error(info, err)
	}
	if err := d.FS(src, "gone", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
