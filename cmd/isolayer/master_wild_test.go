package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// wild are command lines as scripts and guides have them, with the paths of a test tree.
var wild = []struct{ name, program, args string }{
	{"seed of cloud-init", "genisoimage", "-output OUT -volid cidata -joliet -rock readme.txt Makefile"},
	{"config drive", "genisoimage", "-R -V config-2 -o OUT -quiet -ldots -allow-lowercase -allow-multidot -l -publisher nova -J -r ."},
	{"centos 6", "genisoimage", "-r -T -J -V CENTOS6X8664 -b boot/loader.bin -c boot/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table -o OUT ."},
	{"unattended ubuntu", "genisoimage", "-D -r -V UNATTENDED_UBUNTU -cache-inodes -J -l -b boot/loader.bin -c boot/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table -o OUT ."},
	{"firmware update", "genisoimage", "-o OUT -q -l -N -boot-info-table -iso-level 4 -no-emul-boot -b boot/loader.bin -A Update -V FDBIOSUP -v ."},
	{"grafts of the same files", "xorriso", "-o OUT -R -J -V TWICE -graft-points new=sub sub=sub old=sub boot=boot"},
	{"debian with preseed", "xorriso", "-r -V Debian -o OUT -J -joliet-long -cache-inodes -isohybrid-mbr ISOHDPFX -b boot/loader.bin -c boot/boot.cat -boot-load-size 4 -boot-info-table -no-emul-boot -eltorito-alt-boot -e boot/efi.img -no-emul-boot -isohybrid-gpt-basdat ."},
	{"debian installer", "xorriso", "-r -V Debian -o OUT -J -joliet-long -cache-inodes -isohybrid-mbr ISOHDPFX -b boot/loader.bin -c boot/boot.cat -boot-load-size 4 -boot-info-table -no-emul-boot -eltorito-alt-boot -e boot/efi.img -no-emul-boot -isohybrid-gpt-basdat -isohybrid-apm-hfsplus ."},
	{"lorax with a Mac image", "xorriso", "-U -A Fedora -V Fedora -volset Fedora -J -joliet-long -r -rational-rock -o OUT -b boot/loader.bin -c boot/boot.cat -boot-load-size 4 -boot-info-table -no-emul-boot -isohybrid-mbr ISOHDPFX -eltorito-alt-boot -e boot/efi.img -no-emul-boot -isohybrid-gpt-basdat -eltorito-alt-boot -e boot/mac.img -no-emul-boot -isohybrid-gpt-hfsplus -isohybrid-apm-hfsplus ."},
	{"apple map alone", "xorriso", "-r -V X -o OUT -isohybrid-mbr ISOHDPFX -partition_offset 16 -apm-block-size 2048 -b boot/loader.bin -c boot/boot.cat -boot-load-size 4 -boot-info-table -no-emul-boot -eltorito-alt-boot -e boot/efi.img -no-emul-boot -isohybrid-apm-hfsplus ."},
	{"live-build", "xorriso", "-R -r -J -joliet-long -l -cache-inodes -iso-level 3 -isohybrid-mbr ISOHDPFX -partition_offset 16 -A Live -p live-build -publisher debian -V d-live -b boot/loader.bin -c boot/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table -eltorito-alt-boot -e boot/efi.img -no-emul-boot -isohybrid-gpt-basdat -o OUT ."},
	{"mkarchiso", "xorriso", "-iso-level 3 -full-iso9660-filenames -joliet -joliet-long -rational-rock -volid ARCH -appid Arch -publisher arch -preparer mkarchiso -eltorito-boot boot/loader.bin -eltorito-catalog boot/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table -isohybrid-mbr ISOHDPFX --mbr-force-bootable -partition_offset 16 -append_partition 2 C12A7328-F81F-11D2-BA4B-00A0C93EC93B boot/efi.img -appended_part_as_gpt -eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot -output OUT ."},
	{"ubuntu 22.04", "xorriso", "-r -V Ubuntu -J -joliet-long -l -iso-level 3 -partition_offset 16 --grub2-mbr GRUB2MBR --protective-msdos-label -append_partition 2 0xEF boot/efi.img -appended_part_as_gpt -c boot.catalog -b boot/loader.bin -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info -eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot -o OUT ."},
	{"grub-mkrescue", "xorriso", "-graft-points -b boot/loader.bin -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info --grub2-mbr GRUB2MBR --protective-msdos-label -o OUT -r --efi-boot boot/efi.img -efi-boot-part --efi-boot-image --sort-weight 0 / --sort-weight 1 /boot -V X new=sub ."},
	{"rhel 9 without Rock Ridge named", "xorriso", "-iso-level 3 -o OUT -full-iso9660-filenames -volid CUSTOM -eltorito-boot boot/loader.bin -no-emul-boot -boot-load-size 4 -boot-info-table --eltorito-catalog boot/boot.cat -eltorito-alt-boot -e boot/efi.img -no-emul-boot -graft-points ."},
}

