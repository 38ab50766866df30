package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
)

// TestFind: boot loaders find names in any case, an exact one first, and follow up to 40
// links, as Linux does.
func TestFind(t *testing.T) {
	tr := rockTree(t)
	edits := Layer{put("/Dir/file", 1), symlink("/abs", "/dir/sub"), symlink("/dir/sub/up", "../../readme.txt"), symlink("/loop", "loop"), symlink("/dir/sub/rel", "deep"), symlink("/dir/sub/root", "/dir/file"), symlink("/out", "/../../readme.txt")}
	for i := range 41 {
		edits = append(edits, symlink(fmt.Sprintf("/l%d", i), fmt.Sprintf("l%d", i+1)))
	}
	if err := tr.Apply(append(edits, symlink("/l41", "readme.txt"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/dir/file": "/dir/file", "DIR/FILE": "/dir/file", "/Dir/file": "/Dir/file", "/README.txt": "/readme.txt",
		"dirlink/SUB/deep": "/dir/sub/deep", "/dirlink": "/dir", "/abs/deep": "/dir/sub/deep", "/dir/sub/rel": "/dir/sub/deep", "/dir/sub/root": "/dir/file", "/dir/sub/up": "/readme.txt", "/abs/up": "/readme.txt",
		"/dir/../dir/./sub//deep": "/dir/sub/deep", "/../readme.txt": "/readme.txt", "/out": "/readme.txt", "": "/", "/": "/", "..": "/",
		"/nothing": "", "/dir/file/x": "", "/loop": "", "/l2": "/readme.txt", "/l1": "",
	} {
		got := ""
		if n := tr.Find(name); n != nil {
			got = n.Path()
		}
		if got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// TestFiles: what loaders read of a tree, from the base and from edits.
func TestFiles(t *testing.T) {
	tr := rockTree(t)
	if err := tr.Apply(Layer{put("/new", 5), mkdir("/empty")}); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	f := Files{Tree: tr, Base: func(n *Node) (io.ReaderAt, int64, error) {
		switch n.Name {
		case "deep":
			return nil, 0, boom
		case "verylongname.txt":
			return strings.NewReader("lo"), n.Size(), nil
		}
		return strings.NewReader("read me"), n.Size(), nil
	}}
	for name, want := range map[string]string{"README.TXT": "readme.txt false", "/": ". true", "/Dir": "dir true", "/dirlink/SUB": "dir/sub true"} {
		found, dir, err := f.Lookup(name)
		if got := fmt.Sprint(found, " ", dir); got != want || err != nil {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, _, err := f.Lookup("/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if got, err := f.List("/DIR"); fmt.Sprint(got) != "[file sub]" || err != nil {
		t.Error(got, err)
	}
	if _, err := f.List("/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, c := range []struct {
		name  string
		limit int64
		want  []byte
		err   error
	}{
		{"readme.txt", 7, []byte("read me"), nil},
		{"readme.txt", 6, nil, nil},
		{"new", 5, make([]byte, 5), nil},
		{"new", 4, nil, nil},
		{"dir", 100, nil, nil},
		{"nothing", 100, nil, nil},
		{"dir/sub/deep", 100, nil, boom},
		{"verylongname.txt", 100, nil, io.ErrUnexpectedEOF},
	} {
		got, err := f.Read(c.name, c.limit)
		if !bytes.Equal(got, c.want) || (got == nil) != (c.want == nil) || !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s, limit %d: %q, %v", c.name, c.limit, got, err)
		}
		r, size, err := f.At(c.name)
		switch c.name {
		case "dir", "nothing":
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", c.name, err)
			}
		case "dir/sub/deep":
			if !errors.Is(err, boom) {
				t.Errorf("%s: %v", c.name, err)
			}
		default:
			if n := tr.Find(c.name); err != nil || size != n.Size() || r == nil {
				t.Errorf("%s: %d bytes, %v", c.name, size, err)
			}
		}
	}
	if f.Identity("new") != any(tr.Find("new").Source) || f.Identity("readme.txt") == f.Identity("hardlink") || f.Identity("nothing") != nil || f.Identity("readme.txt") != f.Identity("README.TXT") || f.Identity("empty") != any(tr.Find("empty")) {
		t.Error("identities are not those of contents")
	}
}

// TestNear: a name that several have is not what was probably meant.
func TestNear(t *testing.T) {
	tr := rockTree(t)
	if err := tr.Apply(Layer{put("/d1/same", 1), put("/d2/same", 1), put("/d1/One", 1)}); err != nil {
		t.Fatal(err)
	}
	lookups(t, tr, map[string]string{"/x/y/same": "|", "/x/y/one": "|/d1/One", "/x/y/none": "|"})
	if tr.Exact("readme.txt") == nil || tr.Exact("README.TXT") != nil {
		t.Error("Exact minds no case, or finds nothing")
	}
}

// TestAttributes: directories made on the way have the time of the image; a new time is one,
// mode and owner are what they were; a file in place of a link is in every hierarchy; the
// sticky bits are bits of a mode.
func TestAttributes(t *testing.T) {
	tr := makeTree(t, "xorriso", "-as", "mkisofs", "-quiet", "-J", "-r", "-o", "IMAGE", "TREE")
	at := func(path string) *Node {
		n, err := tr.Lookup(path)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	old, sticky, uid := at("/dir/file").Attr, uint32(0o104755), uint32(9)
	if at("/link").In != [3]bool{true, false, false} || tr.Epoch.IsZero() {
		t.Fatal("a link of xorriso is in Joliet", tr.Epoch)
	}
	if err := tr.Apply(Layer{put("/n/m/f", 1), put("/link", 1), SetAttr{Path: "/dir/file", ModTime: &when}, SetAttr{Path: "/readme.txt", Mode: &sticky}, SetAttr{Path: "/dir", UID: &uid}, SetAttr{Path: "/directory_one", GID: &uid}}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/n", "/n/m"} {
		if n := at(p); !n.ModTime.Equal(tr.Epoch) || n.Mode != 0o40755 || !n.Moved() || !n.Replaced() {
			t.Errorf("%s: %v, %o", p, n.ModTime, n.Mode)
		}
	}
	if n := at("/link"); n.In != tr.Has || !n.IsRegular() {
		t.Errorf("a file in place of a link is in %v", n.In)
	}
	if n := at("/dir/file"); !n.ModTime.Equal(when) || n.Mode != old.Mode || n.UID != old.UID || !n.Redated() || !n.Altered() || n.Renamed() || n.Moved() {
		t.Errorf("%+v", n.Attr)
	}
	if n := at("/readme.txt"); n.Mode != 0o104755 || n.Redated() || !n.Altered() {
		t.Errorf("mode %o", n.Mode)
	}
	if n := at("/directory_one"); n.UID != 0 || n.GID != 9 {
		t.Errorf("owner %d:%d", n.UID, n.GID)
	}
	if n := at("/dir"); n.UID != 9 || n.GID != 0 || n.Replaced() {
		t.Errorf("owner %d:%d", n.UID, n.GID)
	}
	edits := tr.Edits()
	heard := 0
	tr.Note = func(Edit) { heard++ }
	if err := tr.Apply(Layer{put("/x", 1), Remove{"/x"}}); err != nil || tr.Edits() != edits+2 || heard != 2 {
		t.Errorf("%d edits, %d heard of, %v", tr.Edits()-edits, heard, err)
	}
}

// TestEpoch: the time of an image is its modification date, else that of its root.
func TestEpoch(t *testing.T) {
	b := makeImage(t, map[string]string{"a": ""}, "genisoimage", "-quiet", "-o", "IMAGE", "TREE")
	date := b[16*iso9660.BlockSize+830:][:17]
	copy(date, "2001020304050600\x00")
	if got, want := open(t, b).Epoch, time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC); !got.Equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
	copy(date, "0000000000000000\x00")
	if tr := open(t, b); !tr.Epoch.Equal(tr.Root.Found[iso9660.Primary].Own().Modified) && tr.Epoch.Year() < 2020 {
		t.Errorf("%v", tr.Epoch)
	}
}

// TestThreeHierarchies: a new name is in every hierarchy that the image has.
func TestThreeHierarchies(t *testing.T) {
	tr := makeTree(t, "xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-iso-level", "4", "-o", "IMAGE", "TREE")
	if err := tr.Apply(Layer{put("/n/new", 1)}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/readme.txt", "/n", "/n/new"} {
		if n, err := tr.Lookup(p); err != nil || n.In != [3]bool{true, true, true} {
			t.Errorf("%s: %v, %v", p, n, err)
		}
	}
}

// TestWithoutAttributes: a time is recorded without Rock Ridge, too; no case of a directory is
// in itself.
func TestWithoutAttributes(t *testing.T) {
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	tr := makeTree(t, "genisoimage", "-quiet", "-o", "IMAGE", "TREE")
	if err := tr.Do(SetAttr{Path: "/README.TXT", ModTime: &when}); err != nil {
		t.Error(err)
	}
	if err := tr.Do(Rename{"/DIR", "/dir/x"}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a directory moved into itself: %v", err)
	}
}

// TestPairing: entries of two hierarchies are one file by the name, else by where the content
// lies, else by the eight characters that every level of names keeps, if nothing else has
// them.
func TestPairing(t *testing.T) {
	files := map[string]string{"abcdefgh1": "", "other_directory/": "", "other_dirt/": "", "nine_chars/": "", "eightchr/": "", "one": "1", "twin_a": "", "twin_b": ""}
	tr := open(t, makeImage(t, files, "genisoimage", "-quiet", "-J", "-o", "IMAGE", "TREE"))
	got := dump(t, tr)
	for _, want := range []string{"/abcdefgh1 ", "/nine_chars ", "/eightchr ", "/one ", "/twin_a ", "/twin_b "} {
		line := ""
		for l := range strings.Lines(got) {
			if strings.HasPrefix(l, want) {
				line = l
			}
		}
		if !strings.HasSuffix(line, " p j\n") {
			t.Errorf("%s is %q in\n%s", want, line, got)
		}
	}
	// What two have says nothing of either.
	tr2 := open(t, makeImage(t, map[string]string{"abcdefgh1": "", "abcdefgh2": ""}, "genisoimage", "-quiet", "-J", "-hide", "abcdefgh1", "-o", "IMAGE", "TREE"))
	if got := dump(t, tr2); strings.Count(got, " p j\n") != 1 || strings.Count(got, "\n") != 4 {
		t.Error(got)
	}
	// Names that a directory has twice in both hierarchies are paired in their order.
	b := makeImage(t, map[string]string{"a": "", "b": "", "c": ""}, "genisoimage", "-quiet", "-R", "-J", "-o", "IMAGE", "TREE")
	for _, c := range []string{"b", "c"} {
		isotest.Associate(t, b, "\x00"+c, "\x00a")
		b = bytes.ReplaceAll(b, []byte("NM\x06\x01\x00"+c), []byte("NM\x06\x01\x00a"))
	}
	for i := range b { // not as an associated file, after all
		if i >= 33 && b[i-1] == 2 && b[i-1-7] == 4 && bytes.HasPrefix(b[i:], []byte("\x00a")) {
			b[i-1-7] = 0
		}
	}
	if got := dump(t, open(t, b)); strings.Count(got, "/a 100644 0 p j\n") != 3 {
		t.Error(got)
	}
	for name, want := range map[string]string{"abcdefgh": "ABCDEFGH", "abcdefghi": "ABCDEFGH", "a.b-ä": "A_B__", "Z9": "Z9", "z0": "Z0", "": ""} {
		if got := head(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if n, err := tr.Lookup("/one"); err != nil || n.Mode&0o7777 == 0 {
		t.Errorf("%v: mode %o", err, n.Mode)
	}
}
