// Package isotest makes real ISO images for tests and says how other programs
// read them. It does not use the packages it helps to test.
package isotest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// debian names the Debian package of each program and file that tests use.
var debian = map[string]string{
	"bsdtar":             "libarchive-tools",
	"gpg":                "gpg",
	"lb":                 "live-build",
	"createrepo_c":       "createrepo-c",
	"dnf":                "dnf",
	"apt-ftparchive":     "apt-utils",
	"dpkg-scanpackages":  "dpkg-dev",
	"rpmbuild":           "rpm",
	"7z":                 "p7zip-full",
	"apt-get":            "apt",
	"busybox":            "busybox-static",
	"cpio":               "cpio",
	"depmod":             "kmod",
	"gcc":                "gcc",
	"genisoimage":        "genisoimage",
	"grub-mkimage":       "grub-common",
	"grub-mkrescue":      "grub-common",
	"grub-script-check":  "grub-common",
	"implantisomd5":      "isomd5sum",
	"checkisomd5":        "isomd5sum",
	"isohybrid":          "syslinux-utils",
	"isoinfo":            "genisoimage",
	"lz4":                "lz4",
	"blkid":              "util-linux",
	"unshare":            "util-linux",
	"setpriv":            "util-linux",
	"fsck.fat":           "dosfstools",
	"fuseiso":            "fuseiso",
	"archivemount":       "archivemount",
	"fusermount3":        "fuse3",
	"fuse-overlayfs":     "fuse-overlayfs",
	"mcopy":              "mtools",
	"mdir":               "mtools",
	"mlabel":             "mtools",
	"mtype":              "mtools",
	"openssl":            "openssl",
	"osslsigncode":       "osslsigncode",
	"mkfs.btrfs":         "btrfs-progs",
	"mkfs.vfat":          "dosfstools",
	"mkfs.xfs":           "xfsprogs",
	"mksquashfs":         "squashfs-tools",
	"python3":            "python3",
	"qemu-system-x86_64": "qemu-system-x86",
	"sfdisk":             "fdisk",
	"sgdisk":             "gdisk",
	"strace":             "strace",
	"umoci":              "umoci",
	"xorriso":            "xorriso",
	"xz":                 "xz-utils",
	"zstd":               "zstd",

	"/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux": "debian-installer-12-netboot-amd64",

	"/usr/lib/systemd/boot/efi/systemd-bootx64.efi":     "systemd-boot-efi",
	"/usr/share/OVMF/OVMF_CODE_4M.fd":                   "ovmf",
	"/usr/lib/ISOLINUX/isolinux.bin":                    "isolinux",
	"/usr/lib/syslinux/modules/bios/ldlinux.c32":        "syslinux-common",
	"/usr/lib/grub/i386-pc/boot_hybrid.img":             "grub-pc-bin",
	"/usr/lib/grub/x86_64-efi/moddep.lst":               "grub-efi-amd64-bin",
	"/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed": "grub-efi-amd64-signed",
	"/usr/lib/shim/shimx64.efi.signed":                  "shim-signed",
	"/usr/lib/grub-rescue/grub-rescue-cdrom.iso":        "grub-rescue-pc",
	"/usr/lib/ipxe/ipxe.iso":                            "ipxe",
	"/usr/lib/memtest86+/memtest86+x64.iso":             "memtest86+",
	"/usr/lib/memtest86+/memtest86+ia32.iso":            "memtest86+",
}

// adminDirs hold programs that a user's PATH often lacks on Debian.
var adminDirs = []string{"/usr/sbin", "/sbin"}

// Tool is the path of the program of that name. Where it is missing the test
// is skipped; where the environment variable CI is set it fails.
func Tool(tb testing.TB, name string) string {
	tb.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range adminDirs {
		if path, err := exec.LookPath(dir + "/" + name); err == nil {
			return path
		}
	}
	missing(tb, name)
	return ""
}

// Run is what the program prints on its standard output. The test fails when
// the program does, with everything it printed.
func Run(tb testing.TB, name string, args ...string) []byte {
	tb.Helper()
	stdout, stderr, err := run(tb, name, args...)
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// SHA256File is the lower-case hexadecimal SHA-256 of the file's content.
func SHA256File(tb testing.TB, path string) string {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	sum, _, err := digest(f)
	if err != nil {
		tb.Fatal(err)
	}
	return sum
}

// file is path itself, with the same answer as [Tool] where it is missing.
func file(tb testing.TB, path string) string {
	tb.Helper()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		missing(tb, path)
	} else if err != nil {
		tb.Fatal(err)
	}
	return path
}

// DataFile returns a file of a Debian package that is no program. Without it the test is
// skipped, or fails where CI is set.
func DataFile(tb testing.TB, path string) string {
	tb.Helper()
	if _, err := os.Stat(path); err != nil {
		missing(tb, path)
	}
	return path
}

func missing(tb testing.TB, name string) {
	tb.Helper()
	give := tb.Skipf
	if os.Getenv("CI") != "" {
		give = tb.Fatalf
	}
	pkg, ok := debian[name]
	if !ok {
		pkg = "unknown"
		for _, unpacked := range []string{"refind", "grub-legacy"} {
			if strings.Contains(name, "/"+unpacked+"/") {
				pkg = unpacked + ", which make deps unpacks"
			}
		}
	}
	give("%s is missing, Debian package %s", name, pkg)
}

// run starts a program in an environment in which names are UTF-8, times are
// UTC and words are English.
func run(tb testing.TB, name string, args ...string) (stdout, stderr []byte, err error) {
	tb.Helper()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(tb.Context(), Tool(tb, name), args...)
	cmd.Env = environ()
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.Bytes(), e.Bytes(), err
}

func environ() []string {
	path := os.Getenv("PATH") + ":" + strings.Join(adminDirs, ":")
	return append(os.Environ(), "LC_ALL=C.UTF-8", "LANGUAGE=", "TZ=UTC", "PATH="+path)
}

func digest(r io.Reader) (sum string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), size, err
}
