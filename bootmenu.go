package isolayer

import (
	"context"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/iso9660"
)

// Menus returns what the boot loaders of the image do: their entries, and what starts when
// nobody presses a key.
func (b *Base) Menus() ([]*menu.Menu, error) {
	t, err := b.Tree()
	if err != nil {
		return nil, err
	}
	return b.stage(context.Background(), t, Options{}).readMenus()
}

// bootMedium is what boot loaders see of the image as earlier steps left it.
func (s *stage) bootMedium() (menu.Medium, error) {
	volumes, err := s.fatVolumes()
	if err != nil {
		return menu.Medium{}, err
	}
	files := s.reader()
	m := menu.Medium{Volumes: []menu.Volume{{Prefix: "/", Files: files}}, Hints: s.boot.Hints()}
	boot.AddPrograms(&m.Hints, files)
	for _, v := range volumes {
		boot.AddPrograms(&m.Hints, v.img)
		m.Volumes = append(m.Volumes, menu.Volume{Prefix: v.name + ":/", Files: v.img})
	}
	m.Label, m.UUID = s.label(), s.base.img.Primary().Modified().UUID()
	return m, nil
}

// label is the volume id, as earlier steps left it.
func (s *stage) label() string {
	if id, ok := s.fields[iso9660.FieldVolume]; ok {
		return id
	}
	return s.base.img.Primary().VolumeID()
}

func (s *stage) readMenus() ([]*menu.Menu, error) {
	m, err := s.bootMedium()
	if err != nil {
		return nil, err
	}
	return menu.Read(m)
}
