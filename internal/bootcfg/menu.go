package bootcfg

import (
	"slices"
	"strconv"
	"strings"
)

// timeouts are the words that hold the time, with what stands in front of it in them.
func (f *File) timeouts() (list []*word, prefix string) {
	for _, c := range f.commands {
		if f.format == GRUB {
			if w, name, _ := scriptOf(c).assigned(); name == "timeout" {
				list, prefix = append(list, w), "timeout="
			}
			continue
		}
		switch {
		case len(c.words) < 2:
		case f.format == Syslinux && c.is(0, "totaltimeout"):
			list = append(list, &c.words[1])
		case c.is(0, "timeout", "timeout=", "timeout:"):
			list = append(list, &c.words[1])
		}
	}
	return list, prefix
}

// HasTimeout reports a file that says after which time the default entry starts.
func (f *File) HasTimeout() bool {
	list, _ := f.timeouts()
	return len(list) > 0
}

// Timeout sets after how many seconds the default entry starts, 0 at once, negative
// never, wherever the file sets a time. It returns how many places changed; with
// force it makes a setting where there is none.
func (f *File) Timeout(seconds int, force bool) int {
	text := strconv.Itoa(seconds)
	switch {
	case f.format == Syslinux:
		text = syslinuxTime(seconds)
	case f.format == Entry && seconds < 0:
		text = "menu-force"
	case f.format == Limine && seconds < 0:
		text = "no"
	case f.format == REFInd && seconds <= 0:
		text = strconv.Itoa(-1 - seconds) // 0 waits, -1 does not
	}
	list, prefix := f.timeouts()
	changed := 0
	for _, w := range list {
		if raw := prefix + text; w.raw != raw {
			w.raw = raw
			changed++
		}
	}
	if len(list) > 0 || !force {
		return changed
	}
	f.setting(f.timeoutLine(text))
	return 1
}

// OnTimeout lets syslinux start a label when its time is over, whatever is marked.
func (f *File) OnTimeout(label string) int {
	for _, c := range f.commands {
		if c.is(0, "ontimeout") {
			if f.rest(c, 1) == label {
				return 0
			}
			c.words = append(c.words[:1:1], word{" ", label})
			return 1
		}
	}
	f.setting(f.newLine("", "ontimeout", label))
	return 1
}

// Prompt lets syslinux wait for its time where the default is no menu; it returns how many
// places changed.
func (f *File) Prompt() int {
	changed, there := 0, false
	for _, c := range f.commands {
		if !c.is(0, "prompt") || len(c.words) < 2 {
			continue
		}
		if there = true; c.words[1].raw == "0" {
			c.words[1].raw = "1"
			changed++
		}
	}
	if !there {
		f.setting(f.newLine("", "prompt", "1"))
		changed++
	}
	return changed
}

// syslinuxTime counts in tenths of a second; 0 is never there.
func syslinuxTime(seconds int) string {
	switch {
	case seconds < 0:
		return "0"
	case seconds == 0:
		return "1"
	}
	return strconv.Itoa(min(seconds, 1<<20) * 10)
}

func (f *File) timeoutLine(text string) *command {
	switch f.format {
	case GRUB:
		return f.newLine("", "set", "timeout="+text)
	case ESXi:
		c := f.newLine("", "timeout=", text)
		c.words[1].gap = ""
		return c
	case Limine:
		if f.old() {
			c := f.newLine("", "TIMEOUT=", text)
			c.words[1].gap = ""
			return c
		}
		return f.newLine("", "timeout:", text)
	}
	return f.newLine("", "timeout", text)
}

// old reports a configuration of Limine up to version 7.
func (f *File) old() bool {
	for _, c := range f.commands {
		if len(c.words) > 0 && strings.HasPrefix(c.words[0].raw, ":") {
			return true
		}
	}
	return false
}

// setting puts a command in front of the first entry, behind other settings.
func (f *File) setting(c *command) {
	var behind *command
	for i, x := range f.commands {
		if len(x.words) > 0 && (x.depth > 0 || f.format == Limine && limineTitle(x) || x.is(0, "label", "title", "menuentry", "submenu", "if", "menu", "include", "source")) {
			break
		}
		if f.format == ESXi && i > 0 {
			break
		}
		if len(x.words) > 0 || behind != nil || i == 0 && strings.TrimSpace(x.tail) != "" {
			behind = x
		}
	}
	f.insert(behind, c)
}

// Matches reports whether a user's name of an entry means this one: its label or id,
// else its title, in any case.
func (e *MenuEntry) Matches(name string) bool {
	return e.Name != "" && strings.EqualFold(e.Name, name) || strings.EqualFold(strings.TrimSpace(e.Title), strings.TrimSpace(name))
}

