package bootcfg

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The places where loaders look by themselves.
var (
	syslinuxDirs  = []string{"boot/isolinux", "isolinux", ".", "boot/syslinux", "syslinux", "boot/extlinux", "extlinux", "EFI/syslinux", "boot/x86_64/loader", "boot/i386/loader"}
	syslinuxNames = []string{"isolinux.cfg", "syslinux.cfg", "extlinux.conf", "syslx64.cfg", "syslia32.cfg", "pxelinux.cfg/default"}
	grubDirs      = []string{
		"boot/grub", "boot/grub2", "grub", "grub2", "boot/grub/x86_64-efi", "boot/grub/i386-efi", "boot/grub/arm64-efi", "boot/grub2/powerpc-ieee1275", "boot/grub/powerpc-ieee1275",
		"boot/ppc64/grub2-ieee1275", "boot/ppc64le/grub2-ieee1275", "boot/ppc/grub2-ieee1275", "boot/grub2/x86_64-efi", "boot/grub2/i386-pc", "boot/grub/i386-pc",
	}
	legacyNames = []string{"boot/grub/menu.lst", "boot/grub/grub.conf", "isolinux/grub.conf", "grub/menu.lst", "boot/grub-legacy/menu.lst", "menu.lst", "boot/menu.lst"}
	entryDirs   = []string{"loader/entries", "boot/loader/entries"}
	loaderNames = []string{"loader/loader.conf"}
	parmDirs    = []string{".", "images", "boot", "boot/s390x", "boot/s390x/loader"}
	limineNames = []string{"boot/limine/limine.conf", "boot/limine.conf", "limine/limine.conf", "limine.conf", "EFI/BOOT/limine.conf", "limine.cfg", "limine/limine.cfg", "boot/limine.cfg", "boot/limine/limine.cfg", "EFI/BOOT/limine.cfg"}
	refindNames = []string{"EFI/BOOT/refind.conf", "EFI/refind/refind.conf", "boot/refind_linux.conf", "refind_linux.conf", "EFI/BOOT/refind_linux.conf"}
	esxiNames   = []string{"boot.cfg", "EFI/BOOT/boot.cfg"}
)

func (s *finder) fixed(format Format, names ...string) error {
	for _, n := range names {
		if _, err := s.add(n, format, path.Dir(n), nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *finder) syslinux(dirs []string) error {
	for _, dir := range dirs {
		for _, name := range syslinuxNames {
			if _, err := s.add(path.Join(dir, name), Syslinux, dir, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// list returns the names in a directory, none if it is not there.
func (s *finder) list(dir string) (found string, names []string, err error) {
	found, isDir, err := s.v.Lookup(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || err == nil && !isDir {
		return "", nil, nil
	} else if err != nil {
		return "", nil, err
	}
	names, err = s.v.List(found)
	return found, names[:min(len(names), maxNames)], err
}

// matching adds the files of directories whose names match a pattern of small letters.
func (s *finder) matching(format Format, dirs []string, pattern string) error {
	for _, dir := range dirs {
		found, names, err := s.list(dir)
		if err != nil {
			return err
		}
		for _, n := range names {
			if ok, _ := path.Match(pattern, strings.ToLower(n)); !ok {
				continue
			}
			if _, err := s.add(path.Join(found, n), format, dir, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// grub adds the configurations that GRUB reads by itself: those of the directories it
// is known to read from, and of every directory with EFI programs.
func (s *finder) grub(dirs []string) error {
	dirs = append(slices.Clone(dirs), grubDirs...)
	found, vendors, err := s.list("EFI")
	if err != nil {
		return err
	}
	for _, n := range vendors {
		dirs = append(dirs, path.Join(found, n), path.Join(found, n, "grub"))
	}
	for _, dir := range dirs {
		for _, name := range []string{"grub.cfg", "loopback.cfg"} {
			c, err := s.add(path.Join(dir, name), GRUB, dir, nil)
			if err != nil {
				return err
			}
			if c != nil {
				s.know("prefix", "/"+path.Dir(c.Path))
				s.know("cmdpath", "/"+path.Dir(c.Path))
			}
		}
	}
	for _, pattern := range []string{"boot*.conf", "grub.conf", "menu.lst"} {
		var in []string
		for _, n := range vendors {
			in = append(in, path.Join(found, n))
		}
		if err := s.matching(Legacy, in, pattern); err != nil {
			return err
		}
	}
	return nil
}

// builtIn follows scripts that are not in the volume.
func (s *finder) builtIn(scripts []string) error {
	for _, text := range scripts {
		f, err := Parse(GRUB, []byte(text))
		if err != nil {
			continue
		}
		s.assignments(f)
		for _, dir := range slices.Clone(s.vars["prefix"]) {
			if _, err := s.add(path.Join(dir, "grub.cfg"), GRUB, dir, nil); err != nil {
				return err
			}
		}
		for _, r := range f.Refs() {
			if r.Kind != RefInclude {
				continue
			}
			if err := s.include(&Config{File: f, Path: "."}, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// know notes a value of a variable.
func (s *finder) know(name, value string) {
	if list := s.vars[name]; len(list) < maxExpanded && !slices.Contains(list, value) {
		s.vars[name] = append(list, value)
	}
}

// parm adds the parameter files of s390: those that .ins files load, which list a path
// and an address a line, and those of the usual names.
func (s *finder) parm() error {
	for _, dir := range parmDirs {
		found, names, err := s.list(dir)
		if err != nil {
			return err
		}
		for _, n := range names {
			low, p := strings.ToLower(n), path.Join(found, n)
			switch {
			case strings.HasSuffix(low, ".prm") || strings.HasPrefix(low, "parmfile"):
				if _, err := s.add(p, Parm, dir, nil); err != nil {
					return err
				}
			case strings.HasSuffix(low, ".ins"):
				if err := s.ins(p, found); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ins reads an .ins file.
func (s *finder) ins(name, dir string) error {
	text, err := s.v.Read(name, 1<<16)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 2 || !strings.Contains(strings.ToLower(f[0]), ".prm") && !strings.Contains(strings.ToLower(f[0]), "parm") {
			continue
		}
		for _, p := range []string{f[0], path.Join(dir, f[0])} {
			if _, err := s.add(p, Parm, dir, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
