package boot

import (
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	// maxPadding is the padding that makers of images write behind the data, in
	// blocks; more than that is alignment.
	maxPadding = 150
	// sessionSectors is what native xorriso rounds images with outer padding to.
	sessionSectors = 64 << 10 / sectorSize
)

// tableEnd is the end in sectors of what the partition tables take for the image:
// behind the backup GPT, else behind the MBR partition over the file system and
// the appended ones. The file may go on behind it. Without such tables it is the
// end of the file.
func (e *Equipment) tableEnd() int64 {
	if g := e.System.GPT; g != nil && (g.Backup != nil || g.headless) {
		return g.end()
	}
	end := int64(0)
	if p := e.coverMBR(); p != nil && p.end() >= e.volumeSectors() && p.end() <= e.sectors() {
		end = p.end()
	}
	for _, o := range e.appended() {
		end = max(end, roundUp(o.End(), sectorSize)/sectorSize)
	}
	if end == 0 {
		return e.sectors()
	}
	return end
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

// endKnown reports whether the end of a partition follows the image's.
func (e *Equipment) endKnown(p partition) bool {
	l := e.here()
	_, ok := follow(l, l, p.end(), e.slack(p.table))
	return ok || e.meets(p)
}

// meets reports whether another partition of the table begins where p ends.
func (e *Equipment) meets(p partition) bool {
	return slices.ContainsFunc(e.System.partitions(), func(q partition) bool {
		return q.table == p.table && q.first == p.end() && q.count > 0
	})
}

// slack is how far in front of the end of the tables the end of a GPT partition
// may lie: libisofs lets it end with the last whole block in front of the backup.
func (e *Equipment) slack(table string) int64 {
	if table == "MBR" || e.trailer() == 0 {
		return 1
	}
	return e.trailer() + perBlock + 1
}

// checkEnds reports ends that follow nothing, and a volume that passes the image.
func (e *Equipment) checkEnds() {
	if v := e.volumeSectors(); v > e.sectors() {
		e.find(16*iso9660.BlockSize+80, "primary volume descriptor, volume space size", iso9660.ErrTruncated,
			"%d blocks, the image has %d", e.volume.Blocks, iso9660.Blocks(e.in.size))
	}
	for _, p := range e.System.partitions() {
		if (p.role == RoleFileSystem || p.role == RoleProtective) && !e.endKnown(p) {
			e.find(e.endField(p), p.table+" partition table", iso9660.ErrConflict,
				"partition %d over the file system ends at sector %d, neither with the volume nor with the image", p.number, p.end())
		}
	}
}

// endField is the offset of the field which says where a partition ends.
func (e *Equipment) endField(p partition) int64 {
	switch p.table {
	case "MBR":
		return mbrTableOff + int64(p.number-1)*mbrEntrySize + 12
	case "GPT":
		return e.System.GPT.Array*sectorSize + int64(p.number-1)*gptEntrySize + 40
	}
	return int64(p.number)*e.System.APM.BlockSize + 12
}

// landmarks are the places of an image that the ends of partitions and volumes
// follow. Sectors.
// See RATIONALE.md, "Ends follow landmarks".
type landmarks struct {
	volume   int64            // end of the volume by its primary descriptor
	table    int64            // see tableEnd
	size     int64            // of the image, in whole sectors
	appended map[*Object]span // objects behind the file system
}

// span is a run of sectors.
type span struct{ first, end int64 }

// here are the landmarks of the base.
func (e *Equipment) here() landmarks {
	l := landmarks{e.volumeSectors(), e.tableEnd(), e.sectors(), map[*Object]span{}}
	for _, o := range e.appended() {
		l.appended[o] = span{o.Off / sectorSize, roundUp(o.End(), sectorSize) / sectorSize}
	}
	return l
}

// planEnds computes the landmarks for a file system that ends at newEnd, where the
// one of the base ends at baseEnd (blocks). Padding goes where the base has it:
// into the volume, between volume and end, or behind the partitioned image.
func (e *Equipment) planEnds(c Change) landmarks {
	if len(e.appended()) > 0 {
		return e.planAppended(c)
	}
	end, trailer := e.tableEnd(), e.trailer()
	behind := int64(0) // blocks of padding behind the end of the tables
	if trailer == 0 && c.BaseEnd*perBlock <= end {
		behind = clamp((e.sectors()-end)/perBlock, maxPadding)
	}
	var to landmarks
	var volume int64 // blocks
	if e.volumeEndsFirst(end) {
		inner := clamp(e.volume.Blocks-c.BaseEnd, maxPadding-behind)
		outer := int64(0)
		if trailer == 0 {
			outer = clamp(end/perBlock-max(e.volume.Blocks, c.BaseEnd), maxPadding-behind-inner)
		}
		volume = c.NewEnd + inner
		// isohybrid lets the backup GPT lie over padding of the volume; so it may here.
		to.table = e.align(max((volume+outer)*perBlock, c.NewEnd*perBlock+trailer), outer > 0)
	} else {
		inner := clamp((end-trailer)/perBlock-c.BaseEnd, maxPadding-behind)
		to.table = e.align((c.NewEnd+inner)*perBlock+roundUp(trailer, perBlock), false)
		volume = to.table / perBlock
	}
	to.volume = volume * perBlock
	to.size = to.table + behind*perBlock
	if behind > 0 && e.sectors()%sessionSectors == 0 {
		to.size = roundUp(to.size, sessionSectors)
	}
	return to
}

// trailer is the length in sectors of the backup GPT, 0 without a GPT.
func (e *Equipment) trailer() int64 {
	if g := e.System.GPT; g != nil && g.Problem == "" {
		return g.trailerSectors()
	}
	return 0
}

// planAppended computes the landmarks of an image with appended partitions: they
// keep their order, their alignment and the room between them, and so does what
// lies behind the last one; with room for edits to come they may stay. The volume ends with the file system, or with the image.
func (e *Equipment) planAppended(c Change) landmarks {
	from := e.here()
	to := landmarks{appended: map[*Object]span{}}
	old, at := c.BaseEnd*perBlock, c.NewEnd*perBlock // ends of what lies in front
	lastOld := old
	for _, o := range e.appended() {
		s := from.appended[o]
		lastOld = max(lastOld, s.end)
		if c.dropped(o) {
			to.appended[o] = span{at, at}
			old = max(old, s.end)
			continue
		}
		n := s.end - s.first
		if p, ok := c.Objects[o]; ok {
			n = iso9660.Blocks(p.Size) * perBlock
		}
		first := s.first
		switch {
		case c.Room == 0:
			first = e.alignStart(s.first, old, at)
		case at > s.first && at == c.NewEnd*perBlock:
			first = e.alignStart(s.first, old, at+c.Room*perBlock)
		case at > s.first:
			first = e.alignStart(s.first, old, at)
		}
		to.appended[o] = span{first, first + n}
		old, at = max(old, s.end), first+n
	}
	trailer := roundUp(e.trailer(), perBlock)
	padding := clamp((from.table-trailer-lastOld)/perBlock, maxPadding) * perBlock
	to.table = roundUp(at+padding+trailer, e.unit())
	if n := e.cylinder(); n > 0 && from.table%n == 0 {
		to.table = roundUp(to.table, n)
	}
	if c.Room > 0 { // in place an image does not shrink
		to.table = max(to.table, from.table)
	}
	to.size = to.table + clamp((from.size-from.table)/perBlock, maxPadding)*perBlock
	to.volume = min(e.followVolume(from, to, c), roundUp(to.size, perBlock))
	return to
}

// followVolume says where the volume of an image with appended partitions ends.
func (e *Equipment) followVolume(from, to landmarks, c Change) int64 {
	if at, ok := follow(from, to, from.volume, 0); ok && from.volume != 0 {
		return at
	}
	at := max(c.NewEnd*perBlock, from.volume+(c.NewEnd-c.BaseEnd)*perBlock)
	for o, s := range from.appended {
		if t, ok := to.appended[o]; ok && from.volume <= s.first {
			at = min(at, max(c.NewEnd*perBlock, t.first))
		}
	}
	return at
}

// alignStart places an appended partition behind sector at: on a cylinder, if the
// one of the base begins with the first behind its file system; else as far behind
// as it was.
func (e *Equipment) alignStart(first, old, at int64) int64 {
	if n := e.cylinder(); n > 0 && first%n == 0 && first-old < n && first >= old {
		return roundUp(at, n)
	}
	return roundUp(at+clamp(first-old, maxPadding*perBlock), perBlock)
}

// cylinder is the cylinder size in sectors that the MBR shows, else that of the
// geometry which makers of images begin with.
func (e *Equipment) cylinder() int64 {
	if e.System.MBR == nil || e.System.MBR.Code == CodeGRUB2 {
		return 0
	}
	for _, p := range e.System.MBR.Partitions {
		if g, ok := geometryOf(p.EndCHS, p.end()); ok && p.Role != RoleMarker && p.end()%g.cylinder() == 0 {
			return g.cylinder()
		}
	}
	return 64 * 32
}

// follow maps the sector that an end or a start of the base is at: what coincides
// with a landmark goes with it, and so does what lies within slack of the end of
// the tables.
func follow(from, to landmarks, at, slack int64) (int64, bool) {
	for o, s := range from.appended {
		t, ok := to.appended[o]
		switch {
		case !ok:
		case at == s.first:
			return t.first, true
		case at == s.end:
			return t.end, true
		}
	}
	switch {
	case at == from.table:
		return to.table, true
	case at == from.volume && to.volume > 0:
		return to.volume, true
	case at == from.size:
		return to.size, true
	case at < from.table && from.table-at < slack:
		return to.table - (from.table - at), true
	}
	return at, false
}

// volumeEndsFirst reports whether the volume ends in front of the partitioned image,
// as isohybrid leaves it, or with it, as libisofs makes it.
func (e *Equipment) volumeEndsFirst(end int64) bool {
	if p := e.coverGPT(); p != nil && p.Last+1 == e.volumeSectors() {
		return true
	}
	return e.volumeSectors() < end
}

// align rounds the end of the image up to what the base keeps: cylinders, sessions
// (where padding lies behind the volume), blocks.
func (e *Equipment) align(end int64, padded bool) int64 {
	if p := e.coverMBR(); p != nil && p.end() == e.tableEnd() {
		if n, ok := e.System.MBR.cylinderAligned(*p); ok {
			return roundUp(end, n)
		}
		return roundUp(end, e.unit())
	}
	if padded && e.sectors()%sessionSectors == 0 {
		return roundUp(end, sessionSectors)
	}
	return roundUp(end, e.unit())
}

// unit is what the end of the tables is a multiple of: whole blocks, and whole sectors of
// the GPT.
func (e *Equipment) unit() int64 {
	if g := e.System.GPT; g != nil && g.Problem == "" {
		return max(perBlock, g.per())
	}
	return perBlock
}

func clamp(n, most int64) int64 { return max(0, min(n, most)) }

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
