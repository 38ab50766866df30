package grubscript

import "strings"

// Quote is how a text is written in a source.
type Quote byte

// The ways of writing.
const (
	Bare    Quote = 0    // as it is
	Escaped Quote = '\\' // one character behind a backslash
	Double  Quote = '"'  // in double quotes
	Single  Quote = '\'' // in single quotes
	Gettext Quote = '$'  // in double quotes behind a dollar, to be translated
)

// Frag is a piece of a value that is written in one place. Where the range is as long as
// the text, each byte of one is a byte of the other.
type Frag struct {
	Text  string
	Span  Span // empty for what GRUB computed
	Quote Quote
	// Via are the variables that the text came through, the one that was used last
	// behind the others.
	Via []*Assignment
	// Unknown says what the text depends on, where it is known at the machine only.
	Unknown string
}

// exact reports whether bytes of the text are bytes of the source.
func (f Frag) exact() bool {
	return f.Span.Source != nil && f.Span.End-f.Span.Start == len(f.Text) && f.Unknown == ""
}

// cut returns the piece from i to j.
func (f Frag) cut(i, j int) Frag {
	if i == 0 && j == len(f.Text) {
		return f
	}
	out := f
	out.Text = f.Text[i:j]
	if f.exact() {
		out.Span.Start, out.Span.End = f.Span.Start+i, f.Span.Start+j
	}
	return out
}

// through returns the fragment with one more variable that it came through.
func (f Frag) through(a *Assignment) Frag {
	if len(f.Via) < maxVia {
		f.Via = append(f.Via[:len(f.Via):len(f.Via)], a)
	}
	return f
}

// maxVia is how many variables on the way of a value are kept.
const maxVia = 8

// Word is a value with the places it was written in.
type Word []Frag

func (w Word) String() string {
	if len(w) == 1 {
		return w[0].Text
	}
	var b strings.Builder
	for _, f := range w {
		b.WriteString(f.Text)
	}
	return b.String()
}

// Unknown returns what the value depends on; empty if it is known.
func (w Word) Unknown() string {
	for _, f := range w {
		if f.Unknown != "" {
			return f.Unknown
		}
	}
	return ""
}

// from returns the word without its first n bytes.
func (w Word) from(n int) Word { return w.cut(n, len(w.String())) }

// cut returns the bytes from i to j.
func (w Word) cut(i, j int) Word {
	out := Word{}
	for _, f := range w {
		n := len(f.Text)
		if a, b := max(i, 0), min(j, n); a < b {
			out = append(out, f.cut(a, b))
		}
		i, j = i-n, j-n
	}
	return out
}

// plain makes a value of what GRUB computed.
func plain(s string) Word { return Word{{Text: s}} }

// join puts values together with a blank between them.
func join(words []Word) Word {
	var out Word
	for i, w := range words {
		if i > 0 {
			out = append(out, Frag{Text: " "})
		}
		out = append(out, w...)
	}
	return out
}

func texts(words []Word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.String()
	}
	return out
}

// Assignment is an event that gave a variable a value.
type Assignment struct {
	Name  string
	Value Word
	How   string // set, = without set, or the command that did it
	Span  Span   // the command
	// Written is the value as it stands in the command, behind the equals sign; without
	// a source where a command computed the value.
	Written Span
	Unset   bool
}
