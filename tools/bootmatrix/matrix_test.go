//go:build bootmatrix

// Package bootmatrix boots images and what isolayer makes of them, in every way that
// firmware of PCs has, and writes the table of docs/boot-matrix.md.
package bootmatrix

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/qemu"
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
	{"memtest86+x64", map[qemu.Firmware]string{qemu.BIOS: "Memtest86+", qemu.UEFI: "BdsDxe: starting Boot"}},
}

// kinds are the changes, in the order of the columns.
var kinds = []struct {
	name, column string
	steps        func(t *testing.T, base string) []isolayer.Step
}{
	{"a", "a small file added", func(t *testing.T, base string) []isolayer.Step {
		return []isolayer.Step{isolayer.Add{Source: file(t, "small.cfg", []byte("small\n"))}}
	}},
	{"b", "300 MiB of files added", func(t *testing.T, base string) []isolayer.Step {
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
		return []isolayer.Step{isolayer.Add{Source: dir, Dest: "/extra"}}
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
func removeHalf(t *testing.T, base string) []isolayer.Step {
	var steps []isolayer.Step
	n := 0
	for p, x := range isotest.Bsdtar(t, base) {
		if x.Type != 'f' || !strings.HasPrefix(p, "pool/") && !strings.HasPrefix(p, "Packages/") && !strings.HasPrefix(p, "boot/grub/locale/") {
			continue
		}
		if n++; n%2 == 0 {
			steps = append(steps, isolayer.Remove{Pattern: "/" + p})
		}
	}
	return steps
}

// replaceConfiguration adds an argument to the kernel's command line: in the files of
// the tree, and in the EFI system partition, where another loader of Debian's takes
// its configuration from.
func replaceConfiguration(t *testing.T, base string) []isolayer.Step {
	var steps []isolayer.Step
	for _, p := range []string{"isolinux/isolinux.cfg", "boot/grub/grub.cfg"} {
		text, ok := content(t, base, "/"+p)
		if !ok {
			continue
		}
		text = strings.ReplaceAll(text, "check=", "matrix=tree check=")
		steps = append(steps, isolayer.Add{Source: file(t, filepath.Base(p), []byte(text)), Dest: "/" + p})
	}
	esp, ok := content(t, base, "@efi")
	if !ok || len(steps) == 0 {
		return steps
	}
	img := file(t, "esp.img", []byte(esp))
	cfg := file(t, "grub.cfg", []byte(`serial --unit=0 --speed=115200
terminal_output serial console
search --no-floppy --file --set=root /images/pxeboot/vmlinuz
linux /images/pxeboot/vmlinuz console=ttyS0,115200 matrix=esp check=/ks.cfg
initrd /images/pxeboot/initrd.img
boot
`))
	isotest.Run(t, "mcopy", "-o", "-i", img, "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "::EFI/BOOT/grubx64.efi")
	_ = exec.Command(isotest.Tool(t, "mmd"), "-D", "s", "-i", img, "::EFI/debian").Run() // it may be there; mcopy will say
	isotest.Run(t, "mcopy", "-o", "-i", img, cfg, "::EFI/debian/grub.cfg")
	return append(steps, isolayer.Add{Source: img, Dest: "@efi"})
}

// content reads a file or boot equipment of an image.
func content(t *testing.T, image, name string) (string, bool) {
	t.Helper()
	dir := t.TempDir()
	b, err := isolayer.Open(image, isolayer.OpenOptions{})
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
	write(t, rows)
}

func make1(t *testing.T, base string, steps []isolayer.Step) string {
	t.Helper()
	b, err := isolayer.Open(base, isolayer.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := b.Build(steps, isolayer.Options{MediaCheck: isolayer.MediaStrip})
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
	took, ok := r.boot(t, bar, base, marker, "matrix=")
	if !ok {
		r.base = "does not boot"
		return
	}
	r.base = took
	for i, k := range kinds {
		want, not := marker, "matrix="
		if k.name == "d" {
			if !ours {
				r.results[i] = "–"
				continue
			}
			want, not = "matrix=tree", "matrix=esp"
			if r.firmware == qemu.UEFI {
				want, not = not, want
			}
		}
		took, ok := r.boot(t, bar, built[k.name], want, not)
		if r.results[i] = took; !ok {
			r.results[i] = "FAILED"
			t.Errorf("%s %s %s: the rebuilt image (%s) does not boot, the base does", r.image, r.firmware, r.media, k.name)
		}
	}
}

func (r *row) boot(t *testing.T, bar chan struct{}, image, want, not string) (string, bool) {
	bar <- struct{}{}
	defer func() { <-bar }()
	res, err := qemu.Run(context.Background(), image, qemu.Options{
		Firmware: r.firmware, Media: r.media, Memory: 768, Expect: []string{want}, Timeout: 2 * time.Minute, NoKVM: true,
	})
	if err != nil {
		t.Errorf("%s %s %s: %v", r.image, r.firmware, r.media, err)
		return "", false
	}
	line := ""
	for l := range strings.Lines(res.Console) {
		if strings.Contains(l, kernel) {
			line = l
		}
	}
	if strings.Contains(line, not) {
		t.Errorf("%s %s %s: the kernel's command line is %q", r.image, r.firmware, r.media, line)
		return "", false
	}
	return fmt.Sprintf("%.0f s", res.Took.Seconds()), len(res.Missing) == 0
}

// write makes the table.
func write(t *testing.T, rows []*row) {
	var b strings.Builder
	fmt.Fprintf(&b, `# Boot matrix

Made by `+"`make boot-matrix`"+` on %s, QEMU without KVM on %d processors. The figure is the
time until the kernel of the test image showed its command line (`+"`/proc/cmdline`"+`), for
grub-rescue, iPXE and memtest86+ until their own text stood on the screen (memtest86+
with UEFI: until the firmware started it).

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
			if strings.HasSuffix(x, " s") {
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
