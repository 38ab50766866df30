package layout

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// role says what a record is to the directory it names.
type role uint8

const (
	plain  role = iota // a file, or a directory that is stored here
	holder             // CL: the place of a directory stored elsewhere
)

// record is one entry of a directory, to be written.
type record struct {
	node   *tree.Node // nil for "." and ".."
	role   role
	drafts []*iso9660.Draft // one a section
	raws   []iso9660.Raw    // as found, if the areas of the drafts are those of the base
	dirty  bool             // differs from the base in more than addresses
	sums   bool             // had a reference to checksums that any change makes wrong
	areas  [][]areaPos      // where the continuation areas go, as drafts
}

// areaPos is where a continuation area goes.
type areaPos struct {
	block  int64
	offset int
}

func (r *record) id() []byte {
	if r.drafts == nil { // of a directory that stays as it is
		return r.raws[0].Record.ID()
	}
	return r.drafts[0].Record.ID()
}

// directory is one directory of one hierarchy, to be written.
type directory struct {
	node    *tree.Node
	found   *iso9660.Entry // nil if it is new here
	home    *directory     // the directory that stores it; the root is its own
	logical *directory     // the one it is shown in, if that is another
	self    *record
	up      *record
	records []*record

	oldLBA, oldBlocks int64 // as found
	oldLen            int64 // bytes, which some writers do not round up to blocks
	lba, blocks       int64
	used              int64 // bytes that its records take; not known of one that stays as it is
	ceLBA, ceBlocks   int64 // new continuation blocks
	changed           bool  // its records are not those of the base
	links             int64 // more subdirectories than before
	// as is a directory whose records stay byte for byte, addresses apart: they have no
	// drafts, and records has those of subdirectories only.
	as bool
}

// hierarchy is one of the image's directory hierarchies, to be written.
type hierarchy struct {
	set
	twin map[*iso9660.Entry]*iso9660.Entry // in a second set: its entries, by those of the first
	h    iso9660.Hierarchy
	base *iso9660.Entry // root
	rock *iso9660.Rock  // nil without Rock Ridge
	dirs []*directory   // pre-order, the root first
	of   map[*tree.Node]*directory

	flat      bool // no directory is stored elsewhere than it is shown
	placement string
	tables    tables
	root      *tree.Node
	starts    map[int64]bool                // first blocks of directories that moved; made by astray
	nodes     map[*iso9660.Entry]*tree.Node // of all entries; made by node
	serials   *serials
	namings   namings
}

// namings are the rules of the base's names, by the root of a hierarchy.
type namings map[*iso9660.Entry]*iso9660.Naming

// serials gives new files the file serial numbers that Rock Ridge 1.12 wants unique.
type serials struct {
	next  uint32
	given map[any]uint32
	names map[any]uint32 // how many names a new source has
}

// entry returns the entry of a node in this hierarchy, nil if it has none.
func (b *hierarchy) entry(n *tree.Node) *iso9660.Entry {
	if b.twin != nil {
		return b.twin[n.Found[b.h]]
	}
	return n.Found[b.h]
}

// buildHierarchy makes the directories of hierarchy h of a set from the edited
// tree; first is the root of that hierarchy in the first set.
// Sizes are then known, addresses are not.
func (p *planner) buildHierarchy(s set, first *iso9660.Entry, h iso9660.Hierarchy, names map[any]uint32) (*hierarchy, error) {
	return p.makeHierarchy(hierarchy{set: s, h: h}, first, names)
}

