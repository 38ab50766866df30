package grubscript

import (
	"maps"
	"slices"
)

// Device is a file system that GRUB can see.
type Device struct {
	Name   string // without parentheses, such as cd0; what machines call it differs
	Volume Volume
	Label  string
	UUID   string // as GRUB writes it, such as 2026-11-29-13-35-59-00
}

// Volume is a file system that GRUB reads: the tree of an image, or an EFI system
// partition in it. Names have slashes, and none in front of a root's.
type Volume interface {
	// Lookup finds a file or directory in any case, following links, and returns the
	// path as the volume has it; fs.ErrNotExist without one.
	Lookup(name string) (found string, dir bool, err error)
	// List returns the names in a directory.
	List(dir string) ([]string, error)
	// Read returns the content of a file, nil if it has more than limit bytes or cannot
	// be had.
	Read(name string, limit int64) ([]byte, error)
}

// Firmware is what GRUB finds when it starts.
type Firmware struct {
	Platform string // grub_platform: pc, efi, ieee1275 …
	CPU      string // grub_cpu: i386, x86_64, arm64 …
	// Devices are those of the image. The first one is root until a script says
	// something else.
	Devices []Device
	// Prefix is the directory of GRUB's own files, with the device or without:
	// (cd0)/boot/grub. Cmdpath is where its program lies.
	Prefix, Cmdpath string
	// Config is what GRUB reads first; without it, grub.cfg in the prefix.
	Config string
	// Embedded is a script inside of GRUB's program, which runs before.
	Embedded []byte
	// RedHat GRUBs look for a default by id and title first, show submenus and other
	// configurations all variables instead of those that are exported, keep the default
	// for them, and leave \xHH alone in arguments.
	RedHat bool
	// Vars are variables that are set besides.
	Vars map[string]string
	// Trust takes kernels and initrds to be there; else an entry whose kernel is not
	// fails, as it does at the machine.
	Trust bool
}

// variable is one of a context.
type variable struct {
	value    Word
	exported bool
	last     *Assignment
}

// context is a set of variables and the menu that entries are added to. A configfile and
// a submenu open one.
type context struct {
	vars map[string]variable
	menu *Menu
	prev *context
}

func (c *context) clone() *context {
	if c == nil {
		return nil
	}
	return &context{vars: maps.Clone(c.vars), menu: c.menu, prev: c.prev.clone()}
}

// features are the variables by which scripts see what a GRUB of 2.00 or later can do.
var features = []string{
	"feature_chainloader_bpb", "feature_ntldr", "feature_platform_search_hint", "feature_default_font_path", "feature_all_video_module",
	"feature_menuentry_id", "feature_menuentry_options", "feature_200_final", "feature_nativedisk_cmd", "feature_timeout_style",
}

// newContext has what GRUB sets before it reads anything.
func newContext(f *Firmware) *context {
	c := &context{vars: map[string]variable{}}
	set := func(name, value string) { c.vars[name] = variable{value: plain(value), exported: true} }
	for _, name := range features {
		set(name, "y")
	}
	root := ""
	if len(f.Devices) > 0 {
		root = f.Devices[0].Name
	}
	set("root", root)
	set("prefix", f.Prefix)
	set("cmdpath", f.Cmdpath)
	set("grub_cpu", f.CPU)
	set("grub_platform", f.Platform)
	set("pager", "")
	set("color_normal", "light-gray/black")
	set("color_highlight", "black/light-gray")
	c.vars["?"] = variable{value: plain("0")}
	for name, value := range f.Vars {
		set(name, value)
	}
	return c
}

// get returns the value of a variable.
func (m *machine) get(name string) Word { return m.ctx.vars[name].value }

func (m *machine) text(name string) string { return m.get(name).String() }

// assign gives a variable a value. The words in it remember that they came through it.
func (m *machine) assign(a *Assignment) {
	if !special(a.Name) {
		m.trace(a)
		old := m.ctx.vars[a.Name]
		m.ctx.vars[a.Name] = variable{value: a.Value, exported: old.exported, last: a}
	}
}

func (m *machine) unset(name string, at Span) {
	if _, ok := m.ctx.vars[name]; ok {
		m.trace(&Assignment{Name: name, How: "unset", Span: at, Unset: true})
		delete(m.ctx.vars, name)
	}
}

// trace keeps what happened to variables, in order.
func (m *machine) trace(a *Assignment) {
	if len(m.assigned) < maxTrace {
		m.assigned = append(m.assigned, a)
	}
}

const maxTrace = 1 << 16

// special names belong to the arguments of functions.
func special(name string) bool {
	return name == "" || digit(name[0]) || name == "#" || name == "*" || name == "@"
}

// open enters a new context with the exported variables of the old one, or all of them.
func (m *machine) open(menu *Menu, all bool) {
	vars := maps.Clone(m.ctx.vars)
	maps.DeleteFunc(vars, func(_ string, v variable) bool { return !v.exported && !all })
	for name, v := range vars {
		v.exported = true
		vars[name] = v
	}
	m.ctx = &context{vars: vars, menu: menu, prev: m.ctx}
}

func (m *machine) close() { m.ctx = m.ctx.prev }

// args are those of a function or an entry: $1, $2, …
type args struct{ words []Word }

// value returns the words that a variable stands for, one for each of $@ and $*.
func (m *machine) value(name string) []Word {
	if !special(name) {
		v, ok := m.ctx.vars[name]
		if !ok {
			return nil
		}
		if v.last == nil {
			return []Word{v.value}
		}
		out := make(Word, len(v.value))
		for i, f := range v.value {
			out[i] = f.through(v.last)
		}
		return []Word{out}
	}
	if m.args == nil {
		return nil
	}
	switch name {
	case "#":
		return []Word{plain(itoa(len(m.args.words)))}
	case "*", "@":
		return slices.Clone(m.args.words)
	}
	if n := atoi(name); n >= 1 && n <= len(m.args.words) {
		return []Word{m.args.words[n-1]}
	}
	return nil
}
