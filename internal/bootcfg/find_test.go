package bootcfg

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// memory is a volume of files by path.
type memory map[string]string

func (m memory) Lookup(name string) (string, bool, error) {
	for p := range m {
		if strings.EqualFold(p, name) {
			return p, false, nil
		}
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if strings.EqualFold(dir, name) {
				return dir, true, nil
			}
		}
	}
	if name == "." {
		return ".", true, nil
	}
	return "", false, fs.ErrNotExist
}

func (m memory) List(dir string) (out []string, err error) {
	prefix := dir + "/"
	if dir == "." {
		prefix = ""
	}
	for p := range m {
		if rest, ok := strings.CutPrefix(p, prefix); ok {
			first, _, _ := strings.Cut(rest, "/")
			out = append(out, first)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (m memory) Read(name string, limit int64) ([]byte, error) {
	if int64(len(m[name])) > limit {
		return nil, nil
	}
	return []byte(m[name]), nil
}

func paths(list []*Config) (out []string) {
	for _, c := range list {
		out = append(out, c.Path)
	}
	slices.Sort(out)
	return out
}

const kernelEntry = "menuentry a {\n linux /v\n}\n"

// TestFind follows what loaders look for by themselves and what that leads to.
func TestFind(t *testing.T) {
	for _, c := range []struct {
		name  string
		files memory
		hints Hints
		want  []string
	}{
		{name: "isolinux in any case", files: memory{"ISOLINUX/ISOLINUX.CFG": "INCLUDE MENU.CFG", "ISOLINUX/MENU.CFG": "menu include /isolinux/sub/txt.cfg", "ISOLINUX/SUB/TXT.CFG": "x", "ISOLINUX/OTHER.CFG": "say hi"}, want: []string{"ISOLINUX/ISOLINUX.CFG", "ISOLINUX/MENU.CFG", "ISOLINUX/SUB/TXT.CFG"}},
		{name: "beside it, with kernels", files: memory{"isolinux/isolinux.cfg": "", "isolinux/b.cfg": "label a\nkernel v\nappend x\n"}, want: []string{"isolinux/b.cfg", "isolinux/isolinux.cfg"}},
		{name: "another directory", files: memory{"boot/x/isolinux.cfg": ""}, hints: Hints{Syslinux: []string{"boot/x"}}, want: []string{"boot/x/isolinux.cfg"}},
		{name: "config with a directory", files: memory{"isolinux.cfg": "config /a/b.cfg /a/d", "a/b.cfg": "include c.cfg", "a/d/c.cfg": ""}, want: []string{"a/b.cfg", "a/d/c.cfg", "isolinux.cfg"}},
		{name: "includes of each other", files: memory{"isolinux.cfg": "include b.cfg", "b.cfg": "include isolinux.cfg"}, want: []string{"b.cfg", "isolinux.cfg"}},
		{name: "vendor of EFI", files: memory{"EFI/fedora/grub.cfg": "source $prefix/x/y.cfg", "EFI/fedora/x/y.cfg": ""}, want: []string{"EFI/fedora/grub.cfg", "EFI/fedora/x/y.cfg"}},
		{name: "variables", files: memory{"boot/grub/grub.cfg": "set d=($root)/menus\nset f=$d/a.cfg\nconfigfile ${f}\nif x; then source (hd0)/b.cfg; fi", "menus/a.cfg": "", "b.cfg": ""}, want: []string{"b.cfg", "boot/grub/grub.cfg", "menus/a.cfg"}},
		{name: "unknown loop", files: memory{"boot/grub/grub.cfg": "for f in $prefix/*.cfg; do source $f; done", "boot/grub/k.cfg": kernelEntry, "boot/grub/theme.cfg": "set x=y"}, want: []string{"boot/grub/grub.cfg", "boot/grub/k.cfg"}},
		{name: "hint of GRUB", files: memory{"my/grub/grub.cfg": ""}, hints: Hints{GRUB: []string{"my/grub/i386-pc", "my/grub"}}, want: []string{"my/grub/grub.cfg"}},
		{name: "built into GRUB", files: memory{"my/grub/grub.cfg": "", "other.cfg": ""}, hints: Hints{Scripts: []string{"search --file --set=root /x\nset prefix=($root)/my/grub\nconfigfile ($root)/other.cfg"}}, want: []string{"my/grub/grub.cfg", "other.cfg"}},
		{name: "systemd-boot", files: memory{"loader/entries/a.conf": "linux /v", "loader/loader.conf": "timeout 3"}, want: []string{"loader/entries/a.conf", "loader/loader.conf"}},
		{name: "s390", files: memory{"generic.ins": "images/kernel.img 0x00000000\nimages/our.prm 0x00010480\n", "images/our.prm": "ro"}, want: []string{"images/our.prm"}},
		{name: "ESXi", files: memory{"BOOT.CFG": "kernel=/b", "EFI/BOOT/BOOT.CFG": "kernel=/b", "ISOLINUX.CFG": "label i\nkernel mboot.c32\nappend -c boot.cfg"}, want: []string{"BOOT.CFG", "EFI/BOOT/BOOT.CFG", "ISOLINUX.CFG"}},
		{name: "legacy", files: memory{"EFI/BOOT/BOOTia32.conf": "title a", "isolinux/grub.conf": "title b"}, want: []string{"EFI/BOOT/BOOTia32.conf", "isolinux/grub.conf"}},
		{name: "larger than any", files: memory{"isolinux.cfg": strings.Repeat("x", MaxSize+1)}},
	} {
		list, err := Find(c.files, c.hints)
		if got := paths(list); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q (%v)", c.name, got, c.want, err)
		}
	}
}

// TestFindLimits: no configuration makes the search endless.
func TestFindLimits(t *testing.T) {
	many := memory{"isolinux.cfg": ""}
	var b strings.Builder
	for i := range 600 {
		name := fmt.Sprintf("%03d.cfg", i)
		many[name] = "label x"
		b.WriteString("include " + name + "\n")
	}
	many["isolinux.cfg"] = b.String()
	for what, files := range map[string]memory{
		"configurations": many,
		"paths":          {"isolinux.cfg": strings.Repeat("include x\n", 1<<14)},
	} {
		if _, err := Find(files, Hints{}); !errors.Is(err, ErrLimit) {
			t.Errorf("too many %s: %v", what, err)
		}
	}
}

// TestFindInstaller follows the includes of Debian's installer: every configuration that
// the package has for isolinux is found, from the first one.
func TestFindInstaller(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages")
	}
	const top = "debian-installer-12-netboot-amd64/usr/lib/debian-installer/images/12/amd64/gtk/"
	files := memory{}
	for p, text := range isotest.Configs(t) {
		if rest, ok := strings.CutPrefix(p, top); ok && strings.HasPrefix(rest, "debian-installer/amd64/boot-screens/") {
			files[rest] = string(text)
		}
	}
	files["isolinux/isolinux.cfg"] = "path debian-installer/amd64/boot-screens/\ninclude /debian-installer/amd64/boot-screens/syslinux.cfg\n"
	for p, text := range files {
		files[p] = strings.ReplaceAll(text, " debian-installer/", " /debian-installer/") // of the network's root
	}
	list, err := Find(files, Hints{})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 || len(list) != len(files) {
		t.Errorf("%d of %d found: %q", len(list), len(files), paths(list))
	}
	entries := 0
	for _, c := range list {
		for _, e := range c.File.Entries() {
			if e.Boots() {
				entries++
			}
		}
	}
	if entries < 12 {
		t.Errorf("%d entries", entries)
	}
}

// TestLarge: files at the limits take no time that anybody notices, and those beyond
// are refused.
func TestLarge(t *testing.T) {
	k, err := ParseKarg("a=b")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		format Format
		line   string
		n      int
	}{
		{Syslinux, "label a\nlinux v\n", 10000},
		{Syslinux, "label a\nmenu default\nlinux v\nappend x\n", 5000},
		{GRUB, "menuentry a {\nlinux /v\n}\n", 6000},
		{GRUB, "submenu a {\n", 10000},
		{Entry, "options a\n", 20000},
		{Parm, "a\n", 20000},
	} {
		f := parse(t, c.format, strings.Repeat(c.line, c.n))
		if _, err := f.Karg(k); err != nil {
			t.Errorf("%s: %v", c.format, err)
		}
		if _, err := f.Relabel("old label", "new"); err != nil {
			t.Errorf("%s: %v", c.format, err)
		}
		if e := f.Match("a"); e != nil {
			f.Default(e, true)
		}
		f.Refs()
		if _, err := Parse(c.format, []byte(strings.Repeat(c.line, 70000/strings.Count(c.line, "\n")))); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: no limit: %v", c.format, err)
		}
	}
}