// makeHierarchy does so for a hierarchy of which is said what is to be made.
func (p *planner) makeHierarchy(made hierarchy, first *iso9660.Entry, names map[any]uint32) (*hierarchy, error) {
	b, s, h, img := &made, made.set, made.h, made.img
	root, err := img.Tree(h)
	if err != nil || root == nil || first == nil {
		return nil, err
	}
	b.base, b.root, b.namings, b.of = root, p.tree.Root, p.namings, map[*tree.Node]*directory{}
	b.serials = &serials{given: map[any]uint32{}, names: names}
	if !s.first() {
		b.twin = s.twins(h, first, root)
		for e := range physical(first) {
			if b.twin[e] == nil {
				return nil, fmt.Errorf("%w: %s is not the same in the %s tree under the superblock at block %d", ErrUnsupported, e.Path(), h, s.origin+16)
			}
		}
	}
	rr, err := img.RockRidge(h)
	if err != nil {
		return nil, err
	}
	if rr {
		rock := iso9660.RockOf(root)
		b.rock = &rock
	}
	stack := []*directory{b.dir(b.root)}
	stack[0].home = stack[0]
	for len(stack) > 0 {
		d := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		b.dirs = append(b.dirs, d)
		if err := b.fill(d); err != nil {
			return nil, err
		}
		for _, r := range slices.Backward(d.records) {
			if r.node.IsDir() && r.role == plain {
				sub := b.dir(r.node)
				sub.home = d
				stack = append(stack, sub)
			}
		}
	}
	for _, d := range b.dirs {
		if err := b.countLinks(d); err != nil {
			return nil, err
		}
	}
	b.guestsFirst()
	return b, b.measureDirs()
}

// node finds the node of an entry that is still in the tree.
func (b *hierarchy) node(e *iso9660.Entry) *tree.Node {
	if b.nodes == nil {
		b.nodes = map[*iso9660.Entry]*tree.Node{}
		for n := range nodes(b.root) {
			if e := b.entry(n); e != nil && n.In[b.h] {
				b.nodes[e] = n
			}
		}
	}
	return b.nodes[e]
}

func (b *hierarchy) dir(n *tree.Node) *directory {
	d := b.of[n]
	if d == nil {
		d = &directory{node: n, found: b.entry(n)}
		b.of[n] = d
		if e := d.found; e != nil {
			d.oldLBA = b.origin + int64(e.Record().LBA())
			d.oldLen = int64(e.Record().Size())
			d.oldBlocks = iso9660.Blocks(d.oldLen)
		}
	}
	return d
}

// fill makes the records of d: those of the base in their order, newcomers where
// the standard puts them (ECMA-119 9.3).
func (b *hierarchy) fill(d *directory) error {
	if b.asIs(d) {
		d.as = true
		for _, n := range d.node.Children {
			if e := b.entry(n); n.IsDir() && e != nil && n.In[b.h] {
				d.records = append(d.records, &record{node: n, raws: e.Raws()})
			}
		}
		return nil
	}
	return b.draftAll(d)
}

// asIs reports a directory none of whose records changes, addresses apart, so that
// nothing needs to be written for it if it stays where it is.
func (b *hierarchy) asIs(d *directory) bool {
	e := d.found
	if e == nil || d.home == d || e.Holder() != nil || d.node.Moved() || altered(d.node) || altered(d.home.node) {
		return false
	}
	stay := 0
	for _, n := range d.node.Children {
		x := b.entry(n)
		switch {
		case x == nil || !n.In[b.h]:
			if b.wants(n) {
				return false
			}
			continue
		case x.Parent != e, x.Holder() != nil, x.Target() != nil, n.Hidden && n.IsDir():
			return false
		case n.Moved(), n.Renamed(), altered(n), !b.wants(n):
			return false
		}
		stay++
	}
	return stay == len(e.Children())
}

// altered reports a node whose attributes or content are not those of the base.
func altered(n *tree.Node) bool { return n.Replaced() || n.Altered() || n.Redated() }

