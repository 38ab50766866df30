package fat

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/extent"
)

// Patches returns what changes in the old image, in ascending order; its size
// stays. Without any edit there is nothing. ErrFull says that it takes Grow.
func (e *Editor) Patches() ([]extent.Extent, error) {
	if !e.edited {
		return nil, nil
	}
	l := e.newLayout(false)
	l.geometry = e.img.geometry
	l.table = table{bytes.Clone(e.img.table.raw), l.typ}
	if err := l.place(); err != nil {
		return nil, err
	}
	l.record()
	out := slices.Concat(l.dirExtents(), l.fileExtents(), l.freedExtents())
	if !bytes.Equal(l.table.raw, e.img.table.raw) {
		more, err := l.tableExtents()
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	slices.SortFunc(out, byOffset)
	return out, nil
}

func byOffset(a, b extent.Extent) int {
	if a.Off < b.Off {
		return -1
	}
	return 1
}

// Map returns the edited image: the patches over the old one.
func (e *Editor) Map() (*extent.Map, error) {
	patches, err := e.Patches()
	if err != nil {
		return nil, err
	}
	m, err := extent.Patched{Src: e.opt.Base, Off: e.opt.BaseOff, Len: e.img.size, Patches: patches, Size: e.img.size}.Map()
	if err != nil {
		return nil, fmt.Errorf("base of the image: %w", err)
	}
	return m, nil
}

// diff returns the sectors of new that differ from old, as patches at off.
func (g *geometry) diff(off int64, old, new []byte) (out []extent.Extent) {
	for i := 0; i < len(new); {
		n := min(int(g.sector), len(new)-i)
		if i+n <= len(old) && bytes.Equal(old[i:i+n], new[i:i+n]) {
			i += n
			continue
		}
		from := i
		for i < len(new) && (i+n > len(old) || !bytes.Equal(old[i:i+n], new[i:i+n])) {
			i += n
			n = min(int(g.sector), len(new)-i)
		}
		out = append(out, extent.BytesOf(off+int64(from), new[from:i]))
	}
	return out
}

// dirExtents returns the directories, in the old image as far as they changed.
func (l *layout) dirExtents() (out []extent.Extent) {
	for _, n := range l.nodes {
		if !n.dir {
			continue
		}
		var old []byte
		if n.old != nil && !l.fresh {
			old = n.old.raw
		}
		raw := l.dirs[n].raw
		if n.parent == nil && l.typ != FAT32 {
			out = append(out, l.diff(l.rootOff(), old, raw)...)
			continue
		}
		raw = append(raw, make([]byte, l.places[n].clusters()*l.clusterSize()-int64(len(raw)))...)
		at := 0
		for c := range l.places[n].all() {
			end := at + int(l.clusterSize())
			out = append(out, l.diff(l.offset(c), old[min(at, len(old)):min(end, len(old))], raw[at:end])...)
			at = end
		}
	}
	return out
}

// fileExtents returns the new content of files, and in a new volume that of all.
func (l *layout) fileExtents() (out []extent.Extent) {
	for _, n := range l.nodes {
		switch {
		case n.dir:
		case n.content != nil:
			out = append(out, l.spread(extent.Into(0, n.content, n.content.Size()), l.places[n])...)
		case l.fresh:
			old := l.img.extents(n.chain, n.old.size)
			for i := range old {
				old[i].SrcOff += l.opt.BaseOff
				old[i].Src = l.opt.Base
			}
			out = append(out, l.spread(old, l.places[n])...)
		}
	}
	return out
}

// spread returns the pieces of a file at the clusters of a chain, and zeros
// behind the last one.
func (g *geometry) spread(pieces []extent.Extent, c chain) (out []extent.Extent) {
	for _, r := range c {
		at, end := g.offset(r.first), g.offset(r.first)+int64(r.n)*g.clusterSize()
		for at < end && len(pieces) > 0 {
			n := min(end-at, pieces[0].Len)
			head, rest := split(pieces[0], n)
			head.Off = at
			out = append(out, head)
			at += n
			if pieces[0] = rest; rest.Len == 0 {
				pieces = pieces[1:]
			}
		}
		if at < end {
			out = append(out, extent.ZeroOf(at, end-at))
		}
	}
	return out
}

// split returns the first n bytes of an extent and the others.
func split(e extent.Extent, n int64) (head, rest extent.Extent) {
	head, rest = e, e
	head.Len, rest.Len = n, e.Len-n
	switch e.Kind {
	case extent.Bytes:
		head.Data, rest.Data = e.Data[:n], e.Data[n:]
	case extent.Copy:
		rest.SrcOff += n
	}
	return head, rest
}

// freedExtents returns zeros for clusters that were in use and no longer are.
func (l *layout) freedExtents() (out []extent.Extent) {
	if l.opt.KeepFreed {
		return nil
	}
	var free chain
	for c := uint32(firstCluster); l.has(c); c++ {
		if l.table.get(c) == entryFree && l.img.table.get(c) != entryFree {
			free = free.add(c)
		}
	}
	return l.spread(nil, free)
}

// tableExtents returns the copies of the table and the FSInfo sector, as far as
// they differ from what the old image has.
func (l *layout) tableExtents() (out []extent.Extent, err error) {
	for i := range l.tables {
		if !l.mirrored && i != l.active {
			continue
		}
		old, err := l.img.read(l.tableOff(i), l.tableBytes())
		if err != nil {
			return nil, fmt.Errorf("read copy %d of the file allocation table: %w", i+1, err)
		}
		out = append(out, l.diff(l.tableOff(i), old, l.table.raw)...)
	}
	if l.fsInfo == 0 {
		return out, nil
	}
	old, err := l.img.read(l.fsInfo*l.sector, l.sector)
	if err != nil {
		return nil, fmt.Errorf("read FSInfo sector: %w", err)
	}
	info := bytes.Clone(old)
	l.summarize(info, l.table)
	return append(out, l.diff(l.fsInfo*l.sector, old, info)...), nil
}

// summarize writes the state of the table into an FSInfo sector.
func (g *geometry) summarize(info fsInfoSector, t table) {
	next := uint32(firstCluster)
	for g.has(next) && t.get(next) != entryFree {
		next++
	}
	if !g.has(next) {
		next = 0xffffffff
	}
	info.set(t.countFree(g.clusters), next)
}
