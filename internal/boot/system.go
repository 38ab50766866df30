package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// System is what the first 32 KiB of the image hold (ECMA-119 6.2.1 leaves them
// to the system).
type System struct {
	Used bool `json:"used"` // any byte is not zero
	MBR  *MBR `json:"mbr,omitempty"`
	GPT  *GPT `json:"gpt,omitempty"`
	APM  *APM `json:"apm,omitempty"`
	// HFS names a file system of Apple which shares the image: "HFS" or "HFS+".
	HFS string `json:"hfs,omitempty"`
	// Foreign names the boot block of a machine other than PC and Mac.
	Foreign string `json:"foreign,omitempty"`
	// SecondSuperblocks are the blocks of further primary descriptors, found where
	// a reader of a partition alone would look for them.
	SecondSuperblocks []iso9660.LBA `json:"second_superblocks,omitempty"`
}

// Role is what a partition is to the image.
type Role string

// The roles. A partition has the first one that fits.
const (
	// RoleProtective announces a GPT to readers of MBRs only (type EE).
	RoleProtective Role = "protective"
	// RoleMarker ends within the system area: it carries a flag, no data.
	RoleMarker Role = "marker"
	// RoleFileSystem contains the first volume descriptor at sector 64, or a second
	// set of descriptors.
	RoleFileSystem Role = "file system"
	// RoleHFS is a partition of type HFS+.
	RoleHFS Role = "HFS+"
	// RoleGap fills the space between others; libisofs names it Gap0, Gap1, ….
	RoleGap Role = "gap"
	// RoleInside starts in front of the end of files and directories, or lies inside
	// the file system partition of its table.
	RoleInside Role = "inside"
	// RoleAppended starts behind the volume, or behind the file system partition of
	// its table and at no file of the tree.
	RoleAppended Role = "appended"
	// RoleUnknown is none of these.
	RoleUnknown Role = "unknown"
)

// partition is an entry of any table in sectors.
type partition struct {
	table        string
	number       int // counted from 1
	first, count int64
	role         Role
	esp          bool // its type is that of an EFI system partition
}

func (p partition) end() int64   { return p.first + p.count }
func (p partition) name() string { return fmt.Sprintf("%s partition %d", p.table, p.number) }

// partitions lists the entries of all tables.
func (s *System) partitions() []partition {
	var ps []partition
	if s.MBR != nil {
		for _, p := range s.MBR.Partitions {
			first, count := p.Sectors()
			ps = append(ps, partition{"MBR", p.Number, first, count, p.Role, p.Type == typeESP})
		}
	}
	if s.GPT != nil {
		for _, p := range s.GPT.Partitions {
			ps = append(ps, partition{"GPT", p.Number, p.First, p.count(), p.Role, p.Type == guidESP})
		}
	}
	if s.APM != nil {
		for _, p := range s.APM.Partitions {
			ps = append(ps, partition{"APM", p.Number, p.First, p.Count, p.Role, false})
		}
	}
	return ps
}

// readSystemArea reads all tables of the system area.
func (e *Equipment) readSystemArea() error {
	b, err := e.in.read(0, systemAreaSize)
	if err != nil {
		return err
	}
	e.area = make([]byte, systemAreaSize)
	copy(e.area, b)
	s := &e.System
	s.Used = !zero(e.area)
	s.MBR = parseMBR(e.area)
	s.APM = parseAPM(e.area)
	s.HFS = hfs(e.area)
	s.Foreign = foreign(e.area)
	if err := e.readGPT(); err != nil {
		return err
	}
	e.checkUnknown()
	return nil
}

// checkUnknown reports bytes that belong to nothing known. They stay as they are
// in every result, so they do no harm.
func (e *Equipment) checkUnknown() {
	s := &e.System
	tables := s.MBR != nil && (s.MBR.Code != CodeNone || len(s.MBR.Partitions) > 0)
	if s.Used && !tables && s.GPT == nil && s.APM == nil && s.HFS == "" && s.Foreign == "" {
		e.find(0, "system area", iso9660.ErrUnsupported, "it holds bytes, but no table known to isolayer")
	}
}

// hfs returns which volume header of Apple lies at byte 1024.
func hfs(area []byte) string {
	switch string(area[1024:1026]) {
	case "BD":
		return "HFS"
	case "H+", "HX":
		return "HFS+"
	}
	return ""
}

// foreign names the boot block of a machine that is neither PC nor Mac.
func foreign(area []byte) string {
	switch {
	case binary.BigEndian.Uint16(area[508:]) == 0xdabe:
		return "SUN disk label"
	case binary.BigEndian.Uint32(area) == 0x0be5a941:
		return "MIPS volume header"
	case binary.LittleEndian.Uint32(area[8:]) == 0x0002757a:
		return "MIPSel boot block"
	case bytes.HasPrefix(area, []byte("\x80\x00PALO")):
		return "HP-PA boot block"
	case alpha(area):
		return "Alpha boot block"
	}
	return ""
}