// draftAll makes drafts of all records of d.
func (b *hierarchy) draftAll(d *directory) error {
	d.as, d.records = false, nil
	b.ends(d)
	kept := map[*tree.Node]bool{}
	var given []*record // those that need another identifier
	if d.found != nil {
		here := make(map[*iso9660.Entry]*tree.Node, len(d.node.Children))
		for _, n := range d.node.Children {
			if e := b.entry(n); e != nil && n.In[b.h] {
				here[e] = n
			}
		}
		d.records = make([]*record, 0, len(d.found.Children())+1)
		for _, e := range d.found.Children() {
			r := b.stay(d, e, here)
			if r == nil {
				d.changed = true
				continue
			}
			kept[r.node] = kept[r.node] || d.node == r.node.Parent
			if r.drafts == nil {
				given = append(given, r)
			} else {
				d.records = append(d.records, r)
			}
		}
	}
	for _, n := range d.node.Children {
		if !kept[n] && b.wants(n) {
			given = append(given, &record{node: n, dirty: true})
		}
	}
	if len(given) == 0 {
		return nil
	}
	// Names that are given anew come after all that stay, so that those keep theirs.
	names := b.namer()
	for _, r := range d.records {
		names.Take(r.id())
	}
	slices.SortStableFunc(given, func(x, y *record) int { // associated files behind their files
		switch {
		case x.node.Of() == nil && y.node.Of() != nil:
			return -1
		case x.node.Of() != nil && y.node.Of() == nil:
			return 1
		}
		return 0
	})
	stay := d.records
	for _, r := range given {
		if err := b.rename(d, r, names); err != nil {
			return err
		}
		d.records = append(d.records, r)
	}
	d.records = stay
	d.changed = true
	d.records = b.mergeOrder(d.records, given)
	return nil
}

// namer gives identifiers by the rules that those of the base show.
func (b *hierarchy) namer() *iso9660.Namer {
	if b.namings[b.base] == nil {
		b.namings[b.base] = iso9660.NamingOf(b.h, b.base)
	}
	return b.namings[b.base].Namer()
}

// countLinks brings link counts in line where the base counts subdirectories.
func (b *hierarchy) countLinks(d *directory) error {
	if b.rock == nil || !b.rock.LinkDirs || d.as {
		return nil
	}
	// A relocated directory counts where it is stored and where it is shown.
	for _, r := range d.records {
		if r.node.IsDir() {
			d.links++
		}
	}
	if d.found != nil {
		for _, e := range d.found.Children() {
			if e.IsDir() || e.Target() != nil {
				d.links--
			}
		}
	}
	if d.links == 0 {
		return nil
	}
	// The count stands in the record of d, in its own ".", and in the ".." of those in it.
	if _, err := b.draftNear(d); err != nil {
		return err
	}
	touch := func(in *directory, r *record) {
		for _, dr := range r.drafts {
			dr.AddLinks(d.links)
		}
		r.dirty, in.changed = true, true
	}
	touch(d, d.self)
	if d.home == d {
		touch(d, d.up)
	}
	for _, r := range d.home.records {
		if r.node == d.node && r.role == plain && d.home != d {
			touch(d.home, r)
		}
	}
	if d.logical != nil {
		for _, r := range d.logical.records {
			if r.node == d.node && r.role == holder {
				touch(d.logical, r)
			}
		}
	}
	for _, r := range d.records {
		if sub := b.of[r.node]; sub != nil && sub.home == d {
			touch(sub, sub.up)
		}
	}
	return nil
}

// inOrder lists the directories as path tables have them: by level, then by
// parent, then by identifier (ECMA-119 6.9.1).
func (b *hierarchy) inOrder() []*directory {
	ids := b.dirIDs()
	level := []*directory{b.dirs[0]}
	out := slices.Clone(level)
	for len(level) > 0 {
		var next []*directory
		for _, d := range level {
			var subs []*directory
			for _, r := range d.records {
				if r.role == plain && r.node.IsDir() {
					subs = append(subs, b.of[r.node])
				}
			}
			slices.SortStableFunc(subs, func(x, y *directory) int { return bytes.Compare(ids[x], ids[y]) })
			next = append(next, subs...)
		}
		out = append(out, next...)
		level = next
	}
	return out
}

// draftNear drafts the directories whose records tell of d: the one that lists it and those
// that it lists. It returns those that were not drafted before.
func (b *hierarchy) draftNear(d *directory) (drafted []*directory, err error) {
	near := []*directory{d.home}
	for _, r := range d.records {
		if sub := b.of[r.node]; sub != nil && sub.home == d {
			near = append(near, sub)
		}
	}
	for _, x := range near {
		if x.as {
			if err := b.draftAll(x); err != nil {
				return nil, err
			}
			drafted = append(drafted, x)
		}
	}
	return drafted, nil
}
