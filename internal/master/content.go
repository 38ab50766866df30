package master

import (
	"cmp"
	"io"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// shareSize is from which size on content is placed so that its file system
// blocks can be shared with the source: 4 KiB blocks of both must line up.
const shareSize = 64 << 10

// content is what one file, or several names of it, hold.
type content struct {
	src    extent.Source
	lba    uint32
	weight int32
	names  uint32
}

// contents are all contents in the order in which they are written.
type contents struct {
	list []content
	of   map[extent.Source]int32 // index in list as gathered; serial numbers go by it
	rank []int32                 // indices in the order of writing
}

// bootWeight puts boot images in front of other files, as genisoimage does: firmware
// is fastest there, and some reads no further.
const bootWeight = 2

// maxWeight bounds what options can ask for; what the planner puts first weighs more.
const maxWeight = 1 << 30

// gather lists the contents of the tree.
func gather(t *tree.Tree, o Options) *contents {
	c := &contents{of: map[extent.Source]int32{}}
	boots := map[*tree.Node]bool{}
	if o.Boot != nil {
		boots[o.Boot.Catalog] = true
		for _, e := range o.Boot.Entries {
			boots[e.Node] = true
		}
	}
	_ = t.Walk(func(n *tree.Node) error { // never fails
		if !n.IsRegular() || n.Source == nil {
			return nil
		}
		i, ok := c.of[n.Source]
		if !ok {
			i = c.add(n.Source)
		}
		w, given := o.Weight[n]
		if !given && boots[n] {
			if w = bootWeight; n == o.Boot.Catalog {
				w++
			}
		}
		x := &c.list[i]
		if x.names == 0 || w > int(x.weight) {
			x.weight = int32(max(min(w, maxWeight), -maxWeight))
		}
		x.names++
		return nil
	})
	return c
}

func (c *contents) add(src extent.Source) int32 {
	i := int32(len(c.list))
	c.of[src] = i
	c.list = append(c.list, content{src: src})
	return i
}

// order decides which content comes first.
func (c *contents) order() {
	c.rank = make([]int32, len(c.list))
	for i := range c.rank {
		c.rank[i] = int32(i)
	}
	slices.SortStableFunc(c.rank, func(a, b int32) int { return cmp.Compare(c.list[b].weight, c.list[a].weight) })
}

// place gives all contents their blocks from block at on and returns the block behind.
// Empty ones have none.
func (c *contents) place(at int64) int64 {
	c.order()
	for _, i := range c.rank {
		x := &c.list[i]
		size := x.src.Size()
		if size == 0 {
			continue
		}
		if size >= shareSize {
			at += (at - origin(x.src)/iso9660.BlockSize) & 1
		}
		x.lba = uint32(min(at, maxBlocks)) // more is an error in the end
		at += iso9660.Blocks(size)
	}
	return at
}

// origin is where the bytes of a source lie in the file they come from.
func origin(src extent.Source) int64 {
	if r, ok := src.(interface{ Origin() int64 }); ok {
		return r.Origin()
	}
	return 0
}

// index returns the number of a node's content, -1 without one.
func (c *contents) index(n *tree.Node) int32 {
	if !n.IsRegular() || n.Source == nil {
		return -1
	}
	return c.of[n.Source]
}

// generated is content that the planner makes.
type generated struct {
	name string
	data []byte
}

// Name returns the name for people.
func (g *generated) Name() string { return g.name }

// Size returns the length in bytes.
func (g *generated) Size() int64 { return int64(len(g.data)) }

// ReadAt reads the bytes.
func (g *generated) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(g.data)) {
		return 0, io.EOF
	}
	n := copy(p, g.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