// Match finds the entry that a user's name or number, from 0, means; nil without one.
func (f *File) Match(name string) *MenuEntry {
	list := f.menuEntries()
	for _, e := range list {
		if e.Matches(name) {
			return e
		}
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(list) {
		return list[n]
	}
	return nil
}

// menuEntries are the entries that a menu shows.
func (f *File) menuEntries() []*MenuEntry {
	return slices.DeleteFunc(slices.Clone(f.entries), func(e *MenuEntry) bool {
		return e.head == nil && f.format != Parm && f.format != ESXi
	})
}

// Default makes an entry, of this file or of one that it includes, the one that starts
// when the time is over; it returns how many places changed. With force it makes a
// setting where there is none.
func (f *File) Default(e *MenuEntry, force bool) int {
	switch f.format {
	case Syslinux:
		return f.syslinuxDefault(e, force)
	case GRUB:
		return f.setDefault(grubName(e), force)
	case Legacy:
		if i := slices.Index(f.menuEntries(), e); i >= 0 {
			return f.setDefault(strconv.Itoa(i), force)
		}
	case Limine:
		if i := slices.Index(f.menuEntries(), e); i >= 0 {
			return f.setDefault(strconv.Itoa(i+1), force)
		}
	case REFInd:
		return f.setDefault(`"`+strings.ReplaceAll(e.Title, `"`, `""`)+`"`, force)
	}
	return 0
}

// grubName is how GRUB finds an entry: its id, else its title; behind those of the
// menus around it.
func grubName(e *MenuEntry) string {
	name := e.Title
	if e.Name != "" && !strings.Contains(e.Name, "$") {
		name = e.Name
	}
	return strings.Join(append(e.menus[:len(e.menus):len(e.menus)], strings.ReplaceAll(name, ">", ">>")), ">")
}

// defaults are the words that name the default entry, with what stands in front of the
// name in them. Those that hold a variable are from the environment of a past start.
func (f *File) defaults() (list []*word, prefix string) {
	for _, c := range f.commands {
		if f.format == GRUB {
			if w, name, value := scriptOf(c).assigned(); name == "default" && !strings.Contains(value, "$") {
				list, prefix = append(list, w), "default="
			}
			continue
		}
		switch {
		case len(c.words) < 2:
		case c.is(0, "default", "default=", "default_entry:", "default_entry=", "default_selection"):
			list = append(list, &c.words[1])
		}
	}
	return list, prefix
}

// HasDefault reports a file that names a default entry.
func (f *File) HasDefault() bool {
	list, _ := f.defaults()
	return len(list) > 0 || slices.ContainsFunc(f.entries, func(e *MenuEntry) bool { return e.explicit })
}

// DefaultEntry returns the entry of this file that is marked or named as the default
// one, nil if none is.
func (f *File) DefaultEntry() *MenuEntry {
	for _, e := range f.entries {
		if e.explicit {
			return e
		}
	}
	list, prefix := f.defaults()
	for _, w := range list {
		if e := f.Match(strings.TrimPrefix(f.format.value(w.raw), prefix)); e != nil {
			return e
		}
	}
	return nil
}

// LoaderDefault lets loader.conf name an entry, by its file without ".conf".
func (f *File) LoaderDefault(name string) int { return f.setDefault(name, true) }

// setDefault changes "default" settings.
func (f *File) setDefault(name string, force bool) int {
	raw, changed := name, 0
	if f.format == GRUB {
		raw = quote(name)
	}
	list, prefix := f.defaults()
	for _, w := range list {
		if w.raw != prefix+raw && f.format.value(w.raw) != prefix+name {
			w.raw = prefix + raw
			changed++
		}
	}
	switch {
	case len(list) > 0 || !force:
		return changed
	case f.format == GRUB:
		f.setting(f.newLine("", "set", "default="+raw))
	case f.format == Limine && f.old():
		f.setting(f.newLine("", "DEFAULT_ENTRY="+raw))
	case f.format == Limine:
		f.setting(f.newLine("", "default_entry:", raw))
	case f.format == REFInd:
		f.setting(f.newLine("", "default_selection", raw))
	default:
		f.setting(f.newLine("", "default", raw))
	}
	return 1
}

// syslinuxDefault changes DEFAULT, unless that starts the menu, and the mark of the
// entry in the menu, which counts more.
func (f *File) syslinuxDefault(e *MenuEntry, force bool) int {
	changed := 0
	module, found, marked := false, false, false
	from, to := slices.Index(f.commands, e.head), slices.Index(f.commands, e.last)
	gone := map[*command]bool{}
	for i, c := range f.commands {
		switch {
		case c.is(0, "menu") && c.is(1, "default"):
			if from >= 0 && i >= from && i <= to {
				continue
			}
			gone[c], marked = true, true
			changed++
		case c.is(0, "default", "ontimeout") && len(c.words) > 1:
			if strings.HasSuffix(strings.ToLower(c.words[1].raw), ".c32") {
				module = true
				continue
			}
			found = true
			if f.rest(c, 1) != e.Name {
				c.words = append(c.words[:1], word{c.words[1].gap, e.Name})
				changed++
			}
		case c.is(0, "ui"):
			module = true
		}
	}
	f.commands = slices.DeleteFunc(f.commands, func(c *command) bool { return gone[c] })
	local := from >= 0
	if (module || marked || !found) && local && !e.explicit {
		e.explicit = true
		f.insert(e.head, f.newLine(e.markIndent(), "menu", "default"))
		changed++
	}
	if !found && !module && force {
		f.setting(f.newLine("", "default", e.Name))
		changed++
	}
	return changed
}

// markIndent is what lines of the entry begin with.
func (e *MenuEntry) markIndent() string {
	if e.kernel != nil && e.kernel != e.head {
		return e.kernel.indent()
	}
	if e.last != nil && e.last != e.head {
		return e.last.indent()
	}
	return e.head.indent() + "\t"
}
