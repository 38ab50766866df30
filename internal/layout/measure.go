package layout

import (
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
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
		if d.found == nil || d.length() == d.oldLen {
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

// length is how many bytes the records of d, and those that name it, say it has: whole
// blocks (ECMA-119 6.8.1.3), unless the base has it otherwise and its records stay.
func (d *directory) length() int64 {
	if d.found != nil && !d.changed && d.blocks == d.oldBlocks && (d.as || d.used <= d.oldLen) {
		return d.oldLen
	}
	return d.blocks * iso9660.BlockSize
}

// size is how many blocks the records take.
func (d *directory) size() int64 {
	d.used = iso9660.DirectoryLength(func(yield func(int) bool) {
		for _, r := range d.all() {
			for _, dr := range r.drafts {
				if !yield(len(dr.Record)) {
					return
				}
			}
		}
	})
	return iso9660.Blocks(d.used)
}
