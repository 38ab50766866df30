package bootcfg

import (
	"fmt"
	"strings"
)

// value is what a word means to the loader: without the quotes of GRUB's language.
// Variables stay as written, and so do udev's escapes (\x20), which Fedora's GRUB
// hands on to the kernel and others cannot.
func (f Format) value(raw string) string {
	if f == REFInd && len(raw) > 1 && raw[0] == '"' && raw[len(raw)-1] == '"' {
		return strings.ReplaceAll(raw[1:len(raw)-1], `""`, `"`)
	}
	if f != GRUB || !strings.ContainsAny(raw, `\'"`) {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '\\' && escape(raw[i:]) > 0:
			b.WriteString(raw[i : i+escape(raw[i:])])
			i += escape(raw[i:]) - 1
		case c == '\\' && i+1 < len(raw):
			if i++; raw[i] != '\n' {
				b.WriteByte(raw[i])
			}
		case c == '$' && strings.HasPrefix(raw[i+1:], `"`): // which GRUB translates
		case c == '\'':
			end := strings.IndexByte(raw[i+1:], '\'')
			if end < 0 {
				end = len(raw) - i - 1
			}
			b.WriteString(raw[i+1 : i+1+end])
			i += end + 1
		case c == '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' && i+1 < len(raw) && strings.IndexByte("$\"\\\n", raw[i+1]) >= 0 {
					i++
				}
				b.WriteByte(raw[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escape is the length of one of udev's escapes, 4, at the beginning of s, else 0.
func escape(s string) int {
	if len(s) >= 4 && s[0] == '\\' && s[1] == 'x' && hex(s[2]) && hex(s[3]) {
		return 4
	}
	return 0
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// plain reports characters that mean themselves anywhere in a word of GRUB.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 ||
		strings.IndexByte("_-+=.,:/@%^~!", c) >= 0
}

// quote writes a word of GRUB's language that means s.
func quote(s string) string {
	simple := s != "" && s != "!"
	for i := 0; i < len(s); i++ {
		if n := escape(s[i:]); n > 0 {
			i += n - 1
		} else if !plain(s[i]) {
			simple = false
		}
	}
	switch {
	case simple:
		return s
	case !strings.Contains(s, "'"):
		return "'" + s + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}

// argument writes a kernel argument, as the kernel shall have it but for blanks:
// those need quotes. It says what the format cannot say.
func (f Format) argument(s string) (string, error) {
	bad := func(what string) (string, error) {
		return "", fmt.Errorf("%q in a %s configuration: %s: %w", s, f, what, ErrQuote)
	}
	if strings.Contains(s, `"`) {
		return bad("kernels read double quotes as marks around blanks")
	}
	if f == GRUB {
		for i := 0; i < len(s); i++ {
			if n := escape(s[i:]); n > 0 {
				i += n - 1
			} else if s[i] == '\\' || s[i] == '\'' {
				return bad("GRUB puts a backslash in front of quotes and backslashes")
			}
		}
		return quote(s), nil
	}
	if strings.ContainsAny(s, " \t") {
		if f == ESXi {
			return bad("it separates arguments at blanks")
		}
		mark := `"`
		if f == REFInd {
			mark = `""`
		}
		if name, v, ok := strings.Cut(s, "="); ok && !strings.ContainsAny(name, " \t") {
			return name + "=" + mark + v + mark, nil
		}
		return mark + s + mark, nil
	}
	return s, nil
}

// kernelText is a kernel argument as argument takes it: a word of a command line
// without the double quotes that kernels take off.
func (f Format) kernelText(raw string) string {
	s := f.value(raw)
	if f == GRUB {
		return s
	}
	return strings.ReplaceAll(s, `"`, "")
}
