package layout

import (
	"slices"

	"github.com/isolayer/isolayer/iso9660"
)

// measureDirs finds how many blocks the directories take, and which differ from the base.
// A directory is named, with its size, by the one it is in and by those in it: where the
// size changes, those change too.
func (b *hierarchy) measureDirs() error {
	todo := slices.Clone(b.dirs)
	for len(todo) > 0 {
		d := todo[0]
		todo = todo[1:]
		if d.as {
			d.blocks = d.oldBlocks
			continue
		}
		d.blocks = d.size()
		for _, r := range d.all() {
			d.changed = d.changed || r.dirty
		}
		if d.found == nil || d.blocks == d.oldBlocks {
			continue
		}
		drafted, err := b.draftNear(d)
		if err != nil {
			return err
		}
		todo = append(todo, drafted...)
	}
	return nil
}

// draftRest makes drafts of all directories.
func (b *hierarchy) draftRest() error {
	for _, d := range b.dirs {
		if d.as {
			if err := b.draftAll(d); err != nil {
				return err
			}
			d.blocks = d.size()
		}
	}
	return nil
}

// all yields "." and ".." and then the other records.
func (d *directory) all() []*record {
	if d.as {
		return d.records
	}
	return append([]*record{d.self, d.up}, d.records...)
}

// size is how many blocks the records take.
func (d *directory) size() int64 {
	return iso9660.DirectoryBlocks(func(yield func(int) bool) {
		for _, r := range d.all() {
			for _, dr := range r.drafts {
				if !yield(len(dr.Record)) {
					return
				}
			}
		}
	})
}
