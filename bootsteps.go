package isolayer

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/bootcfg"
	"github.com/isolayer/isolayer/iso9660"
)

// newFileMode is that of boot files that steps make.
const newFileMode = iso9660.ModeRegular | 0o644

// Kargs changes the kernel arguments of every entry that starts a kernel, in every
// boot configuration of the tree and of FAT images that firmware boots from; see
// bootcfg.ParseKarg for how they are written.
type Kargs struct {
	Args []string
	// Keep puts new ones where installers look for what the installed system shall
	// have: behind "---".
	Keep bool
}

// Label gives the image another volume id: in every descriptor, and in every boot
// configuration that looks for the old one.
type Label struct{ ID string }

// MenuTimeout sets after how many seconds the default entry of boot menus starts: 0 at
// once, negative never.
type MenuTimeout struct{ Seconds int }

// DefaultEntry makes an entry the default one of every boot menu that has it: by its
// label or id, its title, or its number from 0.
type DefaultEntry struct{ Name string }

// AddEntry puts a copy of the default entry in front of it in every boot menu, with
// another title and changed kernel arguments.
type AddEntry struct {
	Title string
	Args  []string
}

func (k Kargs) String() string {
	if k.Keep {
		return "kernel arguments to keep: " + strings.Join(k.Args, " ")
	}
	return "kernel arguments: " + strings.Join(k.Args, " ")
}
func (l Label) String() string        { return "label " + l.ID }
func (m MenuTimeout) String() string  { return fmt.Sprintf("menu timeout %d", m.Seconds) }
func (d DefaultEntry) String() string { return "default entry " + d.Name }
func (a AddEntry) String() string     { return "add entry " + a.Title }

// joined makes one step of neighbouring changes of kernel arguments, and of initrds:
// each reads and writes every configuration, or all of an initrd.
func joined(steps []Step) []Step {
	var out []Step
	for _, step := range steps {
		if i, ok := step.(InitrdAdd); ok && len(out) > 0 {
			if last, ok := out[len(out)-1].(InitrdAdd); ok {
				out[len(out)-1] = InitrdAdd{slices.Concat(last.Adds, i.Adds)}
				continue
			}
		}
		k, ok := step.(Kargs)
		if n := len(out); ok && n > 0 {
			if last, ok := out[n-1].(Kargs); ok && last.Keep == k.Keep {
				out[n-1] = Kargs{slices.Concat(last.Args, k.Args), k.Keep}
				continue
			}
		}
		out = append(out, step)
	}
	return out
}

// parseKargs reads changes of kernel arguments.
func parseKargs(args []string, keep bool) ([]bootcfg.Karg, error) {
	var out []bootcfg.Karg
	for _, a := range args {
		k, err := bootcfg.ParseKarg(a)
		if err != nil {
			return nil, err
		}
		k.Keep = keep
		out = append(out, k)
	}
	return out, nil
}

func (k Kargs) apply(s *stage) error {
	changes, err := parseKargs(k.Args, k.Keep)
	if err != nil {
		return err
	}
	hits := make([]int, len(changes))
	edit := func(f *bootcfg.File) (int, error) {
		most := 0
		for i, change := range changes {
			n, err := f.Karg(change)
			if err != nil {
				return 0, err
			}
			most = max(most, n)
			hits[i] += n
		}
		return most, nil
	}
	unified, err := s.editUnified("kernel arguments", edit)
	if err != nil {
		return err
	}
	list, err := s.menus()
	if err != nil {
		return err
	}
	if !starts(list) && unified == 0 {
		return s.noConfig()
	}
	err = s.editConfigs(list, "entries", func(c *bootcfg.Config) (int, error) { return edit(c.File) })
	for i, n := range hits {
		if n == 0 {
			s.note(changes[i].Idle())
		}
		if bootcfg.Blank(k.Args[i]) {
			s.warn(fmt.Sprintf("%q is one kernel argument with a blank; two arguments are two --karg", k.Args[i]))
		}
	}
	return err
}

