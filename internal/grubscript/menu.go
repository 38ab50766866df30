package grubscript

import (
	"slices"
	"strings"
)

// Menu is a list of entries with what GRUB knows when it shows them.
type Menu struct {
	Entries []*Entry
	// Secret entries are not shown and not counted: a key starts them, in GRUBs of SUSE's;
	// others have no command for them.
	Secret []*Entry
	// File is the file that was run for it, or in which its submenu stands.
	File string
	// Variables as they are when the menu is shown: default, timeout, timeout_style and
	// fallback.
	Settings map[string]*Setting
	// Timeout is the number of seconds until the default starts; below 0 the menu waits.
	Timeout int
	Again   bool // one of the same file is around it
	Hidden  bool // shows nothing until it is over
	Default int  // of the entries
	// Why says why the default is not what the variable names: empty if it is.
	Why string
	// Start is what starts when nobody presses a key.
	Start *Start
	// Conditions are those under which the entries are there, of a menu that has what only
	// other machines show.
	Conditions []Condition

	config *Source // that was run for it
}

// Setting is a variable that a menu reads.
type Setting struct {
	Name  string
	Value Word
	Set   bool
	// Assignments are all that happened to it, in order. The last one counts.
	Assignments []*Assignment
}

// Entry is an entry of a menu.
type Entry struct {
	Title string
	ID    string // the title without one
	Name  Word   // the title with where it is written
	IDAt  Word   // the id with where it is written; nil without one
	Span  Span   // the command that made it, with its block
	Body  Span   // the block, with its braces
	// Classes, Hotkey and Users are as written.
	Classes    []string
	Hotkey     string
	Restricted bool // asks for a password
	Submenu    bool
	// Certain is false where conditions decide whether the entry is there.
	Certain    bool
	Conditions []Condition
	// Boots is what it does: more than one where conditions decide that. The first one is
	// what is supposed.
	Boots []*Boot

	args  []Word
	block *block
	body  Word // of --source
}

// Action is what an entry does in the end.
type Action string

// The actions.
const (
	Nothing   Action = ""         // returns to the menu, or fails
	Boots     Action = "boot"     // starts what it loads
	Opens     Action = "menu"     // shows another menu
	Exits     Action = "exit"     // leaves GRUB: firmware takes the next thing
	Reboots   Action = "reboot"   //
	Halts     Action = "halt"     //
	Firmwares Action = "firmware" // opens the setup of the firmware
)

// Boot is what an entry does, under conditions.
type Boot struct {
	Action     Action
	Conditions []Condition
	Kernel     *Load // or the hypervisor, or another loader
	Initrds    []*Load
	Modules    []*Load
	// Orphans are loaded without a kernel, which fails.
	Orphans []*Load
	Menu    *Menu
	Failed  bool // an error; a fallback is tried
	// Leads is a configuration on another disk or in an image file that it goes on with:
	// what comes of that is not known.
	Leads   string
	Pauses  bool // asks for a key before it goes on
	Seconds int  // of waiting in it

	failed []*Load
}

func (b *Boot) loaded() bool { return b.Kernel != nil }

// Missing lists the kernels, initrds and modules that are not there.
func (b *Boot) Missing() (out []*Load) {
	out = append(out, b.failed...)
	for _, l := range append(append(append([]*Load{b.Kernel}, b.Initrds...), b.Modules...), b.Orphans...) {
		if l != nil && l.Missing {
			out = append(out, l)
		}
	}
	return out
}

// Loads lists all that takes arguments: the kernel, also one that is not there, and
// modules.
func (b *Boot) Loads() (out []*Load) {
	if b.Kernel != nil {
		out = append(out, b.Kernel)
	}
	return append(append(out, b.failed...), b.Modules...)
}

// Start is what starts when nobody presses a key.
type Start struct {
	Kind    StartKind
	Path    []*Entry // from the menu that is shown first
	Boot    *Boot    // nil if it waits
	Seconds int      // until then, as far as scripts and menus wait
	Unsure  string   // what makes another start possible that is not followed
	// Certain is false where conditions decide; those of this one.
	Certain    bool
	Conditions []Condition
	// Others are what starts under other conditions.
	Others []*Start
	Note   string // what is odd: a default that is not there, a fallback
}

// StartKind is how it ends.
type StartKind string

// The kinds.
const (
	Starts   StartKind = "starts"   // the entry at the end of the path
	Waits    StartKind = "waits"    // for a key, at the menu at the end of the path
	Password StartKind = "password" // asks for one
	Prompt   StartKind = "prompt"   // GRUB's command line: there is no menu
	Leaves   StartKind = "leaves"   // exit, reboot or halt outside of a menu
)

