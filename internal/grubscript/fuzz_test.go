package grubscript

import "testing"

// FuzzEvaluate runs anything as a script and as a menu of GRUB legacy: it ends, every place
// that it names is in the text, and edits can be applied.
func FuzzEvaluate(f *testing.F) {
	for _, s := range []string{
		two, "timeout=1\nsubmenu 'x' { " + two + "}\n", "for f in /boot/*; do source $f; done", "while true; do x=\"$x$x\"; done\n", "function f { f; f; }\nf\n",
		"configfile /boot/grub/grub.cfg", "source /boot/grub/grub.cfg\n", "eval \"eval \\\"$0\\\"\"", "if cpuid -l; then a=b; elif x; then\nfalse\nelse\ntrue; fi",
		"menuentry a { configfile /boot/grub/grub.cfg }\ntimeout=0\n", "\\", "'", "\"$", "$\"a ${b} \\\" $c\"", "#\r\n#a\nx\x00y\n", "search --set=root --label a", "load_env", "}{;;&&",
		"until false; do break 2; continue; done", "menuentry --source 'linux /v' a", "regexp --set 1:x '(a)' a", "linux /a\nmodule /b\nboot", "title a\nkernel /v a \"b c\"\ntitle b\nconfigfile /boot/grub/grub.cfg\n", "default=1 \\\n2\ntimeout 0\ntitle", "submenu $\"x\" --class a --id=b {linux $1\n}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files := memory{"boot/grub/grub.cfg": text}
		f := at("pc", files)
		f.Config = "/boot/grub/grub.cfg"
		for _, r := range []*Result{Evaluate(f), EvaluateLegacy(f)} {
			want := map[*Load][]string{}
			for _, l := range r.loads() {
				for _, a := range l.Args {
					checkPlaces(t, a)
				}
				want[l] = append([]string{"x y"}, argTexts(l)...)
			}
			checkEdits(t, r, func() ([]Edit, error) { return r.SetArgs(want) })
			checkEdits(t, r, func() ([]Edit, error) { return r.SetTimeout(3) })
			if len(r.Menus) > 0 {
				checkEdits(t, r, func() ([]Edit, error) { return r.SetDefault(r.Menus[0].Entries[0]) })
				checkEdits(t, r, func() ([]Edit, error) { return r.AddEntry(r.Menus[0].Entries[0], "menuentry N { linux /n\n}") })
			}
		}
	})
}

// checkEdits: what edits were made of can be done.
func checkEdits(t *testing.T, r *Result, make func() ([]Edit, error)) {
	t.Helper()
	edits, err := make()
	if err != nil {
		return
	}
	if _, err := r.Apply(edits); err != nil {
		t.Fatal(err)
	}
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
