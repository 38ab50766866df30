package build

import (
	"cmp"
	"iter"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// RegionKind is what a part of an image is.
type RegionKind string

// The kinds of regions.
const (
	RegionSystemArea  RegionKind = "system area"
	RegionDescriptors RegionKind = "descriptors"
	RegionPathTable   RegionKind = "path table"
	RegionDirectory   RegionKind = "directory"
	RegionFile        RegionKind = "file"
	RegionBoot        RegionKind = "boot" // what no directory lists
	RegionUnused      RegionKind = "unused"
)

// Origin is where the bytes of a region come from.
type Origin string

// The origins.
const (
	OriginVendor Origin = "vendor" // as the base has them, there or at another place
	OriginOurs   Origin = "ours"   // content that steps put in
	OriginTable  Origin = "table"  // descriptors, directories and the like, written anew
	OriginZero   Origin = "zero"
	OriginLate   Origin = "late" // not known before the image is sealed
)

// Region is a range of an image that is one thing and comes from one place.
type Region struct {
	Off, Len int64 // bytes
	Kind     RegionKind
	Path     string // of a directory or file; of what boots the name that steps have for it
	Origin   Origin
}

// claim is a range that something lies in. Of several the one of the lowest rank has it.
type claim struct {
	from, to int64
	rank     int
	kind     RegionKind
	path     string
}

// Regions says of every byte of the image what it is and where it comes from: sorted, without
// gap or overlap. Content of several names is that of the first.
func (i *Image) Regions() ([]Region, error) {
	blank := i.Map.Blank()
	b, err := baseimage.OpenSource(extent.Compose("the planned image", blank), baseimage.OpenOptions{Limits: fault.Unlimited()})
	if err != nil {
		return nil, err
	}
	claims, err := claimsOf(b)
	if err != nil {
		return nil, err
	}
	var out []Region
	for c := range owners(claims, i.Map.Size()) {
		for _, e := range i.Map.Range(c.from, c.to) {
			r := Region{Off: e.Off, Len: e.Len, Kind: c.kind, Path: c.path, Origin: i.origin(e, c.kind)}
			if n := len(out); n > 0 && out[n-1].Kind == r.Kind && out[n-1].Path == r.Path && out[n-1].Origin == r.Origin {
				out[n-1].Len += r.Len
				continue
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// origin is where the bytes of an extent come from.
func (i *Image) origin(e extent.Extent, kind RegionKind) Origin {
	switch {
	case e.Kind == extent.Zero:
		return OriginZero
	case e.Kind == extent.Late:
		return OriginLate
	case e.Kind == extent.Copy && e.Src == i.base:
		return OriginVendor
	case kind == RegionFile || kind == RegionBoot || e.Kind == extent.Copy:
		return OriginOurs
	}
	return OriginTable
}

// claimsOf are what lies where in an image.
func claimsOf(b *baseimage.Base) ([]claim, error) {
	list, err := baseimage.Hierarchies(b)
	if err != nil {
		return nil, err
	}
	start := b.Image().Start().Offset()
	out := []claim{{0, 16 * iso9660.BlockSize, 0, RegionSystemArea, ""}}
	last := start
	for _, h := range list {
		for _, r := range h.Descriptors() {
			last = max(last, r.End())
		}
		for _, r := range h.Tables() {
			out = append(out, claim{r.Off, r.End(), 2, RegionPathTable, ""})
		}
		out = claimsBelow(out, h.Root())
	}
	out = append(out, claim{start, last + iso9660.BlockSize, 1, RegionDescriptors, ""}) // with the terminator
	for _, o := range b.Boot().Objects() {
		if o.Path == "" {
			out = append(out, claim{o.Off, o.End(), 5, RegionBoot, o.Name})
		}
	}
	return out, nil
}

// claimsBelow appends where the records of a directory and the content of all files below it
// lie.
func claimsBelow(out []claim, root baseimage.Node) []claim {
	stack := []baseimage.Node{root}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		rank, kind := 4, RegionFile
		if n.IsDir() {
			rank, kind = 3, RegionDirectory
		}
		for _, r := range n.Extents() {
			out = append(out, claim{r.Off, r.End(), rank, kind, n.Path()})
		}
		stack = slices.AppendSeq(stack, n.Children())
	}
	return out
}

// owners yields ranges of [0, size), in order and without gap, each with who has it.
func owners(claims []claim, size int64) iter.Seq[claim] {
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(a.from, b.from) })
	return func(yield func(claim) bool) {
		var open []claim
		for at := int64(0); at < size; {
			open = slices.DeleteFunc(open, func(c claim) bool { return c.to <= at })
			for len(claims) > 0 && claims[0].from <= at {
				if claims[0].to > at {
					open = append(open, claims[0])
				}
				claims = claims[1:]
			}
			to := size
			if len(claims) > 0 {
				to = min(to, claims[0].from)
			}
			best := claim{rank: 9, kind: RegionUnused}
			for _, c := range open {
				if c.rank < best.rank {
					best = c
				}
				to = min(to, c.to)
			}
			best.from, best.to = at, to
			if !yield(best) {
				return
			}
			at = to
		}
	}
}
