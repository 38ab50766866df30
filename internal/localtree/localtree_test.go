package localtree_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/localtree"
)

// TestDestination: what is put where, by the rule that all commands and instructions share.
func TestDestination(t *testing.T) {
	type row struct {
		dest, source string
		dir          bool
		want         string
	}
	for _, r := range []row{
		{"", "ks.cfg", false, "/ks.cfg"},
		{"", "a/rpms", true, "/rpms"},
		{"/", "a/rpms/", true, "/rpms"},
		{"/", "./rpms/.", true, "/rpms"},
		{"/x", "ks.cfg", false, "/x"},
		{"/x/", "ks.cfg", false, "/x/ks.cfg"},
		{"x/", "ks.cfg", false, "x/ks.cfg"},
		{"/x/", "rpms", true, "/x/rpms"},
		{"/there", "ks.cfg", false, "/there/ks.cfg"},
		{"/there", "rpms", true, "/there"},
		{"/there/", "rpms", true, "/there/rpms"},
		{"/x/", ".", true, "/x"},
		{"", ".", true, "/"},
		{"", "..", true, "/"},
		{"/x", "a/..", true, "/x"},
		{"/x/", "..", true, "/x"},
		{"/x/", "/", true, "/x"},
		{"@efi", "ks.cfg", false, "@efi"},
		{"@efi:/", "ks.cfg", false, "@efi:/ks.cfg"},
		{"@efi:/x", "ks.cfg", false, "@efi:/x"},
		{"@efi:/x/", "ks.cfg", false, "@efi:/x/ks.cfg"},
		{"@efi:/../", "ks.cfg", false, "@efi:/ks.cfg"},
		{"@efi:/x/", ".", true, "@efi:/x"},
	} {
		got := localtree.Destination(r.dest, filepath.FromSlash(r.source), r.dir, func(dest string) bool {
			if r.dir || dest == "" || strings.HasSuffix(dest, "/") {
				t.Errorf("%+v: asked for %q", r, dest)
			}
			return dest == "/there"
		})
		if got != r.want {
			t.Errorf("%+v: %s", r, got)
		}
	}
}

func write(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, f := range files {
		p := filepath.Join(dir, filepath.FromSlash(f))
		var err error
		switch to, isLink := "", strings.Contains(f, "->"); {
		case isLink:
			p, to, _ = strings.Cut(p, "->")
			err = os.Symlink(to, p)
		case strings.HasSuffix(f, "/"):
			err = os.Mkdir(p, 0o755)
		default:
			err = os.WriteFile(p, []byte(f), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// walked lists what Walk calls f for.
func walked(source string, skip func(string) (bool, error)) (out []string, err error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	return out, localtree.Walk(source, info, skip, func(e localtree.Entry) error {
		line := strings.TrimSuffix(e.Below("/to/"), "/")
		switch {
		case e.Info.IsDir():
			line += "/"
		case e.IsLink():
			line += " -> " + e.Link
		}
		out = append(out, line)
		return nil
	})
}

// TestWalk: directories before what they hold, in order; links stay links, but one that is
// given by name is followed, to a directory too.
func TestWalk(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "d/", "d/b", "d/a/", "d/a/x", "d/c->a", "d/lost->nowhere", "todir->d", "tofile->d/b")
	want := []string{"/to/", "/to/a/", "/to/a/x", "/to/b", "/to/c -> a", "/to/lost -> nowhere"}
	for source, want := range map[string][]string{"d": want, "todir": want, "todir/": want, "tofile": {"/to"}, "d/b": {"/to"}} {
		got, err := walked(dir+"/"+source, nil)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v\n%s", source, err, cmp.Diff(want, got))
		}
	}
}

// TestWalkSkips: what is left out is not looked at; what is below it is asked for, too.
func TestWalkSkips(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "d/", "d/a/", "d/a/keep", "d/a/x", "d/b")
	got, err := walked(filepath.Join(dir, "d"), func(p string) (bool, error) {
		return filepath.Base(p) == "a" || filepath.Base(p) == "x", nil
	})
	if want := []string{"/to/", "/to/a/keep", "/to/b"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	bad := errors.New("bad pattern")
	if _, err := walked(dir, func(string) (bool, error) { return false, bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
}

// TestWalkRefuses: a FIFO is named and never opened, unless it is left out.
func TestWalkRefuses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no FIFOs")
	}
	dir := t.TempDir()
	write(t, dir, "a")
	fifo(t, filepath.Join(dir, "fifo"))
	if _, err := walked(dir, nil); !errors.Is(err, localtree.ErrSpecial) || !strings.Contains(err.Error(), filepath.Join(dir, "fifo")) {
		t.Error(err)
	}
	if got, err := walked(dir, func(p string) (bool, error) { return filepath.Base(p) == "fifo", nil }); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := walked(filepath.Join(dir, "gone"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestSources: names of one file have one source; files with one name have it where they
// may be met again.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "b")
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "c")); err != nil {
		t.Skip(err)
	}
	files := extent.NewFiles()
	defer files.Close()
	s := localtree.NewSources(files)
	of := func(name string, all bool) *extent.File {
		t.Helper()
		p := filepath.Join(dir, name)
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Of(p, info, all)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, r := range []struct {
		a, b string
		all  bool
		one  bool
	}{{"a", "c", false, true}, {"a", "b", true, false}, {"b", "b", false, false}, {"b", "b", true, true}} {
		if got := of(r.a, r.all) == of(r.b, r.all); got != r.one {
			t.Error(fmt.Sprint(r), got)
		}
	}
}
