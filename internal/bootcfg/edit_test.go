package bootcfg

import (
	"errors"
	"strings"
	"testing"
)

// TestKarg has each rule of kernel arguments in each language that differs in it.
func TestKarg(t *testing.T) {
	const (
		sys  = "label a\n  kernel vmlinuz\n  append "
		grub = "menuentry 'A' {\n  linux /vmlinuz "
	)
	for _, c := range []struct {
		name       string
		format     Format
		text, karg string
		want       string // "" means unchanged
		err        error
	}{
		{name: "appended", format: Syslinux, text: sys + "initrd=i ro\n", karg: "a=b", want: sys + "initrd=i ro a=b\n"},
		{name: "replaced", format: Syslinux, text: sys + "a=1  ro\n", karg: "a=b", want: sys + "a=b  ro\n"},
		{name: "replaced once", format: Syslinux, text: sys + "a=1 ro a=2\n", karg: "a=b", want: sys + "a=b ro\n"},
		{name: "there already", format: Syslinux, text: sys + "a=b ro\n", karg: "a=b"},
		{name: "word once", format: Syslinux, text: sys + "ro\n", karg: "ro"},
		{name: "word beside a value", format: Syslinux, text: sys + "ro=1\n", karg: "ro", want: sys + "ro=1 ro\n"},
		{name: "console beside console", format: Syslinux, text: sys + "console=tty0\n", karg: "console=ttyS0", want: sys + "console=tty0 console=ttyS0\n"},
		{name: "rd beside rd", format: Syslinux, text: sys + "rd.driver=a\n", karg: "rd.driver=b", want: sys + "rd.driver=a rd.driver=b\n"},
		{name: "plus", format: Syslinux, text: sys + "a=1\n", karg: "+a=2", want: sys + "a=1 a=2\n"},
		{name: "plus once", format: Syslinux, text: sys + "a=2\n", karg: "+a=2"},
		{name: "minus all", format: Syslinux, text: sys + "a=1 b a=2 a\n", karg: "-a", want: sys + "b\n"},
		{name: "minus one", format: Syslinux, text: sys + "a=1 b a=2\n", karg: "-a=2", want: sys + "a=1 b\n"},
		{name: "minus none", format: Syslinux, text: sys + "b\n", karg: "-a"},
		{name: "separator", format: Syslinux, text: sys + "vga=1 --- quiet \n", karg: "a=b", want: sys + "vga=1 a=b --- quiet \n"},
		{name: "separator of old", format: Syslinux, text: sys + "vga=1 -- quiet\n", karg: "a=b", want: sys + "vga=1 a=b -- quiet\n"},
		{name: "value behind the separator", format: Syslinux, text: sys + "x --- a=1\n", karg: "a=b", want: sys + "x --- a=b\n"},
		{name: "blanks", format: Syslinux, text: sys + "ro\n", karg: `a="b c"`, want: sys + "ro a=\"b c\"\n"},
		{name: "blanks unquoted", format: Syslinux, text: sys + "a=\"x y\" ro\n", karg: `a=b c`, want: sys + "a=\"b c\" ro\n"},
		{name: "line ends of DOS", format: Syslinux, text: "LABEL a\r\nKERNEL v\r\nAPPEND ro\r\n", karg: "a=b", want: "LABEL a\r\nKERNEL v\r\nAPPEND ro a=b\r\n"},
		{name: "no append", format: Syslinux, text: "label a\r\n\tlinux v\r\nlabel b\r\n\tlocalboot 0\r\n", karg: "a=b", want: "label a\r\n\tlinux v\r\n\tappend a=b\r\nlabel b\r\n\tlocalboot 0\r\n"},
		{name: "no append at the end", format: Syslinux, text: "label a\n linux v", karg: "a=b", want: "label a\n linux v\n append a=b\n"},
		{name: "append of all", format: Syslinux, text: "append ro\nlabel a\n kernel v\nlabel b\n kernel v\n append x\n", karg: "a=b", want: "append ro a=b\nlabel a\n kernel v\nlabel b\n kernel v\n append x a=b\n"},
		{name: "modules of syslinux", format: Syslinux, text: "label a\n kernel chain.c32\n append hd0 0\nlabel m\n kernel /boot/memtest\n append x\n", karg: "a=b"},
		{name: "help", format: Syslinux, text: "label a\n text help\n append x\n endtext\n kernel v\n append y\n", karg: "a=b", want: "label a\n text help\n append x\n endtext\n kernel v\n append y a=b\n"},
		{name: "xen", format: Syslinux, text: "label a\n kernel mboot.c32\n append xen.gz dom0=1 --- vmlinuz ro --- install.img\n", karg: "a=b", want: "label a\n kernel mboot.c32\n append xen.gz dom0=1 --- vmlinuz ro a=b --- install.img\n"},
		{name: "no append at all", format: Syslinux, text: "label a\n kernel v\n append -\n", karg: "a=b", want: "label a\n kernel v\n append a=b\n"},

		{name: "appended", format: GRUB, text: grub + "ro # a comment\n}\n", karg: "a=b", want: grub + "ro a=b # a comment\n}\n"},
		{name: "continued line", format: GRUB, text: grub + "ro \\\n   x\n}\n", karg: "a=b", want: grub + "ro \\\n   x a=b\n}\n"},
		{name: "one line", format: GRUB, text: "menuentry A { linux /v ro; initrd /i; }\n", karg: "a=b", want: "menuentry A { linux /v ro a=b; initrd /i; }\n"},
		{name: "semicolon", format: GRUB, text: grub + "ro\n}\n", karg: "ds=nocloud;s=/x", want: grub + "ro 'ds=nocloud;s=/x'\n}\n"},
		{name: "semicolon again", format: GRUB, text: grub + "ds=nocloud\\;s=/x ro\n}\n", karg: "ds=nocloud;s=/x"},
		{name: "blanks", format: GRUB, text: grub + "ro\n}\n", karg: "a=b c", want: grub + "ro 'a=b c'\n}\n"},
		{name: "quote", format: GRUB, text: grub + "ro\n}\n", karg: "a='b'", err: ErrQuote},
		{name: "udev", format: GRUB, text: grub + "ro\n}\n", karg: `a=hd:LABEL=x\x20y`, want: grub + "ro a=hd:LABEL=x\\x20y\n}\n"},
		{name: "quoted value", format: GRUB, text: grub + "'a=1' \"c=d\"\n}\n", karg: "a=b", want: grub + "a=b \"c=d\"\n}\n"},
		{name: "conditions", format: GRUB, text: "menuentry A {\nif [ x = y ]; then linux /a; else\nlinuxefi /b c --- d\nfi\n}\n", karg: "a=b", want: "menuentry A {\nif [ x = y ]; then linux /a a=b; else\nlinuxefi /b c a=b --- d\nfi\n}\n"},
		{name: "hypervisor", format: GRUB, text: "menuentry X {\n multiboot2 /boot/xen.gz dom0\n module2 /boot/vmlinuz ro\n module2 /install.img\n}\n", karg: "a=b", want: "menuentry X {\n multiboot2 /boot/xen.gz dom0\n module2 /boot/vmlinuz ro a=b\n module2 /install.img\n}\n"},
		{name: "command in a variable", format: GRUB, text: "menuentry X {\n $linux ($root)/boot/x/linux ro\n ${initrd} ($root)/i\n}\n", karg: "a=b", want: "menuentry X {\n $linux ($root)/boot/x/linux ro a=b\n ${initrd} ($root)/i\n}\n"},
		{name: "memory test", format: GRUB, text: "menuentry X {\n linux16 /boot/memtest86+x64.bin\n}\n", karg: "a=b"},

		{name: "legacy", format: Legacy, text: "timeout=5\ntitle A\n\tkernel --type=netbsd /v ro\n\tinitrd /i\n", karg: "a=b", want: "timeout=5\ntitle A\n\tkernel --type=netbsd /v ro a=b\n\tinitrd /i\n"},
		{name: "entry", format: Entry, text: "title A\nlinux /v\ninitrd /i\noptions x y\noptions  z\n", karg: "a=b", want: "title A\nlinux /v\ninitrd /i\noptions x y\noptions  z a=b\n"},
		{name: "entry, in the first of two", format: Entry, text: "linux /v\noptions a=1 y\noptions  z\n", karg: "a=b", want: "linux /v\noptions a=b y\noptions  z\n"},
		{name: "entry without", format: Entry, text: "linux /v\n", karg: "a=b", want: "linux /v\noptions a=b\n"},
		{name: "loader.conf", format: Entry, text: "timeout 3\ndefault a*\n", karg: "a=b"},
		{name: "parameter file", format: Parm, text: "ro ramdisk_size=40000\ncio_ignore=all,!condev\n", karg: "a=b", want: "ro ramdisk_size=40000\ncio_ignore=all,!condev a=b\n"},
		{name: "first of a parameter file", format: Parm, text: "ro x\n", karg: "-ro", want: "x\n"},
		{name: "ESXi", format: ESXi, text: "bootstate=0\nkernel=/b.b00\nkernelopt=runweasel\nmodules=/a --- /b\n", karg: "ks=cdrom:/KS.CFG", want: "bootstate=0\nkernel=/b.b00\nkernelopt=runweasel ks=cdrom:/KS.CFG\nmodules=/a --- /b\n"},
		{name: "ESXi, empty", format: ESXi, text: "kernel=/b\nkernelopt=\n", karg: "a=b", want: "kernel=/b\nkernelopt=a=b\n"},
		{name: "ESXi, none", format: ESXi, text: "kernel=/b\nmodules=/x\n", karg: "a=b", want: "kernel=/b\nkernelopt=a=b\nmodules=/x\n"},
		{name: "ESXi, first gone", format: ESXi, text: "kernel=/b\nkernelopt=x y\n", karg: "-x", want: "kernel=/b\nkernelopt=y\n"},
	} {
		t.Run(c.format.String()+" "+c.name, func(t *testing.T) {
			k, err := ParseKarg(c.karg)
			if err != nil {
				t.Fatal(err)
			}
			f := parse(t, c.format, c.text)
			n, err := f.Karg(k)
			if !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			want := c.want
			if want == "" {
				want = c.text
			}
			if got := string(f.Bytes()); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if (n > 0) != (c.want != "") {
				t.Errorf("%d entries changed", n)
			}
		})
	}
}

