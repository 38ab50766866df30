package verify

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// medium makes an image of files, with options of xorriso -as mkisofs.
func medium(t *testing.T, files map[string]string, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if from, ok := strings.CutPrefix(content, "file:"); ok {
			b, err := os.ReadFile(isotest.DataFile(t, from))
			if err != nil {
				t.Fatal(err)
			}
			content = string(b)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out.iso")
	args := append([]string{"-as", "mkisofs", "-quiet", "-r", "-J", "-V", "MEDIUM", "-o", out}, options...)
	isotest.Run(t, "xorriso", append(args, filepath.Join(dir, "tree"))...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bios are the options that make isolinux start.
var bios = []string{"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"}

const (
	loaderFile = "file:/usr/lib/ISOLINUX/isolinux.bin"
	modules    = "file:/usr/lib/syslinux/modules/bios/"
)

// kernelOf is the head of a kernel that takes its initrd below an address.
func kernelOf(top, initSize uint32) string {
	b := make([]byte, 4096)
	copy(b[offMagic:], "HdrS")
	binary.LittleEndian.PutUint16(b[offVersion:], 0x020c)
	binary.LittleEndian.PutUint32(b[offInitrdMax:], top-1)
	binary.LittleEndian.PutUint32(b[offInitSize:], initSize)
	return string(b)
}

// TestBootFiles has pairs of media: what does not boot has a problem, what does has none.
func TestBootFiles(t *testing.T) {
	whole := func() map[string]string {
		return map[string]string{
			"isolinux/isolinux.bin": loaderFile, "isolinux/ldlinux.c32": modules + "ldlinux.c32",
			"isolinux/menu.c32": modules + "menu.c32", "isolinux/libutil.c32": modules + "libutil.c32",
			"isolinux/isolinux.cfg": "PATH\nINCLUDE menu.cfg\nDEFAULT menu.c32\n",
			"isolinux/menu.cfg":     "INCLUDE none.cfg\nMENU INCLUDE none2.cfg\nDISPLAY none.txt\nF1 f1.txt\nMENU BACKGROUND none.png\nLABEL a\nKERNEL /linux\nINITRD /initrd\n",
			"linux":                 kernelOf(1<<31, 1<<25), "initrd": "initrd",
		}
	}
	grub := func(entry string) []string {
		return []string{"boot/grub/grub.cfg", "menuentry 'A' {\n" + entry + "\n}\n"}
	}
	put := func(namesAndContent ...string) []string { return namesAndContent }
	drop := func(name string) []string { return []string{name, "-"} }
	for _, c := range []struct {
		name    string
		do      []string // names and contents, "-" for none
		problem string   // none if empty
		notice  string
	}{
		{"whole", nil, "", "configuration /isolinux/none.cfg is not in the image; the loader goes on without"},
		{"no picture", nil, "", "background /isolinux/none.png"},
		{"no help", nil, "", "help text /isolinux/f1.txt"},
		{"no menu program", drop("isolinux/menu.c32"), "DEFAULT menu.c32 is neither a label nor a file", ""},
		{"default is a label", put("isolinux/isolinux.cfg", "INCLUDE menu.cfg\nDEFAULT a\n"), "", ""},
		{"default is no label", put("isolinux/isolinux.cfg", "INCLUDE menu.cfg\nDEFAULT b\n"), "DEFAULT b is neither", ""},
		{"includes in a circle", put("isolinux/menu.cfg", "INCLUDE isolinux.cfg\nLABEL a\nKERNEL /linux\n"), "INCLUDE menu.cfg leads back here, without end", ""},
		{"include of itself", put("isolinux/menu.cfg", "MENU INCLUDE /isolinux/menu.cfg\nLABEL a\nKERNEL /linux\n"), "INCLUDE /isolinux/menu.cfg leads back here, without end", ""},
		{"configurations in a circle", put("isolinux/menu.cfg", "LABEL a\nKERNEL /linux\nLABEL help\nCONFIG isolinux.cfg\n"), "", ""},
		{"no core", drop("isolinux/ldlinux.c32"), "does not start without ldlinux.c32", ""},
		{"core elsewhere", put("isolinux/ldlinux.c32", "-", "slax/boot/ldlinux.c32", modules+"ldlinux.c32"), "", "which is /slax/boot/ldlinux.c32"},
		{"no library", drop("isolinux/libutil.c32"), "menu.c32 does not start without libutil.c32", ""},
		{"old module", put("isolinux/menu.c32", string(com32r)+"menu"), "is a module of isolinux before version 5", ""},
		{"no CONFIG", put("isolinux/more.cfg", "", "isolinux/menu.cfg", "LABEL a\nCONFIG /other.cfg\n"), "configuration /other.cfg is not in the image", ""},
		{"no CONFIG of another label", put("isolinux/isolinux.cfg", "DEFAULT a\nINCLUDE menu.cfg\n", "isolinux/menu.cfg", "LABEL a\nKERNEL /linux\nTEXT HELP\nDISPLAY a file\nENDTEXT\nLABEL back\nCONFIG syslinux.cfg\n"), "", "configuration /isolinux/syslinux.cfg is not in the image"},
		{"no initrd", drop("initrd"), "initrd /initrd is not in the image", ""},
		{"other case", put("isolinux/menu.cfg", "LABEL a\nKERNEL /Linux\nINITRD /initrd\n"), "kernel /Linux is not in the image, /linux is", ""},
		{"kernel with suffix", put("isolinux/menu.cfg", "LABEL a\nKERNEL /isolinux/menu\n"), "", ""},
		{"initrd too large", put("initrd", strings.Repeat("x", 3<<20), "linux", kernelOf(4<<20, 1<<20)), "cannot be loaded by BIOS", ""},
		{"initrd fits", put("initrd", strings.Repeat("x", 2<<20), "linux", kernelOf(4<<20, 1<<20)), "", ""},
		{"GRUB", grub("linux /linux quiet ; initrd /initrd"), "", ""},
		{"GRUB, semicolon", grub("linux /linux autoinstall ds=nocloud;s=/cdrom/ quiet\ninitrd /initrd"), "line 2: GRUB ends the command at the ;", ""},
		{"GRUB, semicolon in quotes", grub("linux /linux 'ds=nocloud;s=/a/' \"ds=nocloud;s=/b/\" ds=nocloud\\;s=/c/\ninitrd /initrd"), "", ""},
		{"GRUB, ampersand", grub("linux /linux inst.ks=http://h/?a=1&b=2\ninitrd /initrd"), "syntax error of the &", ""},
		{"GRUB, ampersand in quotes", grub("linux /linux 'inst.ks=http://h/?a=1&b=2'\ninitrd /initrd"), "", ""},
		{"GRUB, password", grub("linux /linux rootpw=$6$abc$def\ninitrd /initrd"), "takes the $ for the name of a variable", ""},
		{"GRUB, password in quotes", grub("linux /linux 'rootpw=$6$abc$def' a=${x} b=$y\ninitrd /initrd"), "", ""},
		{"GRUB, comment", grub("linux /linux quiet #rd.break=x\ninitrd /initrd"), "", "for a comment"},
		{"GRUB, comment that is one", grub("linux /linux quiet # more=x\ninitrd /initrd"), "", ""},
		{"GRUB, other case", grub("linux /LINUX\ninitrd /initrd"), "kernel /LINUX is not in the image, /linux is", ""},
		{"GRUB, source", put("boot/grub/grub.cfg", "source /boot/grub/theme.cfg\nloadfont /boot/grub/font.pf2\nmenuentry A {\nlinux /linux\ninitrd /initrd\n}\n"), "", "font /boot/grub/font.pf2"},
		{"GRUB, leads nowhere", put("boot/grub/grub.cfg", "search --file --set=root /x\nconfigfile /boot/grub2/grub.cfg\n"), "GRUB has no menu", ""},
		{"GRUB, leads somewhere", put("boot/grub/grub.cfg", "configfile /boot/more.cfg\n", "boot/more.cfg", "menuentry A {\nlinux /linux\n}\n"), "", ""},
		{"media check", put("isolinux/menu.cfg", "LABEL a\nKERNEL /linux\nAPPEND initrd=/initrd rd.live.check quiet\n"), "no media checksum", ""},
		{"no media check", put("isolinux/menu.cfg", "LABEL a\nKERNEL /linux\nAPPEND initrd=/initrd rd.live.check=0 quiet\n"), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files := whole()
			for i := 0; i < len(c.do); i += 2 {
				if files[c.do[i]] = c.do[i+1]; c.do[i+1] == "-" {
					delete(files, c.do[i])
				}
			}
			r := check(t, medium(t, files, bios...))
			if got := strings.Join(problems(r), "\n"); c.problem == "" && got != "" || !strings.Contains(got, c.problem) || strings.Count(got, "\n") > 0 {
				t.Errorf("want %q, found:\n%s", c.problem, got)
			}
			if all := fmt.Sprint(group(r, "boot files").Findings); !strings.Contains(all, c.notice) {
				t.Errorf("want the notice %q, found:\n%s", c.notice, all)
			}
		})
	}
}

// TestGrubSpecials agrees with grub-script-check about what GRUB cannot parse.
func TestGrubSpecials(t *testing.T) {
	checker := isotest.Tool(t, "grub-script-check")
	for _, arg := range []string{
		"a", "a&b", "a=1&b=2", "a|b", "a||b", "a&&b", "a<b", "a>b", "<b>", "a{b", "a}b", "a#b", "a #b", "$6$abc$def", "$$", "a$", "$/x", "a;b=c", "a;;b=c", "a; b=c",
		"a(b)", "`x`", `a"b;c"d`, "'a;b'", `a\;b`, "it's", "a;/x/y", `"unclosed`, "${x", "${x}y", "$(x)", "a=!b", "![x]", "a~b^c*d?e%f@g", `"a$"`, `"$b"`, "'$'", `a\&b`, `"a&b"`, "$x$y", "${x}${y}", "{ a", "a ;",
	} {
		text := "menuentry x {\nlinux /v " + arg + " z\ninitrd /i\n}\n"
		p := filepath.Join(t.TempDir(), "grub.cfg")
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		theirs := exec.Command(checker, p).Run() == nil
		g := grubScan{text: []byte(text), line: 1}
		ours := true
		for _, f := range g.run() {
			ours = ours && !strings.Contains(f.text, "syntax error")
		}
		if ours != theirs {
			t.Errorf("%q: %v for us, %v for GRUB: %v", arg, ours, theirs, g.out)
		}
	}
}

// TestRealScripts finds nothing in the scripts of GRUB that packages ship.
func TestRealScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages")
	}
	n := 0
	for name, text := range isotest.Configs(t) {
		if !strings.Contains(name, "grub") || !strings.HasSuffix(name, ".cfg") {
			continue
		}
		n++
		g := grubScan{text: text, line: 1, functions: strings.Contains(string(text), "function ")}
		for _, f := range g.run() {
			t.Errorf("%s: line %d: %s", name, f.line, f.text)
		}
	}
	if n < 10 {
		t.Errorf("%d scripts", n)
	}
}

