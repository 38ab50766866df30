package verify

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	sectorSize = 512
	// typeProtective announces a GPT (UEFI 5.2.3).
	typeProtective = 0xee
	// gptFields is the part of a GPT header that primary and backup have in common:
	// usable range and disk GUID.
	gptFieldsFrom, gptFieldsTo = 40, 72
)

// partRange is a partition in bytes.
type partRange struct {
	from, to int64
	name     string
	role     boot.Role
}

// partitionRanges lists the partitions of all tables.
func partitionRanges(s *boot.System) (out []partRange) {
	add := func(table string, number int, first, count int64, role boot.Role) {
		out = append(out, partRange{first * sectorSize, (first + count) * sectorSize, fmt.Sprintf("%s partition %d", table, number), role})
	}
	if s.MBR != nil {
		for _, p := range s.MBR.Partitions {
			add("MBR", p.Number, int64(p.First), int64(p.Count), p.Role)
		}
	}
	if s.GPT != nil {
		for _, p := range s.GPT.Partitions {
			add("GPT", p.Number, p.First, p.Last-p.First+1, p.Role)
		}
	}
	if s.APM != nil {
		for _, p := range s.APM.Partitions {
			add("APM", p.Number, p.First, p.Count, p.Role)
		}
	}
	return out
}

// partitions checks MBR, GPT and Apple partition map.
func (c *checker) partitions() (string, error) {
	s := &c.equip.System
	c.bootFindings(func(where string) bool { return !bootFinding(where) })
	c.mbr()
	if g := s.GPT; g != nil && g.Problem == "" {
		if err := c.gpt(g); err != nil {
			return "", err
		}
	}
	if s.APM != nil {
		for _, p := range c.parts {
			if strings.HasPrefix(p.name, "APM") && p.to > roundUp(c.in.size, iso9660.BlockSize) {
				c.at(Notice, 0, "%s: passes the end of the image", p.name)
			}
		}
	}
	if !s.Used {
		return "none", nil
	}
	return c.equip.Layout, nil
}

// bootFinding reports whether a finding of package boot is about the catalog and
// its images rather than about tables.
func bootFinding(where string) bool {
	for _, prefix := range []string{"GPT", "MBR partition", "APM", "system area"} {
		if strings.HasPrefix(where, prefix) {
			return false
		}
	}
	return true
}

// bootFindings adds the findings of package boot that are chosen. A GPT that the
// MBR does not announce is read by nobody: its faults are notices.
func (c *checker) bootFindings(chosen func(where string) bool) {
	for _, f := range c.equip.Findings {
		if !chosen(f.Where) || strings.HasPrefix(f.Where, "primary volume descriptor") {
			continue
		}
		s := Problem
		switch {
		case f.Kind == iso9660.ErrUnsupported, f.Kind == iso9660.ErrLimit, strings.Contains(f.Text, "neither with"):
			s = Notice
		case strings.HasPrefix(f.Where, "GPT"):
			s = c.gptSeverity()
		}
		c.at(s, f.Off, "%s: %s", f.Where, f.Text)
	}
}

func (c *checker) gptSeverity() Severity {
	if g := c.equip.System.GPT; g != nil && !g.Announced {
		return Notice
	}
	return Problem
}

// sectors is the length of the image in sectors; a part of one counts as whole.
func (c *checker) sectors() int64 { return (c.in.size + sectorSize - 1) / sectorSize }

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// mbr checks that the entries lie in the image and do not overlap, but for the
// usual nesting: partitions inside the one over the file system.
func (c *checker) mbr() {
	m := c.equip.System.MBR
	if m == nil {
		return
	}
	for i, p := range m.Partitions {
		off := int64(446 + 16*(p.Number-1))
		end := int64(p.First) + int64(p.Count)
		switch {
		case p.Type == typeProtective:
			c.protective(p, off)
		case p.Status&0x7f != 0:
			c.at(Problem, off, "MBR partition %d, status: %02x", p.Number, p.Status)
		case end > c.sectors():
			c.at(Problem, off+12, "MBR partition %d: ends at sector %d, the image has %d", p.Number, end, c.sectors())
		}
		for _, q := range m.Partitions[:i] {
			if int64(q.First) < end && int64(p.First) < int64(q.First)+int64(q.Count) && !nested(p.Role, q.Role) && !nested(q.Role, p.Role) {
				c.at(Problem, off+8, "MBR partitions %d and %d overlap", q.Number, p.Number)
			}
		}
	}
}

// larger reports an image on a larger file or device, such as a memory stick: its backup GPT
// is whole, and all that it consists of ends in front of that.
func (c *checker) larger() bool {
	g := c.equip.System.GPT
	if g == nil || g.Problem != "" || g.Backup == nil || !g.Backup.HeaderCRC || !g.Backup.ArrayCRC || !g.Backup.Same {
		return false
	}
	end := g.Alternate*sectorSize + g.SectorSize
	if end >= c.in.size || int64(c.img.Primary().SpaceSize())*iso9660.BlockSize > end {
		return false
	}
	return !slices.ContainsFunc(c.parts, func(p partRange) bool { return p.to > end && p.role != boot.RoleProtective })
}

