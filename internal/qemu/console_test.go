package qemu

import (
	"errors"
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[2J\x1b[01;01HBdsDxe\x1b[0m\r\n": "BdsDxe\n",
		"a\tb\nc\x00\x07\x7f":                 "a\tb\nc",
		"\x1b(Bx\x1b=y\x1b]":                  "xy",
		"caf\xc3\xa9 \xff":                    "café ?",
	} {
		if got := Plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestTextScreen(t *testing.T) {
	b := make([]byte, 80*25*2)
	for i, c := range "GNU GRUB" {
		b[160*2+2*i], b[160*2+2*i+1] = byte(c), 7
	}
	b[160*4] = 0xc9 // a frame
	if got := textScreen(b); got != "GNU GRUB\n\n." {
		t.Errorf("%q", got)
	}
	if got := textScreen(make([]byte, 4000)); got != "" {
		t.Errorf("%q", got)
	}
}

type fullWriter struct{ n int }

func (f *fullWriter) Write([]byte) (int, error) { f.n++; return 0, errors.New("full") }

// TestConsole: a copy that fails ends, and memory is bounded.
func TestConsole(t *testing.T) {
	w := &fullWriter{}
	c := console{copy: w}
	for range 20 {
		if n, err := c.Write([]byte(strings.Repeat("x", 1<<20))); n != 1<<20 || err != nil {
			t.Fatal(n, err)
		}
	}
	if w.n != 1 || len(c.buf) > maxConsole {
		t.Errorf("%d writes, %d bytes kept", w.n, len(c.buf))
	}
}

func TestArgs(t *testing.T) {
	m := &machine{dir: "/a,b", o: Options{Firmware: "x"}}
	if _, err := m.args("/i"); err == nil {
		t.Error("any firmware will do")
	}
	m.o = Options{Media: USB}
	args, err := m.args("/im,age")
	if s := strings.Join(args, " "); err != nil || !strings.Contains(s, "file=/im,,age,snapshot=on") || !strings.Contains(s, "unix:/a,,b/qmp") || !strings.Contains(s, "usb-storage") {
		t.Errorf("%q, %v", args, err)
	}
}
