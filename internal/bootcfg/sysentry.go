package bootcfg

import (
	"path"
	"slices"
	"strings"
)

// graph is what a file of syslinux knows of those that are read with it.
type graph struct {
	labels map[string]bool        // that any of them has
	append []word                 // the arguments of all labels without their own
	exists func(name string) bool // whether a kernel is there
	apart  bool                   // a label taken out: it gets those arguments as its own
}

// sysLabel is a label of syslinux with the commands that say what it starts.
type sysLabel struct {
	*MenuEntry
	kind   string   // the word that names the kernel, empty without one
	named  *command // by which
	append *command
	idle   bool // it leads to another menu, or is only shown
}

// syslinux scans labels, and the command lines that stand in place of one.
func (s *scanner) syslinux() {
	var global *command // append of all labels that have none
	var labels []*sysLabel
	var cur *sysLabel
	own := map[string]bool{}
	for _, c := range s.f.commands {
		if c.is(0, "label") {
			own[s.f.rest(c, 1)] = true
		}
	}
	for _, c := range s.f.commands {
		if len(c.words) == 0 {
			continue
		}
		if s.cur == nil {
			cur = nil
		} else if !c.is(0, "label") {
			s.cur.last = c
		}
		switch key := strings.ToLower(c.words[0].raw); key {
		case "label":
			cur = &sysLabel{MenuEntry: s.begin(c)}
			cur.Name, cur.Title = s.f.rest(c, 1), s.f.rest(c, 1)
			labels = append(labels, cur)
		case "menu":
			s.menu(c)
			if cur != nil && c.is(1, "goto", "exit", "quit", "disable", "disabled", "separator") {
				cur.idle = true
			}
			if c.is(1, "hiddenkey", "hidekey") {
				s.direct(c, 3, own)
			}
		case "kernel", "linux", "com32", "boot", "bss", "pxe", "fdimage", "comboot", "config", "localboot":
			if cur != nil && len(c.words) > 1 {
				cur.kind, cur.named = key, c
			}
		case "initrd":
			if cur != nil && len(c.words) > 1 {
				cur.Initrds = append(cur.Initrds, strings.Split(c.words[1].raw, ",")...)
			}
		case "append":
			if cur == nil {
				global = c
			} else {
				cur.append = c
			}
		case "default", "ontimeout", "onerror":
			s.direct(c, 1, own)
		}
	}
	s.labels(labels, global)
}

// labels finds the command lines of labels. One without arguments of its own has those in
// front of all labels, if there are such, else gets a command for them.
func (s *scanner) labels(labels []*sysLabel, global *command) {
	shared := false
	for _, l := range labels {
		s.resolve(l)
		if l.missing && !s.f.graph.apart && (global != nil || len(s.f.graph.append) > 0) {
			l.missing, shared = false, true
		}
	}
	if global != nil && (shared || len(labels) == 0 || len(s.f.graph.append) > 0) {
		e := &MenuEntry{Title: "all without arguments of their own", Line: global.line, last: global, kernel: global}
		e.lines = []*cmdline{{parts: []part{{global, 1}}}}
		s.out = append([]*MenuEntry{e}, s.out...)
	}
}

// resolve finds what a label starts and where its arguments are. Only Linux, and what
// linux.c32 and mboot.c32 start, takes kernel arguments: those of other modules are theirs.
func (s *scanner) resolve(l *sysLabel) {
	e := l.MenuEntry
	for _, w := range l.words() {
		if list, ok := strings.CutPrefix(w.word().raw, "initrd="); ok {
			e.Initrds = append(e.Initrds, strings.Split(list, ",")...)
		}
	}
	kind := l.kind
	if l.named != nil {
		e.Kernel, e.kernel = l.named.words[1].raw, l.named
	} else {
		if l.idle || l.append == nil {
			return
		}
		kind, e.kernel = "kernel", e.head // a label alone is the name of a file
		if e.Kernel = e.Name; s.f.graph.exists != nil && !s.f.graph.exists(e.Kernel) {
			e.Kernel = ""
			return
		}
	}
	module := kind == "com32" || kind == "kernel" && strings.HasSuffix(strings.ToLower(e.Kernel), ".c32")
	switch name := strings.TrimSuffix(strings.ToLower(path.Base(e.Kernel)), ".c32"); {
	case module && name == "linux":
		s.program(l)
	case module && name == "mboot":
		s.modules(l)
	case module || kind != "kernel" && kind != "linux" || kind == "kernel" && !s.f.linux(e.Kernel) || kind == "linux" && !loadable(e.Kernel):
	case l.append == nil && (l.named == nil || len(l.named.words) == 2):
		e.missing = true
	default:
		e.lines = []*cmdline{{parts: l.parts(0)}}
	}
}

