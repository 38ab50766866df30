package bootcfg

import "strings"

// lexer cuts a text into commands. Nothing is lost: what it returns, put together
// again, is the text.
type lexer struct {
	text  string
	pos   int
	line  int
	count int // words
}

// lines cuts the formats that have a command in each line.
func (l *lexer) lines(format Format) []*command {
	var out []*command
	help := false // inside a text that syslinux shows
	for l.pos < len(l.text) {
		line := l.text[l.pos:]
		if i := strings.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		c := &command{line: l.line}
		l.pos += len(line)
		l.line++
		if l.count > maxWords {
			c.tail = line
			out = append(out, c)
			continue
		}
		text := strings.TrimRight(line, "\r\n\x00\x1a")
		first := strings.TrimLeft(text, " \t")
		switch {
		case help:
			help = !strings.EqualFold(strings.TrimSpace(text), "endtext")
			c.tail = line
		case strings.HasPrefix(first, "#") && format != Parm:
			c.tail = line
		default:
			c.words = words(text, format)
			c.quoted = format == REFInd && len(c.words) > 0 && (c.is(0, "options", "add_options") || strings.HasPrefix(c.words[0].raw, `"`))
			c.key = (format == ESXi || format == Limine) && len(c.words) > 0 && strings.HasSuffix(c.words[0].raw, "=")
			n := 0
			for _, w := range c.words {
				n += len(w.gap) + len(w.raw)
			}
			c.tail = line[n:]
			help = format == Syslinux && c.is(0, "text") && c.is(1, "help")
		}
		l.count += len(c.words) + 1
		out = append(out, c)
	}
	return out
}

// words cuts a line as its format wants.
func words(text string, format Format) []word {
	switch format {
	case REFInd:
		out, _ := splitQuoted(text)
		return out
	case Limine:
		if first := strings.TrimLeft(text, " \t"); strings.HasPrefix(first, "/") || strings.HasPrefix(first, ":") {
			return []word{{text[:len(text)-len(first)], strings.TrimRight(first, " \t")}}
		}
	}
	return split(text, format)
}

// split cuts a line at its blanks, but not at those in double quotes, which
// kernels read so. A key that ends with an equals sign is a word of its own where
// the format has such keys.
func split(text string, format Format) []word {
	var out []word
	for pos := 0; pos < len(text); {
		from := pos
		for pos < len(text) && blank(text[pos]) {
			pos++
		}
		gap := text[from:pos]
		from = pos
		for pos < len(text) && !blank(text[pos]) {
			if text[pos] == '"' {
				if end := strings.IndexByte(text[pos+1:], '"'); end >= 0 {
					pos += end + 1
				}
			}
			pos++
		}
		if from == pos {
			break
		}
		raw := text[from:pos]
		if n := keyLen(raw); n > 0 && len(out) == 0 && (format == ESXi || format == Legacy || format == Limine) {
			out = append(out, word{gap, raw[:n]})
			if gap, raw = "", raw[n:]; raw == "" {
				continue
			}
		}
		out = append(out, word{gap, raw})
	}
	return out
}

// keyLen is the length of "key=" at the beginning of s, 0 without one.
func keyLen(s string) int {
	i := strings.IndexByte(s, '=')
	if i <= 0 || strings.ContainsAny(s[:i], `/"()`) {
		return 0
	}
	return i + 1
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// script cuts GRUB's language: commands end at line ends, semicolons and braces.
func (l *lexer) script() []*command {
	var out []*command
	c := &command{line: 1}
	depth := 0
	end := func(tail string) {
		l.count++
		c.tail = tail
		if len(c.words) > 0 && c.words[0].raw == "}" {
			depth = max(0, depth-1)
		}
		c.depth = depth
		if n := len(c.words); n > 0 && c.words[n-1].raw == "{" {
			depth++
		}
		out = append(out, c)
		c = &command{line: l.line}
	}
	for l.pos < len(l.text) && l.count <= maxWords {
		gap := l.gap()
		if l.pos == len(l.text) {
			end(gap)
			return out
		}
		if tail := l.separator(); tail != "" {
			end(gap + tail)
			continue
		}
		l.count++
		raw := l.word()
		if raw == "}" && len(c.words) > 0 {
			end("")
		}
		if len(c.words) == 0 {
			c.line = l.line
		}
		c.words = append(c.words, word{gap, raw})
		if (raw == "{" || raw == "}") && !l.more() {
			end("")
		}
	}
	if l.pos < len(l.text) {
		c.tail = l.text[l.pos:]
		l.pos = len(l.text)
	}
	if len(c.words) > 0 || c.tail != "" {
		end(c.tail)
	}
	return out
}

// separator takes what ends a command: a line end, perhaps with a comment in front, or a
// semicolon. It is empty where a word begins.
func (l *lexer) separator() string {
	n := 0
	switch rest := l.text[l.pos:]; rest[0] {
	case '#':
		if n = strings.IndexByte(rest, '\n') + 1; n == 0 {
			n = len(rest)
		}
	case '\n', ';':
		n = 1
	}
	tail := l.text[l.pos : l.pos+n]
	l.skip(n)
	return tail
}

// more reports whether anything but a separator follows on this line.
func (l *lexer) more() bool {
	rest := strings.TrimLeft(l.text[l.pos:], " \t\r")
	return rest != "" && strings.IndexByte("\n;#", rest[0]) >= 0
}

// gap takes blanks and line ends behind a backslash.
func (l *lexer) gap() string {
	from := l.pos
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case blank(rest[0]):
			l.pos++
		case strings.HasPrefix(rest, "\\\n"):
			l.pos += 2
			l.line++
		case strings.HasPrefix(rest, "\\\r\n"):
			l.pos += 3
			l.line++
		default:
			return l.text[from:l.pos]
		}
	}
	return l.text[from:]
}

// word takes a word with its quotes.
func (l *lexer) word() string {
	from := l.pos
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		switch {
		case blank(c) || c == '\n' || c == ';':
			return l.text[from:l.pos]
		case c == '\\':
			l.skip(2)
		case c == '\'':
			l.skip(1)
			for l.pos < len(l.text) && l.text[l.pos] != '\'' {
				l.skip(1)
			}
			l.skip(1)
		case c == '"':
			l.skip(1)
			for l.pos < len(l.text) && l.text[l.pos] != '"' {
				if l.text[l.pos] == '\\' {
					l.skip(1)
				}
				l.skip(1)
			}
			l.skip(1)
		default:
			l.pos++
		}
	}
	return l.text[from:]
}

// skip takes n bytes, which may be line ends.
func (l *lexer) skip(n int) {
	for ; n > 0 && l.pos < len(l.text); n-- {
		if l.text[l.pos] == '\n' {
			l.line++
		}
		l.pos++
	}
}
