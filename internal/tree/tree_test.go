package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
)

var (
	head64  = strings.Repeat("head", 16)
	empties = []string{"empty_first_file", "empty_second_file"}
)

// makeTree runs a tool on a sample of files and reads the image's tree.
func makeTree(t *testing.T, tool string, args ...string) *Tree {
	t.Helper()
	return open(t, makeImage(t, map[string]string{
		"readme.txt": "read me", "verylongname.txt": "long", "colon:and*star": "colon", "dir/file": "file", "dir/sub/deep": "deep",
		head64 + "_first.txt": "first", "directory_one/1": "1", "directory_two/2": "2",
		empties[0]: "", empties[1]: "",
		"link": "->dir/file", "dirlink": "->dir", "hardlink": "=readme.txt",
	}, tool, args...))
}

// makeImage runs a tool on files, by name their content: with "->" in front of it symbolic
// links, with "=" other names of a file, with a slash at the end of the name directories.
func makeImage(t testing.TB, files map[string]string, tool string, args ...string) []byte {
	t.Helper()
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image.iso")
	links := func(f func(string, string) error, mark string) error {
		for name, data := range files {
			if to, ok := strings.CutPrefix(data, mark); ok {
				if err := f(to, filepath.Join(dir, name)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for name, data := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil || strings.HasPrefix(data, "->") || strings.HasPrefix(data, "="):
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte(data), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	hard := func(to, name string) error { return os.Link(filepath.Join(dir, to), name) }
	if err := errors.Join(links(os.Symlink, "->"), links(hard, "=")); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.NewReplacer("IMAGE", image, "TREE", dir).Replace(args[i])
	}
	isotest.Run(t, tool, args...)
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open reads the tree of an image.
func open(t *testing.T, b []byte) *Tree {
	t.Helper()
	img, err := iso9660.Open(bytes.NewReader(b), int64(len(b)), iso9660.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := FromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// rockTree is a tree of Rock Ridge and Joliet.
func rockTree(t *testing.T) *Tree {
	t.Helper()
	return makeTree(t, "genisoimage", "-quiet", "-r", "-J", "-o", "IMAGE", "TREE")
}

// dump lists all nodes: path, mode, size, link, hierarchies, what changed.
func dump(t *testing.T, tr *Tree) string {
	t.Helper()
	var lines []string
	err := tr.Walk(func(n *Node) error {
		s := fmt.Sprintf("%s %o %d", n.Path(), n.Mode, n.Size())
		if n.IsLink() {
			s += " -> " + n.Link
		}
		for h, c := range "pje" {
			if n.In[h] {
				s += " " + string(c)
			}
		}
		for _, f := range []struct {
			name string
			is   bool
		}{{"replaced", n.Replaced()}, {"renamed", n.Renamed()}, {"altered", n.Altered()}, {"moved", n.Moved() && !n.Replaced()}} {
			if f.is {
				s += " " + f.name
			}
		}
		for _, c := range n.Children {
			if c.Parent != n {
				t.Errorf("%s is in %s, but does not know", c.Name, n.Path())
			}
		}
		lines = append(lines, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

func TestFromImage(t *testing.T) {
	sub := strings.NewReplacer("HEAD", head64)
	for _, c := range []struct {
		name, tool string
		args       []string
		want       string
	}{
		// Joliet cuts names after 64 characters and replaces ':' and '*', yet
		// each file is one node.
		{"Rock Ridge and Joliet", "genisoimage", []string{"-quiet", "-r", "-J", "-o", "IMAGE", "TREE"}, `/ 40555 0 p j
/colon:and*star 100444 5 p j
/dir 40555 0 p j
/dir/file 100444 4 p j
/dir/sub 40555 0 p j
/dir/sub/deep 100444 4 p j
/directory_one 40555 0 p j
/directory_one/1 100444 1 p j
/directory_two 40555 0 p j
/directory_two/2 100444 1 p j
/dirlink 120555 0 -> dir p j
/empty_first_file 100444 0 p j
/empty_second_file 100444 0 p j
/hardlink 100444 7 p j
/HEAD_first.txt 100444 5 p j
/link 120555 0 -> dir/file p j
/readme.txt 100444 7 p j
/verylongname.txt 100444 4 p j
`},
		// xorriso leaves links out of Joliet; hidden files are in one tree only.
		{"parts hidden", "xorriso", []string{"-as", "mkisofs", "-quiet", "-J", "-r", "-hide", "TREE/dir", "-hide-joliet", "TREE/directory_one", "-o", "IMAGE", "TREE"}, `/ 40755 0 p j
/colon:and*star 100444 5 p j
/dir 40555 0 j
/dir/file 100444 4 j
/dir/sub 40555 0 j
/dir/sub/deep 100444 4 j
/directory_one 40755 0 p
/directory_one/1 100444 1 p
/directory_two 40755 0 p j
/directory_two/2 100444 1 p j
/dirlink 120555 0 -> dir p
/empty_first_file 100444 0 p j
/empty_second_file 100444 0 p j
/hardlink 100444 7 p j
/HEAD_first.txt 100444 5 p j
/link 120555 0 -> dir/file p
/readme.txt 100444 7 p j
/verylongname.txt 100444 4 p j
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := makeTree(t, c.tool, c.args...)
			got := strings.ReplaceAll(dump(t, tr), "40755", "40555")
			if diff := cmp.Diff(strings.ReplaceAll(sub.Replace(c.want), "40755", "40555"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWithoutRockRidge(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		tr := makeTree(t, "genisoimage", "-quiet", "-o", "IMAGE", "TREE")
		if n, err := tr.Lookup("/dir/sub/deep"); err != nil || n.Name != "DEEP" || n.In != [3]bool{true, false, false} {
			t.Errorf("%v, %v", n, err)
		}
		if err := tr.Do(SetAttr{Path: "/DIR"}); !errors.Is(err, ErrNoAttr) {
			t.Errorf("SetAttr: %v", err)
		}
		if err := tr.Do(Put{Path: "/l", Attr: Attr{Mode: iso9660.ModeSymlink, Link: "x"}}); !errors.Is(err, ErrNoAttr) {
			t.Errorf("Put of a link: %v", err)
		}
	})
	t.Run("Joliet", func(t *testing.T) {
		tr := makeTree(t, "genisoimage", "-quiet", "-l", "-J", "-o", "IMAGE", "TREE")
		got := dump(t, tr)
		if tr.RockRidge || !strings.Contains(got, "/verylongname.txt 100444 4 p j\n") || !strings.Contains(got, "/dir/sub/deep 100444 4 p j\n") {
			t.Error(got)
		}
		// Names that differ behind the eighth character, without content to tell them apart.
		right := true
		for _, name := range append(empties, "directory_one", "directory_two") {
			n, err := tr.Lookup("/" + name)
			right = right && err == nil && n.In == [3]bool{true, true, false}
		}
		if !right {
			t.Error("such names are not one node in both hierarchies")
		}
	})
}

// content is a source of n bytes.
type content int64

func (c content) Name() string                          { return "new" }
func (c content) Size() int64                           { return int64(c) }
func (c content) ReadAt(b []byte, _ int64) (int, error) { return len(b), nil }

var _ extent.Source = content(0)

func put(path string, n int64) Put {
	return Put{Path: path, Attr: Attr{Mode: iso9660.ModeRegular | 0o644}, Source: content(n)}
}

func mkdir(path string) Put { return Put{Path: path, Attr: Attr{Mode: iso9660.ModeDir | 0o700}} }
func symlink(path, to string) Put {
	return Put{Path: path, Attr: Attr{Mode: iso9660.ModeSymlink | 0o777, Link: to}}
}

func value(v uint32) *uint32 { return &v }

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		name  string
		layer Layer
		diff  string // lines that go and come, sorted
		err   error
	}{
		{"put", Layer{put("/dir/new", 9)}, "+/dir/new 100644 9 p j replaced\n", nil},
		{"put makes parents", Layer{put("//x/./y//z", 9)}, "+/x 40755 0 p j replaced\n+/x/y 40755 0 p j replaced\n+/x/y/z 100644 9 p j replaced\n", nil},
		{"put replaces", Layer{put("/dir/file", 9)}, "+/dir/file 100644 9 p j replaced\n-/dir/file 100444 4 p j\n", nil},
		{"put replaces a link", Layer{put("/link", 9)}, "+/link 100644 9 p j replaced\n-/link 120555 0 -> dir/file p j\n", nil},
		{"put a link on a file", Layer{symlink("/dir/file", "x")}, "+/dir/file 120777 0 -> x p j replaced\n-/dir/file 100444 4 p j\n", nil},
		{"put one of two hard links", Layer{put("/hardlink", 9)}, "+/hardlink 100644 9 p j replaced\n-/hardlink 100444 7 p j\n", nil},
		{"put a directory merges", Layer{mkdir("/dir"), mkdir("/")}, "", nil},
		{"put a directory", Layer{mkdir("/new")}, "+/new 40700 0 p j replaced\n", nil},
		{"put through a link", Layer{put("/dirlink/new", 9)}, "", ErrLinkPath},
		{"put through a file", Layer{put("/dir/file/new", 9)}, "", ErrNotDir},
		{"put on a directory", Layer{put("/dir", 9)}, "", ErrIsDir},
		{"put a directory on a file", Layer{mkdir("/dir/file")}, "", ErrNotDir},
		{"put at the root", Layer{put("/", 9)}, "", fs.ErrInvalid},
		{"put outside", Layer{put("/dir/../../x", 9)}, "", fs.ErrInvalid},
		{"put NUL", Layer{put("/a\x00b", 9)}, "", fs.ErrInvalid},
		{"put a long name", Layer{put("/"+strings.Repeat("n", 256), 9)}, "", fs.ErrInvalid},

		{"remove a file", Layer{Remove{"/dir/file"}}, "-/dir/file 100444 4 p j\n", nil},
		{"remove a directory", Layer{Remove{"/dir"}}, "-/dir 40555 0 p j\n-/dir/file 100444 4 p j\n-/dir/sub 40555 0 p j\n-/dir/sub/deep 100444 4 p j\n", nil},
		{"remove a link, not its target", Layer{Remove{"/dirlink"}}, "-/dirlink 120555 0 -> dir p j\n", nil},
		{"remove through a link", Layer{Remove{"/dirlink/file"}}, "", fs.ErrNotExist},
		{"remove nothing", Layer{Remove{"/nothing"}}, "", fs.ErrNotExist},
		{"remove twice", Layer{Remove{"/dir/file"}, Remove{"/dir/file"}}, "", fs.ErrNotExist},
		{"remove the root", Layer{Remove{"/"}}, "", fs.ErrInvalid},
		{"remove outside", Layer{Remove{"/.."}}, "", fs.ErrInvalid},

		{"opaque", Layer{Opaque{"/dir"}}, "-/dir/file 100444 4 p j\n-/dir/sub 40555 0 p j\n-/dir/sub/deep 100444 4 p j\n", nil},
		{"opaque, then put", Layer{Opaque{"/dir"}, put("/dir/file", 9)}, "+/dir/file 100644 9 p j replaced\n-/dir/file 100444 4 p j\n-/dir/sub 40555 0 p j\n-/dir/sub/deep 100444 4 p j\n", nil},
		{"opaque on a file", Layer{Opaque{"/dir/file"}}, "", ErrNotDir},
		{"opaque on nothing", Layer{Opaque{"/nothing"}}, "", fs.ErrNotExist},

		{"set attributes", Layer{SetAttr{"/dir/file", value(0o177777), value(7), nil, nil}}, "+/dir/file 107777 4 p j altered\n-/dir/file 100444 4 p j\n", nil},
		{"set owner", Layer{SetAttr{"/dir/file", nil, nil, value(7), nil}}, "+/dir/file 100444 4 p j altered\n-/dir/file 100444 4 p j\n", nil},
		{"set what is", Layer{SetAttr{"/dir/file", value(0o444), nil, nil, nil}}, "", nil},
		{"set on nothing", Layer{SetAttr{"/nothing", nil, nil, nil, nil}}, "", fs.ErrNotExist},

		{"rename", Layer{Rename{"/dir/file", "/dir/other"}}, "+/dir/other 100444 4 p j renamed\n-/dir/file 100444 4 p j\n", nil},
		{"rename and back", Layer{Rename{"/dir/file", "/dir/other"}, Rename{"/dir/other", "/dir/file"}}, "", nil},
		{"rename to itself", Layer{Rename{"/dir", "/dir"}}, "", nil},
		{"rename into a directory", Layer{Rename{"/dir/sub", "/directory_one"}}, "+/directory_one/sub 40555 0 p j moved\n+/directory_one/sub/deep 100444 4 p j\n-/dir/sub 40555 0 p j\n-/dir/sub/deep 100444 4 p j\n", nil},
		{"rename makes parents", Layer{Rename{"/dir/file", "/x/y"}}, "+/x 40755 0 p j replaced\n+/x/y 100444 4 p j renamed moved\n-/dir/file 100444 4 p j\n", nil},
		{"rename onto a file", Layer{Rename{"/dir/file", "/readme.txt"}}, "", fs.ErrExist},
		{"rename into itself", Layer{Rename{"/dir", "/dir/sub/x"}}, "", fs.ErrInvalid},
		{"rename into what is in itself", Layer{Rename{"/dir", "/dir/sub"}}, "", fs.ErrInvalid},
		{"rename through a link", Layer{Rename{"/readme.txt", "/dirlink/x"}}, "", ErrLinkPath},
		{"rename nothing", Layer{Rename{"/nothing", "/x"}}, "", fs.ErrNotExist},
		{"rename the root", Layer{Rename{"/", "/x"}}, "", fs.ErrInvalid},
		{"rename to outside", Layer{Rename{"/dir", "/../x"}}, "", fs.ErrInvalid},
		{"rename to the root", Layer{Rename{"/dir/file", "/"}}, "+/file 100444 4 p j moved\n-/dir/file 100444 4 p j\n", nil},

		{"add and remove", Layer{put("/dir/new", 9), mkdir("/d"), put("/d/e", 9), symlink("/l", "x"), Remove{"/l"}, Remove{"/d"}, Remove{"/dir/new"}}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := rockTree(t)
			before := dump(t, tr)
			err := tr.Apply(c.layer)
			if !errors.Is(err, c.err) || err != nil && c.err == nil {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil {
				if diff := cmp.Diff(c.diff, changes(before, dump(t, tr))); diff != "" {
					t.Error(diff)
				}
			} else if !strings.HasPrefix(err.Error(), c.layer[len(c.layer)-1].String()+": ") {
				t.Errorf("%v does not tell the edit", err)
			}
		})
	}
}

// changes lists the lines that only one of two texts has.
func changes(before, after string) string {
	var out []string
	a, b := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n")
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, "-"+s)
		}
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			out = append(out, "+"+s)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// Names that another hierarchy had do not outlive a rename.
func TestNamesAfterRename(t *testing.T) {
	tr := rockTree(t)
	if err := tr.Apply(Layer{Rename{"/readme.txt", "/b"}, put("/b", 9)}); err != nil {
		t.Fatal(err)
	}
	if n, err := tr.Lookup("/readme.txt"); err == nil {
		t.Errorf("after a rename and a Put there, the old name still finds %s", n.Path())
	}
}

// A new file is not another one whose plain name was cut to the same.
func TestPutBesideAlias(t *testing.T) {
	tr := rockTree(t)
	before := dump(t, tr)
	if err := tr.Apply(Layer{put("/verylong.txt", 9)}); err != nil {
		t.Fatal(err)
	}
	if got := changes(before, dump(t, tr)); got != "+/verylong.txt 100644 9 p j replaced\n" {
		t.Errorf("Put took a plain name for the Rock Ridge name:\n%s", got)
	}
}

func TestClean(t *testing.T) {
	for path, want := range map[string]string{"": "/", "/": "/", "a": "/a", "//a/./b/": "/a/b", "/a/..b": "/a/..b", "/a\n\x7f\x1b": "/a\n\x7f\x1b"} {
		if got, err := Clean(path); got != want || err != nil {
			t.Errorf("%q: %q, %v", path, got, err)
		}
	}
	for _, path := range []string{"..", "/a/../b", "/\x00"} {
		if got, err := Clean(path); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %q, %v", path, got, err)
		}
	}
}
