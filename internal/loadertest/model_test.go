package loadertest_test

import (
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/isolayer/isolayer/internal/grubscript"
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
	if m.Loader == lt.GRUB || m.Loader == lt.GRUBEFI || m.Loader == lt.GRUBLegacy {
		return ofGRUB(m)
	}
	loader := map[lt.Loader]menu.Loader{lt.ISOLINUX: menu.Syslinux, lt.SystemBoot: menu.SystemdBoot, lt.REFInd: menu.REFInd}[m.Loader]
	medium := menu.Medium{Volumes: []menu.Volume{{Prefix: "/", Files: files(m.Files)}}, Label: m.Label}
	if m.Loader == lt.ISOLINUX {
		medium.Hints.Syslinux = []string{m.Dir}
	}
	menus, err := menu.Read(medium)
	if err != nil {
		return prediction{unsure: err.Error()}
	}
	for _, x := range menus {
		if x.Loader == loader {
			return ofMenu(x)
		}
	}
	return prediction{unsure: "no menu of " + string(loader)}
}

func ofMenu(x *menu.Menu) prediction {
	s := x.Start
	p := prediction{unsure: s.Unsure, starts: !s.Waits() && s.Kind != menu.Nothing && s.Kind != "", kernel: s.Kernel, command: s.Args}
	if s.Kind == menu.Local || s.Kind == menu.Chain && path.Base(s.Kernel) == "chain.c32" {
		p.kernel, p.command = lt.Local, ""
	}
	if s.Entry != nil {
		p.initrds = s.Entry.Initrds
	}
	return p
}

func ofGRUB(m lt.Medium) prediction {
	f := grubscript.Firmware{
		Platform: "pc", CPU: "i386", Prefix: "(cd)/boot/grub",
		Devices: []grubscript.Device{{Name: "cd", Volume: files(m.Files), Label: m.Label}},
	}
	if m.Loader == lt.GRUBEFI {
		f.Platform, f.CPU, f.Prefix, f.Devices[0].Name = "efi", "x86_64", "(cd0)/boot/grub", "cd0"
	}
	evaluate := grubscript.Evaluate
	if m.Loader == lt.GRUBLegacy {
		evaluate = grubscript.EvaluateLegacy
		f.Config = "(cd)/boot/grub/menu.lst"
	}
	s := evaluate(f).Start
	p := prediction{}
	if !s.Certain || len(s.Others) > 0 {
		p.unsure = "conditions " + s.Note
	}
	if s.Kind == grubscript.Leaves && m.Loader == lt.GRUB && s.Boot.Action == grubscript.Exits || s.Kind == grubscript.Starts && s.Boot.Action == grubscript.Exits && m.Loader == lt.GRUB {
		p.starts, p.kernel = true, lt.Local
	}
	if s.Kind != grubscript.Starts || s.Boot.Kernel == nil {
		return p
	}
	p.starts, p.kernel, p.command = true, s.Boot.Kernel.Path, s.Boot.Kernel.Cmdline(false)
	if s.Boot.Kernel.Command == "chainloader" {
		p.kernel, p.command = lt.Local, ""
	}
	for _, l := range s.Boot.Initrds {
		p.initrds = append(p.initrds, l.Path)
	}
	return p
}
