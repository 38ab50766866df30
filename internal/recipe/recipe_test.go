package recipe

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sample = "# syntax is a comment\nARG V=1\n\nFROM base.iso@sha256:" + "abc" + ` AS first
  # indented comment
copy --chmod=0600 --chown=1:2 a "b c" 'd$x' /dst/
RUN echo one \
    # inside
    two \

    three
RUN <<EOF
set -e
echo "$x" # kept
EOF
COPY <<-'END' <<other /etc/
	tab $x
	END
text $x
other
ENV A=1 B="two words"
KARG console=ttyS0,115200 ds=nocloud;s=/x/ -quiet
COPY ["a b", "/c"]
FROM scratch
REMOVE /a/**
`

// TestParse reads everything that an Isofile can have.
func TestParse(t *testing.T) {
	r, err := Parse("Isofile", []byte(strings.ReplaceAll(sample, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	show := func(i Instruction) {
		line := i.Name
		for _, f := range i.Flags {
			line += " --" + f.Name + "=" + f.Value
		}
		for _, w := range i.Words {
			line += "|" + w
		}
		if i.Name == "RUN" {
			line = i.Name + " " + i.Rest
		}
		for _, d := range i.Docs {
			line += "\n" + d.Text
		}
		got = append(got, line)
	}
	for _, a := range r.Args {
		show(a)
	}
	for _, s := range r.Stages {
		got = append(got, "stage "+s.Name)
		show(s.From)
		for _, i := range s.Steps {
			show(i)
		}
	}
	want := []string{
		"ARG|V=1", "stage first", "FROM|base.iso@sha256:abc|AS|first",
		`COPY --chmod=0600 --chown=1:2|a|"b c"|'d$x'|/dst/`,
		"RUN echo one     two     three",
		"RUN <<EOF\nset -e\necho \"$x\" # kept\n",
		"COPY|<<-'END'|<<other|/etc/\ntab $x\n\ntext $x\n",
		`ENV|A=1|B="two words"`, "KARG|console=ttyS0,115200|ds=nocloud;s=/x/|-quiet", "COPY|a b|/c",
		"stage ", "FROM|scratch", "REMOVE|/a/**",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if i := r.Stages[0].Steps[2]; i.Line != 12 || i.Text != "RUN <<EOF" || !i.Docs[0].Expand {
		t.Errorf("%+v", i)
	}
	if r.Stages[0].Steps[3].Docs[0].Expand {
		t.Error("a quoted name does not expand")
	}
}

// TestExpand: words are what a shell would make of them.
func TestExpand(t *testing.T) {
	v := Vars{"x": "value", "e": ""}
	for word, want := range map[string]string{
		"$x": "value", "a${x}b": "avalueb", `"$x y"`: "value y", `'$x'`: "$x", `\$x`: "$x", `a\ b`: "a b",
		"${n:-other}": "other", "${x:-other}": "value", "${x:+set}": "set", "${n:+set}": "", "$n": "", "100%": "100%",
		"ds=nocloud;s=/x/": "ds=nocloud;s=/x/", "*.rpm": "*.rpm", "{{name}}": "{{name}}", `"a\"b"`: `a"b`, "$(id)": "$(id)", "`id`": "`id`",
		"a\"b\"'c'd": "abcd", "ünï": "ünï",
	} {
		if got, err := v.Expand(word); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", word, got, err, want)
		}
	}
}

// TestErrors: each names file and line.
func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "f:1: cannot be read: no FROM",
		"COPY a b":                           "f:1: cannot be read: only ARG may stand in front of FROM\n    COPY a b",
		"FROM a\n\nCPOY a b":                 "f:3: cannot be read: unknown instruction CPOY (did you mean COPY?)\n    CPOY a b",
		"FROM a b":                           "f:1: cannot be read: FROM takes an image",
		"FROM a AS x\nFROM b AS x":           "f:2: cannot be read: there is a stage \"x\" already",
		"FROM a\nCOPY --mode=1 a b":          "f:2: cannot be read: COPY has no --mode",
		"FROM a\nCOPY \"a b":                 "f:2: cannot be read: a quote \" is not closed",
		"FROM a\nRUN <<EOF\nx\n":             "f:2: cannot be read: the here-document does not end: no line \"EOF\"",
		"FROM a\nREMOVE":                     "f:2: cannot be read: REMOVE needs arguments",
		"FROM a\nRUN x\x00":                  "f:1: cannot be read: it is not text in UTF-8",
		"FROM a\n" + strings.Repeat("x", 20): "f:2: cannot be read: unknown instruction",
	} {
		_, err := Parse("f", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestRender: values go in, all else stays, an unknown name is an error.
func TestRender(t *testing.T) {
	text := "a {{x}}{{ y }}\n${x} {% }}\n{{"
	got, err := Render("f", text, map[string]string{"x": "1", "y": "{{x}}"})
	if want := "a 1{{x}}\n${x} {% }}\n{{"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	var at *Error
	if _, err := Render("f", "\n\n{{nope}}", nil); !errors.As(err, &at) || at.Line != 3 {
		t.Errorf("%v", err)
	}
}

// FuzzParse: no text makes reading go wrong.
func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("FROM a\nCOPY <<EOF /x\n$y\nEOF\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse("f", []byte(text))
		if err != nil {
			var at *Error
			if !errors.As(err, &at) || at.Line < 1 {
				t.Errorf("without a place: %v", err)
			}
			return
		}
		for _, s := range r.Stages {
			for k := range s.Steps {
				i := &s.Steps[k]
				_, _ = Vars{"x": "1"}.Words(i)
				for _, d := range i.Docs {
					_, _ = Vars{}.Doc(d)
				}
			}
		}
		_, _ = Render("f", text, map[string]string{"x": "1"})
	})
}
