package menu

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// maxHops is how many configurations and menus may follow one another.
const maxHops = 24

// sysRun is one start of syslinux, until something leaves it.
type sysRun struct {
	r      *reader
	m      *Menu
	medium string // the option of whichsys that counts: -iso-, -sys-, -pxe-
	seen   map[string]*sysConfig
	after  int // tenths waited so far
	hops   int
	unsure []string
	from   *sysMenu // the menu that chose, nil for the prompt
	erred  bool     // ONERROR was tried
	timed  bool     // the prompt's time was over once
}

// readSyslinuxMenu says what syslinux does with the configuration that it reads first.
func readSyslinuxMenu(v Volume, root, dir string, platform Platform) *Menu {
	r := newReader(v)
	m := &Menu{Loader: Syslinux, Platforms: []Platform{platform}}
	x := &sysRun{r: r, m: m, seen: map[string]*sysConfig{}, medium: "-iso-"}
	if platform == UEFI || strings.Contains(strings.ToLower(root), "syslinux.cfg") {
		x.medium = "-sys-"
	}
	c := x.config(dir, root)
	if c == nil {
		return nil
	}
	m.Start = x.core(c)
	x.reach()
	if len(x.unsure) > 0 {
		m.Start.Unsure = strings.Join(x.unsure, "; ")
	}
	m.Files, m.Missing = r.files, r.miss
	if len(m.Files) > 0 {
		m.Root = m.Files[0]
	}
	return m
}

// config reads a configuration once for each directory that its paths count from, and
// notes its entries.
func (x *sysRun) config(dir string, names ...string) *sysConfig {
	key := dir + "\x00" + strings.Join(names, "\x00")
	if c, ok := x.seen[key]; ok {
		return c
	}
	c, ok := readSyslinux(x.r, dir, names...)
	if !ok {
		c = nil
	}
	x.seen[key] = c
	if c == nil {
		return nil
	}
	for _, e := range c.all {
		if e.file == "" || e.act == actDisabled || slices.ContainsFunc(x.m.Entries, func(o *Entry) bool { return o.File == e.file && o.Line == e.line }) {
			continue
		}
		x.m.Entries = append(x.m.Entries, e.entry())
	}
	return c
}

// reach reads the configurations that entries lead to, which users may choose.
func (x *sysRun) reach() {
	for i := 0; i < len(x.m.Entries) && i < maxEntries; i++ {
		e := x.m.Entries[i]
		x.reachFrom(e)
	}
}

func (x *sysRun) reachFrom(e *Entry) {
	for _, c := range x.seen {
		if c == nil {
			continue
		}
		for _, s := range c.all {
			if s.out != e {
				continue
			}
			kind, kernel, args := s.command()
			switch {
			case kind == "config":
				x.config(workingDir(c.dir, args), bootcfg.Resolve(c.dir, kernel))
			case kind == "com32" && isMenu(kernel):
				if names := menuFiles(args); len(names) > 0 {
					x.config(c.dir, names...)
				}
			}
			return
		}
	}
}

// workingDir is the directory that CONFIG changes to: its first argument, if there is one.
func workingDir(dir, args string) string {
	if to, _ := cut(args); to != "" {
		return bootcfg.Resolve(dir, to)
	}
	return dir
}

func isMenu(kernel string) bool {
	n := moduleName(kernel)
	return n == "menu" || n == "vesamenu" || n == "gfxmenu"
}

// menuFiles are the configurations that a menu reads instead of the first one.
func menuFiles(args string) (out []string) {
	for a := range strings.FieldsSeq(args) {
		if a != "~" {
			out = append(out, a)
		}
	}
	return out
}

// doubt notes why the answer may be another one.
func (x *sysRun) doubt(format string, args ...any) {
	x.unsure = appendOnce(x.unsure, fmt.Sprintf(format, args...))
}

// core is the prompt of syslinux: what is the default starts at once, unless PROMPT lets
// it wait; UI counts more than both.
func (x *sysRun) core(c *sysConfig) Start {
	if x.hops++; x.hops > maxHops {
		x.doubt("configurations lead to one another without end")
		return Start{After: Forever}
	}
	x.from = nil
	if c.round != "" {
		return Start{After: Forever, Fails: "the loader hangs: " + c.round}
	}
	if c.command() != "" && (!c.prompt || c.ui != "" || c.noEscape) {
		return x.load(c, c.command())
	}
	return x.prompt(c, c.command())
}

