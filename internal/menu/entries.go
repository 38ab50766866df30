package menu

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// Default makes an entry the one that starts by itself, in every menu that has it: by
// label or id, title, or number from 0.
func (e *Edit) Default(name string) error {
	var have []string
	hits := 0
	for _, f := range e.menuFamilies() {
		entry := f.find(name)
		if entry == nil {
			have = append(have, f.names()...)
			continue
		}
		hits++
		e.mark(f, entry)
	}
	if hits == 0 {
		slices.Sort(have)
		return fmt.Errorf("%w; there are %s", bootcfg.ErrNoEntry, strings.Join(slices.Compact(have), ", "))
	}
	if err := e.prefer(name); err != nil {
		return err
	}
	if err := e.grubDefault(func(m *Menu) *Entry { return e.entryOf(m, name) }); err != nil {
		return err
	}
	after, err := e.After()
	if err != nil {
		return err
	}
	for _, m := range after {
		switch {
		case m.aside() || m.Loader == Zipl || m.Loader == BSD || m.Loader == ESXi:
		case e.entryOf(m, name) == nil:
			e.warn("%s has no entry %q; its default entry stays: %s", m, name, m.Start)
		case !m.startsWith(e.entryOf(m, name)):
			e.warn("%s: %q cannot be made the default entry: %s", m, name, m.Start)
		}
	}
	return nil
}

// mark lets the files of a family name an entry.
func (e *Edit) mark(f family, entry *bootcfg.MenuEntry) {
	if f.format() == bootcfg.Entry {
		e.loaderDefault(f.set, path.Base(f.root().Path))
		return
	}
	force := !f.has((*bootcfg.File).HasDefault)
	for i, c := range f.files {
		e.note(f.set, c.Path, c.File.Default(entry, force && i == 0))
	}
}

// loaderDefault names a file of systemd-boot's in loader.conf, which is made if it is not
// there.
func (e *Edit) loaderDefault(s *Set, file string) {
	c, name := s.loaderConf()
	if c != nil {
		e.note(s, c.Path, c.File.LoaderDefault(file))
		return
	}
	s.Added[name] = append(s.Added[name], "default "+file+"\n"...)
	e.note(s, name, 1)
}

// prefer lets syslinux start a label when its time is over that a mark does not reach: one
// of another menu than the first.
func (e *Edit) prefer(name string) error {
	after, err := e.After()
	if err != nil {
		return err
	}
	for _, m := range after {
		want := e.entryOf(m, name)
		if m.Loader != Syslinux || want == nil || want.ID == "" || m.startsWith(want) || m.Start.Waits() {
			continue
		}
		if s, c := e.config(m.Root); c != nil {
			e.note(s, c.Path, c.File.OnTimeout(want.ID))
		}
	}
	return nil
}

// entryOf finds the entry of a menu that a name means.
func (e *Edit) entryOf(m *Menu, name string) *Entry {
	for _, x := range m.Entries {
		if x.ID != "" && strings.EqualFold(x.ID, name) {
			return x
		}
	}
	for _, x := range m.Entries {
		if strings.EqualFold(strings.TrimSpace(x.Title), strings.TrimSpace(name)) {
			return x
		}
	}
	n, err := strconv.Atoi(name)
	if err != nil || n < 0 {
		return nil
	}
	for _, x := range m.Entries {
		if x.Hidden || len(x.Menus) > 0 {
			continue
		}
		if n == 0 {
			return x
		}
		n--
	}
	return nil
}

// startsWith reports whether that entry is the one that starts.
func (m *Menu) startsWith(x *Entry) bool {
	return m.Start.Entry == x || m.Start.Entry != nil && m.Start.Entry.Title == x.Title && m.Start.Args == x.Args
}

// find returns the entry that a name means: of the first file of the family that has
// it, its number in the first that has entries.
func (f family) find(name string) *bootcfg.MenuEntry {
	_, err := strconv.Atoi(name)
	for _, c := range f.files {
		if c.File.Format() == bootcfg.Entry {
			file := strings.TrimSuffix(path.Base(c.Path), path.Ext(c.Path))
			if list := c.File.Entries(); len(list) > 0 && (strings.EqualFold(file, name) || list[0].Matches(name)) {
				return list[0]
			}
			continue
		}
		if e := c.File.Match(name); e != nil {
			return e
		}
		if err == nil && len(c.File.Entries()) > 0 {
			return nil
		}
	}
	return nil
}

