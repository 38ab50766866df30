package grubscript

import (
	"slices"
	"strings"
	"testing"
)

// edited applies edits and returns the files that changed, in order of their names.
func edited(t *testing.T, r *Result, edits []Edit) string {
	t.Helper()
	texts, err := r.Apply(edits)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for key := range texts {
		names = append(names, key[1])
	}
	slices.Sort(names)
	var out []string
	for _, name := range names {
		out = append(out, string(texts[[2]string{"cd", name}]))
	}
	return strings.Join(out, "---\n")
}

func TestSetArgs(t *testing.T) {
	add := func(args []string) []string {
		if i := slices.Index(args, "---"); i >= 0 {
			return slices.Insert(slices.Clone(args), i, "a=b")
		}
		return append(slices.Clone(args), "a=b")
	}
	drop := func(args []string) []string {
		return slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "quiet" })
	}
	swap := func(args []string) []string {
		out := slices.Clone(args)
		for i, s := range out {
			if s == "quiet" {
				out[i] = "x y"
			}
		}
		return out
	}
	loud := func(args []string) []string {
		out := slices.Clone(args)
		for i, s := range out {
			if s == "quiet" {
				out[i] = "loud"
			}
		}
		return out
	}
	for _, test := range []struct {
		name, text, want string
		change           func([]string) []string
		only             string // title of the one entry to change
	}{
		{name: "at the end", text: "menuentry A {\n linux /v ro # c\n initrd /i\n}\n", change: add, want: "menuentry A {\n linux /v ro a=b # c\n initrd /i\n}\n"},
		{name: "in one line", text: "menuentry A { linux /v; }", change: add, want: "menuentry A { linux /v a=b; }"},
		{name: "before ---", text: "menuentry A { linux /v x --- y\n}\n", change: add, want: "menuentry A { linux /v x a=b --- y\n}\n"},
		{name: "before --- of a variable", text: "set o=\"x --- y\"\nmenuentry A { linux /v $o\n}\n", change: add, want: "set o=\"x a=b --- y\"\nmenuentry A { linux /v $o\n}\n"},
		{name: "behind an empty variable", text: "menuentry A { linux /v ro $none\n}\n", change: add, want: "menuentry A { linux /v ro $none a=b\n}\n"},
		{name: "remove", text: "menuentry A { linux /v ro quiet\n}\n", change: drop, want: "menuentry A { linux /v ro\n}\n"},
		{name: "remove where it is set", text: "k=\"quiet ro\"\nmenuentry A { linux /v ${k} x\n}\nmenuentry B { linux /v $k\n}\n", change: drop, want: "k=\"ro\"\nmenuentry A { linux /v ${k} x\n}\nmenuentry B { linux /v $k\n}\n"},
		{name: "remove in one entry", text: "k=\"quiet ro\"\nmenuentry A { linux /v ${k} x\n}\nmenuentry B { linux /v $k\n}\n", only: "A", change: drop, want: "k=\"quiet ro\"\nmenuentry A { linux /v ro x\n}\nmenuentry B { linux /v $k\n}\n"},
		{name: "replace where it is set", text: "k='quiet ro'\nmenuentry A { linux /v $k\n}\n", change: loud, want: "k='loud ro'\nmenuentry A { linux /v $k\n}\n"},
		{name: "replace by a word with a blank", text: "k='quiet ro'\nmenuentry A { linux /v $k\n}\n", change: swap, want: "k='quiet ro'\nmenuentry A { linux /v 'x y' ro\n}\n"},
		{name: "replace a word", text: "menuentry A { linux /v \"quiet\"\n}\n", change: swap, want: "menuentry A { linux /v 'x y'\n}\n"},
		{name: "eval", text: "e=\"menuentry A {\n linux /v \\\"ro\\\"\n}\"\neval \"$e\"\n", change: add, want: "e=\"menuentry A {\n linux /v \\\"ro\\\" a=b\n}\"\neval \"$e\"\n"},
		{name: "eval in single quotes", text: "eval 'menuentry A { linux /v quiet\n}'\n", change: swap, want: "eval 'menuentry A { linux /v '\\''x y'\\''\n}'\n"},
		{name: "function", text: "function f { menuentry $1 { shift; linux /v $@\n}\n}\nf A quiet\nf B\n", change: add, want: "function f { menuentry $1 { shift; linux /v $@ a=b\n}\n}\nf A quiet\nf B\n"},
		{name: "argument of a function", text: "function f { menuentry $1 \"$@\" { shift; shift; linux /v \"$@\"\n}\n}\nf A quiet\nf B quiet x\n", only: "A", change: loud, want: "function f { menuentry $1 \"$@\" { shift; shift; linux /v \"$@\"\n}\n}\nf A loud\nf B quiet x\n"},
		{name: "both branches", text: "menuentry A {\nif cpuid -l; then linux /v64 quiet; else linux /v32 quiet; fi\n}\n", change: drop, want: "menuentry A {\nif cpuid -l; then linux /v64; else linux /v32; fi\n}\n"},
		{name: "loop", text: "for k in a b; do menuentry $k { linux /v x\n}; done\n", change: add, want: "for k in a b; do menuentry $k { linux /v x a=b\n}; done\n"},
		{name: "one round of a loop", text: "for k in a b; do menuentry $k { linux /v x\n}; done\n", only: "a", change: add, want: "ERR"},
		{name: "continued line", text: "menuentry A {\n linux /v ro \\\n   quiet\n}\n", change: add, want: "menuentry A {\n linux /v ro \\\n   quiet a=b\n}\n"},
		{name: "line ends of DOS", text: "menuentry A {\r\n linux /v ro\r\n}\r\n", change: add, want: "menuentry A {\r\n linux /v ro a=b\r\n}\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Evaluate(at("pc", memory{"boot/grub/grub.cfg": test.text}))
			want := map[*Load][]string{}
			for _, e := range r.Entries() {
				if test.only == "" || e.Title == test.only {
					for _, b := range e.Boots {
						want[b.Kernel] = test.change(argTexts(b.Kernel))
					}
				}
			}
			edits, err := r.SetArgs(want)
			got := "ERR"
			if err == nil {
				got = edited(t, r, edits)
			}
			if got != test.want {
				t.Errorf("got  %q\nwant %q\n%v", got, test.want, err)
			}
		})
	}
}

