package master

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

var when = time.Unix(1_600_000_000, 0).UTC()

// memory is a source of so many bytes.
func memory(name string, n int) extent.Source {
	return &generated{name: name, data: bytes.Repeat([]byte{'x'}, n)}
}

func newTree(has ...iso9660.Hierarchy) *tree.Tree {
	t := &tree.Tree{RockRidge: true, Epoch: when}
	for _, h := range has {
		t.Has[h] = true
	}
	t.Root = &tree.Node{In: t.Has, Attr: tree.Attr{Mode: iso9660.ModeDir | 0o755, ModTime: when}}
	return t
}

func put(t testing.TB, tr *tree.Tree, p string, mode uint32, src extent.Source) *tree.Node {
	t.Helper()
	if err := tr.Do(tree.Put{Path: p, Attr: tree.Attr{Mode: mode, ModTime: when, Link: "to/" + p}, Source: src}); err != nil {
		t.Fatal(err)
	}
	n, err := tr.Lookup(p)
	if err != nil {
		t.Fatal(err)
	}
	if !n.IsLink() {
		n.Link = ""
	}
	return n
}

// TestGolden: what a small image is made of, and where.
func TestGolden(t *testing.T) {
	tr := newTree(iso9660.Primary, iso9660.Joliet)
	loader := put(t, tr, "/boot/loader", iso9660.ModeRegular|0o644, &fake{"loader", 5000})
	put(t, tr, "/a.txt", iso9660.ModeRegular|0o644, &fake{"a.txt", 10})
	put(t, tr, "/big", iso9660.ModeRegular|0o644, &fake{"big", 70_000})
	put(t, tr, "/empty", iso9660.ModeRegular|0o644, &fake{"empty", 0})
	put(t, tr, "/link", iso9660.ModeSymlink|0o777, nil)
	res, err := Plan(tr, Options{Padding: 5, Boot: &Boot{
		Catalog: put(t, tr, "/boot/boot.cat", iso9660.ModeRegular|0o444, nil),
		Entries: []Entry{{EntrySpec: boot.EntrySpec{InfoTable: true}, Node: loader}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range res.Map.Extents() {
		line := fmt.Sprintf("%d +%d %s", e.Off/iso9660.BlockSize, e.Len, e.Kind)
		if e.Src != nil {
			line += " " + e.Src.Name()
		}
		lines = append(lines, line)
	}
	want := `0 +32768 bytes
16 +2048 bytes
17 +2048 bytes
18 +2048 bytes
19 +2048 bytes
20 +2048 bytes
21 +2048 bytes
22 +4096 bytes
24 +2048 bytes
25 +2048 bytes
26 +2048 bytes
27 +2048 bytes
28 +2048 bytes
29 +2048 bytes
30 +8 copy loader
30 +56 bytes
30 +4936 copy loader
32 +1144 zero
33 +10 copy a.txt
33 +2038 zero
34 +70000 copy big
68 +11920 zero`
	if d := cmp.Diff(want, strings.Join(lines, "\n")); d != "" {
		t.Error(d)
	}
}

// fake is content that only has a name and a size.
type fake struct {
	name string
	size int64
}

func (f *fake) Name() string { return f.name }
func (f *fake) Size() int64  { return f.size }
func (f *fake) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = byte(off + int64(i))
	}
	return len(p), nil
}

// TestRandom lays random trees out and reads them back.
func TestRandom(t *testing.T) {
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		tr := newTree(iso9660.Primary, iso9660.Joliet)
		tr.Has[iso9660.Enhanced] = r.IntN(4) == 0
		var shared extent.Source
		for range r.IntN(120) {
			depth := 1 + r.IntN(12)
			p := ""
			for range depth {
				p += "/" + strings.Repeat(string(rune('a'+r.IntN(4))), 1+r.IntN(3))
			}
			mode, src := uint32(iso9660.ModeRegular|0o640), memory(p, r.IntN(5000))
			switch r.IntN(6) {
			case 0:
				mode, src = iso9660.ModeSymlink|0o777, nil
			case 1:
				mode, src = iso9660.ModeDir|0o700, nil
			case 2:
				if shared == nil {
					shared = src
				}
				src = shared
			}
			_ = tr.Do(tree.Put{Path: p, Attr: tree.Attr{Mode: mode, ModTime: when, Link: strings.TrimLeft(p, "/")}, Source: src}) // may be in the way of another
		}
		want := dump(t, tr)
		o := Options{Padding: int64(r.IntN(3)), Naming: iso9660.NamingRules{Length: []int{0, 31}[r.IntN(2)]}}
		if r.IntN(2) == 0 {
			o.Relocate = "rr_moved"
		}
		if r.IntN(3) == 0 {
			o.Boot = &Boot{Spec: boot.Spec{PartitionOffset: 16}}
		}
		res, err := Plan(tr, o)
		if err != nil {
			t.Fatal(seed, err)
		}
		for _, start := range []int64{0, 16}[:1+min(1, int(partition(o)))] {
			off := start * iso9660.BlockSize
			view := &window{res.Map, off}
			img, err := iso9660.Open(view, res.Map.Size()-off, iso9660.Options{})
			if err != nil {
				t.Fatal(seed, err)
			}
			got, err := tree.FromImage(img)
			if err != nil {
				t.Fatal(seed, err)
			}
			if d := cmp.Diff(want, dump(t, got)); d != "" {
				t.Errorf("seed %d, from block %d: %s", seed, start, d)
			}
		}
	}
}

func partition(o Options) int64 {
	if o.Boot == nil {
		return 0
	}
	return o.Boot.PartitionOffset
}

// window is an image from an offset on, as readers of a partition see it.
type window struct {
	m   *extent.Map
	off int64
}

func (w *window) ReadAt(p []byte, off int64) (int, error) { return w.m.ReadAt(p, w.off+off) }

// dump lists a tree.
func dump(t *testing.T, tr *tree.Tree) string {
	t.Helper()
	var b strings.Builder
	if err := tr.Walk(func(n *tree.Node) error {
		link := ""
		if n.IsLink() {
			link = n.Link
		}
		fmt.Fprintf(&b, "%s %o %d %s %v\n", n.Path(), n.Mode, n.Size(), link, n.ModTime.Equal(when))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines) // directory order is that of identifiers
	return strings.Join(lines, "\n")
}