// TestMasterWild: what people do with genisoimage and xorriso makes the same image with
// us, under the names of those programs.
func TestMasterWild(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	tree := masterTree(t)
	mac := make([]byte, 40<<10)
	copy(mac[1024:], "H+\x00\x04") // the header of an HFS+ file system
	must(t, os.WriteFile(filepath.Join(tree, "boot/mac.img"), mac, 0o644))
	isotest.DataFile(t, "/usr/lib/ISOLINUX/isolinux.bin")
	isotest.DataFile(t, "/usr/lib/grub/i386-pc/boot_hybrid.img")
	files := strings.NewReplacer("ISOHDPFX", "/usr/lib/ISOLINUX/isohdpfx.bin", "GRUB2MBR", "/usr/lib/grub/i386-pc/boot_hybrid.img")
	for _, w := range wild {
		t.Run(w.name, func(t *testing.T) {
			args := strings.Fields(files.Replace(w.args))
			ours, theirs := swapped(t, tree, w.program, args)
			if w.program == "genisoimage" {
				views(t, ours, theirs, args)
				return
			}
			alike(t, ours, theirs)
			for _, base := range []string{ours, theirs} { // and written afresh
				fresh := filepath.Join(t.TempDir(), "fresh.iso")
				var said bytes.Buffer
				if code := run(t.Context(), []string{"build", base, "--layout", "compact", "-o", fresh}, strings.NewReader(""), &said, &said); code != 0 {
					t.Fatalf("exit %d\n%s", code, &said)
				}
				if a, b := partitions(t, base), partitions(t, fresh); !slices.Equal(a, b) {
					t.Errorf("partitions before and after:\n%s\n\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
				}
			}
		})
	}
}

// TestMasterReplay: the options that xorriso reports of an image make its like with us as
// with xorriso.
func TestMasterReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"rhel-like-small", "ubuntu2204", "ubuntu2204-pkgs", "fedora", "debian"} {
		t.Run(name, func(t *testing.T) {
			base, tree := isotest.Image(t, name), filepath.Join(t.TempDir(), "tree")
			isotest.Run(t, "xorriso", "-no_rc", "-report_about", "SORRY", "-osirrox", "on", "-indev", base, "-extract", "/", tree)
			isotest.Run(t, "bash", "-c", "chmod -R u+w "+tree+"; find "+tree+" -name 'boot.cat*' -delete")
			report := string(isotest.Run(t, "xorriso", "-no_rc", "-report_about", "SORRY", "-indev", base, "-report_el_torito", "as_mkisofs"))
			var args []string
			for _, word := range shellWord.FindAllString(report, -1) {
				args = append(args, strings.ReplaceAll(word, "'", ""))
			}
			ours, theirs := swapped(t, tree, "xorriso", append(args, "-r", "-J", "-o", "OUT", "."))
			alike(t, ours, theirs)
		})
	}
}

// shellWord is a word as xorriso quotes them.
var shellWord = regexp.MustCompile(`(?:[^\s']|'[^']*')+`)

// swapped runs a command line with the program that it is for, and with us under that
// program's name, in copies of the tree. OUT is the image.
func swapped(t *testing.T, tree, program string, args []string) (ours, theirs string) {
	t.Helper()
	dir := t.TempDir()
	ours, theirs = filepath.Join(dir, "ours.iso"), filepath.Join(dir, "theirs.iso")
	for i, out := range []string{ours, theirs} {
		copied := filepath.Join(dir, "tree")
		isotest.Run(t, "rm", "-rf", copied)
		isotest.Run(t, "cp", "-a", tree, copied)
		t.Chdir(copied)
		all := slices.Clone(args)
		all[slices.Index(all, "OUT")] = out
		switch {
		case i == 0:
			name := map[string]string{"genisoimage": "/usr/bin/mkisofs", "xorriso": "xorrisofs"}[program]
			words, _ := personality(append([]string{name}, all...))
			var said bytes.Buffer
			if code := run(t.Context(), words, strings.NewReader(""), &said, &said); code != 0 {
				t.Fatalf("%q: exit %d\n%s", words, code, &said)
			}
		case program == "xorriso":
			isotest.Run(t, "xorriso", append([]string{"-as", "mkisofs"}, all...)...)
		default:
			isotest.Run(t, program, all...)
		}
	}
	return ours, theirs
}

