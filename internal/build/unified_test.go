package build_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/pe"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/verify"
)

const systemdStub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// unified makes a unified kernel image with objcopy, as distributions' tools do, behind
// the stub of that version, and signs it if asked to.
func unified(t *testing.T, dir, version string, signed bool, sections map[string]string) string {
	t.Helper()
	stub, err := os.ReadFile(isotest.DataFile(t, systemdStub))
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "stub.efi")
	stub = bytes.ReplaceAll(stub, []byte("systemd-stub 252"), []byte("systemd-stub "+version))
	if err := os.WriteFile(own, stub, 0o600); err != nil {
		t.Fatal(err)
	}
	at := map[string]string{".cmdline": "0x30000", ".initrd": "0x3000000", ".linux": "0x8000000"}
	args := []string{}
	for name, file := range sections {
		args = append(args, "--add-section", name+"="+file, "--change-section-vma", name+"="+at[name])
	}
	out := filepath.Join(dir, "uki.efi")
	isotest.Run(t, "objcopy", append(args, own, out)...)
	if !signed {
		return out
	}
	key, cert := filepath.Join(dir, "k.pem"), filepath.Join(dir, "c.pem")
	isotest.Run(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test/", "-keyout", key, "-out", cert)
	isotest.Run(t, "osslsigncode", "sign", "-certs", cert, "-key", key, "-in", out, "-out", out+".signed")
	return out + ".signed"
}

// unifiedImage makes an image whose EFI image starts a unified kernel image; another one
// lies in the tree.
func unifiedImage(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	esp, iso := filepath.Join(dir, "tree/efi.img"), filepath.Join(dir, "base.iso")
	isotest.Run(t, "mkdir", "-p", filepath.Join(dir, "tree/EFI/Linux"))
	isotest.Run(t, "cp", program, filepath.Join(dir, "tree/EFI/Linux/a.efi"))
	isotest.Run(t, "truncate", "-s", "64M", esp)
	isotest.Run(t, "mkfs.vfat", "-n", "ESP", esp)
	isotest.Run(t, "mmd", "-i", esp, "::EFI", "::EFI/BOOT")
	isotest.Run(t, "mcopy", "-i", esp, program, "::EFI/BOOT/BOOTX64.EFI")
	isotest.Run(t, "xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", "UKI", "-e", "efi.img", "-no-emul-boot", "-o", iso, filepath.Join(dir, "tree"))
	return iso
}

// arguments are what objcopy finds in a program of an image.
func arguments(t *testing.T, image, name string) string {
	t.Helper()
	dir := t.TempDir()
	p, to := filepath.Join(dir, "p"), filepath.Join(dir, "text")
	if inside, ok := strings.CutPrefix(name, "@efi:/"); ok {
		isotest.Run(t, "bsdtar", "-xf", image, "-C", dir, "efi.img")
		isotest.Run(t, "mcopy", "-i", filepath.Join(dir, "efi.img"), "::"+inside, p)
	} else {
		isotest.Run(t, "sh", "-c", "bsdtar -xOf "+image+" "+name+" > "+p)
	}
	isotest.Run(t, "objcopy", "-O", "binary", "--only-section", ".cmdline", p, to)
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimRight(string(text), "\x00"))
}

func cmdlineFile(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{".cmdline": localFile(t, "cmdline", "root=live:LABEL=UKI quiet\n"), ".linux": localFile(t, "linux", "a kernel")}
}

// TestUnified: kernel arguments and the label reach unified kernel images in the EFI
// image and in the tree; nothing else is needed to boot.
func TestUnified(t *testing.T) {
	base := unifiedImage(t, unified(t, t.TempDir(), "252", false, cmdlineFile(t)))
	made := filepath.Join(t.TempDir(), "made.iso")
	img := rebuild(t, base, made, edit.Kargs{Args: []string{"console=ttyS0", "-quiet"}}, edit.Label{ID: "OTHER"})
	for _, name := range []string{"@efi:/EFI/BOOT/BOOTX64.EFI", "EFI/Linux/a.efi"} {
		if got := arguments(t, made, name); got != "root=live:LABEL=OTHER console=ttyS0" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if len(img.Report.Warnings) != 0 || len(img.Report.BootFiles) != 2 {
		t.Errorf("warnings %q, files %+v", img.Report.Warnings, img.Report.BootFiles)
	}
	again := rebuild(t, made, filepath.Join(t.TempDir(), "again.iso"), edit.Kargs{Args: []string{"console=ttyS0"}})
	if !again.Unchanged() {
		t.Error("a second time changes something")
	}
	report, err := build.Verify(t.Context(), made, verify.Options{})
	if err != nil || report.Problems() > 0 {
		t.Errorf("verify: %v, %+v", err, report)
	}
}

// TestUnifiedSigned: a signed image stays as it is; its stub gets the new arguments from
// an addon if it takes one, else that is said.
func TestUnifiedSigned(t *testing.T) {
	for version, addon := range map[string]bool{"252": false, "256": true} {
		program := unified(t, t.TempDir(), version, true, cmdlineFile(t))
		base, made := unifiedImage(t, program), filepath.Join(t.TempDir(), "made.iso")
		step := edit.Kargs{Args: []string{"console=ttyS0", "-quiet"}}
		if !addon {
			b, err := baseimage.Open(base, baseimage.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := build.Build(t.Context(), b, []edit.Step{step}, stage.Options{}); !errors.Is(err, bootedit.ErrNoConfig) || !strings.Contains(err.Error(), "takes no addons") {
				t.Errorf("nothing could be changed, and yet: %v", err)
			}
			b.Close()
			continue
		}
		img := rebuild(t, base, made, step)
		said := strings.Join(img.Report.Warnings, "\n")
		if !strings.Contains(said, "quiet stays") || !strings.Contains(said, "sign that file") {
			t.Errorf("stub %s: warnings %q", version, said)
		}
		for _, name := range []string{"@efi:/EFI/BOOT/BOOTX64.EFI", "EFI/Linux/a.efi"} {
			if got := arguments(t, made, name); got != "root=live:LABEL=UKI quiet" {
				t.Errorf("%s changed: %q", name, got)
			}
			if got := arguments(t, made, pe.AddonDir(name)+"/isolayer.addon.efi"); got != "console=ttyS0" {
				t.Errorf("addon of %s: %q", name, got)
			}
		}
	}
}

// TestUnifiedBoot: systemd's stub, started by firmware, hands the new arguments to a real
// kernel.
func TestUnifiedBoot(t *testing.T) {
	if testing.Short() || os.Getenv("ISOLAYER_SOAK") == "" {
		t.Skip("boots a virtual machine; set ISOLAYER_SOAK")
	}
	kernel, initrd := isotest.Payload(t)
	sections := map[string]string{".cmdline": localFile(t, "cmdline", "console=ttyS0,115200 quiet"), ".linux": kernel, ".initrd": initrd}
	base := unifiedImage(t, unified(t, t.TempDir(), "252", false, sections))
	made := filepath.Join(t.TempDir(), "made.iso")
	rebuild(t, base, made, edit.Kargs{Args: []string{"marker=" + strings.Repeat("x", 700)}})
	isotest.Boot(t, made, qemu.UEFI, qemu.CD, "CORPUS-BOOT-OK", "marker="+strings.Repeat("x", 700))
}
