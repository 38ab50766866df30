package menu

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// sysMenu is one menu of syslinux: the one on top, or one of MENU BEGIN.
type sysMenu struct {
	label, title string
	parent       *sysMenu
	parentEntry  *sysEntry
	entries      []*sysEntry
	def          int // index of the marked one
	timeout      int // in tenths; 0: none
	ontimeout    string
	onerror      string
}

// action is what choosing an entry does.
type action int

const (
	actCommand action = iota
	actSubmenu
	actGoto
	actExit
	actQuit
	actDisabled
)

// sysEntry is a LABEL, as far as it was read.
type sysEntry struct {
	label, menuLabel  string
	whole             string // all of the line behind LABEL, which menus take for the label
	kind, kernel      string // kind is the word that named the kernel, "kernel" by itself
	append            string
	own               bool // it has an APPEND of its own
	initrd            string
	hide, mark        bool
	separator, locked bool
	act               action
	target            string // of MENU GOTO, MENU EXIT
	submenu           *sysMenu
	menu              *sysMenu
	index             int
	file              string // with the volume's prefix
	line              int
	dir               string // where its paths count from
	out               *Entry
}

// sysConfig is what one reading of a configuration gives.
type sysConfig struct {
	root, start, unseen *sysMenu
	menus               []*sysMenu
	all                 []*sysEntry
	def, ontimeout      string // DEFAULT, ONTIMEOUT: command lines
	onerror, ui         string
	prompt, shiftkey    bool
	noImplicit          bool
	noOptions, noEscape bool
	hidden              bool   // MENU HIDDEN
	round               string // how files include one another without end
	timeout, total      int
	append              string // in front of all labels
	dir                 string
}

// sysReader reads the language of syslinux as its core and its menus do: line by line, the
// last setting counts, a label is complete when the next one begins.
type sysReader struct {
	r     *reader
	c     *sysConfig
	cur   *sysMenu
	label *sysEntry
	open  []string // files that are read, the one on top in front
}

// readSyslinux reads a configuration whose relative paths count from dir.
func readSyslinux(r *reader, dir string, names ...string) (*sysConfig, bool) {
	c := &sysConfig{dir: dir}
	s := &sysReader{r: r, c: c}
	c.unseen = s.menu(nil, nil, ".hidden")
	c.root = s.menu(nil, nil, ".top")
	c.start, s.cur = c.root, c.root
	any := false
	for _, name := range names {
		if s.file(bootcfg.Resolve(dir, name)) {
			any = true
		}
	}
	s.record(s.cur)
	s.finish()
	return c, any
}

func (s *sysReader) menu(parent *sysMenu, entry *sysEntry, label string) *sysMenu {
	m := &sysMenu{label: label, parent: parent, parentEntry: entry}
	if parent != nil {
		m.timeout, m.ontimeout, m.onerror = parent.timeout, parent.ontimeout, parent.onerror
		entry.act, entry.submenu = actSubmenu, m
	}
	s.c.menus = append(s.c.menus, m)
	return m
}

// file reads one file, in the place where it is included. The loader never gets out of files
// that include one another: nothing bounds how deep it goes but its stack.
func (s *sysReader) file(name string) bool {
	found, text, ok := s.r.read(name)
	if !ok {
		return false
	}
	if slices.Contains(s.open, found) || len(s.open) > maxIncludes {
		s.c.round = cmp.Or(s.c.round, s.open[len(s.open)-1]+" includes "+found+" again, without end")
		return true
	}
	s.open = append(s.open, found)
	defer func() { s.open = s.open[:len(s.open)-1] }()
	m, help, line := s.cur, false, 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimRight(l, "\r\n\x00\x1a")
		key, rest := command(l)
		key = strings.ToLower(key)
		if help {
			help = key != "endtext"
			continue
		}
		switch {
		case len(s.c.all) > maxEntries:
			return true
		case key == "text":
			help = true
		case key == "menu":
			m = s.menuLine(m, rest)
		default:
			m = s.line(m, key, rest, s.r.vol.Prefix+found, line)
		}
	}
	return true
}

