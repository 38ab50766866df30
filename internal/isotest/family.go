package isotest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Family makes an image of a fixture of package distro and returns its path, the head of
// the fixture and the files in it. The head says where the boot loaders are:
//
//	bios: isolinux DIR    ISOLINUX there
//	bios: grub DIR        GRUB, which reads DIR/grub.cfg
//	efi: DIR              an EFI image with GRUB, which reads DIR/grub.cfg
//
// Files whose content is @kernel or @initrd are those of [Image], which print their
// command line; "@initrd PATH" has one more file, with the lines that follow; @file PATH
// is that of a Debian package; @zeros N is so many zeros; "@md5 PATH" in a text is the sum
// of that file.
func Family(tb testing.TB, fixture string) (image string, head map[string]string, files []string) {
	tb.Helper()
	text, err := os.ReadFile(fixture)
	if err != nil {
		tb.Fatal(err)
	}
	a := txtar.Parse(text)
	head = map[string]string{}
	for l := range strings.Lines(string(a.Comment)) {
		if k, v, ok := strings.Cut(l, ":"); ok {
			head[k] = strings.TrimSpace(v)
		}
	}
	m := &familyMaker{tb: tb, dir: tb.TempDir(), head: head, content: map[string][]byte{}}
	for _, f := range a.Files {
		m.content[f.Name] = m.fill(string(f.Data))
	}
	for name := range m.content {
		m.content[name] = m.sums(m.content[name])
	}
	return m.make(), head, slices.Sorted(maps.Keys(m.content))
}

type familyMaker struct {
	tb      testing.TB
	dir     string
	head    map[string]string
	content map[string][]byte
}

// fill returns what a placeholder stands for, or the text itself.
func (m *familyMaker) fill(text string) []byte {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch word {
	case "@kernel", "@initrd":
		dir := build(m.tb, "work/payload", (*store).payload)
		b, err := os.ReadFile(filepath.Join(dir, map[string]string{"@kernel": "vmlinuz", "@initrd": "initrd.img"}[word]))
		if err != nil {
			m.tb.Fatal(err)
		}
		if name, content, ok := strings.Cut(rest, "\n"); ok && word == "@initrd" {
			b = append(b, make([]byte, -len(b)&3)...)
			b = append(b, m.archive(strings.TrimSpace(name), content)...)
		}
		return b
	case "@file":
		b, err := os.ReadFile(file(m.tb, rest))
		if err != nil {
			m.tb.Fatal(err)
		}
		return b
	case "@zeros":
		n, err := strconv.Atoi(rest)
		if err != nil {
			m.tb.Fatal(err)
		}
		return make([]byte, n)
	}
	return []byte(text)
}

// archive is one of cpio with a file.
func (m *familyMaker) archive(name, content string) []byte {
	dir, err := os.MkdirTemp(m.dir, "archive")
	if err != nil {
		m.tb.Fatal(err)
	}
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		m.tb.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content+"\n"), 0o644); err != nil {
		m.tb.Fatal(err)
	}
	Tool(m.tb, "cpio")
	return Run(m.tb, "sh", "-c", "cd "+dir+" && find . -mindepth 1 | cpio -o -H newc --quiet")
}

var sumMark = regexp.MustCompile(`@(md5|sha256|sha512) ( ?)(\S+)`)

// sums fills in checksums. Behind a colon, as in .treeinfo, the path is not repeated.
func (m *familyMaker) sums(text []byte) []byte {
	return sumMark.ReplaceAllFunc(text, func(mark []byte) []byte {
		f := sumMark.FindSubmatch(mark)
		h := map[string]func() hash.Hash{"md5": md5.New, "sha256": sha256.New, "sha512": sha512.New}[string(f[1])]()
		name := path.Clean(string(f[3]))
		content, ok := m.content[name]
		if !ok {
			content, ok = m.content["arch/x86_64/"+name] // of a list that lies there
		}
		if !ok {
			m.tb.Fatalf("%s: no such file", mark)
		}
		h.Write(content)
		if strings.Contains(string(text), ":"+string(mark)) {
			return fmt.Appendf(nil, "%x", h.Sum(nil))
		}
		return fmt.Appendf(nil, "%x  %s", h.Sum(nil), f[3])
	})
}

