package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// alone are options with what they need; LIST is a file of two patterns, DISK a hard disk
// with a partition.
var alone = map[string][]string{
	"genisoimage": {
		"-J -jcharset utf-8", "-J -output-charset utf-8", "-R -exclude-list LIST", "-R -J -hide-list LIST", "-J -hide-joliet-list LIST", "-R -hidden-list LIST",
		"-R -hide-rr-moved", "-R -new-dir-mode 0750 -graft-points in/side/=sub boot/=boot", "-R -b DISK -hard-disk-boot -c boot/boot.cat",
	},
	"xorriso": {
		"-R", "-r", "--norock -J", "-V NAME", "-J -joliet-long", "-iso-level 1", "-iso-level 2", "-iso-level 4", "-full-iso9660-filenames", "-U",
		"--modification-date=2023111422132000", "--application_use x", "-disallow_dir_id_ext -l", "--hardlinks", "--acl", "--xattr", "-uid 7", "-gid 8", "-file-mode 0600", "-dir-mode 0711",
		"-b boot/loader.bin -c boot/boot.cat -no-emul-boot", "-b boot/loader.bin --boot-catalog-hide -no-emul-boot", "-b boot/loader.bin -c boot/boot.cat -no-emul-boot -boot-load-size full",
		"-eltorito-platform efi -b boot/efi.img -c boot/boot.cat -no-emul-boot", "-b boot/loader.bin -c boot/boot.cat -no-emul-boot -eltorito-id Maker", "-b boot/loader.bin -c boot/boot.cat -no-emul-boot -eltorito-selcrit 0102030405",
		"-b DISK -c boot/boot.cat -hard-disk-boot", "-b boot/loader.bin -c boot/boot.cat -no-emul-boot -G boot/loader.bin",
		"-partition_offset 16", "-partition_offset 16 -partition_hd_cyl 255 -partition_sec_hd 63", "-append_partition 2 0x83 boot/efi.img", "-append_partition 3 FAT16 boot/efi.img -appended_part_as_gpt",
		"-b boot/loader.bin -c boot/boot.cat -no-emul-boot -isohybrid-mbr ISOHDPFX", "-b boot/loader.bin -c boot/boot.cat -no-emul-boot -isohybrid-mbr ISOHDPFX -partition_cyl_align all -append_partition 2 0x83 boot/efi.img",
		"-b boot/loader.bin -c boot/boot.cat -no-emul-boot -isohybrid-mbr ISOHDPFX -partition_cyl_align off", "-b boot/loader.bin -c boot/boot.cat -no-emul-boot -isohybrid-mbr ISOHDPFX -iso_mbr_part_type 0x83",
		"-b boot/loader.bin -c boot/boot.cat -no-emul-boot --grub2-mbr GRUB2MBR --protective-msdos-label --grub2-boot-info", "-b boot/loader.bin -c boot/boot.cat -no-emul-boot --grub2-mbr GRUB2MBR --protective-msdos-label -partition_cyl_align on",
		"--protective-msdos-label", "--mbr-force-bootable --protective-msdos-label",
		"-e boot/efi.img -c boot/boot.cat -no-emul-boot -efi-boot-part --efi-boot-image",
	},
}

// TestMasterAlone: each option makes with us what it makes with the program that has it.
func TestMasterAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	tree, dir := masterTree(t), t.TempDir()
	list := filepath.Join(dir, "list")
	must(t, os.WriteFile(list, []byte("UPPER.TXT\na-b*\n"), 0o644))
	disk := make([]byte, 64<<10)
	copy(disk[446:], []byte{0x80, 0, 2, 0, 0x83, 3, 32, 0, 1, 0, 0, 0, 127, 0, 0, 0})
	disk[510], disk[511] = 0x55, 0xaa
	must(t, os.WriteFile(filepath.Join(tree, "boot/disk.img"), disk, 0o644))
	files := strings.NewReplacer("LIST", list, "DISK", "boot/disk.img", "ISOHDPFX", "/usr/lib/ISOLINUX/isohdpfx.bin", "GRUB2MBR", "/usr/lib/grub/i386-pc/boot_hybrid.img")
	for program, options := range alone {
		for i, o := range options {
			t.Run(program+strconv.Itoa(i), func(t *testing.T) { // names of directories hold no "="
				t.Log(o)
				args := append([]string{"-o", "OUT"}, strings.Fields(files.Replace(o))...)
				if !strings.Contains(o, "-graft-points") {
					args = append(args, ".")
				}
				ours, theirs := swapped(t, tree, program, args)
				if program == "genisoimage" {
					views(t, ours, theirs, args)
					return
				}
				alike(t, ours, theirs)
				if a, b := descriptor(t, theirs), descriptor(t, ours); strings.Contains(o, "date") && a != b {
					t.Errorf("descriptors of theirs and ours:\n%s", lineDiff(a, b))
				}
			})
		}
	}
}

var dates = regexp.MustCompile(`(?m)^(Creation|Modif\.) Time\s*: .*$`)

// descriptor is what xorriso reports of the times in the descriptor.
func descriptor(t *testing.T, image string) string {
	t.Helper()
	return strings.Join(dates.FindAllString(string(isotest.Run(t, "xorriso", "-no_rc", "-report_about", "SORRY", "-indev", "stdio:"+image, "-pvd_info")), -1), "\n")
}
