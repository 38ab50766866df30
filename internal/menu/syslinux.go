package menu

import (
	"path"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/bootcfg"
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
	root, start, hidden *sysMenu
	menus               []*sysMenu
	all                 []*sysEntry
	def, ontimeout      string // DEFAULT, ONTIMEOUT: command lines
	onerror, ui         string
	prompt, shiftkey    bool
	noImplicit          bool
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
	depth int
}

// readSyslinux reads a configuration whose relative paths count from dir.
func readSyslinux(r *reader, dir string, names ...string) (*sysConfig, bool) {
	c := &sysConfig{dir: dir}
	s := &sysReader{r: r, c: c}
	c.hidden = s.menu(nil, nil, ".hidden")
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

// file reads one file, in the place where it is included.
func (s *sysReader) file(name string) bool {
	if s.depth >= maxNesting {
		return false
	}
	found, text, ok := s.r.read(name)
	if !ok {
		return false
	}
	s.depth++
	defer func() { s.depth-- }()
	m, help, line := s.cur, false, 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimRight(l, "\r\n\x00\x1a")
		key, rest := cut(l)
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
		s.label = &sysEntry{label: name, kernel: name, kind: "kernel", file: file, line: line, dir: c.dir}
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
		c.onerror, m.onerror = rest, rest
	case "default":
		c.def = rest
	case "ui":
		c.ui = rest
	case "prompt":
		c.prompt = tenths(rest) != 0
	case "implicit":
		c.noImplicit = tenths(rest) == 0
	}
	return m
}

// include reads a file in place of the line; a word behind its name makes a menu of it.
func (s *sysReader) include(m *sysMenu, rest string) *sysMenu {
	name, tag := cut(rest)
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
	key, rest := cut(rest)
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
		m = s.c.hidden
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

// byLabel finds a label, in this case only, by the first word of a command line.
func (c *sysConfig) byLabel(command string) *sysEntry {
	word, _ := cut(command)
	for _, e := range c.all {
		if e.label == word && word != "" && e.act != actSubmenu {
			return e
		}
	}
	return nil
}

// command is the command line of a label: kind, kernel, arguments.
func (e *sysEntry) command() (kind, kernel, args string) {
	kernel, rest := cut(e.kernel)
	args = rest
	for _, more := range []string{e.append, e.initrdArg()} {
		args = strings.TrimSpace(args + " " + more)
	}
	if kind = e.kind; kind == "kernel" {
		kind = byExtension(kernel)
	}
	return kind, kernel, args
}

func (e *sysEntry) initrdArg() string {
	if e.initrd == "" {
		return ""
	}
	return "initrd=" + e.initrd
}

// byExtension is what syslinux takes a file for that is only said to be a kernel.
func byExtension(kernel string) string {
	for ext, kind := range map[string]string{".c32": "com32", ".img": "fdimage", ".bss": "bss", ".bin": "boot", ".bs": "boot", ".0": "pxe", ".cbt": "comboot", ".com": "comboot"} {
		if strings.HasSuffix(kernel, ext) {
			return kind
		}
	}
	return "linux"
}

// title is what the menu shows.
func (e *sysEntry) title() string {
	t := e.menuLabel
	if t == "" {
		t = e.label
	}
	return strings.Replace(t, "^", "", 1)
}

// titles of the menus around an entry.
func (m *sysMenu) titles() (out []string) {
	for ; m != nil && m.parentEntry != nil; m = m.parent {
		out = append([]string{m.parentEntry.title()}, out...)
	}
	return out
}

// entry is the label as the model has it.
func (e *sysEntry) entry() *Entry {
	if e.out != nil {
		return e.out
	}
	kind, kernel, args := e.command()
	x := &Entry{File: e.file, Line: e.line, ID: e.label, Title: e.title(), Menus: e.menu.titles(), Hidden: e.menu.label == ".hidden", Kernel: kernel}
	what := classify(kind, kernel, args)
	x.Kind, x.Kernel, x.Args, x.Initrds, x.Hypervisor = what.Kind, what.Kernel, what.Args, what.Initrds, what.Hypervisor
	if e.act == actQuit || e.act == actExit || e.act == actGoto {
		x.Kind, x.Kernel, x.Args = Submenu, "", ""
	}
	e.out = x
	return x
}

// classify says what a command line of syslinux is.
func classify(kind, kernel, args string) (e Entry) {
	e = Entry{Kernel: kernel, Args: args}
	switch kind {
	case "linux":
		e.Kind = Linux
	case "config":
		e.Kind = Config
	case "localboot":
		e.Kind, e.Kernel = Local, ""
	case "com32":
		return module(kernel, args)
	default:
		e.Kind = Chain
	}
	if e.Kind == Linux {
		e.Initrds = initrdsOf(args)
	}
	return e
}

func initrdsOf(args string) (out []string) {
	for a := range strings.FieldsSeq(args) {
		if v, ok := strings.CutPrefix(a, "initrd="); ok {
			out = append(out, strings.Split(v, ",")...)
		}
	}
	return out
}

// module says what a program of syslinux's starts with its arguments.
func module(name, args string) Entry {
	switch moduleName(name) {
	case "linux":
		kernel, rest := cut(args)
		return Entry{Kind: Linux, Kernel: kernel, Args: rest, Initrds: initrdsOf(rest)}
	case "mboot":
		return mboot(name, args)
	case "chain":
		return Entry{Kind: Chain, Kernel: name, Args: args}
	}
	return Entry{Kind: Module, Kernel: name, Args: args}
}

// moduleName is the name of a module without directory and extension.
func moduleName(name string) string {
	return strings.TrimSuffix(strings.ToLower(path.Base(name)), ".c32")
}

// mboot reads the modules that "---" separates: a hypervisor, a kernel, its initrd. With
// -c it reads a configuration of ESXi.
func mboot(name, args string) Entry {
	e := Entry{Kind: Multiboot, Kernel: name, Args: args}
	var parts [][]string
	part := []string{}
	for a := range strings.FieldsSeq(args) {
		if a == "---" {
			parts, part = append(parts, part), nil
			continue
		}
		part = append(part, a)
	}
	parts = append(parts, part)
	if len(parts) == 1 || len(parts[1]) == 0 {
		return e
	}
	e.Hypervisor = strings.Join(parts[0], " ")
	e.Kernel, e.Args = parts[1][0], strings.Join(parts[1][1:], " ")
	for _, p := range parts[2:] {
		if len(p) > 0 {
			e.Initrds = append(e.Initrds, p[0])
		}
	}
	return e
}
