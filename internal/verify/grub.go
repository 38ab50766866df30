package verify

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// specials reports characters with a meaning in GRUB's language among what a kernel is
// given: the script goes on, or stops, where whoever wrote them wanted an argument. Judged
// by GRUB 2.06 and grub-script-check.
func (s *scanner) specials(name string, cfg *bootcfg.Config) {
	sev := Problem
	if cfg.Swept {
		sev = Notice
	}
	g := grubScan{text: cfg.File.Bytes(), line: 1, functions: bytes.Contains(cfg.File.Bytes(), []byte("function "))}
	for _, f := range g.run() {
		if f.comment {
			s.tell(Notice, name, f.line, "%s", f.text)
		} else {
			s.tell(sev, name, f.line, "%s", f.text)
		}
	}
}

var inBraces = regexp.MustCompile(`^\$\{[\w?#@*]+\}`)

// special is a character that does not mean itself.
type special struct {
	line    int
	text    string
	comment bool // it may well be meant
}

// grubScan reads a script of GRUB as far as quotes and the ends of commands go.
type grubScan struct {
	text      []byte
	pos, line int
	functions bool   // the script has functions, which have arguments of their own
	word      []byte // read so far
	name      string // of the command, once its word has ended
	out       []special
}

func (g *grubScan) run() []special {
	for g.pos < len(g.text) && len(g.out) < maxFindings {
		ch := g.text[g.pos]
		switch {
		case ch == '\\':
			g.take(2)
		case ch == '\'':
			g.quoted('\'')
		case ch == '"':
			g.quoted('"')
		case ch == '$':
			g.variable()
		case ch == ' ' || ch == '\t':
			g.endWord()
			g.pos++
		case ch == '#' && len(g.word) == 0:
			g.comment()
		case bytes.IndexByte([]byte("\n;{}&|<>"), ch) >= 0:
			g.delimiter(ch)
		default:
			g.take(1)
		}
	}
	return g.out
}

// take adds bytes to the word.
func (g *grubScan) take(n int) {
	n = min(n, len(g.text)-g.pos)
	part := g.text[g.pos : g.pos+n]
	g.line += bytes.Count(part, []byte("\n"))
	g.word = append(g.word, part...)
	g.pos += n
}

// quoted takes a text in quotes, in which only variables keep their meaning.
func (g *grubScan) quoted(quote byte) {
	g.take(1)
	for g.pos < len(g.text) {
		switch ch := g.text[g.pos]; {
		case ch == quote:
			g.take(1)
			return
		case ch == '\\' && quote == '"':
			g.take(2)
		case ch == '$' && quote == '"':
			g.variable()
		default:
			g.take(1)
		}
	}
	g.broken(quote)
}

// variable takes a dollar sign and what is in braces behind it. Those with digits are
// arguments of functions, elsewhere empty: what is left of passwords.
func (g *grubScan) variable() {
	rest := append(bytes.Clone(g.text[g.pos+1:min(g.pos+2, len(g.text))]), '\n')
	switch ch := rest[0]; {
	case ch >= '0' && ch <= '9':
		if g.loads() && !g.functions {
			g.tell("GRUB takes the $ for the name of a variable, which is empty: the kernel does not get it; write the argument in single quotes")
		}
	case ch == '{':
		if m := inBraces.Find(g.text[g.pos:]); m != nil {
			g.take(len(m))
			return
		}
		g.broken('$')
	case ch == '_', ch|0x20 >= 'a' && ch|0x20 <= 'z', bytes.IndexByte([]byte("?#@*"), ch) >= 0:
	default:
		g.broken('$')
	}
	g.take(1)
}

// broken reports a character that GRUB's parser gives up at.
func (g *grubScan) broken(ch byte) {
	if g.loads() {
		g.tell("GRUB makes a syntax error of the " + string(ch) + " and passes over the whole entry; write the argument in quotes")
	}
}

// comment passes over the rest of the line.
func (g *grubScan) comment() {
	end := bytes.IndexByte(g.text[g.pos:], '\n')
	if end < 0 {
		end = len(g.text) - g.pos
	}
	rest := strings.TrimLeft(string(g.text[g.pos:g.pos+end]), "#")
	if g.loads() && rest != "" && rest[0] != ' ' && rest[0] != '\t' && strings.Contains(rest, "=") {
		g.out = append(g.out, special{g.line, "GRUB takes what is behind the # for a comment: the kernel does not get it", true})
	}
	g.pos += end
}

// delimiter ends a command, which is no harm where one ends; glued to an argument of a kernel
// it was meant to be part of it.
func (g *grubScan) delimiter(ch byte) {
	glued := len(g.word) > 0
	next := byte('\n')
	if g.pos+1 < len(g.text) {
		next = g.text[g.pos+1]
	}
	closing := next == ' ' || next == '\t' || next == '\n' || next == '\r' || next == ';'
	g.endWord()
	if g.loads() {
		switch {
		case ch == ';' && glued && !closing && g.assigns():
			g.tell("GRUB ends the command at the ; and the kernel gets nothing of what is behind it; write the argument in quotes")
		case ch == '}' && !glued, ch == ';' && next != ';', ch == '\n':
		default:
			g.broken(ch)
		}
	}
	if ch == '\n' {
		g.line++
	}
	g.pos++
	g.name = ""
}

// assigns reports whether the word behind the delimiter looks like an argument.
func (g *grubScan) assigns() bool {
	rest := g.text[g.pos+1:]
	if end := bytes.IndexAny(rest, " \t\r\n;"); end >= 0 {
		rest = rest[:end]
	}
	return bytes.IndexByte(rest, '=') > 0
}

// endWord ends a word; the first one is the name of the command.
func (g *grubScan) endWord() {
	w := string(g.word)
	g.word = g.word[:0]
	if g.name != "" {
		return
	}
	switch w {
	case "", "if", "then", "else", "elif", "do", "while", "until", "!":
	default:
		g.name = w
	}
}

// loads reports a command that starts a kernel, or gives it something.
func (g *grubScan) loads() bool {
	name := strings.Trim(g.name, "${}")
	if strings.Contains(name, "=") {
		return false
	}
	for _, prefix := range []string{"linux", "initrd", "multiboot", "module", "xen_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// tell adds a finding, one of a kind for each line.
func (g *grubScan) tell(text string) {
	if n := len(g.out); n == 0 || g.out[n-1].line != g.line || g.out[n-1].text != text {
		g.out = append(g.out, special{line: g.line, text: text})
	}
}
