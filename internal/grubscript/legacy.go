package grubscript

import (
	"slices"
	"strings"
)

// Language is what a configuration is written in.
type Language byte

// The languages.
const (
	Unsure  Language = iota // has nothing that only one of them has
	Script                  // of GRUB 2
	Legacy                  // the menus of GRUB 0.97 and its children
	maxLook = 1 << 16
)

// Detect says by its content in which language a file is written: names like grub.conf,
// BOOT.conf and menu.lst stand for both.
func Detect(text []byte) Language {
	for line := range strings.Lines(string(text[:min(len(text), maxLook)])) {
		word, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		rest = strings.TrimSpace(rest)
		switch word {
		case "menuentry", "submenu", "set", "if", "function", "insmod", "load_env", "search", "source", "export", "else", "fi", "for", "linux", "linuxefi", "loadfont", "terminal_output":
			return Script
		case "title", "splashimage", "hiddenmenu", "rootnoverify", "kernel", "find", "gfxmenu":
			return Legacy
		case "default", "timeout", "fallback", "color", "root":
			if rest != "" && !strings.HasPrefix(rest, "{") {
				return Legacy
			}
		}
		if name, _, ok := strings.Cut(word, "="); ok && (name == "splashimage" || name == "title") {
			return Legacy
		}
	}
	return Unsure
}

// legacyLine is a command of a menu of GRUB 0.97.
type legacyLine struct {
	name string
	rest Word // behind the name, blanks and equals signs
	span Span
}

// legacyLines reads commands: blanks in front go, a backslash joins lines, number signs
// in front make comments.
func legacyLines(src *Source) (out []legacyLine) {
	s := string(src.logical)
	for pos := 0; pos < len(s) && len(out) < maxTokens; {
		for pos < len(s) && (s[pos] == ' ' || s[pos] == '\t' || s[pos] == '\n') {
			pos++
		}
		end := pos + endOf(s[pos:], "\n")
		for end < len(s) && end > pos && s[end-1] == '\\' && (end < pos+2 || s[end-2] != '\\') {
			end += 1 + endOf(s[end+1:], "\n")
		}
		if pos < end && s[pos] != '#' {
			out = append(out, legacyCommand(src, s, pos, end))
		}
		pos = end + 1
	}
	return out
}

func legacyCommand(src *Source, s string, pos, end int) legacyLine {
	at := pos
	for at < end && strings.IndexByte(" \t=\n", s[at]) < 0 {
		at++
	}
	c := legacyLine{name: s[pos:at]}
	for at < end && strings.IndexByte(" \t=\n\\", s[at]) >= 0 {
		at++
	}
	for end > at && strings.IndexByte(" \t", s[end-1]) >= 0 {
		end--
	}
	c.span = src.span(pos, end)
	for at < end {
		n := endOf(s[at:end], "\\\n")
		if n > 0 {
			c.rest = append(c.rest, Frag{Text: s[at : at+n], Span: src.span(at, at+n)})
		}
		if at += n; at == end {
			break
		}
		if text := s[at : at+1]; !strings.HasPrefix(s[at:end], "\\\n") && text != "\n" {
			c.rest = append(c.rest, Frag{Text: text, Span: src.span(at, at+1)})
		} else {
			c.rest = append(c.rest, Frag{Text: " ", Span: src.span(at, at+1)})
		}
		at++
	}
	return c
}

// fields cuts the rest of a command at blanks; what kernels read as one word in double
// quotes stays one.
func (c legacyLine) fields() (out []Word) {
	text := c.rest.String()
	quote := false
	from := 0
	for i := 0; i <= len(text); i++ {
		switch {
		case i < len(text) && text[i] == '"':
			quote = !quote
		case i == len(text) || space(text[i]) && !quote:
			if i > from {
				out = append(out, c.rest.cut(from, i))
			}
			from = i + 1
		}
	}
	return out
}

// EvaluateLegacy runs a menu of GRUB 0.97: the file that Config names.
func EvaluateLegacy(f Firmware) *Result {
	r := &Result{firmware: f, Certain: true, legacy: true}
	m := &machine{fw: &f, ctx: newContext(&f), loops: map[string]*Device{}, oracle: &oracle{}, budget: newBudget(), boot: &Boot{}, out: &outcome{remarks: &r.Remarks}}
	menu := m.legacy(f.Config, Span{})
	r.Start = &Start{Kind: Prompt, Certain: true}
	if menu != nil {
		r.Menus, r.shown = []*Menu{menu}, []*Menu{menu}
		r.Start = menu.Start
		r.Assignments = m.assigned
	}
	r.Files = m.budget.files
	return r
}

