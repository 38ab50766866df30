package build_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/stage"
)

// compared is what diff tells of two images.
func compared(t *testing.T, before, after string) *diff.Report {
	t.Helper()
	a, err := baseimage.Open(before, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := baseimage.Open(after, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := build.Compare(context.Background(), b, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func lines(cs []diff.Change) (out []string) {
	for _, c := range cs {
		text, _, _ := strings.Cut(c.String(), " (")
		out = append(out, text)
	}
	return out
}

// TestCompare makes random edits and wants to be told of these and of nothing else.
func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"rhel9-isolinux", "debian", "arch", "norr"} {
		base := isotest.Image(t, name)
		if r := compared(t, base, base); r.Changes() > 0 || r.Same == 0 {
			t.Errorf("%s differs from itself: %v; %d files are the same", name, lines(r.Tree), r.Same)
		}
		var files []string
		for _, p := range isotest.Paths(isotest.Bsdtar(t, base).Filter(func(p string, e isotest.Entry) bool {
			return e.Type == 'f' && e.Size > 0 && !isBoot(p)
		})) {
			files = append(files, "/"+p)
		}
		for round := range 5 {
			r := rand.New(rand.NewPCG(uint64(round), 7))
			pick := slices.Clone(files)
			r.Shuffle(len(pick), func(i, j int) { pick[i], pick[j] = pick[j], pick[i] })
			content := local(t, "new", noise(1000+r.IntN(5000), uint64(round)))
			steps := []edit.Step{
				edit.Remove{Pattern: pick[0]},
				edit.Add{Source: content, Dest: pick[1]},
				edit.Add{Source: content, Dest: "/fresh-dir/new"},
				edit.Move{Old: pick[2], New: "/moved"},
				edit.Move{Old: pick[3], New: pick[3] + "0"},
			}
			want := []string{
				"- " + pick[0], "~ " + pick[1], "+ /fresh-dir/", "+ /fresh-dir/new", "> " + pick[2] + " → /moved", "> " + pick[3] + " → " + pick[3] + "0",
			}
			out, _ := mustBuild(t, base, stage.Options{}, steps...)
			got := lines(compared(t, base, out).Tree)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s, round %d:\nwant %s\ngot  %s", name, round, strings.Join(want, "\n     "), strings.Join(got, "\n     "))
			}
			back := compared(t, out, base)
			if len(back.Tree) != len(want) {
				t.Errorf("%s, round %d, the other way round: %s", name, round, strings.Join(lines(back.Tree), "\n"))
			}
		}
	}
}

// TestCompareEquipment replaces what no directory lists, and directories by files.
func TestCompareEquipment(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base := isotest.Image(t, "ubuntu2204")
	esp := newESP(t, base, 8)
	out, _ := mustBuild(t, base, stage.Options{}, edit.Add{Source: esp, Dest: "@efi"})
	r := compared(t, base, out)
	if got := fmt.Sprint(lines(r.Tree)); got != "[~ /boot.catalog]" {
		t.Errorf("tree: %v", got)
	}
	if got := fmt.Sprint(lines(r.Boot)); !strings.Contains(got, "~ @") {
		t.Errorf("a new EFI system partition is not told: %v", got)
	}

	base = isotest.Image(t, "rhel9-isolinux")
	out, _ = mustBuild(t, base, stage.Options{}, edit.Remove{Pattern: "/images/pxeboot"}, edit.Add{Source: local(t, "f", []byte("text\n")), Dest: "/images/pxeboot"})
	got := lines(compared(t, base, out).Tree)
	if !slices.Contains(got, "~ /images/pxeboot") || !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "- /images/pxeboot/") }) {
		t.Errorf("a directory that became a file: %v", got)
	}
}
