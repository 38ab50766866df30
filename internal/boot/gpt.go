package boot

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"unicode/utf16"

	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	gptMagic      = "EFI PART"
	gptOff        = sectorSize // of the primary header, for sectors of 512 bytes
	gptHeaderSize = 92
	gptEntrySize  = 128
	// maxGPTEntries bounds the array: makers of images write at most 248 entries.
	maxGPTEntries = 1024
)

// GUID is a GUID as stored: the first three groups little-endian.
type GUID [16]byte

func (g GUID) String() string {
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(g[:]),
		binary.LittleEndian.Uint16(g[4:]), binary.LittleEndian.Uint16(g[6:]), g[8:10], g[10:])
}

// MarshalText gives the usual form of the GUID.
func (g GUID) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// Partition types of boot media (as stored).
var (
	guidESP = GUID{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}
	guidHFS = GUID{0x00, 0x53, 0x46, 0x48, 0x00, 0x00, 0xaa, 0x11, 0xaa, 0x11, 0x00, 0x30, 0x65, 0x43, 0xec, 0xac}
)

// GPT is a GUID partition table (UEFI 5.3). All addresses are sectors of 512 bytes,
// whatever the table is made for: a header or an array begins at its address, and a last
// sector is the last of 512 bytes.
type GPT struct {
	// SectorSize is what the table is made for: 512, or 2048 or 4096 for media that
	// have such sectors.
	SectorSize  int64          `json:"sector_size"`
	Alternate   int64          `json:"alternate"` // sector of the backup header, by the primary
	FirstUsable int64          `json:"first_usable"`
	LastUsable  int64          `json:"last_usable"`
	Disk        GUID           `json:"disk_guid"`
	Array       int64          `json:"array"`
	Count       uint32         `json:"entry_count"`
	EntrySize   uint32         `json:"entry_size"`
	HeaderCRC   bool           `json:"header_crc_ok"`
	ArrayCRC    bool           `json:"array_crc_ok"`
	Partitions  []GPTPartition `json:"partitions"`
	Backup      *GPTBackup     `json:"backup,omitempty"` // nil where there is none
	// Announced says that the MBR has a protective entry. Without one, firmware
	// passes over the GPT, which is what makers of isohybrid images want.
	Announced bool `json:"announced"`
	// Problem says why the table cannot be used, "" if it can.
	Problem string `json:"problem,omitempty"`

	headerSize int64
	headless   bool // the array of the backup is there, its header is not
}

// GPTPartition is an entry of the table; Last is inclusive.
type GPTPartition struct {
	Number     int    `json:"number"`
	Type       GUID   `json:"type"`
	Unique     GUID   `json:"guid"`
	First      int64  `json:"first"`
	Last       int64  `json:"last"`
	Attributes uint64 `json:"attributes"`
	Name       string `json:"name"`
	Role       Role   `json:"role"`
}

// partition returns the entry of that number.
func (g *GPT) partition(number int) *GPTPartition {
	for i := range g.Partitions {
		if g.Partitions[i].Number == number {
			return &g.Partitions[i]
		}
	}
	return nil
}

func (p GPTPartition) count() int64 { return p.Last - p.First + 1 }

// presetRole is the role that type and name tell; libisofs gives its gap fillers
// no type of their own.
func (p GPTPartition) presetRole() Role {
	switch {
	case p.Type == guidHFS:
		return RoleHFS
	case strings.HasPrefix(p.Name, "Gap") && p.First > systemAreaSectors:
		return RoleGap
	}
	return ""
}

// GPTBackup is the second copy of the table.
type GPTBackup struct {
	LBA       int64 `json:"sector"`
	Array     int64 `json:"array"`
	HeaderCRC bool  `json:"header_crc_ok"`
	ArrayCRC  bool  `json:"array_crc_ok"`
	Same      bool  `json:"same"` // its entries are those of the primary
}

// per is how many sectors of 512 bytes make one of the table.
func (g *GPT) per() int64 { return g.SectorSize / sectorSize }

// arraySectors is the length of the entry array, in whole sectors of the table.
func (g *GPT) arraySectors() int64 {
	return roundUp(int64(g.Count)*int64(g.EntrySize), g.SectorSize) / sectorSize
}

// trailerSectors is the length of the backup: its array and its header.
func (g *GPT) trailerSectors() int64 { return g.arraySectors() + g.per() }

// end is the first sector behind the backup header.
func (g *GPT) end() int64 { return g.Alternate + g.per() }

// readGPT reads the primary table and looks for the backup. A table lies in the second
// sector of the medium it is made for.
func (e *Equipment) readGPT() error {
	size := int64(0)
	for _, n := range []int64{sectorSize, 2048, 4096} {
		if string(e.area[n:n+8]) == gptMagic {
			size = n
			break
		}
	}
	if size == 0 {
		return nil
	}
	g := parseGPTHeader(e.area[size:], size)
	e.System.GPT = g
	g.Announced = e.System.MBR.announcesGPT()
	g.Problem = g.problem()
	if g.Problem != "" {
		e.find(size, "GPT header", iso9660.ErrFormat, "%s", g.Problem)
		return nil
	}
	if g.Announced {
		e.System.MBR.scaleProtective(g, e.sectors())
	}
	h := e.area[size:][:g.headerSize]
	array := e.area[g.Array*sectorSize:][:int64(g.Count)*gptEntrySize]
	g.HeaderCRC = headerCRC(h) == binary.LittleEndian.Uint32(h[16:])
	g.ArrayCRC = crc32.ChecksumIEEE(array) == binary.LittleEndian.Uint32(h[88:])
	g.Partitions = g.parseEntries(array)
	if !g.HeaderCRC {
		// libisofs 1.2.4 to 1.2.8 summed up the whole sector.
		e.find(size+16, "GPT header, checksum", iso9660.ErrFormat, "it is wrong")
	}
	if !g.ArrayCRC {
		e.find(size+88, "GPT header, array checksum", iso9660.ErrFormat, "it is wrong")
	}
	return e.readBackup(array)
}

