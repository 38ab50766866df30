//go:build bootmatrix

// Package bootmatrix boots images and what isolayer makes of them, in every way that
// firmware of PCs has, and writes the table of docs/boot-matrix.md.
package bootmatrix

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/sink"
)

// kernel is what the kernel of the test images shows of its command line.
const kernel = "CORPUS-BOOT-OK"

// images are what is booted. Text is what a base without a kernel of ours shows; its
// configuration cannot be changed in a way that it would show.
var images = []struct {
	name string
	text map[qemu.Firmware]string
}{
	{"rhel-like-small", nil},
	{"rhel9-isolinux", nil},
	{"debian", nil},
	{"alpine", nil},
	{"fedora", nil},
	{"ubuntu2204", nil},
	{"ubuntu2204-pkgs", nil},
	{"arch", nil},
	{"grubrescue", nil},
	{"suse", nil},
	{"efionly-arm64style", nil},
	{"nojoliet", nil},
	{"padded-tail", nil},
	{"grub-rescue-cdrom", map[qemu.Firmware]string{qemu.BIOS: "GNU GRUB"}},
	{"ipxe", map[qemu.Firmware]string{qemu.BIOS: "iPXE initialising devices", qemu.UEFI: "iPXE initialising devices"}},
	{"memtest86+x64", map[qemu.Firmware]string{qemu.BIOS: "Memtest86+ v", qemu.UEFI: "BdsDxe: starting Boot"}},
}

