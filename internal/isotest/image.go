package isotest

import (
	"embed"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

//go:embed corpus
var corpus embed.FS

// styles are the images of corpus/styles.sh, in its order.
var styles = []string{
	"debian", "ubuntu2204", "ubuntu2204-pkgs", "fedora", "rhel9-isolinux", "arch", "alpine", "grubrescue", "suse", "windows",
	"floppy", "hdemul", "efionly-arm64style", "multisession", "multisession-xorriso", "multisession-gen", "deep", "hfs", "zisofs", "level4", "nopad",
	"bigdir", "sparc-label", "hppa", "dupinode", "utf8", "norr", "nojoliet", "joliet-only", "padded-tail",
}

// packaged are images that Debian ships.
var packaged = map[string]string{
	"grub-rescue-cdrom": "/usr/lib/grub-rescue/grub-rescue-cdrom.iso",
	"ipxe":              "/usr/lib/ipxe/ipxe.iso",
	"memtest86+x64":     "/usr/lib/memtest86+/memtest86+x64.iso",
	"memtest86+ia32":    "/usr/lib/memtest86+/memtest86+ia32.iso",
}

// makers are the programs that images are made with.
var makers = []string{
	"apt-get", "busybox", "cpio", "depmod", "gcc", "genisoimage", "grub-mkimage", "grub-mkrescue", "implantisomd5", "isohybrid",
	"lz4", "mcopy", "mkfs.vfat", "mksquashfs", "python3", "sfdisk", "xorriso", "xz", "zstd",
}

// loaders are the boot loaders and kernels that images are made of.
var loaders = []string{
	"/usr/lib/ISOLINUX/isolinux.bin",
	"/usr/lib/syslinux/modules/bios/ldlinux.c32",
	"/usr/lib/grub/i386-pc/boot_hybrid.img",
	"/usr/lib/grub/x86_64-efi/moddep.lst",
	"/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
	"/usr/lib/shim/shimx64.efi.signed",
}

// Images are the names that [Image] has or makes within seconds. It also knows
// rhel-like-medium (1 GiB, half a minute) and rhel-like-large (8 GiB, minutes).
func Images() []string {
	return append(slices.Clone(styles), "rhel-like-small", "grub-rescue-cdrom", "ipxe", "memtest86+x64", "memtest86+ia32")
}

// Image is the path of the test image of that name. It is made on first use
// and then kept in the directory $ISOLAYER_CORPUS, else in the user's cache
// directory under a digest of all that makes it. It must not be written to.
// Processes may ask for images at the same time.
func Image(tb testing.TB, name string) string {
	tb.Helper()
	if path, ok := packaged[name]; ok {
		return file(tb, path)
	}
	size, rhel := strings.CutPrefix(name, "rhel-like-")
	switch {
	case slices.Contains(styles, name):
		return build(tb, name+".iso", func(s *store) error { return s.style(name) })
	case rhel && slices.Contains([]string{"small", "medium", "large"}, size):
		return build(tb, name+".iso", func(s *store) error { return s.rhelLike(size) })
	}
	tb.Fatalf("no image has the name %q", name)
	return ""
}

// guest is the directory of the kernel and initramfs that [KernelMount] boots.
func guest(tb testing.TB) string {
	return build(tb, "work/vm", (*store).guest)
}

// build is the path of a piece of the store, made if it is not there.
func build(tb testing.TB, piece string, make func(*store) error) string {
	tb.Helper()
	dir, err := storeDir()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, piece)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	for _, name := range makers {
		Tool(tb, name)
	}
	for _, name := range loaders {
		file(tb, name)
	}
	if err := makeIn(dir, path, make); err != nil {
		tb.Fatalf("make %s: %v", piece, err)
	}
	return path
}

// makeIn runs one maker at a time in a store.
func makeIn(dir, path string, make func(*store) error) (err error) {
	if err := os.MkdirAll(filepath.Join(dir, "work"), 0o755); err != nil {
		return err
	}
	lock, err := acquire(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := os.Stat(path); err == nil {
		return nil // made by another process meanwhile
	}
	s := &store{dir: dir, lock: lock}
	if err := s.unpack(); err != nil {
		return err
	}
	return make(s)
}

// storeDir is where images are kept. Scripts and the versions of the packages
// they use are part of its name, so a change of either makes new images.
func storeDir() (string, error) {
	if dir := os.Getenv("ISOLAYER_CORPUS"); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum, err := identity()
	return filepath.Join(cache, "isolayer-corpus", sum), err
}
