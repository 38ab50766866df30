package grubscript

import "testing"

// FuzzEvaluate runs anything: it ends, and every place it names is in the text.
func FuzzEvaluate(f *testing.F) {
	for _, s := range []string{
		two, "timeout=1\nsubmenu 'x' { " + two + "}\n", "for f in /boot/*; do source $f; done", "while true; do x=\"$x$x\"; done\n", "function f { f; f; }\nf\n",
		"configfile /boot/grub/grub.cfg", "source /boot/grub/grub.cfg\n", "eval \"eval \\\"$0\\\"\"", "if cpuid -l; then a=b; elif x; then\nfalse\nelse\ntrue; fi",
		"menuentry a { configfile /boot/grub/grub.cfg }\ntimeout=0\n", "\\", "'", "\"$", "$\"a ${b} \\\" $c\"", "#\r\n#a\nx\x00y\n", "search --set=root --label a", "load_env", "}{;;&&",
		"until false; do break 2; continue; done", "menuentry --source 'linux /v' a", "regexp --set 1:x '(a)' a", "linux /a\nmodule /b\nboot", "submenu $\"x\" --class a --id=b {linux $1\n}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := Evaluate(at("pc", memory{"boot/grub/grub.cfg": text}))
		for _, m := range r.Menus {
			for _, e := range m.Entries {
				for _, b := range e.Boots {
					for _, l := range b.Loads() {
						for _, a := range l.Args {
							checkPlaces(t, a)
						}
					}
				}
			}
		}
	})
}

func checkPlaces(t *testing.T, a Arg) {
	for _, f := range a.Word {
		if s := f.Span.Source; s != nil && (f.Span.Start < 0 || f.Span.End > len(s.Text) || f.Span.Start > f.Span.End) {
			t.Fatalf("%q is at %d to %d of %d bytes", f.Text, f.Span.Start, f.Span.End, len(s.Text))
		}
		if f.exact() && string(f.Span.Source.Text[f.Span.Start:f.Span.End]) != f.Text && f.Quote == Bare {
			t.Fatalf("%q is not what is written: %q", f.Text, f.Span.Source.Text[f.Span.Start:f.Span.End])
		}
	}
}
