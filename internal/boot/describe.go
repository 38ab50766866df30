package boot

import (
	"fmt"
	"strings"
)

// layout names the class of the equipment: what boots, then the tables around it.
func (e *Equipment) layout() string {
	s := &e.System
	var parts []string
	if m := s.MBR; m != nil && (m.Code != CodeNone || len(m.Partitions) > 0) {
		switch m.Code {
		case CodeIsohybrid, CodeGRUB2:
			parts = append(parts, string(m.Code)+" MBR")
		default:
			parts = append(parts, "MBR")
		}
	}
	if s.GPT != nil {
		parts = append(parts, "GPT")
	}
	if s.APM != nil {
		parts = append(parts, "APM")
	}
	if s.HFS != "" {
		parts = append(parts, s.HFS)
	} else if e.named(RoleHFS) != "" {
		parts = append(parts, "HFS+")
	}
	if s.Foreign != "" {
		parts = append(parts, s.Foreign)
	}
	if len(parts) == 0 && s.Used && s.MBR == nil {
		parts = append(parts, "unknown system area")
	}
	if e.Catalog != nil && len(parts) > 0 && s.GPT == nil && !strings.HasSuffix(parts[0], "MBR") {
		parts = append([]string{"El Torito"}, parts...)
	}
	name := strings.Join(parts, " + ")
	switch {
	case name == "" && e.Catalog == nil:
		return "not bootable"
	case name == "":
		return "plain El Torito"
	case e.named(RoleAppended) != "":
		name += ", appended partition"
	}
	return name
}

// Describe returns the equipment in lines for people.
func (e *Equipment) Describe() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if c := e.Catalog; c != nil {
		for _, en := range c.Entries {
			add("El Torito: %s", en)
		}
	}
	s := &e.System
	if s.MBR != nil {
		add("MBR: %s", s.MBR)
	}
	if s.GPT != nil {
		add("GPT: %s", s.GPT)
	}
	if s.APM != nil {
		add("APM: %s", s.APM)
	}
	if s.HFS != "" {
		add("HFS: the image is an %s file system too", s.HFS)
	}
	if s.Foreign != "" {
		add("System area: %s", s.Foreign)
	}
	for _, at := range s.SecondSuperblocks {
		add("Second superblock: block %d", at)
	}
	return lines
}

func (en Entry) String() string {
	im := en.Image
	head := en.Platform.String()
	if !en.Bootable {
		head += " (not bootable)"
	}
	if en.Media != NoEmulation {
		head += " " + en.Media.String()
	}
	if im.Loader != "" {
		head += " " + im.Loader
	}
	var facts []string
	if im.Name != "" {
		facts = append(facts, im.Name)
	}
	facts = append(facts, fmt.Sprintf("block %d", en.LBA), fmt.Sprintf("%d sectors", en.Sectors))
	switch {
	case im.BootInfo == nil:
	case im.BootInfo.OK:
		facts = append(facts, "boot info table ok")
	default:
		facts = append(facts, "boot info table stale")
	}
	if im.GRUB2 {
		facts = append(facts, "GRUB 2 boot info")
	}
	return fmt.Sprintf("%s (%s)", head, strings.Join(facts, ", "))
}

func (m *MBR) String() string {
	parts := []string{string(m.Code)}
	if m.Code == CodeNone {
		parts[0] = "no boot code"
	} else if m.Code == CodeOther {
		parts[0] = "unknown boot code"
	}
	for _, p := range m.Partitions {
		star := ""
		if p.Active {
			star = "*"
		}
		parts = append(parts, fmt.Sprintf("%d%s type %02x %d+%d%s", p.Number, star, p.Type, p.First, p.Count, p.Role.suffix()))
	}
	return strings.Join(parts, "; ")
}

func (g *GPT) String() string {
	if g.Problem != "" {
		return "not usable: " + g.Problem
	}
	parts := []string{"not announced by the MBR"}
	if g.Announced {
		parts[0] = "announced by the MBR"
	}
	if g.SectorSize != sectorSize {
		parts[0] += fmt.Sprintf("; made for sectors of %d bytes, given as those of 512", g.SectorSize)
	}
	switch b := g.Backup; {
	case b == nil:
		parts = append(parts, "no backup")
	case b.HeaderCRC && b.ArrayCRC && b.Same:
		parts = append(parts, fmt.Sprintf("backup at sector %d ok", g.Alternate))
	default:
		parts = append(parts, fmt.Sprintf("backup at sector %d damaged", g.Alternate))
	}
	for _, p := range g.Partitions {
		parts = append(parts, fmt.Sprintf("%d %q %d-%d%s", p.Number, p.Name, p.First, p.Last, p.Role.suffix()))
	}
	return strings.Join(parts, "; ")
}

func (a *APM) String() string {
	parts := []string{fmt.Sprintf("blocks of %d bytes", a.BlockSize)}
	for _, p := range a.Partitions {
		parts = append(parts, fmt.Sprintf("%d %q %s %d+%d%s", p.Number, p.Name, p.Type, p.First, p.Count, p.Role.suffix()))
	}
	return strings.Join(parts, "; ")
}

// suffix is the role as an addition to an entry; the usual one is left out.
func (r Role) suffix() string {
	if r == RoleFileSystem {
		return ""
	}
	return " " + string(r)
}
