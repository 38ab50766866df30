package loadertest_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	lt "github.com/isolayer/isolayer/internal/loadertest"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/sink"
)

// edits are how many images are changed for each loader: in each run of the tests, and in the
// long one.
var edits = map[lt.Loader]struct{ always, soak int }{lt.ISOLINUX: {2, 40}, lt.GRUB: {1, 30}, lt.GRUBLegacy: {0, 5}, lt.SystemBoot: {0, 5}, lt.REFInd: {0, 4}, lt.GRUBEFI: {0, 4}}

// edited is a medium before and after a change.
type edited struct {
	step          edit.Step
	before, after judged
	notes         string // what the change said
	err           error  // that it was refused
}

// TestEditsAgree: what starts after a change is what isolayer says of the changed image. An
// entry that was added never starts by itself, an argument is on the command line that is
// started, and what starts stays the same where the change says that it could do nothing.
func TestEditsAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	for _, l := range lt.Loaders() {
		if *flagOnly != "" && !slices.Contains(strings.Split(*flagOnly, ","), string(l)) {
			continue
		}
		t.Run(string(l), func(t *testing.T) {
			n := edits[l].always
			if os.Getenv("ISOLAYER_SOAK") != "" {
				n = edits[l].soak
			}
			if *flagN > 0 {
				n = *flagN
			}
			lt.Need(t, l)
			refused := 0
			for i := range n {
				seed := *flagSeed + uint64(i)
				e := editAll(t, l, seed)
				if e.err != nil {
					refused++
					t.Logf("%d: %s: %v", seed, e.step, e.err)
					continue
				}
				if d := e.wrong(); d != "" {
					keep(t, *flagFound, []judged{e.before, e.after}, func(judged) bool { return true })
					t.Errorf("%s %d: %s: %s\nbefore: %s\nafter:  %s\nit said:\n%s\n%s\n%s", l, seed, e.step, d, e.before.out, e.after.out, e.notes, lt.Format(e.before.m, nil), lt.Format(e.after.m, nil))
				}
			}
			t.Logf("%d changes, %d refused", n, refused)
			if n >= 10 && refused > n/2 {
				t.Errorf("%d of %d changes were refused: that shows little", refused, n)
			}
		})
	}
}

// step makes a random change, which may name an entry of the medium.
func step(r *rand.Rand, m lt.Medium) edit.Step {
	switch r.IntN(5) {
	case 0:
		return edit.AddEntry{Title: "Added", Args: []string{"added=1"}}
	case 1:
		return edit.MenuTimeout{Seconds: r.IntN(3)}
	case 2:
		if names := entries(m); len(names) > 0 {
			return edit.DefaultEntry{Name: names[r.IntN(len(names))]}
		}
	}
	return edit.Kargs{Args: []string{"karg=1"}}
}

// entries are what could name one: labels, titles.
func entries(m lt.Medium) (out []string) {
	for name, b := range m.Files {
		for line := range strings.Lines(string(b)) {
			word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch strings.ToLower(word) {
			case "label", "title":
				out = append(out, strings.TrimSpace(rest))
			case "menuentry":
				if f := strings.FieldsFunc(rest, func(r rune) bool { return r == '"' || r == '\'' || r == '$' }); len(f) > 0 {
					out = append(out, f[0])
				}
			}
		}
		if strings.HasPrefix(name, "loader/entries/") {
			out = append(out, strings.TrimSuffix(filepath.Base(name), ".conf"))
		}
	}
	slices.Sort(out)
	return out
}

// editAll changes a random medium and starts both.
func editAll(t *testing.T, l lt.Loader, seed uint64) (e edited) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	m := lt.Random(l, r)
	e.step = step(r, m)
	e.before.m = m
	dir := t.TempDir()
	image, err := lt.Build(t.Context(), dir, m)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "changed.iso")
	if e.notes, e.err = change(t, image, out, e.step); e.err != nil {
		return e
	}
	e.after.m = m
	if e.after.m.Files, err = lt.Read(t.Context(), dir, m, out); err != nil {
		t.Fatal(err)
	}
	for name, b := range m.Files {
		if len(b) == 0 {
			e.after.m.Files[name] = nil // a stand-in, as before
		}
	}
	e.before.name, e.after.name = string(l)+"-before", string(l)+"-after"
	if e.before.out, err = lt.RunImage(t.Context(), dir, m, image); err != nil {
		t.Fatal(err)
	}
	if e.after.out, err = lt.RunImage(t.Context(), dir, m, out); err != nil {
		t.Fatal(err)
	}
	return e
}

func change(t *testing.T, from, to string, step edit.Step) (notes string, err error) {
	b, err := baseimage.Open(from, baseimage.OpenOptions{})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	img, err := build.Build(t.Context(), b, []edit.Step{step}, stage.Options{})
	if err != nil {
		return "", err
	}
	_, err = img.WriteFile(t.Context(), to, sink.Options{})
	return strings.Join(append(slices.Clone(img.Report.Notes), img.Report.Warnings...), "\n"), err
}

// wrong says what is, "" for nothing.
func (e edited) wrong() string {
	if d := compare(e.after, ours); d != "" {
		return d
	}
	b, a := e.before.out, e.after.out
	same := b.Started == a.Started && b.Kernel == a.Kernel && words(b.Command) == words(a.Command)
	switch s := e.step.(type) {
	case edit.AddEntry:
		if !same {
			return "an added entry changes what starts"
		}
	case edit.Kargs:
		if linux := b.Started && b.Kernel != lt.Local; linux && !slices.Contains(strings.Fields(a.Command), s.Args[0]) && !strings.Contains(e.notes, s.Args[0]) {
			return "the argument is not given, and nobody said so"
		}
		if b.Started != a.Started || b.Kernel != a.Kernel {
			return "an argument changes which kernel starts"
		}
	case edit.MenuTimeout:
		if b.Started && !same {
			return "a timeout changes what starts"
		}
	case edit.DefaultEntry:
		p := ours(e.after.m)
		if named := p.entry == s.Name || p.id == s.Name; a.Started && p.unsure == "" && !named && !strings.Contains(e.notes, s.Name) {
			return "another entry than that starts, and nobody said so"
		}
	}
	return ""
}