// alike compares with an image of xorriso: files, boot catalog and partitions.
func alike(t *testing.T, ours, theirs string) {
	t.Helper()
	strip := func(m isotest.Manifest) isotest.Manifest {
		return m.Filter(func(p string, e isotest.Entry) bool { return !made.MatchString(p) }).Map(func(e isotest.Entry) isotest.Entry {
			if e.Type == 'l' {
				e.Perm = 0
			}
			return e
		})
	}
	for _, boot := range []string{"loader.bin", "isolinux.bin", "eltorito.img"} { // hold addresses
		rest := strip
		strip = func(m isotest.Manifest) isotest.Manifest {
			return rest(m).Filter(func(p string, _ isotest.Entry) bool { return filepath.Base(p) != boot })
		}
	}
	if d := strip(isotest.Bsdtar(t, theirs)).Diff(strip(isotest.Bsdtar(t, ours))); d != "" {
		t.Errorf("bsdtar sees in theirs and ours:\n%s", d)
	}
	if a, b := torito(t, theirs), torito(t, ours); a != b {
		t.Errorf("El Torito of theirs and ours:\n%s", lineDiff(a, b))
	}
	if a, b := partitions(t, theirs), partitions(t, ours); !slices.Equal(a, b) {
		t.Errorf("partitions of theirs and ours:\n%s\n\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	if a, b := volumeID(t, theirs), volumeID(t, ours); a != b {
		t.Errorf("volume id %q and ours %q", a, b)
	}
	verifies(t, ours)
}

var (
	mbrLine = regexp.MustCompile(`(?m)^MBR partition      :   (\d)   (0x\S+)  (0x\S+)`)
	apmLine = regexp.MustCompile(`(?m)^APM (block size|partition name|partition type) *:\s+(\S.*)`)
	gptLine = regexp.MustCompile(`(?m)^GPT (partname local|type GUID|partition flags) *:\s+(\d+)\s+(\S+)`)
)

// partitions lists kinds, flags and numbers of partitions; those in a GPT that fill gaps
// behind others are left out, and with them the numbers there.
func partitions(t *testing.T, image string) []string {
	t.Helper()
	report, err := exec.Command(isotest.Tool(t, "xorriso"), "-no_rc", "-report_about", "SORRY", "-indev", "stdio:"+image, "-report_system_area", "plain").Output()
	must(t, err)
	var out []string
	for _, m := range mbrLine.FindAllStringSubmatch(string(report), -1) {
		out = append(out, "MBR "+m[1]+" "+m[2]+" "+m[3])
	}
	for _, m := range apmLine.FindAllStringSubmatch(string(report), -1) {
		out = append(out, "APM "+m[1]+" "+m[2])
	}
	gpt := map[string][]string{}
	for _, m := range gptLine.FindAllStringSubmatch(string(report), -1) {
		gpt[m[2]] = append(gpt[m[2]], m[3])
	}
	for _, p := range gpt {
		if !strings.HasPrefix(p[0], "Gap") || p[0] == "Gap0" {
			if !strings.HasPrefix(p[0], "ISOHybrid") { // of the others the names are ours
				p = p[1:]
			}
			out = append(out, "GPT "+strings.Join(p, " "))
		}
	}
	slices.Sort(out)
	return out
}

func volumeID(t *testing.T, image string) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^Volume id: .*$`).FindString(string(isotest.Run(t, "isoinfo", "-d", "-i", image)))
}

// verifies fails where verify finds a problem, but that nobody has implanted the checksum
// which an installer's menu asks for.
func verifies(t *testing.T, image string) {
	t.Helper()
	var said bytes.Buffer
	code := run(t.Context(), []string{"verify", image}, strings.NewReader(""), &said, &said)
	if n := strings.Count(said.String(), "problem: "); code != 0 && n != strings.Count(said.String(), "rd.live.check: ") {
		t.Errorf("verify: exit %d\n%s", code, &said)
	}
}
