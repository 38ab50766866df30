package boot

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	catalogRecord = 32
	// catalogBlocks bounds the catalog: writers use one block, firmware looks at
	// far fewer than the 256 records of four.
	catalogBlocks = 4
	// maxSections and maxExtensions bound what one catalog can make us keep.
	maxSections   = 32
	maxExtensions = 16
)

// Record types, the first byte of a catalog record.
const (
	recValidation = 0x01
	recExtension  = 0x44
	recBootable   = 0x88
	recNoBoot     = 0x00
	recHeader     = 0x90
	recLastHeader = 0x91
)

// Catalog is the boot catalog (El Torito 1.0, 2.0).
type Catalog struct {
	LBA      iso9660.LBA `json:"block"`
	Blocks   int64       `json:"blocks"` // that its records, or its file, occupy
	Platform Platform    `json:"platform"`
	ID       string      `json:"id,omitempty"`
	Name     string      `json:"name,omitempty"` // path of the catalog's file
	Entries  []Entry     `json:"entries"`        // the first one is the default entry
}

// Platform is the machine that an entry is for (El Torito 2.1).
type Platform uint8

// The platforms in use.
const (
	BIOS    Platform = 0x00
	PowerPC Platform = 0x01
	Mac     Platform = 0x02
	UEFI    Platform = 0xef
)

func (p Platform) String() string {
	switch p {
	case BIOS:
		return "BIOS"
	case PowerPC:
		return "PowerPC"
	case Mac:
		return "Mac"
	case UEFI:
		return "UEFI"
	}
	return fmt.Sprintf("platform 0x%02x", uint8(p))
}

// MarshalText gives the name of the platform.
func (p Platform) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Media is what a boot image is emulated as (El Torito 2.2).
type Media uint8

// The media types; the byte's upper bits are flags.
const (
	NoEmulation Media = iota
	Floppy12
	Floppy144
	Floppy288
	HardDisk
)

func (m Media) String() string {
	names := []string{"no emulation", "1.2M floppy", "1.44M floppy", "2.88M floppy", "hard disk"}
	if int(m) < len(names) {
		return names[m]
	}
	return fmt.Sprintf("media type %d", uint8(m))
}

// MarshalText gives the name of the media type.
func (m Media) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Entry is one boot image of the catalog (El Torito 2.2, 2.4).
type Entry struct {
	Off         int64       `json:"offset"` // of the record, in bytes of the image
	Platform    Platform    `json:"platform"`
	Section     string      `json:"section,omitempty"` // id string of its section header
	Bootable    bool        `json:"bootable"`
	Media       Media       `json:"media"`
	MediaFlags  uint8       `json:"media_flags,omitempty"` // upper half of the media byte
	LoadSegment uint16      `json:"load_segment"`
	SystemType  uint8       `json:"system_type"`
	Sectors     uint16      `json:"sectors"` // to load, of 512 bytes; no measure of the image's size
	LBA         iso9660.LBA `json:"block"`
	Criteria    []byte      `json:"criteria,omitempty"`   // bytes 12-31, unless all zero
	Extensions  [][]byte    `json:"extensions,omitempty"` // the records as found
	Image       Image       `json:"image"`
}

// readCatalog reads the catalog the boot record points to, if there is one.
func (e *Equipment) readCatalog() error {
	at := e.volume.Catalog
	if at == 0 {
		return nil
	}
	b, err := e.in.read(at.Offset(), catalogBlocks*iso9660.BlockSize)
	if err != nil {
		return err
	}
	switch {
	case len(b) < 2*catalogRecord:
		e.find(17*iso9660.BlockSize+71, "boot record, catalog", iso9660.ErrRange, "block %d is behind the end of the image", at)
		return nil
	case at < 18 || b[0] != recValidation || b[30] != 0x55 || b[31] != 0xaa:
		e.find(at.Offset(), "boot catalog, validation entry", iso9660.ErrFormat, "block %d holds no boot catalog", at)
		return nil
	}
	p := catalogParser{e: e, b: b, at: at.Offset()}
	p.parse()
	c := p.c
	c.LBA, c.Blocks = at, max(1, iso9660.Blocks(int64(p.pos)))
	if size, name, ok := e.file(at); ok {
		c.Name = name
		c.Blocks = max(c.Blocks, min(iso9660.Blocks(size), catalogBlocks))
	}
	e.Catalog = &c
	return nil
}

