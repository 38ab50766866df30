package verify

import (
	"errors"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/pe"
)

// maxPrograms bounds the EFI programs whose headers are read.
const maxPrograms = 16

// programs checks that firmware finds a program in a FAT image that it boots from: one at
// the path for its processor (UEFI 3.5.1.1), for that processor.
func (c *checker) programs(o *boot.Object, img *fat.Image) {
	names, err := img.List("EFI/BOOT")
	if err != nil {
		names = nil
	}
	found := 0
	for _, n := range names {
		up := strings.ToUpper(n)
		machine, ok := strings.CutPrefix(strings.TrimSuffix(up, ".EFI"), "BOOT")
		if !ok || !strings.HasSuffix(up, ".EFI") || machine == "" {
			continue
		}
		if found++; found > maxPrograms {
			break
		}
		r, size, err := img.At("EFI/BOOT/" + n)
		if err != nil {
			continue
		}
		p, err := pe.Open(r, size)
		var kind pe.Kind
		switch {
		case errors.As(err, &kind):
			c.at(Notice, o.Off, "%s: /EFI/BOOT/%s is not a program that firmware can start: %v", o.Name, n, err)
		case err == nil && known(machine) && !strings.EqualFold(p.Machine.String(), machine):
			c.at(Problem, o.Off, "%s: /EFI/BOOT/%s is a program for %s: firmware does not start it", o.Name, n, p.Machine)
		}
	}
	if found == 0 && c.promised(o) {
		c.at(Problem, o.Off, "%s: firmware finds no program: there is no /EFI/BOOT/BOOT*.EFI in it", o.Name)
	}
}

// promised reports an object that is said to be for UEFI. Firmware also looks into what is said
// to be for BIOS, but expects nothing there.
func (c *checker) promised(o *boot.Object) bool {
	return slices.ContainsFunc(o.Entries(), func(i int) bool { return c.equip.Catalog.Entries[i].Platform == boot.UEFI }) ||
		slices.ContainsFunc(c.equip.Ways(), func(w boot.Way) bool { return w.Firmware == "UEFI" && w.Medium == "disk" && w.Object == o })
}

// known reports the processors that UEFI has names for.
func known(machine string) bool {
	switch machine {
	case "X64", "IA32", "AA64", "ARM", "IA64", "RISCV64", "LOONGARCH64":
		return true
	}
	return false
}

// shown counts the entries of systemd-boot whose kernels are on its own volume: others it
// does not show.
func shown(list []*bootcfg.Config, v volume) (entries, shown int) {
	for _, cfg := range list {
		if cfg.File.Format() != bootcfg.Entry || !strings.HasPrefix(strings.ToLower(cfg.Path), "loader/entries/") {
			continue
		}
		for _, e := range cfg.File.Entries() {
			if e.Kernel == "" {
				continue
			}
			entries++
			if _, dir, err := v.Lookup(strings.TrimPrefix(e.Kernel, "/")); err == nil && !dir || strings.ContainsAny(e.Kernel, "$@{") {
				shown++
			}
		}
	}
	return entries, shown
}

// firmwareStarts reports an object that UEFI looks for its program in.
func (c *checker) firmwareStarts(o *boot.Object) bool {
	return slices.ContainsFunc(c.equip.Ways(), func(w boot.Way) bool { return w.Firmware == "UEFI" && w.Object == o })
}
