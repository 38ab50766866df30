package apply

import (
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/stage"
)

// Joined makes one step of neighbouring changes of kernel arguments, and of initrds:
// each reads and writes every configuration, or all of an initrd.
func Joined(steps []edit.Step) []edit.Step {
	var out []edit.Step
	for _, step := range steps {
		if i, ok := step.(edit.InitrdAdd); ok && len(out) > 0 {
			if last, ok := out[len(out)-1].(edit.InitrdAdd); ok && (len(last.Puts) == 0 || len(i.Adds) == 0) {
				out[len(out)-1] = edit.InitrdAdd{Adds: slices.Concat(last.Adds, i.Adds), Puts: slices.Concat(last.Puts, i.Puts)}
				continue
			}
		}
		k, ok := step.(edit.Kargs)
		if n := len(out); ok && n > 0 {
			if last, ok := out[n-1].(edit.Kargs); ok && last.Keep == k.Keep {
				out[n-1] = edit.Kargs{Args: slices.Concat(last.Args, k.Args), Keep: k.Keep}
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

func applyKargs(s *stage.Stage, k edit.Kargs) error { return kargs(s, k, false) }

// kargs changes kernel arguments, which may name an answer file.
func kargs(s *stage.Stage, k edit.Kargs, answers bool) error {
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
	unified, err := bootedit.EditUnified(s, "kernel arguments", edit)
	if err != nil {
		return err
	}
	e, err := bootedit.EditMenus(s)
	if err != nil {
		return err
	}
	if !e.Starts() && unified == 0 {
		return bootedit.NoConfig(s, e.Edit)
	}
	own := changes
	other, err := otherNames(s, e.Edit, own, answers)
	if err != nil {
		return err
	}
	changes = slices.Concat(own, other)
	hits = append(hits, make([]int, len(other))...)
	err = bootedit.CarryOut(s, e, "entries", func(e *menu.Edit) error { return e.Kargs(changes, edit) })
	for i, n := range hits[:len(own)] {
		if n == 0 {
			s.Note(changes[i].Idle())
		}
		if bootcfg.Blank(k.Args[i]) {
			s.Warn(fmt.Sprintf("%q is one kernel argument with a blank; two are given one by one", k.Args[i]))
		}
	}
	return err
}

// otherNames are the changes that take away arguments which are the same to the installer
// under another name: of preseed/file and file one counts. What an answer file takes the
// place of is noted.
func otherNames(s *stage.Stage, e *menu.Edit, changes []bootcfg.Karg, answers bool) (out []bootcfg.Karg, err error) {
	r := s.Release()
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
				s.Note(fmt.Sprintf("%s was named by boot entries before and is not read any more", was))
			}
		}
	}
	return out, nil
}

func applyEntryKargs(s *stage.Stage, k edit.EntryKargs) error {
	changes, err := parseKargs(k.Args, false)
	if err != nil {
		return err
	}
	return bootedit.ChangeMenus(s, "entries", func(e *menu.Edit) error { return e.EntryKargs(k.Name, changes) })
}

func applyLabel(s *stage.Stage, l edit.Label) error {
	if err := bootedit.Before(s); err != nil { // as loaders find the old label
		return err
	}
	old := s.Base.Image().Primary().VolumeID()
	if s.Fields == nil {
		s.Fields = map[iso9660.Field]string{}
	}
	if earlier, ok := s.Fields[iso9660.FieldVolume]; ok {
		old = earlier
	}
	if err := s.Base.Image().Primary().Clone().SetField(iso9660.FieldVolume, l.ID); err != nil {
		return err
	}
	if l.ID == "" {
		return fmt.Errorf("the label is empty: %w", iso9660.ErrName)
	}
	s.Fields[iso9660.FieldVolume] = l.ID
	if l.ID == old {
		s.Note(fmt.Sprintf("the label is %q already", old))
	} else {
		s.Note(fmt.Sprintf("label %q, was %q", l.ID, old))
	}
	if s.Tree.Has[iso9660.Joliet] && len(l.ID) > iso9660.JolietLabel {
		s.Note(fmt.Sprintf("Joliet, which Windows reads, has room for %q of the label", l.ID[:iso9660.JolietLabel]))
	}
	if _, err := bootedit.EditUnified(s, "label", func(f *bootcfg.File) (int, error) { return f.Relabel(old, l.ID) }); err != nil {
		return err
	}
	e, err := bootedit.EditMenus(s)
	if err != nil {
		return err
	}
	err = bootedit.CarryOut(s, e, "label", func(e *menu.Edit) error { return e.Relabel(old, l.ID) })
	if err != nil {
		return err
	}
	if err := coreos.RelabelDefaults(s, old, l.ID); err != nil {
		return err
	}
	return initrd.RelabelInitrds(s, e.List, old, l.ID)
}

func applyMenuTimeout(s *stage.Stage, m edit.MenuTimeout) error {
	return bootedit.ChangeMenus(s, "timeout", func(e *menu.Edit) error { return e.Timeout(m.Seconds) })
}

func applyDefaultEntry(s *stage.Stage, d edit.DefaultEntry) error {
	return bootedit.ChangeMenus(s, "default entry", func(e *menu.Edit) error { return e.Default(d.Name) })
}

func applyAddEntry(s *stage.Stage, a edit.AddEntry) error {
	changes, err := parseKargs(a.Args, false)
	if err != nil {
		return err
	}
	return bootedit.ChangeMenus(s, "entry added", func(e *menu.Edit) error { return e.Add(a.Title, changes) })
}
