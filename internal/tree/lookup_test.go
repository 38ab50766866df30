package tree

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/spelling"
)

// lookups checks what paths find; "" is nothing, and behind a bar stands what is near.
func lookups(t *testing.T, tr *Tree, cases map[string]string) {
	t.Helper()
	for path, want := range cases {
		want, near, _ := strings.Cut(want, "|")
		n, err := tr.Lookup(path)
		var missing *spelling.Missing
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is %s", path, n.Path())
		case want != "" && (err != nil || n.Path() != want):
			t.Errorf("%q: %v, want %s", path, err, want)
		case want == "" && errors.As(err, &missing) && (missing.Meant() != near || !errors.Is(err, fs.ErrNotExist)):
			t.Errorf("%q: %v, near %q, want %q", path, err, missing.Meant(), near)
		case want == "" && missing == nil && near != "":
			t.Errorf("%q: %v knows nothing near", path, err)
		}
	}
}

// Names of Rock Ridge mind case, and no name of another hierarchy finds them.
func TestLookup(t *testing.T) {
	lookups(t, rockTree(t), map[string]string{
		"/readme.txt":       "/readme.txt",
		"readme.txt":        "/readme.txt",
		"/README.TXT":       "|/readme.txt",
		"ReadMe.Txt":        "|/readme.txt",
		"/DIR/SUB/Deep":     "|/dir/sub/deep",
		"/dir/subb/deep":    "|/dir/sub/deep",
		"/deep":             "|/dir/sub/deep", // the only one of that name
		"/VERYLONG.TXT":     "",               // the plain name
		"/colon_and_star":   "|/colon:and*star",
		"/VERYLONGNAME.TXT": "|/verylongname.txt",
		"/nothing/at/all":   "",
		"/dir//./file":      "/dir/file",
		"/":                 "/",
		"":                  "/",
		"/dirlink":          "/dirlink",
		"/dirlink/file":     "|/dir/file",
		"/dir/..":           "",
	})
}

// Without Rock Ridge readers mind no case.
func TestLookupInAnyCase(t *testing.T) {
	lookups(t, makeTree(t, "genisoimage", "-quiet", "-o", "IMAGE", "TREE"), map[string]string{
		"/dir/sub/deep": "/DIR/SUB/DEEP", "/Readme.txt": "/README.TXT", "/verylong.txt": "/VERYLONG.TXT", "/readme.tx": "|/README.TXT",
	})
	lookups(t, makeTree(t, "genisoimage", "-quiet", "-l", "-J", "-o", "IMAGE", "TREE"), map[string]string{
		"/Dir/SUB/deep": "/dir/sub/deep", "/VERYLONGNAME.TXT": "/verylongname.txt", "/EMPTY_FIRST_FILE": "/empty_first_file",
	})
}

// Names of plain ISO 9660 find what Joliet shows, in any case and without version.
func TestLookupPlainNames(t *testing.T) {
	lookups(t, makeTree(t, "genisoimage", "-quiet", "-J", "-o", "IMAGE", "TREE"), map[string]string{
		"/verylong.txt": "/verylongname.txt", "/VERYLONG.TXT": "/verylongname.txt", "/colon_and.": "",
	})
}

// Two names that differ by case only are two, whatever is done to one of them.
func TestTwoCases(t *testing.T) {
	tr := rockTree(t)
	if err := tr.Do(put("/DIR", 1)); err != nil {
		t.Fatal(err)
	}
	lookups(t, tr, map[string]string{"/dir": "/dir", "/DIR": "/DIR", "/Dir": "|/DIR"})
	if err := tr.Do(Remove{"/DIR"}); err != nil {
		t.Fatal(err)
	}
	lookups(t, tr, map[string]string{"/dir": "/dir", "/DIR": "|/dir"})
}

func TestGlob(t *testing.T) {
	none := errors.New("none")
	plain := makeTree(t, "genisoimage", "-quiet", "-o", "IMAGE", "TREE")
	for _, c := range []struct {
		tree          *Tree
		pattern, want string
	}{
		{rockTree(t), "/dir/**", "/dir /dir/file /dir/sub /dir/sub/deep"},
		{rockTree(t), "read*", "/readme.txt"},
		{rockTree(t), "/**/sub", "/dir/sub"},
		{plain, "/{,DIR/SUB}", "/DIR/SUB"}, // not the root
		{rockTree(t), "/DIR/**", "|/dir"},
		{rockTree(t), "/READ*", "|/readme.txt"},
		{rockTree(t), "/x*", "|"},
		{rockTree(t), "/[", "!"},
		{plain, "/dir/s*", "/DIR/SUB"},
		{plain, "/READ*", "/README.TXT"},
	} {
		hits, err := c.tree.Glob(c.pattern, none)
		var got []string
		for _, n := range hits {
			got = append(got, n.Path())
		}
		text := strings.Join(got, " ")
		var missing *spelling.Missing
		if errors.As(err, &missing) && errors.Is(err, none) {
			text = "|" + missing.Meant()
		} else if errors.Is(err, fs.ErrInvalid) {
			text = "!"
		}
		if text != c.want {
			t.Errorf("%s: %s (%v), want %s", c.pattern, text, err, c.want)
		}
	}
}

func TestPlace(t *testing.T) {
	for path, want := range map[string]string{
		"/README.TXT": "warning", "/dir/FILE": "warning", "/DIR": "warning",
		"/Dir/new": "/dir/new", "/Dir/Sub/new/": "/dir/Sub/new/", "/dir/SUB/": "/dir/sub/", "/dir/SUB/deep": "/dir/sub/deep",
		"/dir/new": "", "/readme.txt": "", "/new/x": "", "/dir": "", "/readme.txt/x": "",
	} {
		got, err := rockTree(t).Place(path)
		var missing *spelling.Missing
		if errors.As(err, &missing) {
			got = missing.Meant()
		} else if got != "" {
			got = "warning"
		}
		if got != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	if w, err := makeTree(t, "genisoimage", "-quiet", "-o", "IMAGE", "TREE").Place("/Readme.txt"); w != "" || err != nil {
		t.Error("without Rock Ridge case does not count:", w, err)
	}
}

// An edit through a directory in another case makes a new one with Rock Ridge, and
// goes into the one that is there without.
func TestPutInAnotherCase(t *testing.T) {
	tr := rockTree(t)
	if err := tr.Do(put("/DIR/new", 1)); err != nil {
		t.Fatal(err)
	}
	lookups(t, tr, map[string]string{"/DIR/new": "/DIR/new", "/dir/new": "|/DIR/new", "/dir/file": "/dir/file"})
	plain := makeTree(t, "genisoimage", "-quiet", "-l", "-J", "-o", "IMAGE", "TREE")
	if err := plain.Do(Put{Path: "/DIR/NEW", Attr: Attr{Mode: iso9660.ModeRegular | 0o644}}); err != nil {
		t.Fatal(err)
	}
	lookups(t, plain, map[string]string{"/dir/new": "/dir/NEW"})
}
