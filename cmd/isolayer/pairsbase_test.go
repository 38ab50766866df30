package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// pairBase is a kind of image for TestPairs.
type pairBase struct {
	name   string
	script string // makes o.iso of the tree t, in a directory of its own
	boots  bool   // it has kernels, an initrd, an EFI image, and configurations
	files  []string
	dirs   []string // the root first
}

var (
	bootFiles = []string{"/isolinux/isolinux.cfg", "/images/efiboot.img", "/Packages/p1", "/Packages/p3", "/isolinux/initrd.img", "/EFI/BOOT/grub.cfg"}
	bootDirs  = []string{"/", "/Packages", "/isolinux", "/images", "/EFI"}
)

// bootTree makes the tree t of an installer with ISOLINUX, and GRUB in an EFI image.
const bootTree = `
mkdir -p t/isolinux t/images/pxeboot t/EFI/BOOT t/Packages etc
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 t/isolinux
head -c 300000 /dev/zero | tr '\0' k >t/images/pxeboot/vmlinuz
echo conf >etc/conf; printf 'etc\netc/conf\n' | cpio --quiet -o -H newc >t/images/pxeboot/initrd.img
cp t/images/pxeboot/* t/isolinux/
printf 'default linux\ntimeout 600\nlabel linux\n kernel vmlinuz\n append initrd=initrd.img inst.stage2=hd:LABEL=PAIRS quiet\nlabel check\n kernel vmlinuz\n append initrd=initrd.img inst.stage2=hd:LABEL=PAIRS rd.live.check quiet\n' >t/isolinux/isolinux.cfg
printf 'set timeout=60\nset default="1"\nsearch --no-floppy --set=root -l PAIRS\nmenuentry "Install" {\n linuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=PAIRS quiet\n initrdefi /images/pxeboot/initrd.img\n}\nmenuentry "Test" {\n linuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=PAIRS rd.live.check quiet\n initrdefi /images/pxeboot/initrd.img\n}\n' >t/EFI/BOOT/grub.cfg
for i in 1 2 3 4 5; do head -c ${i}0000 /dev/zero | tr '\0' $i >t/Packages/p$i; done
printf '[general]\nfamily = CentOS\nversion = 7\narch = x86_64\n[tree]\narch = x86_64\n' >t/.treeinfo
truncate -s 1440K t/images/efiboot.img; mkfs.vfat -n ESP t/images/efiboot.img >/dev/null; mmd -i t/images/efiboot.img ::EFI ::EFI/BOOT
mcopy -i t/images/efiboot.img t/EFI/BOOT/grub.cfg ::EFI/BOOT/grub.cfg
cp /usr/lib/shim/shimx64.efi.signed t/EFI/BOOT/BOOTX64.EFI; mcopy -i t/images/efiboot.img t/EFI/BOOT/BOOTX64.EFI ::EFI/BOOT/
`

const isolinux = `-b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table`

// deepTree makes the tree t of a deep directory, a file with a resource fork, long names and
// links.
const deepTree = `
mkdir -p t/1/2/3/4/5/6/7/8/9/10 t/1/2/3/4/5/6/7/other t/.AppleDouble t/d/e
echo deep >t/1/2/3/4/5/6/7/8/9/f; echo deeper >t/1/2/3/4/5/6/7/8/9/10/g; echo other >t/1/2/3/4/5/6/7/other/h; echo data >t/doc.txt; echo e >t/d/e/e.txt
long=$(printf '%0180d' 7); echo long >"t/$long"; head -c 100000 /dev/zero | tr '\0' b >t/d/big; ln -s d/e/e.txt t/link
printf '\0\5\26\7\0\2\0\0Netatalk        \0\2\0\0\0\11\0\0\0\62\0\0\0\40\0\0\0\2\0\0\0\122\0\0\0\12TEXTttxt\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0RESOURCE!!' >t/.AppleDouble/doc.txt
`

var (
	deepFiles = []string{"/doc.txt", "/d/e/e.txt", "/1/2/3/4/5/6/7/8/9/f", "/d/big", "/1/2/3/4/5/6/7/other/h"}
	deepDirs  = []string{"/", "/1/2/3/4/5/6/7/8", "/1/2/3/4/5/6/7/8/9/10", "/d", "/1/2/3/4/5/6/7", "/1"}
)

