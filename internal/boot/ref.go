package boot

import (
	"fmt"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// Ref is an address field of the equipment and what it points at.
type Ref struct {
	Off    int64   `json:"offset"` // of the field in the image
	Field  string  `json:"field"`  // structure and field
	To     int64   `json:"to"`     // byte offset in the image
	Object *Object `json:"-"`      // that lies there
}

// Refs lists every address that points at an object, in the order of the fields:
// system area, boot record, catalog, boot images, backup GPT. Addresses of ends are
// not among them.
func (e *Equipment) Refs() []Ref {
	var refs []Ref
	add := func(off int64, to int64, format string, args ...any) {
		for _, o := range e.objects {
			if o.Off == to {
				refs = append(refs, Ref{off, fmt.Sprintf(format, args...), to, o})
			}
		}
	}
	s := &e.System
	for _, f := range foreignRefs(s.Foreign, e.area) {
		add(f.at.off, f.at.get(e.area), "%s, %s", s.Foreign, f.name)
	}
	if s.MBR != nil && s.MBR.Loader != 0 {
		add(mbrLoaderOff, s.MBR.Loader.Offset(), "MBR, boot image address")
	}
	for _, p := range s.partitions() {
		add(e.endField(p)+firstFromEnd[p.table], p.first*sectorSize, "%s, start", p.name())
	}
	if c := e.Catalog; c != nil {
		add(17*iso9660.BlockSize+71, c.LBA.Offset(), "boot record, catalog")
		for i, en := range c.Entries {
			add(en.Off+8, en.LBA.Offset(), "boot catalog, entry %d", i+1)
		}
		for i, en := range c.Entries {
			if t := en.Image.BootInfo; t != nil {
				add(en.LBA.Offset()+12, t.LBA.Offset(), "boot info table of entry %d", i+1)
			}
			if en.Image.GRUB2 {
				add(en.LBA.Offset()+grub2InfoOff, en.LBA.Offset(), "GRUB 2 boot info of entry %d", i+1)
			}
		}
	}
	if g := s.GPT; g != nil && g.Backup != nil {
		for _, p := range g.Partitions {
			add(g.Backup.Array*sectorSize+int64(p.Number-1)*gptEntrySize+32, p.First*sectorSize, "backup GPT partition %d, start", p.Number)
		}
	}
	return refs
}

// firstFromEnd is where a table has the start of a partition, seen from the field
// which says its end or size.
var firstFromEnd = map[string]int64{"MBR": -4, "GPT": -8, "APM": -4}
