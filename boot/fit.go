package boot

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/iso9660"
)

// Fit is how the boot equipment follows a resized file system.
type Fit struct {
	Size         int64     `json:"size"`          // bytes of the whole new image
	VolumeBlocks int64     `json:"volume_blocks"` // volume space size of the primary descriptor
	Patches      []Patch   `json:"patches,omitempty"`
	Findings     []Finding `json:"findings,omitempty"`
}

// Patch is bytes to be written at an offset of the new image.
type Patch struct {
	Off  int64  `json:"offset"`
	Data []byte `json:"-"`
	What string `json:"what"`
}

// Fit plans how the image of a file system that ends at newEnd differs from the
// base, whose file system ends at baseEnd. Both are blocks: the first one behind
// file data, trees and unowned data to be kept, without padding and trailer.
//
// Patches are sorted and do not overlap; they hold the new backup GPT, but not
// zeros for the old one. With newEnd equal to baseEnd nothing changes. Ends of
// partitions that follow no rule of their layout stay as found and are reported.
// The error wraps iso9660.ErrUnsupported for the reasons Unsupported gives, and
// iso9660.ErrLimit if an address does not fit its field.
func (e *Equipment) Fit(baseEnd, newEnd int64) (Fit, error) {
	if baseEnd < 0 || baseEnd > maxBlocks || newEnd <= 16 || newEnd > maxBlocks {
		return Fit{}, fmt.Errorf("fit boot equipment: file system from %d to %d blocks: %w", baseEnd, newEnd, iso9660.ErrLimit)
	}
	if newEnd == baseEnd {
		return Fit{Size: e.in.size, VolumeBlocks: e.volume.Blocks}, nil
	}
	if why := e.Unsupported(); len(why) > 0 {
		return Fit{}, fmt.Errorf("fit boot equipment: %w: %s", iso9660.ErrUnsupported, strings.Join(why, " "))
	}
	to := e.planEnds(baseEnd, newEnd)
	if to.volume > maxBlocks {
		return Fit{}, fmt.Errorf("fit boot equipment: volume of %d blocks: %w", to.volume, iso9660.ErrLimit)
	}
	f := &fitter{e: e, to: to, area: bytes.Clone(e.area)}
	if err := f.fitMBR(); err != nil {
		return Fit{}, err
	}
	f.fitGPT()
	slices.SortFunc(f.patches, func(a, b Patch) int { return cmp.Compare(a.Off, b.Off) })
	return Fit{to.size, to.volume, f.patches, f.findings}, nil
}

// fitter collects the patches of one Fit.
type fitter struct {
	e        *Equipment
	to       ends
	area     []byte // the new system area
	patches  []Patch
	findings []Finding
}

// patch adds the n bytes at off of the new system area if they differ.
func (f *fitter) patch(off, n int64, what string) {
	if b := f.area[off : off+n]; !bytes.Equal(b, f.e.area[off:off+n]) {
		f.patches = append(f.patches, Patch{off, b, what})
	}
}

func (f *fitter) kept(off int64, where string, end int64) {
	f.findings = append(f.findings, Finding{
		off, where, iso9660.ErrConflict,
		fmt.Sprintf("the end at sector %d follows no rule and is left as found", end),
	})
}

// fitMBR moves the end of the partition over the file system.
func (f *fitter) fitMBR() error {
	p := f.e.coverMBR()
	if p == nil {
		return nil
	}
	where := fmt.Sprintf("MBR partition %d", p.Number)
	end := f.to.table
	switch f.e.anchorMBR(p) {
	case anchorVolume:
		end = f.to.volume * perBlock
	case anchorNone:
		f.kept(p.offset()+12, where, p.end())
		return nil
	}
	if end > 1<<32-1 {
		return fmt.Errorf("fit %s: image of %d sectors, the MBR holds %d: %w", where, end, int64(1<<32-1), iso9660.ErrLimit)
	}
	p.setEnd(f.area[p.offset():][:mbrEntrySize], end)
	f.patch(p.offset(), mbrEntrySize, where)
	return nil
}

// fitGPT moves the backup to the new end, and with it what the primary table says
// about it.
func (f *fitter) fitGPT() {
	g := f.e.System.GPT
	if g == nil {
		return
	}
	entry := f.fitGPTEntry(g)
	alternate := f.to.table - 1
	// The room behind the last usable sector belongs to the layout and stays.
	room := g.Alternate - g.LastUsable
	if room < g.trailerSectors() || room > g.trailerSectors()+systemAreaSectors {
		room = g.trailerSectors()
	}
	h := f.area[gptOff:][:g.headerSize]
	put := binary.LittleEndian.PutUint64
	put(h[24:], 1)
	put(h[32:], uint64(alternate))
	put(h[48:], uint64(alternate-room))
	array := f.area[g.Array*sectorSize:][:int64(g.Count)*gptEntrySize]
	binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(array))
	binary.LittleEndian.PutUint32(h[16:], headerCRC(h))
	f.patch(gptOff, g.headerSize, "GPT header")
	if entry > 0 {
		f.patch(g.Array*sectorSize+int64(entry-1)*gptEntrySize, gptEntrySize, fmt.Sprintf("GPT partition %d", entry))
	}
	f.patches = append(f.patches, backupPatch(g, h, array, alternate))
}

// fitGPTEntry moves the end of the partition over the file system and returns the
// number of the changed entry, 0 for none.
func (f *fitter) fitGPTEntry(g *GPT) int {
	p := f.e.coverGPT()
	if p == nil {
		return 0
	}
	off := g.Array*sectorSize + int64(p.Number-1)*gptEntrySize
	var last int64
	switch f.e.anchorGPT(p) {
	case anchorVolume:
		last = f.to.volume*perBlock - 1
	case anchorEnd:
		last = f.to.table - 1 - (g.Alternate - p.Last)
	default:
		f.kept(off+40, fmt.Sprintf("GPT partition %d", p.Number), p.Last)
		return 0
	}
	binary.LittleEndian.PutUint64(f.area[off+40:], uint64(last))
	return p.Number
}

// backupPatch makes the backup for the last sectors of the image: the array, then
// the header with the addresses exchanged (UEFI 5.3.2).
func backupPatch(g *GPT, primary, array []byte, alternate int64) Patch {
	n := g.arraySectors()
	b := make([]byte, (n+1)*sectorSize)
	copy(b, array)
	h := b[n*sectorSize:][:len(primary)]
	copy(h, primary)
	binary.LittleEndian.PutUint64(h[24:], uint64(alternate))
	binary.LittleEndian.PutUint64(h[32:], 1)
	binary.LittleEndian.PutUint64(h[72:], uint64(alternate-n))
	binary.LittleEndian.PutUint32(h[16:], headerCRC(h))
	return Patch{(alternate - n) * sectorSize, b, "backup GPT"}
}