var pairBases = []pairBase{
	{"el", bootTree + `xorriso -as mkisofs -quiet -V PAIRS -J -joliet-long -R ` + isolinux + ` -eltorito-alt-boot -e images/efiboot.img -no-emul-boot -isohybrid-gpt-basdat -isohybrid-mbr /usr/lib/ISOLINUX/isohdpfx.bin -o o.iso t`, true, bootFiles, bootDirs},
	{"el7", bootTree + `genisoimage -quiet -V PAIRS -J -joliet-long -R -T ` + isolinux + ` -eltorito-alt-boot -e images/efiboot.img -no-emul-boot -o o.iso t; isohybrid --uefi o.iso; implantisomd5 o.iso >/dev/null`, true, bootFiles, bootDirs},
	{"apm", bootTree + `xorriso -as mkisofs -quiet -V PAIRS -J -R ` + isolinux + ` -eltorito-alt-boot -e images/efiboot.img -no-emul-boot -isohybrid-gpt-basdat -isohybrid-apm-hfsplus -isohybrid-mbr /usr/lib/ISOLINUX/isohdpfx.bin -o o.iso t`, true, bootFiles, bootDirs},
	{"appended", bootTree + `mv t/images/efiboot.img esp; xorriso -as mkisofs -quiet -V PAIRS -J -R -partition_offset 16 --mbr-force-bootable -append_partition 2 0xef esp -appended_part_as_gpt ` + isolinux + ` -eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot -o o.iso t`, true, withoutESP(bootFiles), bootDirs},
	{"appended-mbr", bootTree + `mv t/images/efiboot.img esp; xorriso -as mkisofs -quiet -V PAIRS -R --grub2-mbr /usr/lib/grub/i386-pc/boot_hybrid.img -append_partition 2 0xef esp ` + isolinux + ` --grub2-boot-info -eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot -o o.iso t`, true, withoutESP(bootFiles), bootDirs},
	{"deep", deepTree + `genisoimage -quiet -apple -netatalk -r -J -V PAIRS -o o.iso t`, false, deepFiles, deepDirs},
	{"plain", deepTree + `rm -r t/1/2/3/4/5; genisoimage -quiet -V PAIRS -o o.iso t`, false, []string{"/doc.txt", "/d/e/e.txt", "/d/big"}, []string{"/", "/d", "/1/2"}},
	{"joliet", deepTree + `rm -r t/1/2/3/4/5; genisoimage -quiet -l -J -V PAIRS -o o.iso t`, false, []string{"/doc.txt", "/d/e/e.txt", "/d/big"}, []string{"/", "/d", "/1/2"}},
	{"level4", deepTree + `rm -r t/1/2/3/4/5; genisoimage -quiet -iso-level 4 -r -J -V PAIRS -o o.iso t`, false, []string{"/doc.txt", "/d/e/e.txt", "/d/big"}, []string{"/", "/d", "/1/2"}},
}

func withoutESP(list []string) (out []string) {
	for _, f := range list {
		if !strings.HasSuffix(f, ".img") {
			out = append(out, f)
		}
	}
	return out
}

// make makes the image.
func (b pairBase) make(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"xorriso", "genisoimage", "isohybrid", "implantisomd5", "mkfs.vfat", "mcopy", "cpio"} {
		isotest.Tool(t, tool)
	}
	dir := t.TempDir()
	bash(t, dir, b.script)
	return filepath.Join(dir, "o.iso")
}

func bash(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("bash", "-e", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, bytes.TrimSpace(out))
	}
}

// pairFiles makes what the edits add.
func pairFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	bash(t, dir, `
echo small >small; : >empty; head -c 200000 /dev/zero | tr '\0' B >big; head -c 3000000 /dev/zero | tr '\0' H >huge
mkdir -p tree/sub/sub2 many; echo one >tree/one; echo two >"tree/sub/two words.txt"; ln -s ../one tree/sub/link
for i in $(seq 70); do echo $i >many/a-file-with-a-long-name-$i.conf; done
mkdir -p l/etc; echo l >l/etc/from-layer; tar -C l -cf layer.tar etc
printf 'text\nrootpw --plaintext x\nautopart\n' >ks.cfg
truncate -s 2M esp; mkfs.vfat -n NEWESP esp >/dev/null; head -c 6000 /dev/zero | tr '\0' L >loader`)
	return dir
}