// names are what users may call the entries.
func (f family) names() (out []string) {
	for _, c := range f.files {
		for _, e := range c.File.Entries() {
			switch {
			case !e.InMenu() && f.format() != bootcfg.Parm && f.format() != bootcfg.ESXi:
			case e.Name != "":
				out = append(out, strconv.Quote(e.Name))
			case e.Title != "":
				out = append(out, strconv.Quote(e.Title))
			}
		}
	}
	return out
}

// Add puts a copy of the entry that starts by itself behind it, in every menu, with
// another title and changed arguments. What starts by itself stays; an error otherwise.
func (e *Edit) Add(title string, changes []bootcfg.Karg) error {
	if _, err := e.Before(); err != nil {
		return err
	}
	made := map[*Set]bool{}
	for _, f := range e.menuFamilies() {
		if err := e.addTo(f, title, changes, made); err != nil {
			return fmt.Errorf("%s%s: %w", f.set.Prefix, f.root().Path, err)
		}
	}
	if err := e.pin(); err != nil {
		return err
	}
	if err := e.grubDefault(e.started); err != nil {
		return err
	}
	after, err := e.After()
	if err != nil {
		return err
	}
	for _, m := range after {
		if was := e.was(m); was != nil && !was.Start.same(m.Start) {
			return fmt.Errorf("%s: with one more entry it starts %q by itself instead of %q: %w", m, m.Start, was.Start, ErrStart)
		}
		if !m.aside() && e.entryOf(m, title) == nil && m.Loader != BSD {
			e.warn("%s: no entry was added; %s", m, m.single())
		}
	}
	return nil
}

// single says why a menu cannot have one entry more.
func (m *Menu) single() string {
	switch m.Loader {
	case ESXi, Zipl:
		return "it has one entry only"
	}
	return "none of its entries starts a kernel that could be copied"
}

// addTo adds the entry to one family.
func (e *Edit) addTo(f family, title string, changes []bootcfg.Karg, made map[*Set]bool) error {
	c, like := e.model(f)
	switch {
	case like == nil || c.File.Format() == bootcfg.ESXi:
		return nil
	case c.File.Format() == bootcfg.Entry:
		if made[f.set] {
			return nil
		}
		made[f.set] = true
		return e.addLoaderEntry(f.set, title, changes)
	}
	e.note(f.set, c.Path, 1)
	return c.File.AddEntry(like, title, changes)
}

// model is the entry that is copied: the one that starts by itself if it starts a kernel,
// else the first that does.
func (e *Edit) model(f family) (*bootcfg.Config, *bootcfg.MenuEntry) {
	for _, m := range e.menus {
		if x := m.Start.Entry; m.Root == f.set.Prefix+f.root().Path && x != nil && x.Boots() {
			if c, entry := f.at(x); entry != nil {
				return c, entry
			}
		}
	}
	for _, c := range f.files {
		if e := c.File.DefaultEntry(); e != nil && e.Boots() {
			return c, e
		}
	}
	for _, c := range f.files {
		for _, e := range c.File.Entries() {
			if e.Boots() && e.InMenu() {
				return c, e
			}
		}
	}
	return nil, nil
}

// at finds an entry of the model in the files of the family.
func (f family) at(x *Entry) (*bootcfg.Config, *bootcfg.MenuEntry) {
	for _, c := range f.files {
		if f.set.Prefix+c.Path != x.File {
			continue
		}
		for _, entry := range c.File.Entries() {
			if entry.Line == x.Line && entry.Boots() && entry.InMenu() {
				return c, entry
			}
		}
	}
	return nil, nil
}

// addLoaderEntry makes a file of its own, as systemd-boot has them, of the one that starts
// by itself.
func (e *Edit) addLoaderEntry(s *Set, title string, changes []bootcfg.Karg) error {
	c := s.likeLoader(e.menus)
	if c == nil {
		return nil
	}
	text, name, err := c.File.Copy(title, changes)
	if err != nil {
		return err
	}
	to := path.Join(path.Dir(c.Path), name+".conf")
	for n := 2; ; n++ {
		if _, _, err := s.Files.Lookup(to); err != nil {
			break
		}
		to = path.Join(path.Dir(c.Path), name+strconv.Itoa(n)+".conf")
	}
	s.Added[to] = text
	e.note(s, to, 1)
	return nil
}

