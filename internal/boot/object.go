package boot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// ErrNoObject reports a name that nothing in the image has.
var ErrNoObject = errors.New("the image has no such boot equipment")

// Object is data that addresses outside the tree point at: the boot catalog, a
// boot image, the content of a partition.
type Object struct {
	// Name is how command lines spell it: @catalog, @bios, @efi, @partN, @bootN.
	Name string `json:"name"`
	Off  int64  `json:"offset"` // in bytes of the image
	Len  int64  `json:"length"`
	// Path of the file in the tree that is the object, "" if no directory lists it.
	Path string `json:"path,omitempty"`
	// Appended objects lie behind the file system and move when that grows.
	Appended bool `json:"appended,omitempty"`

	entries    []int       // of the catalog
	platforms  []Platform  // which boot from it
	partitions []partition // that begin where the object does
	foreign    string      // what the boot block of another machine has it for
	shared     bool        // it is the room of a file system of its own (HFS+)
}

// End returns the offset behind the last byte.
func (o *Object) End() int64 { return o.Off + o.Len }

// Shared reports an object which is the room of a file system of its own, over the
// files of this one.
func (o *Object) Shared() bool { return o.shared }

// Entries returns the indices of the catalog entries that point at the object.
func (o *Object) Entries() []int { return o.entries }

// Movable reports whether the object may get another place or other content:
// boot images and partitions that are nothing but their content.
func (o *Object) Movable() bool { return o.Name != "@catalog" && !o.shared }

// Boots reports whether any platform boots from the object.
func (o *Object) Boots() bool { return len(o.platforms) > 0 }

// BootsBeside reports whether a platform not listed boots from the object.
func (o *Object) BootsBeside(drop []Platform) bool {
	return slices.ContainsFunc(o.platforms, func(p Platform) bool { return !slices.Contains(drop, p) })
}

// Objects lists what the equipment points at, sorted by offset.
func (e *Equipment) Objects() []*Object { return e.objects }

// Find returns the object of that name: @bios, @efi, @catalog, @bootN for the
// N-th entry of the catalog, or @partN for a partition by its number in the GPT
// if the MBR announces one, else in the MBR, else in the Apple map.
func (e *Equipment) Find(name string) (*Object, bool) {
	for _, o := range e.objects {
		if o.Name == name {
			return o, true
		}
	}
	number := func(prefix string) (int, bool) {
		n, err := strconv.Atoi(strings.TrimPrefix(name, prefix))
		return n, err == nil && strings.HasPrefix(name, prefix)
	}
	if n, ok := number("@boot"); ok {
		i := slices.IndexFunc(e.objects, func(o *Object) bool { return slices.Contains(o.entries, n-1) })
		if i >= 0 {
			return e.objects[i], true
		}
	}
	if n, ok := number("@part"); ok {
		for _, o := range e.objects {
			for _, p := range o.partitions {
				if p.table == e.mainTable() && p.number == n {
					return o, true
				}
			}
		}
	}
	return nil, false
}

// mainTable is the partition table that firmware and kernels go by.
func (e *Equipment) mainTable() string {
	s := &e.System
	switch {
	case s.GPT != nil && s.GPT.Announced:
		return "GPT"
	case s.MBR != nil && len(s.MBR.Partitions) > 0:
		return "MBR"
	case s.GPT != nil:
		return "GPT"
	}
	return "APM"
}

// collectObjects gathers the objects from catalog and tables.
func (e *Equipment) collectObjects() {
	if c := e.Catalog; c != nil {
		e.object(c.LBA.Offset(), c.Blocks*iso9660.BlockSize)
		for i, en := range c.Entries {
			if o := e.object(en.LBA.Offset(), en.Image.Size); o != nil {
				o.entries = append(o.entries, i)
				o.platforms = append(o.platforms, en.Platform)
			}
		}
	}
	for _, p := range e.System.partitions() {
		switch p.role {
		case RoleInside, RoleAppended, RoleHFS, RoleUnknown:
		default:
			continue
		}
		if p.count <= 0 || p.first >= e.sectors() {
			continue
		}
		if o := e.object(p.first*sectorSize, min(p.count, e.sectors())*sectorSize); o != nil {
			o.partitions = append(o.partitions, p)
			if p.esp {
				o.platforms = append(o.platforms, UEFI)
			}
			o.shared = o.shared || p.role == RoleHFS
			o.Appended = o.Appended || p.role == RoleAppended
		}
	}
	for _, f := range foreignRefs(e.System.Foreign, e.area) {
		if o := e.object(f.at.get(e.area), f.len.get(e.area)); o != nil && o.foreign == "" {
			o.foreign = f.name
		}
	}
	for _, o := range e.objects {
		if _, name, ok := e.file(iso9660.LBA(o.Off / iso9660.BlockSize)); ok && o.Off%iso9660.BlockSize == 0 && !o.shared {
			o.Path = name
		}
		o.Name = e.objectName(o)
	}
	slices.SortFunc(e.objects, func(a, b *Object) int { return cmp.Compare(a.Off, b.Off) })
}

