package boot

import (
	"bytes"
	"fmt"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// Replay says how to make such equipment for a new image: the entries of the catalog in
// its order, and the system area with the partitions behind the file system. notes say
// what cannot be made again.
func (e *Equipment) Replay() (s Spec, entries []EntrySpec, notes []string) {
	area := &e.System
	gpt := area.GPT != nil && area.GPT.Problem == ""
	s.Code, s.Align = CodeNone, AlignOff
	if m := area.MBR; m != nil {
		s.Code = m.Code
		e.replayMBR(&s)
	} else if area.Used && area.APM == nil && area.Foreign == "" {
		s.Code, s.Boot = CodeOther, bytes.Clone(e.area)
	}
	if gpt && area.GPT.Announced {
		if p := e.coverGPT(); p != nil && p.presetRole() == "" {
			t := p.Type
			s.GPTType = &t
		}
	}
	for _, p := range area.partitions() {
		if p.table != e.mainTable() || p.role != RoleAppended || len(s.Appended) == 4 {
			continue
		}
		a := AppendedSpec{Number: p.number, Size: p.count * sectorSize, GUID: guidBasic, Type: 0x83}
		if p.esp {
			a.GUID, a.Type = guidESP, typeESP
		} else if p.table == "GPT" {
			a.GUID = area.GPT.partition(p.number).Type
		} else if p.table == "MBR" {
			a.Type = area.MBR.partition(p.number).Type
		}
		s.Appended = append(s.Appended, a)
		s.AppendedGPT = s.AppendedGPT || p.table == "GPT" && area.GPT.Announced
	}
	for _, at := range area.SecondSuperblocks {
		s.PartitionOffset = int64(at) - 16
	}
	if e.Catalog != nil {
		for i, en := range e.Catalog.Entries {
			if m := area.MBR; m != nil && m.Code == CodeOther && m.Loader != 0 && m.Loader == en.LBA {
				s.Loads, s.LoadsSecond = i+1, m.second
			}
			entries = append(entries, e.replayEntry(i, &s))
		}
	}
	if n := int(inAPM(entries)); n > 0 && n+1 < len(area.APM.Partitions) {
		notes = append(notes, "of the Apple partition map of the base only the boot images are made again")
	}
	for _, x := range []struct {
		there bool
		what  string
	}{{area.APM != nil && inAPM(entries) == 0, "Apple partition map"}, {area.HFS != "", area.HFS + " file system"}, {area.Foreign != "", area.Foreign}} {
		if x.there {
			notes = append(notes, fmt.Sprintf("the %s of the base is not made again", x.what))
		}
	}
	return s, entries, notes
}

// replayMBR takes over code, shape and types of the MBR.
func (e *Equipment) replayMBR(s *Spec) {
	m := e.System.MBR
	s.Boot = bytes.Clone(e.area[:mbrTableOff-6])
	if s.Code == CodeNone {
		s.Boot = nil
	}
	for _, p := range m.Partitions {
		s.ForceActive = s.ForceActive || p.Active && (p.Role == RoleMarker || p.Role == RoleFileSystem && m.Code == CodeOther)
		s.Protective = s.Protective || p.First == 1 && p.Type != typeProtective
	}
	cover := e.coverMBR()
	if cover == nil {
		return
	}
	t := cover.Type
	s.MBRType = &t
	if g, ok := geometryOf(cover.EndCHS, cover.end()); ok {
		s.Heads, s.Sectors = g.heads, g.sectors
	}
	if _, ok := m.cylinderAligned(*cover); ok {
		s.Align = AlignOn
	}
}

// replayEntry says how to make entry i.
func (e *Equipment) replayEntry(i int, s *Spec) EntrySpec {
	en := e.Catalog.Entries[i]
	out := EntrySpec{
		Platform: en.Platform, Media: en.Media, NotBootable: !en.Bootable, LoadSegment: en.LoadSegment,
		Sectors: int(en.Sectors), ID: en.Section, Criteria: en.Criteria,
		InfoTable: en.Image.BootInfo != nil || en.Image.Loader == LoaderIsolinux, GRUB2: en.Image.GRUB2,
	}
	if i == 0 {
		out.ID = e.Catalog.ID
	}
	if en.Media == NoEmulation && loadSize(&en, en.Image.Size+sectorSize) != en.Sectors {
		out.Sectors = 0 // all of it, whatever it is
	}
	for _, o := range e.objects {
		if o.Appended || len(o.entries) == 0 || o.entries[0] != i { // one entry makes its partitions
			continue
		}
		for _, p := range o.partitions {
			switch {
			case p.table == "APM":
				out.APM = true
			case p.table == "GPT" && e.System.GPT.Announced:
				s.EFIPartition = s.EFIPartition || p.esp
			default:
				out.Partition = true
				out.HFSPlus = out.HFSPlus || p.table == "GPT" && e.System.GPT.partition(p.number).Type == guidHFS
			}
		}
	}
	return out
}

// AppendedEntry returns the number of the appended partition that the image of entry i
// is, 0 if it is none.
func (e *Equipment) AppendedEntry(i int) int {
	for _, o := range e.appended() {
		for _, j := range o.entries {
			for _, p := range o.partitions {
				if j == i && p.table == e.mainTable() {
					return p.number
				}
			}
		}
	}
	return 0
}

// ImageRange returns the bytes of the image of entry i.
func (e *Equipment) ImageRange(i int) Range {
	en := e.Catalog.Entries[i]
	return Range{int64(en.LBA) * iso9660.BlockSize, en.Image.Size, en.Image.Name}
}
