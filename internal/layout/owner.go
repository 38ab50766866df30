package layout

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// owners says who uses which blocks of the base. Blocks that stay are in kept,
// whatever else claims them.
type owners struct {
	kept    spans // system area, descriptors, boot equipment, content that stays, data of nobody
	boot    spans // the part of kept that belongs to boot equipment
	content spans // all file content of the base
	trees   spans // directories, continuation areas and path tables
	shared  spans // content that another file system names too, never to be used again
	behind  spans // appended partitions, which follow the end
	stale   spans // checksum tags that any change makes wrong
	nobody  spans // data that nobody owns
	end     int64 // first block behind all but those
}

// maxTableEntry is the length of the longest record of a path table (ECMA-119 9.4).
const maxTableEntry = 8 + 256

// maxScan bounds how much of the blocks that nobody owns is read to see whether
// they hold data: 1/256 of the image, but 64 MiB at least and 256 MiB at most, so that the padding of
// any partition table is seen through, and the room that edits in place leave. What
// is not read is taken as data.
// See RATIONALE.md, "16 MiB of unowned blocks are looked at".
func maxScan(size int64) int64 { return min(max(64<<20, size/256), 256<<20) }

// owners finds the owners of the base's blocks.
func (p *planner) owners() (*owners, error) {
	o := &owners{}
	base := p.base
	fixed, meta, tables, content, err := p.named()
	if err != nil {
		return nil, err
	}
	fixed = append(fixed, p.base.stays()...)
	var stay spans
	var equipment, behind []span
	for _, x := range base.Boot.Objects() {
		s := span{x.Off / iso9660.BlockSize, iso9660.Blocks(x.End())}
		switch {
		case x.Appended:
			behind = append(behind, s)
		case p.replaced[x] != nil && x.Path == "" && p.patches(p.replaced[x], x.Off, x.Len):
			p.stay(p.replaced[x], s.from)
			equipment = append(equipment, s)
		case p.replaced[x] != nil || p.dropped[x]:
			content = content.plus(spans{s})
		case !x.Shared():
			equipment = append(equipment, s)
		}
	}
	for h, there := range p.tree.Has {
		if !there {
			continue
		}
		var files []span
		for dir := range nodes(p.tree.Root) {
			for _, n := range dir.Children {
				if e := n.Found[h]; e != nil && !n.IsDir() && n.Source == nil && !n.Replaced() {
					files = set{}.content(files, e)
				}
			}
		}
		stay = stay.plus(union(files))
	}
	o.boot, o.behind = union(equipment), union(behind)
	stay = stay.plus(union(p.patched(stay.plus(o.boot))))
	o.content, o.trees = content, union(slices.Concat(tables, meta, p.base.freed()))
	if err := o.alias(union(append(meta, fixed...))); err != nil {
		return nil, err
	}
	if base.Boot.Shared() {
		o.shared = o.content
	}
	o.kept = union(fixed).plus(o.boot).plus(stay)
	used := o.kept.plus(o.content).plus(o.trees)
	data, tags, err := unowned(base, used, o.behind)
	if err != nil {
		return nil, err
	}
	o.stale, o.nobody = tags, data
	o.kept = o.kept.plus(data)
	o.end = max(used.end(), data.end())
	return o, nil
}

// named finds what the descriptors of the base and its trees take: themselves, the
// directories with their continuation areas, the path tables, and the content of all files.
func (p *planner) named() (fixed, meta, tables []span, content spans, err error) {
	for _, s := range p.sets {
		fixed = append(fixed, s.fixed())
		for _, h := range iso9660.Hierarchies {
			root, err := s.img.Tree(h)
			if err != nil {
				return nil, nil, nil, nil, err
			}
			if root == nil {
				continue
			}
			dirs := int64(0)
			var files []span // mostly in the order of their addresses
			for e := range physical(root) {
				if !e.IsDir() {
					continue
				}
				meta = s.metadata(meta, e)
				dirs++
				for _, c := range e.Children() {
					if !c.IsDir() {
						files = s.content(files, c)
					}
				}
			}
			content = content.plus(union(files))
			for _, t := range s.shift(tableSpans(s.img.Descriptor(h))) {
				// Whatever a table claims: it holds no more than the directories there
				// are, and lies in the image.
				t.to = min(t.to, t.from+iso9660.Blocks(dirs*maxTableEntry), iso9660.Blocks(p.base.Source.Size()))
				if t.from < t.to {
					tables = append(tables, t)
				}
			}
		}
	}
	return fixed, meta, tables, content, nil
}

// patches reports new content that is the old one, of n bytes at off of the base, with
// some bytes changed, as edits inside of FAT images make it. Where everything is laid out
// afresh no such content has an old place to stay at.
func (p *planner) patches(src extent.Source, off, n int64) bool {
	c, ok := src.(*extent.Composed)
	if !ok || src.Size() != n || off%iso9660.BlockSize != 0 || p.o.AtEnd || p.o.Compact {
		return false
	}
	same := int64(0)
	for _, e := range c.Extents() {
		if e.Kind == extent.Copy && e.Src == p.base.Source && e.SrcOff == off+e.Off {
			same += e.Len
		}
	}
	return same >= n/2
}

// stay gives patched content its old place.
func (p *planner) stay(src extent.Source, at int64) {
	p.placed[src] = at
	for _, e := range extent.Into(at*iso9660.BlockSize, src, src.Size()) {
		if e.Kind != extent.Copy || e.Src != p.base.Source || e.Off != e.SrcOff {
			p.report.Content += e.Len
		}
	}
}