// catalogParser walks the records of a catalog. pos only grows, so the walk ends.
type catalogParser struct {
	e   *Equipment
	b   []byte
	at  int64 // byte offset of b in the image
	pos int
	c   Catalog
}

// next returns the record at pos and steps over it, or nil at the end.
func (p *catalogParser) next() []byte {
	if p.pos+catalogRecord > len(p.b) {
		return nil
	}
	rec := p.b[p.pos : p.pos+catalogRecord]
	p.pos += catalogRecord
	return rec
}

// peek returns the type of the record at pos, recNoBoot behind the end.
func (p *catalogParser) peek() byte {
	if p.pos+catalogRecord > len(p.b) {
		return recNoBoot
	}
	return p.b[p.pos]
}

func (p *catalogParser) find(where string, kind iso9660.Kind, format string, args ...any) {
	p.e.find(p.at+int64(p.pos), "boot catalog, "+where, kind, format, args...)
}

func (p *catalogParser) parse() {
	v := p.next()
	p.c.Platform, p.c.ID = Platform(v[1]), text(v[4:28])
	if sum16(v) != 0 {
		p.e.find(p.at+28, "boot catalog, validation entry", iso9660.ErrFormat, "checksum is wrong, firmware may refuse to boot")
	}
	p.entry(p.c.Platform, "")
	for headers := 0; ; headers++ {
		switch p.peek() {
		case recBootable: // some writers omit the section header
			p.find("section header", iso9660.ErrFormat, "boot entry without a section header")
			p.entry(p.c.Platform, "")
		case recHeader, recLastHeader:
			if headers == maxSections {
				p.find("section header", iso9660.ErrLimit, "more than %d sections", maxSections)
				return
			}
			if !p.section() {
				return
			}
		default:
			return
		}
	}
}

// section reads a header and its entries, and reports whether more may follow.
func (p *catalogParser) section() bool {
	h := p.next()
	count, id := int(binary.LittleEndian.Uint16(h[2:])), text(h[4:])
	for i := range count {
		if p.pos+catalogRecord > len(p.b) {
			p.find("section header", iso9660.ErrLimit, "%d entries announced, the catalog ends after %d", count, i)
			return false
		}
		if t := p.peek(); t != recBootable && (t != recNoBoot || zero(p.b[p.pos:p.pos+catalogRecord])) {
			p.find("section header", iso9660.ErrFormat, "%d entries announced, %d found", count, i)
			break
		}
		p.entry(Platform(h[1]), id)
	}
	if h[0] == recLastHeader {
		return false
	}
	if t := p.peek(); t != recHeader && t != recLastHeader {
		p.find("section header", iso9660.ErrFormat, "the last section is not marked as last")
	}
	return true
}

// entry reads one boot entry and its extensions.
func (p *catalogParser) entry(platform Platform, section string) {
	off := p.at + int64(p.pos)
	b := p.next()
	if b == nil {
		return
	}
	if b[0] != recBootable && b[0] != recNoBoot {
		p.e.find(off, "boot catalog, boot indicator", iso9660.ErrFormat, "0x%02x is neither bootable nor not bootable", b[0])
	}
	en := Entry{
		Off: off, Platform: platform, Section: section,
		Bootable: b[0] == recBootable, Media: Media(b[1] & 0x0f), MediaFlags: b[1] & 0xf0,
		LoadSegment: binary.LittleEndian.Uint16(b[2:]), SystemType: b[4],
		Sectors: binary.LittleEndian.Uint16(b[6:]), LBA: iso9660.LBA(binary.LittleEndian.Uint32(b[8:])),
	}
	if !zero(b[12:]) {
		en.Criteria = slices.Clone(b[12:])
	}
	for p.peek() == recExtension {
		if len(en.Extensions) == maxExtensions {
			p.find("extension", iso9660.ErrLimit, "more than %d extensions of one entry", maxExtensions)
			break
		}
		en.Extensions = append(en.Extensions, slices.Clone(p.next()))
	}
	p.c.Entries = append(p.c.Entries, en)
}

// sum16 adds up the little-endian words of b, modulo 65536.
func sum16(b []byte) (sum uint16) {
	for ; len(b) >= 2; b = b[2:] {
		sum += binary.LittleEndian.Uint16(b)
	}
	return sum
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// text turns a padded field into printable ASCII.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s))
}
