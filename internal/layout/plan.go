// Package layout decides where everything lies in a changed image and makes the
// extent map of it: unchanged content stays where it is, directory trees are
// written afresh, descriptors and boot equipment follow.
//
// It reads metadata of the base and writes nothing.
package layout

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Base is the image to start from.
type Base struct {
	Image  *iso9660.Image
	Boot   *boot.Equipment
	Source extent.Source
	// Writers write what else records the files of the image.
	Writers []Writer
}

// Options of Plan. The zero value is the default.
type Options struct {
	KeepFreed bool // leave the bytes of what was removed
	AtEnd     bool // all new data behind the end
	// InPlace plans for a file that is changed itself: no content lies where the base has
	// content, directories or appended partitions; the image does not shrink; and an
	// appended partition that has to move leaves room for later edits.
	InPlace bool
	// Objects are new contents of what no directory lists, by the object's name.
	Objects map[string]extent.Source
	// SystemArea replaces the first bytes of the image; Base.Boot was read with them.
	SystemArea []byte
	Modified   time.Time // the modification date of the descriptors; zero: as it was
	// Fields are texts of the descriptors that change.
	Fields map[iso9660.Field]string
	// Named, unless nil, is called when the identifiers of all entries of the primary
	// hierarchy are known, and may give files of the tree other content for them.
	Named  func(id func(*tree.Node) []byte) (changed bool, err error)
	Drop   []boot.Platform // platforms that shall not boot any more
	Repair bool            // make boot tables right that the base has wrong
	// Compact writes everything afresh, without gaps, in the order of the base.
	Compact bool
}

// Result is a planned image.
type Result struct {
	Map    *extent.Map
	Report Report
	// Overwritten are the ranges, in bytes, of what is new at a place that the base
	// uses; Wiped those of zeros that only the base uses.
	Overwritten, Wiped []extent.Extent

	plan *planner // nil if the result is the base
}

// Errors that callers decide on.
var (
	// ErrUnsupported reports a base whose layout cannot be changed.
	ErrUnsupported = errors.New("this image cannot be rebuilt yet")
	// ErrBootImage reports an edit that takes a boot image away.
	ErrBootImage = errors.New("the image boots from it")
)

// planner carries the state of one Plan.
type planner struct {
	base  Base
	tree  *tree.Tree
	o     Options
	own   *owners
	sets  []set
	trees []*hierarchy
	pool  pool

	writers []*written

	namings namings

	replaced map[*boot.Object]extent.Source // boot equipment with new content
	dropped  map[*boot.Object]bool          // … and what is not to be booted any more

	moved  map[int64]int64         // first block of content that moves → where to
	after  map[int64]int64         // … it must lie at or behind this block
	placed map[extent.Source]int64 // first block of new content
	floor  map[extent.Source]int64 // … it must lie at or behind this block
	runs   []run                   // content of a compact image
	free   map[int64]bool          // content that may move, by first block; made by mayMove
	sealed bool                    // a media check of the base stays in its descriptor
	report Report
}

