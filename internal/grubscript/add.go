package grubscript

import (
	"fmt"
	"slices"
)

// AddEntry makes the edits after which a text that defines an entry stands behind another
// entry, and what starts by itself is what did before: where a number counts entries, it
// moves along.
func (r *Result) AddEntry(behind *Entry, text string) ([]Edit, error) {
	if behind == nil || len(r.Menus) == 0 {
		return nil, ErrEffect
	}
	at := behind.Span
	e, err := Span{at.Source, at.End, at.End}.edit("\n" + text)
	if err != nil {
		return nil, err
	}
	ok := func(after *Result) error { return r.added(after) }
	after, err := r.After([]Edit{e})
	if err != nil {
		return nil, err
	}
	first := ok(after)
	if first == nil {
		return []Edit{e}, nil
	}
	path := r.marked()
	list := append(names(path, after.places(path)), itoa(r.Menus[0].Default+1))
	for _, name := range list {
		if edits, err := r.set("default", name, []Edit{e}, ok); err == nil {
			return edits, nil
		}
	}
	return nil, first
}

// marked is the path to what starts by itself, or to what is marked where a menu waits.
func (r *Result) marked() []*Entry {
	if r.Start.Kind == Starts {
		return r.Start.Path
	}
	m := r.Menus[0]
	return []*Entry{m.Entries[m.Default]}
}

// places returns where entries of another result are in the menus of this one, by their
// titles.
func (r *Result) places(path []*Entry) (out []int) {
	m := r.Menus[0]
	for _, e := range path {
		i := -1
		if m != nil {
			i = slices.IndexFunc(m.Entries, func(x *Entry) bool { return x.Title == e.Title && x.ID == e.ID })
		}
		out = append(out, max(i, 0))
		if i >= 0 {
			m = m.Entries[i].opens()
		}
	}
	return out
}

// opens is the menu that an entry opens; nil if it does not.
func (e *Entry) opens() (m *Menu) {
	for _, b := range e.Boots {
		if b.Menu != nil {
			m = b.Menu
		}
	}
	return m
}

// added checks that a result has one entry more than this one, and starts the same.
func (r *Result) added(after *Result) error {
	old, now := r.list(), after.list()
	i, extra := 0, 0
	for _, line := range now {
		if i < len(old) && line == old[i] {
			i++
			continue
		}
		extra++
	}
	if i < len(old) || extra != 1 {
		return fmt.Errorf("%w: %d entries more instead of one", ErrEffect, len(now)-len(old))
	}
	want, got := r.stand(), after.stand()
	if want != got {
		return fmt.Errorf("%w: %q instead of %q would start", ErrEffect, got, want)
	}
	return nil
}

// list names all entries, those of menus below, too.
func (r *Result) list() (out []string) {
	r.walk(func(path []*Entry, e *Entry) { out = append(out, titles(append(slices.Clone(path), e))+" "+e.ID) })
	return out
}

// stand is what starts, in a line: also where menus wait.
func (r *Result) stand() string {
	s := r.Start
	line := s.line() + " " + titles(r.marked())
	for _, b := range r.marked()[len(r.marked())-1].Boots {
		for _, l := range b.Loads() {
			line += fmt.Sprintf(" %s %q", l.Path, argTexts(l))
		}
	}
	for _, o := range s.Others {
		line += " or " + o.line()
	}
	return line
}
