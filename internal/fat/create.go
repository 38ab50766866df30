package fat

import (
	"fmt"
	"time"

	"github.com/isolayer/isolayer/extent"
)

// Format describes a new volume. Size is needed; the zero value of everything
// else is the usual way.
type Format struct {
	Size        int64 // in bytes; becomes a multiple of 2048
	Label       string
	ID          VolumeID
	Type        Type  // 0: what mkfs.vfat chooses, FAT32 from 512 MiB on
	SectorSize  int64 // 0: 512
	ClusterSize int64 // 0: what mkfs.vfat chooses
	OEMName     string
	Time        time.Time // of the label
}

// Create returns an empty volume, which cannot be started from by a BIOS.
func Create(f Format) (*extent.Map, error) {
	g, err := f.geometry()
	if err != nil {
		return nil, err
	}
	return f.build(g)
}

// build returns an empty volume of the given geometry.
func (f Format) build(g geometry) (*extent.Map, error) {
	label, err := volumeLabel(f.Label)
	if err != nil {
		return nil, err
	}
	media := byte(0xf8)
	if g.total*g.sector <= floppy {
		media = 0xf0
	}
	boot := f.boot(g, media, label)
	t := g.newTable(media)
	rootAt := g.rootOff()
	if g.typ == FAT32 {
		t.set(g.rootCluster, entryEnd)
		rootAt = g.offset(g.rootCluster)
	}
	out := g.metadata(boot, t)
	if f.Label != "" {
		out = append(out, extent.BytesOf(rootAt, newLabel(label, f.Time)))
	}
	blank, err := extent.New([]extent.Extent{extent.ZeroOf(0, g.total*g.sector)})
	if err != nil {
		return nil, err
	}
	return blank.Overlay(out)
}

// floppy is the size of the largest floppy disk in bytes.
const floppy = 2880 << 10

// geometry chooses what the format leaves open.
func (f Format) geometry() (geometry, error) {
	g := geometry{sector: f.SectorSize, reserved: 1, tables: 2, rootEntries: 512, mirrored: true}
	if g.sector == 0 {
		g.sector = minSector
	}
	if g.sector != 512 && g.sector != 1024 && g.sector != 2048 && g.sector != 4096 {
		return g, fmt.Errorf("sectors of %d bytes: 512, 1024, 2048 or 4096 are possible", f.SectorSize)
	}
	total := ceil(f.Size, max(unit, g.sector)) * max(unit, g.sector) / g.sector
	if f.Size <= floppy {
		g.rootEntries = 224
	}
	g.rootEntries = g.rootSectors() * g.sector / slotSize
	ok := false
	switch {
	case f.ClusterSize != 0:
		ok = f.fixed(&g, total)
	case f.Type == 0:
		ok = g.fillAny(total)
	default:
		ok = g.fillType(f.Type, total)
	}
	if !ok {
		return g, fmt.Errorf("a volume of %d bytes: no such FAT type and cluster size", f.Size)
	}
	return g, nil
}

// fixed takes the cluster size as given.
func (f Format) fixed(g *geometry, total int64) bool {
	per := f.ClusterSize / g.sector
	if f.ClusterSize%g.sector != 0 || per < 1 || per > 128 || per&(per-1) != 0 {
		return false
	}
	for _, t := range []Type{FAT12, FAT16, FAT32} {
		if f.Type != 0 && f.Type != t {
			continue
		}
		try := *g
		try.typ, try.perCluster = t, per
		if t == FAT32 {
			try.fat32()
		}
		if try.fill(total) && (t != FAT32 || try.clusters >= fewestClusters32) {
			*g = try
			return true
		}
	}
	return false
}

// boot returns the boot sector of a new volume.
func (f Format) boot(g geometry, media byte, label [11]byte) bootSector {
	b := make(bootSector, minSector)
	oem := f.OEMName
	if oem == "" {
		oem = "isolayer"
	}
	copy(b[offOEM:offSectorSize], fmt.Sprintf("%-8s", oem))
	b[offMedia] = media
	b.put16(offTrack, 32)
	b.put16(offHeads, 64)
	if media == 0xf0 {
		b.put16(offTrack, max(18, 36*min(1, g.total*g.sector/floppy)))
		b.put16(offHeads, 2)
	}
	if f.Label == "" {
		copy(label[:], "NO NAME    ")
	}
	b.dress(g.typ, media, f.ID, label)
	b.encode(g)
	return b
}

// dress writes the jump and code of a volume that cannot be started from, and
// its extended block.
func (b bootSector) dress(t Type, media byte, id VolumeID, label [11]byte) {
	code := offExtended + extEnd
	if t == FAT32 {
		code = offExtended32 + extEnd
	}
	clear(b[offExtended:offSignature])
	copy(b, []byte{0xeb, byte(code - 2), 0x90})
	copy(b[code:], []byte{0xcd, 0x18, 0xf4, 0xeb, 0xfd}) // int 18h; hlt; jmp back
	x := b.extended(t)
	if media != 0xf0 {
		x[0] = 0x80
	}
	x[extSignature] = 0x29
	x[extID], x[extID+1], x[extID+2], x[extID+3] = byte(id), byte(id>>8), byte(id>>16), byte(id>>24)
	copy(x[extLabel:], label[:])
}
