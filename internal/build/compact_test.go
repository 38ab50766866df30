package build_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/stage"
)

// uncompact are images that are file systems of Apple too.
var uncompact = []string{"grubrescue", "hfs", "grub-rescue-cdrom"}

// TestCompact makes the changes of TestEveryLayout and writes everything afresh: readers
// see the same tree, and nothing that was freed takes space.
func TestCompact(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range rebuilt {
		if slices.Contains(uncompact, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			e := plan(t, isotest.Bsdtar(t, base))
			out, report := mustBuild(t, base, stage.Options{Compact: true}, e.steps...)
			if errs := isotest.BsdtarErrors(t, out); errs != "" {
				t.Errorf("bsdtar: %s", errs)
			}
			loader := func(m isotest.Manifest) isotest.Manifest { // what follows from other changes
				return m.Map(func(x isotest.Entry) isotest.Entry { return x }).Filter(func(p string, _ isotest.Entry) bool {
					return !strings.HasSuffix(p, "TRANS.TBL") && !strings.HasSuffix(p, "isolinux.bin") && !strings.HasSuffix(p, "eltorito.img") && !strings.HasSuffix(p, "loader.copy")
				})
			}
			if name != "suse" { // which bsdtar cannot read as genisoimage -f left it
				if d := e.content(loader(e.expect)).Diff(e.content(loader(isotest.Bsdtar(t, out)))); d != "" {
					t.Errorf("bsdtar reads another tree:\n%s", d)
				}
				agree(t, out)
			}
			if err := isotest.SevenZipTest(t, out); err != nil {
				t.Errorf("7z: %v", err)
			}
			sound(t, base, out)
			if name != "padded-tail" { // whose tail is left out
				sameReport(t, base, out)
			}
			kept, _ := mustBuild(t, base, stage.Options{}, e.steps...)
			if a, b := len(read(t, out)), len(read(t, kept)); a > b+8*iso9660.BlockSize { // large content lines up with file system blocks
				t.Errorf("compact has %d bytes, %d otherwise", a, b)
			}
			if len(report.Moved) > 1 {
				t.Errorf("the report lists %v", report.Moved)
			}
		})
	}
}

// TestCompactBoots starts images that were written afresh.
func TestCompactBoots(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	for _, c := range []struct {
		name string
		f    qemu.Firmware
		m    qemu.Media
		text string
	}{
		{"rhel-like-small", qemu.BIOS, qemu.USB, "CORPUS-DONE"},
		{"ubuntu2204", qemu.BIOS, qemu.Disk, "CORPUS-GRUB"},
		{"fedora", qemu.UEFI, qemu.USB, "CORPUS-GRUB"},
		{"debian", qemu.BIOS, qemu.USB, "CORPUS"},               // with an Apple partition map
		{"memtest86+x64", qemu.BIOS, qemu.Disk, "Memtest86+ v"}, // by code of its own
	} {
		// A directory of several blocks, for boot images to get other places.
		crowd := t.TempDir()
		for i := range 150 {
			must(t, os.WriteFile(filepath.Join(crowd, fmt.Sprint("file", i)), []byte("text\n"), 0o644))
		}
		out, _ := mustBuild(t, isotest.Image(t, c.name), stage.Options{Compact: true}, edit.Add{Source: crowd, Dest: "/crowd"})
		isotest.Boot(t, out, c.f, c.m, c.text)
	}
}
