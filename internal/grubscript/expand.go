package grubscript

import (
	"strings"
	"unicode/utf8"
)

// atom is a fragment of a word that is being put together. Stars in it stand for names
// where it is active.
type atom struct {
	Frag
	active bool
}

// arg is a word of a command after expansion.
type arg struct {
	word   Word
	from   *word // as it is written
	shared bool  // others came of the same
}

// expand makes the arguments of words: variables become their values, those outside of
// quotes are cut at blanks, empty words outside of quotes go, and stars become names.
func (m *machine) expand(words []word) (out []arg, body *block) {
	for i := range words {
		w := &words[i]
		if w.block != nil {
			body = w.block
			continue
		}
		from := len(out)
		for _, atoms := range m.words(w.parts) {
			for _, x := range m.glob(atoms) {
				if len(out) >= maxArgs {
					m.limit(w.span)
					return out, body
				}
				out = append(out, arg{word: x, from: w})
			}
		}
		for j := from; j < len(out); j++ {
			out[j].shared = len(out)-from > 1
		}
	}
	return out, body
}

// maxArgs is how many words a command has at most; maxValue, how long a value is, with
// something for each of its fragments.
const (
	maxArgs  = 1 << 14
	maxValue = 1 << 18
	perFrag  = 64
)

// builder puts words together. A nil word is one that is not there yet.
type builder struct {
	out  [][]atom
	cur  []atom
	real bool // the current word is one, even if it is empty
	size int
}

func (b *builder) add(a atom) {
	if b.size += len(a.Text) + perFrag; b.size > maxValue {
		return
	}
	b.real = true
	if a.Text != "" || a.Unknown != "" {
		b.cur = append(b.cur, a)
	}
}

// next ends the current word if there is one.
func (b *builder) next() {
	if b.real {
		b.out = append(b.out, b.cur)
	}
	b.cur, b.real = nil, false
}

// words makes the words of one that is written, without names for stars.
func (m *machine) words(parts []part) [][]atom {
	b := &builder{}
	for i, p := range parts {
		switch p.kind {
		case partText:
			if m.fw.RedHat && hexBehind(parts[i:]) {
				p.frag.Text = `\x`
			}
			if p.quoted || p.frag.Text != "" {
				b.add(atom{p.frag, p.frag.Quote == Bare})
			}
		case partDouble:
			m.double(b, p.name)
		case partVar:
			m.split(b, p.name)
		}
	}
	b.next()
	if m.budget.bytes -= b.size; b.size > maxValue || m.budget.bytes < 0 {
		m.limit(parts[0].span)
	}
	return b.out
}

// hexBehind reports a character that is written as \xHH outside of quotes, which Red Hat's
// GRUBs leave as it is: udev writes labels so.
func hexBehind(parts []part) bool {
	if len(parts) < 2 || parts[0].frag.Quote != Escaped || parts[0].frag.Text != "x" {
		return false
	}
	next := parts[1].frag
	return next.Quote == Bare && len(next.Text) > 1 && isHex(next.Text[0]) && isHex(next.Text[1])
}

// double adds a variable in double quotes: as it is; $@ makes words of its own.
func (m *machine) double(b *builder, name string) {
	for i, w := range m.value(name) {
		switch {
		case i > 0 && name == "@":
			b.next()
		case i > 0:
			b.add(atom{Frag{Text: " "}, false})
		}
		if name == "@" {
			b.real = true
		}
		for _, f := range w {
			b.add(atom{f, false})
		}
	}
}

// split adds a variable outside of quotes: its words.
func (m *machine) split(b *builder, name string) {
	for i, w := range m.value(name) {
		if i > 0 {
			b.next()
		}
		m.cutBlanks(b, w)
	}
}

// cutBlanks adds the words of a value. Blanks in front of the first and behind the last
// do not end a word.
func (m *machine) cutBlanks(b *builder, w Word) {
	started, gap := false, false
	for _, f := range w {
		if f.Unknown != "" {
			b.add(atom{f, false})
			started = true
			continue
		}
		for i := 0; i < len(f.Text); {
			if space(f.Text[i]) {
				gap = started
				i++
				continue
			}
			j := i
			for j < len(f.Text) && !space(f.Text[j]) {
				j++
			}
			if gap {
				b.next()
				gap = false
			}
			b.add(atom{f.cut(i, j), true})
			started = true
			i = j
		}
	}
}

func space(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// glob replaces a word with stars by the names of files that it fits, and takes the
// backslashes in front of stars away.
func (m *machine) glob(atoms []atom) []Word {
	w := make(Word, 0, len(atoms))
	var pattern strings.Builder // with \ in front of what is meant as it is
	stars := false
	for _, a := range atoms {
		w = append(w, a.Frag)
		for _, r := range a.Text {
			star := r == '*' || r == '?'
			stars = stars || star && a.active
			if (star || r == '\\') && !(star && a.active) {
				pattern.WriteByte('\\')
			}
			pattern.WriteRune(r)
		}
	}
	text := w.String()
	if !stars || !utf8.ValidString(text) || strings.IndexByte("/(*", text[0]) < 0 || w.Unknown() != "" {
		return []Word{w}
	}
	if !m.regexps {
		m.remark(m.here, "stars stand for names of files only where GRUB has loaded its module regexp")
	}
	names := m.names(pattern.String())
	if len(names) == 0 {
		return []Word{w}
	}
	out := make([]Word, len(names))
	for i, name := range names {
		out[i] = Word{{Text: name, Via: w[0].Via}}
	}
	return out
}