// Plan lays out the tree t, made from base and edited, as a changed base. The
// result is base itself if the edits come to nothing.
// See RATIONALE.md, "Placement keeps addresses instead of writing a compact image".
func Plan(base Base, t *tree.Tree, o Options) (*Result, error) {
	p := &planner{
		base: base, tree: t, o: o, namings: namings{},
		moved: map[int64]int64{}, after: map[int64]int64{},
		placed: map[extent.Source]int64{}, floor: map[extent.Source]int64{},
		replaced: map[*boot.Object]extent.Source{}, dropped: map[*boot.Object]bool{},
	}
	p.report.BaseSize, p.report.Size = base.Source.Size(), base.Source.Size()
	var err error
	if p.sets, err = setsOf(base); err != nil {
		if why := Refusals(base); len(why) > 0 {
			err = fmt.Errorf("%w: %s", ErrUnsupported, strings.Join(why, " "))
		}
		return nil, err
	}
	changed, err := p.build()
	if err == nil && o.Named != nil {
		var again bool
		if again, err = o.Named(p.identifier()); again && err == nil {
			p.trees = nil
			changed, err = p.build()
		}
	}
	if err != nil {
		return nil, err
	}
	idle := !changed && !o.Compact && len(o.Objects) == 0 && len(o.Drop) == 0 && o.Modified.IsZero() && len(o.Fields) == 0
	if idle && !o.Repair {
		return &Result{Map: extent.Whole(base.Source), Report: p.report}, nil
	}
	if err := p.refuse(); err != nil {
		return nil, err
	}
	if o.Compact {
		if err := p.compactable(); err != nil {
			return nil, err
		}
	}
	if err := p.fields(); err != nil {
		return nil, err
	}
	if err := p.objects(); err != nil {
		return nil, err
	}
	if p.own, err = p.owners(); err != nil {
		return nil, err
	}
	p.warnNames()
	if len(p.own.shared) > 0 {
		p.report.Warnings = append(p.report.Warnings, "the image is an HFS file system for old Macs too, which goes on to list the files of the base")
	}
	switch {
	case o.Compact:
		err = p.placeCompact()
	default:
		if err = p.placeTrees(); err == nil {
			p.orderContent()
			p.placeContent()
		}
	}
	if err != nil {
		return nil, err
	}
	if idle && len(o.SystemArea) == 0 {
		before := p.report
		p.sealed = true
		if _, err := p.assemble(); err == nil && p.report.Written == 0 { // there was nothing to repair
			return &Result{Map: extent.Whole(base.Source), Report: before}, nil
		}
		p.report, p.sealed = before, false
	}
	res, err := p.assemble()
	if err != nil {
		return nil, err
	}
	p.count()
	res.Report, res.plan = p.report, p
	return res, nil
}

// identifier finds the identifiers of entries in the primary hierarchy; nil for others.
func (p *planner) identifier() func(*tree.Node) []byte {
	known := map[*tree.Node][]byte{}
	listed := map[*tree.Node]bool{}
	return func(n *tree.Node) []byte {
		for _, b := range p.trees {
			if b.h != iso9660.Primary || !b.first() || listed[n.Parent] || b.of[n.Parent] == nil {
				continue
			}
			listed[n.Parent] = true
			d := b.of[n.Parent]
			for _, r := range d.records {
				known[r.node] = r.id()
			}
			for _, c := range d.node.Children {
				if e := b.entry(c); d.as && e != nil && c.In[b.h] {
					known[c] = entryRecord(e).ID()
				}
			}
		}
		return known[n]
	}
}

// fields reports whether the texts fit their fields.
func (p *planner) fields() error {
	d := p.base.Image.Primary().Clone()
	for _, f := range slices.Sorted(maps.Keys(p.o.Fields)) {
		if err := d.SetField(f, p.o.Fields[f]); err != nil {
			return err
		}
	}
	return nil
}

// build makes the hierarchies and reports whether any record differs from the base.
func (p *planner) build() (changed bool, err error) {
	names := map[any]uint32{}
	for n := range nodes(p.tree.Root) {
		if n.Source != nil {
			names[n.Source]++
		}
	}
	for _, s := range p.sets {
		for _, h := range iso9660.Hierarchies {
			first, err := p.base.Image.Tree(h)
			if err != nil {
				return false, err
			}
			b, err := p.buildHierarchy(s, first, h, names)
			if err != nil {
				return false, err
			}
			if b == nil {
				continue
			}
			b.measure(s.img.Descriptor(h))
			p.trees = append(p.trees, b)
			for _, d := range b.dirs {
				changed = changed || d.changed && s.first()
			}
		}
	}
	return changed, nil
}

// Refusals says why an image cannot be changed, a sentence each.
func Refusals(base Base) []string {
	why := base.Boot.Unsupported()
	if base.Image.UDF() {
		why = append(why, "The image is a UDF file system too, which would show the old content.")
	}
	if base.Image.Start() != 0 {
		why = append(why, "Only the session that readers see can be rebuilt; take another one out with extract.")
	}
	if _, err := setsOf(base); err != nil {
		why = append(why, fmt.Sprintf("A partition has a second set of descriptors that cannot be read: %v.", err))
	}
	return why
}

