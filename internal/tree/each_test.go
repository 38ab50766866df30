package tree

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// shownAll is what listings show below a node, in the order of Each.
func shownAll(out []string, dir *Node) []string {
	for _, n := range Shown(dir) {
		out = append(out, told(n))
		out = shownAll(out, n)
	}
	return out
}

func told(n *Node) string {
	return fmt.Sprintln(n.Path(), n.Attr, n.In, n.Size(), n.ContentSize(), n.Content())
}

// TestEach: an image that is read a directory at a time has the nodes that its tree has.
func TestEach(t *testing.T) {
	files := map[string]string{
		"readme.txt": "read me", "dir/file": "file", "dir/sub/deep": "deep", "dir/sub/": "", "link": "->dir/file", "empty": "", "full/": "",
		strings.Repeat("long ", 40): "name", "to": "->" + strings.Repeat("far/", 80),
	}
	for _, args := range [][]string{{"-r"}, {"-r", "-J"}, {"-J"}, {"-r", "-J", "-hide-joliet", "*/sub", "-hide", "*/empty"}, {}} {
		b := makeImage(t, files, "genisoimage", append(append([]string{"-quiet", "-f", "-o", "IMAGE"}, args...), "TREE")...)
		want := shownAll(nil, open(t, b).Root)
		img, err := iso9660.Open(bytes.NewReader(b), int64(len(b)), iso9660.Options{})
		if err != nil {
			t.Fatal(err)
		}
		visited := 0
		s, err := iso9660.NewStream(img, func(_ iso9660.Hierarchy, dir *iso9660.Entry) { visited += len(dir.Children()) })
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		err = Each(s, func(n *Node) error { got = append(got, told(n)); return nil })
		if err != nil || strings.Join(got, "") != strings.Join(want, "") || visited < len(want) {
			t.Errorf("%v: %v\n%s\n, want\n%s", args, err, got, want)
		}
		stop := errors.New("stop")
		if err := Each(s, func(*Node) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v: %v, want what the caller said", args, err)
		}
	}
}

// TestEachRelocated: where directories are stored elsewhere than they are shown, nothing can
// be said before all is read.
func TestEachRelocated(t *testing.T) {
	b := makeImage(t, map[string]string{"1/2/3/4/5/6/7/8/9/deep": "deep"}, "genisoimage", "-quiet", "-r", "-o", "IMAGE", "TREE")
	img, err := iso9660.Open(bytes.NewReader(b), int64(len(b)), iso9660.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := iso9660.NewStream(img, func(iso9660.Hierarchy, *iso9660.Entry) {}); !errors.Is(err, iso9660.ErrRelocated) {
		t.Error(err)
	}
}

// BenchmarkMerge merges and copies the tree of an image of 2000 files.
func BenchmarkMerge(b *testing.B) {
	files := map[string]string{}
	for i := range 2000 {
		files[fmt.Sprintf("dir%d/small-file-%04d.txt", i%7, i)] = fmt.Sprint(i)
	}
	image := makeImage(b, files, "genisoimage", "-quiet", "-r", "-J", "-o", "IMAGE", "TREE")
	img, err := iso9660.Open(bytes.NewReader(image), int64(len(image)), iso9660.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("merge", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := FromImage(img); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("copy", func(b *testing.B) {
		tr, err := FromImage(img)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			tr.Copy()
		}
	})
}

// TestLookupsAtOnce: a tree that nobody edits may be searched by several at once.
func TestLookupsAtOnce(t *testing.T) {
	tr := rockTree(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, p := range []string{"/dir/sub/deep", "/DIR/SUB/DEEP", "/readme.txt", "/nothing", "/README.TXT"} {
				_, err := tr.Lookup(p)
				if found := tr.Find(p); err == nil && found == nil {
					t.Errorf("%s is not found in any case", p)
				}
			}
		})
	}
	wg.Wait()
}
