package bootcfg

import (
	"strings"
	"testing"
)

// FuzzConfig reads anything as any language: nothing is lost, and edits neither fail in
// odd ways nor add up.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"label a\n menu label ^b\n kernel v\n append x --- y\n", "menuentry 'a' { linux /v \"b c\"; }\n# x\n}", "title a\nkernel=/v x\n",
		"linux /v\noptions a\n", "ro\n", "kernelopt=a b\r\n", "text help\nappend\nendtext", "kernelopt=", "submenu x { menuentry y { linux $a ${b} \\\n c\n} }", "'\"\\", "search --set=root -l 'a b'",
	} {
		for format := range formats {
			f.Add(byte(format), s, "a=b")
		}
	}
	f.Fuzz(func(t *testing.T, format byte, text, spec string) {
		c, err := Parse(formats[int(format)%len(formats)], []byte(text))
		if err != nil {
			return
		}
		if string(c.Bytes()) != text {
			t.Fatalf("%q became %q", text, c.Bytes())
		}
		c.Refs()
		for _, e := range c.Entries() {
			e.Arguments(c)
		}
		k, err := ParseKarg(spec)
		if err != nil {
			return
		}
		if _, err := c.Karg(k); err != nil {
			return
		}
		once := string(c.Bytes())
		again, err := Parse(c.Format(), []byte(once))
		if err != nil {
			return
		}
		if _, err := again.Karg(k); err == nil && string(again.Bytes()) != once && !strings.ContainsAny(text+spec, "\"\\'{}#;$\n\r\x00\x1a") {
			t.Errorf("twice: %q became %q", once, again.Bytes())
		}
		if _, err := c.Relabel("a", "b c"); err != nil {
			return
		}
		c.Timeout(5, true)
		for _, e := range c.Entries() {
			_ = c.AddEntry(e, "t", []Karg{k})
			c.Default(e, true)
			break
		}
		c.Bytes()
	})
}
