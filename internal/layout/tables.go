package layout

import (
	"encoding/binary"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// tables are the path tables of a hierarchy (ECMA-119 9.4).
type tables struct {
	desc *iso9660.Descriptor
	size int64    // bytes of each
	stay bool     // they keep their place
	at   [4]int64 // L, optional L, M, optional M; 0: there is none
}

// measure finds how long the path tables become.
func (b *hierarchy) measure(d *iso9660.Descriptor) {
	b.tables.desc = d
	b.tables.size = int64(len(iso9660.PathTable(b.pathTable(), binary.LittleEndian)))
}

// pathTable lists the directories in the order of the standard.
func (b *hierarchy) pathTable() []iso9660.PathTableDir {
	dirs := b.inOrder()
	number := make(map[*directory]int, len(dirs))
	ids := b.dirIDs()
	out := make([]iso9660.PathTableDir, 0, len(dirs))
	for i, d := range dirs {
		number[d] = i
		at := iso9660.LBA(0) // not known yet
		if d.lba > 0 {
			at = b.rel(d.lba)
		}
		out = append(out, iso9660.PathTableDir{ID: ids[d], LBA: at, Parent: number[d.home]})
	}
	return out
}

// dirIDs returns the identifier of every directory.
func (b *hierarchy) dirIDs() map[*directory][]byte {
	ids := map[*directory][]byte{b.dirs[0]: {0}}
	for _, d := range b.dirs {
		for _, r := range d.records {
			if r.role == plain && r.node.IsDir() {
				ids[b.of[r.node]] = r.id()
			}
		}
	}
	return ids
}

// tablesFit reports whether the tables have room where they are, each its own.
func (b *hierarchy) tablesFit() bool {
	l, _, m, _ := b.tables.desc.PathTables()
	var sum int64
	list := tableSpans(b.tables.desc)
	for _, s := range list {
		sum += s.len()
	}
	return l != 0 && m != 0 && union(list).blocks() == sum && iso9660.Blocks(b.tables.size) == iso9660.Blocks(int64(b.tables.desc.PathTableSize()))
}

// placeTables gives the path tables their addresses. Nobody wants them in an
// order: any space will do.
func (b *hierarchy) placeTables(p *pool) {
	l, optL, m, optM := b.tables.desc.PathTables()
	old := [4]iso9660.LBA{l, optL, m, optM}
	for i, at := range old {
		switch {
		case b.tables.stay && at != 0:
			b.tables.at[i] = b.origin + int64(at)
		case !b.tables.stay && (at != 0 || i == 0 || i == 2):
			b.tables.at[i] = p.take(iso9660.Blocks(b.tables.size), 0, -1)
		}
	}
}

// encodeTables returns the tables with their addresses.
func (b *hierarchy) encodeTables() [4][]byte {
	list := b.pathTable()
	l, m := iso9660.PathTable(list, binary.LittleEndian), iso9660.PathTable(list, binary.BigEndian)
	return [4][]byte{l, l, m, m}
}