// patched gives files whose new content is the old one with some bytes changed their old
// place, unless somebody else has it too, and returns those places.
func (p *planner) patched(busy spans) (out []span) {
	for n := range nodes(p.tree.Root) {
		e := n.Found[iso9660.Primary]
		if e == nil {
			e = n.Found[iso9660.Joliet]
		}
		if e == nil || n.Source == nil || len(e.Sections()) != 1 {
			continue
		}
		old := e.Sections()[0]
		s := span{int64(old.LBA), int64(old.LBA) + iso9660.Blocks(old.Size)}
		if p.patches(n.Source, old.LBA.Offset(), old.Size) && busy.clear(spans{s}) {
			p.stay(n.Source, s.from)
			busy = busy.plus(spans{s})
			out = append(out, s)
		}
	}
	return out
}

// alias refuses content that lies on metadata: an edit of the one would change the
// other. What lies in the system area is left to package boot.
func (o *owners) alias(meta spans) error {
	meta = meta.minus(spans{{0, 16}})
	for _, c := range o.content {
		if meta.overlaps(c) {
			return fault.At(c.from*iso9660.BlockSize, "file", "extent", fault.Errorf(fault.Conflict, "content lies on descriptors or directories"))
		}
	}
	return nil
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
			stack = append(stack, e.Children()...)
		}
	}
}

// metadata appends the blocks of a directory's extent and of the continuation areas of
// its records.
func (s set) metadata(out []span, e *iso9660.Entry) []span {
	r := e.Record()
	at := s.origin + int64(r.LBA())
	out = append(out, span{at, at + int64(r.XAR()) + iso9660.Blocks(int64(r.Size()))})
	for raw := range recordsOf(e) {
		for _, a := range raw.Areas {
			out = append(out, s.area(a))
		}
	}
	return out
}

// area returns the blocks of a continuation area.
func (s set) area(a iso9660.Area) span {
	from := s.origin*iso9660.BlockSize + a.Off
	return span{from / iso9660.BlockSize, iso9660.Blocks(from + int64(len(a.Data)))}
}

// content appends the blocks of a file's sections, extended attribute records included.
func (s set) content(out []span, e *iso9660.Entry) []span {
	for r := range e.Records() {
		if r.Size() > 0 {
			at := s.origin + int64(r.LBA())
			next := span{at, at + int64(r.XAR()) + iso9660.Blocks(int64(r.Size()))}
			if n := len(out); n > 0 && out[n-1].to == next.from { // as most files lie
				out[n-1].to = next.to
			} else {
				out = append(out, next)
			}
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

// unowned finds out what the blocks hold that nobody owns. Data is kept: whole
// gaps between owned blocks that have any, and from the last owned block to the
// last that is not zero. Checksum tags of libisofs go stale with any change. The
// backup GPT is neither; package boot makes it anew.
func unowned(base Base, used, behind spans) (data, tags spans, err error) {
	gaps := spans{{0, iso9660.Blocks(base.Source.Size())}}.minus(used).minus(behind)
	if t, ok := base.Boot.Trailer(); ok {
		gaps = gaps.minus(spans{{t.Off / iso9660.BlockSize, iso9660.Blocks(t.End())}})
	}
	s := scanner{src: base.Source, budget: maxScan(base.Source.Size()) / iso9660.BlockSize}
	var found []span
	for _, g := range gaps {
		last, err := s.gap(g)
		if err != nil {
			return nil, nil, err
		}
		if last < 0 {
			continue
		}
		if g.from < used.end() {
			last = g.to - 1
		}
		found = append(found, span{g.from, last + 1})
	}
	tags = union(s.tags)
	return union(found).minus(tags), tags, nil
}

var zeroBlock [iso9660.BlockSize]byte

// scanner reads gaps until its budget, in blocks, is used up.
type scanner struct {
	src    extent.Source
	budget int64
	tags   []span
	buf    []byte
}

// gap returns the last block of g that holds data, -1 without one. What the
// budget does not suffice for is taken as data.
func (s *scanner) gap(g span) (int64, error) {
	const step = 32
	last := int64(-1)
	if s.buf == nil {
		s.buf = make([]byte, step*iso9660.BlockSize)
	}
	for from := g.from; from < g.to; from += step {
		n := min(step, g.to-from)
		if s.budget -= n; s.budget < 0 {
			return g.to - 1, nil
		}
		off := from * iso9660.BlockSize
		b := s.buf[:min(n*iso9660.BlockSize, s.src.Size()-off)]
		if got, err := s.src.ReadAt(b, off); got < len(b) {
			return 0, fmt.Errorf("read unused blocks at %d: %w", off, err)
		}
		for i := int64(0); len(b) > 0; i++ {
			block := b[:min(iso9660.BlockSize, len(b))]
			switch {
			case bytes.Equal(block, zeroBlock[:len(block)]):
			case isTag(block):
				s.tags = append(s.tags, span{from + i, from + i + 1})
			default:
				last = from + i
			}
			b = b[len(block):]
		}
	}
	return last, nil
}

// isTag reports a block that holds one of libisofs's checksum tags: a line of
// text with the MD5 of descriptors, trees or the session.
func isTag(block []byte) bool {
	line, _, _ := bytes.Cut(block, []byte{'\n'})
	return bytes.HasPrefix(line, []byte("libisofs_")) && bytes.Contains(line, []byte("_checksum_tag_v1 pos="))
}
