package grubscript

import (
	"slices"
	"strings"
)

// Condition is something that only the machine knows, and what is supposed of it.
type Condition struct {
	Text  string // the command or the file
	Holds bool
	Span  Span
}

func (c Condition) String() string {
	if c.Holds {
		return c.Text
	}
	return "not " + c.Text
}

// oracle answers conditions: as it was told, then as they are supposed to be. The same
// question gets the same answer.
type oracle struct {
	told  []bool
	asked []Condition
	outer []Condition // what was answered before an entry runs
	full  bool
}

// maxAsked bounds the questions of one run.
const maxAsked = 256

func (m *machine) decide(text string, guess bool) bool {
	o := m.oracle
	for _, c := range append(o.outer, o.asked...) {
		if c.Text == text {
			return c.Holds
		}
	}
	if len(o.asked) >= maxAsked {
		o.full = true
		return guess
	}
	if n := len(o.asked); n < len(o.told) {
		guess = o.told[n]
	}
	o.asked = append(o.asked, Condition{text, guess, m.here})
	return guess
}

// worlds runs something under all answers that may be given, those that are supposed
// first, then with one of them turned round, and so on, up to a number of runs. It reports
// whether all were tried.
func (m *budget) each(most int, outer []Condition, run func(*oracle)) (all bool) {
	queue := [][]bool{nil}
	for n := 0; len(queue) > 0; n++ {
		if n == most || n > 0 && m.worlds <= 0 {
			return false
		}
		m.worlds--
		told := queue[0]
		queue = queue[1:]
		o := &oracle{told: told, outer: outer}
		run(o)
		for i := len(told); i < len(o.asked) && len(queue) < most; i++ {
			next := make([]bool, i+1)
			for j := range i {
				next[j] = o.asked[j].Holds
			}
			next[i] = !o.asked[i].Holds
			queue = append(queue, next)
		}
	}
	return true
}

// The limits on what is tried of one script and of one entry.
const (
	maxWorlds = 64
	maxBoots  = 16
	maxMenus  = 12 // menus that open menus
)

// explore finds out what an entry does, under each of the conditions in it.
func (m *machine) explore(menu *Menu, e *Entry, auto bool) {
	if m.out == nil {
		return
	}
	e.Boots = nil
	outer := append(slices.Clone(m.oracle.outer), m.oracle.asked...)
	all := m.budget.each(maxBoots, outer, func(o *oracle) {
		n := m.fork(o)
		b := n.choose(menu, e, auto)
		b.Conditions = o.asked
		e.Boots = append(e.Boots, b)
	})
	if !all {
		m.remark(e.Span, "depends on more conditions than this program tries")
	}
	e.Boots = distinct(e.Boots)
}

// choose runs an entry, as if it had been chosen, or started by itself.
func (m *machine) choose(menu *Menu, e *Entry, auto bool) *Boot {
	if m.sources++; m.sources > maxMenus {
		m.limit(e.Span)
		return m.boot
	}
	m.enter(menu, e, auto)
	m.args = &args{words: e.args}
	if e.block != nil {
		m.run(e.block.list)
	} else {
		m.source(newEval(e.body), "")
	}
	m.back = false
	b := m.boot
	b.Seconds = m.out.seconds
	switch {
	case b.Action != Nothing:
	case m.out.menus != nil:
		b.Action, b.Menu = Opens, m.out.menus[0]
	case b.loaded() && !(m.fw.RedHat && m.status.failed):
		b.Action = Boots // whatever failed meanwhile
	default:
		b.Failed = m.status.failed && m.status.unknown == ""
	}
	if sub := m.ctx.menu; e.Submenu && b.Action == Nothing && len(sub.Entries) > 0 {
		sub.File = e.Span.File()
		m.stopped = false
		m.look(sub, auto)
		b.Action, b.Menu, b.Failed = Opens, sub, false
	}
	return b
}

// enter changes variables as GRUB does before it runs an entry.
func (m *machine) enter(menu *Menu, e *Entry, auto bool) {
	if auto && (menu.Timeout > 0 || menu.Hidden) || !auto {
		delete(m.ctx.vars, "timeout")
	}
	if menu.Hidden {
		delete(m.ctx.vars, "timeout_style")
	}
	before := m.ctx.vars
	if e.Submenu {
		m.open(&Menu{}, m.fw.RedHat)
		if auto {
			m.ctx.vars["timeout"] = variable{value: plain("0"), exported: true}
		}
	} else {
		m.ctx.menu = &Menu{Entries: slices.Clone(menu.Entries)}
	}
	chosen := strings.ReplaceAll(e.ID, ">", ">>")
	if old := m.text("chosen"); old != "" {
		chosen = old + ">" + chosen
	}
	m.ctx.vars["chosen"] = variable{value: plain(chosen), exported: true}
	m.passDefault(before["default"].value)
}

// passDefault leaves the rest of a path to the menus below. Where there is none, Red Hat's
// GRUBs leave the default itself.
func (m *machine) passDefault(value Word) {
	text := value.String()
	if rest, ok := below(text); ok {
		v := m.ctx.vars["default"]
		v.value = value.from(len(text) - len(rest))
		m.ctx.vars["default"] = v
	} else if !m.fw.RedHat {
		delete(m.ctx.vars, "default")
	}
}

// distinct merges what is the same under different conditions; conditions stay where they
// decide.
func distinct(boots []*Boot) (out []*Boot) {
	groups := map[string][][]Condition{}
	var keys []string
	first := map[string]*Boot{}
	for _, b := range boots {
		k := b.key()
		if first[k] == nil {
			first[k] = b
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], b.Conditions)
	}
	for _, k := range keys {
		b := first[k]
		b.Conditions = common(groups[k])
		if len(keys) == 1 {
			b.Conditions = nil
		}
		out = append(out, b)
	}
	return out
}

// common returns the conditions that hold in each of the sets.
func common(sets [][]Condition) (out []Condition) {
	for _, c := range sets[0] {
		everywhere := !slices.ContainsFunc(sets[1:], func(s []Condition) bool {
			return !slices.ContainsFunc(s, func(d Condition) bool { return c.Text == d.Text && c.Holds == d.Holds })
		})
		if everywhere {
			out = append(out, c)
		}
	}
	return out
}

// key is the same for boots that do the same.
func (b *Boot) key() string {
	var s strings.Builder
	s.WriteString(string(b.Action))
	if b.Failed {
		s.WriteString("!")
	}
	for _, l := range append(append(b.Loads(), b.Initrds...), b.Orphans...) {
		s.WriteString("\n" + l.Command + " " + l.Device + "/" + l.Path + " " + l.Cmdline(true))
	}
	if b.Menu != nil {
		s.WriteString("\n" + b.Menu.key())
	}
	return s.String()
}

func (m *Menu) key() string {
	var s strings.Builder
	s.WriteString(itoa(m.Default) + " " + itoa(m.Timeout))
	for _, e := range m.Entries {
		s.WriteString("\n" + e.Span.String() + " " + e.Title)
		for _, b := range e.Boots {
			s.WriteString("\n" + b.key())
		}
	}
	return s.String()
}
