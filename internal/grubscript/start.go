package grubscript

import "strings"

// start finds what starts of a menu when nobody presses a key.
func (m *machine) start(menu *Menu) *Start {
	if menu.Timeout < 0 {
		return &Start{Kind: Waits, Certain: true, Note: menu.Why}
	}
	s := m.startEntry(menu, menu.Default)
	s.wait(menu.Timeout)
	note(s, menu.Why)
	list, names := m.fallbacks(menu)
	if names && m.returns(s) {
		s.Certain = false
		note(s, "GRUBs up to 2.06 read numbers only in fallback")
	}
	for _, n := range list {
		if !m.returns(s) {
			break
		}
		why := "falls back, as \"" + menu.Entries[menu.Default].Title + "\" starts nothing"
		seconds := s.Seconds
		m.explore(menu, menu.Entries[n], true)
		s = m.startEntry(menu, n)
		s.wait(seconds)
		note(s, why)
	}
	if m.boot.loaded() { // GRUB may boot that as soon as any entry was run, or mix both up
		s.Certain, s.Unsure = false, "a kernel is loaded in front of the menu, in line "+itoa(m.boot.Kernel.Span.Line())
	}
	return s
}

// returns reports an entry that a fallback follows. For GRUB that is every one that comes
// back; Red Hat's looks at whether it failed.
func (m *machine) returns(s *Start) bool {
	return s.Kind == Waits && s.Boot != nil && s.Boot.Action == Nothing && s.Boot.Leads == "" && (s.Boot.Failed || !m.fw.RedHat)
}

// wait adds to the seconds of all that may start.
func (s *Start) wait(seconds int) {
	s.Seconds += seconds
	for _, o := range s.Others {
		o.Seconds += seconds
	}
}

func note(s *Start, text string) {
	switch {
	case text == "":
	case s.Note == "":
		s.Note = text
	default:
		s.Note = text + "; " + s.Note
	}
}

// startEntry follows an entry that starts by itself.
func (m *machine) startEntry(menu *Menu, n int) *Start {
	e := menu.Entries[n]
	if e.Restricted && m.text("superusers") != "" {
		return &Start{Kind: Password, Path: []*Entry{e}, Certain: true}
	}
	var out *Start
	for _, b := range e.Boots {
		s := follow(e, b)
		s.Conditions = append(append([]Condition{}, b.Conditions...), s.Conditions...)
		s.Certain = len(e.Boots) == 1 && s.Certain
		if out == nil {
			out = s
			continue
		}
		out.Others = append(append(out.Others, s), s.Others...)
	}
	if out == nil {
		return &Start{Kind: Waits, Path: []*Entry{e}, Certain: true}
	}
	return out
}

// follow goes on from what an entry does.
func follow(e *Entry, b *Boot) *Start {
	switch b.Action {
	case Opens:
		if b.Menu.Start == nil {
			return &Start{Kind: Waits, Path: []*Entry{e}, Boot: b, Note: "the entry leads back to its own menu"}
		}
		in := b.Menu.Start.behind(e)
		in.wait(b.Seconds)
		return in
	case Nothing:
		return &Start{Kind: Waits, Path: []*Entry{e}, Boot: b, Certain: b.Leads == "", Note: nothing(b)}
	}
	return &Start{Kind: Starts, Path: []*Entry{e}, Boot: b, Seconds: b.Seconds, Certain: true}
}

// behind returns a copy whose paths begin with an entry.
func (s *Start) behind(e *Entry) *Start {
	out := *s
	out.Path = append([]*Entry{e}, s.Path...)
	out.Others = nil
	for _, o := range s.Others {
		out.Others = append(out.Others, o.behind(e))
	}
	return &out
}

// nothing says why an entry starts nothing.
func nothing(b *Boot) string {
	switch {
	case b.Leads != "":
		return "it goes on with " + b.Leads + ", which is not looked at"
	case b.Pauses:
		return "it asks for a key"
	case b.Failed:
		return failure(b)
	}
	return "the entry starts nothing"
}

func failure(b *Boot) string {
	for _, l := range b.Missing() {
		return "it fails: " + l.Path + " is not there"
	}
	return "it fails"
}

// fallbacks lists the entries that the variable names, in order: numbers, and where Red
// Hat made GRUB, also ids and titles. It reports whether there are names that are not
// followed.
func (m *machine) fallbacks(menu *Menu) (out []int, names bool) {
	for value := strings.TrimSpace(m.text("fallback")); value != "" && len(out) < maxMenus; {
		n, length := parseNumber(value)
		switch {
		case length > 0:
			value = value[length:]
		case !m.fw.RedHat:
			return out, true
		default:
			word, rest, _ := strings.Cut(value, " ")
			if n = pickRedHat(menu, value); n < 0 || !entryIs(menu.Entries[n].Title, value) {
				n, value = pickRedHat(menu, word), rest
			} else {
				value = ""
			}
		}
		if n < 0 || n >= len(menu.Entries) {
			break
		}
		out = append(out, n)
		value = strings.TrimSpace(value)
	}
	return out, false
}
