package boot

import (
	"github.com/isolayer/isolayer/iso9660"
)

const (
	// maxPadding is the padding that makers of images write behind the data, in
	// blocks; more than that is alignment.
	maxPadding = 150
	// sessionSectors is what native xorriso rounds images with outer padding to.
	sessionSectors = 64 << 10 / sectorSize
)

// anchor tells what the end of a partition follows when the image is resized.
type anchor int

const (
	anchorNone   anchor = iota // nothing known: the address stays
	anchorEnd                  // the end of the partitioned image
	anchorVolume               // the end of the volume
)

// tableEnd is the end in sectors of what the partition tables take for the image:
// behind the backup GPT, else behind the MBR partition over the file system. The
// file may go on behind it. Without such tables it is the end of the file.
func (e *Equipment) tableEnd() int64 {
	if g := e.System.GPT; g != nil && g.Backup != nil {
		return g.Alternate + 1
	}
	if p := e.coverMBR(); p != nil && p.end() >= e.volumeSectors() && p.end() <= e.sectors() {
		return p.end()
	}
	return e.sectors()
}

// coverMBR returns the MBR partition over the file system, nil if there is none.
func (e *Equipment) coverMBR() *MBRPartition {
	if e.System.MBR == nil {
		return nil
	}
	for i := range e.System.MBR.Partitions {
		if p := &e.System.MBR.Partitions[i]; p.Role == RoleFileSystem {
			return p
		}
	}
	return nil
}

// coverGPT returns the GPT partition over the file system, nil if there is none.
func (e *Equipment) coverGPT() *GPTPartition {
	if e.System.GPT == nil {
		return nil
	}
	for i := range e.System.GPT.Partitions {
		if p := &e.System.GPT.Partitions[i]; p.Role == RoleFileSystem {
			return p
		}
	}
	return nil
}

// anchorMBR tells what the end of the partition follows.
func (e *Equipment) anchorMBR(p *MBRPartition) anchor {
	switch p.end() {
	case e.tableEnd():
		return anchorEnd
	case e.volumeSectors():
		return anchorVolume
	}
	return anchorNone
}

// anchorGPT tells what the end of the partition follows: isohybrid lets it end with
// the volume, libisofs with the last whole block in front of the backup.
func (e *Equipment) anchorGPT(p *GPTPartition) anchor {
	g, end := e.System.GPT, p.Last+1
	switch behind := g.Alternate + 1 - end; {
	case end == e.volumeSectors():
		return anchorVolume
	case behind >= 0 && behind < g.trailerSectors()+perBlock:
		return anchorEnd
	}
	return anchorNone
}

// checkEnds reports ends that follow nothing, and a volume that passes the image.
func (e *Equipment) checkEnds() {
	if v := e.volumeSectors(); v > e.sectors() {
		e.find(16*iso9660.BlockSize+80, "primary volume descriptor, volume space size", iso9660.ErrTruncated,
			"%d blocks, the image has %d", e.volume.Blocks, iso9660.Blocks(e.in.size))
	}
	if p := e.coverMBR(); p != nil && p.Type != typeProtective && e.anchorMBR(p) == anchorNone {
		e.find(p.offset()+12, "MBR partition table", iso9660.ErrConflict,
			"partition %d over the file system ends at sector %d, neither with the volume nor with the image", p.Number, p.end())
	}
	g := e.System.GPT
	// In a table that is announced, other partitions follow.
	if p := e.coverGPT(); p != nil && !g.Announced && e.anchorGPT(p) == anchorNone {
		e.find((g.Array*sectorSize)+int64(p.Number-1)*gptEntrySize+40, "GPT partition table", iso9660.ErrConflict,
			"partition %d over the file system ends at sector %d, neither with the volume nor with the image", p.Number, p.Last)
	}
}

// ends are the sizes of a resized image.
type ends struct {
	volume int64 // blocks of the volume
	table  int64 // sectors, see tableEnd
	size   int64 // bytes of the file
}

// planEnds computes the sizes for a file system that ends at newEnd, where the one
// of the base ends at baseEnd (blocks). Padding goes where the base has it: into
// the volume, between volume and end, or behind the partitioned image.
func (e *Equipment) planEnds(baseEnd, newEnd int64) ends {
	end, trailer := e.tableEnd(), int64(0)
	if g := e.System.GPT; g != nil {
		trailer = g.trailerSectors()
	}
	behind := int64(0) // blocks of padding behind the end of the tables
	if trailer == 0 && baseEnd*perBlock <= end {
		behind = clamp((e.sectors()-end)/perBlock, maxPadding)
	}
	p := ends{}
	if e.volumeEndsFirst(end) {
		inner := clamp(e.volume.Blocks-baseEnd, maxPadding-behind)
		outer := int64(0)
		if trailer == 0 {
			outer = clamp(end/perBlock-max(e.volume.Blocks, baseEnd), maxPadding-behind-inner)
		}
		p.volume = newEnd + inner
		// isohybrid lets the backup GPT lie over padding of the volume; so it may here.
		p.table = e.align(max((p.volume+outer)*perBlock, newEnd*perBlock+trailer), outer > 0)
	} else {
		inner := clamp((end-trailer)/perBlock-baseEnd, maxPadding-behind)
		p.table = e.align((newEnd+inner)*perBlock+roundUp(trailer, perBlock), false)
		p.volume = p.table / perBlock
	}
	size := p.table + behind*perBlock
	if behind > 0 && e.sectors()%sessionSectors == 0 {
		size = roundUp(size, sessionSectors)
	}
	p.size = size * sectorSize
	return p
}

// volumeEndsFirst tells whether the volume ends in front of the partitioned image,
// as isohybrid leaves it, or with it, as libisofs makes it.
func (e *Equipment) volumeEndsFirst(end int64) bool {
	if p := e.coverGPT(); p != nil && e.anchorGPT(p) == anchorVolume {
		return true
	}
	return e.volumeSectors() < end
}

// align rounds the end of the image up to what the base keeps: cylinders, sessions
// (where padding lies behind the volume), blocks.
func (e *Equipment) align(end int64, padded bool) int64 {
	if p := e.coverMBR(); p != nil && e.anchorMBR(p) == anchorEnd {
		if n, ok := e.System.MBR.cylinderAligned(*p); ok {
			return roundUp(end, n)
		}
		return roundUp(end, perBlock)
	}
	if padded && e.sectors()%sessionSectors == 0 {
		return roundUp(end, sessionSectors)
	}
	return roundUp(end, perBlock)
}

func clamp(n, most int64) int64 { return max(0, min(n, most)) }

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