// alpha tests the checksum that SRM consoles want in the first sector.
func alpha(area []byte) bool {
	sum := uint64(0)
	for i := 0; i < 504; i += 8 {
		sum += binary.LittleEndian.Uint64(area[i:])
	}
	length, start := binary.LittleEndian.Uint64(area[480:]), binary.LittleEndian.Uint64(area[488:])
	return length != 0 && start != 0 && sum == binary.LittleEndian.Uint64(area[504:])
}

// assignRoles classifies the partitions of each table, for which the catalog is known.
func (e *Equipment) assignRoles() {
	s := &e.System
	if s.MBR != nil {
		roles := e.roles(s.partitions(), "MBR", func(i int) Role {
			if s.MBR.Partitions[i].Type == typeProtective {
				return RoleProtective
			}
			return ""
		})
		for i := range s.MBR.Partitions {
			s.MBR.Partitions[i].Role = roles[i]
		}
	}
	if s.GPT != nil {
		roles := e.roles(s.partitions(), "GPT", func(i int) Role {
			p := s.GPT.Partitions[i]
			if role := p.presetRole(); role != RoleHFS || !e.bootsAt(p.First) {
				return role
			}
			return "" // a boot image, by -isohybrid-gpt-hfsplus
		})
		for i := range s.GPT.Partitions {
			s.GPT.Partitions[i].Role = roles[i]
		}
	}
	if s.APM != nil {
		roles := e.roles(s.partitions(), "APM", func(i int) Role { return s.APM.Partitions[i].presetRole() })
		for i := range s.APM.Partitions {
			s.APM.Partitions[i].Role = roles[i]
		}
	}
}

// roles gives each partition of one table its role; preset has the roles that
// depend on the type of an entry. A marker or a partition over the descriptors is
// one whatever its type.
func (e *Equipment) roles(all []partition, table string, preset func(int) Role) []Role {
	var ps []partition
	for _, p := range all {
		if p.table == table {
			ps = append(ps, p)
		}
	}
	roles := make([]Role, len(ps))
	cover := partition{first: -1}
	for i, p := range ps {
		roles[i] = preset(i)
		switch {
		case roles[i] == RoleProtective:
		case p.count <= 0:
			roles[i] = RoleUnknown
		case p.end() <= systemAreaSectors:
			roles[i] = RoleMarker
		case p.first <= systemAreaSectors:
			roles[i] = RoleFileSystem
			cover = p
		}
	}
	for i, p := range ps {
		if roles[i] == "" {
			roles[i] = e.outerRole(p, cover)
		}
	}
	return roles
}

// bootsAt reports whether a boot image begins at a sector.
func (e *Equipment) bootsAt(sector int64) bool {
	return e.Catalog != nil && slices.ContainsFunc(e.Catalog.Entries, func(en Entry) bool {
		return int64(en.LBA)*perBlock == sector
	})
}

// outerRole reports whether a partition behind the descriptors lies inside the file
// system or behind it. cover is the partition of the file system, if any.
func (e *Equipment) outerRole(p, cover partition) Role {
	if at := p.first / perBlock; p.first%perBlock == 0 && at < maxBlocks {
		if _, _, ok := e.file(iso9660.LBA(at)); ok {
			return RoleInside
		}
	}
	switch {
	case p.first < e.volume.End*perBlock:
		return RoleInside
	case p.first >= e.volumeSectors():
		return RoleAppended
	case cover.first >= 0 && p.first >= cover.end():
		return RoleAppended
	case cover.first >= 0 && p.end() <= cover.end():
		return RoleInside
	}
	return RoleUnknown
}

// readSecondSuperblocks looks for a primary descriptor 16 blocks behind the start
// of each partition. Partitions starting within the system area are left out:
// there the block is one of the image's own descriptor set.
func (e *Equipment) readSecondSuperblocks() error {
	seen := map[int64]bool{0: true}
	for _, p := range e.System.partitions() {
		at := p.first/perBlock + 16
		if p.first < systemAreaSectors || p.first%perBlock != 0 || at > maxBlocks || seen[at] {
			continue
		}
		seen[at] = true
		b, err := e.in.read(at*iso9660.BlockSize, 7)
		if err != nil {
			return err
		}
		if string(b) == "\x01CD001\x01" {
			e.System.SecondSuperblocks = append(e.System.SecondSuperblocks, iso9660.LBA(at))
			e.System.setRole(p.first, RoleFileSystem)
		}
	}
	return nil
}

// setRole gives a role to all partitions that begin at a sector, but for those that
// announce a table.
func (s *System) setRole(first int64, r Role) {
	if s.MBR != nil {
		for i := range s.MBR.Partitions {
			if p := &s.MBR.Partitions[i]; int64(p.First) == first && p.Role != RoleProtective {
				p.Role = r
			}
		}
	}
	if s.GPT != nil {
		for i := range s.GPT.Partitions {
			if p := &s.GPT.Partitions[i]; p.First == first {
				p.Role = r
			}
		}
	}
	if s.APM != nil {
		for i := range s.APM.Partitions {
			if p := &s.APM.Partitions[i]; p.First == first {
				p.Role = r
			}
		}
	}
}
