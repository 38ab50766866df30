package grubscript

import (
	"slices"
	"strings"
)

// Remark is something that a reader of the result should know: what GRUB does not
// understand, and what this program could not follow.
type Remark struct {
	Span Span
	Text string
	// Search is set where GRUB looks for a device: label, fs-uuid or file, with the value
	// and whether the image has it.
	Search string
	Value  Word
	Found  bool
}

func (r Remark) String() string {
	if at := r.Span.String(); at != "" {
		return at + ": " + r.Text
	}
	return r.Text
}

// maxRemarks is how many are kept.
const maxRemarks = 256

func (m *machine) remark(at Span, text string) { m.remarkOf(Remark{Span: at, Text: text}) }

func (m *machine) remarkOf(r Remark) {
	list := m.out.remarks
	same := func(x Remark) bool { return x.Span == r.Span && x.Text == r.Text && x.Found == r.Found }
	if len(*list) < maxRemarks && !slices.ContainsFunc(*list, same) {
		*list = append(*list, r)
	}
}

// Result is what GRUB does with a configuration.
type Result struct {
	// Menus are those that are shown, in the order in which that happens: the one that
	// starts something by itself first. Those behind it come when it is left.
	Menus []*Menu
	// Start is what starts when nobody presses a key.
	Start *Start
	// Files are those that were read, in order.
	Files []*Source
	// Remarks are what to know besides, Searches what is looked for on disks.
	Remarks  []Remark
	Searches []Remark
	// Certain is false where not all conditions were tried, or a limit was met.
	Certain bool
	// Assignments are what happened to variables on the way to the menu, in order.
	Assignments []*Assignment

	firmware Firmware
	legacy   bool    // of GRUB 0.97
	shown    []*Menu // what is shown first, under any conditions
}

// world is one evaluation of all.
type world struct {
	out        *outcome
	conditions []Condition
	assigned   []*Assignment
	start      *Start
}

// Evaluate runs a configuration as GRUB does when it starts, as far as that can be known.
// See RATIONALE.md, "GRUB's scripts are run".
func Evaluate(f Firmware) *Result {
	b := newBudget()
	r := &Result{firmware: f}
	var worlds []*world
	var remarks []Remark
	r.Certain = b.each(maxWorlds, nil, func(o *oracle) {
		worlds = append(worlds, boots(&f, b, o, &remarks))
	})
	for _, x := range remarks {
		switch {
		case x.Search == "":
			r.Remarks = append(r.Remarks, x)
		case !slices.ContainsFunc(r.Searches, func(y Remark) bool { return x.Span == y.Span && x.Value.String() == y.Value.String() }):
			r.Searches = append(r.Searches, x)
		}
	}
	if !r.Certain {
		r.Remarks = append(r.Remarks, Remark{Text: "the menu depends on more conditions than this program tries"})
	}
	merge(r, worlds)
	r.Files = b.files
	return r
}

// boots runs everything once.
func boots(f *Firmware, b *budget, o *oracle, remarks *[]Remark) *world {
	m := &machine{fw: f, ctx: newContext(f), funcs: map[string]*function{}, loops: map[string]*Device{}, oracle: o, budget: b, boot: &Boot{}, out: &outcome{remarks: remarks}}
	m.ctx.menu = &Menu{}
	if len(f.Embedded) > 0 {
		m.source(newFile("", "", f.Embedded), "")
		m.status, m.back = done, false
	}
	if !m.stopped {
		config := f.Config
		if config == "" {
			config = m.text("prefix") + "/grub.cfg"
		}
		m.file(config, Span{})
		if !m.stopped {
			m.show(m.firstSpan())
		}
	}
	w := &world{out: m.out, conditions: o.asked, assigned: m.assigned}
	w.start = m.begin()
	return w
}

// firstSpan is a place in the file of the menu.
func (m *machine) firstSpan() Span {
	if e := m.ctx.menu.Entries; len(e) > 0 {
		return e[0].Span
	}
	return Span{}
}

