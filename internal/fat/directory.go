package fat

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/isolayer/isolayer/internal/fault"
)

// entry is a file or directory as found.
type entry struct {
	name    string // the long name, else the short one
	alias   string // the short name where name is a long one
	short   shortName
	attr    byte
	written time.Time
	size    int64
	first   uint32 // first cluster, 0 without one
	slots   [2]int // in the parent's directory: the first and the one behind the last
	parent  *entry

	// Of directories:
	raw      []byte // up to the end of the last cluster
	chain    chain  // none for the root of FAT12 and FAT16
	children []*entry
	index    map[string]*entry // by folded name, then alias
	err      error             // why it could not be read
}

func (e *entry) dir() bool { return e.attr&attrDir != 0 }

func (e *entry) depth() (n int) {
	for ; e.parent != nil; e = e.parent {
		n++
	}
	return n
}

// fold returns what names are compared by: upper-case letters, as VFAT does.
func fold(name string) string { return strings.Map(unicode.ToUpper, name) }

// find returns the child of that name in any case, nil without one.
func (e *entry) find(name string) *entry { return e.index[fold(name)] }

// readTree reads all directories. A directory below the root that cannot be
// read keeps its error.
func (img *Image) readTree() error {
	img.root = &entry{name: ".", attr: attrDir, first: img.rootCluster}
	if err := img.readDir(img.root); err != nil {
		return err
	}
	owners := map[uint32]bool{img.rootCluster: true}
	for queue := []*entry{img.root}; len(queue) > 0; queue = queue[1:] {
		for _, e := range queue[0].children {
			if !e.dir() {
				continue
			}
			switch off := img.slotOff(e); {
			case owners[e.first]:
				e.err = formatError(off, "directory", e.name, ErrLoop, "cluster %d is of another directory", e.first)
			case e.depth() > maxDepth:
				e.err = formatError(off, "directory", e.name, ErrLimit, "more than %d levels", maxDepth)
			default:
				owners[e.first] = true
				e.err = img.readDir(e)
			}
			if errors.Is(e.err, ErrLimit) {
				return e.err
			}
			if e.err != nil {
				img.warn(e.err)
				continue
			}
			queue = append(queue, e)
		}
	}
	return nil
}

// slotOff returns where in the image the entry's own slot lies.
func (img *Image) slotOff(e *entry) int64 {
	if e.parent == nil {
		return img.rootOff()
	}
	return img.rawOff(e.parent, int64(e.slots[1]-1)*slotSize)
}

// rawOff returns where in the image a byte of a directory lies.
func (img *Image) rawOff(dir *entry, at int64) int64 {
	if dir.chain == nil {
		return img.rootOff() + at
	}
	for _, r := range dir.chain {
		n := int64(r.n) * img.clusterSize()
		if at < n {
			return img.offset(r.first) + at
		}
		at -= n
	}
	return img.size
}

// readDir reads the slots of one directory and its entries.
func (img *Image) readDir(d *entry) (err error) {
	if d.parent == nil && img.typ != FAT32 {
		if d.raw, err = img.read(img.rootOff(), img.rootEntries*slotSize); err != nil {
			return fmt.Errorf("read root directory: %w", err)
		}
		return img.parseDir(d)
	}
	if d.chain, err = img.chain(d.first, img.clustersOf(maxDirSlots*slotSize)); err != nil {
		return fmt.Errorf("directory %q: %w", d.name, err)
	}
	for _, r := range d.chain {
		part, err := img.read(img.offset(r.first), int64(r.n)*img.clusterSize())
		if err != nil {
			return fmt.Errorf("read directory %q: %w", d.name, err)
		}
		d.raw = append(d.raw, part...)
	}
	return img.parseDir(d)
}

// parseDir makes the entries of a directory from its slots.
func (img *Image) parseDir(d *entry) error {
	d.index = map[string]*entry{}
	if img.slots += len(d.raw) / slotSize; img.slots > maxSlots {
		return formatError(img.slotOff(d), "directory", d.name, ErrLimit, "more than %d slots in all", maxSlots)
	}
	if err := errors.Join(img.budget.Record(int64(len(d.raw)/slotSize)), img.budget.Directory(int64(len(d.raw)))); err != nil {
		return fault.At(img.slotOff(d), "directory", d.name, err)
	}
	var long longName
	for i := range len(d.raw) / slotSize {
		s := slot(d.raw[i*slotSize:][:slotSize])
		if s[0] == slotLast {
			break
		}
		if s.long() && s[0] != slotDeleted {
			long.add(s, i)
			continue
		}
		img.parseSlot(d, s, i, &long)
		long = longName{}
	}
	for _, c := range d.children {
		if key := fold(c.name); d.index[key] == nil {
			d.index[key] = c
		}
	}
	for _, c := range d.children {
		if key := fold(c.alias); d.index[key] == nil && c.alias != "" {
			d.index[key] = c
		}
	}
	return nil
}

// parseSlot takes slot i of a directory, which is no part of a long name.
func (img *Image) parseSlot(d *entry, s slot, i int, long *longName) {
	short := s.short()
	switch {
	case s[0] == slotDeleted:
		return
	case s.attr()&attrLabel != 0:
		if d.parent == nil && img.label == "" {
			img.label = short.label()
		}
		return
	case short == dotName || short == dotDotName:
		return
	}
	e := &entry{
		name: shown(short.shown(s[slotCase])), short: short, attr: s.attr(), written: s.written(),
		size: s.size(), first: s.cluster(img.typ), slots: [2]int{i, i + 1}, parent: d,
	}
	if name := long.name(short); name != "" {
		e.name, e.alias, e.slots[0] = shown(name), e.name, long.first
	} else if long.valid {
		img.warn(formatError(img.rawOff(d, int64(i)*slotSize), "directory", e.name, ErrFormat, "long name is not of this entry"))
	}
	d.children = append(d.children, e)
}

// The names that begin every directory but the root.
var (
	dotName    = shortName([]byte(".          "))
	dotDotName = shortName([]byte("..         "))
)

// label returns the name as that of a volume.
func (n shortName) label() string {
	if n[0] == slotKanji {
		n[0] = slotDeleted
	}
	return strings.TrimRight(decodeOEM(n[:]), " ")
}
