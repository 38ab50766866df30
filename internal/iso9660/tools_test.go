package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	_ "github.com/isolayer/isolayer/internal/isotest" // sets locale and umask
)

// makeImage runs a tool that writes the image named by "IMAGE" in its
// arguments, from the tree named by "TREE", and opens it.
func makeImage(t *testing.T, tree, tool string, args ...string) *Image {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "image.iso")
	for i := range args {
		args[i] = strings.NewReplacer("IMAGE", name, "TREE", tree).Replace(args[i])
	}
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, out)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	img, err := Open(f, info.Size(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// sample makes a small tree: files of a few bytes, directories, links.
func sample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{
		"readme.txt": "read me", "empty": "", "dir/one": "1", "dir/sub/two.tar.gz": "22", "dir/a-b": "ab",
		"a/b/c/d/e/f/g/h/i/deep": "deep", strings.Repeat("long", 20) + ".ext": "long", "Größe": "ä",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "dir/one", "dir/up": "../readme.txt", "dirlink": "dir/sub", "root": "/dir/../empty"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// all is what TestFS expects of an image that keeps names.
var all = []string{"readme.txt", "empty", "dir/one", "dir/sub/two.tar.gz", "dir/a-b", "a/b/c/d/e/f/g/h/i/deep", "Größe"}

func TestFS(t *testing.T) {
	for _, c := range []struct {
		name, tool string
		args       []string
		h          Hierarchy
		want       []string
	}{
		{"Rock Ridge of genisoimage", "genisoimage", []string{"-quiet", "-input-charset", "utf-8", "-R", "-J", "-o", "IMAGE", "TREE"}, Primary, append(all, "link", "dirlink", "dir/up")},
		{"Rock Ridge of xorriso", "xorriso", []string{"-outdev", "IMAGE", "-map", "TREE", "/"}, Primary, append(all, "link", "dirlink", "dir/up")},
		{"Joliet of genisoimage", "genisoimage", []string{"-quiet", "-input-charset", "utf-8", "-R", "-J", "-joliet-long", "-o", "IMAGE", "TREE"}, Joliet, all},
		{"Joliet of xorriso", "xorriso", []string{"-outdev", "IMAGE", "-joliet", "on", "-map", "TREE", "/"}, Joliet, all},
		{"plain", "genisoimage", []string{"-quiet", "-input-charset", "utf-8", "-D", "-o", "IMAGE", "TREE"}, Primary, []string{"README.TXT", "DIR/ONE", "DIR/SUB/TWO.TGZ", "A/B/C/D/E/F/G/H/I/DEEP"}},
		{"level 4", "xorriso", []string{"-as", "mkisofs", "-quiet", "-iso-level", "4", "-o", "IMAGE", "TREE"}, Enhanced, all[:6]},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := makeImage(t, sample(t), c.tool, c.args...)
			fsys, err := img.FSOf(c.h)
			if err != nil {
				t.Fatal(err)
			}
			if err := fstest.TestFS(fsys, c.want...); err != nil {
				t.Error(err)
			}
			for name, want := range map[string]string{"dir/sub/two.tar.gz": "22", "a/b/c/d/e/f/g/h/i/deep": "deep"} {
				if strings.HasPrefix(c.name, "plain") {
					name = strings.ToUpper(strings.Replace(name, ".tar.gz", ".tgz", 1))
				}
				if b, err := fs.ReadFile(fsys, name); string(b) != want || err != nil {
					t.Errorf("%s: %q, %v", name, b, err)
				}
			}
			if w := img.Warnings(); len(w) > 0 && !strings.Contains(strings.Join(w, ""), `"." and ".."`) {
				t.Error(w)
			}
		})
	}
}

func TestFSLinks(t *testing.T) {
	m := newImage()
	m.Root(inDir(),
		file("L.;1", 0, 0, px(ModeSymlink|0o777), nm("up"), entry("SL", []byte{0}, []byte{4, 0}, []byte{0, 3}, []byte("dir"))),
		file("M.;1", 0, 0, px(ModeSymlink|0o777), nm("loop"), sl(0, 0, "loop")),
		file("N.;1", 0, 0, px(ModeSymlink|0o777), nm("gone"), sl(0, 0, "nothing")),
		file("O.;1", 0, 0, px(ModeSymlink|0o777), nm("abs"), entry("SL", []byte{0}, []byte{8, 0}, []byte{2, 0}, []byte{0, 5}, []byte("a.txt"))),
		file("P.;1", 0, 0, px(ModeFIFO|0o777), nm("bad\xff")),
	)
	img, err := open(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := img.FS()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"up": "../dir", "loop": "loop", "abs": "/./a.txt"} {
		if got, err := fsys.ReadLink(name); got != want || err != nil {
			t.Errorf("%s leads to %q, %v", name, got, err)
		}
	}
	for name, ok := range map[string]bool{"up/b": true, "abs": true, "loop": false, "gone": false, "a.txt/b": false, "../a.txt": false, "/a.txt": false, "": false, `bad\xff`: true} {
		if _, err := fsys.Stat(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if info, err := fsys.Lstat("gone"); err != nil || info.Mode() != fs.ModeSymlink|0o777 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := fsys.ReadLink("a.txt"); err == nil {
		t.Error("a.txt is no link")
	}
	if _, err := fsys.ReadDir("a.txt"); err == nil {
		t.Error("a.txt is no directory")
	}
}

// Linux shows Joliet where a Rock Ridge tree has no entry.
func TestPreferred(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(image)
		want Hierarchy
	}{
		{"Rock Ridge", func(image) {}, Primary},
		{"Rock Ridge is empty", func(m image) { m.Dir(atRoot, atRoot, sp(0), nil) }, Joliet},
		{"no Rock Ridge", func(m image) { m.PlainRoot(file("X.;1", 0, 0)) }, Joliet},
		{"neither", func(m image) { m.Descriptor(atSVD, TypeTerminator, 0); m.PlainRoot() }, Primary},
	} {
		m := newImage()
		c.make(m)
		img, err := open(m, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if h, err := img.Preferred(); h != c.want || err != nil {
			t.Errorf("%s: %v, %v", c.name, h, err)
		}
	}
}

// The path tables of a tool, and ours of the same directories, are the same bytes.
func TestPathTableOfTools(t *testing.T) {
	for _, c := range []struct {
		tool string
		args []string
	}{
		{"genisoimage", []string{"-quiet", "-input-charset", "utf-8", "-D", "-J", "-o", "IMAGE", "TREE"}},
		{"xorriso", []string{"-outdev", "IMAGE", "-joliet", "on", "-map", "TREE", "/"}},
	} {
		t.Run(c.tool, func(t *testing.T) {
			img := makeImage(t, sample(t), c.tool, c.args...)
			for _, h := range []Hierarchy{Primary, Joliet} {
				root, err := img.Tree(h)
				if err != nil {
					t.Fatal(err)
				}
				dirs, order := []PathTableDir{{[]byte{0}, root.Record().LBA(), 0}}, []*Entry{root}
				for i := 0; i < len(order); i++ { // tools list directories in the order of the standard
					for _, e := range order[i].Children() {
						if r := e.Record(); e.IsDir() {
							dirs, order = append(dirs, PathTableDir{r.ID(), r.LBA(), i}), append(order, e)
						}
					}
				}
				d := img.Descriptor(h)
				l, _, be, _ := d.PathTables()
				for at, order := range map[LBA]binary.AppendByteOrder{l: binary.LittleEndian, be: binary.BigEndian} {
					want := make([]byte, d.PathTableSize())
					if _, err := img.r.ReadAt(want, at.Offset()); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, PathTable(dirs, order)); diff != "" {
						t.Errorf("%v: %s", h, diff)
					}
				}
			}
		})
	}
}

func TestZisofs(t *testing.T) {
	dir := t.TempDir()
	var want bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&want, "line %d\n", i)
		if i == 9000 {
			want.Write(make([]byte, 200_000)) // holes: blocks that are not stored
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "z"), want.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	img := makeImage(t, dir, "xorriso", "-outdev", "IMAGE", "-map", "TREE", "/", "-set_filter_r", "--zisofs", "/")
	fsys, err := img.FS()
	if err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Open("z")
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil || info.Size() != int64(want.Len()) {
		t.Fatal(info, err)
	}
	if e := info.Sys().(*Entry); e.Attributes().Compressed == nil || e.Size() >= info.Size() {
		t.Errorf("stored in %d bytes, %v", e.Size(), e.Attributes().Compressed)
	}
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes of %d, %v", len(got), want.Len(), err)
	}
	part := make([]byte, 70_000)
	if n, err := f.(io.ReaderAt).ReadAt(part, 100_000); err != nil || !bytes.Equal(part[:n], want.Bytes()[100_000:170_000]) {
		t.Errorf("part: %d, %v", n, err)
	}
}