// nested reports whether partitions of these roles may overlap.
func nested(inner, outer boot.Role) bool {
	switch inner {
	case boot.RoleMarker:
		return true
	case boot.RoleInside, boot.RoleHFS, boot.RoleGap:
		return outer == boot.RoleFileSystem || outer == boot.RoleProtective
	case boot.RoleFileSystem, boot.RoleAppended:
		return outer == boot.RoleProtective
	}
	return false
}

// protective checks the entry that announces a GPT (UEFI 5.2.3).
func (c *checker) protective(p boot.MBRPartition, off int64) {
	first, count := p.Sectors()
	end := first + count
	switch {
	case c.equip.System.GPT == nil:
		c.at(Problem, off, "MBR partition %d: announces a GPT, but there is none", p.Number)
	case p.First != 1:
		c.at(Problem, off+8, "MBR partition %d: the protective partition begins at sector %d, not 1", p.Number, p.First)
	case end < c.in.size/sectorSize && c.larger():
		c.at(Notice, off+12, "MBR partition %d: the protective partition ends at sector %d, the file or device at %d: it is larger than the image", p.Number, end, c.in.size/sectorSize)
	case end != c.in.size/sectorSize && p.Count != 1<<32-1:
		c.at(Problem, off+12, "MBR partition %d: the protective partition ends at sector %d, the image at %d", p.Number, end, c.in.size/sectorSize)
	}
}

// gpt checks what package boot does not need to know.
func (c *checker) gpt(g *boot.GPT) error {
	s := c.gptSeverity()
	h, err := c.in.read(g.SectorSize, g.SectorSize)
	if err != nil {
		return err
	}
	if int64(len(h)) < g.SectorSize {
		return nil
	}
	if at := binary.LittleEndian.Uint64(h[24:]); at != 1 {
		c.at(s, g.SectorSize+24, "GPT header, own address: sector %d, not 1", at)
	}
	per := g.SectorSize / sectorSize
	arraySectors := (int64(g.Count)*int64(g.EntrySize) + g.SectorSize - 1) / g.SectorSize * per
	if g.FirstUsable < g.Array+arraySectors {
		c.at(s, g.SectorSize+40, "GPT header, first usable sector: %d is in front of the end of the array, %d", g.FirstUsable, g.Array+arraySectors)
	}
	if b := g.Backup; b != nil {
		switch last := c.in.size/sectorSize - per; {
		case g.Alternate < last && c.larger():
			c.at(Notice, g.SectorSize+32, "GPT header, backup address: sector %d, but the last one is %d: the file or device is larger than the image", g.Alternate, last)
		case g.Alternate != last:
			c.at(s, g.SectorSize+32, "GPT header, backup address: sector %d, but the last one is %d", g.Alternate, last)
		}
		if g.LastUsable >= b.Array || b.Array+arraySectors > g.Alternate {
			c.at(s, g.SectorSize+48, "GPT header, last usable sector: %d, the backup has its array at %d and its header at %d", g.LastUsable, b.Array, g.Alternate)
		}
		if err := c.gptBackup(g, h, s); err != nil {
			return err
		}
	}
	c.gptEntries(g, s)
	return nil
}

// gptBackup compares the headers; package boot compares the entries.
func (c *checker) gptBackup(g *boot.GPT, h []byte, s Severity) error {
	off := g.Alternate * sectorSize
	b, err := c.in.read(off, g.SectorSize)
	if err != nil || int64(len(b)) < g.SectorSize {
		return err
	}
	if at := binary.LittleEndian.Uint64(b[32:]); at != 1 {
		c.at(s, off+32, "GPT backup header, address of the primary: sector %d, not 1", at)
	}
	if !bytes.Equal(b[gptFieldsFrom:gptFieldsTo], h[gptFieldsFrom:gptFieldsTo]) || !bytes.Equal(b[80:88], h[80:88]) {
		c.at(s, off+gptFieldsFrom, "GPT backup header: usable range, GUID or array size differ from the primary header")
	}
	return nil
}

// gptEntries checks that the partitions lie in the usable range, one behind the
// other.
func (c *checker) gptEntries(g *boot.GPT, s Severity) {
	ps := slices.Clone(g.Partitions)
	slices.SortStableFunc(ps, func(a, b boot.GPTPartition) int { return cmp.Compare(a.First, b.First) })
	var far *boot.GPTPartition
	for i := range ps {
		p := &ps[i]
		off := g.Array*sectorSize + int64(p.Number-1)*int64(g.EntrySize)
		if p.Last < p.First {
			c.at(s, off+32, "GPT partition %d: ends at sector %d, in front of its start, %d", p.Number, p.Last, p.First)
			continue
		}
		if p.First < g.FirstUsable || p.Last > g.LastUsable {
			c.at(s, off+32, "GPT partition %d: sectors %d to %d, usable are %d to %d", p.Number, p.First, p.Last, g.FirstUsable, g.LastUsable)
		}
		if far != nil && p.First <= far.Last {
			c.at(s, off+32, "GPT partitions %d and %d overlap", far.Number, p.Number)
		}
		if far == nil || p.Last > far.Last {
			far = p
		}
	}
}
