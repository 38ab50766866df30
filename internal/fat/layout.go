package fat

import (
	"slices"
)

// layout is an edited tree with a place for everything: in the old volume, or
// in a new one where nothing has a place yet.
type layout struct {
	*Editor
	geometry
	table  table
	fresh  bool
	nodes  []*node // every directory before what is in it
	dirs   map[*node]*dirLayout
	places map[*node]chain
	next   uint32 // no cluster before this one is free
}

// newLayout lays out the directories, which needs no geometry.
func (e *Editor) newLayout(fresh bool) *layout {
	l := &layout{Editor: e, fresh: fresh, dirs: map[*node]*dirLayout{}, places: map[*node]chain{}, next: firstCluster}
	var walk func(*node)
	walk = func(n *node) {
		l.nodes = append(l.nodes, n)
		if n.dir {
			l.dirs[n] = e.layDir(n)
		}
		for _, c := range n.children {
			walk(c)
		}
	}
	walk(e.root)
	if fresh {
		for _, d := range l.dirs {
			d.trim()
		}
	}
	return l
}

// size returns how many bytes a node has that need clusters.
func (l *layout) size(n *node) int64 {
	switch {
	case n.dir && n.parent == nil && l.typ != FAT32:
		return 0
	case n.dir:
		return max(slotSize, int64(len(l.dirs[n].raw)))
	}
	return n.size()
}

// size returns the length of a file.
func (n *node) size() int64 {
	if n.content != nil {
		return n.content.Size()
	}
	return n.old.size
}

// need returns how many clusters the tree takes.
func (l *layout) need() (n int64) {
	for _, at := range l.nodes {
		n += l.clustersOf(l.size(at))
	}
	return n
}

// place gives every node its clusters. All that becomes free is free before
// the first cluster is taken, so the order of edits does not matter.
func (l *layout) place() error {
	if err := l.checkDirs(); err != nil {
		return err
	}
	for _, c := range l.freed {
		l.vacate(c)
	}
	for _, n := range l.nodes {
		if l.fresh {
			continue
		}
		kept := n.chain
		if n.dir || n.content != nil {
			var rest chain
			kept, rest = n.chain.cut(l.clustersOf(l.size(n)))
			l.vacate(rest)
		}
		l.places[n] = kept
	}
	for _, n := range l.nodes {
		if err := l.extend(n); err != nil {
			return err
		}
	}
	return nil
}

// checkDirs reports whether directories have become too long.
func (l *layout) checkDirs() error {
	for _, n := range l.nodes {
		if !n.dir {
			continue
		}
		slots := int64(len(l.dirs[n].raw) / slotSize)
		if slots > maxDirSlots {
			return errorf(ErrLimit, "directory %q: %d slots", n.name, slots)
		}
		if n.parent == nil && l.typ != FAT32 && slots > l.rootEntries {
			return errorf(ErrFull, "the root directory has %d of %d slots", slots, l.rootEntries)
		}
	}
	return nil
}

// vacate makes clusters free.
func (l *layout) vacate(c chain) {
	for at := range c.all() {
		l.table.set(at, entryFree)
		l.next = min(l.next, at)
	}
}

// extend takes the lowest free clusters until the node has as many as it needs.
func (l *layout) extend(n *node) error {
	need := l.clustersOf(l.size(n))
	c := slices.Clone(l.places[n])
	for have := c.clusters(); have < need; have++ {
		for l.has(l.next) && l.table.get(l.next) != entryFree {
			l.next++
		}
		if !l.has(l.next) {
			return errorf(ErrFull, "%q needs %d bytes more", n.name, (need-have)*l.clusterSize())
		}
		c = c.add(l.next)
		l.next++
	}
	if l.fresh || !slices.Equal(c, n.chain) {
		l.table.link(c)
	}
	l.places[n] = c
	return nil
}

// record writes into every directory where its entries lie now, and how long
// files are.
func (l *layout) record() {
	for _, n := range l.nodes {
		if n.parent == nil {
			continue
		}
		start := l.places[n].start()
		s := l.dirs[n.parent].at(n)
		s.setCluster(start, l.typ)
		if n.content != nil {
			s.setSize(n.size())
			s.setWritten(l.opt.Time)
		}
		if n.dir && (l.fresh || n.old == nil) {
			up := uint32(0) // the root of every type
			if n.parent.parent != nil {
				up = l.places[n.parent].start()
			}
			l.dirs[n].setDots(start, up, l.typ)
		}
	}
}