// TestKeep puts arguments where installers look for those of the installed system.
func TestKeep(t *testing.T) {
	for text, want := range map[string]string{
		"linux /v a --- b\n": "linux /v a --- b quiet\n",
		"linux /v a quiet\n": "linux /v a quiet --- quiet\n",
		"linux /v --- quiet": "linux /v --- quiet",
		"linux /v\n":         "linux /v --- quiet\n",
	} {
		k, _ := ParseKarg("quiet")
		k.Keep = true
		f := parse(t, GRUB, text)
		if _, err := f.Karg(k); err != nil || string(f.Bytes()) != want {
			t.Errorf("%q became %q, want %q (%v)", text, f.Bytes(), want, err)
		}
	}
}

// TestParseKarg refuses what is no argument.
func TestParseKarg(t *testing.T) {
	for _, s := range []string{"", "=", "=x", "-", "+", "a\nb", "a=b\x00", `a="b`, "a b=c", "--a", "#a"} {
		if _, err := ParseKarg(s); !errors.Is(err, ErrSpec) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"a", "a=", "+a=b", "-a", "-a=b", "console=ttyS0", "rd.x=1", "a=b=c", "i915.modeset=0"} {
		k, err := ParseKarg(s)
		if err != nil || k.String() != s {
			t.Errorf("%q reads %q, %v", s, k, err)
		}
	}
}

