package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/tree"
)

// TestOddDirectories: writers such as go-diskfs give directories the length of their
// records, no whole blocks. Whatever is edited, all that names a directory agrees.
func TestOddDirectories(t *testing.T) {
	base := open(t, shortenDirectories(t, isofs(t, files{"a": "a\n", "d/b": "b\n", "d/sub/deep": "deep\n", "e/c": "c\n"}, "-r", "-J")))
	mode := uint32(0o700)
	var many []tree.Edit
	for i := range 60 {
		many = append(many, put(fmt.Sprintf("/d/sub/a file of a long name %d", i), 0))
	}
	edits := map[string][]tree.Edit{
		"file added":          {put("/d/n", 3000)},
		"file in the root":    {put("/n", 3000)},
		"more than a block":   many,
		"file removed":        {tree.Remove{Path: "/e/c"}},
		"directory moved":     {tree.Rename{Old: "/d/sub", New: "/e/sub"}},
		"directory removed":   {tree.Remove{Path: "/d/sub"}},
		"directory renamed":   {tree.Rename{Old: "/d", New: "/a-longer-name"}},
		"attributes":          {tree.SetAttr{Path: "/d/sub", Mode: &mode}},
		"directory added":     {mkdir("/d/new/new")},
		"content made larger": {put("/a", 5000)},
		"nothing":             nil,
	}
	for name, list := range edits {
		for how, o := range map[string]Options{"keep": {}, "compact": {Compact: true}, "end": {AtEnd: true}, "in place": {InPlace: true}} {
			_, b := plan(t, base, o, list...)
			if name == "nothing" && how != "compact" && string(b) != string(base.Source.(*content).b) {
				t.Errorf("%s: without an edit, the image is another one", how)
			}
			if how != "keep" && how != "end" {
				continue
			}
			if s := isotest.BsdtarErrors(t, isofile(t, b)); s != "" {
				t.Errorf("%s, %s: bsdtar: %s", name, how, s)
			}
		}
	}
	r, err := Plan(base, edited(t, base), Options{Fields: map[iso9660.Field]string{iso9660.FieldVolume: "OTHER"}})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, r.Map.Size())
	if _, err := r.Map.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	for _, f := range isotest.DirectoryFaults(t, b) {
		t.Errorf("volume label: %s", f)
	}
}

// shortenDirectories gives each directory of an image the length of its records.
func shortenDirectories(t *testing.T, b []byte) []byte {
	t.Helper()
	for _, desc := range []int{16 * blockSize, 17 * blockSize} {
		used := map[int]int{}
		queue := []int{desc + 156}
		var all []int
		for len(queue) > 0 {
			at := queue[0]
			queue = queue[1:]
			all = append(all, at)
			off := int(binary.LittleEndian.Uint32(b[at+2:])) * blockSize
			if used[off] > 0 {
				continue
			}
			p := off
			for i := 0; b[p] != 0; i++ {
				if b[p+25]&2 != 0 && i > 1 {
					queue = append(queue, p)
				} else if i < 2 {
					all = append(all, p)
				}
				p += int(b[p])
			}
			used[off] = p - off
		}
		for _, at := range all {
			both32(b[at+10:], uint32(used[int(binary.LittleEndian.Uint32(b[at+2:]))*blockSize]))
		}
	}
	if faults := isotest.DirectoryFaults(t, b); len(faults) > 0 {
		t.Fatal(strings.Join(faults, "\n"))
	}
	return b
}

// TestLinkCounts: a new directory counts wherever the count of its parent stands, also in
// the record of a directory of which nothing else changes.
func TestLinkCounts(t *testing.T) {
	base := open(t, isofs(t, files{"a/b/c/": "", "x/": ""}, "-R"))
	for _, c := range []struct {
		edit tree.Edit
		want map[string]uint32
	}{
		{mkdir("/a/b/new"), map[string]uint32{"/": 4, "/a": 3, "/a/b": 4, "/a/b/c": 2, "/x": 2}},
		{mkdir("/new"), map[string]uint32{"/": 5, "/a": 3, "/new": 2}},
		{tree.Remove{Path: "/a/b/c"}, map[string]uint32{"/": 4, "/a": 3, "/a/b": 2}},
		{tree.Rename{Old: "/a/b", New: "/x/b"}, map[string]uint32{"/": 4, "/a": 2, "/x": 3, "/x/b": 3}},
		{mkdir("/n/m"), map[string]uint32{"/": 5, "/n": 3, "/n/m": 2}},
	} {
		_, b := plan(t, base, Options{}, c.edit)
		root, err := open(t, b).Image.Tree(iso9660.Primary)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]uint32{}
		for e := range root.Walk() {
			counts[e.Path()] = e.Attributes().Nlink
			if up := e.Parent; e.IsDir() && up != e && linksIn(e.Up()) != up.Own().Nlink {
				t.Errorf("%v: %s: %d links of its parent, which has %d", c.edit, e.Path(), linksIn(e.Up()), up.Own().Nlink)
			}
			if e.Attributes().Nlink != e.Own().Nlink {
				t.Errorf("%v: %s: %d links in its record, %d in its own", c.edit, e.Path(), e.Attributes().Nlink, e.Own().Nlink)
			}
		}
		for path, n := range c.want {
			if counts[path] != n {
				t.Errorf("%v: %s has %d links, want %d", c.edit, path, counts[path], n)
			}
		}
	}
}