// suseLoader is where SUSE has ISOLINUX, changed so that it looks there for its
// configuration. Debian's looks in /isolinux, and is led there.
const suseLoader = "boot/x86_64/loader"

// make writes the tree and the image.
func (m *familyMaker) make() string {
	root, iso := filepath.Join(m.dir, "tree"), filepath.Join(m.dir, "image.iso")
	put := func(name string, content []byte) {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			m.tb.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			m.tb.Fatal(err)
		}
	}
	for name, content := range m.content {
		put(name, content)
	}
	args := []string{"-as", "mkisofs", "-quiet", "-r", "-J", "-joliet-long", "-V", m.head["label"], "-o", iso}
	switch kind, dir, _ := strings.Cut(m.head["bios"], " "); kind {
	case "isolinux":
		for _, f := range []string{"/usr/lib/ISOLINUX/isolinux.bin", "/usr/lib/syslinux/modules/bios/ldlinux.c32"} {
			b, err := os.ReadFile(file(m.tb, f))
			if err != nil {
				m.tb.Fatal(err)
			}
			put(filepath.Join(dir, filepath.Base(f)), b)
			if dir == suseLoader {
				put(filepath.Join("isolinux", filepath.Base(f)), b)
			}
		}
		if dir == suseLoader {
			put("isolinux/isolinux.cfg", []byte("default suse\nlabel suse\n  config /"+dir+"/isolinux.cfg /"+dir+"\n"))
		}
		args = append(args, "-b", path.Join(dir, "isolinux.bin"), "-c", path.Join(dir, "boot.cat"), "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
	case "grub":
		put("boot/eltorito.img", m.grub("i386-pc-eltorito", "/"+dir, "biosdisk"))
		args = append(args, "-b", "boot/eltorito.img", "-c", "boot/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
	}
	if dir := m.head["efi"]; dir != "" {
		esp := filepath.Join(m.dir, "efi.img")
		program := filepath.Join(m.dir, "BOOTX64.EFI")
		if err := os.WriteFile(program, m.grub("x86_64-efi", "/"+dir, "part_gpt", "fat"), 0o644); err != nil {
			m.tb.Fatal(err)
		}
		m.run("truncate", "-s", "4M", esp)
		m.run("mkfs.vfat", "-n", "ESP", esp)
		m.run("mmd", "-i", esp, "::EFI", "::EFI/BOOT")
		m.run("mcopy", "-i", esp, program, "::EFI/BOOT/")
		b, err := os.ReadFile(esp)
		if err != nil {
			m.tb.Fatal(err)
		}
		put("images/efiboot.img", b)
		args = append(args, "-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot")
	}
	m.run("xorriso", append(args, root)...)
	return iso
}

// grub makes a GRUB that reads a configuration of the medium it finds by that file.
func (m *familyMaker) grub(format, dir string, modules ...string) []byte {
	early, out := filepath.Join(m.dir, "early.cfg"), filepath.Join(m.dir, "grub.img")
	text := fmt.Sprintf("search --file --set=root %s/grub.cfg\nset prefix=($root)%s\nconfigfile %s/grub.cfg\n", dir, dir, dir)
	if err := os.WriteFile(early, []byte(text), 0o644); err != nil {
		m.tb.Fatal(err)
	}
	m.run("grub-mkimage", append([]string{
		"-O", format, "-p", dir, "-c", early, "-o", out, "iso9660", "normal", "linux", "serial", "terminal",
		"configfile", "search", "search_label", "search_fs_file", "search_fs_uuid", "echo", "test", "probe",
	}, modules...)...)
	b, err := os.ReadFile(out)
	if err != nil {
		m.tb.Fatal(err)
	}
	return b
}

func (m *familyMaker) run(name string, args ...string) {
	m.tb.Helper()
	cmd := exec.CommandContext(m.tb.Context(), Tool(m.tb, name), args...)
	cmd.Env = environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		m.tb.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Payload returns the kernel and the initrd of [Image], which print their command line.
func Payload(tb testing.TB) (kernel, initrd string) {
	tb.Helper()
	dir := build(tb, "work/payload", (*store).payload)
	return filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "initrd.img")
}