func TestMultiExtent(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 4 GiB of zeros")
	}
	const size = 1<<32 + 12345
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("the end"), size-7); err != nil {
		t.Fatal(err)
	}
	img := makeImage(t, dir, "xorriso", "-as", "mkisofs", "-quiet", "-iso-level", "3", "-J", "-o", "IMAGE", "TREE")
	for _, h := range []Hierarchy{Primary, Joliet} {
		root, err := img.Tree(h)
		if err != nil {
			t.Fatal(err)
		}
		e := root.Children()[0]
		got := e.Sections()
		if diff := cmp.Diff(SplitSections(got[0].LBA, size), got); diff != "" || e.Size() != size {
			t.Errorf("%v: %d bytes, %s", h, e.Size(), diff)
		}
		r, _, err := img.Open(e)
		if err != nil {
			t.Fatal(err)
		}
		end := make([]byte, 20_000) // on both sides of the border of the sections
		if n, err := r.ReadAt(end, size-20_000); n != 20_000 || err != nil || string(end[19_993:]) != "the end" {
			t.Errorf("%v: %d, %v, %q", h, n, err, end[19_990:])
		}
	}
}

// Sessions as xorriso keeps them in a file: block 16 describes the newest.
func TestSessionsOfTools(t *testing.T) {
	dir := sample(t)
	if _, err := exec.LookPath("xorriso"); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	name := filepath.Join(t.TempDir(), "image.iso")
	for i, args := range [][]string{
		{"-outdev", name, "-volid", "FIRST", "-map", dir + "/readme.txt", "/one"},
		{"-dev", name, "-volid", "SECOND", "-map", dir + "/empty", "/two"},
	} {
		if out, err := exec.Command("xorriso", args...).CombinedOutput(); err != nil {
			t.Fatalf("session %d: %v\n%s", i+1, err, out)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for session, want := range []string{"[one two]", "[one]", "[one two]"} {
		img, err := open(image(b), Options{Session: session})
		if err != nil {
			t.Fatal(err)
		}
		list := img.Sessions()
		if len(list) != 2 || list[0].VolumeID != "FIRST" || list[1].VolumeID != "SECOND" || list[0].Active || !list[1].Active {
			t.Fatal(list)
		}
		fsys, err := img.FS()
		if err != nil {
			t.Fatal(err)
		}
		entries, err := fsys.ReadDir(".")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if got := fmt.Sprint(names); got != want {
			t.Errorf("session %d has %s, want %s", session, got, want)
		}
	}
}
