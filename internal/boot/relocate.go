package boot

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// Change is how an image becomes another one, as far as its boot equipment is
// concerned.
type Change struct {
	// BaseEnd and NewEnd are where the file system of the base and of the result
	// end, in blocks: the first one behind file data, trees and unowned data to be
	// kept, without padding, appended partitions and trailer.
	BaseEnd, NewEnd int64
	// Objects have another place or other content than in the base. The place of
	// appended ones is not asked for: they follow the file system.
	Objects map[*Object]Placement
	// Drop lists platforms that shall not boot any more.
	Drop []Platform
	// Repair makes tables right that the base has wrong.
	Repair bool
	// Room, unless 0, lets appended objects stay where they are as long as the file
	// system ends in front of them; if they have to move, they leave that many blocks.
	Room int64
}

// Placement is where an object of the result lies and what it holds.
type Placement struct {
	LBA     iso9660.LBA
	Size    int64       // bytes
	Content io.ReaderAt // nil: that of the base
}

// Relocation is how the boot equipment follows a Change.
type Relocation struct {
	Size         int64      // bytes of the whole new image
	VolumeBlocks int64      // volume space size of the primary descriptor
	Appended     []Appended // partitions behind the file system, sorted by place
	// TrailerMoves says that the backup GPT gets another place.
	TrailerMoves bool
	// NoCatalog says that nothing is left for the boot record to lead to.
	NoCatalog bool
	// Patches are sorted and do not overlap. They hold the new backup GPT, but not
	// zeros for the old one; some lie inside boot images.
	Patches  []Patch
	Findings []Finding

	from, to landmarks
}

// Appended is the place of an appended partition in the result.
type Appended struct {
	Object *Object
	Off    int64 // bytes
	Len    int64
}

// Patch is bytes to be written at an offset of the new image.
type Patch struct {
	Off  int64  `json:"offset"`
	Data []byte `json:"-"`
	What string `json:"what"`
}

// Relocate plans what has to be written so that every address of the equipment
// points at what it pointed at in the base, or at its replacement, and so that the
// tables end where the image does. With nothing to change nothing changes. Ends of
// partitions that follow no rule of their layout stay as found and are reported.
//
// The error wraps iso9660.ErrUnsupported for the reasons Unsupported gives and for
// objects that cannot be replaced, and iso9660.ErrLimit if an address does not fit
// its field.
func (e *Equipment) Relocate(c Change) (*Relocation, error) {
	r, err := e.relocate(c)
	if err != nil {
		return nil, fmt.Errorf("relocate boot equipment: %w", err)
	}
	return r, nil
}

func (e *Equipment) relocate(c Change) (*Relocation, error) {
	if c.BaseEnd < 0 || c.BaseEnd > maxBlocks || c.NewEnd <= 16 || c.NewEnd > maxBlocks {
		return nil, fmt.Errorf("file system from %d to %d blocks: %w", c.BaseEnd, c.NewEnd, iso9660.ErrLimit)
	}
	r := &relocator{e: e, c: c, area: bytes.Clone(e.area), at: map[*Object]Placement{}}
	r.out.from, r.out.to = e.here(), e.here()
	if r.nothing() {
		r.placeObjects()
		return r.finish(), nil
	}
	if why := e.Unsupported(); len(why) > 0 {
		return nil, fmt.Errorf("%w: %s", iso9660.ErrUnsupported, strings.Join(why, " "))
	}
	if c.NewEnd != c.BaseEnd || r.appendedChange() {
		r.out.to = e.planEnds(c)
	}
	if v := r.out.to.volume / perBlock; v > maxBlocks {
		return nil, fmt.Errorf("volume of %d blocks: %w", v, iso9660.ErrLimit)
	}
	r.placeObjects()
	for _, step := range []func() error{r.mbr, r.gpt, r.apm, r.foreign, r.loaderAddress, r.catalog, r.images} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r.finish(), nil
}

// relocator collects the patches of one Relocate.
type relocator struct {
	e    *Equipment
	c    Change
	area []byte // the new system area
	at   map[*Object]Placement
	out  Relocation
}

