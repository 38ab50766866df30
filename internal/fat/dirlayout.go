package fat

// dirLayout is the slots of an edited directory.
type dirLayout struct {
	raw   []byte        // whole slots
	slots map[*node]int // of the name that every reader knows
}

// layDir makes the slots of a directory: those found stay where they are, those
// of removed entries are blanked, new ones go to the first free run.
func (e *Editor) layDir(n *node) *dirLayout {
	d := &dirLayout{slots: make(map[*node]int, len(n.children))}
	if n.old == nil {
		d.raw = append(newDot(dotName, e.opt), newDot(dotDotName, e.opt)...)
	} else {
		d.raw = append(d.raw, n.old.raw...)
		d.blank(n)
	}
	free := 0
	for _, c := range n.children {
		if c.old != nil {
			d.slots[c] = c.old.slots[1] - 1
			continue
		}
		slots := c.newSlots(e.opt)
		for free < len(d.raw)/slotSize && !d.slot(free).free() {
			free++
		}
		at := d.room(free, len(slots)/slotSize)
		copy(d.raw[at*slotSize:], slots)
		d.slots[c] = at + len(slots)/slotSize - 1
	}
	return d
}

// blank deletes the slots of entries that are gone, and what lies behind the
// end mark, which becomes part of the directory if it grows.
func (d *dirLayout) blank(n *node) {
	kept := make(map[*entry]bool, len(n.children))
	for _, c := range n.children {
		kept[c.old] = true
	}
	for _, o := range n.old.children {
		if kept[o] {
			continue
		}
		for i := o.slots[0]; i < o.slots[1]; i++ {
			clear(d.slot(i))
			d.slot(i)[0] = slotDeleted
		}
	}
	if len(kept) == len(n.old.children) && len(kept) == len(n.children) && !kept[nil] {
		return
	}
	for i := range len(d.raw) / slotSize {
		if d.slot(i)[0] == slotLast {
			clear(d.raw[i*slotSize:])
			return
		}
	}
}

func (d *dirLayout) slot(i int) slot { return d.raw[i*slotSize:][:slotSize] }

// at returns the slot of a child.
func (d *dirLayout) at(n *node) slot { return d.slot(d.slots[n]) }

// room returns the first of n free slots in a row, at or behind the given one;
// the directory becomes longer if there are none.
func (d *dirLayout) room(from, n int) int {
	run := 0
	for i := from; i < len(d.raw)/slotSize; i++ {
		if !d.slot(i).free() {
			run = 0
			continue
		}
		if run++; run == n {
			return i - n + 1
		}
	}
	at := len(d.raw)/slotSize - run
	d.raw = append(d.raw, make([]byte, (n-run)*slotSize)...)
	return at
}

// trim drops unused slots at the end.
func (d *dirLayout) trim() {
	for i := range len(d.raw) / slotSize {
		if d.slot(i)[0] == slotLast {
			d.raw = d.raw[:i*slotSize]
			return
		}
	}
}

// setDots writes the clusters of the directory and its parent into the two
// slots that begin it.
func (d *dirLayout) setDots(self, up uint32, t Type) {
	for i, c := range []uint32{self, up} {
		if i < len(d.raw)/slotSize && d.slot(i).short() == [2]shortName{dotName, dotDotName}[i] {
			d.slot(i).setCluster(c, t)
		}
	}
}

// newSlots returns the slots of a new file or directory.
func (n *node) newSlots(o Options) []byte {
	s := make(slot, slotSize)
	copy(s, n.short[:])
	s[slotAttr] = attrArchive
	if n.dir {
		s[slotAttr] = attrDir
	}
	s[slotCase] = n.nt
	s.setCreated(o.Time)
	s.setWritten(o.Time)
	if n.name == n.short.shown(n.nt) {
		return s
	}
	return append(longSlots(n.name, n.short), s...)
}

// newDot returns one of the slots that begin a directory.
func newDot(name shortName, o Options) slot {
	s := make(slot, slotSize)
	copy(s, name[:])
	s[slotAttr] = attrDir
	s.setCreated(o.Time)
	s.setWritten(o.Time)
	return s
}
