package isolayer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/bootcfg"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/fat"
	"github.com/isolayer/isolayer/layout"
	"github.com/isolayer/isolayer/tree"
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
	before  map[*bootcfg.Config][]byte // their text
	added   map[string][]byte          // new files
}

// menus finds the boot configurations of the tree and of the FAT images that firmware
// boots from, as earlier steps left them.
func (s *stage) menus() ([]*bootMenus, error) {
	list, err := s.volumes()
	if err != nil {
		return nil, err
	}
	hints := s.boot.Hints()
	for _, m := range list {
		boot.AddPrograms(&hints, m.volume)
	}
	for _, m := range list {
		if m.configs, err = bootcfg.Find(m.volume, hints); err != nil {
			return nil, fmt.Errorf("%s%w", strings.TrimPrefix(m.prefix, "/"), err)
		}
		m.before, m.added = map[*bootcfg.Config][]byte{}, map[string][]byte{}
		for _, c := range m.configs {
			m.before[c] = c.File.Bytes()
		}
	}
	return list, nil
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

// editConfigs changes every boot configuration and notes in how many places what was
// changed.
func (s *stage) editConfigs(list []*bootMenus, what string, edit func(*bootcfg.Config) (int, error)) error {
	areas, err := s.areas(list)
	if err != nil {
		return err
	}
	for _, m := range list {
		for _, c := range m.configs {
			n, err := edit(c)
			if err != nil {
				return fmt.Errorf("%s%s: %w", m.prefix, c.Path, err)
			}
			s.changed(m.prefix+c.Path, what, n)
		}
	}
	return s.write(list, areas)
}

// starts reports whether any of the menus starts a kernel.
func starts(list []*bootMenus) bool {
	return slices.ContainsFunc(list, func(m *bootMenus) bool {
		return slices.ContainsFunc(m.configs, func(c *bootcfg.Config) bool {
			return slices.ContainsFunc(c.File.Entries(), (*bootcfg.MenuEntry).Boots)
		})
	})
}

// write puts the configurations that changed back to where they are from.
func (s *stage) write(list []*bootMenus, areas *karea) error {
	for _, m := range list {
		now := maps.Clone(m.added)
		for _, c := range m.configs {
			if text := c.File.Bytes(); !bytes.Equal(text, m.before[c]) {
				now[c.Path] = text
				if m.fat != nil { // of those in the tree the report tells
					s.signed(m, c.Path)
				}
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
