package recipe

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDocs bounds the here-documents of one instruction.
const maxDocs = 64

// reader goes through the lines of a file.
type reader struct {
	file  string
	lines []string
	next  int
}

// split cuts a file into instructions: comments go, continued lines join, here-documents
// are taken up.
func split(file, content string) ([]Instruction, error) {
	content = strings.TrimPrefix(content, "\ufeff")
	if i := strings.IndexByte(content, 0); i >= 0 || !utf8.ValidString(content) {
		return nil, &Error{file, 1, "", fmt.Errorf("%w: it is not text in UTF-8", ErrSyntax)}
	}
	r := &reader{file: file, lines: strings.Split(strings.ReplaceAll(content, "\r\n", "\n"), "\n")}
	var out []Instruction
	for r.next < len(r.lines) {
		text, line := r.logical()
		if text == "" {
			continue
		}
		i := Instruction{Line: line, Text: strings.TrimSpace(r.lines[line-1])}
		err := i.parse(text)
		if err == nil {
			err = r.docs(&i)
		}
		if err != nil {
			return nil, &Error{file, line, i.Text, err}
		}
		out = append(out, i)
	}
	return out, nil
}

// logical is the next line with those that continue it, without comments; "" for none.
func (r *reader) logical() (text string, line int) {
	line = r.next + 1
	for r.next < len(r.lines) {
		l := r.lines[r.next]
		r.next++
		if trimmed := strings.TrimSpace(l); strings.HasPrefix(trimmed, "#") || trimmed == "" && text != "" {
			if text == "" {
				return "", line
			}
			continue // comments and empty lines inside a continued one
		}
		cut, more := strings.CutSuffix(strings.TrimRight(l, " \t"), "\\")
		if text += cut; !more {
			break
		}
	}
	return strings.TrimSpace(text), line
}

// parse takes the words of an instruction apart.
func (i *Instruction) parse(text string) error {
	name, rest, _ := strings.Cut(text, " ")
	if k := strings.IndexAny(text, " \t"); k >= 0 {
		name, rest = text[:k], text[k:]
	}
	i.Name = strings.ToUpper(name)
	rest = strings.TrimSpace(rest)
	for strings.HasPrefix(rest, "--") {
		word, after, err := cutWord(rest)
		if err != nil {
			return err
		}
		flag, value, _ := strings.Cut(word[2:], "=")
		if flag == "" {
			rest = after
			break
		}
		i.Flags = append(i.Flags, Flag{flag, value})
		rest = after
	}
	i.Rest = rest
	if strings.HasPrefix(rest, "[") {
		if err := json.Unmarshal([]byte(rest), &i.Words); err == nil {
			i.Exact = true
			return nil
		}
	}
	for rest != "" {
		word, after, err := cutWord(rest)
		if i.Name == "RUN" { // the shell takes it apart
			word, after, err = firstField(rest)
		}
		if err != nil {
			return err
		}
		i.Words, rest = append(i.Words, word), after
	}
	return nil
}

func firstField(s string) (word, rest string, err error) {
	k := strings.IndexAny(s, " \t")
	if k < 0 {
		return s, "", nil
	}
	return s[:k], strings.TrimLeft(s[k:], " \t"), nil
}

// cutWord cuts the first word off: blanks end it, unless quoted or behind a backslash.
func cutWord(s string) (word, rest string, err error) {
	quote := byte(0)
	for k := 0; k < len(s); k++ {
		switch c := s[k]; {
		case quote == '\'' && c != '\'':
		case c == '\\' && k+1 < len(s):
			k++
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && (c == ' ' || c == '\t'):
			return s[:k], strings.TrimLeft(s[k:], " \t"), nil
		}
	}
	if quote != 0 {
		return "", "", fmt.Errorf("%w: a quote %c is not closed", ErrSyntax, quote)
	}
	return s, "", nil
}

// docs takes up the here-documents that an instruction announces.
func (r *reader) docs(i *Instruction) error {
	if i.Exact {
		return nil
	}
	for _, word := range i.Words {
		d, tabs, ok := announced(word)
		if !ok || i.Name != "COPY" && i.Name != "ADD" && i.Name != "RUN" {
			continue
		}
		if len(i.Docs) == maxDocs {
			return fmt.Errorf("%w: more than %d here-documents", ErrSyntax, maxDocs)
		}
		var text strings.Builder
		for closed := false; !closed; r.next++ {
			if r.next == len(r.lines) {
				return fmt.Errorf("%w: the here-document does not end: no line %q", ErrSyntax, d.Name)
			}
			l := r.lines[r.next]
			if tabs {
				l = strings.TrimLeft(l, "\t")
			}
			if closed = l == d.Name; !closed {
				text.WriteString(l + "\n")
			}
		}
		d.Text = text.String()
		i.Docs = append(i.Docs, d)
	}
	return nil
}

// announced returns which here-document a word announces: <<EOF, <<-EOF, <<"EOF".
func announced(word string) (d Doc, tabs, ok bool) {
	name, ok := strings.CutPrefix(word, "<<")
	if !ok {
		return d, false, false
	}
	name, tabs = strings.CutPrefix(name, "-")
	bare := strings.Trim(name, `"'`)
	if bare == "" || strings.ContainsAny(bare, "<>\"'$;|&()") {
		return d, false, false
	}
	return Doc{Word: word, Name: bare, Expand: bare == name}, tabs, true
}
