package fat

import (
	"fmt"
	"math/bits"
)

// Type is the width of a table entry in bits: 12, 16 or 32.
type Type uint8

// The types of FAT volumes.
const (
	FAT12 Type = 12
	FAT16 Type = 16
	FAT32 Type = 32
)

// String is the name that formatters put into the boot sector.
func (t Type) String() string { return fmt.Sprintf("FAT%d", uint8(t)) }

// The most clusters that a volume of each type has: a table of more is of the
// next type, and 28 bits count those of FAT32.
const (
	maxClusters12 = 4084
	maxClusters16 = 65524
	maxClusters32 = 0x0ffffff5
	maxChain      = 4 * maxClusters32 // no limit: a loop is found before that
)

func (t Type) maxClusters() int64 {
	switch t {
	case FAT12:
		return maxClusters12
	case FAT16:
		return maxClusters16
	}
	return maxClusters32
}

// geometry is where everything lies in a volume. Counts are of sectors unless
// their names say otherwise.
type geometry struct {
	typ          Type
	sector       int64 // bytes
	perCluster   int64
	reserved     int64
	tables       int64 // copies of the table
	tableSectors int64
	rootEntries  int64 // slots of a root directory outside the clusters
	total        int64
	clusters     uint32
	rootCluster  uint32 // FAT32 only
	fsInfo       int64  // 0: none
	backup       int64  // of the boot sector, 0: none
	active       int64  // the copy of the table that counts
	mirrored     bool   // all copies do
}

func (g *geometry) clusterSize() int64     { return g.perCluster * g.sector }
func (g *geometry) tableBytes() int64      { return g.tableSectors * g.sector }
func (g *geometry) tableOff(i int64) int64 { return (g.reserved + i*g.tableSectors) * g.sector }
func (g *geometry) rootOff() int64         { return g.tableOff(g.tables) }
func (g *geometry) rootSectors() int64     { return ceil(g.rootEntries*slotSize, g.sector) }
func (g *geometry) dataOff() int64         { return g.rootOff() + g.rootSectors()*g.sector }

// offset returns where a cluster lies.
func (g *geometry) offset(c uint32) int64 { return g.dataOff() + int64(c-firstCluster)*g.clusterSize() }

// has reports whether a cluster of that number exists.
func (g *geometry) has(c uint32) bool { return c >= firstCluster && c-firstCluster < g.clusters }

// clustersOf returns how many clusters n bytes take.
func (g *geometry) clustersOf(n int64) int64 { return ceil(n, g.clusterSize()) }

func ceil(n, unit int64) int64 { return (n + unit - 1) / unit }

// geometry reads the parameter block of a volume in an image of size bytes.
func (b bootSector) geometry(size int64) (geometry, error) {
	g := geometry{
		sector: b.u16(offSectorSize), perCluster: int64(b[offClusterSize]), reserved: b.u16(offReserved),
		tables: int64(b[offTables]), tableSectors: b.u16(offTableSize16), rootEntries: b.u16(offRootEntries),
		total: b.u16(offTotal16), mirrored: true,
	}
	if g.total == 0 {
		g.total = b.u32(offTotal32)
	}
	if err := b.check(g); err != nil {
		return g, err
	}
	if g.tableSectors == 0 {
		if err := b.geometry32(&g); err != nil {
			return g, err
		}
	}
	return g, b.count(&g, size)
}

