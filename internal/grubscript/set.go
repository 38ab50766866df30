package grubscript

import (
	"fmt"
	"slices"
	"strings"
)

// SetTimeout makes the edits after which the menu that is shown first waits so many
// seconds: in all that sets it on the way there, or by a line of its own. Below 0 it waits
// for a key.
func (r *Result) SetTimeout(seconds int) ([]Edit, error) {
	ok := func(after *Result) error {
		if len(after.Menus) == 0 {
			return ErrEffect
		}
		for _, m := range after.shown {
			if m.Timeout != max(seconds, -1) {
				return fmt.Errorf("%w: a menu waits %d seconds", ErrEffect, m.Timeout)
			}
		}
		return differ(r.outline(), after.outline())
	}
	return r.set("timeout", itoa(seconds), nil, ok)
}

// SetDefault makes the edits after which an entry is what starts by itself, or what is
// marked where a menu waits. The path leads to it from the menu that is shown first.
func (r *Result) SetDefault(path ...*Entry) ([]Edit, error) {
	if len(path) == 0 || len(r.Menus) == 0 {
		return nil, ErrEffect
	}
	at := r.indexes(path)
	if at == nil {
		return nil, fmt.Errorf("%q is not in the menu that is shown first", titles(path))
	}
	ok := func(after *Result) error {
		if err := differ(r.outline(), after.outline()); err != nil {
			return err
		}
		return after.defaults(at, path)
	}
	var first error
	list := names(path, at)
	if r.legacy {
		list = list[len(list)-1:]
	}
	for _, name := range list {
		edits, err := r.set("default", name, nil, ok)
		if err == nil {
			return edits, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// indexes returns where each entry of a path is in its menu; nil if it is not there.
func (r *Result) indexes(path []*Entry) (out []int) {
	m := r.Menus[0]
	for _, e := range path {
		i := -1
		if m != nil {
			i = slices.Index(m.Entries, e)
		}
		if i < 0 {
			return nil
		}
		out = append(out, i)
		m = e.opens()
	}
	return out
}

// defaults checks that the entries at these places are those of the first menu and of the
// menus that they open.
func (r *Result) defaults(at []int, path []*Entry) error {
	if len(r.Menus) == 0 {
		return ErrEffect
	}
	m := r.Menus[0]
	for _, i := range at {
		if m == nil || m.Default != i || m.Why != "" {
			return fmt.Errorf("%w: another entry is the default", ErrEffect)
		}
		e := m.Entries[i]
		m = e.opens()
	}
	for _, o := range r.shown {
		if o.Entries[o.Default].Title != path[0].Title {
			return fmt.Errorf("%w: under some conditions another entry is the default", ErrEffect)
		}
	}
	return nil
}

// names lists the values of default that name a path: by ids, by titles, by numbers.
func names(path []*Entry, at []int) []string {
	by := func(name func(int, *Entry) string) string {
		var out []string
		for i, e := range path {
			n := name(i, e)
			if n == "" {
				return ""
			}
			out = append(out, n)
		}
		return strings.Join(out, ">")
	}
	escaped := func(s string) string {
		if _, n := parseNumber(s); n > 0 || strings.HasSuffix(s, ">") || strings.HasPrefix(s, ">") {
			return ""
		}
		return strings.ReplaceAll(s, ">", ">>")
	}
	out := []string{
		by(func(_ int, e *Entry) string {
			if e.IDAt == nil || strings.ContainsAny(e.ID, " \t") {
				return ""
			}
			return escaped(e.ID)
		}),
		by(func(_ int, e *Entry) string { return escaped(e.Title) }),
		by(func(i int, _ *Entry) string { return itoa(at[i]) }),
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// set gives a variable a value where it is set, or by a line in front of all, or behind
// all; whatever of these has the effect, together with other edits.
func (r *Result) set(name, text string, besides []Edit, ok func(*Result) error) ([]Edit, error) {
	there := r.assignments(name)
	var tries [][]Edit
	if edits, err := assigned(there, text); err == nil && len(edits) > 0 {
		tries = append(tries, edits)
	}
	line := "set " + name + "=" + value(text) + "\n"
	if r.legacy {
		line = name + " " + text + "\n"
	}
	if len(there) == 0 {
		if e, err := r.lineAt(line, false); err == nil {
			tries = append(tries, []Edit{e})
		}
	}
	if e, err := r.lineAt(line, true); err == nil {
		if edits, err := assigned(there, text); err == nil && len(edits) > 0 {
			tries = append(tries, append(edits, e))
		}
		tries = append(tries, []Edit{e})
	}
	first := fmt.Errorf("%s: %w", name, ErrComputed)
	for i, edits := range tries {
		edits = append(slices.Clone(besides), edits...)
		after, err := r.After(edits)
		if err == nil {
			err = ok(after)
		}
		if err == nil {
			return mergeEdits(edits)
		}
		if i == 0 {
			first = err
		}
	}
	return nil, first
}

// assignments lists what gave a variable its value before the menu that is shown first,
// under any conditions.
func (r *Result) assignments(name string) (out []*Assignment) {
	for _, m := range r.shown {
		if s := m.Settings[name]; s != nil {
			for _, a := range s.Assignments {
				if !slices.ContainsFunc(out, func(b *Assignment) bool { return a.Span == b.Span }) {
					out = append(out, a)
				}
			}
		}
	}
	return out
}

// assigned makes the edits of assignments that are written.
func assigned(list []*Assignment, text string) (out []Edit, err error) {
	for _, a := range list {
		if a.Written.Source == nil || a.How == "load_env" {
			continue
		}
		e, err := a.Written.edit(value(text))
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return mergeEdits(out)
}

// lineAt adds a line to the configuration that makes the menu: in front of all, or behind
// all.
func (r *Result) lineAt(line string, last bool) (Edit, error) {
	if len(r.Menus) == 0 || r.Menus[0].config == nil {
		return Edit{}, ErrComputed
	}
	src := r.Menus[0].config
	if !last {
		return Span{src, 0, 0}.edit(line)
	}
	n := len(src.Text)
	if n > 0 && src.Text[n-1] != '\n' {
		line = "\n" + line
	}
	return Span{src, n, n}.edit(line)
}

// Replace writes another text where a word is written, as one word.
func (a Arg) Replace(text string) (Edit, error) {
	l := &Load{Args: []Arg{a}}
	return l.replace(0, text)
}
