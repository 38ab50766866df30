package recipe

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/shell"
)

// Vars are the variables of a stage.
type Vars map[string]string

// Expand is a word without its quotes and with the values of its variables, as in a
// shell: $x, ${x}, ${x:-default}, ${x:+other}. In single quotes all stays as it is.
func (v Vars) Expand(word string) (string, error) {
	var out strings.Builder
	if err := expand(word, v.text, &out); err != nil {
		return "", err
	}
	return out.String(), nil
}

// expand writes a word without its quotes, and what text makes of all but single quotes.
func expand(word string, text func(string) (string, error), out *strings.Builder) error {
	plain := func(s string) error {
		text, err := text(s)
		out.WriteString(text)
		return err
	}
	start := 0
	for k := 0; k < len(word); k++ {
		switch c := word[k]; c {
		case '\\':
			if err := plain(word[start:k]); err != nil {
				return err
			}
			if k+1 < len(word) {
				k++
				out.WriteByte(word[k])
			}
			start = k + 1
		case '\'', '"':
			if err := plain(word[start:k]); err != nil {
				return err
			}
			end := closing(word, k)
			if end < 0 {
				return fmt.Errorf("%w: a quote %c is not closed", ErrSyntax, c)
			}
			if c == '\'' {
				out.WriteString(word[k+1 : end])
			} else if err := quoted(word[k+1:end], plain, out); err != nil {
				return err
			}
			k, start = end, end+1
		case '$':
			if k+1 < len(word) && word[k+1] == '{' { // quotes inside belong to it
				if end := strings.IndexByte(word[k:], '}'); end > 0 {
					k += end
				}
			}
		}
	}
	return plain(word[start:])
}

// quoted expands what stands in double quotes: a backslash is one unless it is in front
// of a quote, a dollar sign or another one.
func quoted(s string, plain func(string) error, out *strings.Builder) error {
	start := 0
	for k := 0; k+1 < len(s); k++ {
		if s[k] == '\\' && strings.IndexByte("\"\\$", s[k+1]) >= 0 {
			if err := plain(s[start:k]); err != nil {
				return err
			}
			out.WriteByte(s[k+1])
			k++
			start = k + 1
		}
	}
	return plain(s[start:])
}

// closing finds the quote that closes the one at k.
func closing(s string, k int) int {
	for i := k + 1; i < len(s); i++ {
		if s[i] == '\\' && s[k] == '"' {
			i++
		} else if s[i] == s[k] {
			return i
		}
	}
	return -1
}

// text expands variables and nothing else.
func (v Vars) text(s string) (string, error) {
	if !strings.Contains(s, "$") {
		return s, nil
	}
	// What the shell has besides variables is text here.
	s = strings.NewReplacer("`", "\\`", "$(", "\\$(").Replace(s)
	out, err := shell.Expand(s, func(name string) string { return v[name] })
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return out, nil
}

// plainUse is a variable for which nothing says what holds where it is not defined.
var plainUse = regexp.MustCompile(`\\.|\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))`)

// undefined adds to names the variables of a text that are not defined.
func (v Vars) undefined(text string, names []string) []string {
	for _, m := range plainUse.FindAllStringSubmatch(text, -1) {
		name := m[1] + m[2]
		if _, ok := v[name]; name != "" && !ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Undefined lists the variables that an instruction uses and nothing defines: they are
// empty there. The command of RUN is none of it: its shell has variables of its own.
func (v Vars) Undefined(i *Instruction) (names []string) {
	look := func(word string) {
		_ = expand(word, func(s string) (string, error) {
			names = v.undefined(s, names)
			return "", nil
		}, &strings.Builder{})
	}
	if !i.Exact && i.Name != "RUN" {
		for _, w := range i.Words {
			if _, _, doc := announced(w); !doc || len(i.Docs) == 0 {
				look(w)
			}
		}
	}
	for _, f := range i.Flags {
		look(f.Value)
	}
	for _, d := range i.Docs {
		if d.Expand && i.Name != "RUN" {
			names = v.undefined(d.Text, names)
		}
	}
	return names
}

// Words are the expanded words of an instruction.
func (v Vars) Words(i *Instruction) ([]string, error) {
	if i.Exact {
		return i.Words, nil
	}
	var out []string
	for _, w := range i.Words {
		if _, _, doc := announced(w); doc && len(i.Docs) > 0 {
			out = append(out, w)
			continue
		}
		x, err := v.Expand(w)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// Flags is the instruction with the values of its flags expanded, as Words are.
func (v Vars) Flags(i *Instruction) (*Instruction, error) {
	x := *i
	x.Flags = slices.Clone(i.Flags)
	for k, f := range x.Flags {
		value, err := v.Expand(f.Value)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", f.Name, err)
		}
		x.Flags[k].Value = value
	}
	return &x, nil
}

// Doc is the text of a here-document with the values of its variables.
func (v Vars) Doc(d Doc) (string, error) {
	if !d.Expand {
		return d.Text, nil
	}
	return v.text(d.Text)
}

// Pair splits name=value.
func Pair(word string) (name, value string, err error) {
	name, value, ok := strings.Cut(word, "=")
	if !ok || name == "" {
		return "", "", fmt.Errorf("%w: want NAME=VALUE, have %q", ErrSyntax, word)
	}
	return name, value, nil
}

// Render puts values into a template: {{name}} is the value of that name, and nothing
// else is special. An unknown name is an error with its line.
func Render(file, text string, values map[string]string) (string, error) {
	var out strings.Builder
	for n, line := range strings.SplitAfter(text, "\n") {
		for rest := line; rest != ""; {
			before, after, ok := strings.Cut(rest, "{{")
			out.WriteString(before)
			if !ok {
				break
			}
			name, behind, ok := strings.Cut(after, "}}")
			if !ok {
				out.WriteString("{{" + after)
				break
			}
			value, known := values[strings.TrimSpace(name)]
			if !known {
				return "", &Error{file, n + 1, strings.TrimSpace(line), fmt.Errorf("no value for %q", strings.TrimSpace(name))}
			}
			out.WriteString(value)
			rest = behind
		}
	}
	return out.String(), nil
}