func (l Label) apply(s *stage) error {
	old := s.base.img.Primary().VolumeID()
	if s.fields == nil {
		s.fields = map[iso9660.Field]string{}
	}
	if earlier, ok := s.fields[iso9660.FieldVolume]; ok {
		old = earlier
	}
	if err := s.base.img.Primary().Clone().SetField(iso9660.FieldVolume, l.ID); err != nil {
		return err
	}
	if l.ID == "" {
		return fmt.Errorf("the label is empty: %w", iso9660.ErrName)
	}
	s.fields[iso9660.FieldVolume] = l.ID
	if l.ID == old {
		s.note(fmt.Sprintf("the label is %q already", old))
	} else {
		s.note(fmt.Sprintf("label %q, was %q", l.ID, old))
	}
	if _, err := s.editUnified("label", func(f *bootcfg.File) (int, error) { return f.Relabel(old, l.ID) }); err != nil {
		return err
	}
	list, err := s.menus()
	if err != nil {
		return err
	}
	err = s.editConfigs(list, "label", func(c *bootcfg.Config) (int, error) { return c.File.Relabel(old, l.ID) })
	if err != nil {
		return err
	}
	if err := s.relabelDefaults(old, l.ID); err != nil {
		return err
	}
	return s.relabelInitrds(list, old, l.ID)
}

// family are the configurations of one menu, the one that loaders read first in front.
type family []*bootcfg.Config

// families groups configurations by what leads to them.
func (m *bootMenus) families() (out []family) {
	for _, root := range m.configs {
		if len(root.Parents) > 0 {
			continue
		}
		f := family{root}
		for i := 0; i < len(f); i++ {
			for _, c := range m.configs {
				if slices.Contains(c.Parents, f[i]) && !slices.Contains(f, c) {
					f = append(f, c)
				}
			}
		}
		out = append(out, f)
	}
	return out
}

// has reports whether any of a family is like that.
func (f family) has(like func(*bootcfg.File) bool) bool {
	return slices.ContainsFunc(f, func(c *bootcfg.Config) bool { return like(c.File) })
}

// menu reports a family that shows a menu, or may.
func (f family) menu() bool {
	return !f[0].Swept && f[0].File.Format() != bootcfg.Parm &&
		(f[0].File.Format() == bootcfg.Entry || f.has(func(c *bootcfg.File) bool { return len(c.Entries()) > 0 }))
}

// editMenus changes families and notes what was changed where.
func (s *stage) editMenus(what string, edit func(m *bootMenus, f family) (map[*bootcfg.Config]int, error)) error {
	list, err := s.menus()
	if err != nil {
		return err
	}
	if !starts(list) {
		return ErrNoConfig
	}
	for _, m := range list {
		for _, f := range m.families() {
			if !f.menu() {
				continue
			}
			places, err := edit(m, f)
			if err != nil {
				return fmt.Errorf("%s%s: %w", m.prefix, f[0].Path, err)
			}
			for c, n := range places {
				s.changed(m.prefix+c.Path, what, n)
			}
		}
	}
	return s.write(list, nil)
}

func (m MenuTimeout) apply(s *stage) error {
	did := 0
	err := s.editMenus("timeout", func(_ *bootMenus, f family) (map[*bootcfg.Config]int, error) {
		force := !f.has((*bootcfg.File).HasTimeout)
		if f[0].File.Format() == bootcfg.Entry && strings.HasPrefix(path.Dir(f[0].Path), "loader/entries") {
			force = false // loader.conf has the time
		}
		out := map[*bootcfg.Config]int{}
		for i, c := range f {
			out[c] = c.File.Timeout(m.Seconds, force && i == 0 && c.File.Format() != bootcfg.Entry)
			did += out[c]
		}
		return out, nil
	})
	if err == nil && did == 0 {
		s.note(fmt.Sprintf("every menu has the timeout %d already, or none that can be set", m.Seconds))
	}
	return err
}