// check looks at each field by itself.
func (b bootSector) check(g geometry) error {
	bad := func(off int, field string, v int64) error {
		return formatError(int64(off), "boot sector", field, ErrFormat, "%d", v)
	}
	switch {
	case b.u16(offSignature) != 0xaa55:
		return bad(offSignature, "signature", b.u16(offSignature))
	case g.sector < minSector || g.sector > 4096 || bits.OnesCount64(uint64(g.sector)) != 1:
		return bad(offSectorSize, "bytes of a sector", g.sector)
	case bits.OnesCount64(uint64(g.perCluster)) != 1:
		return bad(offClusterSize, "sectors of a cluster", g.perCluster)
	case g.reserved == 0:
		return bad(offReserved, "reserved sectors", 0)
	case g.tables == 0 || g.tables > 4:
		return bad(offTables, "number of tables", g.tables)
	case b[offMedia] != 0xf0 && b[offMedia] < 0xf8:
		return bad(offMedia, "media", int64(b[offMedia]))
	case g.total == 0:
		return bad(offTotal32, "total sectors", 0)
	case g.tableSectors != 0 && g.rootEntries == 0:
		return bad(offRootEntries, "root entries", 0)
	case g.tableSectors == 0 && g.rootEntries != 0:
		return bad(offRootEntries, "root entries of FAT32", g.rootEntries)
	}
	return nil
}

// geometry32 reads the fields that only FAT32 has.
func (b bootSector) geometry32(g *geometry) error {
	g.typ = FAT32
	g.tableSectors = b.u32(offTableSize32)
	g.rootCluster = uint32(b.u32(offRoot32))
	if g.tableSectors == 0 {
		return formatError(offTableSize32, "boot sector", "sectors of a table", ErrFormat, "0")
	}
	if v := b.u16(offVersion32); v != 0 {
		return formatError(offVersion32, "boot sector", "version", ErrFormat, "%d", v)
	}
	if flags := b.u16(offFlags32); flags&0x80 != 0 {
		g.mirrored, g.active = false, flags&0xf
		if g.active >= g.tables {
			return formatError(offFlags32, "boot sector", "active table", ErrRange, "%d of %d", g.active, g.tables)
		}
	}
	for _, f := range []struct {
		off  int
		name string
		to   *int64
	}{{offFSInfo, "FSInfo sector", &g.fsInfo}, {offBackup, "backup sector", &g.backup}} {
		if *f.to = b.u16(f.off); *f.to == 0xffff {
			*f.to = 0
		}
		if *f.to >= g.reserved {
			return formatError(int64(f.off), "boot sector", f.name, ErrRange, "%d of %d reserved sectors", *f.to, g.reserved)
		}
	}
	return nil
}

// count learns how many clusters there are, and with that the type, and checks
// that everything lies in the volume and the volume in the image.
func (b bootSector) count(g *geometry, size int64) error {
	if g.total*g.sector > size {
		return formatError(offTotal32, "boot sector", "total sectors", ErrTruncated, "%d bytes of %d", size, g.total*g.sector)
	}
	data := g.total - g.dataOff()/g.sector
	if data < g.perCluster {
		return formatError(offTotal32, "boot sector", "total sectors", ErrRange, "%d sectors, tables included, leave no cluster", g.total)
	}
	n := data / g.perCluster
	switch {
	case g.typ == FAT32:
	case n <= maxClusters12:
		g.typ = FAT12
	default:
		g.typ = FAT16
	}
	if n > g.typ.maxClusters() {
		return formatError(offClusterSize, "boot sector", "clusters", ErrRange, "%d of %s", n, g.typ)
	}
	g.clusters = uint32(n)
	if need := tableBytesFor(g.typ, n); need > g.tableBytes() {
		return formatError(offTableSize16, "boot sector", "sectors of a table", ErrRange, "%d bytes for %d clusters", g.tableBytes(), n)
	}
	if g.tableBytes() > maxTable {
		return formatError(offTableSize16, "boot sector", "sectors of a table", ErrLimit, "%d bytes", g.tableBytes())
	}
	if g.typ == FAT32 && !g.has(g.rootCluster) {
		return formatError(offRoot32, "boot sector", "root cluster", ErrRange, "%d", g.rootCluster)
	}
	return nil
}

// tableBytesFor returns how many bytes a table for n clusters needs.
func tableBytesFor(t Type, n int64) int64 { return ceil((n+firstCluster)*int64(t), 8) }