// TestArea: areas reserved behind command lines end where they did.
func TestArea(t *testing.T) {
	signs := strings.Repeat("#", 40)
	for _, c := range []struct {
		mark, karg string
		reserved   bool
		want       string
		err        error
	}{
		{mark: " COREOS_KARG_EMBED_AREA", karg: "a=b", want: "append x a=b\n" + signs[4:] + " COREOS_KARG_EMBED_AREA\n"},
		{mark: " COREOS_KARG_EMBED_AREA", karg: "-x", want: "append\n" + signs + "## COREOS_KARG_EMBED_AREA\n"},
		{reserved: true, karg: "a=b", want: "append x a=b\n" + signs[4:] + "\n"},
		{karg: "a=b", want: "append x a=b\n" + signs + "\n"},
		{reserved: true, karg: "a=" + strings.Repeat("b", 40), err: ErrRoom},
	} {
		text := "label a\nkernel v\nappend x\n" + signs + c.mark + "\nlabel b\n"
		f := parse(t, Syslinux, text)
		f.Reserved = c.reserved
		k, err := ParseKarg(c.karg)
		if err != nil {
			t.Fatal(err)
		}
		ends := f.Areas()
		if _, err := f.Karg(k); !errors.Is(err, c.err) {
			t.Fatalf("%v, want %v", err, c.err)
		} else if err != nil {
			continue
		}
		if want := "label a\nkernel v\n" + c.want + "label b\n"; string(f.Bytes()) != want {
			t.Errorf("got:\n%s\nwant:\n%s", f.Bytes(), want)
		}
		if now := f.Areas(); (c.mark != "" || c.reserved) && (len(now) != 1 || now[0] != ends[0]) {
			t.Errorf("the area ends at %v, was %v", now, ends)
		}
	}
}

