package master

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// kind says what a record of a directory is to the node it names.
type kind uint8

const (
	plain   kind = iota
	holder       // CL: the place of a directory stored elsewhere
	guest        // RE: a directory that is shown elsewhere
	storage      // RE: the directory that guests are in
)

// item is a record of a directory, in the order of the standard. Its identifier is in
// the directory's own list.
type item struct {
	node    *tree.Node
	content int32 // number of its content, -1 without one
	kind    kind
}

// directory is one directory of one hierarchy.
type directory struct {
	node    *tree.Node
	parent  *directory // that stores it; the root is its own
	logical *directory // that it is shown in, if another
	id      []byte
	items   []item
	ids     []byte // of the items: a byte of length, then the identifier
	subs    []*directory
	links   uint32 // of the directory: 2 and its subdirectories
	serial  uint32

	size     int64 // bytes of records, whole blocks
	lba      int64
	ceBlocks int64 // continuation areas, directly behind
}

// hierarchy is one of the image's directory hierarchies.
type hierarchy struct {
	h      iso9660.Hierarchy
	origin int64 // block that its addresses count from
	rock   *iso9660.Rock
	dirs   []*directory // in the order in which they lie
	of     map[*tree.Node]*directory

	tableSize int64
	tables    [2]int64 // blocks of L and M
	records   int
	longest   int // bytes of the longest name, which is at longPath
	longPath  string
	longLink  string // path of a link that is too long for some
	skipped   int    // nodes that this hierarchy cannot have
	said      jolietRemarks
}

// maxDepth is the deepest level that ECMA-119 6.8.2.1 allows, the root being the first.
const maxDepth = 8

// hierarchy makes the directories of h and measures them.
func (p *planner) hierarchy(h iso9660.Hierarchy) (*hierarchy, error) {
	b := &hierarchy{h: h, of: map[*tree.Node]*directory{}}
	if h == iso9660.Primary && p.tree.RockRidge {
		b.rock = &iso9660.Rock{Serials: true, LinkDirs: true}
	}
	x := builder{p: p, b: b, naming: iso9660.NewNaming(h, p.o.Naming)}
	if err := x.build(); err != nil {
		return nil, err
	}
	for _, d := range b.dirs {
		p.measure(b, d)
	}
	b.tableSize = int64(len(iso9660.PathTable(b.pathTable(), binary.LittleEndian)))
	return b, nil
}

// builder fills a hierarchy with directories.
type builder struct {
	p       *planner
	b       *hierarchy
	naming  *iso9660.Naming
	storage *directory // of relocated directories
	guests  []*directory
}

func (x *builder) build() error {
	root := &directory{node: x.p.tree.Root, id: []byte{0}}
	root.parent = root
	if x.p.o.Relocate != "" && x.b.rock != nil {
		x.storage = x.makeStorage(root)
	}
	if err := x.fill(root, 1); err != nil {
		return err
	}
	if x.storage == nil {
		return nil
	}
	if len(x.storage.items) == 0 {
		x.drop(root)
		return nil
	}
	return x.house(root)
}

