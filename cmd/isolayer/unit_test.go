package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/sink"
)

func TestSplitSpec(t *testing.T) {
	for _, c := range []struct{ in, a, b string }{
		{"ks.cfg", "ks.cfg", ""},
		{"ks.cfg:/x", "ks.cfg", "/x"},
		{"a:b:/c", "a:b", "/c"},
		{"a:/b:/c", "a:/b", "/c"},
		{`C:\x`, `C:\x`, ""},
		{"Foo::Bar.gz", "Foo::Bar.gz", ""},
		{"x:@efi", "x", "@efi"},
		{"x:@efi:/EFI/BOOT/", "x", "@efi:/EFI/BOOT/"},
		{"a:/b:@part2:/x", "a:/b", "@part2:/x"},
		{"a@efi:/x", "a@efi", "/x"},
		{`a\:/b`, "a:/b", ""},
		{`a\:/b:/c`, "a:/b", "/c"},
		{`a\\:/b`, `a\\`, "/b"},
		{"a:/", "a", "/"},
		{":/x", ":/x", ""},
		{"a:", "a:", ""},
		{"", "", ""},
	} {
		if a, b, _ := splitSpec(c.in); a != c.a || b != c.b {
			t.Errorf("splitSpec(%q) = %q, %q; want %q, %q", c.in, a, b, c.a, c.b)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"ks.cfg":        "ks.cfg",
		"naïve 文件 😀":    "naïve 文件 😀",
		"a\nb":          `a\nb`,
		"\x1b[31mred":   `\x1b[31mred`,
		"bad\xffbyte":   `bad\xffbyte`,
		"bidi\u202etxt": `bidi\u202etxt`,
		"tab\there":     `tab\there`,
	} {
		if got := name(in); got != want {
			t.Errorf("name(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestHints(t *testing.T) {
	for _, c := range []struct {
		err  error
		hint string
	}{
		{fmt.Errorf("x: %w", &sink.SpaceError{Needed: 3 << 20, Free: 1 << 20}), "3.0 MiB are needed, 1.0 MiB are free"},
		{fmt.Errorf("x: %w", iso9660.ErrTruncated), "not complete"},
		{fmt.Errorf("x: %w", sink.ErrSameFile), "another file"},
		{fmt.Errorf("x: %w", fs.ErrPermission), "permissions"},
		{usagef("do this", "wrong"), "do this"},
		{hinted{errors.New("x"), "do that"}, "do that"},
		{errors.New("x"), ""},
	} {
		if got := hintFor(c.err); c.hint == "" && got != "" || !strings.Contains(got, c.hint) {
			t.Errorf("hint for %v: %q, want %q", c.err, got, c.hint)
		}
	}
}

func TestModeString(t *testing.T) {
	for m, want := range map[uint32]string{
		0o100644: "-rw-r--r--", 0o040755: "drwxr-xr-x", 0o120777: "lrwxrwxrwx", 0o104711: "-rws--x--x",
		0o102644: "-rw-r-Sr--", 0o041777: "drwxrwxrwt", 0o020600: "crw-------", 0o000644: "?rw-r--r--",
	} {
		if got := modeString(m); got != want {
			t.Errorf("%o is %s, want %s", m, got, want)
		}
	}
}

// TestMeter checks that nothing is written where it would only disturb.
func TestMeter(t *testing.T) {
	var b bytes.Buffer
	m := newMeter(&b, progressAuto)
	m.start = m.start.Add(-time.Hour)
	m.at(1, 2)
	m.done()
	if b.Len() > 0 {
		t.Errorf("auto wrote %q to what is no terminal", b.String())
	}
	m = newMeter(&b, progressPlain)
	m.at(1, 2)
	if b.Len() > 0 {
		t.Errorf("plain wrote %q at once", b.String())
	}
	m.last = m.last.Add(-time.Hour)
	m.at(1<<20, 2<<20)
	if got := b.String(); got != "isolayer: 50 % of 2.0 MiB\n" {
		t.Errorf("plain wrote %q", got)
	}
}
