package menu

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// Read returns what the loaders of a medium do, those of the tree first. The error is that
// of reading, or of more than can be read.
func Read(m Medium) ([]*Menu, error) {
	var out []*Menu
	for i, v := range m.Volumes {
		configs, err := bootcfg.Find(v.Files, m.Hints)
		if err != nil {
			return nil, fmt.Errorf("%s%w", strings.TrimPrefix(v.Prefix, "/"), err)
		}
		x := &finder{medium: m, volume: v, at: i, configs: configs}
		x.all()
		out = append(out, x.out...)
	}
	return distinct(out), nil
}

// finder reads the menus of one volume.
type finder struct {
	medium  Medium
	volume  Volume
	at      int // its index
	configs []*bootcfg.Config
	out     []*Menu
}

func (x *finder) add(m *Menu) {
	if m != nil {
		x.out = append(x.out, m)
	}
}

func (x *finder) all() {
	for _, c := range x.configs {
		if !c.Root {
			continue
		}
		switch c.File.Format() {
		case bootcfg.Syslinux:
			x.add(readSyslinuxMenu(x.volume, "/"+c.Path, c.Dir, x.platform(c.Path)))
		case bootcfg.Parm:
			x.add(readParm(x.volume, c.Path))
		case bootcfg.ESXi:
			x.add(readESXi(x.volume, c.Path, x.platform(c.Path)))
		}
	}
	x.grub()
	for _, dir := range []string{"loader", "boot/loader"} {
		x.add(readSystemd(x.volume, dir))
	}
	for _, name := range limineNames {
		if m := readLimine(x.volume, name, x.limineOn()...); m != nil {
			x.add(m)
			break // others are shadowed
		}
	}
	for _, name := range []string{"EFI/BOOT/refind.conf", "EFI/refind/refind.conf"} {
		x.add(readREFInd(x.volume, name))
	}
	if x.at == 0 {
		x.add(readBSD(x.volume, "boot/loader.conf"))
	}
}

func (x *finder) limineOn() []Platform {
	if x.at > 0 {
		return []Platform{UEFI}
	}
	return []Platform{BIOS, UEFI}
}

// platform is where the loader of a file runs, by the directory it lies in.
func (x *finder) platform(name string) Platform {
	low := strings.ToLower(name)
	switch {
	case x.at > 0, strings.HasPrefix(low, "efi/"), strings.Contains(low, "-efi/"):
		return UEFI
	case strings.Contains(low, "ieee1275"), strings.Contains(low, "ppc64"):
		return PowerPC
	}
	return BIOS
}

// distinct drops menus that are read in the course of others on the same platforms. Of those
// of syslinux the first is the one that the image starts; others are read from media of
// other kinds.
func distinct(list []*Menu) (out []*Menu) {
	for i, m := range list {
		first := m.Loader == Syslinux && !slices.ContainsFunc(list[:i], func(o *Menu) bool { return o.Loader == Syslinux })
		drop := slices.ContainsFunc(list, func(o *Menu) bool {
			earlier := slices.Index(list, o) < i
			switch {
			case o == m || o.Loader != m.Loader:
				return false
			case m.Loader == Syslinux && earlier && path.Dir(o.Root) == path.Dir(m.Root):
				return true
			case !slices.Contains(o.Files, m.Root) || !covers(o, m):
				return false
			}
			return earlier || !first && !slices.Contains(m.Files, o.Root)
		})
		if !drop {
			out = append(out, m)
		}
	}
	return out
}

// covers reports whether a menu runs wherever the other does.
func covers(o, m *Menu) bool {
	for _, p := range m.Platforms {
		if !slices.Contains(o.Platforms, p) {
			return false
		}
	}
	return true
}
