package menu

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// volume is a file system in memory, read as loaders do.
type volume map[string]string

func (v volume) Lookup(name string) (string, bool, error) {
	name = path.Clean(name)
	if name == "." {
		return ".", true, nil
	}
	for p := range v {
		if strings.EqualFold(p, name) {
			return p, false, nil
		}
		if len(p) > len(name) && strings.EqualFold(p[:len(name)], name) && p[len(name)] == '/' {
			return p[:len(name)], true, nil
		}
	}
	return "", false, fs.ErrNotExist
}

func (v volume) List(dir string) (names []string, err error) {
	for p := range v {
		rest, ok := strings.CutPrefix(p, dir+"/")
		if dir == "." {
			rest, ok = p, true
		}
		if name, _, _ := strings.Cut(rest, "/"); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (v volume) Read(name string, limit int64) ([]byte, error) {
	if text := v[name]; int64(len(text)) <= limit {
		return []byte(text), nil
	}
	return nil, nil
}

// read returns the menus of a medium with one volume.
func read(t testing.TB, v volume, h bootcfg.Hints) []*Menu {
	t.Helper()
	list, err := Read(Medium{Volumes: []Volume{{Prefix: "/", Files: v}}, Label: "OLD", Hints: h})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// only returns the menu of a volume that has one.
func only(t testing.TB, v volume) *Menu {
	t.Helper()
	list := read(t, v, bootcfg.Hints{Syslinux: []string{"isolinux"}})
	if len(list) != 1 {
		t.Fatalf("%d menus", len(list))
	}
	return list[0]
}

const (
	labelA = "label a\n menu label Title ^A\n kernel ka\n append initrd=i root=1\n"
	labelB = "label b\n kernel kb\n append two\n"
)

// TestSyslinuxStart has each rule that says what syslinux starts by itself.
func TestSyslinuxStart(t *testing.T) {
	for _, c := range []struct {
		name  string
		files volume // "" is isolinux.cfg
		want  string // the start in words, then its command line
	}{
		{"default at once, the time is of the prompt", volume{"": "default b\ntimeout 50\n" + labelA + labelB}, "b at once|kb two"},
		{"prompt waits", volume{"": "default b\nprompt 1\ntimeout 50\n" + labelB}, "b after 5 s|kb two"},
		{"prompt without a time", volume{"": "default b\nprompt 1\n" + labelB}, "waits at b|kb two"},
		{"prompt with a total time", volume{"": "default b\nprompt 1\ntotaltimeout 90\n" + labelB}, "b after 9 s|kb two"},
		{"ontimeout at the prompt", volume{"": "default b\nprompt 1\ntimeout 5\nontimeout a x=1\n" + labelA + labelB}, "Title A after 0.5 s|ka initrd=i root=1 x=1"},
		{"ontimeout without a prompt", volume{"": "default b\ntimeout 5\nontimeout a\n" + labelA + labelB}, "b at once|kb two"},
		{"no default", volume{"": labelA}, "waits|"},
		{"the last default", volume{"": "default a\ndefault b\n" + labelA + labelB}, "b at once|kb two"},
		{"default is a command line", volume{"": "default k a=1 initrd=i\n", "k": ""}, "k a=1 initrd=i at once|k a=1 initrd=i"},
		{"default is a label with arguments", volume{"": "default b more\n" + labelB}, "b at once|kb two more"},
		{"labels have a case", volume{"": "default B\n" + labelB, "B": ""}, "B at once|B"},
		{"menu, first label", volume{"": "default menu.c32\ntimeout 10\n" + labelA + labelB}, "Title A after 1 s|ka initrd=i root=1"},
		{"menu, marked label", volume{"": "default menu.c32\ntimeout 10\n" + labelA + labelB + "menu default\n"}, "b after 1 s|kb two"},
		{"menu, the last mark", volume{"": "default menu.c32\ntimeout 10\n" + labelA + "menu default\n" + labelB + "menu default\n"}, "b after 1 s|kb two"},
		{"menu by ui, default counts", volume{"": "ui menu.c32\ndefault b\ntimeout 10\n" + labelA + "menu default\n" + labelB}, "b after 1 s|kb two"},
		{"menu by default, another default does not", volume{"": "default b\ndefault menu.c32\ntimeout 10\n" + labelA + labelB}, "Title A after 1 s|ka initrd=i root=1"},
		{"menu, no time", volume{"": "default menu.c32\n" + labelA}, "waits at Title A|ka initrd=i root=1"},
		{"menu, the last time", volume{"": "default menu.c32\ntimeout 0\n" + labelA + "timeout 70\n"}, "Title A after 7 s|ka initrd=i root=1"},
		{"menu, ontimeout is a label", volume{"": "default menu.c32\ntimeout 10\nontimeout b\n" + labelA + labelB}, "b after 1 s|kb two"},
		{"menu, ontimeout is a command line", volume{"": "default menu.c32\ntimeout 10\nontimeout k x\n" + labelA, "k": ""}, "k x after 1 s|k x"},
		{"menu begins with a line between", volume{"": "default menu.c32\ntimeout 10\nmenu separator\n" + labelA}, "waits at Title A|ka initrd=i root=1"},
		{"hidden labels are no entries", volume{"": "default menu.c32\ntimeout 10\n" + labelA + "menu hide\n" + labelB}, "b after 1 s|kb two"},
		{"mark in a submenu", volume{"": "default menu.c32\ntimeout 10\n" + labelA + "menu begin sub\nmenu title Sub\n" + labelB + "menu default\nmenu end\n"}, "Title A after 1 s|ka initrd=i root=1"},
		{"time in a submenu", volume{"": "default menu.c32\ntimeout 10\n" + labelA + "menu begin sub\ntimeout 90\n" + labelB + "menu end\n"}, "Title A after 1 s|ka initrd=i root=1"},
		{"submenu first", volume{"": "default menu.c32\ntimeout 10\nmenu begin sub\n" + labelA + "menu end\n" + labelB}, "waits (nothing starts: the menu \".top\" is left without a choice)|"},
		{"menu start", volume{"": "default menu.c32\ntimeout 10\n" + labelA + "menu begin sub\nmenu start\n" + labelB + "menu end\n"}, "b after 1 s|kb two"},
		{"shift key", volume{"": "default menu.c32\nmenu shiftkey\n" + labelA}, "Title A at once|ka initrd=i root=1"},
		{"include", volume{"": "default menu.c32\ninclude x.cfg\n", "x.cfg": "timeout 20\n" + labelB}, "b after 2 s|kb two"},
		{"include of a file that is not there", volume{"": "default b\ninclude y.cfg\n" + labelB}, "b at once|kb two"},
		{"include goes on in a label", volume{"": "default b\nlabel b\ninclude x.cfg\nappend z\n", "x.cfg": "kernel kk\n"}, "b at once|kk z"},
		{"include of itself", volume{"": "default b\ninclude isolinux.cfg\n" + labelB}, "waits (nothing starts: the loader hangs: isolinux/isolinux.cfg includes isolinux/isolinux.cfg again, without end)|"},
		{"include once more", volume{"": "default b\ninclude x.cfg\ninclude x.cfg\n" + labelB, "x.cfg": "include y.cfg\n", "y.cfg": "prompt 0\n"}, "b at once|kb two"},
		{"includes in a circle", volume{"": "default b\n" + labelB + "include x.cfg\n", "x.cfg": "include isolinux.cfg\n"}, "waits (nothing starts: the loader hangs: isolinux/x.cfg includes isolinux/isolinux.cfg again, without end)|"},
		{"configurations in a circle", volume{"": "default b\n" + labelB + "label help\nconfig x.cfg\n", "x.cfg": "include isolinux.cfg\n"}, "b at once|kb two"},
		{"blank behind a label", volume{"": "default b\n" + strings.Replace(labelB, "b\n", "b \n", 1)}, "b at once|kb two"},
		{"blank behind a label of a menu", volume{"": "ui menu.c32\ndefault b\ntimeout 10\n" + labelA + strings.Replace(labelB, "b\n", "b \n", 1)}, "Title A after 1 s|ka initrd=i root=1"},
		{"ontimeout of a menu with a blank behind the label", volume{"": "ui menu.c32\nontimeout b\ntimeout 10\n" + labelA + strings.Replace(labelB, "b\n", "b \n", 1)}, "b after 1 s (nothing starts: b is not there)|b"},
		{"blank behind append none", volume{"": "default x\nlabel x\nkernel k\nappend - \n"}, "x at once|k -"},
		{"no kernel", volume{"": "default x\nlabel x\nkernel gone\nappend a\n"}, "x at once (nothing starts: gone is not there)|gone a"},
		{"no kernel but a text", volume{"": "default x\nlabel x\nkernel y.cfg\nappend a\n", "y.cfg": "text\n"}, "x at once (nothing starts: y.cfg is not a kernel)|y.cfg a"},
		{"no initrd", volume{"": "default x\nlabel x\nkernel k\nappend initrd=i,gone initrd=j\n"}, "x at once (nothing starts: gone is not there)|k initrd=i,gone initrd=j"},
		{"second initrd", volume{"": "default x\nlabel x\nkernel k\nappend initrd=i initrd=gone\n"}, "x at once|k initrd=i initrd=gone"},
		{"on error", volume{"": "default gone\nonerror b y\n" + labelB}, "b at once|kb two gone"},
		{"on error of a menu", volume{"": "ui menu.c32\ntimeout 10\nmenu onerror b\nlabel x\nkernel gone\n" + labelB}, "b after 1 s|kb two"},
		{"on error, not of the menu", volume{"": "ui menu.c32\ntimeout 10\nonerror b\nlabel x\nkernel gone\n" + labelB}, "x after 1 s (nothing starts: gone is not there)|gone"},
		{"no kernel, but ontimeout", volume{"": "default gone\nontimeout b\ntimeout 20\n" + labelB}, "b after 2 s|kb two"},
		{"no implicit kernels", volume{"": "default k\nimplicit 0\n" + labelB}, "waits (nothing starts: no label is called \"k\")|"},
		{"no options", volume{"": "default k a=1\nallowoptions 0\n" + labelB}, "k at once|k"},
		{"no escape", volume{"": "default b\nprompt 1\nnoescape 1\n" + labelB}, "b at once|kb two"},
		{"config", volume{"": "default c\nlabel c\nconfig x.cfg\n", "x.cfg": "default b\n" + labelB}, "b at once|kb two"},
		{"config of itself", volume{"": "default c\nlabel c\nconfig isolinux.cfg\n"}, "waits (not sure: configurations lead to one another without end)|"},
		{"config with a directory", volume{"": "default c\nlabel c\nconfig x.cfg\nappend /d/\n", "x.cfg": "include y.cfg\n", "/d/y.cfg": "default b\n" + labelB}, "b at once|kb two"},
		{"menu of another file", volume{"": "default m\nlabel m\nkernel vesamenu.c32\nappend x.cfg\n", "x.cfg": "timeout 30\n" + labelB}, "b after 3 s|kb two"},
		{"whichsys", volume{"": "default s\nlabel s\ncom32 whichsys.c32\nappend -pxe- a -sys- a -iso- b\n" + labelA + labelB}, "b at once|kb two"},
		{"ifcpu64", volume{"": "default s\nlabel s\ncom32 ifcpu64.c32\nappend b -- a\n" + labelA + labelB}, "b at once|kb two"},
		{"append in front of labels", volume{"": "default x\nappend g=1\nlabel x\nkernel k\n"}, "x at once|k g=1"},
		{"append of a label instead", volume{"": "default b\nappend g=1\n" + labelB}, "b at once|kb two"},
		{"append none", volume{"": "default x\nappend g=1\nlabel x\nkernel k\nappend -\n"}, "x at once|k"},
		{"initrd behind", volume{"": "default x\nlabel x\nlinux k\ninitrd i,j\nappend a\n"}, "x at once|k a initrd=i,j"},
		{"label is the kernel", volume{"": "default x\nlabel x\nappend a\n"}, "x at once|x a"},
		{"local disk", volume{"": "default x\nlabel x\nlocalboot 0\n"}, "x at once|"},
		{"linux.c32", volume{"": "default x\nlabel x\ncom32 linux.c32\nappend k initrd=i a\n"}, "x at once|k initrd=i a"},
		{"mboot.c32", volume{"": "default x\nlabel x\nkernel mboot.c32\nappend xen.gz m=1 --- k a --- i\n"}, "x at once|k a"},
		{"gfxboot", volume{"": "default b\nui gfxboot logo\ntimeout 30\nprompt 1\n" + labelA + labelB, "gfxboot.c32": ""}, "b after 3 s|kb two"},
		{"negative time", volume{"": "default menu.c32\ntimeout -1\n" + labelA}, "waits at Title A|ka initrd=i root=1"},
		{"text is no command", volume{"": "default b\ntext help\ndefault a\nendtext\n" + labelA + labelB}, "b at once|kb two"},
		{"carriage returns", volume{"": strings.ReplaceAll("default b\n"+labelB, "\n", "\r\n")}, "b at once|kb two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := volume{}
			for _, name := range []string{"ka", "kb", "../d/kb", "kk", "k", "x", "i", "j"} {
				v[path.Join("isolinux", name)] = ""
			}
			for name, text := range c.files {
				if name == "" {
					name = "isolinux.cfg"
				}
				v[strings.TrimPrefix(path.Join("/isolinux", name), "/")] = text
				if strings.HasPrefix(name, "/") {
					v[name[1:]] = text
				}
			}
			s := only(t, v).Start
			if have := s.String() + "|" + strings.TrimSpace(s.Kernel+" "+s.Args); have != c.want {
				t.Errorf("%s, want %s", have, c.want)
			}
		})
	}
}

// FuzzSyslinux: no configuration makes it run without end, or panic.
func FuzzSyslinux(f *testing.F) {
	f.Add("default menu.c32\ninclude b.cfg\n", labelA+"menu begin x\n"+labelB+"config isolinux.cfg\n")
	f.Add("ui menu.c32 b.cfg\nmenu include b.cfg tag\n", "label m\ncom32 whichsys.c32\nappend -iso- m\ninclude isolinux.cfg\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		_, err := Read(Medium{Volumes: []Volume{{Prefix: "/", Files: volume{"isolinux/isolinux.cfg": a, "isolinux/b.cfg": b}}}})
		if err != nil {
			t.Log(err)
		}
	})
}
