package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// maxPathTable bounds what is read of a path table: 65535 records, the most that
// parent numbers can tell, of the longest kind.
const maxPathTable = 65535 * (8 + 256)

// minDirRecord is the length of a directory record with an identifier of one byte
// (ECMA-119 9.1).
const minDirRecord = 34

// tableRecord is a record of a path table (ECMA-119 9.4).
type tableRecord struct {
	off    int64
	lba    iso9660.LBA
	parent int // its number, from 1
	id     string
}

// pathTables compares the path tables of each hierarchy with each other and with
// the directories.
func (c *checker) pathTables() (string, error) {
	var parts []string
	for _, h := range iso9660.Hierarchies {
		d := c.img.Descriptor(h)
		if d == nil || d.PathTableSize() == 0 && c.trees[h] == nil {
			continue
		}
		n, err := c.tablesOf(h, d)
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("%s %d records", h, n))
	}
	return strings.Join(parts, ", "), nil
}

// tablesOf checks the tables of one hierarchy and returns the records of the L table.
func (c *checker) tablesOf(h iso9660.Hierarchy, d *iso9660.Descriptor) (int, error) {
	l, optL, m, optM := d.PathTables()
	field := d.Block.Offset() + iso9660.OffPathTableSize
	if d.PathTableSize() == 0 && l == 0 && m == 0 && optL == 0 && optM == 0 {
		if root := c.trees[h]; root != nil && len(root.Children()) > 0 { // systemd-repart makes empty trees without
			c.at(Notice, field, "%s path table: there is none; Linux and boot loaders do without", h)
		}
		return 0, nil
	}
	if d.PathTableSize() > maxPathTable {
		c.at(Problem, field, "%s path table, size: %d bytes", h, d.PathTableSize())
		return 0, nil
	}
	var first []tableRecord
	for i, t := range []struct {
		name  string
		at    iso9660.LBA
		order binary.ByteOrder
	}{{"L", l, binary.LittleEndian}, {"M", m, binary.BigEndian}, {"optional L", optL, binary.LittleEndian}, {"optional M", optM, binary.BigEndian}} {
		if t.at == 0 {
			if i < 2 {
				c.at(Problem, field, "%s path table: there is none of type %s", h, t.name)
			}
			continue
		}
		recs, err := c.readTable(fmt.Sprintf("%s path table %s", h, t.name), t.at, int64(d.PathTableSize()), t.order)
		if err != nil {
			return 0, err
		}
		switch {
		case first == nil:
			first = recs
		case recs != nil:
			c.sameTables(fmt.Sprintf("%s path table %s", h, t.name), first, recs)
		}
	}
	if first != nil && c.trees[h] != nil {
		if err := c.tableOfTree(h, first, c.trees[h]); err != nil {
			return 0, err
		}
	}
	return len(first), nil
}

// readTable reads a table; nil if it is damaged, which is then reported.
func (c *checker) readTable(name string, at iso9660.LBA, size int64, order binary.ByteOrder) ([]tableRecord, error) {
	b, err := c.in.read(at.Offset(), size)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) < size {
		c.at(Problem, at.Offset(), "%s: %d bytes at block %d lie outside the image", name, size, at)
		return nil, nil
	}
	recs := []tableRecord{}
	for off := at.Offset(); len(b) > 0; {
		n := 0
		if len(b) >= 9 {
			n = 8 + int(b[0]) + int(b[0])%2
		}
		if n <= 8 || n > len(b) {
			c.at(Problem, off, "%s, record %d: %d bytes are left, which hold no record", name, len(recs)+1, len(b))
			return nil, nil
		}
		r := tableRecord{off, iso9660.LBA(order.Uint32(b[2:])), int(order.Uint16(b[6:])), string(b[8 : 8+int(b[0])])}
		if k := len(recs) + 1; r.parent > k || r.parent == 0 || r.parent == k && k > 1 {
			c.at(Problem, off+6, "%s, record %d, parent: number %d, of a directory that does not stand before it", name, k, r.parent)
			return nil, nil
		}
		recs = append(recs, r)
		b, off = b[n:], off+int64(n)
	}
	return recs, nil
}

