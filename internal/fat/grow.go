package fat

import (
	"fmt"

	"github.com/isolayer/isolayer/extent"
)

// Grow returns the edited image as a new one of size bytes, rounded up to 2048:
// everything is placed anew, content still comes from the old image. Label,
// volume id, sector size and OEM name stay, boot code does as long as the type
// does not become FAT32. The type stays while clusters of at most 32 KiB allow
// it. Size 0 is the smallest, and not below the old one, that has room for all.
func (e *Editor) Grow(size int64) (*extent.Map, error) {
	l := e.newLayout(true)
	if err := l.fit(size); err != nil {
		return nil, err
	}
	media := e.img.boot[offMedia]
	l.table = l.newTable(media)
	if err := l.place(); err != nil {
		return nil, err
	}
	if l.typ == FAT32 {
		l.rootCluster = l.places[e.root].start()
	}
	l.record()
	l.active, l.mirrored = 0, true
	blank := []extent.Extent{extent.ZeroOf(0, l.total*l.sector)}
	if l.reserved == e.img.reserved {
		n := l.reserved * l.sector
		blank = []extent.Extent{extent.CopyOf(0, e.opt.Base, e.opt.BaseOff, n), extent.ZeroOf(n, l.total*l.sector-n)}
	}
	m, err := extent.New(blank)
	if err != nil {
		return nil, fmt.Errorf("base of the image: %w", err)
	}
	out := l.metadata(l.newBoot(), l.table)
	return m.Overlay(append(append(out, l.dirExtents()...), l.fileExtents()...))
}

// newBoot returns the old boot sector with the new geometry.
func (l *layout) newBoot() bootSector {
	old := l.img.boot
	b := append(bootSector(nil), old...)
	if l.typ == FAT32 && l.img.typ != FAT32 {
		label, id := [11]byte([]byte("NO NAME    ")), l.img.VolumeID()
		if x := old.extended(l.img.typ); x[extSignature] == 0x29 {
			label = [11]byte(x[extLabel:extType])
		}
		b.dress(FAT32, b[offMedia], id, label)
	}
	if l.typ == FAT32 {
		b.put16(offFlags32, 0)
	}
	b.encode(l.geometry)
	return b
}

// fit chooses the geometry.
func (l *layout) fit(size int64) error {
	grain := max(unit, l.img.sector)
	smallest := size == 0
	size = ceil(max(size, l.img.size), grain) * grain
	for {
		g, ok := l.larger(size)
		if !ok {
			return errorf(ErrLimit, "a volume of %d bytes", size)
		}
		l.geometry = g
		lacking := l.need() - int64(g.clusters)
		if lacking <= 0 {
			return nil
		}
		if !smallest {
			return errorf(ErrFull, "%d bytes more are needed than %d", lacking*g.clusterSize(), size)
		}
		size += ceil(lacking*g.clusterSize(), grain) * grain
	}
}

// larger returns the geometry of the old image at a larger size.
func (l *layout) larger(size int64) (geometry, bool) {
	g := l.img.geometry
	total := size / g.sector
	if g.typ != FAT32 {
		slots := int64(len(l.dirs[l.Editor.root].raw) / slotSize)
		g.rootEntries = max(g.rootEntries, ceil(slots, 16)*16)
	}
	old := g.clusterSize()
	for ; g.clusterSize() <= max(maxClusterSize, old) && g.perCluster <= 128; g.perCluster *= 2 {
		if g.fill(total) {
			return g, true
		}
	}
	for _, t := range []Type{FAT16, FAT32} {
		if next := g; t > l.img.typ && next.fillType(t, total) {
			return next, true
		}
	}
	return g, false
}
