package master

import (
	"errors"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// TestIdentifiers: identifiers as genisoimage 1.1.11 forms them.
func TestIdentifiers(t *testing.T) {
	full := iso9660.NamingRules{Length: iso9660.LengthFull}
	leading := iso9660.NamingRules{LeadingDot: true}
	whole := iso9660.NamingRules{Length: iso9660.LengthFull, Lowercase: true, Relaxed: true, ManyDots: true, LeadingDot: true, NoVersion: true, NoDot: true}
	for _, c := range []struct {
		rules       iso9660.NamingRules
		name        string
		file, inDir string
	}{
		{iso9660.NamingRules{}, "a.b.c.tar.gz", "A_B_C.TGZ;1", "A_B_C.TGZ"},
		{iso9660.NamingRules{}, ".tar.gz", "_TGZ.;1", "_TGZ"},
		{iso9660.NamingRules{}, "two..", "TWO._;1", "TWO._"},
		{iso9660.NamingRules{}, "trailing.", "TRAILING.;1", "TRAILING."},
		{iso9660.NamingRules{}, "\u00e9", "__.;1", "__"},
		{iso9660.NamingRules{NoDot: true}, "trailing.", "TRAILING.;1", "TRAILING."},
		{leading, ".bashrc", ".BAS;1", ".BAS"},
		{leading, "..dd", "_.DD;1", "_.DD"},
		{full, "aaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbb", "AAAAAAAAAAAAAAA.BBBBBBBBBBBBBBB;1", "AAAAAAAAAAAAAAAAAAAA.BBBBBBBBBB"},
		{full, "longstemname.tar.gz", "LONGSTEMNAME.TGZ;1", "LONGSTEMNAME.TGZ"},
		{whole, "two..", "two..", "two.."},
		{whole, "file.txt;12", "file.txt;12", "file.txt;12"},
	} {
		for _, dir := range []bool{false, true} {
			f := &identifiers{rules: c.rules, taken: map[string]bool{}, next: map[string]int{}}
			want := c.file
			if dir {
				want = c.inDir
			}
			if got, err := f.ID(c.name, dir); err != nil || string(got) != want {
				t.Errorf("%q, directory %v: %q, %v, want %q", c.name, dir, got, err, want)
			}
		}
	}
}

// TestIdentifiersTaken: names that come out the same get three digits, then more.
func TestIdentifiersTaken(t *testing.T) {
	f := &identifiers{taken: map[string]bool{}, next: map[string]int{}}
	for i, want := range []string{"12345678.ABC;1", "12345000.ABC;1", "12345001.ABC;1"} {
		if got, err := f.ID("123456789.abcd", false); err != nil || string(got) != want {
			t.Errorf("name %d: %q, %v, want %q", i, got, err, want)
		}
	}
	for range 2000 {
		if id, err := f.ID("123456789.abcd", false); err != nil || len(id) != len("12345678.ABC;1") {
			t.Fatalf("%q, %v", id, err)
		}
	}
}

// TestCharsets: names go into UTF-8 and back, and what does not fit is said.
func TestCharsets(t *testing.T) {
	for _, name := range []string{"iso8859-1", "ISO-8859-15", "latin1", "cp437", "IBM850", "windows-1252", "cp1252", "koi8-r", "KOI8_U", "macintosh", "cp10000", "shift_jis", "EUC-JP", "gbk", "big5", "us-ascii"} {
		c, err := CharsetOf(name)
		if err != nil || c == nil {
			t.Errorf("%s: %v, %v", name, c, err)
			continue
		}
		if s, err := c.Decode("plain"); s != "plain" || err != nil {
			t.Errorf("%s: ASCII becomes %q, %v", name, s, err)
		}
	}
	latin, _ := CharsetOf("iso8859-1")
	if s, err := latin.Decode("gr\xfcn"); s != "grün" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if s, err := latin.Encode("grün"); s != "gr\xfcn" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if _, err := latin.Encode("日本"); !errors.Is(err, ErrCoding) {
		t.Errorf("Japanese in Latin-1: %v", err)
	}
	ascii, _ := CharsetOf("us-ascii")
	if _, err := ascii.Decode("gr\xfcn"); !errors.Is(err, ErrCoding) {
		t.Errorf("Latin-1 in ASCII: %v", err)
	}
	if c, err := CharsetOf("UTF-8"); c != nil || err != nil {
		t.Errorf("UTF-8: %v, %v", c, err)
	}
	if _, err := CharsetOf("cp037"); !errors.Is(err, ErrCharset) {
		t.Errorf("a coding without ASCII: %v", err)
	}
	for _, name := range Charsets() {
		if _, err := CharsetOf(name); err != nil {
			t.Errorf("listed, but %v", err)
		}
	}
}