// begin finds what starts of all that was shown.
func (m *machine) begin() *Start {
	switch {
	case len(m.out.menus) > 0:
		s := m.out.menus[0].Start
		s.wait(m.out.seconds)
		return s
	case m.boot.Action == Boots:
		return &Start{Kind: Starts, Boot: m.boot, Seconds: m.out.seconds, Certain: true}
	case m.boot.Leads != "":
		return &Start{Kind: Prompt, Boot: m.boot, Seconds: m.out.seconds, Note: nothing(m.boot)}
	case m.boot.Action != Nothing:
		return &Start{Kind: Leaves, Boot: m.boot, Seconds: m.out.seconds, Certain: true}
	}
	return &Start{Kind: Prompt, Certain: true}
}

// merge makes one result of the worlds. The menus are those of the first, in which all
// is as supposed, with the entries that others have besides.
func merge(r *Result, worlds []*world) {
	first := worlds[0]
	for _, w := range worlds {
		if len(w.out.menus) > 0 {
			r.shown = append(r.shown, w.out.menus[0])
		}
	}
	r.Menus, r.Assignments = first.out.menus, first.assigned
	r.Start = first.start
	mergeStarts(r.Start, worlds)
	present := map[string][][]Condition{}
	for _, w := range worlds {
		for _, m := range w.out.menus {
			for _, e := range m.all() {
				k := e.key()
				present[k] = append(present[k], w.conditions)
			}
		}
	}
	seen := map[string]bool{}
	mark := func(e *Entry) {
		e.Conditions = common(present[e.key()])
		e.Certain = len(present[e.key()]) >= len(worlds)
		if e.Certain {
			e.Conditions = nil
		}
		seen[e.key()] = true
	}
	for _, m := range r.Menus {
		for _, e := range m.all() {
			mark(e)
		}
	}
	for _, w := range worlds[1:] {
		for _, m := range w.out.menus {
			// entries that are there under other conditions only
			extra := &Menu{File: m.File, Settings: m.Settings, Timeout: m.Timeout, Hidden: m.Hidden, Default: m.Default, Start: m.Start, Conditions: w.conditions, config: m.config}
			for _, e := range m.Entries {
				if !seen[e.key()] {
					mark(e)
					extra.Entries = append(extra.Entries, e)
				}
			}
			if len(extra.Entries) > 0 {
				r.Menus = append(r.Menus, extra)
			}
		}
	}
}

// key is the same for the same entry in different worlds.
func (e *Entry) key() string {
	var s strings.Builder
	s.WriteString(e.Span.String() + " " + itoa(e.Span.Start) + " " + e.Title)
	for _, b := range e.Boots {
		s.WriteString("\n" + b.key())
	}
	return s.String()
}

// mergeStarts adds what starts in other worlds where that is something else.
func mergeStarts(s *Start, worlds []*world) {
	sets := map[string][][]Condition{}
	var order []string
	byKey := map[string]*Start{}
	for _, w := range worlds {
		k := w.start.key()
		if byKey[k] == nil {
			byKey[k] = w.start
			order = append(order, k)
		}
		sets[k] = append(sets[k], w.conditions)
	}
	if len(order) == 1 {
		return
	}
	for i, k := range order {
		x := byKey[k]
		x.Conditions = append(common(sets[k]), x.Conditions...)
		x.Certain = false
		if i > 0 {
			s.Others = append(append(s.Others, x), x.Others...)
		}
	}
}

// key is the same for starts of the same.
func (s *Start) key() string {
	var b strings.Builder
	b.WriteString(string(s.Kind) + " " + itoa(s.Seconds))
	for _, e := range s.Path {
		b.WriteString("\n" + e.Title)
	}
	if s.Boot != nil {
		b.WriteString("\n" + s.Boot.key())
	}
	for _, o := range s.Others {
		b.WriteString("\n" + o.key())
	}
	return b.String()
}