func (d DefaultEntry) apply(s *stage) error {
	hits, did := 0, 0
	var have, missing []string
	err := s.editMenus("default entry", func(m *bootMenus, f family) (map[*bootcfg.Config]int, error) {
		if f[0].File.Format() == bootcfg.Entry {
			out, ok := m.loaderDefault(f[0], d.Name)
			if ok {
				hits++
			}
			for _, n := range out {
				did += n
			}
			return out, nil
		}
		e := f.find(d.Name)
		if e == nil {
			have = append(have, f.names()...)
			missing = append(missing, m.prefix+f[0].Path)
			return nil, nil
		}
		hits++
		force := !f.has((*bootcfg.File).HasDefault)
		out := map[*bootcfg.Config]int{}
		for i, c := range f {
			out[c] = c.File.Default(e, force && i == 0)
			did += out[c]
		}
		return out, nil
	})
	if err == nil && hits == 0 {
		slices.Sort(have)
		return fmt.Errorf("%w; there are %s", bootcfg.ErrNoEntry, strings.Join(slices.Compact(have), ", "))
	}
	if err == nil && did == 0 {
		s.note(fmt.Sprintf("%q is the default entry already", d.Name))
	}
	for _, p := range missing {
		s.warn(fmt.Sprintf("%s has no entry %q; its default entry stays", p, d.Name))
	}
	return err
}

// find returns the entry that a name means: of the first file of the family that has
// it, its number in the first that has entries.
func (f family) find(name string) *bootcfg.MenuEntry {
	_, err := strconv.Atoi(name)
	for _, c := range f {
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
	for _, c := range f {
		for _, e := range c.File.Entries() {
			if name := e.Name; name != "" {
				out = append(out, strconv.Quote(name))
			} else if e.Title != "" {
				out = append(out, strconv.Quote(e.Title))
			}
		}
	}
	return out
}

// loaderDefault names an entry of systemd-boot in loader.conf.
func (m *bootMenus) loaderDefault(entry *bootcfg.Config, name string) (map[*bootcfg.Config]int, bool) {
	file := strings.TrimSuffix(path.Base(entry.Path), path.Ext(entry.Path))
	if len(entry.File.Entries()) == 0 || !strings.EqualFold(file, name) && !entry.File.Entries()[0].Matches(name) {
		return nil, false
	}
	for _, c := range m.configs {
		if strings.EqualFold(path.Base(c.Path), "loader.conf") {
			return map[*bootcfg.Config]int{c: c.File.LoaderDefault(path.Base(entry.Path))}, true
		}
	}
	return nil, false
}

func (a AddEntry) apply(s *stage) error {
	changes, err := parseKargs(a.Args, false)
	if err != nil {
		return err
	}
	return s.editMenus("entry added", func(m *bootMenus, f family) (map[*bootcfg.Config]int, error) {
		c, like := f.model()
		switch {
		case like == nil:
			return nil, nil
		case c.File.Format() == bootcfg.ESXi:
			return nil, nil // it has one entry only
		case c.File.Format() == bootcfg.Entry:
			return m.addLoaderEntry(c, a.Title, changes)
		}
		return map[*bootcfg.Config]int{c: 1}, c.File.AddEntry(like, a.Title, changes)
	})
}

// model is the default entry of a family if it starts a kernel, else the first that
// does, with its file.
func (f family) model() (*bootcfg.Config, *bootcfg.MenuEntry) {
	for _, c := range f {
		if e := c.File.DefaultEntry(); e != nil && e.Boots() {
			return c, e
		}
	}
	for _, c := range f {
		for _, e := range c.File.Entries() {
			if e.Boots() && e.InMenu() {
				return c, e
			}
		}
	}
	return nil, nil
}

// addLoaderEntry makes a file of its own, as systemd-boot has them; of several entries
// the first is copied.
func (m *bootMenus) addLoaderEntry(c *bootcfg.Config, title string, changes []bootcfg.Karg) (map[*bootcfg.Config]int, error) {
	if len(m.added) > 0 {
		return nil, nil
	}
	text, name, err := c.File.Copy(title, changes)
	if err != nil {
		return nil, err
	}
	m.added[path.Join(path.Dir(c.Path), name+".conf")] = text
	return map[*bootcfg.Config]int{c: 1}, nil
}
