package layout

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// owners tells who uses which blocks of the base. Blocks that stay are in kept,
// whatever else claims them.
type owners struct {
	kept    spans // system area, descriptors, boot equipment, content that stays, data of nobody
	boot    spans // the part of kept that belongs to boot equipment
	content spans // all file content of the base
	trees   spans // directories, continuation areas and path tables
	end     int64 // first block behind all of these
}

// maxScan bounds how much of the blocks that nobody owns is read to see whether
// they hold data: 1/256 of the image, but 16 MiB at least, so that the padding of
// any partition table is seen through. What is not read is taken as data.
func maxScan(size int64) int64 { return max(16<<20, size/256) }

// ownersOf finds the owners of the base's blocks; t is the edited tree.
func ownersOf(base Base, t *tree.Tree) (*owners, error) {
	o := &owners{}
	var fixed, content, trees, stay []span
	last := base.Image.Descriptors[len(base.Image.Descriptors)-1].Block
	fixed = append(fixed, span{0, int64(last) + 1})
	var equipment []span
	for _, r := range base.Boot.Owned() {
		equipment = append(equipment, span{r.Off / iso9660.BlockSize, iso9660.Blocks(r.End())})
	}
	for _, h := range iso9660.Hierarchies {
		root, err := base.Image.Tree(h)
		if err != nil {
			return nil, err
		}
		if root == nil {
			continue
		}
		trees = append(trees, tableSpans(base.Image.Descriptor(h))...)
		for e := range physical(root) {
			trees = append(trees, metadata(e)...)
			if !e.IsDir() {
				content = append(content, contentSpans(e)...)
			}
		}
	}
	for n := range nodes(t.Root) {
		if n.IsDir() || n.Source != nil || n.Replaced() {
			continue
		}
		for _, e := range n.Found {
			if e != nil {
				stay = append(stay, contentSpans(e)...)
			}
		}
	}
	o.boot = union(equipment)
	o.content, o.trees = union(content), union(trees)
	o.kept = union(slices.Concat(fixed, equipment, stay))
	used := o.kept.plus(o.content).plus(o.trees)
	data, err := unowned(base, used)
	if err != nil {
		return nil, err
	}
	o.kept = o.kept.plus(data)
	o.end = max(used.end(), data.end())
	return o, nil
}

// nodes yields all nodes, hidden ones too.
func nodes(root *tree.Node) iter.Seq[*tree.Node] {
	return func(yield func(*tree.Node) bool) {
		stack := []*tree.Node{root}
		for len(stack) > 0 {
			n := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if !yield(n) {
				return
			}
			stack = append(stack, n.Children...)
		}
	}
}

// physical yields all entries as they are stored, the placeholders of relocated
// directories included.
func physical(root *iso9660.Entry) iter.Seq[*iso9660.Entry] {
	return func(yield func(*iso9660.Entry) bool) {
		stack := []*iso9660.Entry{root}
		for len(stack) > 0 {
			e := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if !yield(e) {
				return
			}
			stack = append(stack, e.Children...)
		}
	}
}

// metadata returns the blocks of an entry's directory extent and continuation areas.
func metadata(e *iso9660.Entry) []span {
	var out []span
	raws := e.Raws
	if e.IsDir() {
		r := e.Raws[0].Record
		at := int64(r.LBA())
		out = append(out, span{at, at + int64(r.XAR()) + iso9660.Blocks(int64(r.Size()))})
		for _, raw := range []*iso9660.Raw{e.Self, e.Up} {
			if raw != nil {
				raws = append(raws[:len(raws):len(raws)], *raw)
			}
		}
	}
	for _, raw := range raws {
		for _, a := range raw.Areas {
			out = append(out, span{a.Off / iso9660.BlockSize, iso9660.Blocks(a.Off + int64(len(a.Data)))})
		}
	}
	return out
}

// contentSpans returns the blocks of a file's sections, extended attribute
// records included.
func contentSpans(e *iso9660.Entry) []span {
	var out []span
	for _, raw := range e.Raws {
		if r := raw.Record; r.Size() > 0 {
			at := int64(r.LBA())
			out = append(out, span{at, at + int64(r.XAR()) + iso9660.Blocks(int64(r.Size()))})
		}
	}
	return out
}

// tableSpans returns the blocks of the path tables.
func tableSpans(d *iso9660.Descriptor) []span {
	var out []span
	n := iso9660.Blocks(int64(d.PathTableSize()))
	l, optL, m, optM := d.PathTables()
	for _, at := range []iso9660.LBA{l, optL, m, optM} {
		if at != 0 {
			out = append(out, span{int64(at), int64(at) + n})
		}
	}
	return out
}

// unowned returns the blocks that nobody owns and that hold data: whole gaps
// between owned blocks, and from the last owned one to the last that is not zero.
// The backup GPT is not data; package boot makes it anew.
func unowned(base Base, used spans) (spans, error) {
	total := iso9660.Blocks(base.Source.Size())
	gaps := spans{{0, total}}.minus(used)
	if t, ok := base.Boot.Trailer(); ok {
		gaps = gaps.minus(spans{{t.Off / iso9660.BlockSize, iso9660.Blocks(t.End())}})
	}
	budget := maxScan(base.Source.Size()) / iso9660.BlockSize
	var out []span
	for _, g := range gaps {
		last, err := lastData(base, g, &budget)
		if err != nil {
			return nil, err
		}
		if last < g.from {
			continue
		}
		if g.from < used.end() {
			last = g.to - 1
		}
		out = append(out, span{g.from, last + 1})
	}
	return union(out), nil
}

// lastData returns the last block of g that is not zero, g.from-1 without one.
// It reads backwards and gives up, assuming data, when the budget is used up.
func lastData(base Base, g span, budget *int64) (int64, error) {
	const step = 32
	buf := make([]byte, step*iso9660.BlockSize)
	for to := g.to; to > g.from; {
		from := max(g.from, to-step)
		if *budget -= to - from; *budget < 0 {
			return to - 1, nil
		}
		off := from * iso9660.BlockSize
		b := buf[:min((to-from)*iso9660.BlockSize, base.Source.Size()-off)]
		if n, err := base.Source.ReadAt(b, off); n < len(b) {
			return 0, fmt.Errorf("read unused blocks at %d: %w", off, err)
		}
		if z := len(bytes.TrimRight(b, "\x00")); z > 0 {
			return from + int64(z-1)/iso9660.BlockSize, nil
		}
		to = from
	}
	return g.from - 1, nil
}