// command is what an empty command line starts.
func (c *sysConfig) command() string {
	if c.ui != "" {
		return c.ui
	}
	return c.def
}

// prompt waits for a command line.
func (x *sysRun) prompt(c *sysConfig, command string) Start {
	wait := least(c.timeout, c.total)
	if wait <= 0 {
		s := x.look(c, command)
		s.After = Forever
		return s
	}
	x.after += wait
	if c.ontimeout != "" {
		command = c.ontimeout
	}
	if command == "" {
		return Start{After: Forever}
	}
	return x.load(c, command)
}

// least is the shorter of two times, where 0 is none.
func least(a, b int) int {
	switch {
	case a <= 0:
		return b
	case b <= 0:
		return a
	}
	return min(a, b)
}

// look says what a command line would start, without following it.
func (x *sysRun) look(c *sysConfig, command string) Start {
	if e := c.byLabel(command); e != nil && e.act == actCommand {
		_, more := cut(command)
		return started(e, more)
	}
	kernel, args := cut(command)
	if kernel == "" {
		return Start{}
	}
	w := classify(byExtension(kernel), kernel, args)
	return Start{Kind: w.Kind, Kernel: w.Kernel, Args: w.Args}
}

// started is the start of an entry, with more arguments.
func started(e *sysEntry, more string) Start {
	x := e.entry()
	return Start{Entry: x, Kind: x.Kind, Kernel: x.Kernel, Initrds: x.Initrds, Args: strings.TrimSpace(x.Args + " " + more)}
}

// load runs a command line: that of a label, or a file.
func (x *sysRun) load(c *sysConfig, command string) Start {
	if e := c.byLabel(command); e != nil {
		_, more := cut(command)
		return x.label(c, e, more)
	}
	kernel, args := cut(command)
	if c.noImplicit {
		return x.broken(c, Start{After: Forever}, fmt.Sprintf("no label is called %q", kernel))
	}
	if c.noOptions {
		args = ""
	}
	kind, kernel, args := typed(kernel, args)
	if kind == "linux" && !x.r.has(bootcfg.Resolve(c.dir, kernel)) {
		for _, ext := range []string{".c32", ".img", ".bss", ".bin", ".bs", ".0"} {
			if x.r.has(bootcfg.Resolve(c.dir, kernel) + ext) {
				kernel += ext
				kind = byExtension(kernel)
				break
			}
		}
	}
	return x.execute(c, nil, kind, kernel, args)
}

// fromMenu runs a command line that a menu was given: a label of the menu's, else the file.
func (x *sysRun) fromMenu(c *sysConfig, command string) Start {
	if e := c.byMenu(command); e != nil {
		_, more := cut(command)
		return x.label(c, e, more)
	}
	return x.fileOf(c, command)
}

// fileOf starts a file by its whole name.
func (x *sysRun) fileOf(c *sysConfig, command string) Start {
	kind, kernel, args := typed(cut(command))
	return x.execute(c, nil, kind, kernel, args)
}

// typed takes a type in front of a command line away.
func typed(kernel, args string) (kind, name, rest string) {
	if k, ok := strings.CutPrefix(kernel, "."); ok && slices.Contains([]string{"linux", "kernel", "com32", "config", "boot", "bss", "pxe", "fdimage", "localboot"}, k) {
		name, rest = cut(args)
		return k, name, rest
	}
	return byExtension(kernel), kernel, args
}

func (x *sysRun) label(c *sysConfig, e *sysEntry, more string) Start {
	switch e.act {
	case actCommand:
	default:
		return x.failed(c, fmt.Sprintf("label %q starts nothing", e.label))
	}
	kind, kernel, args := e.command()
	return x.execute(c, e, kind, kernel, strings.TrimSpace(args+" "+more))
}

// execute starts what leaves syslinux, and follows what does not.
func (x *sysRun) execute(c *sysConfig, e *sysEntry, kind, kernel, args string) Start {
	switch kind {
	case "config":
		next := x.config(workingDir(c.dir, args), bootcfg.Resolve(c.dir, kernel))
		if next == nil {
			return x.failed(c, kernel+" is not there")
		}
		return x.core(next)
	case "com32":
		if s, ok := x.module(c, kernel, args); ok {
			return s
		}
	}
	w := classify(kind, kernel, args)
	s := Start{After: x.after, Kind: w.Kind, Kernel: w.Kernel, Args: w.Args, Initrds: w.Initrds}
	if e != nil {
		s.Entry = e.entry()
	}
	return x.tried(c, s, kind, kernel, w.Initrds)
}

