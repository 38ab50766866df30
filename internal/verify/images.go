package verify

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// bootImages checks the boot catalog and the images it names.
func (c *checker) bootImages() (string, error) {
	c.bootFindings(bootFinding)
	cat := c.equip.Catalog
	if cat == nil {
		if c.img.BootCatalog() == 0 {
			return "none", nil
		}
		return "", nil
	}
	c.oneSided()
	var parts []string
	for i, en := range cat.Entries {
		name := fmt.Sprintf("boot image %d", i+1)
		if en.Bootable {
			c.loadSize(name, en)
			c.loaderTables(name, en)
		}
		text := en.Platform.String()
		if en.Image.Name == "" {
			text += " (in no directory)"
		} else {
			text += " " + en.Image.Name
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", "), nil
}

// oneSided reports firmware that boots the image on one kind of medium only, where other
// firmware boots it on both kinds, or on the other.
func (c *checker) oneSided() {
	starts := map[[2]string]bool{}
	for _, w := range c.equip.Ways() {
		starts[[2]string{w.Medium, w.Firmware}] = true
		starts[[2]string{w.Medium}] = true
	}
	if !starts[[2]string{"CD"}] || !starts[[2]string{"disk"}] {
		return
	}
	for _, firmware := range []string{"BIOS", "UEFI"} {
		switch cd, disk := starts[[2]string{"CD", firmware}], starts[[2]string{"disk", firmware}]; {
		case cd && !disk && firmware == "UEFI":
			c.add(Notice, "UEFI: no partition table names the EFI program's image, the boot catalog does: it boots as CD, and not with every firmware from a memory stick", nil, Finding{})
		case cd && !disk:
			c.add(Notice, "BIOS: boots as CD, but not from a memory stick: sector 0 has no code that leads to the boot image", nil, Finding{})
		case disk && !cd:
			c.add(Notice, "%s: boots from a memory stick, but not as CD: the boot catalog has no image for it", []any{firmware}, Finding{})
		}
	}
}

// loadSize checks how much firmware is told to load. UEFI takes 0 and 1 as all
// there is, and else counts in blocks where the medium has blocks of 2048 bytes.
func (c *checker) loadSize(name string, en boot.Entry) {
	count, size := int64(en.Sectors), en.Image.Size
	switch {
	case en.Platform == boot.UEFI && count > 1 && count*iso9660.BlockSize < size && en.Image.SizeFrom != "load size":
		c.at(Notice, en.Off+6, "%s, sector count: %d, too few for its %d bytes in any unit", name, count, size)
	case en.Platform == boot.BIOS && en.Media == boot.NoEmulation && count == 0:
		c.at(Problem, en.Off+6, "%s, sector count: 0, firmware loads nothing", name)
	case en.Platform == boot.BIOS && en.Media == boot.NoEmulation && roundUp(size, iso9660.BlockSize) < count*sectorSize:
		c.at(Notice, en.Off+6, "%s, sector count: %d, but it has %d bytes", name, count, size)
	}
}

// loaderTables checks that a loader which finds itself by a table has one.
func (c *checker) loaderTables(name string, en boot.Entry) {
	loader := en.Image.Loader
	if en.Media != boot.NoEmulation || loader != boot.LoaderIsolinux && loader != boot.LoaderGRUB2 {
		return
	}
	at := en.LBA.Offset()
	if en.Image.BootInfo == nil {
		c.at(Problem, at+8, "%s: %s without a boot info table that names its block, %d: it cannot find the rest of itself", name, loader, en.LBA)
	}
	m := c.equip.System.MBR
	if loader == boot.LoaderGRUB2 && m != nil && m.Code == boot.CodeGRUB2 && m.Loader == en.LBA && !en.Image.GRUB2 {
		c.at(Problem, at+2548, "%s: GRUB 2 does not have its own address here, and does not start from a disk", name)
	}
}

// fatNames returns the labels and serial numbers of FAT boot images, as their
// first sectors tell them.
func (c *checker) fatNames() (labels, ids []string, err error) {
	if c.equip.Catalog == nil {
		return nil, nil, nil
	}
	for _, en := range c.equip.Catalog.Entries {
		if l := en.Image.Loader; l != boot.LoaderESP && l != boot.LoaderFAT {
			continue
		}
		b, err := c.in.read(en.LBA.Offset(), sectorSize)
		if err != nil {
			return nil, nil, err
		}
		if len(b) < sectorSize {
			continue
		}
		at := 39 // FAT12 and FAT16
		if string(b[82:85]) == "FAT" {
			at = 67
		}
		serial := binary.LittleEndian.Uint32(b[at:])
		labels = append(labels, strings.TrimRight(string(b[at+4:at+15]), " "))
		ids = append(ids, fmt.Sprintf("%04X-%04X", serial>>16, serial&0xffff))
	}
	return labels, ids, nil
}
