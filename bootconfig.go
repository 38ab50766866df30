package isolayer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/tree"
)

// ErrNoConfig reports an image without a boot menu that could be changed.
var ErrNoConfig = errors.New("the image has no boot configuration that starts a kernel")

// bootVolume is a file system that boot loaders read: tree.Files and fat.Image are some.
type bootVolume interface {
	bootcfg.Volume
	boot.Programs
}

// bootMenus are the boot configurations of one file system.
type bootMenus struct {
	prefix  string // in front of their paths, for users
	volume  bootVolume
	fat     *fatVolume // nil for the tree
	configs []*bootcfg.Config
	set     *menu.Set
}

// bootEdit is a change of boot configurations: what package menu does, and where it is
// written to.
type bootEdit struct {
	*menu.Edit
	list []*bootMenus
}

// bootMedium is what boot loaders see of the image, as earlier steps left it.
func (s *stage) bootMedium() (menu.Medium, []*bootMenus, error) {
	list, err := s.volumes()
	if err != nil {
		return menu.Medium{}, nil, err
	}
	m := menu.Medium{Hints: s.boot.Hints(), Label: s.medium().Label, UUID: s.base.img.Primary().Modified().UUID()}
	for _, b := range list {
		known := &s.programs
		if b.fat != nil && b.fat.src == s.base.src {
			known = &s.base.programs
		}
		known.AddPrograms(&m.Hints, b.volume)
		m.Volumes = append(m.Volumes, menu.Volume{Prefix: b.prefix, Files: b.volume})
	}
	return m, list, nil
}

// volumes are the file systems that boot loaders read, the tree first.
func (s *stage) volumes() ([]*bootMenus, error) {
	volumes, err := s.fatVolumes()
	if err != nil {
		return nil, err
	}
	list := []*bootMenus{{prefix: "/", volume: s.reader()}}
	for _, v := range volumes {
		list = append(list, &bootMenus{prefix: v.name + ":/", volume: v.img, fat: v})
	}
	return list, nil
}

// editMenus finds the boot configurations of the tree and of the FAT images that firmware
// boots from.
func (s *stage) editMenus() (*bootEdit, error) {
	m, list, err := s.bootMedium()
	if err != nil {
		return nil, err
	}
	e, err := menu.Begin(m)
	if err != nil {
		return nil, err
	}
	for i, b := range list {
		b.set, b.configs = e.Sets[i], e.Sets[i].Configs
	}
	return &bootEdit{e, list}, nil
}

// menus lists the boot configurations.
func (s *stage) menus() ([]*bootMenus, error) {
	e, err := s.editMenus()
	if err != nil {
		return nil, err
	}
	return e.list, nil
}

// changeMenus changes boot configurations, and notes in how many places what was changed
// and what could not be done.
func (s *stage) changeMenus(what string, change func(*menu.Edit) error) error {
	e, err := s.editMenus()
	if err != nil {
		return err
	}
	if !e.Starts() {
		return s.noConfig(e.Edit)
	}
	return s.carryOut(e, what, change)
}

// carryOut makes a change and writes what it changed.
func (s *stage) carryOut(e *bootEdit, what string, change func(*menu.Edit) error) error {
	areas, err := s.areas(e.list)
	if err != nil {
		return err
	}
	if s.menusBefore == nil {
		if s.menusBefore, err = e.Before(); err != nil {
			return err
		}
	}
	if err := change(e.Edit); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(e.Changes)) {
		s.changed(name, what, e.Changes[name])
	}
	for _, w := range e.Warnings {
		s.warn(w)
	}
	if err := s.write(e.list, areas); err != nil {
		return err
	}
	if areas == nil { // what is in them comes after the texts
		s.menusAfter, s.menusAt = e.Edit, s.state()
	}
	return nil
}

// mediumState changes with every edit that loaders may see.
type mediumState struct {
	edits, replacements int
	label               string
}

func (s *stage) state() mediumState {
	return mediumState{s.tree.Edits(), s.replacements, s.medium().Label}
}

// before notes what starts by itself before a step changes that, or what menus look for.
func (s *stage) before() (err error) {
	if s.menusBefore == nil {
		s.menusBefore, err = s.readMenus()
	}
	return err
}

// summary notes what starts by itself, loader by loader, if a step changed menus.
func (s *stage) summary() error {
	if s.menusBefore == nil {
		return nil
	}
	read := func() ([]*menu.Menu, error) { return s.readMenus() }
	if s.menusAfter != nil && s.menusAt == s.state() {
		read = s.menusAfter.After
	}
	after, err := read()
	if err != nil {
		return err
	}
	for _, line := range menu.Summary(s.menusBefore, after) {
		s.notes = append(s.notes, "starts by itself: "+line)
	}
	return nil
}

// Menus returns what the boot loaders of the image do: their entries, and what starts when
// nobody presses a key.
func (b *Base) Menus() ([]*menu.Menu, error) {
	t, err := b.merged()
	if err != nil {
		return nil, err
	}
	return b.stage(context.Background(), t, Options{}).readMenus()
}

func (s *stage) readMenus() ([]*menu.Menu, error) {
	m, _, err := s.bootMedium()
	if err != nil {
		return nil, err
	}
	return menu.Read(m)
}

// write puts the configurations that changed back to where they are from.
func (s *stage) write(list []*bootMenus, areas *karea) error {
	for _, m := range list {
		now := m.set.Changed()
		for _, p := range slices.Sorted(maps.Keys(now)) {
			if m.fat != nil { // of those in the tree the report tells
				s.signed(m, p)
			}
		}
		if err := s.writeFiles(m, now); err != nil {
			return err
		}
	}
	return s.rewriteAreas(areas)
}

func (s *stage) writeFiles(m *bootMenus, now map[string][]byte) error {
	switch {
	case len(now) == 0:
		return nil
	case m.fat != nil:
		sources := map[string]extent.Source{}
		for name, text := range now {
			sources[name] = fat.Bytes(text)
		}
		return s.putSources(m, sources)
	}
	for _, p := range slices.Sorted(maps.Keys(now)) {
		to, attr, src := p, tree.Attr{Mode: newFileMode, ModTime: s.tree.Epoch}, fat.Bytes(now[p])
		if n, err := s.tree.Lookup(p); err == nil {
			to, attr = n.Path(), n.Attr
			if placed, err := s.inPlace(n, now[p]); err != nil {
				return err
			} else if placed != nil {
				src = placed
			}
		}
		if err := s.put(to, attr, src); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// signed warns of a detached signature that does not fit the changed file any more.
func (s *stage) signed(m *bootMenus, name string) {
	for _, ext := range []string{".sig", ".asc", ".p7s"} {
		if found, dir, err := m.volume.Lookup(name + ext); err == nil && !dir {
			s.warn(fmt.Sprintf("%s%s signs the file as it was; a loader that checks signatures will refuse the changed one", m.prefix, found))
		}
	}
}

// warn notes a warning, once.
func (s *stage) warn(text string) {
	if !slices.Contains(s.warnings, text) {
		s.warnings = append(s.warnings, text)
	}
}

// changed notes that n places of a boot file changed. The same entries may change
// several times: the most of them counts.
func (s *stage) changed(name, what string, n int) {
	if n == 0 {
		return
	}
	i := slices.IndexFunc(s.bootFiles, func(f layout.BootFile) bool { return f.Path == name })
	if i < 0 {
		i = len(s.bootFiles)
		s.bootFiles = append(s.bootFiles, layout.BootFile{Path: name, Changes: map[string]int{}})
	}
	s.bootFiles[i].Changes[what] = max(s.bootFiles[i].Changes[what], n)
}
