package grubscript

import "testing"

func TestLegacy(t *testing.T) {
	const both = "title A\n kernel /a one\ntitle B\n root (cd)\n kernel --no-mem-option /b two\n initrd /i\n"
	for _, test := range []struct{ name, text, want string }{
		{"no timeout", both, "waits"},
		{"timeout", "timeout=3\ndefault = 1\n" + both, "starts 3 > B | b two"},
		{"beyond the list", "timeout 3\ndefault 7\n" + both, "starts 3 > A | a one (there is no entry 7, counted from 0)"},
		{"beyond the list with a fallback", "timeout 3\ndefault 7\nfallback 1\n" + both, "starts 3 > B | b two (there is no entry 7, counted from 0)"},
		{"saved", "timeout 3\ndefault saved\n" + both, "starts 3 > B | b two"},
		{"title without commands", "timeout 3\ntitle x\n" + both, "starts 3 > A | a one"},
		{"behind the entries", both + "timeout 3\n", "waits"},
		{"continued line", "timeout 3\ntitle A\nkernel /a \\\n one # two\n", "starts 3 > A | a one # two"},
		{"fallback", "timeout 3\nfallback 2\ntitle X\ninitrd /i\n" + both, "starts 3 > B | b two (falls back, as \"X\" starts nothing)"},
		{"another menu", "timeout 3\ntitle X\nconfigfile /next.lst\n", "waits > X"},
		{"waits for a key", "timeout 3\ntitle X\npause hello\nkernel /a\n", "waits > X (it asks for a key)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := at("pc", memory{"boot/grub/menu.lst": test.text, "boot/grub/default": "1\n#\n", "next.lst": both})
			f.Config = "/boot/grub/menu.lst"
			if got := said(EvaluateLegacy(f).Start); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	for text, want := range map[string]Language{
		"default=0\ntimeout=5\n#x\ntitle A\n": Legacy, "default=\"1\"\n\nfunction load_video {\n": Script, "set default=1\n": Script, "default=0\n": Unsure,
		"timeout 3\n": Legacy, "splashimage=(cd)/x\n": Legacy, "\n\tmenuentry 'x' {\n": Script, "": Unsure, "timeout=3\nmenuentry x {": Script,
	} {
		if got := Detect([]byte(text)); got != want {
			t.Errorf("%q is %d, not %d", text, got, want)
		}
	}
}

func TestLegacyEdits(t *testing.T) {
	const text = "default=0\r\ntimeout=5\r\ntitle A\r\n  kernel /a ro quiet\r\n  initrd /i\r\ntitle B\r\n  kernel /b\r\n"
	evaluate := func() *Result {
		f := at("pc", memory{"menu.lst": text})
		f.Config = "/menu.lst"
		return EvaluateLegacy(f)
	}
	r := evaluate()
	a, b := r.Menus[0].Entries[0], r.Menus[0].Entries[1]
	for _, test := range []struct {
		name, want string
		edits      func() ([]Edit, error)
	}{
		{"arguments", "default=0\r\ntimeout=5\r\ntitle A\r\n  kernel /a ro x=\"y z\" w\r\n  initrd /i\r\ntitle B\r\n  kernel /b v\r\n", func() ([]Edit, error) {
			return r.SetArgs(map[*Load][]string{a.Boots[0].Kernel: {"ro", `x="y z"`, "w"}, b.Boots[0].Kernel: {"v"}})
		}},
		{"default", "default=1\r\ntimeout=5\r\ntitle A\r\n  kernel /a ro quiet\r\n  initrd /i\r\ntitle B\r\n  kernel /b\r\n", func() ([]Edit, error) { return r.SetDefault(b) }},
		{"timeout", "default=0\r\ntimeout=9\r\ntitle A\r\n  kernel /a ro quiet\r\n  initrd /i\r\ntitle B\r\n  kernel /b\r\n", func() ([]Edit, error) { return r.SetTimeout(9) }},
	} {
		edits, err := test.edits()
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := edited(t, r, edits); got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
	if _, err := r.SetArgs(map[*Load][]string{a.Boots[0].Kernel: {"a b"}}); err == nil {
		t.Error("two words became one")
	}
}
