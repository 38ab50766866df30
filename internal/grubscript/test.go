package grubscript

import (
	"strconv"
	"strings"
)

// tester evaluates the arguments of test and [.
type tester struct {
	*call
	args    []Word
	at      int
	depth   int
	unknown string // a part of it that the machine knows
}

// maxTests is GRUB's limit on parentheses in a test.
const maxTests = 100

func test(c *call) status {
	t := &tester{call: c, args: c.words()}
	if n := len(t.args); n > 0 && t.args[n-1].String() == "]" {
		t.args = t.args[:n-1]
	}
	result := t.parse()
	if t.unknown != "" {
		return depends(c.line(), result)
	}
	return status{failed: !result}
}

func (t *tester) word(i int) string {
	if t.at+i >= len(t.args) {
		return ""
	}
	w := t.args[t.at+i]
	return w.String()
}

// parse reads an expression up to its end or a closing parenthesis. There is no order of
// operators: what stands side by side is and.
func (t *tester) parse() bool {
	or, and, invert := false, true, false
	update := func(v bool) {
		and = and && v != invert
		invert = false
	}
	for t.at < len(t.args) {
		if v, n := t.operator(); n > 0 {
			update(v)
			t.at += n
			continue
		}
		switch t.word(0) {
		case ")":
			t.at++
			t.depth--
			return or || and
		case "(":
			t.at++
			if t.depth++; t.depth > maxTests {
				return or || and
			}
			update(t.parse())
			continue
		case "!":
			invert = !invert
		case "-a":
		case "-o":
			or, and = or || and, true
		default:
			t.note(0)
			update(t.word(0) != "")
		}
		t.at++
	}
	return or || and
}

// note remembers that an operand is known at the machine only.
func (t *tester) note(i int) {
	if u := t.args[t.at+i].Unknown(); u != "" {
		t.unknown = u
	}
}

// operator evaluates the test at the position and returns how many words it has; 0 if
// there is none.
func (t *tester) operator() (v bool, n int) {
	if t.at+2 < len(t.args) {
		if v, ok := t.compare(t.word(0), t.word(1), t.word(2)); ok {
			t.note(0)
			t.note(2)
			return v, 3
		}
	}
	if t.at+1 >= len(t.args) {
		return false, 0
	}
	arg := t.word(1)
	switch t.word(0) {
	case "-d", "-e", "-f", "-s":
		v = t.file(t.word(0), arg)
	case "-n":
		v = arg != ""
	case "-z":
		v = arg == ""
	default:
		return false, 0
	}
	t.note(1)
	return v, 2
}

// file tests a file or directory.
func (t *tester) file(op, name string) bool {
	p, is := t.stat(name)
	if is == unsure {
		if p.dev == nil && t.device(p.device) == nil {
			t.unknown = p.String()
			return false
		}
		t.unknown = p.String()
		return op != "-d"
	}
	switch op {
	case "-d":
		return is == isDir
	case "-e":
		return is != absent
	case "-f":
		return is == isFile
	}
	_, text, _ := t.read(name)
	return is == isFile && (text == nil || len(text) > 0)
}

// compare evaluates a test of two words.
func (t *tester) compare(a, op, b string) (v, ok bool) {
	switch op {
	case "=", "==":
		return a == b, true
	case "!=":
		return a != b, true
	case "<":
		return a < b, true
	case "<=":
		return a <= b, true
	case ">":
		return a > b, true
	case ">=":
		return a >= b, true
	case "-pgt", "-plt":
		a, b = skipPrefix(a, b)
		return (number(a) > number(b)) == (op == "-pgt") && number(a) != number(b), true
	}
	if strings.HasPrefix(op, "-nt") || strings.HasPrefix(op, "-ot") {
		t.unknown = "the times of " + a + " and " + b
		return false, true
	}
	x, y := number(a), number(b)
	switch op {
	case "-eq":
		return x == y, true
	case "-ne":
		return x != y, true
	case "-ge":
		return x >= y, true
	case "-gt":
		return x > y, true
	case "-le":
		return x <= y, true
	case "-lt":
		return x < y, true
	}
	return false, false
}

// skipPrefix takes what two words begin with away, up to their numbers.
func skipPrefix(a, b string) (string, string) {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	for i > 0 && digit(a[i-1]) {
		i--
	}
	return a[i:], b[i:]
}

// number reads a number as GRUB does: as far as it goes, hexadecimal behind 0x, octal
// behind 0.
func number(s string) int {
	n, _ := parseNumber(s)
	return n
}

// parseNumber also reports how many bytes the number has; 0 if there is none.
func parseNumber(s string) (n, length int) {
	t := strings.TrimLeft(s, " \t\n\v\f\r")
	start := len(s) - len(t)
	sign := 1
	if strings.HasPrefix(t, "-") {
		sign = -1
		t = t[1:]
		start++
	}
	base, skip := 10, 0
	switch {
	case len(t) > 2 && t[0] == '0' && t[1]|0x20 == 'x':
		base, skip = 16, 2
	case len(t) > 1 && t[0] == '0' && t[1] >= '0' && t[1] <= '7':
		base, skip = 8, 1
	}
	end := skip
	for end < len(t) {
		if _, err := strconv.ParseUint(t[end:end+1], base, 8); err != nil {
			break
		}
		end++
	}
	if end == skip {
		if skip == 0 {
			return 0, 0
		}
		return 0, start + 1
	}
	v, err := strconv.ParseInt(t[skip:end], base, 32)
	if err != nil {
		v = 1<<31 - 1
	}
	return sign * int(v), start + end
}