// refuse returns an error for bases and edits that cannot be had.
func (p *planner) refuse() error {
	if why := Refusals(p.base); len(why) > 0 {
		return fmt.Errorf("%w: %s", ErrUnsupported, strings.Join(why, " "))
	}
	return nil
}

// assemble makes the map: the base, resized, with everything new laid over it.
func (p *planner) assemble() (*Result, error) {
	var over []extent.Extent
	for _, b := range p.trees {
		e := p.treeExtents(b)
		over = append(over, e...)
		r := TreeReport{Hierarchy: b.String(), Placement: b.placement, Dirs: len(b.dirs)}
		for _, d := range b.dirs {
			r.Records += d.count()
		}
		for _, x := range e {
			r.Bytes += x.Len
		}
		p.report.Trees = append(p.report.Trees, r)
	}
	others, err := writerExtents(p)
	if err != nil {
		return nil, err
	}
	over = append(over, others...)
	content := append(p.contentExtents(), p.runExtents()...)
	used := p.own.kept
	for _, c := range p.leaving() {
		used = used.minus(spans{c.span})
	}
	for _, e := range append(over, content...) {
		used = append(used, span{e.Off / iso9660.BlockSize, iso9660.Blocks(e.End())})
	}
	for _, b := range p.trees {
		used = append(used, b.occupied()...)
	}
	for _, w := range p.writers {
		used = append(used, w.runs...)
	}
	used = union(used)
	end := max(used.end(), p.own.shared.end())
	if p.o.InPlace {
		end = max(end, p.own.end)
	}
	fit, err := p.relocate(end)
	if err != nil {
		return nil, err
	}
	content = append(content, p.appendedExtents(fit)...)
	for _, a := range fit.Appended {
		used = used.plus(spans{{a.Off / iso9660.BlockSize, iso9660.Blocks(a.Off + a.Len)}})
	}
	over = append(over, p.descriptorExtents(fit)...)
	if len(p.o.SystemArea) > 0 {
		over = append(over, extent.BytesOf(0, p.o.SystemArea))
	}
	if !p.o.Compact {
		if over, err = p.changedOnly(over, fit.Size); err != nil {
			return nil, err
		}
	}
	over = append(over, content...)
	patches, err := bootPatches(p, fit, used)
	if err != nil {
		return nil, err
	}
	for _, f := range fit.Findings {
		p.report.Warnings = append(p.report.Warnings, f.String())
	}
	m, wiped, err := p.ground(used, fit)
	if err != nil {
		return nil, fmt.Errorf("internal error: %w", err)
	}
	for _, list := range [][]extent.Extent{over, patches} {
		if m, err = m.Overlay(list); err != nil {
			return nil, fmt.Errorf("internal error: %w", err)
		}
	}
	p.report.Size, p.report.Written = m.Size(), m.Written(p.base.Source)
	fresh := slices.Concat(over, patches)
	return &Result{Map: m, Wiped: without(wiped, fresh), Overwritten: p.overwritten(fresh)}, nil
}

// ground is the map that everything new is laid over: the base without what went.
func (p *planner) ground(used spans, fit *boot.Relocation) (m *extent.Map, wiped []extent.Extent, err error) {
	if p.o.Compact {
		m, err = p.underlay(fit)
		return m, nil, err
	}
	wiped = p.wiped(used, fit)
	m, err = extent.Whole(p.base.Source).Resize(fit.Size).Overlay(wiped)
	return m, wiped, err
}

// overwritten are the ranges of the list that lie where the base uses something.
func (p *planner) overwritten(list []extent.Extent) []extent.Extent {
	old := p.own.kept.plus(p.own.content).plus(p.own.trees).plus(p.own.behind)
	if t, ok := p.base.Boot.Trailer(); ok {
		old = old.plus(spans{{t.Off / iso9660.BlockSize, iso9660.Blocks(t.End())}})
	}
	var out []extent.Extent
	for _, e := range list {
		if old.overlaps(span{e.Off / iso9660.BlockSize, iso9660.Blocks(e.End())}) {
			out = append(out, extent.ZeroOf(e.Off, e.Len))
		}
	}
	return out
}

