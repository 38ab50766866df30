package bootcfg

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

var formats = []Format{Syslinux, GRUB, Legacy, Entry, Parm, ESXi, Limine, REFInd}

// formatOf returns the language of a file that a package ships.
func formatOf(name string) Format {
	base := path.Base(name)
	switch {
	case strings.HasPrefix(base, "menu.lst") || strings.Contains(name, "grub-legacy"):
		return Legacy
	case strings.Contains(name, "/isolinux/"), strings.Contains(name, "syslinux"), strings.Contains(name, "linux.cfg"), strings.Contains(name, "extlinux"),
		strings.Contains(name, "/boot/x86/"), strings.Contains(name, "boot-screens"):
		return Syslinux
	case strings.Contains(name, "grub"):
		return GRUB
	}
	return Syslinux
}

func parse(t testing.TB, f Format, text string) *File {
	t.Helper()
	c, err := Parse(f, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRoundTrip: what is not edited stays, byte for byte, whatever language a file is
// read as; and words are words: put together from them the file is the same.
func TestRoundTrip(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages")
	}
	distinct := map[string]bool{}
	count, boots := 0, 0
	for name, text := range isotest.Configs(t) {
		count++
		distinct[string(text)] = true
		for _, format := range formats {
			f, err := Parse(format, text)
			if err != nil {
				t.Errorf("%s as %s: %v", name, format, err)
				continue
			}
			if !bytes.Equal(f.Bytes(), text) {
				t.Errorf("%s as %s is not what it was", name, format)
			}
		}
		for _, e := range parse(t, formatOf(name), string(text)).Entries() {
			if e.Boots() {
				boots++
			}
		}
	}
	if count < 250 || len(distinct) < 180 || boots < 300 {
		t.Errorf("%d files, %d of them distinct, with %d entries that start kernels: too few for a judgement", count, len(distinct), boots)
	}
	t.Logf("%d files, %d distinct, %d entries", count, len(distinct), boots)
}

// changed returns the lines of a that are not in b, in order, and the other way round.
func changed(a, b string) (gone, come []string) {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for i, j := 0, 0; i < len(x) || j < len(y); {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			i, j = i+1, j+1
		case i < len(x) && !slices.Contains(y[j:], x[i]):
			gone = append(gone, x[i])
			i++
		case j < len(y):
			come = append(come, y[j])
			j++
		default:
			gone = append(gone, x[i])
			i++
		}
	}
	return gone, come
}

// TestKargEverywhere changes arguments in all files of the packages: only lines of
// kernels differ, each by the argument; taking it away again gives the file back; a
// second time nothing changes.
func TestKargEverywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages")
	}
	add, _ := ParseKarg("isolayer.test=1,a/b")
	del, _ := ParseKarg("-isolayer.test")
	total := 0
	for name, text := range isotest.Configs(t) {
		f := parse(t, formatOf(name), string(text))
		n, err := f.Karg(add)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		total += n
		once := string(f.Bytes())
		if n == 0 && once != string(text) {
			t.Errorf("%s: no entry changed, the file did", name)
		}
		gone, come := changed(string(text), once)
		for i, l := range come {
			was := ""
			if len(gone) == len(come) {
				was = gone[i]
			}
			if !strings.Contains(l, "isolayer.test=1,a/b") || was != "" && strings.Replace(l, "isolayer.test=1,a/b", "", 1) == l ||
				was != "" && strings.Join(strings.Fields(strings.Replace(l, "isolayer.test=1,a/b", "", 1)), " ") != strings.Join(strings.Fields(was), " ") {
				t.Errorf("%s: %q became %q", name, was, l)
			}
			before, after, ok := strings.Cut(l, " --- ")
			if ok && strings.Contains(after, "isolayer.test") && !strings.Contains(before, "isolayer.test") {
				t.Errorf("%s: behind the separator: %q", name, l)
			}
		}
		again := parse(t, f.Format(), once)
		if n, _ := again.Karg(add); n != 0 || string(again.Bytes()) != once {
			t.Errorf("%s: a second time %d entries change", name, n)
		}
		if _, err := again.Karg(del); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(gone) == len(come) && string(again.Bytes()) != string(text) {
			g, c := changed(string(text), string(again.Bytes()))
			t.Errorf("%s: not as it was after taking it back: %q %q", name, g, c)
		}
	}
	if total < 300 {
		t.Errorf("%d entries changed", total)
	}
	t.Logf("%d entries changed", total)
}