func TestSetTimeout(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"set", "set timeout=5\n" + two, "set timeout=9\n" + two},
		{"without set", "timeout=\"5\"\n" + two, "timeout=9\n" + two},
		{"twice", "set timeout=5\n" + two + "timeout=6 # x\n", "set timeout=9\n" + two + "timeout=9 # x\n"},
		{"none", two, "set timeout=9\n" + two},
		{"of a variable", "t=5\nset timeout=$t\n" + two, "t=5\nset timeout=9\n" + two},
		{"under a condition", "if cpuid -l; then timeout=5; else timeout=6; fi\n" + two, "if cpuid -l; then timeout=9; else timeout=9; fi\n" + two},
		{"removed", "timeout=1\nunset timeout\n" + two, "timeout=9\nunset timeout\n" + two + "set timeout=9\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Evaluate(at("pc", memory{"boot/grub/grub.cfg": test.text}))
			edits, err := r.SetTimeout(9)
			if err != nil {
				t.Fatal(err)
			}
			if got := edited(t, r, edits); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestSetDefault(t *testing.T) {
	for _, test := range []struct{ name, text, title, want string }{
		{"by id", "set default=0\n" + two, "B", "set default=b\n" + two},
		{"by title", "default=\"1\"\n" + two, "A", "default=A\n" + two},
		{"none", two, "B", "set default=b\n" + two},
		{"submenu", "default=0\nmenuentry x { linux /x\n}\nsubmenu 'S t' {\n" + two + "}\n", "B", "default='S t>B'\nmenuentry x { linux /x\n}\nsubmenu 'S t' {\n" + two + "}\n"},
		{"title twice", "default=0\n" + "menuentry 'A' { linux /x\n}\n" + "menuentry 'A' { linux /y\n}\n", "A", "default=A\n" + "menuentry 'A' { linux /x\n}\n" + "menuentry 'A' { linux /y\n}\n"},
		{"digit in front", "default=0\nmenuentry x { linux /x\n}\nmenuentry '2nd' { linux /y\n}\n", "2nd", "default=1\nmenuentry x { linux /x\n}\nmenuentry '2nd' { linux /y\n}\n"},
		{"of a variable", "load_env\nset default=\"${saved_entry}\"\n" + two, "B", "load_env\nset default=b\n" + two},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Evaluate(at("pc", memory{"boot/grub/grub.cfg": test.text}))
			var path []*Entry
			r.walk(func(p []*Entry, e *Entry) {
				if e.Title == test.title && path == nil {
					path = append(slices.Clone(p), e)
				}
			})
			edits, err := r.SetDefault(path...)
			if err != nil {
				t.Fatal(err)
			}
			if got := edited(t, r, edits); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestAddEntry(t *testing.T) {
	const added = "menuentry 'N' { linux /n }"
	for _, test := range []struct{ name, text, behind, want string }{
		{"default by number", "timeout=1\ndefault=1\n" + two, "A", "timeout=1\ndefault=b\nmenuentry 'A' { linux /a one }\n" + added + "\nmenuentry 'B' --id b { linux /b two }\n"},
		{"behind the default", "timeout=1\ndefault=1\n" + two, "B", "timeout=1\ndefault=1\n" + two + added + "\n"},
		{"default by id", "default=b\n" + two, "A", "default=b\nmenuentry 'A' { linux /a one }\n" + added + "\nmenuentry 'B' --id b { linux /b two }\n"},
		{"no names", "default=1\nmenuentry 1 { linux /a\n}\nmenuentry 2 { linux /b\n}\n", "1", "default=2\nmenuentry 1 { linux /a\n}\n" + added + "\nmenuentry 2 { linux /b\n}\n"},
		{"in a submenu", "timeout=1\ndefault='0>1'\nsubmenu S {\n" + two + "}\n", "A", "timeout=1\ndefault='S>B'\nsubmenu S {\nmenuentry 'A' { linux /a one }\n" + added + "\nmenuentry 'B' --id b { linux /b two }\n}\n"},
		{"titles twice", "default=1\ntimeout=1\nmenuentry X { linux /a\n}\nmenuentry X { linux /b\n}\n", "X", "default=2\ntimeout=1\nmenuentry X { linux /a\n}\n" + added + "\nmenuentry X { linux /b\n}\n"},
		{"in a loop", "for x in 1 2; do menuentry $x { linux /v\n}; done\n", "1", "ERR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Evaluate(at("pc", memory{"boot/grub/grub.cfg": test.text}))
			i := slices.IndexFunc(r.Entries(), func(e *Entry) bool { return e.Title == test.behind })
			edits, err := r.AddEntry(r.Entries()[i], added)
			got := "ERR"
			if err == nil {
				got = edited(t, r, edits)
			}
			if got != test.want {
				t.Errorf("got  %q\nwant %q\n%v", got, test.want, err)
			}
		})
	}
}
