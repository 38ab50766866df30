package strategy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/tree"
)

func TestWords(t *testing.T) {
	for in, want := range map[string][]string{
		"":                    nil,
		"  -b  x ":            {"-b", "x"},
		"-V 'two words' -R":   {"-V", "two words", "-R"},
		"-V ''":               {"-V", ""},
		`a'b c'd`:             {"ab cd"},
		`it\'s 'a\b'`:         {"it's", `a\b`},
		`'don'\''t' split it`: {"don't", "split", "it"},
	} {
		if got, err := words(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := words("-V 'open"); err == nil {
		t.Error("a quote that nothing closes is no error")
	}
}

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// planned is an image of local files, from the plan.
func planned(t *testing.T, o scan.Options, sources ...scan.Graft) diff.Side {
	t.Helper()
	o.RockRidge, o.Epoch = true, &epoch
	res, err := scan.Plan(sources, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := res.Close(); err != nil {
			t.Error(err)
		}
	})
	src := extent.Compose("planned", res.Map)
	s := diff.Side{Source: src, Size: src.Size()}
	if s.Image, err = iso9660.Open(src, src.Size(), iso9660.Options{}); err != nil {
		t.Fatal(err)
	}
	if s.Tree, err = tree.FromImage(s.Image); err != nil {
		t.Fatal(err)
	}
	if s.Boot, err = boot.Parse(src, src.Size(), boot.Volume{Catalog: s.Image.BootCatalog(), Blocks: int64(s.Image.Primary().SpaceSize())}); err != nil {
		t.Fatal(err)
	}
	return s
}

// localFiles are a link and a file under two names.
func localFiles(t *testing.T) scan.Graft {
	t.Helper()
	dir := t.TempDir()
	err := errors.Join(os.WriteFile(filepath.Join(dir, "one"), []byte("content"), 0o644), os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "two")), os.Symlink("one", filepath.Join(dir, "link")))
	if err != nil {
		t.Fatal(err)
	}
	return scan.Graft{Source: dir}
}

// TestLost: what a program drops or changes is named, and nothing is where it keeps all.
func TestLost(t *testing.T) {
	local := localFiles(t)
	file := func(path, text string) scan.Graft { return scan.Graft{Dest: path, Content: fat.Bytes([]byte(text))} }
	want := planned(t, scan.Options{Joliet: true, Mark: []string{"marked"}}, local, file("a/file", "same"), file("marked", "1"), file("written", "before"))
	for _, c := range []struct {
		name    string
		got     diff.Side
		patched []string
		lost    []string
	}{
		{"nothing", planned(t, scan.Options{Joliet: true, Mark: []string{"marked"}}, local, file("a/file", "same"), file("marked", "1"), file("written", "before")), nil, nil},
		{"written into", planned(t, scan.Options{Joliet: true, Mark: []string{"marked"}}, local, file("a/file", "same"), file("marked", "1"), file("written", "after!")), []string{"/written"}, nil},
		{"content", planned(t, scan.Options{Joliet: true, Mark: []string{"marked"}}, local, file("a/file", "same"), file("marked", "1"), file("written", "after!")), nil, []string{"/written: other content than before"}},
		{"gone", planned(t, scan.Options{Joliet: true, Exclude: []string{"link"}, Mark: []string{"marked"}}, local, file("marked", "1"), file("written", "before")), nil, []string{"/a (directory) is lost", "/a/file (file) is lost", "/link (link) is lost"}},
		{"new", planned(t, scan.Options{Joliet: true, Mark: []string{"marked"}}, local, file("a/file", "same"), file("more", "x"), file("marked", "1"), file("written", "before")), nil, []string{"/more was not there"}},
		{"records", planned(t, scan.Options{Joliet: true, NoHardLinks: true}, local, file("a/file", "same"), file("marked", "1"), file("written", "before")), nil, []string{"/marked: not marked hidden any more", "/two: no hard link to /one any more"}},
	} {
		got, err := lost(t.Context(), want, c.got, c.patched)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		slices.Sort(got)
		if d := cmp.Diff(c.lost, got); d != "" && len(got)+len(c.lost) > 0 {
			t.Errorf("%s: lost (-want +got):\n%s", c.name, d)
		}
	}
	plain := planned(t, scan.Options{}, local, file("a/file", "same"), file("marked", "1"), file("written", "before"))
	list, err := lost(t.Context(), want, plain, nil)
	if err != nil || !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "Joliet") }) {
		t.Errorf("without Joliet: %q, %v", list, err)
	}
}

// TestBy: the options name what the image has, and what genisoimage cannot make is an error.
func TestBy(t *testing.T) {
	s := planned(t, scan.Options{Joliet: true, Texts: iso9660.VolumeTexts{Volume: "A LABEL", Publisher: "SOMEBODY"}}, localFiles(t))
	l := like{"base.iso", s.Image, s.Boot, s.Image.Primary()}
	for program, first := range map[string][]string{"xorriso": {"xorriso", "-as", "mkisofs"}, "genisoimage": {"genisoimage", "-quiet", "-U"}} {
		m, err := l.by(program, "DIR", "OUT")
		if err != nil {
			t.Fatal(err)
		}
		args := m.commands[0]
		line := strings.Join(args, "|")
		if len(m.commands) != 1 || !slices.Equal(args[:3], first) || !strings.HasSuffix(line, "|-o|OUT|DIR") {
			t.Errorf("%s: %q", program, m.commands)
		}
		for _, option := range []string{"|-R|", "|-J|", "|-V|A LABEL|", "|-publisher|SOMEBODY|", "|-A||"} {
			if !strings.Contains(line, option) {
				t.Errorf("%s: no %s in %s", program, option, line)
			}
		}
	}
	if _, err := l.by("mkfs", "DIR", "OUT"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another program: %v", err)
	}
	l.boot = &boot.Equipment{System: boot.System{Used: true, MBR: &boot.MBR{Code: boot.CodeGRUB2}}}
	if _, err := l.by("genisoimage", "DIR", "OUT"); !errors.Is(err, ErrMastering) {
		t.Errorf("boot code of GRUB by genisoimage: %v", err)
	}
}