// likeLoader is the entry of systemd-boot to be copied.
func (s *Set) likeLoader(menus []*Menu) *bootcfg.Config {
	boots := func(c *bootcfg.Config) bool {
		return c.File.Format() == bootcfg.Entry && slices.ContainsFunc(c.File.Entries(), (*bootcfg.MenuEntry).Boots)
	}
	for _, m := range menus {
		if m.Loader != SystemdBoot || m.Start.Entry == nil {
			continue
		}
		for _, c := range s.Configs {
			if s.Prefix+c.Path == m.Start.Entry.File && boots(c) {
				return c
			}
		}
	}
	if i := slices.IndexFunc(s.Configs, boots); i >= 0 {
		return s.Configs[i]
	}
	return nil
}

// ErrStart reports an edit after which something else starts by itself.
var ErrStart = errors.New("the entry that starts by itself would change")

// was is the menu as it was found.
func (e *Edit) was(m *Menu) *Menu {
	for _, b := range e.menus {
		if b.Root == m.Root && b.Loader == m.Loader {
			return b
		}
	}
	return nil
}

// same reports whether the same starts at the same time.
func (s Start) same(o Start) bool {
	return s.After == o.After && s.Kind == o.Kind && s.Kernel == o.Kernel && s.Args == o.Args && s.What() == o.What()
}

// started is the entry of a menu that started by itself before.
func (e *Edit) started(m *Menu) *Entry {
	was := e.was(m)
	if was == nil || was.Start.Entry == nil || was.Start.same(m.Start) {
		return nil
	}
	old := was.Start.Entry
	for _, x := range m.Entries {
		if x.Title == old.Title && x.ID == old.ID && x.Args == old.Args && slices.Equal(x.Menus, old.Menus) {
			return x
		}
	}
	return nil
}

// pin names the entry that started by itself before, where another one would now: numbers
// count the new one, and an order has it in front.
func (e *Edit) pin() error {
	after, err := e.After()
	if err != nil {
		return err
	}
	for _, m := range after {
		was := e.was(m)
		if was == nil || was.Start.same(m.Start) || was.Start.Entry == nil {
			continue
		}
		for _, f := range e.menuFamilies() {
			if m.Loader == SystemdBoot && f.set.Prefix+f.root().Path == was.Start.Entry.File {
				e.loaderDefault(f.set, path.Base(f.root().Path))
			}
			if f.set.Prefix+f.root().Path != m.Root {
				continue
			}
			if entry := f.find(was.Start.Entry.Name()); entry != nil {
				e.mark(f, entry)
			}
		}
	}
	return nil
}

// EntryKargs changes the arguments of the entries that a name means, in every menu that has
// one.
func (e *Edit) EntryKargs(name string, changes []bootcfg.Karg) error {
	hits := 0
	var have []string
	for _, f := range e.menuFamilies() {
		entry := f.find(name)
		if entry == nil || !entry.Boots() {
			have = append(have, f.names()...)
			continue
		}
		hits++
		for _, c := range f.files {
			if !slices.Contains(c.File.Entries(), entry) {
				continue
			}
			for _, k := range changes {
				n, err := c.File.EntryKarg(k, entry)
				if err != nil {
					return fmt.Errorf("%s%s: %w", f.set.Prefix, c.Path, err)
				}
				e.note(f.set, c.Path, n)
			}
		}
	}
	if hits == 0 {
		slices.Sort(have)
		return fmt.Errorf("%q starts no kernel: %w; there are %s", name, bootcfg.ErrNoEntry, strings.Join(slices.Compact(have), ", "))
	}
	return e.checkEntry(name, changes)
}

// checkEntry warns of menus whose entry of that name is not as wanted, and of others that
// share its command line.
func (e *Edit) checkEntry(name string, changes []bootcfg.Karg) error {
	if _, err := e.Before(); err != nil {
		return err
	}
	after, err := e.After()
	if err != nil {
		return err
	}
	for _, m := range after {
		x := e.entryOf(m, name)
		if x == nil {
			if !m.aside() && m.Loader != BSD && m.Loader != Zipl {
				e.warn("%s has no entry %q", m, name)
			}
			continue
		}
		was := e.was(m)
		for _, k := range changes {
			if x.Boots() && !k.Holds(x.Args) {
				e.warn("%s: %s is not done in %q", m, k, name)
			}
			for i, o := range m.Entries {
				if o != x && was != nil && i < len(was.Entries) && k.Holds(o.Args) && !k.Holds(was.Entries[i].Args) {
					e.warn("%s: %s is also done in %q, which has its arguments from the same place", m, k, o.Name())
				}
			}
		}
	}
	return nil
}