// sameTables compares two tables of a hierarchy.
func (c *checker) sameTables(name string, first, recs []tableRecord) {
	if len(first) != len(recs) {
		c.at(Problem, recs[0].off, "%s: %d records, the first table has %d", name, len(recs), len(first))
		return
	}
	for i, r := range recs {
		if f := first[i]; f.lba != r.lba || f.parent != r.parent || f.id != r.id {
			c.at(Problem, r.off, "%s, record %d: %q, block %d, parent %d; the first table has %q, block %d, parent %d", name, i+1, r.id, r.lba, r.parent, f.id, f.lba, f.parent)
		}
	}
}

// tableKey identifies a directory by what a path table says of it.
type tableKey struct {
	lba, parent iso9660.LBA
	id          string
}

// tableOfTree compares a table with the directories as they are stored.
func (c *checker) tableOfTree(h iso9660.Hierarchy, recs []tableRecord, root *iso9660.Entry) error {
	dirs := map[tableKey]*iso9660.Entry{}
	for e := range physical(root) {
		if e.IsDir() {
			dirs[keyOf(e, root)] = e
		}
	}
	found := make(map[tableKey]bool, len(recs))
	for i, r := range recs {
		k := tableKey{r.lba, recs[r.parent-1].lba, r.id}
		if dirs[k] == nil {
			original, err := c.copyOf(r.lba)
			if err != nil {
				return err
			}
			if other := (tableKey{original, k.parent, k.id}); dirs[other] != nil {
				c.at(Notice, r.off, "%s path table, record %d: %q: block %d holds a copy of the directory, which the tree has at block %d; genisoimage -f writes that for links to directories", h, i+1, r.id, r.lba, original)
				k = other
			} else {
				c.at(Problem, r.off, "%s path table, record %d: %q, block %d, in the directory at block %d: the tree has none", h, i+1, r.id, r.lba, k.parent)
			}
		}
		found[k] = true
	}
	var missing tally
	for e := range physical(root) {
		if e.IsDir() && !found[keyOf(e, root)] {
			missing.count(e)
		}
	}
	switch {
	case missing.n > 0 && len(recs) >= 65535:
		c.path(Notice, missing.first, "%s path table: %d directories are not in it, which holds 65535 at most", h, missing.n)
	case missing.n > 0:
		c.path(Problem, missing.first, "%s path table: %d directories are not in it", h, missing.n)
	}
	c.tableOrder(h, recs)
	return nil
}

// copyOf returns the block which the "." record in a block names, 0 if there is none.
func (c *checker) copyOf(at iso9660.LBA) (iso9660.LBA, error) {
	b, err := c.in.read(at.Offset(), minDirRecord)
	if err != nil || len(b) < minDirRecord || b[0] < minDirRecord || b[32] != 1 || b[33] != 0 {
		return 0, err
	}
	return iso9660.LBA(binary.LittleEndian.Uint32(b[2:])), nil
}

func keyOf(e, root *iso9660.Entry) tableKey {
	k := tableKey{e.Record().LBA(), e.Parent.Record().LBA(), string(e.Record().ID())}
	if e == root {
		k.id = "\x00"
	}
	return k
}

// tableOrder checks the order of the records (ECMA-119 6.9.1): by level and
// parent, which parent numbers tell, then by identifier.
func (c *checker) tableOrder(h iso9660.Hierarchy, recs []tableRecord) {
	i := slices.IndexFunc(recs, func(r tableRecord) bool { return r.off != recs[0].off })
	for ; i > 0 && i+1 < len(recs); i++ {
		a, b := recs[i], recs[i+1]
		if b.parent < a.parent || b.parent == a.parent && bytes.Compare([]byte(b.id), []byte(a.id)) < 0 && iso9660.Less(h, []byte(b.id), []byte(a.id)) {
			c.at(Notice, b.off, "%s path table, record %d: not in the order of ECMA-119 6.9.1", h, i+2)
			return
		}
	}
}