// line reads a command that does not begin with MENU.
func (s *sysReader) line(m *sysMenu, key, rest, file string, line int) *sysMenu {
	c := s.c
	switch key {
	case "include":
		return s.include(m, rest)
	case "label":
		s.record(m)
		name, _ := cut(rest)
		s.label = &sysEntry{label: name, whole: rest, kernel: name, kind: "kernel", file: file, line: line, dir: c.dir}
	case "append":
		if s.label != nil {
			s.label.append, s.label.own = rest, true
		} else {
			c.append = rest
		}
	case "initrd":
		if s.label != nil {
			s.label.initrd = rest
		}
	case "kernel", "linux", "boot", "bss", "pxe", "fdimage", "comboot", "com32", "config", "localboot":
		if s.label != nil {
			s.label.kernel, s.label.kind = rest, key
		}
	case "timeout":
		c.timeout = tenths(rest)
		m.timeout = c.timeout
	case "totaltimeout":
		c.total = tenths(rest)
	case "ontimeout":
		c.ontimeout, m.ontimeout = rest, rest
	case "onerror":
		c.onerror = rest
	case "default":
		c.def = rest
	case "ui":
		c.ui = rest
	case "prompt":
		c.prompt = tenths(rest) != 0
	case "implicit":
		c.noImplicit = tenths(rest) == 0
	case "allowoptions":
		c.noOptions = tenths(rest) == 0
	case "noescape":
		c.noEscape = tenths(rest) != 0
	}
	return m
}

// include reads a file in place of the line; a word behind its name makes a menu of it.
func (s *sysReader) include(m *sysMenu, rest string) *sysMenu {
	name, tag := command(rest)
	if name == "" {
		return m
	}
	if tag != "" {
		s.record(m)
		m = s.begin(tag)
	}
	s.file(bootcfg.Resolve(s.c.dir, name))
	if tag != "" {
		s.record(m)
		m = s.end()
	}
	return m
}

// menuLine reads a MENU command.
func (s *sysReader) menuLine(m *sysMenu, rest string) *sysMenu {
	key, rest := command(rest)
	switch strings.ToLower(key) {
	case "include":
		return s.include(m, rest)
	case "begin":
		s.record(m)
		return s.begin(rest)
	case "end":
		s.record(m)
		return s.end()
	case "start":
		s.c.start = m
	case "shiftkey":
		s.c.shiftkey = true
	case "hidden":
		s.c.hidden = true
	case "separator":
		s.record(m)
		s.label = &sysEntry{separator: true}
		s.record(m)
	case "title":
		m.title = rest
		if m.parentEntry != nil && m.parentEntry.menuLabel == "" {
			m.parentEntry.menuLabel = rest
		}
	case "onerror":
		s.c.onerror, m.onerror = rest, rest
	case "default":
		if s.label != nil {
			s.label.mark = true
		} else if m.parentEntry != nil {
			m.parent.def = m.parentEntry.index
		}
	case "label":
		if s.label != nil {
			s.label.menuLabel = rest
		} else if m.parentEntry != nil {
			m.parentEntry.menuLabel = rest
			if m.title == "" {
				m.title = rest
			}
		}
	default:
		s.labelLine(m, strings.ToLower(key), rest)
	}
	return m
}

// labelLine reads a MENU command that only means something inside of a label.
func (s *sysReader) labelLine(m *sysMenu, key, rest string) {
	l := s.label
	if l == nil {
		return
	}
	switch key {
	case "hide":
		l.hide = true
	case "disable", "disabled":
		l.locked = true
	case "quit":
		l.act = actQuit
	case "goto":
		l.act, l.target = actGoto, rest
	case "exit":
		if m.parent == nil {
			return
		}
		if l.act, l.submenu = actExit, m.parent; rest != "" {
			l.target = rest
		}
	}
}

func (s *sysReader) begin(tag string) *sysMenu {
	e := &sysEntry{label: tag, act: actSubmenu}
	s.put(s.cur, e)
	s.cur = s.menu(s.cur, e, tag)
	return s.cur
}

func (s *sysReader) end() *sysMenu {
	if s.cur.parent != nil {
		s.cur = s.cur.parent
	}
	return s.cur
}

func (s *sysReader) put(m *sysMenu, e *sysEntry) {
	e.menu, e.index = m, len(m.entries)
	m.entries = append(m.entries, e)
	s.c.all = append(s.c.all, e)
}

// record ends the label that is read.
func (s *sysReader) record(m *sysMenu) {
	l := s.label
	if s.label = nil; l == nil {
		return
	}
	if l.separator || l.locked {
		l.act, l.label = actDisabled, ""
	}
	if l.hide {
		m = s.c.unseen
	}
	if !l.own {
		l.append = s.c.append
	}
	if l.append == "-" {
		l.append = ""
	}
	s.put(m, l)
	if l.mark && (l.act == actCommand || l.act == actGoto) {
		m.def = l.index
	}
}

// finish does what can only be done when all labels are known.
func (s *sysReader) finish() {
	for _, e := range s.c.all {
		if e.target == "" {
			continue
		}
		if e.submenu = s.find(e.target); e.submenu == nil {
			e.act = actDisabled
		}
	}
}

func (s *sysReader) find(label string) *sysMenu {
	for _, m := range s.c.menus {
		if m.label == label {
			return m
		}
	}
	return nil
}

// tenths reads a number as C's atoi does.
func tenths(s string) int {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, _ := strconv.Atoi(s[:end])
	return min(n, 1<<30)
}
