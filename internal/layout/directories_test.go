package layout

import (
	"encoding/binary"
	"fmt"
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
