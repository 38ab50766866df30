package loadertest_test

import (
	"io/fs"
	"path"
	"sort"
	"strings"

	lt "github.com/isolayer/isolayer/internal/loadertest"
	"github.com/isolayer/isolayer/internal/menu"
)

// prediction is what a model says a loader will do by itself.
type prediction struct {
	unsure  string // why it may be something else
	starts  bool
	kernel  string // its path, or lt.Local
	command string
	initrds []string
	// entry and id are what the entry that starts may be called.
	entry, id string
}

// model says what a loader will do with a medium.
type model func(lt.Medium) prediction

// files are those of a medium, as isolayer's readers see them.
type files map[string][]byte

func (f files) Lookup(name string) (string, bool, error) {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return "", true, nil
	}
	for n := range f {
		if strings.EqualFold(n, name) {
			return n, false, nil
		}
	}
	for n := range f {
		if len(n) > len(name) && n[len(name)] == '/' && strings.EqualFold(n[:len(name)], name) {
			return n[:len(name)], true, nil
		}
	}
	return "", false, fs.ErrNotExist
}

func (f files) List(dir string) ([]string, error) {
	seen := map[string]bool{}
	for n := range f {
		if rest, ok := strings.CutPrefix(n, strings.Trim(dir, "/")+"/"); ok || dir == "" {
			if dir == "" {
				rest = n
			}
			first, _, _ := strings.Cut(rest, "/")
			seen[first] = true
		}
	}
	var out []string
	for n := range seen {
		out = append(out, n)
	}
	sort.Strings(out)
	return out, nil
}

func (f files) Read(name string, limit int64) ([]byte, error) {
	b, ok := f[strings.Trim(name, "/")]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if int64(len(b)) > limit {
		return nil, nil
	}
	return b, nil
}

// ours is the model of isolayer.
func ours(m lt.Medium) prediction {
	loader := map[lt.Loader]menu.Loader{
		lt.ISOLINUX: menu.Syslinux, lt.GRUB: menu.GRUB, lt.GRUBEFI: menu.GRUB, lt.GRUBLegacy: menu.Legacy, lt.SystemBoot: menu.SystemdBoot, lt.REFInd: menu.REFInd,
	}[m.Loader]
	menus, err := menu.Read(medium(m))
	if err != nil {
		return prediction{unsure: err.Error()}
	}
	for _, x := range menus {
		if x.Loader == loader {
			return ofMenu(x)
		}
	}
	return prediction{} // GRUB's prompt
}

// medium is what isolayer knows of a medium.
func medium(m lt.Medium) menu.Medium {
	tree, esp := menu.Volume{Prefix: "/", Files: files(m.Files)}, menu.Volume{Prefix: "@efi:/", Files: files{"EFI/BOOT/BOOTX64.EFI": nil}}
	out := menu.Medium{Label: m.Label}
	switch m.Loader {
	case lt.ISOLINUX:
		out.Hints.Syslinux = []string{m.Dir}
	case lt.GRUB, lt.GRUBLegacy:
		out.Hints.GRUB = []string{"boot/grub"}
	case lt.GRUBEFI:
		out.Volumes = []menu.Volume{tree, esp}
		return out
	case lt.SystemBoot, lt.REFInd:
		tree, esp.Files = menu.Volume{Prefix: "/", Files: files{"efi.img": nil}}, tree.Files
		out.Volumes = []menu.Volume{tree, esp}
		return out
	}
	out.Volumes = []menu.Volume{tree}
	return out
}

func ofMenu(x *menu.Menu) prediction {
	s := x.Start
	p := prediction{initrds: s.Initrds, unsure: s.Unsure, starts: s.Fails == "" && !s.Waits() && s.Kind != menu.Nothing && s.Kind != "", kernel: s.Kernel, command: s.Args}
	if s.Kind == menu.Local || s.Kind == menu.Chain {
		if strings.HasPrefix(p.command, "hd0 ") {
			p.unsure = "chain.c32 takes what follows for a file"
		}
		p.kernel, p.command = lt.Local, ""
	}
	if s.Entry != nil {
		p.entry, p.id = s.Entry.Title, s.Entry.ID
	}
	return p
}
