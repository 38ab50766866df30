package tree

import (
	"bytes"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// forkTree has d/a as the associated file of d/b, in all hierarchies
// that an image has.
func forkTree(t *testing.T, args ...string) *Tree {
	t.Helper()
	b := makeImage(t, map[string]string{"d/a": "fork", "d/b": "file", "other/x": "x"}, "genisoimage", append(args, "-quiet", "-o", "IMAGE", "TREE")...)
	isotest.Associate(t, b, "A.;1", "B.;1")
	if strings.Contains(strings.Join(args, " "), "-J") {
		isotest.Associate(t, b, "\x00a", "\x00b")
	}
	return open(t, bytes.ReplaceAll(b, []byte("NM\x06\x01\x00a"), []byte("NM\x06\x01\x00b"))) // Rock Ridge: both have one name
}

// shape says where forks are: FILE+FORK for each file that has some.
func shape(t *testing.T, tr *Tree) string {
	t.Helper()
	var out []string
	for n := range everything(tr.Root) {
		for _, f := range n.Forks() {
			if f.Of() != n || f.Parent != n.Parent || !f.Hidden || f.IsDir() {
				t.Errorf("%s: its fork is of %v, in %v", n.Path(), f.Of(), f.Parent)
			}
			out = append(out, n.Path()+"+"+f.Name)
		}
		if n.Hidden && n.Of() != nil && !contains(n.Parent.Children, n.Of()) {
			t.Errorf("a fork of %s is left behind in %s", n.Of().Path(), n.Parent.Path())
		}
	}
	return strings.Join(out, " ")
}

func contains(list []*Node, n *Node) bool {
	for _, c := range list {
		if c == n {
			return true
		}
	}
	return false
}

// everything yields all nodes, hidden ones too.
func everything(root *Node) func(func(*Node) bool) {
	return func(yield func(*Node) bool) {
		stack := []*Node{root}
		for len(stack) > 0 {
			n := stack[len(stack)-1]
			stack = append(stack[:len(stack)-1], n.Children...)
			if !yield(n) {
				return
			}
		}
	}
}

// TestForks: an associated file (ECMA-119 9.1.6) is a node that no listing shows, one for all
// hierarchies; it goes with its file, takes its name, directory and attributes, and is gone
// with the content that it belonged to.
func TestForks(t *testing.T) {
	for _, args := range [][]string{nil, {"-R"}, {"-R", "-J"}} {
		tr := forkTree(t, args...)
		upper := func(p string) string {
			if tr.RockRidge {
				return p
			}
			return strings.ToUpper(p)
		}
		file, other := upper("/d/b"), upper("/other")
		n, err := tr.Lookup(file)
		if err != nil || len(n.Forks()) != 1 || strings.Contains(dump(t, tr), upper("/d/a")) {
			t.Fatalf("%v: %v, forks %v\n%s", args, err, n.Forks(), dump(t, tr))
		}
		if list, err := (Files{Tree: tr}).List(upper("/d")); err != nil || len(list) != 1 {
			t.Errorf("%v: %q, %v", args, list, err)
		}
		if f := n.Forks()[0]; f.In != n.In || f.Size() != 4 {
			t.Errorf("%v: the fork is in %v, its file in %v", args, f.In, n.In)
		}
		for name, c := range map[string]struct {
			edit  Edit
			want  string
			nodes int // fewer than before
			lost  bool
		}{
			"renamed":           {Rename{file, upper("/d/c")}, upper("/d/c") + "+" + upper("c"), 0, false},
			"moved":             {Rename{file, other}, other + file[2:] + "+" + upper("b"), 0, false},
			"removed":           {Remove{file}, "", 2, false},
			"directory removed": {Remove{upper("/d")}, "", 3, false},
			"emptied":           {Opaque{upper("/d")}, "", 2, false},
			"replaced":          {put(file, 9), "", 1, true},
		} {
			tr := forkTree(t, args...)
			before := count(tr)
			if err := tr.Do(c.edit); err != nil {
				t.Fatal(err)
			}
			if got := shape(t, tr); got != c.want || before-count(tr) != c.nodes {
				t.Errorf("%v, %s: %q, %d nodes fewer; want %q, %d", args, name, got, before-count(tr), c.want, c.nodes)
			}
			lost := false
			for n := range everything(tr.Root) {
				lost = lost || n.LostForks()
			}
			if lost != c.lost {
				t.Errorf("%v, %s: a fork is lost: %v", args, name, lost)
			}
		}
	}
	tr := forkTree(t, "-R")
	mode := uint32(0o600)
	if err := tr.Apply(Layer{SetAttr{Path: "/d/b", Mode: &mode}}); err != nil {
		t.Fatal(err)
	}
	if n, _ := tr.Lookup("/d/b"); n.Forks()[0].Mode&0o777 != 0o600 || !n.Forks()[0].Altered() {
		t.Errorf("the fork has mode %o", n.Forks()[0].Mode)
	}
	if err := tr.Apply(Layer{put("/d/b", 1), put("/d/b", 2)}); err != nil {
		t.Fatal(err)
	}
	if n, _ := tr.Lookup("/d/b"); !n.LostForks() {
		t.Error("a second new content makes one forget that a fork is lost")
	}
}

func count(tr *Tree) (n int) {
	for range everything(tr.Root) {
		n++
	}
	return n
}

// TestCopy: a copy has the same nodes, forks of its own, and shares nothing that edits
// change.
func TestCopy(t *testing.T) {
	for _, tr := range []*Tree{forkTree(t, "-R", "-J"), rockTree(t)} {
		x, y := tr.Copy(), tr.Copy()
		if a, b := dump(t, tr), dump(t, x); a != b || shape(t, tr) != shape(t, x) || count(tr) != count(x) || tr.Epoch != x.Epoch || tr.Has != x.Has || tr.RockRidge != x.RockRidge {
			t.Errorf("%s\n%s\nis copied as\n%s\n%s", a, shape(t, tr), b, shape(t, x))
		}
		of := map[*Node]bool{}
		for n := range everything(tr.Root) {
			of[n] = true
		}
		for n := range everything(x.Root) {
			if of[n] || n.Of() != nil && of[n.Of()] || n.Parent != nil && of[n.Parent] || n.Moved() || n.Replaced() {
				t.Errorf("%s is shared, or not as it was found", n.Path())
			}
		}
		before := dump(t, y)
		var edits Layer
		for _, c := range x.Root.Children {
			if !c.Hidden {
				edits = append(edits, Rename{c.Path(), "/sub" + c.Path()})
			}
		}
		if err := x.Apply(append(edits, put("/new", 1))); err != nil {
			t.Fatal(err)
		}
		if dump(t, tr) != before || dump(t, y) != before || shape(t, tr) != shape(t, y) {
			t.Error("an edit of a copy changes another one")
		}
		for _, c := range x.Root.Children {
			if c.Name != "new" && !c.Hidden && c.Name != "sub" {
				t.Errorf("%s was moved", c.Name)
			}
		}
	}
}

// TestRelocated: the directory that stores relocated ones is hidden, kept when the root is
// emptied, and shown once something else is put into it.
func TestRelocated(t *testing.T) {
	deep := func() *Tree {
		return open(t, makeImage(t, map[string]string{"1/2/3/4/5/6/7/8/9/deep": "deep"}, "genisoimage", "-quiet", "-R", "-o", "IMAGE", "TREE"))
	}
	tr := deep()
	stores := func(tr *Tree) (n int) {
		for _, c := range tr.Root.Children {
			if c.Name == "rr_moved" && c.Hidden {
				n++
			}
		}
		return n
	}
	if got := dump(t, tr); strings.Contains(got, "rr_moved") || !strings.Contains(got, "/8/9/deep ") || stores(tr) != 1 {
		t.Fatalf("%s, %d stores", got, stores(tr))
	}
	if err := tr.Do(Opaque{"/"}); err != nil || stores(tr) != 1 || strings.Count(dump(t, tr), "\n") != 1 {
		t.Errorf("emptied: %v, %d stores\n%s", err, stores(tr), dump(t, tr))
	}
	tr = deep()
	if err := tr.Do(put("/rr_moved/new", 1)); err != nil || stores(tr) != 0 || !strings.Contains(dump(t, tr), "/rr_moved 4") {
		t.Errorf("shown: %v, %d stores\n%s", err, stores(tr), dump(t, tr))
	}
	lookups(t, tr, map[string]string{"/rr_moved/new": "/rr_moved/new"})
}

// TestDamagedNames: who removes a name removes all that have it; the first is what it finds.
func TestDamagedNames(t *testing.T) {
	b := makeImage(t, map[string]string{"d/a": "1", "d/b": "22", "d/c": "3"}, "genisoimage", "-quiet", "-R", "-o", "IMAGE", "TREE")
	at := bytes.Index(b, []byte("NM\x06\x01\x00b"))
	if at < 0 {
		t.Fatal("no Rock Ridge name b")
	}
	b[at+5] = 'a' // RRIP 1.12, 4.1.4: twice the same name
	tr := open(t, b)
	if n, err := tr.Lookup("/d/a"); err != nil || n.Size() != 1 {
		t.Errorf("%v, %v", n, err)
	}
	if err := tr.Do(Remove{"/d/a"}); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, tr); strings.Contains(got, "/d/a") || !strings.Contains(got, "/d/c") {
		t.Error(got)
	}
}
