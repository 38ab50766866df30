package isolayer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/menu"
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

// EntryKargs changes the kernel arguments of the entries of one name: a label or id, a title,
// or a number from 0.
type EntryKargs struct {
	Name string
	Args []string
}

// AddEntry puts a copy of the default entry behind it in every boot menu, with another title
// and changed kernel arguments. What starts by itself stays.
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

func (k EntryKargs) String() string {
	return "kernel arguments of " + k.Name + ": " + strings.Join(k.Args, " ")
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
				out[n-1] = Kargs{Args: slices.Concat(last.Args, k.Args), Keep: k.Keep}
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

func (k Kargs) apply(s *stage) error { return s.kargs(k, false) }

// kargs changes kernel arguments, which may name an answer file.
func (s *stage) kargs(k Kargs, answers bool) error {
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
	e, err := s.editMenus()
	if err != nil {
		return err
	}
	if !e.Starts() && unified == 0 {
		return s.noConfig(e.Edit)
	}
	own := changes
	other, err := s.otherNames(e.Edit, own, answers)
	if err != nil {
		return err
	}
	changes = slices.Concat(own, other)
	hits = append(hits, make([]int, len(other))...)
	err = s.carryOut(e, "entries", func(e *menu.Edit) error { return e.Kargs(changes, edit) })
	for i, n := range hits[:len(own)] {
		if n == 0 {
			s.note(changes[i].Idle())
		}
		if bootcfg.Blank(k.Args[i]) {
			s.warn(fmt.Sprintf("%q is one kernel argument with a blank; two arguments are two --karg", k.Args[i]))
		}
	}
	return err
}

// otherNames are the changes that take away arguments which are the same to the installer
// under another name: of preseed/file and file one counts. What an answer file takes the
// place of is noted.
func (s *stage) otherNames(e *menu.Edit, changes []bootcfg.Karg, answers bool) (out []bootcfg.Karg, err error) {
	r := s.release()
	for _, k := range changes {
		if !k.Single() {
			continue
		}
		names, texts, err := e.Spelled(k, r.Argument)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			out = append(out, bootcfg.Removal(n))
		}
		for _, was := range texts {
			if answers && strings.Contains(was, "/") {
				s.note(fmt.Sprintf("%s was named by boot entries before and is not read any more", was))
			}
		}
	}
	return out, nil
}

func (k EntryKargs) apply(s *stage) error {
	changes, err := parseKargs(k.Args, false)
	if err != nil {
		return err
	}
	return s.changeMenus("entries", func(e *menu.Edit) error { return e.EntryKargs(k.Name, changes) })
}

func (l Label) apply(s *stage) error {
	if err := s.before(); err != nil { // as loaders find the old label
		return err
	}
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
	if s.tree.Has[iso9660.Joliet] && len(l.ID) > iso9660.JolietLabel {
		s.note(fmt.Sprintf("Joliet, which Windows reads, has room for %q of the label", l.ID[:iso9660.JolietLabel]))
	}
	if _, err := s.editUnified("label", func(f *bootcfg.File) (int, error) { return f.Relabel(old, l.ID) }); err != nil {
		return err
	}
	e, err := s.editMenus()
	if err != nil {
		return err
	}
	err = s.carryOut(e, "label", func(e *menu.Edit) error { return e.Relabel(old, l.ID) })
	if err != nil {
		return err
	}
	if err := s.relabelDefaults(old, l.ID); err != nil {
		return err
	}
	return s.relabelInitrds(e.list, old, l.ID)
}

func (m MenuTimeout) apply(s *stage) error {
	return s.changeMenus("timeout", func(e *menu.Edit) error { return e.Timeout(m.Seconds) })
}

func (d DefaultEntry) apply(s *stage) error {
	return s.changeMenus("default entry", func(e *menu.Edit) error { return e.Default(d.Name) })
}

func (a AddEntry) apply(s *stage) error {
	changes, err := parseKargs(a.Args, false)
	if err != nil {
		return err
	}
	return s.changeMenus("entry added", func(e *menu.Edit) error { return e.Add(a.Title, changes) })
}