// occupied are the blocks of directories and path tables, written or not.
func (b *hierarchy) occupied() spans {
	var out []span
	for _, d := range b.dirs {
		out = append(out, span{d.lba, d.lba + d.blocks}, span{d.ceLBA, d.ceLBA + d.ceBlocks})
		if d.as {
			for raw := range recordsOf(d.found) {
				for _, a := range raw.Areas {
					out = append(out, b.area(a))
				}
			}
		}
		for _, r := range d.all() {
			for _, areas := range r.areas {
				for _, a := range areas {
					out = append(out, span{a.block, a.block + 1})
				}
			}
		}
	}
	for _, at := range b.tables.at {
		if at != 0 {
			out = append(out, span{at, at + iso9660.Blocks(b.tables.size)})
		}
	}
	return union(out)
}

// wiped are zeros over what the base used and the result does not: freed content
// and trees, stale checksum tags, and the backup GPT if it moves.
func (p *planner) wiped(used spans, fit *boot.Relocation) []extent.Extent {
	gone := p.own.stale.minus(used)
	if !p.o.KeepFreed {
		gone = gone.plus(p.own.content.plus(p.own.trees).plus(p.own.behind).minus(used))
	}
	if t, ok := p.base.Boot.Trailer(); ok && fit.TrailerMoves {
		gone = gone.plus(spans{{t.Off / iso9660.BlockSize, iso9660.Blocks(t.End())}}.minus(used))
	}
	var out []extent.Extent
	for _, s := range gone {
		from, to := s.from*iso9660.BlockSize, min(s.to*iso9660.BlockSize, fit.Size)
		if from < to {
			out = append(out, extent.ZeroOf(from, to-from))
			p.report.Wiped += to - from
		}
	}
	return out
}

// changedOnly drops the blocks that are in the base already, so that a file that
// shares its blocks, or is changed in place, has no needless write.
func (p *planner) changedOnly(list []extent.Extent, size int64) ([]extent.Extent, error) {
	var out []extent.Extent
	var buf []byte
	limit := min(size, p.base.Source.Size())
	for _, e := range list {
		first := len(out)
		buf = slices.Grow(buf[:0], int(max(0, min(e.End(), limit)-e.Off)))
		old := buf[:max(0, min(e.End(), limit)-e.Off)]
		if n, err := p.base.Source.ReadAt(old, e.Off); n < len(old) {
			return nil, fmt.Errorf("read base at %d: %w", e.Off, err)
		}
		for at := int64(0); at < e.Len; {
			n := min(e.Len-at, iso9660.BlockSize-(e.Off+at)%iso9660.BlockSize)
			piece := e.Data[at : at+n]
			if at+n > int64(len(old)) || !bytes.Equal(piece, old[at:at+n]) {
				if k := len(out) - 1; k >= 0 && out[k].End() == e.Off+at && at > 0 {
					out[k] = extent.BytesOf(out[k].Off, e.Data[out[k].Off-e.Off:at+n])
				} else {
					out = append(out, extent.BytesOf(e.Off+at, piece))
				}
			}
			at += n
		}
		left := int64(0)
		for _, x := range out[first:] {
			left += x.Len
		}
		if left < e.Len/2 { // the rest of the data is let go
			for i, x := range out[first:] {
				out[first+i] = extent.BytesOf(x.Off, bytes.Clone(x.Data))
			}
		}
	}
	return out, nil
}

// patchesLeft drops the patches that write what the base has there; over new
// content, whose blocks are fresh, all stay.
func (p *planner) patchesLeft(patches []extent.Extent, fresh spans, size int64) ([]extent.Extent, error) {
	var out, old []extent.Extent
	for _, e := range patches {
		if fresh.overlaps(span{e.Off / iso9660.BlockSize, iso9660.Blocks(e.End())}) {
			out = append(out, e)
		} else {
			old = append(old, e)
		}
	}
	old, err := p.changedOnly(old, size)
	return append(out, old...), err
}
