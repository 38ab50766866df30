package boot

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// Options returns the options, in the manner of mkisofs as xorriso understands
// them, that would make such equipment anew: an aid to people who know that
// language, not what isolayer does. image is the path of the base, from which the
// options take what no file holds.
func (e *Equipment) Options(image string) []string {
	q := "'" + strings.ReplaceAll(image, "'", `'\''`) + "'"
	out := e.areaOptions(q)
	c := e.Catalog
	if c == nil {
		return out
	}
	if c.Name != "" {
		out = append(out, fmt.Sprintf("-c '%s'", c.Name))
	} else {
		out = append(out, "--boot-catalog-hide")
	}
	for i, en := range c.Entries {
		if i > 0 {
			out = append(out, "-eltorito-alt-boot")
		}
		out = append(out, e.entryOptions(i, &en, q)...)
	}
	s := &e.System
	for _, o := range e.objects {
		if o.Appended || len(o.entries) == 0 {
			continue
		}
		for _, p := range o.partitions {
			switch {
			case p.table == "GPT" && !s.GPT.Announced && s.GPT.partition(p.number).Type == guidHFS:
				out = append(out, "-isohybrid-gpt-hfsplus")
			case p.table == "GPT" && !s.GPT.Announced:
				out = append(out, "-isohybrid-gpt-basdat")
			case p.table == "APM":
				out = append(out, "-isohybrid-apm-hfsplus")
			}
		}
	}
	return out
}

// areaOptions are those for the system area and the partitions.
func (e *Equipment) areaOptions(q string) []string {
	s := &e.System
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !s.Used {
		return nil
	}
	add("%s --interval:local_fs:0s-15s:%s:%s", e.codeOption(), strings.Join(e.zeroed(), ","), q)
	if s.MBR == nil {
		return out
	}
	cover := e.coverMBR()
	for _, p := range s.MBR.Partitions {
		if p.First == 1 && s.MBR.Code == CodeGRUB2 {
			add("--protective-msdos-label")
		}
	}
	for _, at := range s.SecondSuperblocks {
		add("-partition_offset %d", at-16)
	}
	for _, p := range s.MBR.Partitions {
		if p.Active {
			add("--mbr-force-bootable")
			break
		}
	}
	if s.APM != nil {
		add("-apm-block-size %d", s.APM.BlockSize)
	}
	for _, p := range s.partitions() {
		if p.table == e.mainTable() && p.role == RoleAppended {
			add("-append_partition %d %s --interval:local_fs:%dd-%dd::%s", p.number, e.typeOf(p), p.first, p.end()-1, q)
		}
	}
	switch g := s.GPT; {
	case g != nil && g.Announced && len(e.appended()) > 0:
		add("-appended_part_as_gpt")
		if p := e.coverGPT(); p != nil && len(s.SecondSuperblocks) > 0 {
			add("-iso_mbr_part_type %s", hex.EncodeToString(p.Type[:]))
		}
	case cover != nil && cover.First == 0:
		add("-iso_mbr_part_type 0x%02x", cover.Type)
	}
	if e.named(RoleHFS) != "" {
		add("-hfsplus")
	}
	return out
}

func (e *Equipment) codeOption() string {
	if m := e.System.MBR; m != nil {
		switch m.Code {
		case CodeIsohybrid:
			return "-isohybrid-mbr"
		case CodeGRUB2:
			return "--grub2-mbr"
		}
	}
	return "-G"
}

// zeroed names the tables that the options make anew.
func (e *Equipment) zeroed() []string {
	var out []string
	if m := e.System.MBR; m != nil && len(m.Partitions) > 0 {
		out = append(out, "zero_mbrpt")
	}
	if e.System.GPT != nil {
		out = append(out, "zero_gpt")
	}
	if e.System.APM != nil {
		out = append(out, "zero_apm")
	}
	return out
}

// typeOf is the type of a partition as options spell it.
func (e *Equipment) typeOf(p partition) string {
	if p.table == "GPT" {
		for _, g := range e.System.GPT.Partitions {
			if g.Number == p.number {
				return hex.EncodeToString(g.Type[:])
			}
		}
	}
	if p.table == "MBR" {
		return fmt.Sprintf("0x%02x", e.System.MBR.partition(p.number).Type)
	}
	return "0xef"
}

// entryOptions are those for one entry of the catalog.
func (e *Equipment) entryOptions(i int, en *Entry, q string) []string {
	flag := "-b"
	if en.Platform == UEFI {
		flag = "-e"
	}
	out := []string{fmt.Sprintf("%s '%s'", flag, en.Image.Name)}
	if en.Image.Name == "" {
		out[0] = fmt.Sprintf("%s --interval:local_fs:%dd-%dd::%s", flag, int64(en.LBA)*perBlock, int64(en.LBA)*perBlock+sectorsOf(en.Image.Size)-1, q)
	}
	for _, o := range e.appended() {
		for _, j := range o.entries {
			if j == i {
				p := o.partitions[0]
				for _, x := range o.partitions {
					if x.table == e.mainTable() {
						p = x
					}
				}
				out[0] = fmt.Sprintf("%s '--interval:appended_partition_%d_start_%ds_size_%dd:all::'", flag, p.number, o.Off/iso9660.BlockSize, p.count)
			}
		}
	}
	switch en.Media {
	case NoEmulation:
		out = append(out, "-no-emul-boot")
	case HardDisk:
		out = append(out, "-hard-disk-boot")
	}
	out = append(out, fmt.Sprintf("-boot-load-size %d", en.Sectors))
	if en.Image.BootInfo != nil {
		out = append(out, "-boot-info-table")
	}
	if en.Image.GRUB2 {
		out = append(out, "--grub2-boot-info")
	}
	return out
}
