package master

import (
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// makeStorage makes the directory that takes in those below the eighth level. Readers of
// Rock Ridge do not show it.
func (x *builder) makeStorage(root *directory) *directory {
	n := &tree.Node{Name: x.p.o.Relocate, Parent: root.node, In: x.p.tree.Has}
	n.Mode, n.ModTime = iso9660.ModeDir|0o555, x.p.tree.Epoch
	return &directory{node: n, parent: root, links: 2}
}

// move puts a directory that lies too deep into the storage. d, where it is shown, keeps
// a record that leads to it.
func (x *builder) move(d, sub *directory) {
	for i := range d.items {
		if d.items[i].node == sub.node {
			d.items[i].kind = holder
		}
	}
	sub.parent, sub.logical = x.storage, d
	x.storage.items = append(x.storage.items, item{sub.node, -1, guest})
	x.guests = append(x.guests, sub)
}

// house builds the relocated directories, which may show further ones. They lie in front
// of all others but the root: libarchive wants to have read where a directory is stored
// when it comes to the place where it is shown.
func (x *builder) house(root *directory) error {
	s := x.storage
	s.parent = root
	others := x.b.dirs[1:]
	x.b.dirs = []*directory{root, s}
	x.b.of[s.node] = s
	root.subs = append(root.subs, s)
	for i := 0; i < len(x.guests); i++ {
		if err := x.fill(x.guests[i], 3); err != nil {
			return err
		}
	}
	if _, err := x.name(s, slices.Clone(s.items)); err != nil {
		return err
	}
	ids := map[*tree.Node][]byte{}
	for it, id := range s.all {
		ids[it.node] = id
	}
	for _, g := range x.guests {
		g.id = ids[g.node]
		s.subs = append(s.subs, g)
	}
	s.links += uint32(len(x.guests))
	x.b.dirs = append(x.b.dirs, others...)
	return nil
}

// drop takes the record of a storage that nothing is in out of the root.
func (x *builder) drop(root *directory) {
	var items []item
	var ids []byte
	for it, id := range root.all {
		if it.kind != storage {
			items = append(items, it)
			ids = append(append(ids, byte(len(id))), id...)
		}
	}
	root.items, root.ids = items, ids
}

// table adds the file that says which name belongs to which identifier, as mkisofs
// writes it: kind, identifier in a wide column, name, and what else a record cannot say.
func (x *builder) table(d *directory) error {
	if x.p.o.TransTable == "" || x.b.h != iso9660.Primary || d == x.storage {
		return nil
	}
	g := &generated{name: x.p.o.TransTable + " of " + d.node.Path()}
	for it, id := range d.all {
		n := it.node
		letter, rest := byte('F'), ""
		switch n.Mode & iso9660.ModeType {
		case iso9660.ModeDir:
			letter = 'D'
		case iso9660.ModeSymlink:
			letter, rest = 'L', "\t"+n.Link
		case iso9660.ModeChar:
			letter, rest = 'C', fmt.Sprintf("\t%d %d", n.Major, n.Minor)
		case iso9660.ModeBlock:
			letter, rest = 'B', fmt.Sprintf("\t%d %d", n.Major, n.Minor)
		case iso9660.ModeFIFO:
			letter = 'P'
		case iso9660.ModeSocket:
			letter = 'S'
		}
		if it.kind != storage {
			g.data = fmt.Appendf(g.data, "%c %-*s\t%s%s\n", letter, tableColumn, id, n.Name, rest)
		}
	}
	if len(g.data) == 0 {
		return nil
	}
	n := &tree.Node{Name: x.p.o.TransTable, Attr: x.p.o.Made, Parent: d.node, Source: g, In: x.p.tree.Has}
	n.In[iso9660.Joliet] = n.In[iso9660.Joliet] && x.p.o.TransTableJoliet
	d.node.Children = append(d.node.Children, n)
	i := x.p.content.add(g)
	x.p.content.list[i].names = 1
	return x.insert(d, item{node: n, content: i})
}

// insert adds an item to a directory whose others have their identifiers.
func (x *builder) insert(d *directory, add item) error {
	names := x.namer()
	for _, id := range d.all {
		names.Take(id)
	}
	fresh, err := names.ID(add.node.Name, add.node.IsDir())
	if err != nil {
		return fmt.Errorf("%s: %w", d.node.Path(), err)
	}
	at, cut := len(d.items), len(d.ids)
	i, off := 0, 0
	for _, id := range d.all {
		if iso9660.Less(x.b.h, fresh, id) {
			at, cut = i, off
			break
		}
		i, off = i+1, off+1+len(id)
	}
	d.items = slices.Insert(d.items, at, add)
	d.ids = slices.Insert(d.ids, cut, append([]byte{byte(len(fresh))}, fresh...)...)
	return nil
}

// tableColumn is how wide identifiers are in a translation table.
const tableColumn = 34
