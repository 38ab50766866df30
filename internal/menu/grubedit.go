package menu

import (
	"slices"

	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/grubscript"
)

// maxTries bounds how often menus of GRUB are edited and looked at again.
const maxTries = 10

// grubEdits makes edits that depend on what GRUB does, menu by menu: what stands in
// variables, in functions, in texts that are evaluated. A menu that has no more to do, or
// cannot be edited, gives none.
func (e *Edit) grubEdits(wanted func(m *Menu) ([]grubscript.Edit, error)) error {
	stuck := map[string]bool{}
	for e.left > 0 {
		after, err := e.After()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(after, func(m *Menu) bool { return m.grub != nil && !stuck[m.key()] })
		for ; i >= 0 && i < len(after); i++ {
			m := after[i]
			if m.grub == nil || stuck[m.key()] {
				continue
			}
			e.left--
			edits, err := wanted(m)
			if err != nil || len(edits) == 0 {
				stuck[m.key()] = true
				continue
			}
			if err := e.applyGRUB(m, edits); err != nil {
				stuck[m.key()] = true
				continue
			}
			break
		}
		if i < 0 || i >= len(after) {
			return nil
		}
	}
	return nil
}

// key names a menu among those that are read again.
func (m *Menu) key() string { return m.On() + " " + m.Root }

// applyGRUB puts edits into the configurations that they are of.
func (e *Edit) applyGRUB(m *Menu, edits []grubscript.Edit) error {
	texts, err := m.grub.Apply(edits)
	if err != nil {
		return err
	}
	for key, text := range texts {
		for i, s := range e.Sets {
			if key[0] == deviceName(i) {
				e.replace(s, key[1], text)
			}
		}
	}
	return nil
}

// replace gives a configuration another text.
func (e *Edit) replace(s *Set, name string, text []byte) {
	for _, c := range s.Configs {
		if c.Path != name {
			continue
		}
		f, err := bootcfg.Parse(c.File.Format(), text)
		if err != nil {
			return
		}
		f.Reserved = c.File.Reserved
		c.File = f
		e.note(s, name, max(1, e.Changes[s.Prefix+name]))
		return
	}
	s.Added[name] = text
	e.note(s, name, 1)
}

// grubKargs gives entries of GRUB the arguments that they lack: those in variables.
func (e *Edit) grubKargs(changes []bootcfg.Karg) error {
	return e.grubEdits(func(m *Menu) ([]grubscript.Edit, error) {
		want := map[*grubscript.Load][]string{}
		for load, x := range m.loads {
			args := argsOf(load)
			now := args
			for _, k := range changes {
				if !k.Xen && !k.Holds(x.Args) && takesArguments(x) {
					now = k.On(now)
				}
			}
			if !slices.Equal(now, args) {
				want[load] = now
			}
		}
		return e.setArgs(m.grub, want)
	})
}

// setArgs makes the edits for all loads, or for as many as can be edited.
func (e *Edit) setArgs(r *grubscript.Result, want map[*grubscript.Load][]string) ([]grubscript.Edit, error) {
	if len(want) == 0 {
		return nil, nil
	}
	edits, err := r.SetArgs(want)
	if err == nil || len(want) == 1 {
		return edits, err
	}
	for load, args := range want {
		if e.left--; e.left < 0 {
			break
		}
		if edits, one := r.SetArgs(map[*grubscript.Load][]string{load: args}); one == nil && len(edits) > 0 {
			return edits, nil // the others follow, one by one
		}
	}
	return nil, err
}

func argsOf(l *grubscript.Load) []string {
	out := make([]string, len(l.Args))
	for i, a := range l.Args {
		out[i] = a.String()
	}
	return out
}

// grubTimes sets the time of GRUB's menus where assignments are not what counts.
func (e *Edit) grubTimes(seconds int) error {
	return e.grubEdits(func(m *Menu) ([]grubscript.Edit, error) {
		if m.timed(seconds) {
			return nil, nil
		}
		return m.grub.SetTimeout(seconds)
	})
}

// grubDefault makes an entry the one that starts where its name alone does not do it. Of
// none, it is the one that started before.
func (e *Edit) grubDefault(find func(m *Menu) *Entry) error {
	return e.grubEdits(func(m *Menu) ([]grubscript.Edit, error) {
		want := find(m)
		if want == nil || m.startsWith(want) || m.paths[want] == nil {
			return nil, nil
		}
		return m.grub.SetDefault(m.paths[want]...)
	})
}