func parseGPTHeader(h []byte, size int64) *GPT {
	g := &GPT{SectorSize: size, headerSize: int64(binary.LittleEndian.Uint32(h[12:]))}
	g.Alternate, g.Array = g.sector(h[32:]), g.sector(h[72:])
	g.FirstUsable, g.LastUsable = g.sector(h[40:]), g.last(h[48:])
	g.Disk = GUID(h[56:72])
	g.Count = binary.LittleEndian.Uint32(h[80:])
	g.EntrySize = binary.LittleEndian.Uint32(h[84:])
	return g
}

// sector reads an address of the table. One that no image has, such as a negative one,
// becomes the largest that still can be turned into bytes.
func (g *GPT) sector(b []byte) int64 {
	return int64(min(binary.LittleEndian.Uint64(b), math.MaxInt64/4096/2)) * g.per()
}

// last reads the address of the last sector of a range.
func (g *GPT) last(b []byte) int64 { return g.sector(b) + g.per() - 1 }

// problem says why the table cannot be read or changed in place.
func (g *GPT) problem() string {
	switch {
	case g.headerSize < gptHeaderSize || g.headerSize > g.SectorSize:
		return fmt.Sprintf("its header has %d bytes", g.headerSize)
	case g.EntrySize != gptEntrySize:
		return fmt.Sprintf("its entries have %d bytes", g.EntrySize)
	case g.Count == 0 || g.Count > maxGPTEntries:
		return fmt.Sprintf("it has %d entries", g.Count)
	case g.Array < 2*g.per() || g.Array+g.arraySectors() > systemAreaSectors:
		return fmt.Sprintf("its array at sector %d is not inside the system area", g.Array/g.per())
	}
	return ""
}

func (g *GPT) parseEntries(array []byte) (ps []GPTPartition) {
	for i := 0; len(array) >= gptEntrySize; i, array = i+1, array[gptEntrySize:] {
		b := array[:gptEntrySize]
		if zero(b[:16]) {
			continue
		}
		name := make([]uint16, 0, 36)
		for n := b[56:]; len(n) > 1 && (n[0] != 0 || n[1] != 0); n = n[2:] {
			name = append(name, binary.LittleEndian.Uint16(n))
		}
		ps = append(ps, GPTPartition{
			Number: i + 1, Type: GUID(b[:16]), Unique: GUID(b[16:32]),
			First: g.sector(b[32:]), Last: g.last(b[40:]),
			Attributes: binary.LittleEndian.Uint64(b[48:]), Name: string(utf16.Decode(name)),
		})
	}
	return ps
}

// readBackup reads the backup where the primary header says it is.
func (e *Equipment) readBackup(primary []byte) error {
	g := e.System.GPT
	off := g.Alternate * sectorSize
	h, err := e.in.read(off, g.SectorSize)
	if err != nil {
		return err
	}
	if int64(len(h)) < g.SectorSize || string(h[:8]) != gptMagic || g.Alternate < systemAreaSectors {
		e.find(g.SectorSize+32, "GPT header, backup address", iso9660.ErrFormat, "no backup at sector %d", g.Alternate/g.per())
		at := g.Alternate - g.arraySectors()
		array, err := e.in.read(at*sectorSize, int64(len(primary)))
		g.headless = at >= systemAreaSectors && string(array) == string(primary) && g.Alternate < e.sectors()
		return err
	}
	g.Backup = &GPTBackup{
		LBA: g.sector(h[24:]), Array: g.sector(h[72:]),
		HeaderCRC: headerCRC(h[:g.headerSize]) == binary.LittleEndian.Uint32(h[16:]),
	}
	array, err := e.in.read(g.Backup.Array*sectorSize, int64(len(primary)))
	if err != nil {
		return err
	}
	g.Backup.ArrayCRC = crc32.ChecksumIEEE(array) == binary.LittleEndian.Uint32(h[88:])
	g.Backup.Same = string(array) == string(primary)
	if !g.Backup.HeaderCRC || !g.Backup.ArrayCRC || !g.Backup.Same || g.Backup.LBA != g.Alternate {
		e.find(off, "GPT backup", iso9660.ErrConflict, "it is damaged or differs from the primary table")
	}
	return nil
}

// headerCRC computes the checksum of a header, its own field taken as zero.
func headerCRC(h []byte) uint32 {
	c := append([]byte(nil), h...)
	clear(c[16:20])
	return crc32.ChecksumIEEE(c)
}

func (m *MBR) announcesGPT() bool {
	if m == nil {
		return false
	}
	for _, p := range m.Partitions {
		if p.Type == typeProtective {
			return true
		}
	}
	return false
}

func jsonInts(n ...int64) ([]byte, error) { return json.Marshal(n) }