// legacy reads a menu; nil if it has no entries.
func (m *machine) legacy(name string, at Span) *Menu {
	p, text, is := m.read(name)
	if is != isFile {
		m.remark(at, "reads a file that is not there: "+name)
		return nil
	}
	src := newLegacy(p.device, p.path, text)
	if !slices.ContainsFunc(m.budget.files, func(s *Source) bool { return s.Device == p.device && s.Name == p.path }) {
		m.budget.files = append(m.budget.files, src)
	}
	menu := &Menu{File: p.path, config: src, Timeout: -1, Settings: map[string]*Setting{}}
	bodies := m.legacyEntries(menu, legacyLines(src))
	if len(menu.Entries) == 0 {
		return nil
	}
	fallbacks := m.legacySettings(menu, p.String())
	m.chain = append(m.chain, p.path)
	for i, e := range menu.Entries {
		m.legacyEntry(e, bodies[i])
	}
	m.chain = m.chain[:len(m.chain)-1]
	menu.Start = legacyStart(menu, fallbacks)
	return menu
}

// newLegacy makes a source without the rules of GRUB 2's reader of lines.
func newLegacy(device, name string, text []byte) *Source {
	s := &Source{Name: name, Device: device, Text: text, logical: text, legacy: true}
	if strings.IndexByte(string(text), '\r') < 0 {
		return s
	}
	s.logical = nil
	for i, c := range text {
		if c != '\r' {
			s.logical = append(s.logical, c)
			s.at = append(s.at, int32(i))
		}
	}
	s.at = append(s.at, int32(len(text)))
	return s
}

// legacyEntries sorts the commands of a menu by entries. A title without commands makes
// none.
func (m *machine) legacyEntries(menu *Menu, lines []legacyLine) (bodies [][]legacyLine) {
	var e *Entry
	var body []legacyLine
	end := func() {
		if e != nil && len(body) > 0 {
			menu.Entries, bodies = append(menu.Entries, e), append(bodies, body)
		}
		body = nil
	}
	for _, c := range lines {
		switch {
		case c.name == "title":
			end()
			e = &Entry{Title: c.rest.String(), ID: c.rest.String(), Name: c.rest, Span: c.span, Certain: true}
		case e != nil:
			body = append(body, c)
			e.Span.End = c.span.End
		default:
			m.legacyMenuCommand(menu, c)
		}
	}
	end()
	return bodies
}

// legacyMenuCommand runs a command in front of the entries.
func (m *machine) legacyMenuCommand(menu *Menu, c legacyLine) {
	switch c.name {
	case "default", "timeout", "fallback":
		a := &Assignment{Name: c.name, Value: c.rest, How: c.name, Span: c.span}
		if n := len(c.rest); n > 0 {
			a.Written = Span{c.span.Source, c.rest[0].Span.Start, c.rest[n-1].Span.End}
		}
		m.trace(a)
		s := menu.Settings[c.name]
		if s == nil {
			s = &Setting{Name: c.name}
			menu.Settings[c.name] = s
		}
		s.Value, s.Set, s.Assignments = c.rest, true, append(s.Assignments, a)
	case "hiddenmenu":
		menu.Hidden = true
	}
}

// legacySettings works out the timeout and the default; it returns the fallbacks.
func (m *machine) legacySettings(menu *Menu, file string) (fallbacks []int) {
	value := func(name string) string {
		if s := menu.Settings[name]; s != nil {
			return s.Value.String()
		}
		return ""
	}
	if n, length := parseNumber(value("timeout")); length > 0 && n >= 0 {
		menu.Timeout = n
	}
	menu.Hidden = menu.Hidden && menu.Timeout >= 0
	for _, f := range strings.Fields(value("fallback")) {
		if n, length := parseNumber(f); length > 0 && n >= 0 && n < len(menu.Entries) {
			fallbacks = append(fallbacks, n)
		}
	}
	switch text := value("default"); {
	case text == "saved":
		menu.Default = m.savedNumber(file[:strings.LastIndexByte(file, '/')+1] + "default")
	case strings.HasPrefix(text, "/") || strings.HasPrefix(text, "("):
		menu.Default = m.savedNumber(text)
	default:
		menu.Default = number(text)
	}
	if menu.Default < 0 || menu.Default >= len(menu.Entries) {
		menu.Why = "there is no entry " + itoa(menu.Default) + ", counted from 0"
		menu.Default = 0
		if len(fallbacks) > 0 {
			menu.Default, fallbacks = fallbacks[0], fallbacks[1:]
		}
	}
	return fallbacks
}

// savedNumber reads what savedefault wrote.
func (m *machine) savedNumber(name string) int {
	_, text, _ := m.read(name)
	return number(string(text[:min(len(text), 10)]))
}

func legacyStart(menu *Menu, fallbacks []int) *Start {
	if menu.Timeout < 0 {
		return &Start{Kind: Waits, Certain: true, Note: menu.Why}
	}
	tried := []int{menu.Default}
	tried = append(tried, fallbacks...)
	var s *Start
	for i, n := range tried {
		e := menu.Entries[n]
		if e.Restricted {
			return &Start{Kind: Password, Path: []*Entry{e}, Seconds: menu.Timeout, Certain: true}
		}
		s = follow(e, e.Boots[0])
		if i > 0 {
			note(s, "falls back, as \""+menu.Entries[menu.Default].Title+"\" starts nothing")
		}
		if !e.Boots[0].Failed {
			break
		}
	}
	s.wait(menu.Timeout)
	note(s, menu.Why)
	return s
}