// object returns the object at off, made or lengthened as needed; nil where it
// has no byte in the image.
func (e *Equipment) object(off, n int64) *Object {
	n = min(n, e.in.size-off)
	if n <= 0 || off < systemAreaSize {
		return nil
	}
	for _, o := range e.objects {
		if o.Off == off {
			o.Len = max(o.Len, n)
			return o
		}
	}
	o := &Object{Off: off, Len: n}
	e.objects = append(e.objects, o)
	return o
}

func (e *Equipment) objectName(o *Object) string {
	if c := e.Catalog; c != nil && c.LBA.Offset() == o.Off {
		return "@catalog"
	}
	for _, i := range o.entries {
		switch p := e.Catalog.Entries[i].Platform; {
		case p == BIOS && e.firstOf(BIOS) == i:
			return "@bios"
		case p == UEFI && e.firstOf(UEFI) == i:
			return "@efi"
		}
	}
	if len(o.entries) > 0 {
		return fmt.Sprintf("@boot%d", o.entries[0]+1)
	}
	for _, p := range o.partitions {
		if p.esp && e.firstOf(UEFI) < 0 {
			return "@efi"
		}
	}
	for _, p := range o.partitions {
		if p.table == e.mainTable() {
			return fmt.Sprintf("@part%d", p.number)
		}
	}
	if o.foreign != "" {
		return "@" + o.foreign
	}
	p := o.partitions[0]
	return fmt.Sprintf("@%s%d", strings.ToLower(p.table), p.number)
}

// firstOf returns the index of the first bootable entry for a platform, -1 without one.
func (e *Equipment) firstOf(p Platform) int {
	if e.Catalog == nil {
		return -1
	}
	return slices.IndexFunc(e.Catalog.Entries, func(en Entry) bool { return en.Platform == p && en.Bootable })
}

// objectAt returns the object that a partition is, nil if it is none.
func (e *Equipment) objectAt(p partition) *Object {
	for _, o := range e.objects {
		if slices.ContainsFunc(o.partitions, func(q partition) bool { return q.table == p.table && q.number == p.number }) {
			return o
		}
	}
	return nil
}

// appended lists the objects behind the file system.
func (e *Equipment) appended() []*Object {
	var out []*Object
	for _, o := range e.objects {
		if o.Appended {
			out = append(out, o)
		}
	}
	return out
}

// Shared reports whether a file system of Apple lies over the files: it has its
// own directories of them, which stay as they are.
func (e *Equipment) Shared() bool {
	return e.System.HFS != "" || slices.ContainsFunc(e.objects, func(o *Object) bool { return o.shared })
}

// Trailer returns the bytes of the backup GPT, which Relocate makes anew.
func (e *Equipment) Trailer() (Range, bool) {
	g := e.System.GPT
	switch {
	case g != nil && g.headless:
		return Range{(g.Alternate - g.arraySectors()) * sectorSize, g.trailerSectors() * sectorSize, "backup GPT"}, true
	case g == nil || g.Backup == nil:
		return Range{}, false
	}
	first := g.Alternate
	if a := g.Backup.Array; a < first && first-a <= g.arraySectors()+e.unit() {
		first = a
	}
	return Range{first * sectorSize, (g.end() - first) * sectorSize, "backup GPT"}, true
}

// Unsupported says for users why the image cannot be changed, one sentence per
// reason; it is empty if Relocate can do it.
func (e *Equipment) Unsupported() []string {
	s := &e.System
	switch {
	case s.GPT == nil && s.MBR.announcesGPT():
		return []string{"The MBR announces a GPT, but there is none."}
	case s.GPT != nil && s.GPT.Problem != "" && s.GPT.Announced:
		return []string{fmt.Sprintf("The GPT cannot be used: %s.", s.GPT.Problem)}
	}
	return nil
}

// named lists the partitions of a role, at most four of them.
func (e *Equipment) named(role Role) string {
	var names []string
	for _, p := range e.System.partitions() {
		if p.role != role {
			continue
		}
		if len(names) == 4 {
			names = append(names, "…")
			break
		}
		names = append(names, p.name())
	}
	return strings.Join(names, ", ")
}