// kinds are the changes, in the order of the columns.
var kinds = []struct {
	name, column string
	steps        func(t *testing.T, base string) []edit.Step
}{
	{"a", "a small file added", func(t *testing.T, base string) []edit.Step {
		return []edit.Step{edit.Add{Source: file(t, "small.cfg", []byte("small\n"))}}
	}},
	{"b", "300 MiB of files added", func(t *testing.T, base string) []edit.Step {
		dir := t.TempDir()
		for i := range 30 {
			b := make([]byte, 10<<20)
			for j := range b {
				b[j] = byte(i*31 + j*7 + j>>11)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("package-%02d.rpm", i)), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return []edit.Step{edit.Add{Source: dir, Dest: "/extra"}}
	}},
	{"c", "half of the other files removed", removeHalf},
	{"d", "boot configuration and ESP replaced", replaceConfiguration},
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// removeHalf takes away every second file that no boot configuration names.
func removeHalf(t *testing.T, base string) []edit.Step {
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	var steps []edit.Step
	count := 0
	if err := tr.Walk(func(n *tree.Node) error {
		p := n.Path()
		if !n.IsRegular() || !strings.HasPrefix(p, "/pool/") && !strings.HasPrefix(p, "/Packages/") && !strings.HasPrefix(p, "/boot/grub/locale/") {
			return nil
		}
		if count++; count%2 == 0 {
			steps = append(steps, edit.Remove{Pattern: p})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return steps
}

// replaceConfiguration adds an argument to the kernel's command line, in the files of
// the tree and in the EFI system partition. That becomes larger, and gets a loader
// that looks for its configuration there; where GRUB takes the CD for the device it
// was started from, it finds the one in the tree.
func replaceConfiguration(t *testing.T, base string) []edit.Step {
	var steps []edit.Step
	for _, p := range []string{"isolinux/isolinux.cfg", "boot/grub/grub.cfg", "EFI/BOOT/grub.cfg", "EFI/debian/grub.cfg"} {
		text, ok := content(t, base, "/"+p)
		if ok {
			text = strings.ReplaceAll(text, "check=", "matrix=tree check=")
			steps = append(steps, edit.Add{Source: file(t, filepath.Base(p), []byte(text)), Dest: "/" + p})
		}
	}
	esp, ok := content(t, base, "@efi")
	if !ok || len(steps) == 0 {
		return steps
	}
	old, img := file(t, "old.img", []byte(esp)), file(t, "esp.img", make([]byte, 16<<20))
	isotest.Run(t, "mkfs.vfat", "-n", "ESP", img)
	dir := t.TempDir()
	isotest.Run(t, "mcopy", "-s", "-n", "-i", old, "::EFI", dir)
	write := func(p string, b []byte) {
		p = filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	loader, err := os.ReadFile("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")
	if err != nil {
		t.Fatal(err)
	}
	write("EFI/BOOT/grubx64.efi", loader)
	write("EFI/debian/grub.cfg", grubConfig("esp"))
	isotest.Run(t, "mcopy", "-s", "-i", img, filepath.Join(dir, "EFI"), "::")
	return append(steps, edit.Add{Source: img, Dest: "@efi"},
		edit.Add{Source: file(t, "grub.cfg", grubConfig("tree")), Dest: "/EFI/debian/grub.cfg"})
}

func grubConfig(where string) []byte {
	return []byte(`serial --unit=0 --speed=115200
terminal_output serial console
search --no-floppy --file --set=root /images/pxeboot/vmlinuz
linux /images/pxeboot/vmlinuz console=ttyS0,115200 matrix=` + where + ` check=/ks.cfg
initrd /images/pxeboot/initrd.img
boot
`)
}

// content reads a file or boot equipment of an image.
func content(t *testing.T, image, name string) (string, bool) {
	t.Helper()
	dir := t.TempDir()
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if strings.HasPrefix(name, "@") {
		r, err := b.Object(name)
		if err != nil {
			return "", false
		}
		p := make([]byte, r.Size())
		if _, err := r.ReadAt(p, 0); err != nil {
			t.Fatal(err)
		}
		return string(p), true
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	n, err := tr.Lookup(name)
	if err != nil {
		return "", false
	}
	r, size, err := b.Open(n)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, size)
	if _, err := r.ReadAt(p, 0); err != nil {
		t.Fatal(dir, err)
	}
	return string(p), true
}

// row is one way to boot one image.
type row struct {
	image    string
	firmware qemu.Firmware
	media    qemu.Media
	base     string
	results  [4]string
}

// TestMatrix boots everything and writes the table. Wherever the base reaches its
// marker, all that is made of it must.
func TestMatrix(t *testing.T) {
	var rows []*row
	defer func() { write(t, rows) }()
	bar := make(chan struct{}, 2) // machines at a time
	for _, im := range images {
		base := isotest.Image(t, im.name)
		built := map[string]string{}
		for _, k := range kinds {
			built[k.name] = make1(t, base, k.steps(t, base))
		}
		var wg sync.WaitGroup
		for _, f := range []qemu.Firmware{qemu.BIOS, qemu.UEFI} {
			for _, m := range []qemu.Media{qemu.CD, qemu.Disk} {
				r := &row{image: im.name, firmware: f, media: m}
				rows = append(rows, r)
				marker := kernel
				if im.text != nil {
					if marker = im.text[f]; marker == "" {
						r.base = "does not boot"
						continue
					}
				}
				wg.Go(func() { r.run(t, bar, base, built, marker, im.text == nil) })
			}
		}
		wg.Wait()
		for _, p := range built {
			os.Remove(p)
		}
	}
}

func make1(t *testing.T, base string, steps []edit.Step) string {
	t.Helper()
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(t.Context(), b, steps, stage.Options{MediaCheck: stage.MediaStrip})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.iso")
	if _, err := img.WriteFile(context.Background(), out, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	return out
}

// run boots the base, and if that works what was made of it.
func (r *row) run(t *testing.T, bar chan struct{}, base string, built map[string]string, marker string, ours bool) {
	took, ok := r.boot(t, bar, base, marker)
	if !ok {
		r.base = "does not boot"
		return
	}
	r.base = took
	for i, k := range kinds {
		want := marker
		if k.name == "d" {
			if !ours {
				r.results[i] = "–"
				continue
			}
			want = "matrix="
		}
		took, ok := r.boot(t, bar, built[k.name], want)
		if r.results[i] = took; !ok {
			r.results[i] = "FAILED"
			t.Errorf("%s %s %s: the rebuilt image (%s) does not boot, the base does", r.image, r.firmware, r.media, k.name)
		}
	}
}

var matrix = regexp.MustCompile(kernel + ".* matrix=([a-z]+)")

// boot waits for a text; which configuration the kernel came from is added to the time.
func (r *row) boot(t *testing.T, bar chan struct{}, image, want string) (string, bool) {
	bar <- struct{}{}
	defer func() { <-bar }()
	expect := []string{want}
	if want == "matrix=" {
		expect = append(expect, kernel)
	}
	res, err := qemu.Run(context.Background(), image, qemu.Options{
		Firmware: r.firmware, Media: r.media, Memory: 768, Expect: expect, Timeout: 2 * time.Minute, NoKVM: true,
	})
	if err != nil {
		t.Errorf("%s %s %s: %v", r.image, r.firmware, r.media, err)
		return "", false
	}
	from := ""
	if m := matrix.FindStringSubmatch(res.Console); m != nil {
		from = " (" + m[1] + ")"
	}
	return fmt.Sprintf("%.0f s%s", res.Took.Seconds(), from), len(res.Missing) == 0
}

// write makes the table.
func write(t *testing.T, rows []*row) {
	var b strings.Builder
	fmt.Fprintf(&b, `# Boot matrix

Made by `+"`make boot-matrix`"+` on %s, QEMU without KVM on %d processors. The figure is the
time until the kernel of the test image showed its command line (`+"`/proc/cmdline`"+`), for
grub-rescue, iPXE and memtest86+ until their own text stood on the screen (memtest86+
with UEFI: until the firmware started it). In the last column stands where the kernel's
command line came from: the tree or the EFI system partition.

`, time.Now().UTC().Format("2006-01-02"), runtime.NumCPU())
	b.WriteString("| image | firmware | as | base |")
	for _, k := range kinds {
		fmt.Fprintf(&b, " %s |", k.column)
	}
	b.WriteString("\n|---|---|---|---|---|---|---|---|\n")
	boots := 0
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |", r.image, r.firmware, r.media, r.base)
		for _, x := range r.results {
			fmt.Fprintf(&b, " %s |", x)
			if strings.Contains(x, " s") {
				boots++
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\n%d boots of rebuilt images.\n", boots)
	if err := os.WriteFile("../../docs/boot-matrix.md", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
