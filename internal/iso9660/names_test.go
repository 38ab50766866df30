package iso9660

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// learned are the rules of an image whose root directory has these entries; a
// name that ends in "/" is a directory.
func learned(h Hierarchy, names ...string) *Naming {
	root := EntryOf(Raw{Record: sub("\x00", atRoot)})
	root.dir = &directory{}
	for _, name := range names {
		flags := byte(0)
		if base, ok := strings.CutSuffix(name, "/"); ok {
			name, flags = base, FlagDirectory
		}
		if h == Joliet {
			name = ucs(name)
		}
		root.dir.children = append(root.dir.children, EntryOf(Raw{Record: rec(name, 0, 0, flags)}))
	}
	return NamingOf(h, root)
}

var (
	level1    = []string{"README.TXT;1"}
	level2    = []string{"LONG_README.TEXT;1", "DIRECTORY_ONE/"}
	untouched = []string{"read.me.first", "a-b", "some.dir/", "the-quick-brown-fox-jumps-over-a-lazy-dog" + strings.Repeat("x", 19)}
)

func TestID(t *testing.T) {
	long := strings.Repeat("n", 120)
	for _, c := range []struct {
		h     Hierarchy
		image []string
		name  string
		want  string
	}{
		{Primary, nil, "new.txt", "NEW.TXT;1"}, // nothing to learn from: level 1
		{Primary, level1, "a-b.text", "A_B.TEX;1"},
		{Primary, level1, "Makefile", "MAKEFILE.;1"},
		{Primary, level1, "archive.tar.gz", "ARCHIVE_.GZ;1"},
		{Primary, level1, ".bashrc", "_BASHRC.;1"},
		{Primary, level1, "trailing.", "TRAILING.;1"},
		{Primary, level1, "größe", "GR__E.;1"},
		{Primary, level1, "directory.d/", "DIRECTOR"},
		{Primary, level2, "a-b.extension", "A_B.EXTENSION;1"},
		{Primary, level2, long + ".txt", strings.Repeat("N", 27) + ".TXT;1"},
		{Primary, level2, "a." + long, "A." + strings.Repeat("N", 29) + ";1"},
		{Primary, level2, long + "/", strings.Repeat("N", 31)},
		{Primary, untouched, "Archive.tar.gz", "Archive.tar.gz"},
		{Primary, untouched, "read-me", "read-me"},
		{Primary, untouched, "dir.d/", "dir.d"},
		{Joliet, []string{"readme"}, "größe:?.txt", "größe__.txt"},
		{Joliet, []string{"readme"}, long + ".txt", long[:60] + ".txt"},
		{Joliet, []string{long[:70]}, long + ".txt", long[:99] + ".txt"},
		{Joliet, []string{"readme;1"}, "new", "new;1"},
		{Joliet, []string{"readme;1"}, "dir/", "dir"},
		{Joliet, nil, "a." + long, "a." + long[:62]},
		{Joliet, nil, "\U0001f600", "_"},
		{Enhanced, nil, "Any name.txt", "Any name.txt"},
		{Enhanced, nil, strings.Repeat("ä", 120), strings.Repeat("ä", 92)},
	} {
		name, dir := strings.CutSuffix(c.name, "/")
		id, err := learned(c.h, c.image...).Namer().ID(name, dir)
		got := string(id)
		if c.h == Joliet {
			got = decodeUCS2(id)
		}
		if got != c.want || err != nil {
			t.Errorf("%v image with %q: %q is %q, want %q (%v)", c.h, c.image, c.name, got, c.want, err)
		}
	}
}

