package boot

import (
	"fmt"
	"slices"
)

// Way is one way that the image boots, as far as its equipment says.
type Way struct {
	Medium   string `json:"medium"`   // CD or disk; a USB stick is a disk
	Firmware string `json:"firmware"` // BIOS or UEFI
	By       string `json:"by"`       // what is started
	// Object holds what firmware starts; nil where it is code in sector 0.
	Object *Object `json:"-"`
}

// Ways lists on which media and firmware of PCs the image boots. It goes by the
// equipment alone: files that boot loaders want are not looked for.
func (e *Equipment) Ways() []Way {
	var ways []Way
	for _, p := range []Platform{BIOS, UEFI} {
		i := e.firstOf(p)
		if i < 0 && p == UEFI {
			i = e.disguised()
		}
		if i >= 0 {
			en := e.Catalog.Entries[i]
			by := en.Image.Loader
			if by == "" {
				by = "boot image"
			}
			o, _ := e.Find(fmt.Sprintf("@boot%d", i+1))
			ways = append(ways, Way{"CD", p.String(), by, o})
		}
	}
	if m := e.System.MBR; m != nil && m.Code != CodeNone && e.startable(m) {
		by := string(m.Code) + " MBR"
		if m.Code == CodeOther {
			by = "MBR"
		}
		ways = append(ways, Way{"disk", "BIOS", by, nil})
	}
	for _, o := range e.objects {
		for _, p := range o.partitions {
			if p.esp && (p.table == "MBR" || e.System.GPT.Announced) {
				return append(ways, Way{"disk", "UEFI", p.table + " EFI system partition", o})
			}
		}
	}
	return ways
}

// disguised returns the entry of a FAT image that is said to be for BIOS, -1 if there is
// none: firmware looks into it for an EFI program all the same. Images of SUSE rely on it.
func (e *Equipment) disguised() int {
	if e.Catalog == nil {
		return -1
	}
	return slices.IndexFunc(e.Catalog.Entries, func(en Entry) bool {
		return en.Bootable && en.Media == NoEmulation && en.Image.Loader == LoaderFAT
	})
}

// startable reports whether code in sector 0 has what it loads: that of isolinux and
// GRUB leads to a boot image.
func (e *Equipment) startable(m *MBR) bool {
	if m.Code == CodeOther {
		return true
	}
	for _, o := range e.objects {
		if o.Off == m.Loader.Offset() {
			return true
		}
	}
	return false
}
