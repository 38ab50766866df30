package grubscript

import (
	"slices"
	"strings"
)

// legacyEntry finds out what an entry of a menu does: the first command that fails ends
// it.
func (m *machine) legacyEntry(e *Entry, body []legacyLine) {
	b := &Boot{}
	e.Boots = []*Boot{b}
	n := *m
	n.boot, n.ctx = b, m.ctx.clone()
	for _, c := range body {
		if !n.legacyStep(e, c) {
			b.Pauses = c.name == "pause" || c.name == "commandline"
			b.Failed = b.Action == Nothing && !e.Restricted && !b.Pauses
			return
		}
	}
	if b.Action == Nothing && b.loaded() {
		b.Action = Boots
	}
}

// legacyStep runs a command of an entry; false ends the entry.
func (m *machine) legacyStep(e *Entry, c legacyLine) bool {
	words := c.fields()
	first := ""
	if len(words) > 0 {
		first = words[0].String()
	}
	switch c.name {
	case "root", "rootnoverify", "uuid", "findiso":
		m.legacyRoot(first)
	case "find":
		if len(words) > 1 && first == "--set-root" {
			if p, is := m.stat("(" + m.fw.Devices[0].Name + ")" + words[len(words)-1].String()); is == isFile {
				m.legacyRoot(p.device)
			} else {
				m.legacyRoot("another disk")
			}
		}
	case "lock":
		e.Restricted = true
		return false
	case "pause", "commandline":
		return false
	case "boot":
		if m.boot.loaded() {
			m.boot.Action = Boots
		}
		return false
	case "configfile":
		return m.legacyMenu(first, c.span)
	case "halt", "reboot", "quit":
		m.boot.Action = map[string]Action{"halt": Halts, "reboot": Reboots, "quit": Exits}[c.name]
		return false
	case "kernel", "initrd", "module", "modulenounzip", "chainloader":
		return m.legacyLoad(c, words)
	}
	return true
}

func (m *machine) legacyRoot(device string) {
	m.ctx.vars["root"] = variable{value: plain(strings.Trim(device, "()"))}
}

// legacyMenu opens another menu, unless it is one of those around.
func (m *machine) legacyMenu(name string, at Span) bool {
	p, is := m.stat(name)
	if is == absent {
		return false
	}
	if is == isFile && !slices.Contains(m.chain, p.path) && len(m.chain) < maxMenus {
		if menu := m.legacy(name, at); menu != nil {
			m.boot.Action, m.boot.Menu = Opens, menu
		}
	}
	if m.boot.Menu == nil {
		m.boot.Action, m.boot.Menu = Opens, &Menu{File: p.path, Again: true}
	}
	return false
}

// legacyLoad notes a file that is loaded.
func (m *machine) legacyLoad(c legacyLine, words []Word) bool {
	l := &Load{Command: c.name, Span: c.span, legacy: true}
	args := make([]Arg, len(words))
	for i, w := range words {
		at := Span{c.span.Source, w[0].Span.Start, w[len(w)-1].Span.End}
		args[i] = Arg{Word: w, Span: at}
	}
	for len(args) > 0 && strings.HasPrefix(args[0].String(), "--") {
		l.Options, args = append(l.Options, args[0]), args[1:]
	}
	if len(args) == 0 {
		return false
	}
	l.File, l.Args = args[0], args[1:]
	name := l.File.String()
	p, is := m.stat(name)
	l.Device, l.Path = p.device, p.path
	l.Other = is == unsure || strings.HasPrefix(afterDevice(name), "+")
	l.Missing = is != isFile && !l.Other && !m.fw.Trust
	switch {
	case c.name == "kernel" || c.name == "chainloader":
		if l.Missing {
			m.boot.failed = append(m.boot.failed, l)
			return false
		}
		m.boot.Kernel = l
	case m.boot.Kernel == nil:
		m.boot.Orphans = append(m.boot.Orphans, l)
		return false
	case c.name == "initrd":
		m.boot.Initrds = append(m.boot.Initrds, l)
	default:
		m.boot.Modules = append(m.boot.Modules, l)
	}
	return !l.Missing
}
