package layout

import (
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// relocated reports a directory of the base that goes on to be stored elsewhere than it is
// shown. One that gets another place is stored there: readers want no placeholders in the
// root, and all know directories of any depth.
func (b *hierarchy) relocated(e *iso9660.Entry) bool {
	if e.Holder() == nil || b.flat || b.misled() {
		return false
	}
	n := b.node(e)
	return n != nil && !n.Moved()
}

// misled reports a root with something new that libarchive takes for the directory which
// stores relocated ones, by its name.
func (b *hierarchy) misled() bool {
	return slices.ContainsFunc(b.root.Children, func(n *tree.Node) bool {
		return (n.Name == "rr_moved" || n.Name == ".rr_moved") && !n.Hidden && (b.entry(n) == nil || n.Renamed() || n.Moved())
	})
}

// flatten makes a hierarchy that cannot stay at its place anew, with every directory where
// it is shown: libarchive finds what is in relocated ones only if they lie in front of
// where they are shown, and behind that all content.
func (p *planner) flatten(b *hierarchy) (*hierarchy, error) {
	if !b.deep() || p.o.Compact {
		return b, nil
	}
	first, err := p.base.Image.Tree(b.h)
	if err != nil {
		return nil, err
	}
	flat, err := p.makeHierarchy(hierarchy{set: b.set, h: b.h, flat: true}, first, b.serials.names)
	if err != nil {
		return nil, err
	}
	flat.measure(b.tables.desc)
	for i := range p.trees {
		if p.trees[i] == b {
			p.trees[i] = flat
		}
	}
	p.report.Notes = append(p.report.Notes, fmt.Sprintf("%s: directories below the eighth level are stored at their depth now", b))
	return flat, nil
}

// deep reports a hierarchy of the base with relocated directories.
func (b *hierarchy) deep() bool {
	return slices.ContainsFunc(b.dirs, func(d *directory) bool { return d.found != nil && d.found.Holder() != nil })
}

// guestsFirst puts the relocated directories behind the root and the directory that stores
// them, in front of all others: libarchive wants to have read where one is stored when it
// comes to where it is shown. Those that are shown in others of them follow those.
func (b *hierarchy) guestsFirst() {
	shown := map[*directory][]*directory{} // relocated directories by where they are shown
	for _, d := range b.dirs {
		if d.logical != nil {
			shown[d.logical] = append(shown[d.logical], d)
		}
	}
	if len(shown) == 0 {
		return
	}
	o := order{of: b, shown: shown, done: map[*directory]bool{}}
	for _, d := range b.dirs {
		if d.logical != nil {
			o.withHomes(d.home)
		}
	}
	for _, d := range b.dirs { // those that other directories show
		if d.logical != nil && !b.guest(d.logical) {
			o.queue = append(o.queue, d)
		}
	}
	for len(o.queue) > 0 {
		d := o.queue[0]
		o.queue = o.queue[1:]
		o.subtree(d)
	}
	for _, d := range b.dirs {
		o.put(d)
	}
	b.dirs = o.list
}

// guest reports a directory that is stored in a relocated one, or is one.
func (b *hierarchy) guest(d *directory) bool {
	for ; d.home != d; d = d.home {
		if d.logical != nil {
			return true
		}
	}
	return false
}

// order lists directories in another order.
type order struct {
	of    *hierarchy
	shown map[*directory][]*directory
	done  map[*directory]bool
	list  []*directory
	queue []*directory
}

func (o *order) put(d *directory) {
	if !o.done[d] {
		o.done[d] = true
		o.list = append(o.list, d)
	}
}

// withHomes puts a directory behind those that it is in.
func (o *order) withHomes(d *directory) {
	var up []*directory
	for ; d.home != d; d = d.home {
		up = append(up, d)
	}
	o.put(d)
	for _, d := range slices.Backward(up) {
		o.put(d)
	}
}

// subtree puts a directory and all that are stored in it, and queues those that are shown
// there.
func (o *order) subtree(d *directory) {
	stack := []*directory{d}
	for len(stack) > 0 {
		d := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		o.put(d)
		o.queue = append(o.queue, o.shown[d]...)
		for _, r := range slices.Backward(d.records) {
			if sub := o.of.of[r.node]; sub != nil && sub.home == d && !o.done[sub] {
				stack = append(stack, sub)
			}
		}
	}
}
