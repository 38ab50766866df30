package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	osuser "os/user"
	"strconv"
	"strings"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/master/scan"
)

// set makes the action of a flag.
func set(f func(m *mkisofs)) func(*mkisofs, []string) error {
	return func(m *mkisofs, _ []string) error { f(m); return nil }
}

// text makes the action of an option whose value is stored.
func text(f func(m *mkisofs) *string) func(*mkisofs, []string) error {
	return func(m *mkisofs, v []string) error { *f(m) = v[0]; return nil }
}

// collect makes the action of an option whose values are collected.
func collect(f func(m *mkisofs) *[]string) func(*mkisofs, []string) error {
	return func(m *mkisofs, v []string) error { *f(m) = append(*f(m), v[0]); return nil }
}

// collectFile makes the action of an option that names a file with such values.
func collectFile(f func(m *mkisofs) *[]string) func(*mkisofs, []string) error {
	return func(m *mkisofs, v []string) error {
		return readLines(v[0], os.Stdin, func(line string) error { *f(m) = append(*f(m), line); return nil })
	}
}

// number makes the action of an option whose value is a number up to a limit, in
// decimal, octal with a leading 0, or hexadecimal with 0x.
func number(limit uint64, f func(m *mkisofs, n uint64)) func(*mkisofs, []string) error {
	return func(m *mkisofs, v []string) error {
		n, err := parseNumber(v[0], limit)
		if err == nil {
			f(m, n)
		}
		return err
	}
}

func parseNumber(s string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil || n > limit {
		return 0, fmt.Errorf("%q is not a number up to %d", s, limit)
	}
	return n, nil
}

// mode makes the action of an option whose value is permission bits, which need Rock
// Ridge.
func mode(f func(m *mkisofs) **uint32) func(*mkisofs, []string) error {
	return func(m *mkisofs, v []string) error {
		bits, err := edit.ParseMode(v[0])
		if err != nil {
			return fmt.Errorf("%q: want permissions as an octal number such as 0755", v[0])
		}
		*f(m), m.options.RockRidge = &bits, true
		return nil
	}
}

// owner makes the action of an option whose value is an owner, by number or by name. "" and
// "-" take the option back.
func owner(of func(string) (string, error), f func(m *mkisofs) **uint32) func(*mkisofs, []string) error {
	return func(m *mkisofs, v []string) error {
		m.options.RockRidge = true
		if v[0] == "" || v[0] == "-" {
			*f(m) = nil
			return nil
		}
		s := v[0]
		if _, err := strconv.ParseUint(s, 0, 32); err != nil {
			if s, err = of(s); err != nil {
				return err
			}
		}
		n, err := parseNumber(s, 1<<32-1)
		id := uint32(n)
		*f(m) = &id
		return err
	}
}

