package layout

import (
	"bytes"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// wants reports whether the node has a place in this hierarchy. Joliet has no
// means for links and devices: new ones are left out of it.
func (b *hierarchy) wants(n *tree.Node) bool {
	if n.Hidden && n.IsDir() && !b.stores(n) {
		return false
	}
	return n.In[b.h] && (b.h != iso9660.Joliet || n.IsDir() || n.IsRegular() || b.entry(n) != nil && !n.Replaced())
}

// stores reports whether a directory for relocated ones still has any. Without,
// it goes: readers would show it.
func (b *hierarchy) stores(n *tree.Node) bool {
	e := b.entry(n)
	return e != nil && slices.ContainsFunc(e.Children(), b.relocated)
}

// stay makes the record for entry e of the base's directory, nil if it is gone.
// A record that needs another identifier has no drafts yet. here are the nodes of the
// entries that d shows.
func (b *hierarchy) stay(d *directory, e *iso9660.Entry, here map[*iso9660.Entry]*tree.Node) *record {
	r := &record{role: plain}
	switch {
	case e.Target() != nil: // d shows a directory that is stored elsewhere
		r.role, r.node = holder, b.node(e.Target())
	case e.Holder() != nil:
		r.node = b.node(e)
	default:
		r.node = here[e]
	}
	if r.node == nil || !b.wants(r.node) {
		return nil
	}
	if e.Holder() != nil { // d stores a directory that is shown elsewhere
		if !b.relocated(e) {
			return nil
		}
		b.dir(r.node).logical = b.dir(r.node.Parent)
		b.draft(r, e)
		if r.node.Renamed() { // libarchive shows this name, others that of the placeholder
			for _, dr := range r.drafts {
				dr.Rename(dr.Record.ID(), iso9660.NameEntries(r.node.Name))
			}
			r.dirty = true
		}
		return r
	}
	if r.node.Parent != d.node || r.node.Moved() {
		return nil
	}
	if r.role == holder && !b.relocated(e.Target()) {
		r.role = plain
		return r
	}
	if r.node.Renamed() {
		return r
	}
	b.draft(r, e)
	return r
}

// draft makes the drafts of a record that keeps its identifier.
func (b *hierarchy) draft(r *record, e *iso9660.Entry) {
	n := r.node
	if n.Replaced() {
		r.drafts, r.dirty = b.fresh(n, e.Record().ID()), true
		return
	}
	r.raws = e.Raws()
	for _, raw := range r.raws {
		r.drafts = append(r.drafts, raw.Draft(b.skip()))
	}
	for _, dr := range r.drafts {
		r.dirty = b.alter(dr, n) || r.dirty
	}
}

// alter gives the record of a node of the base the attributes that the node has now,
// and reports whether that changes it.
func (b *hierarchy) alter(dr *iso9660.Draft, n *tree.Node) bool {
	if n.Redated() {
		dr.SetTime(n.ModTime)
	}
	if n.Altered() && b.rock != nil {
		dr.SetOwner(n.Mode, n.UID, n.GID)
		return true
	}
	return n.Redated()
}

// skip returns how many bytes of a system use field are not entries: without Rock Ridge all,
// whatever they look like.
func (b *hierarchy) skip() int {
	if b.rock == nil {
		return iso9660.NoEntries
	}
	return b.rock.Skip
}

// rename makes the drafts of a record with a new identifier.
func (b *hierarchy) rename(d *directory, r *record, names *iso9660.Namer) error {
	n := r.node
	r.dirty = true
	e := b.entry(n)
	var id []byte
	if n.Of() != nil { // an associated file has the identifier of its file, which was named before
		id = d.idOf(n.Of())
	}
	if id == nil && e != nil && !n.Renamed() { // it came from another directory
		if old := entryRecord(e).ID(); names.Take(old) {
			id = old
		}
	}
	if id == nil {
		var err error
		if id, err = names.ID(n.Name, n.IsDir()); err != nil {
			return err
		}
	}
	if e == nil || n.Replaced() {
		r.drafts = b.fresh(n, id)
		return nil
	}
	if b.relocated(e) {
		r.role, e = holder, e.Holder()
		b.dir(n).logical = d
	}
	for _, raw := range e.Raws() {
		dr := raw.Draft(b.skip())
		if e.Holder() != nil {
			dr.DropRelocation()
		}
		var nm []iso9660.SystemUseEntry
		if b.rock != nil {
			nm = iso9660.NameEntries(n.Name)
		}
		dr.Rename(id, nm)
		b.alter(dr, n)
		r.drafts = append(r.drafts, dr)
	}
	return nil
}

// idOf is the identifier that d has for a node, nil if it has none.
func (d *directory) idOf(n *tree.Node) []byte {
	for _, r := range d.records {
		if r.node == n && len(r.drafts) > 0 {
			return r.id()
		}
	}
	return nil
}

// entryRecord is the record at the entry's logical place.
func entryRecord(e *iso9660.Entry) iso9660.Record {
	if e.Holder() != nil {
		e = e.Holder()
	}
	return e.Record()
}

// fresh makes the drafts of a new file, directory or link, one a section.
func (b *hierarchy) fresh(n *tree.Node, id []byte) []*iso9660.Draft {
	flags := byte(0)
	if n.IsDir() {
		flags = iso9660.FlagDirectory
	}
	var entries []iso9660.SystemUseEntry
	if b.rock != nil {
		entries = b.rock.Entries(n.Name, b.stat(n))
	}
	var out []*iso9660.Draft
	parts := iso9660.SectionCount(n.Size())
	for i := range parts {
		f := flags
		if i < parts-1 {
			f |= iso9660.FlagMultiExtent
		}
		out = append(out, iso9660.NewDraft(id, f, n.ModTime, entries))
	}
	return out
}

func (b *hierarchy) stat(n *tree.Node) iso9660.Stat {
	s := iso9660.Stat{Mode: n.Mode, Nlink: 1, UID: n.UID, GID: n.GID, Major: n.Major, Minor: n.Minor, Time: n.ModTime, Link: n.Link}
	var key any = n
	if n.Source != nil {
		key = n.Source
		s.Nlink = max(1, b.serials.names[key])
	}
	if e := b.entry(n); e != nil && n.IsDir() { // a new ".." of an old directory
		s.Nlink, s.Serial = e.Own().Nlink, e.Own().Serial
		return s
	}
	if n.IsDir() && b.rock.LinkDirs {
		s.Nlink = 2 // the subdirectories are counted in countLinks
	}
	if b.rock.Serials {
		s.Serial = b.serial(key)
	}
	return s
}

// serial returns the file serial number of a new file.
func (b *hierarchy) serial(key any) uint32 {
	if b.serials.next == 0 {
		for n := range nodes(b.root) {
			if e := b.entry(n); e != nil && n.In[b.h] {
				b.serials.next = max(b.serials.next, e.Attributes().Serial)
			}
		}
	}
	if b.serials.given[key] == 0 {
		b.serials.next++
		b.serials.given[key] = b.serials.next
	}
	return b.serials.given[key]
}

// ends makes the "." and ".." records of d.
func (b *hierarchy) ends(d *directory) {
	special := func(raw *iso9660.Raw, id byte, skip int, n *tree.Node) *record {
		r := &record{}
		if raw == nil {
			var entries []iso9660.SystemUseEntry
			if b.rock != nil {
				entries = b.rock.Entries("", b.stat(n))
			}
			r.drafts = []*iso9660.Draft{iso9660.NewDraft([]byte{id}, iso9660.FlagDirectory, n.ModTime, entries)}
			return r
		}
		r.drafts, r.raws = []*iso9660.Draft{raw.Draft(skip)}, []iso9660.Raw{*raw}
		if d.home == d && r.drafts[0].DropChecksums() {
			r.sums = true
		}
		if b.alter(r.drafts[0], n) {
			r.dirty, d.changed = true, true
		}
		return r
	}
	parent := d.node
	if d.home != d {
		parent = d.home.node
	}
	if d.found == nil {
		d.changed = true
		d.self = special(nil, 0, 0, d.node)
		d.up = special(nil, 1, 0, parent)
		return
	}
	skip := b.skip()
	if b.rock != nil {
		skip = b.rock.SelfSkip(d.found)
	}
	d.self = special(d.found.Self(), 0, skip, d.node)
	if d.node.Moved() || d.found.Holder() != nil && !b.relocated(d.found) { // what it says is of another directory
		d.up = special(nil, 1, 0, parent)
		d.up.dirty, d.changed = true, true
		return
	}
	d.up = special(d.found.Up(), 1, b.skip(), parent)
}

// mergeOrder puts newcomers in front of the first record that comes after them.
func (b *hierarchy) mergeOrder(old, fresh []*record) []*record {
	slices.SortStableFunc(fresh, func(x, y *record) int {
		switch {
		case iso9660.Less(b.h, x.id(), y.id()):
			return -1
		case iso9660.Less(b.h, y.id(), x.id()):
			return 1
		case (x.node.Of() != nil) != (y.node.Of() != nil): // an associated file comes first
			if x.node.Of() != nil {
				return -1
			}
			return 1
		}
		return bytes.Compare(x.id(), y.id())
	})
	out := make([]*record, 0, len(old)+len(fresh))
	for _, r := range old {
		for len(fresh) > 0 && iso9660.Less(b.h, fresh[0].id(), r.id()) {
			out, fresh = append(out, fresh[0]), fresh[1:]
		}
		out = append(out, r)
	}
	return append(out, fresh...)
}
