package menu

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// change edits the menus of a volume and returns what comes out: the files, the menus, the
// warnings.
func change(t *testing.T, v volume, do func(*Edit) error) (volume, []*Menu, []string) {
	t.Helper()
	e, err := Begin(Medium{Volumes: []Volume{{Prefix: "/", Files: v}}, Label: "OLD_LABEL", Hints: bootcfg.Hints{Syslinux: []string{"isolinux"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := do(e); err != nil {
		t.Fatal(err)
	}
	out := maps.Clone(v)
	for p, text := range e.Sets[0].Changed() {
		out[p] = string(text)
	}
	return out, read(t, out, bootcfg.Hints{Syslinux: []string{"isolinux"}}), e.Warnings
}

func karg(t *testing.T, s string) bootcfg.Karg {
	t.Helper()
	k, err := bootcfg.ParseKarg(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	grubA   = "menuentry 'A' --id a {\n linux /k root=1\n}\n"
	grubB   = "menuentry 'B b' {\n linux /k two\n}\n"
	grubC   = "menuentry 'C' {\n linux /k three\n}\n"
	limineA = "/A\n    protocol: linux\n    path: boot():/k\n    cmdline: root=1\n"
	limineB = "/B\n    protocol: linux\n    path: boot():/k\n"
	refindA = "menuentry \"A\" {\n    loader /vmlinuz\n    initrd /i\n    options \"root=1\"\n}\n"
	refindB = "menuentry \"B\" {\n    loader /vmlinuz\n    initrd /i\n}\n"
)

// TestKargs: every entry that starts a kernel gets an argument, and nothing else does.
func TestKargs(t *testing.T) {
	for _, c := range []struct {
		name, file, text, karg string
		want                   string // of the file
		warned                 bool
	}{
		{"chain.c32", "isolinux/isolinux.cfg", "label x\n com32 chain.c32\n append hd0\n" + labelB, "q", "label x\n com32 chain.c32\n append hd0\n" + strings.Replace(labelB, "two", "two q", 1), false},
		{"kernel with the extension of a module", "isolinux/isolinux.cfg", "label x\n kernel whichsys.c32\n append -iso- b\n" + labelB, "q", "label x\n kernel whichsys.c32\n append -iso- b\n" + strings.Replace(labelB, "two", "two q", 1), false},
		{"linux.c32", "isolinux/isolinux.cfg", "label x\n com32 linux.c32\n append kb initrd=i\n", "q", "label x\n com32 linux.c32\n append kb initrd=i q\n", false},
		{"mboot.c32, the kernel", "isolinux/isolinux.cfg", "label x\n kernel mboot.c32\n append xen.gz m=1 --- vmlinuz a --- i\n", "q", "label x\n kernel mboot.c32\n append xen.gz m=1 --- vmlinuz a q --- i\n", false},
		{"mboot.c32, the hypervisor", "isolinux/isolinux.cfg", "label x\n kernel mboot.c32\n append xen.gz m=1 --- vmlinuz a --- i\n", "xen:q", "label x\n kernel mboot.c32\n append xen.gz m=1 q --- vmlinuz a --- i\n", false},
		{"config", "isolinux/isolinux.cfg", "label x\n config y.cfg\n append /d/\n" + labelB, "q", "label x\n config y.cfg\n append /d/\n" + strings.Replace(labelB, "two", "two q", 1), false},
		{"localboot", "isolinux/isolinux.cfg", "label x\n localboot 0\n append -\n" + labelB, "q", "label x\n localboot 0\n append -\n" + strings.Replace(labelB, "two", "two q", 1), false},
		{"ontimeout", "isolinux/isolinux.cfg", "ontimeout /kb initrd=i\n" + labelB, "q", "ontimeout /kb initrd=i q\n" + strings.Replace(labelB, "two", "two q", 1), false},
		{"default is a command line", "isolinux/isolinux.cfg", "default kb a\n", "q", "default kb a q\n", false},
		{"default is a label", "isolinux/isolinux.cfg", "default b x\n" + labelB, "q", "default b x\n" + strings.Replace(labelB, "two", "two q", 1), false},
		{"default is a label, and has the argument", "isolinux/isolinux.cfg", "default b q=1\n" + labelB, "q=2", "default b q=2\n" + strings.Replace(labelB, "two", "two q=2", 1), false},
		{"append in front of all", "isolinux/isolinux.cfg", "append g\nlabel b\n kernel kb\n", "q", "append g q\nlabel b\n kernel kb\n", false},
		{"append none", "isolinux/isolinux.cfg", "append g\nlabel b\n kernel kb\n append -\n", "q", "append g q\nlabel b\n kernel kb\n append q\n", false},
		{"GRUB, variable", "boot/grub/grub.cfg", "set o=\"ro quiet\"\nmenuentry 'A' {\n linux /k $o\n}\n", "-quiet", "set o=\"ro\"\nmenuentry 'A' {\n linux /k $o\n}\n", false},
		{"GRUB, evaluated text", "boot/grub/grub.cfg", "eval \"\nmenuentry 'A' {\n linux /k ro\n}\n\"\n", "q", "eval \"\nmenuentry 'A' {\n linux /k ro q\n}\n\"\n", false},
		{"GRUB, hypervisor", "boot/grub/grub.cfg", "menuentry 'A' {\n multiboot2 /xen.gz m\n module2 /vmlinuz a\n module2 /i\n}\n", "q", "menuentry 'A' {\n multiboot2 /xen.gz m\n module2 /vmlinuz a q\n module2 /i\n}\n", false},
		{"GRUB, of the hypervisor", "boot/grub/grub.cfg", "menuentry 'A' {\n multiboot2 /xen.gz m\n module2 /vmlinuz a\n}\n", "xen:q", "menuentry 'A' {\n multiboot2 /xen.gz m q\n module2 /vmlinuz a\n}\n", false},
		{"GRUB in a file named like its ancestor's", "EFI/BOOT/BOOT.conf", "set timeout=1\n" + grubA, "q", "set timeout=1\n" + strings.Replace(grubA, "root=1", "root=1 q", 1), false},
		{"parameter file of one line end", "images/generic.prm", "\n", "q", "q\n", false},
		{"Limine", "limine.conf", limineA + limineB, "q", strings.Replace(limineA, "root=1", "root=1 q", 1) + limineB + "    cmdline: q\n", false},
		{"Limine up to 7", "limine.cfg", ":A\nPROTOCOL=linux\nKERNEL_PATH=boot:///k\nCMDLINE=root=1\n", "q", ":A\nPROTOCOL=linux\nKERNEL_PATH=boot:///k\nCMDLINE=root=1 q\n", false},
		{"rEFInd", "EFI/BOOT/refind.conf", refindA + refindB, "q", strings.Replace(refindA, "root=1", "root=1 q", 1) + strings.Replace(refindB, "    initrd", "    options \"q\"\n    initrd", 1), false},
		{"rEFInd, a value with a blank", "EFI/BOOT/refind.conf", refindA, "q=a b", strings.Replace(refindA, "root=1", "root=1 q=\"\"a b\"\"", 1), false},
		{"rEFInd beside kernels", "boot/refind_linux.conf", "\"Boot\"  \"ro root=1\"\n", "-ro", "\"Boot\"  \"root=1\"\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := volume{c.file: c.text, "k": "", "i": "", "vmlinuz": "", "xen.gz": "", "kb": "", "isolinux/kb": "", "isolinux/vmlinuz": ""}
			changes := []bootcfg.Karg{karg(t, c.karg)}
			out, _, warnings := change(t, v, func(e *Edit) error {
				return e.Kargs(changes, func(f *bootcfg.File) (int, error) { return f.Karg(changes[0]) })
			})
			if out[c.file] != c.want || (len(warnings) > 0) != c.warned {
				t.Errorf("warned %q, got:\n%s\nwant:\n%s", warnings, out[c.file], c.want)
			}
		})
	}
}

// menusOf are menus of three entries, of which the middle one starts by itself, or the first
// where none is named.
var menusOf = map[string]volume{
	"isolinux, marked":       {"isolinux/isolinux.cfg": "default menu.c32\ntimeout 50\n" + labelA + labelB + "menu default\nlabel c\n kernel kc\n"},
	"isolinux, by ontimeout": {"isolinux/isolinux.cfg": "default menu.c32\ntimeout 50\nontimeout b\n" + labelA + labelB + "label c\n kernel kc\n"},
	"isolinux, cycle":        {"isolinux/isolinux.cfg": "include m.cfg\ndefault menu.c32\n", "isolinux/m.cfg": labelA + labelB + "menu default\ntimeout 50\nlabel h\n config isolinux.cfg\nlabel c\n kernel kc\n"},
	"GRUB, by number":        {"boot/grub/grub.cfg": "set default=1\nset timeout=5\nset fallback=2\n" + grubA + grubB + grubC},
	"GRUB, without set":      {"boot/grub/grub.cfg": "default='B b'\ntimeout=5\n" + grubA + grubB + grubC},
	"GRUB, by id":            {"boot/grub/grub.cfg": "set default=bb\nset timeout=5\n" + grubA + strings.Replace(grubB, "'B b'", "'B b' --id bb", 1) + grubC},
	"GRUB, nothing saved":    {"boot/grub/grub.cfg": "set default=saved\nset timeout=5\n" + grubA + grubB + grubC},
	"GRUB, default of none":  {"boot/grub/grub.cfg": "set default=\"D d\"\ntimeout=5\n" + grubA + grubB + grubC},
	"GRUB, number of none":   {"boot/grub/grub.cfg": "set default=7\nset timeout=5\n" + grubA + grubB + grubC},
	"GRUB, translated":       {"boot/grub/grub.cfg": "set default=1\nset timeout=5\n" + grubA + grubB + strings.Replace(grubC, "'C'", `$"C"`, 1)},
	"GRUB, in a function":    {"boot/grub/grub.cfg": "function e {\nmenuentry \"$1\" {\n linux /k two\n}\n}\nset default=1\nset timeout=5\n" + grubA + "e 'B b'\n" + grubC},
	"GRUB, first of a menu":  {"boot/grub/grub.cfg": "set timeout=5\nset default=\"1>0\"\n" + grubA + "submenu S {\n" + grubB + grubC + "}\n"},
	"GRUB legacy":            {"boot/grub/menu.lst": "default 1\ntimeout 5\nfallback 2\ntitle A\nkernel /k one\ntitle B b\nkernel /k two\ntitle C\nkernel /k three\n"},
	"systemd-boot":           {"loader/loader.conf": "timeout 5\ndefault b.conf\n", "loader/entries/a.conf": "title A\nlinux /k\n", "loader/entries/b.conf": "title B b\nlinux /k\noptions two\n", "loader/entries/c.conf": "title C\nlinux /k\n"},
	"systemd-boot, sorted":   {"loader/loader.conf": "timeout 5\n", "loader/entries/a.conf": "title A\nlinux /k\n", "loader/entries/b.conf": "title B b\nlinux /k\noptions two\n"},
	"Limine":                 {"limine.conf": "timeout: 5\ndefault_entry: 2\n" + limineA + limineB + strings.Replace(limineA, "/A", "/C", 1)},
	"rEFInd":                 {"EFI/BOOT/refind.conf": "timeout 5\nscanfor manual\ndefault_selection B\n" + refindA + refindB},
}

// TestAdd: a new entry is there, with its argument, and never changes what starts by itself.
func TestAdd(t *testing.T) {
	for name, v := range menusOf {
		t.Run(name, func(t *testing.T) {
			v := withKernels(v)
			before := read(t, v, bootcfg.Hints{Syslinux: []string{"isolinux"}})
			out, after, warnings := change(t, v, func(e *Edit) error { return e.Add("Unattended", []bootcfg.Karg{karg(t, "inst.ks=x")}) })
			if len(after) != 1 || len(before) != 1 || !before[0].Start.same(after[0].Start) || len(warnings) > 0 {
				t.Fatalf("%v became %v; %q", before[0].Start, after[0].Start, warnings)
			}
			hits := 0
			for _, e := range after[0].Entries {
				if strings.Contains(e.Args, "inst.ks=x") {
					hits++
					if e.Title != "Unattended" {
						t.Errorf("%q has the argument", e.Title)
					}
				}
			}
			if hits != 1 {
				t.Errorf("%d entries have the argument: %v", hits, out)
			}
		})
	}
}

// TestDefaultEverywhere: the entry that is named starts, in every loader.
func TestDefaultEverywhere(t *testing.T) {
	for name, v := range menusOf {
		if strings.Contains(name, "sorted") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want := "C"
			if strings.HasPrefix(name, "rEFInd") {
				want = "A"
			}
			_, after, warnings := change(t, withKernels(v), func(e *Edit) error { return e.Default(want) })
			if have := after[0].Start.What(); !strings.EqualFold(have, want) || len(warnings) > 0 {
				t.Errorf("%s, want %s; %q", after[0].Start, want, warnings)
			}
		})
	}
	e, err := Begin(Medium{Volumes: []Volume{{Prefix: "/", Files: menusOf["GRUB, by id"]}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Default("D"); !errors.Is(err, bootcfg.ErrNoEntry) {
		t.Errorf("an entry that is not there: %v", err)
	}
}

// TestTimeoutEverywhere: what counts is set, in every loader.
func TestTimeoutEverywhere(t *testing.T) {
	list := maps.Clone(menusOf)
	list["isolinux, at once"] = volume{"isolinux/isolinux.cfg": "default b\n" + labelB}
	list["isolinux, total"] = volume{"isolinux/isolinux.cfg": "default b\nprompt 1\ntotaltimeout 20\n" + labelB}
	list["isolinux, two"] = volume{"isolinux/isolinux.cfg": "default menu.c32\ntimeout 0\ninclude x.cfg\n", "isolinux/x.cfg": labelB + "timeout 300\n"}
	list["GRUB, none"] = volume{"boot/grub/grub.cfg": grubA}
	list["GRUB, in a condition"] = volume{"boot/grub/grub.cfg": "if sleep --interruptible 0; then\n timeout=60\nfi\n" + grubA}
	list["GRUB, in a variable"] = volume{"boot/grub/grub.cfg": "t=60\nset timeout=$t\n" + grubA}
	list["systemd-boot, nothing said"] = volume{"loader/entries/a.conf": "title A\nlinux /k\n"}
	for name, v := range list {
		for _, seconds := range []int{7, 0, -1} {
			out, after, warnings := change(t, withKernels(v), func(e *Edit) error { return e.Timeout(seconds) })
			if !after[0].timed(seconds) || len(warnings) > 0 {
				t.Errorf("%s, %d s: %s; %q\n%v", name, seconds, after[0].Start, warnings, out)
			}
		}
	}
}

// TestRelabel: labels follow where something looks for them, and nowhere else.
func TestRelabel(t *testing.T) {
	for _, c := range []struct {
		name, file, text, label, want string
		warned                        bool
	}{
		{"loader of FreeBSD", "boot/loader.conf", "vfs.root.mountfrom=\"cd9660:/dev/iso9660/OLD_LABEL\"\n", "NEW", "vfs.root.mountfrom=\"cd9660:/dev/iso9660/NEW\"\n", false},
		{"fstab", "etc/fstab", "LABEL=OLD_LABEL / cd9660 ro 0 0\n", "NEW ONE", "LABEL=NEW\\040ONE / cd9660 ro 0 0\n", false},
		{"no way to write it", "boot/loader.conf", "x=\"/dev/iso9660/OLD_LABEL\"\n", "NEW ONE", "x=\"/dev/iso9660/OLD_LABEL\"\n", true},
		{"environment", "boot/grub/grubenv", "# GRUB Environment Block\nkernelopts=root=LABEL=OLD_LABEL\n####", "NEWER_LABEL", "# GRUB Environment Block\nkernelopts=root=LABEL=NEWER_LABEL\n##", false},
		{"xen.cfg", "EFI/BOOT/xen.cfg", "[a]\nkernel=vmlinuz root=live:CDLABEL=OLD_LABEL\n", "NEW", "[a]\nkernel=vmlinuz root=live:CDLABEL=NEW\n", false},
		{"script of firmware", "startup.nsh", "if exist OLD_LABEL:\\x then\n", "NEW", "if exist OLD_LABEL:\\x then\n", true},
		{"host name", "isolinux/isolinux.cfg", "label b\n kernel kb\n append hostname=OLD_LABEL x=LABEL=OLD_LABEL\n", "NEW", "label b\n kernel kb\n append hostname=OLD_LABEL x=LABEL=NEW\n", false},
		{"blank, syslinux", "isolinux/isolinux.cfg", "label b\n kernel kb\n append x=LABEL=OLD_LABEL\n", "NEW ONE", "label b\n kernel kb\n append x=LABEL=NEW\\x20ONE\n", false},
		{"blank, GRUB", "boot/grub/grub.cfg", "label=OLD_LABEL\nsearch --set=root -l OLD_LABEL\n" + grubA, "NEW ONE", "'label=NEW ONE'\nsearch --set=root -l 'NEW ONE'\n" + grubA, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, warnings := change(t, withKernels(volume{c.file: c.text}), func(e *Edit) error { return e.Relabel("OLD_LABEL", c.label) })
			if out[c.file] != c.want || (len(warnings) > 0) != c.warned {
				t.Errorf("warned %q, got:\n%s\nwant:\n%s", warnings, out[c.file], c.want)
			}
		})
	}
}

// TestManyMenus: a medium with more menus than any has is not evaluated without end, and that
// is said.
func TestManyMenus(t *testing.T) {
	v := withKernels(volume{})
	for _, a := range "abcdefghij" {
		for _, b := range "abcde" {
			v["EFI/"+string(a)+string(b)+"/grub.cfg"] = grubA
		}
	}
	list := read(t, v, bootcfg.Hints{})
	looked := 0
	for _, m := range list {
		if len(m.Entries) > 0 {
			looked++
		} else if len(m.Notes) == 0 {
			t.Errorf("%s: nothing is said", m)
		}
	}
	if len(list) != 50 || looked != maxMenus {
		t.Errorf("%d menus, %d of them evaluated", len(list), looked)
	}
}

// TestEntryKargs: one entry changes, the others do not.
func TestEntryKargs(t *testing.T) {
	for name, v := range menusOf {
		if strings.Contains(name, "function") {
			continue // all of its entries have one command
		}
		t.Run(name, func(t *testing.T) {
			title := "B b"
			if !strings.HasPrefix(name, "GRUB") && !strings.HasPrefix(name, "systemd") {
				title = "b"
			}
			k := []bootcfg.Karg{karg(t, "q")}
			_, after, warnings := change(t, withKernels(v), func(e *Edit) error { return e.EntryKargs(title, k) })
			for _, x := range after[0].Entries {
				if has := slices.Contains(strings.Fields(x.Args), "q"); has != strings.EqualFold(x.Title, title) {
					t.Errorf("%q: %q; %q", x.Title, x.Args, warnings)
				}
			}
		})
	}
}

func withKernels(v volume) volume {
	v = maps.Clone(v)
	for _, k := range []string{"k", "i", "vmlinuz", "isolinux/ka", "isolinux/kb", "isolinux/kc"} {
		v[k] = ""
	}
	return v
}

// TestRelabelNoText: a label of any bytes is looked for in boot configurations, and that
// other files were not looked through is said.
func TestRelabelNoText(t *testing.T) {
	v := withKernels(volume{"isolinux/isolinux.cfg": "default a\nlabel a\n  kernel /vmlinuz\n", "startup.nsh": "x label=OLD\n"})
	for _, old := range []string{"OLD\xff", "\x1b[2J\x00\xff", "a(b[c\\"} {
		_, _, warnings := change(t, v, func(e *Edit) error { return e.Relabel(old, "NEW") })
		if said := strings.Contains(strings.Join(warnings, "\n"), "is not text"); said == utf8.ValidString(old) {
			t.Errorf("%q: %q", old, warnings)
		}
	}
}