// TestRelabel changes labels in every way that files write them, and nothing else.
func TestRelabel(t *testing.T) {
	const old, label = "CentOS 7 x86_64", "My ISO"
	for _, c := range []struct {
		format     Format
		text, want string
		n          int
	}{
		{Syslinux, "label CentOS 7 x86_64\n menu label CentOS 7 x86_64\n kernel v\n append inst.stage2=hd:LABEL=CentOS\\x207\\x20x86_64 quiet\n", "label CentOS 7 x86_64\n menu label CentOS 7 x86_64\n kernel v\n append inst.stage2=hd:LABEL=My\\x20ISO quiet\n", 1},
		{Syslinux, "label a\n kernel v\n append inst.ks=hd:LABEL=CentOS\\x207\\x20x86_64:/ks.cfg root=live:CDLABEL=CentOS\\x207\\x20x86_64\n", "label a\n kernel v\n append inst.ks=hd:LABEL=My\\x20ISO:/ks.cfg root=live:CDLABEL=My\\x20ISO\n", 2},
		{Syslinux, "label a\n kernel v\n append x=/dev/disk/by-label/CentOS\\x207\\x20x86_64\n", "label a\n kernel v\n append x=/dev/disk/by-label/My\\x20ISO\n", 1},
		{Syslinux, "label a\n kernel v\n append autoyast=label://CentOS\\x207\\x20x86_64/autoinst.xml\n", "label a\n kernel v\n append autoyast=label://My\\x20ISO/autoinst.xml\n", 1},
		{GRUB, "linux /v autoyast=label://CentOS\\x207\\x20x86_64/autoinst.xml\n", "linux /v autoyast=label://My\\x20ISO/autoinst.xml\n", 1},
		{Syslinux, "label a\n kernel v\n append y=\"CentOS 7 x86_64\" /CentOS\n", "", 0},
		{GRUB, "search --no-floppy --set=root -l 'CentOS 7 x86_64'\n", "search --no-floppy --set=root -l 'My ISO'\n", 1},
		{GRUB, "search -l CentOS\\ 7\\ x86_64 --set\n", "search -l 'My ISO' --set\n", 1},
		{GRUB, "search --set root --label \"CentOS 7 x86_64\"\n", "search --set root --label \"My ISO\"\n", 1},
		{GRUB, "set isolabel='CentOS 7 x86_64'; echo 'CentOS 7 x86_64'\n", "set isolabel='My ISO'; echo 'CentOS 7 x86_64'\n", 1},
		{GRUB, "menuentry 'CentOS 7 x86_64' {\n linuxefi /v inst.stage2=hd:LABEL=CentOS\\x207\\x20x86_64\n}\n", "menuentry 'CentOS 7 x86_64' {\n linuxefi /v inst.stage2=hd:LABEL=My\\x20ISO\n}\n", 1},
		{GRUB, "linux /v 'inst.stage2=hd:LABEL=CentOS\\x207\\x20x86_64' --- \n", "linux /v 'inst.stage2=hd:LABEL=My\\x20ISO' --- \n", 1},
		{GRUB, "set opts=\"ro root=live:LABEL=CentOS\\x207\\x20x86_64 quiet\"\n", "set opts=\"ro root=live:LABEL=My\\x20ISO quiet\"\n", 1},
		{Legacy, "title CentOS 7 x86_64\n kernel /v stage2=hd:LABEL=CentOS\\x207\\x20x86_64\n", "title CentOS 7 x86_64\n kernel /v stage2=hd:LABEL=My\\x20ISO\n", 1},
		{Entry, "linux /v\noptions archisolabel=CentOS\\x207\\x20x86_64\n", "linux /v\noptions archisolabel=My\\x20ISO\n", 1},
	} {
		f := parse(t, c.format, c.text)
		n, err := f.Relabel(old, label)
		want := c.want
		if want == "" {
			want = c.text
		}
		if err != nil || n != c.n || string(f.Bytes()) != want {
			t.Errorf("%d places, %v:\n%s\nwant %d:\n%s", n, err, f.Bytes(), c.n, want)
		}
		if again := parse(t, c.format, string(f.Bytes())); n > 0 {
			if n, _ := again.Relabel(label, old); n != c.n {
				t.Errorf("back again in %d places:\n%s", n, again.Bytes())
			}
		}
	}
	// A short label may be an ordinary word.
	f := parse(t, Syslinux, "label debian\n kernel v\n append hostname=debian root=live:LABEL=debian /debian\n")
	if n, _ := f.Relabel("debian", "X"); n != 1 || string(f.Bytes()) != "label debian\n kernel v\n append hostname=debian root=live:LABEL=X /debian\n" {
		t.Errorf("%d places:\n%s", n, f.Bytes())
	}
}