// fill makes a directory and all below it, parents first.
func (x *builder) fill(d *directory, depth int) error {
	x.b.dirs = append(x.b.dirs, d)
	x.b.of[d.node] = d
	d.links = 2
	for _, c := range d.node.Children {
		if c.IsDir() {
			d.links++
		}
	}
	items := x.wanted(d)
	if d.node.Parent == nil && x.storage != nil {
		items = append(items, item{x.storage.node, -1, storage})
	}
	subs, err := x.name(d, items)
	if err != nil {
		return err
	}
	for i := range subs {
		sub := subs[i]
		if x.storage != nil && depth >= maxDepth {
			x.move(d, sub)
			continue
		}
		sub.parent = d
		d.subs = append(d.subs, sub)
		if err := x.fill(sub, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// wanted are the children that the hierarchy can have. Joliet has no means for links
// and devices.
func (x *builder) wanted(d *directory) []item {
	out := make([]item, 0, len(d.node.Children))
	for _, c := range d.node.Children {
		switch {
		case !c.In[x.b.h]:
		case c.IsDir() || c.IsRegular() || x.b.rock != nil:
			out = append(out, item{node: c, content: x.p.content.index(c)})
			if len(c.Name) > x.b.longest {
				x.b.longest, x.b.longPath = len(c.Name), c.Path()
			}
			if len(c.Link) > safeLink {
				x.b.longLink = c.Path()
			}
		default:
			x.b.skipped++
		}
	}
	return out
}

// name gives the items their identifiers and their order (ECMA-119 9.3) and returns
// the directories among them.
func (x *builder) name(d *directory, items []item) ([]*directory, error) {
	names := x.namer()
	ids := make([][]byte, len(items))
	order := make([]int, len(items))
	for i, it := range items {
		id, err := names.ID(it.node.Name, it.node.IsDir() && it.kind != holder)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.node.Path(), err)
		}
		ids[i], order[i] = id, i
	}
	if x.b.h == iso9660.Joliet {
		x.b.said.joliet(items, ids)
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case iso9660.Less(x.b.h, ids[i], ids[j]):
			return -1
		case iso9660.Less(x.b.h, ids[j], ids[i]):
			return 1
		}
		return bytes.Compare(ids[i], ids[j])
	})
	d.items, d.ids = make([]item, len(items)), nil
	var subs []*directory
	for k, i := range order {
		d.items[k] = items[i]
		d.ids = append(append(d.ids, byte(len(ids[i]))), ids[i]...)
		if items[i].node.IsDir() && items[i].kind == plain {
			subs = append(subs, &directory{node: items[i].node, id: ids[i]})
		}
		if items[i].kind == storage {
			x.storage.id = ids[i]
		}
	}
	d.ids = slices.Clip(d.ids)
	return subs, x.table(d)
}

// all yields the items with their identifiers.
func (d *directory) all(yield func(item, []byte) bool) {
	ids := d.ids
	for _, it := range d.items {
		n := int(ids[0])
		if !yield(it, ids[1:1+n]) {
			return
		}
		ids = ids[1+n:]
	}
}

// copyFor is the hierarchy for a second set of descriptors.
func (b *hierarchy) copyFor(origin int64) *hierarchy {
	c := *b
	c.origin, c.dirs, c.of = origin, nil, make(map[*tree.Node]*directory, len(b.of))
	twin := make(map[*directory]*directory, len(b.dirs))
	for _, d := range b.dirs {
		e := *d
		twin[d] = &e
		c.dirs = append(c.dirs, &e)
		if b.of[d.node] == d {
			c.of[d.node] = &e
		}
	}
	for _, e := range c.dirs {
		e.parent, e.logical = twin[e.parent], twin[e.logical]
		e.subs = slices.Clone(e.subs)
		for i := range e.subs {
			e.subs[i] = twin[e.subs[i]]
		}
	}
	return &c
}

// rel turns a block of the image into an address of the hierarchy's set.
func (b *hierarchy) rel(block int64) iso9660.LBA { return iso9660.LBA(max(0, block-b.origin)) }

// pathTable lists the directories by level, then by parent, then by identifier
// (ECMA-119 6.9.1).
func (b *hierarchy) pathTable() []iso9660.PathTableDir {
	root := b.dirs[0]
	out := []iso9660.PathTableDir{{ID: root.id, LBA: b.rel(root.lba)}}
	type numbered struct {
		d *directory
		n int
	}
	level := []numbered{{root, 0}}
	for len(level) > 0 {
		var next []numbered
		for _, p := range level {
			subs := slices.Clone(p.d.subs)
			slices.SortStableFunc(subs, func(x, y *directory) int { return bytes.Compare(x.id, y.id) })
			for _, s := range subs {
				next = append(next, numbered{s, len(out)})
				out = append(out, iso9660.PathTableDir{ID: s.id, LBA: b.rel(s.lba), Parent: p.n})
			}
		}
		level = next
	}
	return out
}
