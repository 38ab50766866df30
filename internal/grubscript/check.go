package grubscript

import (
	"fmt"
	"slices"
	"strings"
)

// walk visits the entries of all menus with those around them, in order.
func (r *Result) walk(visit func(path []*Entry, e *Entry)) {
	var menu func(m *Menu, path []*Entry)
	menu = func(m *Menu, path []*Entry) {
		for _, e := range m.all() {
			visit(path, e)
			for _, b := range e.Boots {
				if b.Menu != nil {
					menu(b.Menu, append(path[:len(path):len(path)], e))
				}
			}
		}
	}
	for _, m := range r.Menus {
		menu(m, nil)
	}
}

// Entries lists the entries of all menus, those of a submenu behind it.
func (r *Result) Entries() (out []*Entry) {
	r.walk(func(_ []*Entry, e *Entry) { out = append(out, e) })
	return out
}

// loads lists all that takes arguments, each once.
func (r *Result) loads() (out []*Load) {
	seen := map[*Load]bool{}
	add := func(b *Boot) {
		for _, l := range b.Loads() {
			if !seen[l] {
				seen[l] = true
				out = append(out, l)
			}
		}
	}
	r.walk(func(_ []*Entry, e *Entry) {
		for _, b := range e.Boots {
			add(b)
		}
	})
	if r.Start != nil && r.Start.Boot != nil {
		add(r.Start.Boot)
	}
	return out
}

// check evaluates the configuration after edits: loads have what is wanted, everything
// else is as it was.
func (r *Result) check(edits []Edit, want map[*Load][]string) error {
	after, err := r.After(edits)
	if err != nil {
		return err
	}
	return differ(r.shape(want), after.shape(nil))
}

// differ is nil for equal shapes; else it names the first difference.
func differ(want, got []string) error {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return fmt.Errorf("%w: no %q any more", ErrEffect, want[i])
		case i >= len(want):
			return fmt.Errorf("%w: %q appears", ErrEffect, got[i])
		case want[i] != got[i]:
			return fmt.Errorf("%w: %q instead of %q", ErrEffect, got[i], want[i])
		}
	}
	return nil
}

// outline lists the entries of menus, but not those of menus that they open: what is in
// there depends on what starts by itself. Entries of other conditions are left out, too.
func (r *Result) outline() (out []string) {
	for _, m := range r.Menus {
		if m.Conditions != nil {
			continue
		}
		for _, e := range m.all() {
			line := fmt.Sprintf("%q %q", e.Title, e.ID)
			for _, b := range e.Boots {
				for _, l := range b.Loads() {
					line += fmt.Sprintf(" %s %s %q", l.Command, l.Path, argTexts(l))
				}
			}
			out = append(out, line)
		}
	}
	return out
}

// shape lists what menus have, a line each, with other arguments for some loads.
func (r *Result) shape(want map[*Load][]string) (out []string) {
	boot := func(b *Boot) {
		line := string(b.Action)
		if b.Failed {
			line += " fails"
		}
		for _, l := range b.Loads() {
			args, ok := want[l]
			if !ok {
				args = argTexts(l)
			}
			line += fmt.Sprintf(" %s %s %q", l.Command, l.Path, args)
		}
		for _, l := range slices.Concat(b.Initrds, b.Orphans) {
			line += " " + l.Path
		}
		out = append(out, line)
	}
	r.walk(func(path []*Entry, e *Entry) {
		out = append(out, fmt.Sprint(len(path), e.Title, e.ID, conditions(e.Conditions)))
		for _, b := range e.Boots {
			boot(b)
		}
	})
	if r.Start != nil {
		for _, s := range append([]*Start{r.Start}, r.Start.Others...) {
			out = append(out, s.line())
		}
	}
	return out
}

// line says how a start goes, without arguments.
func (s *Start) line() string {
	return fmt.Sprint(s.Kind, s.Seconds, titles(s.Path), conditions(s.Conditions))
}

func titles(path []*Entry) string {
	var out []string
	for _, e := range path {
		out = append(out, e.Title)
	}
	return strings.Join(out, " > ")
}

func conditions(list []Condition) string {
	var out []string
	for _, c := range list {
		out = append(out, c.String())
	}
	return strings.Join(out, ", ")
}