// menuentry adds an entry to the menu.
func menuentry(c *call) status {
	opts, rest := c.options("", "class users hotkey source id")
	if len(rest) == 0 || c.body == nil && opts["source"] == nil || c.body != nil && opts["source"] != nil {
		c.remark(c.span, "makes no entry: it has no title or no commands")
		return failed
	}
	if c.budget.nodes--; c.budget.nodes < 0 {
		c.limit(c.span)
		return failed
	}
	e := &Entry{Title: rest[0].String(), Name: rest[0], Span: c.span, Submenu: c.name == "submenu", args: rest, block: c.body}
	if c.body != nil {
		e.Body = c.body.span
	} else {
		e.body = opts["source"][0]
	}
	for _, w := range opts["class"] {
		e.Classes = append(e.Classes, w.String())
	}
	if h := opts["hotkey"]; h != nil {
		e.Hotkey = h[len(h)-1].String()
	}
	e.ID = e.Title
	if id := opts["id"]; id != nil && id[len(id)-1] != nil {
		e.IDAt = id[len(id)-1]
		e.ID = e.IDAt.String()
	}
	users := opts["users"]
	e.Restricted = users != nil && users[0] != nil || opts["unrestricted"] == nil
	switch {
	case c.ctx.menu == nil:
	case c.name == "hiddenentry":
		c.ctx.menu.Secret = append(c.ctx.menu.Secret, e)
	default:
		c.ctx.menu.Entries = append(c.ctx.menu.Entries, e)
	}
	return done
}

// settings are the variables that menus read.
var settings = []string{"default", "timeout", "timeout_style", "fallback"}

// show shows the menu of the context, if it has entries: it finds out what each of them
// does and what starts by itself.
func (m *machine) show(at Span) {
	menu := m.ctx.menu
	if menu == nil || len(menu.Entries) == 0 || m.stopped {
		return
	}
	menu.File, menu.config = at.File(), m.config
	again := 0
	for _, file := range m.chain {
		if file == menu.File {
			again++
		}
	}
	m.chain = append(m.chain[:len(m.chain):len(m.chain)], menu.File)
	menu.Again = again > 0
	if again < maxAgain {
		m.look(menu, false)
	}
	m.chain = m.chain[:len(m.chain)-1]
	m.out.menus = append(m.out.menus, menu)
}

// maxAgain is how often a menu of the same file is looked at inside of itself.
const maxAgain = 3

// look reads the variables of a menu and evaluates its entries. Where entries lead back to
// a menu of the same file, only what starts by itself is followed once more.
func (m *machine) look(menu *Menu, auto bool) {
	menu.Settings = map[string]*Setting{}
	for _, name := range settings {
		v, ok := m.ctx.vars[name]
		s := &Setting{Name: name, Value: v.value, Set: ok}
		for _, a := range m.assigned {
			if a.Name == name {
				s.Assignments = append(s.Assignments, a)
			}
		}
		menu.Settings[name] = s
	}
	menu.Timeout = m.timeout()
	style := m.text("timeout_style")
	menu.Hidden = menu.Timeout >= 0 && (style == "hidden" || style == "countdown")
	menu.Default, menu.Why = m.pick(menu, m.text("default"))
	for i, e := range menu.Entries {
		if auto := i == menu.Default && menu.Timeout >= 0; auto || !menu.Again {
			m.explore(menu, e, auto)
		}
	}
	for _, e := range menu.Secret {
		if !menu.Again {
			m.explore(menu, e, false)
		}
	}
	menu.Start = m.start(menu)
}

// all are the entries that are shown and those that are not.
func (m *Menu) all() []*Entry { return slices.Concat(m.Entries, m.Secret) }

// timeout returns the value of the variable; -1 if it is no number.
func (m *machine) timeout() int {
	text := strings.TrimLeft(m.text("timeout"), " \t\n\v\f\r")
	if n, length := parseNumber(text); length > 0 && !strings.HasPrefix(text, "-") {
		return n
	}
	return -1
}

// pick finds the default of a menu: a number, or an id or title. Red Hat's GRUBs look for
// ids and titles first, others take what begins with a digit for a number.
func (m *machine) pick(menu *Menu, value string) (n int, why string) {
	n = -1
	if m.fw.RedHat {
		n = pickRedHat(menu, value)
	} else {
		n = pickNumberFirst(menu, value)
	}
	switch {
	case value == "":
		return 0, ""
	case n < 0:
		return 0, "no entry has the id or title " + firstName(value)
	case n >= len(menu.Entries):
		return 0, "there is no entry " + itoa(n) + ", counted from 0"
	}
	return n, ""
}

// firstName is the part of a default for this menu.
func firstName(value string) string {
	for i := 0; i < len(value); i++ {
		if value[i] == '>' {
			if i+1 < len(value) && value[i+1] == '>' {
				i++
				continue
			}
			return value[:i]
		}
	}
	return value
}

func pickNumberFirst(menu *Menu, value string) int {
	if n, length := parseNumber(value); length > 0 && !strings.HasPrefix(value, "-") {
		return n
	}
	for i, e := range menu.Entries {
		if entryIs(e.Title, value) || entryIs(e.ID, value) {
			return i
		}
	}
	return -1
}

func pickRedHat(menu *Menu, value string) int {
	word, _, _ := strings.Cut(value, " ")
	for i, e := range menu.Entries {
		if entryIs(e.ID, word) {
			return i
		}
	}
	for i, e := range menu.Entries {
		if entryIs(e.Title, value) {
			return i
		}
	}
	n, length := parseNumber(value)
	if length == 0 || strings.HasPrefix(value, "-") || length < len(value) && !space(value[length]) && value[length] != '>' {
		return -1
	}
	return n
}

// entryIs reports whether a default names an entry; a single > ends its name, two of them
// are one in it.
func entryIs(name, value string) bool {
	return name != "" && strings.ReplaceAll(firstName(value), ">>", ">") == name
}

// below is what is left of a default for the menus below.
func below(value string) (string, bool) {
	first := firstName(value)
	if len(first)+1 < len(value) {
		return value[len(first)+1:], true
	}
	return value, false
}
