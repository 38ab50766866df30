package layout

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// objects decides what becomes of the objects of the boot equipment: those whose
// file has new content, or for which the options give some, are replaced.
func (p *planner) objects() error {
	there := map[int64]bool{} // the objects, by their first blocks, whose files stay
	for _, o := range p.base.Boot.Objects() {
		there[o.Off/iso9660.BlockSize] = false
	}
	var content []iso9660.Section
	for n := range nodes(p.tree.Root) {
		if n.Source != nil {
			continue
		}
		content = n.AppendContent(content[:0])
		for _, s := range content {
			if _, ok := there[int64(s.LBA)]; ok {
				there[int64(s.LBA)] = true
			}
		}
	}
	for _, o := range p.base.Boot.Objects() {
		if o.Shared() {
			continue
		}
		if err := p.object(o, there); err != nil {
			return err
		}
	}
	return p.copies()
}

func (p *planner) object(o *boot.Object, there map[int64]bool) error {
	dropped := o.Boots() && !o.BootsBeside(p.o.Drop)
	src := p.o.Objects[o.Name]
	if src == nil && o.Path != "" {
		if n, err := p.tree.Lookup(o.Path); err == nil && n.IsRegular() {
			src = n.Source
		}
	}
	switch {
	case src != nil && !o.Movable():
		return fmt.Errorf("%s: %w: isolayer keeps the boot catalog itself", o.Path, ErrBootImage)
	case dropped:
		p.dropped[o] = true
	case src != nil && src.Size() == 0:
		return fmt.Errorf("%s: %w: the new one is empty", o.Name, ErrBootImage)
	case src != nil:
		p.replaced[o] = src
	case o.Path != "" && !there[o.Off/iso9660.BlockSize] && !(o.Name == "@catalog" && p.dropsAll()):
		return fmt.Errorf("%s: %w", o.Path, ErrBootImage)
	}
	return nil
}

// dropsAll reports whether no entry of the catalog is left.
func (p *planner) dropsAll() bool {
	return !slices.ContainsFunc(p.base.Boot.Catalog.Entries, func(e boot.Entry) bool {
		return e.Bootable && !slices.Contains(p.o.Drop, e.Platform)
	})
}

// copies replaces objects that are byte for byte the same as a replaced one: some
// images have the EFI system partition as a file and behind the file system too.
func (p *planner) copies() error {
	for _, o := range p.base.Boot.Objects() {
		if p.replaced[o] != nil || p.dropped[o] || !o.Movable() || o.Path != "" {
			continue
		}
		for _, twin := range p.base.Boot.Objects() {
			if p.replaced[twin] == nil || twin.Len != o.Len || p.replaced[twin] == p.replaced[o] {
				continue
			}
			same, err := p.equal(o.Off, twin.Off, o.Len)
			if err != nil {
				return err
			}
			if same {
				p.replaced[o] = p.replaced[twin]
				break
			}
		}
	}
	return nil
}

// equal compares two ranges of the base.
func (p *planner) equal(a, b, n int64) (bool, error) {
	const step = 1 << 20
	x, y := make([]byte, min(n, step)), make([]byte, min(n, step))
	for at := int64(0); at < n; at += step {
		k := min(n-at, step)
		for _, r := range []struct {
			b   []byte
			off int64
		}{{x[:k], a + at}, {y[:k], b + at}} {
			if got, err := p.base.Source.ReadAt(r.b, r.off); got < len(r.b) {
				return false, fmt.Errorf("read boot image at %d: %w", r.off, err)
			}
		}
		if !bytes.Equal(x[:k], y[:k]) {
			return false, nil
		}
	}
	return true, nil
}

// placeObjects gives the new content of objects that no directory lists a place
// inside the file system. Appended partitions get theirs from package boot.
func (p *planner) placeObjects(behind int64) {
	for _, o := range p.base.Boot.Objects() {
		src := p.replaced[o]
		if src == nil || o.Appended {
			continue
		}
		if _, ok := p.placed[src]; !ok {
			p.placed[src] = p.take(iso9660.Blocks(src.Size()), behind, parity(src.Size(), 0))
			p.report.Content += src.Size()
		}
	}
}

// relocate lets the boot equipment follow a file system that ends at block end.
func (p *planner) relocate(end int64) (*boot.Relocation, error) {
	c := boot.Change{BaseEnd: p.own.end, NewEnd: end, Objects: map[*boot.Object]boot.Placement{}, Drop: p.o.Drop, Repair: p.o.Repair}
	if p.o.InPlace {
		c.Room = roomInFront
	}
	for o, src := range p.replaced {
		c.Objects[o] = boot.Placement{LBA: iso9660.LBA(p.placed[src]), Size: src.Size(), Content: src}
	}
	if p.o.Compact {
		for _, o := range p.movingObjects() {
			c.Objects[o] = boot.Placement{LBA: iso9660.LBA(p.movedTo(o.Off / iso9660.BlockSize)), Size: o.Len}
		}
	}
	return p.base.Boot.Relocate(c)
}

// appended are the contents of the partitions behind the file system: copies where
// they moved or are new.
func (p *planner) appendedExtents(r *boot.Relocation) []extent.Extent {
	var out []extent.Extent
	for _, a := range r.Appended {
		o, src := a.Object, p.replaced[a.Object]
		n := min(o.Len, a.Len)
		switch {
		case src != nil:
			n = src.Size()
			out = append(out, extent.Into(a.Off, src, n)...)
			p.report.Content += n
			p.report.Boot = append(p.report.Boot, o.Name)
		case a.Off != o.Off || p.o.Compact:
			out = append(out, extent.CopyOf(a.Off, p.base.Source, o.Off, n))
			p.report.Moved = append(p.report.Moved, Move{o.Name, o.Off / iso9660.BlockSize, a.Off / iso9660.BlockSize, o.Len})
		default:
			continue
		}
		if a.Len > n {
			out = append(out, extent.ZeroOf(a.Off+n, a.Len-n))
		}
	}
	return out
}

// bootPatches are the changes of boot equipment that the result does not have already.
func bootPatches(p *planner, fit *boot.Relocation, used spans) (patches []extent.Extent, err error) {
	for _, patch := range fit.Patches {
		if c := p.base.Boot.Catalog; p.o.Compact && c != nil && patch.Off == c.LBA.Offset() {
			patch.Off = p.movedTo(int64(c.LBA)) * iso9660.BlockSize
		}
		patches = append(patches, extent.BytesOf(patch.Off, patch.Data))
		if what := p.report.Boot; len(what) == 0 || what[len(what)-1] != patch.What {
			p.report.Boot = append(p.report.Boot, patch.What)
		}
	}
	if p.o.Compact {
		return patches, nil
	}
	return p.patchesLeft(patches, used.minus(p.own.kept), fit.Size)
}
