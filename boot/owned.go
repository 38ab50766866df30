package boot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/iso9660"
)

// Owned returns the byte ranges of all boot equipment that must stay where it is
// and as it is: the system area, the catalog, the boot images in full, and the
// partitions other than the one over the file system. Ranges lie inside the
// image, are sorted by offset, and may overlap one another and files of the tree.
// The backup GPT is not among them, see Trailer.
func (e *Equipment) Owned() []Range {
	var rs []Range
	add := func(off, n int64, name string) {
		n = min(n, e.in.size-off)
		if n > 0 {
			rs = append(rs, Range{off, n, name})
		}
	}
	add(0, systemAreaSize, "system area")
	if c := e.Catalog; c != nil {
		add(c.LBA.Offset(), c.Blocks*iso9660.BlockSize, "boot catalog")
		for i, en := range c.Entries {
			add(en.LBA.Offset(), en.Image.Size, fmt.Sprintf("boot image %d", i+1))
		}
	}
	for _, p := range e.System.partitions() {
		switch p.role {
		case RoleInside, RoleAppended, RoleHFS, RoleUnknown:
			if p.count > 0 && p.first < e.sectors() {
				add(p.first*sectorSize, min(p.count, e.sectors())*sectorSize, p.name())
			}
		}
	}
	for _, at := range e.System.SecondSuperblocks {
		add(at.Offset(), iso9660.BlockSize, "second superblock")
	}
	slices.SortStableFunc(rs, func(a, b Range) int { return cmp.Compare(a.Off, b.Off) })
	return rs
}

// Trailer returns the bytes of the backup GPT, which Fit makes anew.
func (e *Equipment) Trailer() (Range, bool) {
	g := e.System.GPT
	if g == nil || g.Backup == nil {
		return Range{}, false
	}
	first := g.Alternate
	if a := g.Backup.Array; a < first && first-a <= g.arraySectors()+perBlock {
		first = a
	}
	return Range{first * sectorSize, (g.Alternate + 1 - first) * sectorSize, "backup GPT"}, true
}

// Unsupported tells for users why the image cannot be made larger or smaller, one
// sentence per reason; it is empty if Fit can do it.
func (e *Equipment) Unsupported() []string {
	s := &e.System
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if names := e.named(RoleAppended); names != "" {
		add("Behind the file system lies an appended partition (%s), which would have to move.", names)
	}
	if len(s.SecondSuperblocks) > 0 {
		add("A partition has a second superblock (block %d), which would have to be rewritten.", s.SecondSuperblocks[0])
	}
	if s.APM != nil {
		add("The image has an Apple partition map.")
	}
	if s.HFS != "" {
		add("The image is an %s file system too.", s.HFS)
	}
	if names := e.named(RoleHFS); names != "" {
		add("The image holds an HFS+ file system (%s).", names)
	}
	if s.Foreign != "" {
		add("The system area boots a machine that is no PC (%s).", s.Foreign)
	}
	return append(why, e.unknownTables()...)
}

// unknownTables tells what of the MBR and the GPT is unlike the handled layouts.
func (e *Equipment) unknownTables() []string {
	s := &e.System
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	covers := map[string]int{}
	for _, p := range s.partitions() {
		if p.role == RoleFileSystem {
			covers[p.table]++
		}
	}
	if names := e.named(RoleUnknown); names != "" {
		add("It is unknown what these partitions are for: %s.", names)
	}
	if s.MBR != nil && len(s.MBR.Partitions) > 0 && covers["MBR"] != 1 && !s.MBR.announcesGPT() {
		add("The MBR has %s.", counted(covers["MBR"]))
	}
	switch g := s.GPT; {
	case g == nil && s.MBR.announcesGPT():
		add("The MBR announces a GPT, but there is none.")
	case g == nil:
	case g.Problem != "":
		add("The GPT cannot be used: %s.", g.Problem)
	case g.Announced:
		add("The MBR announces the GPT (type ee); such tables cannot be resized yet.")
	case s.MBR == nil || covers["MBR"] != 1:
		add("The GPT has no MBR partition over the file system beside it.")
	case covers["GPT"] != 1:
		add("The GPT has %s.", counted(covers["GPT"]))
	}
	return why
}

func counted(n int) string {
	if n == 0 {
		return "no partition over the file system"
	}
	return fmt.Sprintf("%d partitions over the file system", n)
}

// named lists the partitions of a role, at most four of them.
func (e *Equipment) named(role Role) string {
	var names []string
	for _, p := range e.System.partitions() {
		if p.role != role {
			continue
		}
		if len(names) == 4 {
			names = append(names, "…")
			break
		}
		names = append(names, p.name())
	}
	return strings.Join(names, ", ")
}
