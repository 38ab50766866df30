package fat

import (
	"github.com/isolayer/isolayer/extent"
)

// The most clusters that formatters give to a type, and the fewest: readers do
// not agree on the type of what lies in between.
const (
	fewestClusters16 = 4087
	mostClusters12   = 4080
	mostClusters16   = 65520
	fewestClusters32 = 65529
)

// maxClusterSize is the largest cluster in bytes that every reader knows.
const maxClusterSize = 32 << 10

// unit is what sizes of new volumes are multiples of: the block of ISO 9660.
const unit = 2048

// fill computes the size of the table and the number of clusters from the other
// fields, and reports whether the result is of its type.
func (g *geometry) fill(total int64) bool {
	count := func(sectors int64) int64 {
		g.tableSectors = sectors
		return (total - g.dataOff()/g.sector) / g.perCluster
	}
	needed := func(n int64) int64 { return ceil(tableBytesFor(g.typ, n), g.sector) }
	if count(1) < 1 || total > 0xffffffff {
		return false
	}
	sectors := needed(count(0))
	for sectors > 1 && needed(count(sectors-1)) <= sectors-1 {
		sectors--
	}
	n := count(sectors)
	if n < 1 || n > g.typ.maxClusters() || sectors*g.sector > maxTable || g.typ != FAT32 && sectors > 0xffff {
		return false
	}
	g.total, g.clusters = total, uint32(n)
	switch g.typ {
	case FAT12:
		return n <= mostClusters12
	case FAT16:
		return n > maxClusters12 && n <= mostClusters16
	}
	return true
}

// fillType chooses the cluster size of a new volume of the given type as
// mkfs.vfat does. The other fields are set.
func (g *geometry) fillType(t Type, total int64) bool {
	g.typ = t
	if t == FAT32 {
		g.fat32()
		g.perCluster = max(1, clusterSize32(total*g.sector)/g.sector)
		return g.fill(total) && g.clusters >= fewestClusters32
	}
	per := int64(4)
	if total*g.sector <= floppy {
		per = 1
	}
	for g.perCluster = per; g.clusterSize() <= max(maxClusterSize, per*g.sector); g.perCluster *= 2 {
		if g.fill(total) && (t == FAT12 || g.clusters >= fewestClusters16) {
			return true
		}
	}
	return false
}

// fat32 sets the fields that FAT32 has in other ways than the older types.
func (g *geometry) fat32() {
	g.rootEntries, g.rootCluster = 0, firstCluster
	g.reserved, g.fsInfo, g.backup = 32, 1, 6
}

// clusterSize32 is what mkfs.vfat and Windows choose for FAT32.
func clusterSize32(size int64) int64 {
	switch {
	case size <= 260<<20:
		return 512
	case size <= 8<<30:
		return 4 << 10
	case size <= 16<<30:
		return 8 << 10
	case size <= 32<<30:
		return 16 << 10
	}
	return 32 << 10
}

// fillAny chooses the type, too: that of the smaller clusters, and FAT32 from
// 512 MiB on, as mkfs.vfat has it.
func (g *geometry) fillAny(total int64) bool {
	if total*g.sector >= 512<<20 {
		return g.fillType(FAT32, total)
	}
	one, two := *g, *g
	switch ok, other := one.fillType(FAT12, total), two.fillType(FAT16, total); {
	case ok && (!other || one.perCluster <= two.perCluster):
		*g = one
	case other:
		*g = two
	default:
		return false
	}
	return true
}

// newTable is an empty table; its first entries hold the media byte and flags.
func (g *geometry) newTable(media byte) table {
	t := table{make([]byte, g.tableBytes()), g.typ}
	t.set(0, 0x0fffff00|uint32(media))
	t.set(1, entryEnd)
	return t
}

// metadata returns the boot sector, its backup, the FSInfo sectors and all
// copies of the table of a new volume.
func (g *geometry) metadata(boot bootSector, t table) (out []extent.Extent) {
	out = append(out, extent.BytesOf(0, boot))
	if g.backup != 0 {
		out = append(out, extent.BytesOf(g.backup*g.sector, boot))
	}
	if g.fsInfo != 0 {
		info := newFSInfo()
		g.summarize(info, t)
		out = append(out, extent.BytesOf(g.fsInfo*g.sector, info))
		if at := g.backup + g.fsInfo; g.backup != 0 && at < g.reserved && at != g.fsInfo {
			out = append(out, extent.BytesOf(at*g.sector, info))
		}
	}
	used := len(t.raw)
	for used > 0 && t.raw[used-1] == 0 {
		used--
	}
	for i := range g.tables {
		out = append(out, extent.BytesOf(g.tableOff(i), t.raw[:used]))
	}
	return out
}
