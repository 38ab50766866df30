package loadertest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Where Debian has the loaders.
const (
	isolinuxBin   = "/usr/lib/ISOLINUX/isolinux.bin"
	syslinuxDir   = "/usr/lib/syslinux/modules/bios"
	grubDir       = "/usr/lib/grub/"
	systemBootEFI = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
	legacyStage2  = "grub-legacy/usr/lib/grub/x86_64-pc/stage2_eltorito"
	refindEFI     = "refind/usr/share/refind/refind/refind_x64.efi"
)

// unpacked is a file of a package that is not installed but unpacked by `make deps`: installing
// refind changes the machine's own boot loader, and grub-legacy takes the place of GRUB 2.
func unpacked(name string) string {
	dir := os.Getenv("ISOLAYER_JUDGES")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			cache = os.TempDir()
		}
		dir = filepath.Join(cache, "isolayer-judges")
	}
	return filepath.Join(dir, name)
}

// dir is the loader's directory on the medium.
func (m Medium) dir() string {
	if m.Dir != "" {
		return m.Dir
	}
	switch m.Loader {
	case ISOLINUX:
		return "isolinux"
	case SystemBoot, REFInd:
		return "EFI/BOOT"
	}
	return "boot/grub"
}

func (m Medium) label() string {
	if m.Label != "" {
		return m.Label
	}
	return "MEDIUM"
}

// Build makes the image of a medium in dir and returns its path.
func Build(ctx context.Context, dir string, m Medium) (string, error) {
	image, err := m.filled().build(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("make medium for %s: %w", m.Loader, err)
	}
	return image, nil
}

func (m Medium) build(ctx context.Context, dir string) (string, error) {
	if m.Loader == SystemBoot || m.Loader == REFInd {
		return m.volume(ctx, dir)
	}
	root := filepath.Join(dir, "root")
	for name, b := range m.Files {
		if err := put(root, name, b); err != nil {
			return "", err
		}
	}
	switch m.Loader {
	case ISOLINUX:
		return m.isolinux(ctx, dir, root)
	case GRUB:
		return m.grub(ctx, dir, root)
	case GRUBEFI:
		return m.grubEFI(ctx, dir, root)
	case GRUBLegacy:
		return m.legacy(ctx, dir, root)
	}
	return "", fmt.Errorf("loader %q: %w", m.Loader, fs.ErrInvalid)
}

