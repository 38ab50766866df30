package bootcfg

import (
	"slices"
	"strings"
)

// limine scans a configuration of Limine: a line of slashes (colons up to version 7) begins
// an entry, settings are "key: value" (KEY=value).
func (s *scanner) limine() {
	var key *command // names the kernel
	end := func() {
		if s.cur == nil || key == nil {
			return
		}
		s.cur.missing = len(s.cur.lines) == 0
		s.cur.kernel, key = key, nil
	}
	linux := false
	for _, c := range s.f.commands {
		if len(c.words) == 0 {
			continue
		}
		if limineTitle(c) {
			end()
			e := s.begin(c)
			e.Title = strings.TrimSpace(strings.TrimLeft(strings.TrimLeft(c.words[0].raw, "/:"), "+"))
			linux = false
			continue
		}
		if s.cur == nil || len(c.words) < 2 {
			continue
		}
		s.cur.last = c
		value := s.f.rest(c, 1)
		switch strings.ToLower(strings.TrimRight(c.words[0].raw, ":=")) {
		case "protocol":
			linux = slices.Contains([]string{"linux", "limine", "multiboot", "multiboot1", "multiboot2", "stivale", "stivale2"}, value)
			if linux && s.cur.Kernel != "" {
				key = s.cur.kernel
			}
		case "path", "kernel_path", "image_path":
			s.cur.Kernel, s.cur.kernel = value, c
			if linux {
				key = c
			}
		case "cmdline", "kernel_cmdline":
			s.cur.lines = []*cmdline{{parts: []part{{c, 1}}}}
		case "module_path":
			s.cur.Initrds = append(s.cur.Initrds, value)
		}
	}
	end()
}

// limineTitle reports a line that begins an entry.
func limineTitle(c *command) bool {
	return len(c.words) > 0 && (strings.HasPrefix(c.words[0].raw, "/") || strings.HasPrefix(c.words[0].raw, ":"))
}

// refind scans refind.conf, whose entries are blocks, and refind_linux.conf, in which a line
// with a title and arguments is one for the kernel beside it.
func (s *scanner) refind() {
	sub := false
	for _, c := range s.f.commands {
		if len(c.words) == 0 {
			continue
		}
		if strings.HasPrefix(c.words[0].raw, `"`) {
			e := s.begin(c)
			e.Title, e.kernel, e.lines = REFInd.value(c.words[0].raw), c, []*cmdline{{parts: []part{{c, 1}}}}
			s.cur = nil
			continue
		}
		if s.cur != nil {
			s.cur.last = c
		}
		switch key := strings.ToLower(c.words[0].raw); {
		case key == "menuentry" && len(c.words) > 1:
			s.begin(c).Title = s.f.format.value(c.words[1].raw)
			sub = false
		case key == "submenuentry":
			sub = true
		case key == "}" && sub:
			sub = false
		case key == "}":
			s.refindEnd()
		case s.cur == nil || len(c.words) < 2 && key != "options":
		case key == "add_options":
		case sub:
		case key == "loader":
			s.cur.Kernel, s.cur.kernel = s.f.format.value(c.words[1].raw), c
		case key == "initrd":
			s.cur.Initrds = append(s.cur.Initrds, s.f.format.value(c.words[1].raw))
		case key == "options":
			s.cur.lines = []*cmdline{{parts: []part{{c, 1}}}}
		}
	}
	s.refindEnd()
}

// refindEnd ends an entry: one that starts Linux has arguments.
func (s *scanner) refindEnd() {
	if e := s.cur; e != nil && e.kernel != nil {
		linux := KernelName(strings.ReplaceAll(e.Kernel, `\`, "/")) || len(e.Initrds) > 0
		e.missing = linux && len(e.lines) == 0
	}
	s.cur = nil
}

// splitQuoted cuts a line of rEFInd whose arguments stand together in double quotes: the
// marks belong to what is between the words.
func splitQuoted(text string) (words []word, ok bool) {
	words = split(text, REFInd)
	if len(words) == 0 {
		return words, false
	}
	low := strings.ToLower(words[0].raw)
	if low != "options" && low != "add_options" && !strings.HasPrefix(low, `"`) {
		return words, false
	}
	head := words[:1:1]
	rest := text[len(words[0].gap)+len(words[0].raw):]
	open := strings.IndexByte(rest, '"')
	if open < 0 || strings.TrimSpace(rest[:open]) != "" {
		return words, false
	}
	end := closing(rest, open+1)
	gap := rest[:open+1]
	for pos := open + 1; pos < end; {
		from := pos
		for pos < end && blank(rest[pos]) {
			pos++
		}
		gap += rest[from:pos]
		from = pos
		for pos < end && !blank(rest[pos]) {
			if strings.HasPrefix(rest[pos:end], `""`) { // a quote, which holds words together
				if i := strings.Index(rest[pos+2:end], `""`); i >= 0 {
					pos += i + 2
				}
				pos++
			}
			pos++
		}
		if pos = min(pos, end); pos > from {
			head = append(head, word{gap, rest[from:pos]})
			gap = ""
		}
	}
	return head, true
}

// closing is the index of the quote that ends a text; doubled ones are part of it.
func closing(s string, from int) int {
	for i := from; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return i
	}
	return len(s)
}

// unquoted opens the quotes around arguments that has none yet, or an empty pair.
func (c *command) unquoted(i int) (gap string) {
	blanks := c.tail[:len(c.tail)-len(strings.TrimLeft(c.tail, " \t"))]
	rest := c.tail[len(blanks):]
	switch {
	case len(c.words) > i && i > 1:
		return " "
	case strings.HasPrefix(rest, `""`):
		c.tail = rest[1:]
		return blanks + `"`
	case len(c.words) == 1:
		c.tail = `"` + c.tail
		return ` "`
	case !strings.Contains(c.words[1].gap, `"`): // words without quotes
		c.words[1].gap += `"`
		c.tail = `"` + c.tail
	}
	return " "
}