func userID(name string) (string, error) {
	u, err := osuser.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func groupID(name string) (string, error) {
	g, err := osuser.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

// level chooses the length of identifiers (ECMA-119 10; 4 is ISO 9660:1999).
func level(m *mkisofs, v []string) error {
	n := &m.options.Naming
	switch v[0] {
	case "1":
		n.Length = 0
	case "2", "3":
		n.Length = max(n.Length, iso9660.LengthFull)
	case "4": // the primary hierarchy has these names, too
		m.options.Enhanced = true
		untranslated(m)
		n.Length, n.Every = iso9660.LengthLevel4, true
	default:
		return fmt.Errorf("%q: levels are 1 to 4", v[0])
	}
	return nil
}

// untranslated lets identifiers be the names, as far as 31 characters of ASCII go.
func untranslated(m *mkisofs) {
	n := &m.options.Naming
	n.Length = max(n.Length, iso9660.LengthFull)
	n.Lowercase, n.Relaxed, n.ManyDots, n.LeadingDot, n.NoVersion, n.NoDot = true, true, true, true, true, true
}

// charsetOf finds a coding of names.
func charsetOf(name string) (*master.Charset, error) {
	c, err := master.CharsetOf(name)
	if err != nil {
		return nil, usagef("convert the names with convmv and leave the option out; known are "+strings.Join(master.Charsets(), ", "), "%w", err)
	}
	return c, nil
}

// inputCharset sets the coding of local names.
func inputCharset(m *mkisofs, v []string) (err error) {
	m.options.Names.Input, err = charsetOf(v[0])
	return err
}

// outputCharset sets the coding of names in Rock Ridge.
func outputCharset(m *mkisofs, v []string) (err error) {
	m.options.Names.Output, err = charsetOf(v[0])
	m.output = true
	return err
}

// untranslatedLength lets identifiers be the names, up to a length that no name may pass.
func untranslatedLength(m *mkisofs, v []string) error {
	n, err := parseNumber(v[0], maxUntranslated)
	if err != nil || n == 0 {
		return fmt.Errorf("want a number from 1 to %d", maxUntranslated)
	}
	untranslated(m)
	m.options.Naming.Length, m.options.Naming.Every, m.options.Names.Whole = int(n), true, int(n)
	return nil
}

// maxUntranslated is the limit that xorriso has.
const maxUntranslated = 96

// nameLimit sets from which length on names are cut.
func nameLimit(m *mkisofs, v []string) error {
	n, err := parseNumber(v[0], 255)
	if err != nil || n < 64 {
		return errors.New("want a number from 64 to 255")
	}
	m.options.Names.Cut = int(n)
	return nil
}

// fileDates sets the time of all files: sixteen digits as for --modification-date, seconds
// since 1970 after "=", the forms of date(1) that xorriso has.
func fileDates(m *mkisofs, v []string) error {
	switch s := v[0]; s {
	case "", "default":
		m.options.FileDates = nil
	case "set_to_mtime": // which is all that is recorded
	default:
		t, err := dateOf(s)
		if err != nil {
			return err
		}
		m.options.FileDates = &t
	}
	return nil
}

func dateOf(s string) (time.Time, error) {
	if n, err := strconv.ParseInt(strings.TrimPrefix(s, "="), 10, 64); err == nil && s[0] == '=' {
		return time.Unix(n, 0), nil
	}
	if t, err := digits(s); err == nil {
		return t, nil
	}
	for _, form := range []string{"010215042006.05", "Jan _2 15:04:05 MST 2006", "Jan _2 15:04:05 2006", "Mon Jan _2 15:04:05 MST 2006", time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want YYYYMMDDhhmmsscc, MMDDhhmmYYYY.ss or 'Nov 8 14:51:13 CET 2007'", s)
}

// sectorType takes the only kind of sectors that there is.
func sectorType(_ *mkisofs, v []string) error {
	if v[0] != "data" {
		return usagef("leave it out", "-s %s: only sectors of 2048 bytes are written", v[0])
	}
	return nil
}

// diskGUID sets the GUID of a GPT.
func diskGUID(m *mkisofs, v []string) error {
	m.booting = true
	switch v[0] {
	case "modification-date": // of which ours is made, too
		m.boot.DiskGUID = nil
		return nil
	case "random":
		var g boot.GUID
		_, err := rand.Read(g[:])
		g[7], g[8] = g[7]&0x0f|0x40, g[8]&0x3f|0x80 // version 4
		m.boot.DiskGUID = &g
		return err
	}
	g, err := boot.ParseGUID(v[0])
	if err != nil {
		return errors.New("want a GUID, random or modification-date")
	}
	m.boot.DiskGUID = &g
	return nil
}

// sorted reads a file of patterns and weights.
func sorted(m *mkisofs, v []string) error {
	return readLines(v[0], os.Stdin, func(line string) error {
		i := strings.LastIndexAny(line, " \t")
		if i < 0 {
			return fmt.Errorf("%q: want a name, a space, and a weight", line)
		}
		n, err := strconv.Atoi(line[i+1:])
		m.options.Sort = append(m.options.Sort, scan.Weight{Pattern: strings.TrimRight(line[:i], " \t"), Weight: n})
		return err
	})
}

// weigh sets the weight of a path in the image.
func weigh(m *mkisofs, v []string) error {
	n, err := weightOf(v[0])
	m.options.Weights = append(m.options.Weights, master.PathWeight{Path: v[1], Weight: n})
	return err
}

func weightOf(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q: want a whole number of 32 bits", s)
	}
	return int(n), nil
}

// weightList makes the action of an option that names a file of weights and paths.
func weightList(patterns bool) func(*mkisofs, []string) error {
	return func(m *mkisofs, v []string) error {
		return readLines(v[0], os.Stdin, func(line string) error {
			i := strings.IndexAny(line, " \t")
			if i < 0 {
				return fmt.Errorf("%q: want a weight, a space, and a path", line)
			}
			n, err := weightOf(line[:i])
			m.options.Weights = append(m.options.Weights, master.PathWeight{Path: line[i+1:], Pattern: patterns, Weight: n})
			return err
		})
	}
}

// loadSize sets how many sectors firmware loads.
func loadSize(m *mkisofs, v []string) error {
	if v[0] == "full" {
		m.current().Sectors = 0
		return nil
	}
	n, err := parseNumber(v[0], 0xffff)
	m.current().Sectors = int(n)
	return err
}

func platform(m *mkisofs, v []string) error {
	names := map[string]boot.Platform{"x86": boot.BIOS, "PPC": boot.PowerPC, "Mac": boot.Mac, "efi": boot.UEFI}
	p, ok := names[v[0]]
	if !ok {
		n, err := parseNumber(v[0], 0xff)
		if err != nil {
			return errors.New("want x86, PPC, Mac, efi or a number")
		}
		p = boot.Platform(n)
	}
	m.platform = &p
	return nil
}

func catalogID(m *mkisofs, v []string) error {
	id := v[0]
	if b, err := hex.DecodeString(id); err == nil && len(b) == 28 {
		id = string(b)
	}
	m.current().ID = id[:min(len(id), 28)]
	return nil
}

func criteria(m *mkisofs, v []string) error {
	b, err := hex.DecodeString(v[0])
	if err != nil || len(b) > 20 {
		return errors.New("want up to 40 hexadecimal digits")
	}
	m.current().Criteria = b
	return nil
}

// code makes the action of an option that names a file with boot code.
func code(kind boot.Code, limit int64) func(*mkisofs, []string) error {
	return func(m *mkisofs, v []string) error {
		i, err := parseInterval(v[0])
		if err != nil {
			return err
		}
		b, err := i.read(limit)
		m.booting, m.boot.Code, m.boot.Boot = true, kind, b
		return err
	}
}

// sectorCode is how much of a file with code for the MBR is taken.
const sectorCode = 512

func appendPartition(m *mkisofs, v []string) error {
	n, err := parseNumber(v[0], 4)
	if err != nil || n == 0 {
		return fmt.Errorf("%q: partitions have numbers from 1 to 4", v[0])
	}
	if n == 1 {
		return usagef("take 2, which is usual", "partition 1 is that of the file system")
	}
	for _, a := range m.boot.Appended {
		if a.Number == int(n) {
			return fmt.Errorf("partition %d is given twice", n)
		}
	}
	file, err := parseInterval(v[2])
	if err != nil {
		return err
	}
	if len(file.zero) > 0 {
		return fmt.Errorf("%q: a partition is taken as it is", v[2])
	}
	spec := boot.AppendedSpec{Number: int(n)}
	names := map[string]byte{"FAT12": 0x01, "FAT16": 0x06, "Linux": 0x83}
	if g, err := boot.ParseGUID(v[1]); err == nil {
		spec.GUID, spec.Type = g, boot.MBRTypeOf(g)
	} else if t, ok := names[v[1]]; ok {
		spec.GUID, spec.Type = boot.PartitionType(t), t
	} else {
		t, err := strconv.ParseUint(strings.TrimPrefix(v[1], "0x"), 16, 8)
		if err != nil {
			return fmt.Errorf("type %q: want a hexadecimal number, a GUID, FAT12, FAT16 or Linux", v[1])
		}
		spec.GUID, spec.Type = boot.PartitionType(byte(t)), byte(t)
	}
	m.booting = true
	m.boot.Appended, m.boot.AppendedFiles = append(m.boot.Appended, spec), append(m.boot.AppendedFiles, file.FileRange)
	return nil
}

func partitionType(m *mkisofs, v []string) error {
	if v[0] == "default" {
		return nil
	}
	m.booting = true
	if g, err := boot.ParseGUID(v[0]); err == nil {
		t := boot.MBRTypeOf(g)
		m.boot.GPTType, m.boot.MBRType = &g, &t
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(v[0], "0x"), 16, 8)
	if err != nil {
		return fmt.Errorf("%q: want a hexadecimal number or a GUID", v[0])
	}
	t := byte(n)
	m.boot.MBRType = &t
	return nil
}

func alignment(m *mkisofs, v []string) error {
	kinds := map[string]boot.Alignment{"auto": boot.AlignAuto, "on": boot.AlignOn, "all": boot.AlignAll, "off": boot.AlignOff}
	a, ok := kinds[v[0]]
	if !ok {
		return errors.New("want auto, on, all or off")
	}
	m.boot.Align = a
	return nil
}

func partitionOffset(m *mkisofs, v []string) error {
	n, err := parseNumber(v[0], 1<<20)
	if err == nil && n > 0 && n < 16 {
		err = errors.New("want 0, or 16 and more")
	}
	m.boot.PartitionOffset, m.booting = int64(n), m.booting || n > 0
	return err
}

// efiPartition marks the first boot image for UEFI in a GPT.
func efiPartition(m *mkisofs, v []string) error {
	if v[0] != "--efi-boot-image" {
		return usagef("name it with -e and give -efi-boot-part --efi-boot-image, or append it: -append_partition 2 0xef "+v[0], "only --efi-boot-image is possible")
	}
	m.booting, m.boot.EFIPartition = true, true
	return nil
}

// modified reads the time of the descriptors: sixteen digits.
func modified(m *mkisofs, v []string) (err error) {
	m.options.Texts.Modified, err = digits(v[0])
	return err
}

// digits reads a time of sixteen digits, the last two of which are hundredths of a second.
func digits(s string) (time.Time, error) {
	if len(s) == 16 {
		t, err := time.Parse("20060102150405", s[:14])
		cc, err2 := strconv.ParseUint(s[14:], 10, 8)
		if err == nil && err2 == nil {
			return t.Add(time.Duration(cc) * 10 * time.Millisecond), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want YYYYMMDDhhmmsscc", s)
}

// appUse fills the application use field: with a character, a byte, or a file.
func appUse(m *mkisofs, v []string) error {
	s := v[0]
	fill := func(c byte) {
		m.options.Texts.ApplicationUse = []byte(strings.Repeat(string([]byte{c}), iso9660.AppUseSize))
	}
	switch n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 8); {
	case s == "":
		fill(0)
	case len(s) == 1:
		fill(s[0])
	case strings.HasPrefix(s, "0x") && len(s) == 4 && err == nil:
		fill(byte(n))
	default:
		f, err := openLocal(s)
		if err != nil {
			return err
		}
		defer f.Close()
		m.options.Texts.ApplicationUse = make([]byte, iso9660.AppUseSize)
		if _, err := io.ReadFull(f, m.options.Texts.ApplicationUse); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// ucsLevel takes the level of UCS-2.
func ucsLevel(m *mkisofs, v []string) error {
	n, err := parseNumber(v[0], 3)
	if err == nil && n == 0 {
		err = errors.New("levels are 1 to 3")
	}
	m.options.Texts.JolietLevel = int(n)
	return err
}

func word(m *mkisofs, p *string, v, words string) error {
	return choice{p, strings.Split(words, "|")}.Set(v)
}
