package grubscript

import (
	"errors"
	"strings"
)

// kind is that of a token.
type kind byte

const (
	tokEnd kind = iota
	tokNewline
	tokSemicolon
	tokOpen  // {
	tokClose // }
	tokName  // a word that may name a variable
	tokWord
	tokReserved // if, then, …
	tokBad      // what no statement has: |, &&, <, …
)

// token is a piece of a script. Words have parts.
type token struct {
	kind       kind
	text       string // as written
	start, end int    // in the logical text
	parts      []part
}

// partKind is what a part of a word is.
type partKind byte

const (
	partText   partKind = iota
	partVar             // cut into words at blanks
	partDouble          // a variable in double quotes
)

// part is a piece of a word: a text, or a variable.
type part struct {
	kind   partKind
	frag   Frag   // of a text
	name   string // of a variable
	span   Span
	quoted bool // a text in quotes, which makes a word even if it is empty
}

// The words that are no commands where one begins.
var reserved = map[string]bool{
	"case": true, "do": true, "done": true, "elif": true, "else": true, "esac": true, "fi": true, "for": true, "if": true,
	"in": true, "select": true, "then": true, "until": true, "while": true, "function": true,
}

var errToken = errors.New("incorrect command")

// lexer cuts a source into tokens.
type lexer struct {
	src *Source
	s   string // the logical text
	pos int
}

func newLexer(src *Source) *lexer { return &lexer{src: src, s: string(src.logical)} }

// next returns the token at the position.
func (l *lexer) next() token {
	l.gap()
	start := l.pos
	if start >= len(l.s) {
		return token{kind: tokEnd, start: start, end: start}
	}
	switch c := l.s[start]; {
	case c == '\n':
		return l.take(tokNewline, 1)
	case c == ';' && !strings.HasPrefix(l.s[start:], ";;"):
		return l.take(tokSemicolon, 1)
	case c == '{':
		return l.take(tokOpen, 1)
	case c == '}':
		return l.take(tokClose, 1)
	case strings.IndexByte(";|&<>", c) >= 0:
		return l.take(tokBad, 1)
	}
	return l.word()
}

func (l *lexer) take(k kind, n int) token {
	t := token{kind: k, text: l.s[l.pos : l.pos+n], start: l.pos, end: l.pos + n}
	l.pos += n
	return t
}

// gap skips blanks and comments. A backslash in front of a line end begins a word.
func (l *lexer) gap() {
	for l.pos < len(l.s) {
		switch l.s[l.pos] {
		case ' ', '\t':
			l.pos++
		case '#':
			if n := strings.IndexByte(l.s[l.pos:], '\n'); n >= 0 {
				l.pos += n
			} else {
				l.pos = len(l.s)
			}
		default:
			return
		}
	}
}

// word takes a word with its quotes.
func (l *lexer) word() token {
	t := token{kind: tokWord, start: l.pos}
	var err error
	for l.pos < len(l.s) && err == nil && !wordEnd(l.s[l.pos]) {
		err = l.piece(&t)
	}
	t.end = l.pos
	t.text = l.s[t.start:t.end]
	switch {
	case err != nil:
		t.kind = tokBad
	case reserved[t.text]:
		t.kind = tokReserved
	case t.text == "[[" || t.text == "]]":
		t.kind = tokBad
	case isName(t.text):
		t.kind = tokName
	}
	return t
}

func wordEnd(c byte) bool { return strings.IndexByte("{}|&;<> \t\n", c) >= 0 }

