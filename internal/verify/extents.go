package verify

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// kind is what an extent of the image holds.
type kind uint8

const (
	structure kind = iota // descriptors, path tables: each at one place
	directory
	area // continuation area
	content
	catalog
	bootImage
)

// owned is a run of bytes with its owner.
type owned struct {
	from, to int64
	kind     kind
	entry    *iso9660.Entry // of directories, areas and content
	label    string         // of the others
}

func (o owned) String() string {
	switch o.kind {
	case directory:
		return "directory " + o.entry.Path()
	case area:
		return "continuation area of " + o.entry.Path()
	case content:
		return o.entry.Path()
	}
	return o.label
}

// extents checks that all addresses lie in the volume and that nothing overlaps.
func (c *checker) extents() (string, error) {
	all := c.owners()
	volume := int64(c.img.Primary().SpaceSize()) * iso9660.BlockSize
	end := int64(0)
	for _, o := range all {
		end = max(end, o.to)
		c.inRange(o, volume)
	}
	c.overlaps(all)
	return fmt.Sprintf("%d extents, the last ends at block %d of %d", len(all), iso9660.Blocks(end), volume/iso9660.BlockSize), nil
}

// inRange reports an extent that passes the end of the image or of the volume.
func (c *checker) inRange(o owned, volume int64) {
	switch {
	case o.to > c.in.size:
		c.at(Problem, o.from, "%s: passes the end of the image by %d bytes", o, o.to-c.in.size)
		if volume > c.in.size {
			c.as(fault.Truncated)
		} else {
			c.as(fault.Range)
		}
	case o.kind == bootImage, o.to <= volume:
	case o.kind == content && c.behindVolume(o):
		c.at(Notice, o.from, "%s: lies behind the volume, in a partition", o)
	default:
		c.at(Problem, o.from, "%s: passes the end of the volume by %d bytes", o, o.to-volume)
	}
}

// behindVolume reports whether a partition holds the content: an appended partition
// may have a name in the tree.
func (c *checker) behindVolume(o owned) bool {
	for _, p := range c.parts {
		if o.from >= p.from && o.to <= p.to && p.from > 0 {
			return true
		}
	}
	return false
}

// owners collects the extents of everything that has an address.
func (c *checker) owners() []owned {
	last := c.img.Descriptors[len(c.img.Descriptors)-1].Block
	all := []owned{{0, (last + 1).Offset(), structure, nil, "volume descriptors"}}
	for _, h := range iso9660.Hierarchies {
		root := c.trees[h]
		if root == nil {
			continue
		}
		all = append(all, tableExtents(h, c.img.Descriptor(h))...)
		for e := range physical(root) {
			all = append(all, extentsOf(e)...)
		}
	}
	if cat := c.equip.Catalog; cat != nil {
		all = append(all, owned{cat.LBA.Offset(), cat.LBA.Offset() + cat.Blocks*iso9660.BlockSize, catalog, nil, "boot catalog"})
		for i, en := range cat.Entries {
			if en.Image.Size > 0 {
				all = append(all, owned{en.LBA.Offset(), en.LBA.Offset() + en.Image.Size, bootImage, nil, fmt.Sprintf("boot image %d", i+1)})
			}
		}
	}
	return all
}

func tableExtents(h iso9660.Hierarchy, d *iso9660.Descriptor) (out []owned) {
	l, optL, m, optM := d.PathTables()
	for _, at := range []iso9660.LBA{l, optL, m, optM} {
		if at != 0 {
			out = append(out, owned{at.Offset(), at.Offset() + int64(d.PathTableSize()), structure, nil, fmt.Sprintf("%s path table", h)})
		}
	}
	return out
}

// extentsOf returns the directory extent or content, and the continuation areas.
func extentsOf(e *iso9660.Entry) (out []owned) {
	raws, k := e.Raws(), content
	if e.IsDir() {
		k = directory
		for _, raw := range []*iso9660.Raw{e.Self(), e.Up()} {
			if raw != nil {
				raws = append(raws[:len(raws):len(raws)], *raw)
			}
		}
	}
	for i, raw := range raws {
		if r := raw.Record; i < len(e.Raws()) && r.Size() > 0 {
			from := r.LBA().Offset()
			out = append(out, owned{from, from + int64(r.XAR())*iso9660.BlockSize + int64(r.Size()), k, e, ""})
		}
		for _, a := range raw.Areas {
			out = append(out, owned{a.Off, a.Off + int64(len(a.Data)), area, e, ""})
		}
	}
	return out
}

// overlaps reports extents that share bytes and should not. Sorted by start, an
// extent overlaps an earlier one if it overlaps the one that reaches farthest;
// that is kept apart for content and for metadata, since content may be shared.
func (c *checker) overlaps(all []owned) {
	slices.SortFunc(all, func(a, b owned) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to), cmp.Compare(a.kind, b.kind))
	})
	var meta, data owned
	for _, o := range all {
		for _, earlier := range []owned{meta, data} {
			if o.from < earlier.to && earlier.to > 0 {
				c.overlap(earlier, o)
			}
		}
		if far := &data; o.kind >= content {
			if o.to > far.to {
				*far = o
			}
		} else if o.to > meta.to {
			meta = o
		}
	}
}

// overlap judges two extents that share bytes.
func (c *checker) overlap(a, b owned) {
	same := a.from == b.from && a.to == b.to
	shared := min(a.to, b.to) - b.from
	isData := a.kind >= content && b.kind >= content
	switch {
	case same && a.kind == b.kind && a.kind != structure: // links, and directories listed twice
	case same && a.kind == structure && a.label == b.label: // an optional table that is the main one
	case isData && a.from == b.from && a.kind != b.kind: // the file of a catalog or boot image
	case isData:
		c.at(Notice, b.from, "%s and %s share %d bytes, but are not the same", a, b, shared)
	default:
		c.at(Problem, b.from, "%s and %s overlap by %d bytes", a, b, shared)
	}
}