// nothing reports a change that comes to none.
func (r *relocator) nothing() bool {
	return r.c.NewEnd == r.c.BaseEnd && len(r.c.Objects) == 0 && len(r.c.Drop) == 0 && !r.c.Repair
}

// appendedChange reports whether an appended partition goes or has another size.
func (r *relocator) appendedChange() bool {
	return slices.ContainsFunc(r.e.appended(), func(o *Object) bool {
		p, ok := r.c.Objects[o]
		return r.c.dropped(o) || ok && iso9660.Blocks(p.Size) != iso9660.Blocks(o.Len)
	})
}

// placeObjects finds the place of every object in the result.
func (r *relocator) placeObjects() {
	for _, o := range r.e.objects {
		p, ok := r.c.Objects[o]
		if !ok {
			p = Placement{LBA: iso9660.LBA(o.Off / iso9660.BlockSize), Size: o.Len}
		}
		if s, ok := r.out.to.appended[o]; ok && !r.c.dropped(o) {
			p.LBA = iso9660.LBA(s.first / perBlock)
			r.out.Appended = append(r.out.Appended, Appended{o, s.first * sectorSize, (s.end - s.first) * sectorSize})
		}
		r.at[o] = p
	}
	slices.SortFunc(r.out.Appended, func(a, b Appended) int { return cmp.Compare(a.Off, b.Off) })
}

// finish fills in what follows from the landmarks.
func (r *relocator) finish() *Relocation {
	out := &r.out
	out.Size = out.to.size * sectorSize
	if out.to.size == out.from.size {
		out.Size = r.e.in.size
	}
	out.VolumeBlocks = out.to.volume / perBlock
	out.TrailerMoves = out.to.table != out.from.table
	slices.SortStableFunc(out.Patches, func(a, b Patch) int { return cmp.Compare(a.Off, b.Off) })
	return out
}

// Follow maps the end of a volume, in blocks of the image: one that coincides with
// an end of the base that moved goes with it. ok is false for any other.
func (r *Relocation) Follow(block int64) (to int64, ok bool) {
	at, ok := follow(r.from, r.to, block*perBlock, 0)
	return at / perBlock, ok
}

// patch adds the n bytes at off of the new system area if they differ.
func (r *relocator) patch(off, n int64, what string) {
	if b := r.area[off : off+n]; !bytes.Equal(b, r.e.area[off:off+n]) {
		r.out.Patches = append(r.out.Patches, Patch{off, b, what})
	}
}

func (r *relocator) kept(p partition) {
	r.out.Findings = append(r.out.Findings, Finding{
		r.e.endField(p), p.name(), iso9660.ErrConflict,
		fmt.Sprintf("the end at sector %d follows no rule and is left as found", p.end()),
	})
}

// dropped reports whether an object boots dropped platforms only.
func (c *Change) dropped(o *Object) bool { return o.Boots() && !o.BootsBeside(c.Drop) }

// target returns where a partition lies in the result; gone if it does not.
func (r *relocator) target(p partition) (to partition, gone bool) {
	to = p
	if o := r.e.objectAt(p); o != nil {
		if r.c.dropped(o) {
			return p, true
		}
		at := r.at[o]
		to.first = int64(at.LBA) * perBlock
		if o.Off%iso9660.BlockSize != 0 && !o.Appended {
			to.first = p.first
		}
		if _, changed := r.c.Objects[o]; changed {
			to.count = iso9660.Blocks(at.Size) * perBlock
		}
		return to, false
	}
	if p.role == RoleMarker || p.count <= 0 {
		return p, false
	}
	end, known := follow(r.out.from, r.out.to, p.end(), r.e.slack(p.table))
	known = known || r.e.meets(p)
	if p.first > systemAreaSectors {
		to.first, _ = follow(r.out.from, r.out.to, p.first, 0)
	}
	if !known && r.c.Repair && (p.role == RoleFileSystem || p.role == RoleProtective) {
		end, known = r.out.to.table, true
		if p.table == "GPT" {
			end = min(r.out.to.volume, r.out.to.table-r.e.trailer())
		}
	}
	if !known && (p.role == RoleFileSystem || p.role == RoleProtective) && r.c.NewEnd != r.c.BaseEnd {
		r.kept(p)
	}
	to.count = end - to.first
	return to, to.count <= 0
}