// loadable reports whether LINUX starts something that takes kernel arguments.
func loadable(name string) bool { return (&File{format: Legacy}).linux(name) }

// words are those behind the name of the kernel, wherever they stand.
func (l *sysLabel) words() []place {
	line := cmdline{parts: l.parts(0)}
	return line.args()
}

// parts are the places of arguments, without the first n.
func (l *sysLabel) parts(n int) (out []part) {
	if l.named != nil && len(l.named.words) > 2 {
		at := min(2+n, len(l.named.words))
		n -= at - 2
		out = append(out, part{l.named, at})
	}
	if l.append != nil {
		from := min(1+n, len(l.append.words))
		if len(l.append.words) == 2 && l.append.words[1].raw == "-" {
			from = 2 // it stands for none
		}
		out = append(out, part{l.append, from})
	}
	return out
}

// program finds the kernel among the arguments of linux.c32.
func (s *scanner) program(l *sysLabel) {
	words := l.words()
	i := slices.IndexFunc(words, func(p place) bool { return !strings.HasPrefix(p.word().raw, "-") })
	if i < 0 {
		return
	}
	l.Kernel = words[i].word().raw
	l.lines = []*cmdline{{parts: l.parts(i + 1)}}
}

// modules finds the kernel among the modules of mboot.c32, which "---" separates: the
// first that is a Linux kernel by its name, else the second. What is in front of it is a
// hypervisor with arguments of its own.
func (s *scanner) modules(l *sysLabel) {
	c := l.append
	if c == nil || c.is(1, "-c") {
		return
	}
	at := []int{0}
	for i, w := range c.words {
		if w.raw == "---" {
			at = append(at, i)
		}
	}
	kernel := 0
	for k, i := range at {
		if i+1 < len(c.words) && kernel == 0 && k > 0 && KernelName(c.words[i+1].raw) {
			kernel = k
		}
	}
	if kernel == 0 {
		kernel = 1
	}
	if kernel >= len(at) || at[kernel]+1 >= len(c.words) {
		return
	}
	line := func(k int) *cmdline {
		end := len(c.words)
		if k+1 < len(at) {
			end = at[k+1]
		}
		return &cmdline{parts: []part{{c, at[k] + 2}}, behind: len(c.words) - end}
	}
	l.Kernel, l.kernel = c.words[at[kernel]+1].raw, c
	l.lines, l.xen = []*cmdline{line(kernel)}, []*cmdline{line(kernel - 1)}
	for _, i := range at[min(kernel+1, len(at)):] {
		if i+1 < len(c.words) {
			l.Initrds = append(l.Initrds, c.words[i+1].raw)
		}
	}
}

// KernelName reports a file that is a Linux kernel by its name.
func KernelName(name string) bool {
	base := strings.ToLower(path.Base(name))
	return strings.HasPrefix(base, "vmlinuz") || strings.HasPrefix(base, "linux") || strings.HasPrefix(base, "bzimage") || strings.HasPrefix(base, "kernel")
}

// direct takes a command line at word i for an entry of its own. Where it begins with a
// label, what stands behind is added to the arguments of that.
func (s *scanner) direct(c *command, i int, own map[string]bool) {
	if i >= len(c.words) {
		return
	}
	name := c.words[i].raw
	line := &cmdline{parts: []part{{c, i + 1}}}
	if line.more = own[name] || s.f.graph.labels[name]; line.more {
		if i+1 < len(c.words) {
			s.out = append(s.out, &MenuEntry{Line: c.line, last: c, lines: []*cmdline{line}})
		}
		return
	}
	there := strings.Contains(name, "/") || i+1 < len(c.words)
	if s.f.graph.exists != nil {
		there = s.f.graph.exists(name) || strings.Contains(name, "/")
	}
	if !there || !s.f.linux(name) {
		return
	}
	e := &MenuEntry{Title: strings.ToLower(c.words[0].raw), Kernel: name, Line: c.line, last: c, kernel: c, lines: []*cmdline{line}}
	for _, a := range line.args() {
		if list, ok := strings.CutPrefix(a.word().raw, "initrd="); ok {
			e.Initrds = append(e.Initrds, strings.Split(list, ",")...)
		}
	}
	s.out = append(s.out, e)
}

// menu reads a MENU command.
func (s *scanner) menu(c *command) {
	switch {
	case c.is(1, "begin", "end"):
		s.cur = nil
	case s.cur == nil:
	case c.is(1, "label"):
		s.cur.Title = strings.Replace(s.f.rest(c, 2), "^", "", 1)
	case c.is(1, "default"):
		s.cur.explicit = true
	}
}