// TestMenu sets time and default entry.
func TestMenu(t *testing.T) {
	const (
		sys   = "default vesamenu.c32\ntimeout 600\nlabel a\n  menu label ^First\n  menu default\n  kernel v\nlabel b\n  menu label Second\n  kernel v\n"
		plain = "default a\nlabel a\n kernel v\nlabel b\n kernel v\n"
		grub  = "set default=\"0\"\nif x; then\n  set timeout=60\nfi\nmenuentry 'First' --id a {\n linux /v\n}\nmenuentry \"Second\" {\n linux /v\n}\n"
	)
	for _, c := range []struct {
		format     Format
		text, name string
		want       string
	}{
		{Syslinux, sys, "b", "default vesamenu.c32\ntimeout 50\nlabel a\n  menu label ^First\n  kernel v\nlabel b\n  menu default\n  menu label Second\n  kernel v\n"},
		{Syslinux, sys, "second", "default vesamenu.c32\ntimeout 50\nlabel a\n  menu label ^First\n  kernel v\nlabel b\n  menu default\n  menu label Second\n  kernel v\n"},
		{Syslinux, plain, "b", "default b\ntimeout 50\nlabel a\n kernel v\nlabel b\n kernel v\n"},
		{GRUB, grub, "second", "set default=Second\nif x; then\n  set timeout=5\nfi\nmenuentry 'First' --id a {\n linux /v\n}\nmenuentry \"Second\" {\n linux /v\n}\n"},
		{GRUB, grub, "0", "set default=a\nif x; then\n  set timeout=5\nfi\nmenuentry 'First' --id a {\n linux /v\n}\nmenuentry \"Second\" {\n linux /v\n}\n"},
		{GRUB, "menuentry 'A b' {\n linux /v\n}\n", "A b", "set timeout=5\nset default='A b'\nmenuentry 'A b' {\n linux /v\n}\n"},
		{Legacy, "default=0\ntimeout 9\ntitle A\nkernel /v\ntitle B\nkernel /v\n", "B", "default=1\ntimeout 5\ntitle A\nkernel /v\ntitle B\nkernel /v\n"},
	} {
		f := parse(t, c.format, c.text)
		f.Timeout(5, true)
		e := f.Match(c.name)
		if e == nil {
			t.Errorf("no entry %q", c.name)
			continue
		}
		f.Default(e, true)
		if got := string(f.Bytes()); got != c.want {
			t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
		}
		again := parse(t, c.format, c.want)
		if n := again.Timeout(5, true) + again.Default(again.Match(c.name), true); n != 0 {
			t.Errorf("%d places change a second time:\n%s", n, again.Bytes())
		}
	}
	for seconds, want := range map[int]string{-1: "0", 0: "1", 7: "70"} {
		f := parse(t, Syslinux, "timeout 1000\n")
		if f.Timeout(seconds, false); string(f.Bytes()) != "timeout "+want+"\n" {
			t.Errorf("%d seconds: %q", seconds, f.Bytes())
		}
	}
}