// piece takes a part of a word outside of quotes.
func (l *lexer) piece(t *token) error {
	switch l.s[l.pos] {
	case '\'':
		return l.single(t)
	case '"':
		l.pos++
		return l.double(t)
	case '$':
		if strings.HasPrefix(l.s[l.pos:], `$"`) {
			l.pos += 2
			return l.gettext(t)
		}
		return l.variable(t, partVar)
	case '\\':
		return l.escape(t)
	}
	start := l.pos
	for l.pos < len(l.s) && !wordEnd(l.s[l.pos]) && strings.IndexByte(`'"$\`, l.s[l.pos]) < 0 {
		l.pos++
	}
	l.text(t, start, l.pos, l.s[start:l.pos], Bare)
	return nil
}

// text adds a text that is written from start to end.
func (l *lexer) text(t *token, start, end int, text string, q Quote) {
	span := l.src.span(start, end)
	t.parts = append(t.parts, part{frag: Frag{Text: text, Span: span, Quote: q}, span: span, quoted: q != Bare && q != Escaped})
}

// escape takes a backslash and what it stands in front of: nothing of a line end.
func (l *lexer) escape(t *token) error {
	if l.pos+1 >= len(l.s) {
		l.pos++
		return errToken
	}
	if l.s[l.pos+1] != '\n' {
		l.text(t, l.pos, l.pos+2, l.s[l.pos+1:l.pos+2], Escaped)
	}
	l.pos += 2
	return nil
}

func (l *lexer) single(t *token) error {
	l.pos++
	n := strings.IndexByte(l.s[l.pos:], '\'')
	if n < 0 {
		l.pos = len(l.s)
		return errToken
	}
	l.text(t, l.pos, l.pos+n, l.s[l.pos:l.pos+n], Single)
	l.pos += n + 1
	return nil
}

// double takes what stands in double quotes, behind the first of them.
func (l *lexer) double(t *token) error {
	l.text(t, l.pos, l.pos, "", Double)
	for l.pos < len(l.s) {
		switch rest := l.s[l.pos:]; {
		case rest[0] == '"':
			l.pos++
			return nil
		case rest[0] == '$':
			if err := l.variable(t, partDouble); err != nil {
				return l.lost(err)
			}
		case strings.HasPrefix(rest, "\\\n"):
			l.pos += 2
		case len(rest) > 1 && rest[0] == '\\' && strings.IndexByte(`$\"`, rest[1]) >= 0:
			l.text(t, l.pos, l.pos+2, rest[1:2], Double)
			l.pos += 2
		default:
			n := 1 + endOf(rest[1:], `"$\`)
			l.text(t, l.pos, l.pos+n, rest[:n], Double)
			l.pos += n
		}
	}
	return errToken
}

// lost skips a quoted text that cannot be read; its lines are gone as a whole.
func (l *lexer) lost(err error) error {
	for ; l.pos < len(l.s) && l.s[l.pos] != '"'; l.pos++ {
		if l.s[l.pos] == '\\' {
			l.pos++
		}
	}
	l.pos = min(l.pos+1, len(l.s))
	return err
}

// gettext takes what stands in $"…". GRUB translates it and then looks for variables,
// by other rules than in double quotes.
func (l *lexer) gettext(t *token) error {
	l.text(t, l.pos, l.pos, "", Gettext)
	for l.pos < len(l.s) {
		switch rest := l.s[l.pos:]; {
		case rest[0] == '"':
			l.pos++
			return nil
		case rest[0] == '$' && len(rest) > 1 && rest[1] != '@' && rest[1] != '*' && l.variable(t, partDouble) == nil:
		case strings.HasPrefix(rest, "\\\n"):
			l.pos += 2
		case len(rest) > 1 && rest[0] == '\\' && strings.IndexByte(`$\"`, rest[1]) >= 0:
			l.text(t, l.pos, l.pos+2, rest[1:2], Gettext)
			l.pos += 2
		default:
			n := 1 + endOf(rest[1:], `"$\`)
			l.text(t, l.pos, l.pos+n, rest[:n], Gettext)
			l.pos += n
		}
	}
	return errToken
}

// endOf returns where the first of the characters is in s, or its length.
func endOf(s, chars string) int {
	if n := strings.IndexAny(s, chars); n >= 0 {
		return n
	}
	return len(s)
}

// variable takes $name, ${name}, a number or one of ?, #, * and @. The position stays
// where it is if there is none.
func (l *lexer) variable(t *token, k partKind) error {
	name, n := variableAt(l.s[l.pos+1:])
	if n == 0 {
		if k == partVar {
			l.pos++
		}
		return errToken
	}
	t.parts = append(t.parts, part{kind: k, name: name, span: l.src.span(l.pos, l.pos+1+n)})
	l.pos += 1 + n
	return nil
}

// variableAt returns the name that s begins with and how many bytes it takes.
func variableAt(s string) (name string, n int) {
	if strings.HasPrefix(s, "{") {
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return "", 0
		}
		if name, n = variableAt(s[1:end]); n != end-1 || name == "" || s[1] == '{' {
			return "", 0
		}
		return name, end + 1
	}
	switch {
	case s == "":
		return "", 0
	case strings.IndexByte("?#*@", s[0]) >= 0:
		return s[:1], 1
	case digit(s[0]):
		for n < len(s) && digit(s[n]) {
			n++
		}
	case letter(s[0]):
		for n < len(s) && (letter(s[n]) || digit(s[n])) {
			n++
		}
	}
	return s[:n], n
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func isName(s string) bool {
	name, n := variableAt(s)
	return n > 0 && n == len(s) && letter(s[0]) && name == s
}