// FuzzGrubScan: every script has an end.
func FuzzGrubScan(f *testing.F) {
	for _, s := range []string{"linux /v a&b", "linux /v $6$", "linux /v ${", "'", `"\`, "#", "linux /v a;b=c d\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		g := grubScan{text: text, line: 1}
		for _, s := range g.run() {
			if s.line < 1 || s.line > strings.Count(string(text), "\n")+1 {
				t.Errorf("line %d of %q", s.line, text)
			}
		}
	})
}

// esp makes an EFI system partition of files.
func esp(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	img := filepath.Join(dir, "efi.img")
	isotest.Run(t, "mkfs.vfat", "-C", "-n", "EFI", img, "8192")
	for name, content := range files {
		p := filepath.Join(dir, "root", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) > 0 {
		top, err := filepath.Glob(filepath.Join(dir, "root", "*"))
		if err != nil {
			t.Fatal(err)
		}
		isotest.Run(t, "mcopy", append(append([]string{"-s", "-i", img}, top...), "::/")...)
	}
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFirmware: what UEFI looks for is there, for its processor, and systemd-boot finds what
// it starts.
func TestFirmware(t *testing.T) {
	b, err := os.ReadFile(isotest.DataFile(t, "/usr/lib/shim/shimx64.efi.signed"))
	if err != nil {
		t.Fatal(err)
	}
	x64 := string(b)
	entry := "title A\nlinux /a/linux\ninitrd /a/initrd\noptions quiet\n"
	both := []string{"-append_partition", "2", "0xef", "ESP"}
	for _, c := range []struct {
		name    string
		files   map[string]string
		options []string
		tree    map[string]string
		finding string
	}{
		{"whole", map[string]string{"EFI/BOOT/BOOTX64.EFI": x64}, nil, nil, ""},
		{"small letters", map[string]string{"efi/boot/bootx64.efi": x64}, nil, nil, ""},
		{"empty", nil, nil, nil, "problem: offset OFF: @efi: firmware finds no program"},
		{"elsewhere", map[string]string{"EFI/debian/shimx64.efi": x64}, nil, nil, "problem: offset OFF: @efi: firmware finds no program"},
		{"other processor", map[string]string{"EFI/BOOT/BOOTAA64.EFI": x64}, nil, nil, "problem: offset OFF: @efi: /EFI/BOOT/BOOTAA64.EFI is a program for x64"},
		{"no program", map[string]string{"EFI/BOOT/BOOTX64.EFI": "text"}, nil, nil, "notice: offset OFF: @efi: /EFI/BOOT/BOOTX64.EFI is not a program"},
		{"systemd-boot", map[string]string{"EFI/BOOT/BOOTX64.EFI": x64, "loader/entries/a.conf": entry, "a/linux": "k", "a/initrd": "i"}, nil, nil, ""},
		{"systemd-boot, no kernel", map[string]string{"EFI/BOOT/BOOTX64.EFI": x64, "loader/entries/a.conf": entry, "a/initrd": "i"}, nil, map[string]string{"a/linux": "k"}, "problem: offset OFF: @efi: none of the 1 entries"},
		{"systemd-boot, no initrd", map[string]string{"EFI/BOOT/BOOTX64.EFI": x64, "loader/entries/a.conf": entry, "a/linux": "k"}, nil, map[string]string{"a/initrd": "i"}, "problem: @efi:/loader/entries/a.conf: line 3: initrd /a/initrd is not in the image"},
		{"systemd-boot, one of two", map[string]string{"EFI/BOOT/BOOTX64.EFI": x64, "loader/entries/a.conf": entry, "loader/entries/b.conf": "linux /b\n", "a/linux": "k", "a/initrd": "i"}, nil, nil, "notice: @efi:/loader/entries/b.conf: line 1: kernel /b is not in the image"},
		{"stick and CD", map[string]string{"EFI/BOOT/BOOTX64.EFI": x64}, append([]string{"-isohybrid-mbr", "/usr/lib/ISOLINUX/isohdpfx.bin"}, append(both, "-e", "--interval:appended_partition_2:all::")...), nil, ""},
		{"stick only", map[string]string{"EFI/BOOT/BOOTX64.EFI": x64}, both, nil, "notice: UEFI: boots from a memory stick, but not as CD"},
		{"BIOS from a stick, UEFI not", map[string]string{"EFI/BOOT/BOOTX64.EFI": x64}, []string{"-isohybrid-mbr", "/usr/lib/ISOLINUX/isohdpfx.bin", "-e", "efi.img"}, nil, "notice: UEFI: no partition table names"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			img := esp(t, c.files)
			p := filepath.Join(t.TempDir(), "efi.img")
			if err := os.WriteFile(p, []byte(img), 0o644); err != nil {
				t.Fatal(err)
			}
			files := map[string]string{
				"isolinux/isolinux.bin": loaderFile, "isolinux/ldlinux.c32": modules + "ldlinux.c32",
				"isolinux/isolinux.cfg": "DEFAULT a\nLABEL a\nKERNEL /k\n", "k": "kernel", "efi.img": img,
			}
			for name, content := range c.tree {
				files[name] = content
			}
			options := bios
			switch {
			case c.options == nil:
				options = append(slices.Clip(options), "-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot")
			case slices.Contains(c.options, "-e"):
				i := slices.Index(c.options, "-e")
				options = append(append(append([]string{}, c.options[:i]...), options...), "-eltorito-alt-boot", "-e", c.options[i+1], "-no-emul-boot")
			default:
				options = append(append([]string{}, c.options...), options...)
			}
			for i, o := range options {
				if o == "ESP" {
					options[i] = p
				}
			}
			r := check(t, medium(t, files, options...))
			var found []string
			for _, g := range []string{"boot images", "boot files"} {
				for _, f := range group(r, g).Findings {
					found = append(found, number.ReplaceAllString(f.String(), "offset OFF:"))
				}
			}
			switch got := strings.Join(found, "\n"); {
			case c.finding == "" && got != "", !strings.Contains(got, c.finding), strings.Contains(got, "problem:") && !strings.HasPrefix(c.finding, "problem:"):
				t.Errorf("want %q, found:\n%s", c.finding, got)
			}
		})
	}
}

var number = regexp.MustCompile(`offset \d+:`)
