package bootedit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/stage"
)

// ErrNoConfig reports an image without a boot menu that could be changed.
var ErrNoConfig = errors.New("the image has no boot configuration that starts a kernel")

// bootEdit is a change of boot configurations: what package menu does, and where it is
// written to.
type bootEdit struct {
	*menu.Edit
	List []*stage.BootMenus
}

// bootMedium is what boot loaders see of the image, as earlier steps left it.
func bootMedium(s *stage.Stage) (menu.Medium, []*stage.BootMenus, error) {
	list, err := volumes(s)
	if err != nil {
		return menu.Medium{}, nil, err
	}
	m := menu.Medium{Hints: s.Boot.Hints(), Label: s.Medium().Label, UUID: s.Base.Image().Primary().Modified().UUID()}
	for _, b := range list {
		known := &s.Programs
		if b.Original() {
			known = &s.Base.Known
		}
		known.AddPrograms(&m.Hints, b)
		m.Volumes = append(m.Volumes, menu.Volume{Prefix: b.Prefix(), Files: b.Volume})
	}
	return m, list, nil
}

// volumes are the file systems that boot loaders read, the tree first.
func volumes(s *stage.Stage) ([]*stage.BootMenus, error) {
	volumes, err := s.Volumes()
	var list []*stage.BootMenus
	for _, v := range volumes {
		list = append(list, &stage.BootMenus{Volume: v})
	}
	return list, err
}

// EditMenus finds the boot configurations of the tree and of the FAT images that firmware
// boots from.
func EditMenus(s *stage.Stage) (*bootEdit, error) {
	m, list, err := bootMedium(s)
	if err != nil {
		return nil, err
	}
	e, err := menu.Begin(m)
	if err != nil {
		return nil, err
	}
	for i, b := range list {
		b.Set, b.Configs = e.Sets[i], e.Sets[i].Configs
	}
	return &bootEdit{e, list}, nil
}

// Configs lists the boot configurations.
func Configs(s *stage.Stage) ([]*stage.BootMenus, error) {
	e, err := EditMenus(s)
	if err != nil {
		return nil, err
	}
	return e.List, nil
}

// ChangeMenus changes boot configurations, and notes in how many places what was changed
// and what could not be done.
func ChangeMenus(s *stage.Stage, what string, change func(*menu.Edit) error) error {
	e, err := EditMenus(s)
	if err != nil {
		return err
	}
	if !e.Starts() {
		return NoConfig(s, e.Edit)
	}
	return CarryOut(s, e, what, change)
}

// CarryOut makes a change and writes what it changed.
func CarryOut(s *stage.Stage, e *bootEdit, what string, change func(*menu.Edit) error) error {
	areas, err := coreos.Areas(s, e.List)
	if err != nil {
		return err
	}
	if s.MenusBefore == nil {
		if s.MenusBefore, err = e.Before(); err != nil {
			return err
		}
	}
	if err := change(e.Edit); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(e.Changes)) {
		s.Changed(name, what, e.Changes[name])
	}
	for _, w := range e.Warnings {
		s.Warn(w)
	}
	if err := write(s, e.List, areas); err != nil {
		return err
	}
	if areas == nil { // what is in them comes after the texts
		s.MenusAfter, s.MenusAt = e.Edit, s.State()
	}
	return nil
}

// Before notes what starts by itself before a step changes that, or what menus look for.
func Before(s *stage.Stage) (err error) {
	if s.MenusBefore == nil {
		s.MenusBefore, err = ReadMenus(s)
	}
	return err
}

// Summary notes what starts by itself, loader by loader, if a step changed menus.
func Summary(s *stage.Stage) error {
	if s.MenusBefore == nil {
		return nil
	}
	read := func() ([]*menu.Menu, error) { return ReadMenus(s) }
	if s.MenusAfter != nil && s.MenusAt == s.State() {
		read = s.MenusAfter.After
	}
	after, err := read()
	if err != nil {
		return err
	}
	for _, line := range menu.Summary(s.MenusBefore, after) {
		s.Notes = append(s.Notes, "starts by itself: "+line)
	}
	return nil
}

// Read returns what the boot loaders of the image do: their entries, and what starts when
// nobody presses a key.
func Read(b *baseimage.Base) ([]*menu.Menu, error) {
	t, err := b.Merged()
	if err != nil {
		return nil, err
	}
	return ReadMenus(stage.New(context.Background(), b, t, stage.Options{}))
}

// ReadMenus is Read for an image as earlier steps left it.
func ReadMenus(s *stage.Stage) ([]*menu.Menu, error) {
	m, _, err := bootMedium(s)
	if err != nil {
		return nil, err
	}
	return menu.Read(m)
}

// write puts the configurations that changed back to where they are from.
func write(s *stage.Stage, list []*stage.BootMenus, areas *coreos.Karea) error {
	for _, m := range list {
		now := m.Set.Changed()
		for _, p := range slices.Sorted(maps.Keys(now)) {
			if m.Prefix() != "/" { // of those in the tree the report says it
				signed(s, m, p)
			}
		}
		if err := writeFiles(s, m, now); err != nil {
			return err
		}
	}
	return coreos.RewriteAreas(s, areas)
}

// writeFiles gives configurations new texts. One in the tree that a header names stays at its
// place where it can.
func writeFiles(s *stage.Stage, m *stage.BootMenus, now map[string][]byte) error {
	sources := map[string]extent.Source{}
	for name, text := range now {
		sources[name] = fat.Bytes(text)
		if m.Prefix() != "/" {
			continue
		}
		if n, err := s.Tree.Lookup(name); err == nil {
			if placed, err := coreos.InPlace(s, n, text); err != nil {
				return err
			} else if placed != nil {
				sources[name] = placed
			}
		}
	}
	return putSources(m, sources)
}

// putSources gives files of a file system new content.
func putSources(v stage.Volume, now map[string]extent.Source) error {
	if len(now) == 0 {
		return nil
	}
	return v.Edit(func(e stage.Editor) error {
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if err := e.Put(name, now[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

// signed warns of a detached signature that does not fit the changed file any more.
func signed(s *stage.Stage, m *stage.BootMenus, name string) {
	for _, ext := range []string{".sig", ".asc", ".p7s"} {
		if found, dir, err := m.Lookup(name + ext); err == nil && !dir {
			s.Warn(fmt.Sprintf("%s%s signs the file as it was; a loader that checks signatures will refuse the changed one", m.Prefix(), found))
		}
	}
}