// TestAddEntry copies entries.
func TestAddEntry(t *testing.T) {
	k, _ := ParseKarg("inst.ks=cdrom:/ks.cfg")
	for _, c := range []struct {
		format     Format
		text, want string
	}{
		{Syslinux, "label linux\n  menu label ^Install\n  menu default\n  kernel v\n  append x\n\nlabel b\n", "label linux\n  menu label ^Install\n  menu default\n  kernel v\n  append x\n\nlabel my-own\n  menu label My own\n  kernel v\n  append x inst.ks=cdrom:/ks.cfg\n\nlabel b\n"},
		{Syslinux, "label linux\n  kernel v\n", "label linux\n  kernel v\n\nlabel my-own\n  menu label My own\n  kernel v\n  append inst.ks=cdrom:/ks.cfg\n"},
		{GRUB, "menuentry 'Install' --class a --id b {\n  linux /v\n  initrd /i\n}\n", "menuentry 'Install' --class a --id b {\n  linux /v\n  initrd /i\n}\nmenuentry 'My own' --class a {\n  linux /v inst.ks=cdrom:/ks.cfg\n  initrd /i\n}\n"},
		{Legacy, "title A\n kernel /v x\n initrd /i\ntitle B\n", "title A\n kernel /v x\n initrd /i\ntitle My own\n kernel /v x inst.ks=cdrom:/ks.cfg\n initrd /i\ntitle B\n"},
	} {
		f := parse(t, c.format, c.text)
		if err := f.AddEntry(f.Entries()[0], "My own", []Karg{k}); err != nil {
			t.Errorf("%s: %v", c.format, err)
		}
		if got := string(f.Bytes()); got != c.want {
			t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
		}
	}
	f := parse(t, GRUB, "menuentry 'Reboot' {\n reboot\n}\n")
	if err := f.AddEntry(f.Entries()[0], "x", nil); !errors.Is(err, ErrNoEntry) {
		t.Errorf("an entry without a kernel: %v", err)
	}
}