// module follows the modules that lead to other entries.
func (x *sysRun) module(c *sysConfig, kernel, args string) (Start, bool) {
	switch name := moduleName(kernel); {
	case isMenu(kernel):
		if names := menuFiles(args); len(names) > 0 {
			next := x.config(c.dir, names...)
			if next == nil {
				return x.failed(c, strings.Join(names, " ")+" is not there"), true
			}
			return x.menu(next), true
		}
		return x.menu(c), true
	case name == "gfxboot":
		return x.gfxboot(c), true
	case name == "whichsys":
		return x.command(c, optionOf(args, x.medium), "whichsys.c32 has no command for this medium"), true
	case name == "ifcpu64", name == "ifcpu":
		if name == "ifcpu" {
			x.doubt("ifcpu.c32 asks what the processor can")
		}
		first, _, _ := strings.Cut(args, " -- ")
		return x.command(c, strings.TrimSpace(first), "no command"), true
	case name == "config":
		file, rest := cut(args)
		return x.execute(c, nil, "config", file, rest), true
	case name == "cmd":
		return x.command(c, args, "no command"), true
	}
	return Start{}, false
}

// command runs what a module chose.
func (x *sysRun) command(c *sysConfig, command, none string) Start {
	if x.hops++; command == "" || x.hops > maxHops {
		return x.failed(c, none)
	}
	return x.load(c, command)
}

// optionOf is what stands behind an option of whichsys, up to the next.
func optionOf(args, option string) string {
	var out []string
	in := false
	for a := range strings.FieldsSeq(args) {
		if strings.HasPrefix(a, "-") && strings.HasSuffix(a, "-") && len(a) == 5 {
			in = a == option
			continue
		}
		if in {
			out = append(out, a)
		}
	}
	return strings.Join(out, " ")
}

// menu is what menu.c32 and vesamenu.c32 do: the marked entry of the menu that is shown
// first, when its time is over; ONTIMEOUT instead of it, where there is one.
func (x *sysRun) menu(c *sysConfig) Start {
	if x.hops++; x.hops > maxHops {
		return x.failed(c, "menus lead to one another without end")
	}
	m := c.start
	if c.ui != "" && c.def != "" {
		if e := c.byMenu(c.def); e != nil && e.menu != c.unseen {
			m = e.menu
			m.def = e.index
		}
	}
	if len(m.entries) == 0 {
		return x.returned(c, "the menu has no entries")
	}
	x.from = m
	e := m.entries[m.def]
	wait := least(m.timeout, c.total)
	if e.act == actDisabled && !(c.hidden && m.ontimeout != "") { // the mark moves on, which ends the time of the menu
		wait = c.total
	}
	if c.shiftkey {
		return x.chosen(c, m, e)
	}
	if wait <= 0 {
		s := Start{}
		if first := m.shown(); first != nil && first.act == actCommand {
			s = started(first, "")
		}
		s.After = Forever
		return s
	}
	x.after += wait
	if m.ontimeout != "" {
		return x.fromMenu(c, m.ontimeout)
	}
	return x.chosen(c, m, e)
}

// shown is the entry that the mark stands on.
func (m *sysMenu) shown() *sysEntry {
	for i := m.def; i < len(m.entries); i++ {
		if m.entries[i].act != actDisabled {
			return m.entries[i]
		}
	}
	return nil
}

// chosen is the start of the marked entry; one that is a menu leaves for the prompt.
func (x *sysRun) chosen(c *sysConfig, m *sysMenu, e *sysEntry) Start {
	if e.act == actCommand {
		return x.label(c, e, "")
	}
	return x.returned(c, fmt.Sprintf("the menu %q is left without a choice", path.Base(m.label)))
}

// gfxboot shows the labels of the configuration itself: DEFAULT and TIMEOUT count.
func (x *sysRun) gfxboot(c *sysConfig) Start {
	e := c.byLabel(c.def)
	if e == nil || e.act != actCommand {
		if c.def != "" {
			x.doubt("DEFAULT names no label, gfxboot then takes the first")
		}
		for _, l := range c.all {
			if l.act == actCommand && l.menu != c.unseen {
				e = l
				break
			}
		}
	}
	if e == nil {
		return x.failed(c, "gfxboot has no labels")
	}
	if c.timeout <= 0 {
		s := started(e, "")
		s.After = Forever
		return s
	}
	x.after += c.timeout
	kind, kernel, args := e.command()
	return x.execute(c, e, kind, kernel, args)
}