// linksIn is the count in the PX entry of a record (RRIP 1.12, 4.1.1).
func linksIn(raw *iso9660.Raw) uint32 {
	b := raw.Record.SystemUse()
	return binary.LittleEndian.Uint32(b[bytes.Index(b, []byte("PX"))+12:])
}

// TestSerials: names of one new content are one file: they have one serial number, which no
// other file has, and count each other (RRIP 1.12, 4.1.1).
func TestSerials(t *testing.T) {
	base := open(t, isofs(t, sample(), "-r", "--hardlinks"))
	src := put("/d/one", 10)
	two := tree.Put{Path: "/e/two", Attr: src.Attr, Source: src.Source}
	_, b := plan(t, base, Options{}, src, two, put("/alone", 10), mkdir("/dir"))
	root, err := open(t, b).Image.Tree(iso9660.Primary)
	if err != nil {
		t.Fatal(err)
	}
	names := map[uint32][]string{}
	for e := range root.Walk() {
		names[e.Attributes().Serial] = append(names[e.Attributes().Serial], e.Path())
		if e.Path() == "/e/two" && e.Attributes().Nlink != 2 || e.Path() == "/d/one" && e.Attributes().Nlink != 2 || e.Path() == "/alone" && e.Attributes().Nlink != 1 {
			t.Errorf("%s has %d links", e.Path(), e.Attributes().Nlink)
		}
	}
	for n, list := range names {
		if slices.Sort(list); len(list) > 1 && strings.Join(list, " ") != "/d/one /e/two" || n == 0 {
			t.Errorf("serial number %d: %v", n, list)
		}
	}
}

// TestForksInOrder: an associated file stands in front of its file (ECMA-119 9.3), whatever
// becomes of that.
func TestForksInOrder(t *testing.T) {
	b := isofs(t, files{"d/a": "fork", "d/b": "file", "e/x": "x"})
	isotest.Associate(t, b, "A.;1", "B.;1")
	base := open(t, b)
	for _, edit := range []tree.Edit{put("/D/NEW", 1), tree.Rename{Old: "/D/B", New: "/D/M"}, tree.Rename{Old: "/D/B", New: "/E"}, mkdir("/D/Z")} {
		_, b := plan(t, base, Options{}, edit)
		root, err := open(t, b).Image.Tree(iso9660.Primary)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for dir := range physical(root) {
			for i, e := range dir.Children() {
				if !e.Associated() {
					continue
				}
				found = true
				if i+1 == len(dir.Children()) || !bytes.Equal(dir.Children()[i+1].Record().ID(), e.Record().ID()) || dir.Children()[i+1].Associated() || e.Size() != 4 {
					t.Errorf("%v: the fork is number %d of %s", edit, i, dir.Path())
				}
			}
		}
		if !found {
			t.Errorf("%v: the fork is gone", edit)
		}
	}
}

// TestMisled: libarchive takes a directory of the root by its name for the one that stores
// relocated ones. With a new one of that name, nothing is stored elsewhere than it is shown.
func TestMisled(t *testing.T) {
	base := open(t, isofs(t, deepSample(), "-R"))
	for path, flat := range map[string]bool{"/.rr_moved/new": true, "/rr_moves/new": false, "/z/.rr_moved": false} {
		edits := []tree.Edit{put(path, 3)}
		if path[1] == 'z' {
			edits = append([]tree.Edit{tree.Remove{Path: "/z"}}, edits...)
		}
		_, b := plan(t, base, Options{}, edits...)
		root, err := open(t, b).Image.Tree(iso9660.Primary)
		if err != nil {
			t.Fatal(err)
		}
		stored := 0
		for e := range physical(root) {
			if e.Holder() != nil {
				stored++
			}
		}
		if (stored == 0) != flat {
			t.Errorf("%s: %d directories are stored elsewhere", path, stored)
		}
		if got := isotest.Run(t, "bsdtar", "-xOf", isofile(t, b), "1/2/3/4/5/6/7/8/9/deep"); string(got) != "deep" {
			t.Errorf("%s: bsdtar reads %q", path, got)
		}
	}
}