func put(root, name string, b []byte) error {
	if !fs.ValidPath(name) {
		return fmt.Errorf("path %q: %w", name, fs.ErrInvalid)
	}
	to := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// putFile copies a file of this system.
func putFile(root, name, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return put(root, name, b)
}

// modules are what Debian's menus load, with what those need.
var modules = []string{
	"ldlinux.c32", "libcom32.c32", "libutil.c32", "libmenu.c32", "libgpl.c32", "menu.c32", "vesamenu.c32", "chain.c32",
	"config.c32", "ifcpu64.c32", "ifcpu.c32", "linux.c32", "mboot.c32", "reboot.c32", "poweroff.c32", "hdt.c32", "whichsys.c32", "cat.c32", "cmd.c32",
}

func (m Medium) isolinux(ctx context.Context, dir, root string) (string, error) {
	at := m.dir()
	if err := putFile(root, path.Join(at, "isolinux.bin"), isolinuxBin); err != nil {
		return "", err
	}
	for _, name := range modules {
		if _, own := m.Files[path.Join(at, name)]; own {
			continue
		}
		if err := putFile(root, path.Join(at, name), filepath.Join(syslinuxDir, name)); err != nil {
			return "", err
		}
	}
	return m.iso(ctx, dir, root, "-b", path.Join(at, "isolinux.bin"), "-c", path.Join(at, "boot.cat"), "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
}

func (m Medium) grub(ctx context.Context, dir, root string) (string, error) {
	core, err := grubCore(ctx, "i386-pc", m.dir())
	if err != nil {
		return "", err
	}
	if err := put(root, "eltorito.img", core); err != nil {
		return "", err
	}
	return m.iso(ctx, dir, root, slices.Concat(m.grubModules("i386-pc"), []string{"-b", "eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"})...)
}

func (m Medium) grubEFI(ctx context.Context, dir, root string) (string, error) {
	core, err := grubCore(ctx, "x86_64-efi", m.dir())
	if err != nil {
		return "", err
	}
	image := filepath.Join(root, espName)
	if err := fat(ctx, dir, image, "EFI", map[string][]byte{"EFI/BOOT/BOOTX64.EFI": core}); err != nil {
		return "", err
	}
	return m.iso(ctx, dir, root, slices.Concat(m.grubModules("x86_64-efi"), []string{"-e", espName, "-no-emul-boot"})...)
}

// grubModules gives the medium the modules that its GRUB is made of, as distributions do.
func (m Medium) grubModules(platform string) []string {
	return []string{"-graft-points", path.Join(m.dir(), platform) + "=" + grubDir + platform}
}

func (m Medium) legacy(ctx context.Context, dir, root string) (string, error) {
	at := path.Join(m.dir(), "stage2_eltorito")
	if err := putFile(root, at, unpacked(legacyStage2)); err != nil {
		return "", err
	}
	return m.iso(ctx, dir, root, "-b", at, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
}

// espName is the FAT volume of the medium that UEFI starts from.
const espName = "efi.img"

// volume makes the medium of a UEFI loader that reads its own volume: all lies in the one that
// the boot catalog names.
func (m Medium) volume(ctx context.Context, dir string) (string, error) {
	files := maps.Clone(m.Files)
	from := systemBootEFI
	if m.Loader == REFInd {
		from = unpacked(refindEFI)
	}
	program, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	files["EFI/BOOT/BOOTX64.EFI"] = program
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	if err := fat(ctx, dir, filepath.Join(root, espName), "ESP", files); err != nil {
		return "", err
	}
	return m.iso(ctx, dir, root, "-e", espName, "-no-emul-boot")
}

// iso makes the image of root.
func (m Medium) iso(ctx context.Context, dir, root string, args ...string) (string, error) {
	image := filepath.Join(dir, "medium.iso")
	all := slices.Concat([]string{"-as", "mkisofs", "-quiet", "-R", "-J", "-joliet-long", "-V", m.label(), "-o", image}, args, []string{root})
	if slices.Contains(args, "-graft-points") {
		all[len(all)-1] = "/=" + root
	}
	return image, runTool(ctx, "xorriso", all...)
}

// fat makes a volume with files.
func fat(ctx context.Context, dir, image, label string, files map[string][]byte) error {
	root, err := os.MkdirTemp(dir, "fat-")
	if err != nil {
		return err
	}
	size := 2 << 20
	top := map[string]bool{}
	for name, b := range files {
		size += len(b) + len(b)/8 + 8192
		first, _, _ := strings.Cut(name, "/")
		top[filepath.Join(root, first)] = true
		if err := put(root, name, b); err != nil {
			return err
		}
	}
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(image, int64(size+1<<20)&^0xfffff); err != nil {
		return err
	}
	if err := runTool(ctx, "mformat", "-i", image, "-v", label, "-T", fmt.Sprint((size+1<<20)&^0xfffff/512), "-h", "16", "-s", "63", "::"); err != nil {
		return err
	}
	return runTool(ctx, "mcopy", slices.Concat([]string{"-s", "-i", image}, slices.Sorted(maps.Keys(top)), []string{"::"})...)
}

// runTool runs a program, in the words and the character set that its options are written for.
func runTool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Read returns the files of an image that [Build] made, as other programs read them: all of
// the tree but what GRUB is made of, or all of the volume.
func Read(ctx context.Context, dir string, m Medium, image string) (map[string][]byte, error) {
	tmp, err := os.MkdirTemp(dir, "read-")
	if err != nil {
		return nil, err
	}
	if err := runTool(ctx, "xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", tmp); err != nil {
		return nil, err
	}
	if m.Loader == SystemBoot || m.Loader == REFInd {
		out := filepath.Join(tmp, "out")
		if err := os.MkdirAll(out, 0o755); err != nil {
			return nil, err
		}
		if err := runTool(ctx, "mcopy", "-s", "-n", "-i", filepath.Join(tmp, espName), "::*", out); err != nil {
			return nil, err
		}
		tmp = out
	}
	files := map[string][]byte{}
	return files, fs.WalkDir(os.DirFS(tmp), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, path.Join(m.dir(), "i386-pc")+"/") || strings.HasPrefix(name, path.Join(m.dir(), "x86_64-efi")+"/") {
			return err
		}
		b, err := os.ReadFile(filepath.Join(tmp, name))
		files[name] = b
		return err
	})
}