// Names that are cut to the same must all get an identifier, within the rules.
func TestCollisions(t *testing.T) {
	for _, c := range []struct {
		h      Hierarchy
		image  []string
		suffix string
		dir    bool
		most   int
	}{
		{Primary, level1, ".txt", false, 8 + 1 + 3 + 2},
		{Primary, level1, "", true, 8},
		{Primary, level2, ".txt", false, 31 + 2},
		{Primary, level2, "." + strings.Repeat("e", 60), false, 31 + 2},
		{Primary, level2, "", true, 31},
		{Primary, untouched, ".txt", false, 61},
		{Joliet, nil, ".txt", false, 128},
		{Joliet, nil, "." + strings.Repeat("e", 62), false, 128},
		{Joliet, []string{strings.Repeat("x", 80)}, ".txt", false, 206},
		{Enhanced, nil, ".txt", false, 184},
	} {
		namer := learned(c.h, c.image...).Namer()
		seen := map[string]bool{}
		for i := range 5000 {
			name := fmt.Sprintf("%s%05d%s", strings.Repeat("same", 60), i, c.suffix)
			if c.suffix == "."+strings.Repeat("e", 60) { // short stems that are translated to the same
				name = string(rune(0x4e00+i)) + c.suffix
			}
			id, err := namer.ID(name, c.dir)
			if err != nil || seen[string(id)] || len(id) > c.most {
				t.Fatalf("%v %q: name %d is %q, %v", c.h, c.image, i, id, err)
			}
			seen[string(id)] = true
		}
	}
}

func TestNamerTake(t *testing.T) {
	namer := learned(Primary, level1...).Namer()
	if !namer.Take([]byte("NEW.TXT;1")) || namer.Take([]byte("NEW.TXT;1")) {
		t.Error("an identifier is free once")
	}
	if id, err := namer.ID("new.txt", false); string(id) != "NEW0.TXT;1" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
}

// A record must hold the identifier and a CE entry, whatever the image has.
func TestIDFitsRecord(t *testing.T) {
	naming := learned(Primary, strings.Repeat("x", 220))
	id, err := naming.Namer().ID(strings.Repeat("n", 250)+".txt", false)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDraft(id, 0, time.Time{}, Rock{}.Entries("n", Stat{Mode: ModeRegular}))
	if len(d.Record) > maxRecord {
		t.Errorf("a record of %d bytes", len(d.Record))
	}
}

func TestUCS2(t *testing.T) {
	if got := decodeUCS2([]byte("\x00a\x20\xac\xd8\x3d\xde\x00\xd8\x00\xff")); got != "a€😀�" {
		t.Errorf("%q", got)
	}
	if got := string(encodeUCS2("a€😀\xff")); got != "\x00a\x20\xac\x00_\x00_" {
		t.Errorf("%q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "name")
		name := JolietName(s)
		if strings.ContainsAny(name, "*/:;?\\\x00\n") || JolietName(name) != name {
			t.Fatalf("%q is %q", s, name)
		}
		if got := decodeUCS2(encodeUCS2(name)); got != name && !strings.ContainsFunc(name, func(r rune) bool { return r >= 0xd800 && r < 0xe000 }) {
			t.Fatalf("%q is read as %q", name, got)
		}
	})
}

func TestLess(t *testing.T) {
	// As ECMA-119 orders them: the name padded with spaces, the extension,
	// the version falling.
	want := []string{"A.;1", "A.TXT;2", "A.TXT;1", "A-B.TXT;1", "A0.;1", "AB.;1", "B", "B.C;1"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int {
		switch {
		case Less(Primary, []byte(a), []byte(b)):
			return -1
		case Less(Primary, []byte(b), []byte(a)):
			return 1
		}
		return 0
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !Less(Joliet, []byte(ucs("a-b.txt")), []byte(ucs("a.txt"))) || Less(Joliet, []byte(ucs("a")), []byte(ucs("B"))) {
		t.Error("Joliet names are not ordered as bytes")
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-C .;1]{0,4}`)
		a, b, c := []byte(name.Draw(t, "a")), []byte(name.Draw(t, "b")), []byte(name.Draw(t, "c"))
		if Less(Primary, a, b) && (Less(Primary, b, a) || Less(Primary, b, c) && !Less(Primary, a, c)) || Less(Primary, a, bytes.Clone(a)) {
			t.Fatalf("no order: %q %q %q", a, b, c)
		}
	})
}
