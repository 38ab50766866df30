package iso9660

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/internal/fault"
)

// walker reads one hierarchy. All its loops use explicit stacks and are charged
// to its counters, so that no image can make it run or grow without bound.
type walker struct {
	*Image
	rules   *rules
	warn    *warnings
	budget  *fault.Budget
	records int
	dirs    map[LBA]*Entry // every directory by its extent
	order   []*Entry       // the same, as they were read
	holders int            // placeholders of relocated directories
	visit   func(*Entry)   // unless nil: gets the directories, which are not kept

	cells []Entry // to come

	rr    rrParser // of the record that is being read
	text  []byte   // its name, where that is not in its bytes
	entry func(SystemUseEntry, int64) error

	astray   int // directories whose "." or ".." point elsewhere
	astrayAt int64

	root *Entry // in the end, or err
	err  error
}

// tree reads the hierarchy under d.
func (t *walker) tree(d *Descriptor) (*Entry, error) {
	root := EntryOf(Raw{Off: d.Block.Offset() + OffRootRecord, Record: d.Root()})
	if d.Root().Flags()&FlagDirectory == 0 {
		return nil, fault.At(root.Off(), "volume descriptor", "root directory", errorf(ErrFormat, "is not a directory"))
	}
	if d.Root()[32] > 1 {
		return nil, fault.At(root.Off(), "volume descriptor", "root directory", errorf(ErrFormat, "identifier of %d bytes", d.Root()[32]))
	}
	root.Parent = root
	t.dirs = map[LBA]*Entry{}
	type task struct {
		e     *Entry
		depth int64
	}
	stack := []task{{root, 1}}
	for len(stack) > 0 {
		next := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if next.depth > t.budget.Depth {
			return nil, fault.At(next.e.Off(), "directory", "", fault.Exceed(ErrLimit, "depth", "deeper than %d levels", t.budget.Depth))
		}
		if err := t.directory(next.e); err != nil {
			return nil, err
		}
		if t.visit != nil {
			t.visit(next.e)
		}
		// Pushed backwards: directories are read in the order they are listed.
		for _, c := range slices.Backward(next.e.Children()) {
			if c.IsDir() {
				stack = append(stack, task{c, next.depth + 1})
				if t.visit != nil {
					c.keep()
				}
			}
		}
		if t.visit != nil {
			next.e.release()
		}
	}
	if t.astray > 0 {
		t.warn.add(t.astrayAt, "directory", `"." and ".."`, errorf(ErrConflict, "point elsewhere in %d directories", t.astray))
	}
	if t.visit != nil {
		return root, nil
	}
	return root, t.relocate(root)
}

// directory reads the records of e's extent (ECMA-119 6.8.1).
func (t *walker) directory(e *Entry) error {
	rec, at := e.Record(), e.Off()
	first := rec.LBA() + LBA(rec.XAR())
	if err := t.enter(e, first); err != nil {
		return fault.At(at, "directory record", "extent", err)
	}
	size := (int64(rec.Size()) + BlockSize - 1) / BlockSize * BlockSize
	if err := t.checkRange(first.Offset(), size); err != nil {
		return fault.At(at, "directory record", "extent", err)
	}
	if err := t.budget.Directory(size); err != nil {
		return fault.At(at, "directory record", "data length", err)
	}
	data, err := t.readMeta(first.Offset(), size)
	if err != nil {
		return fault.At(at, "directory record", "extent", err)
	}
	e.dir = &directory{rules: t.rules, data: data, off: first.Offset()}
	if len(data) == 0 {
		t.warn.add(at, "directory record", "data length", errorf(ErrFormat, "0"))
	}
	if rec.Size()%BlockSize != 0 {
		t.warn.add(at, "directory record", "data length", errorf(ErrFormat, "%d is not a multiple of the block size", rec.Size()))
	}
	for n, off := 0, first.Offset(); len(data) > 0; {
		block := data[:BlockSize-int(off%BlockSize)]
		if block[0] == 0 { // nothing more in this block
			data, off = data[len(block):], off+int64(len(block))
			continue
		}
		r, err := checkRecord(block, off)
		if err != nil {
			return err
		}
		if err := t.record(e, r, off, n); err != nil {
			return err
		}
		used := min(int(block[0]), len(block))
		data, off, n = data[used:], off+int64(used), n+1
	}
	if e.dir.self == nil {
		return fault.At(first.Offset(), "directory", "", errorf(ErrFormat, "no directory begins at this block"))
	}
	e.dir.children = slices.Clip(e.dir.children)
	if k := len(e.dir.children); k > 0 {
		if raw := e.dir.children[k-1].last(); raw.Record.Flags()&FlagMultiExtent != 0 {
			return fault.At(raw.Off, "directory record", "flags", errorf(ErrFormat, "announces a further section, but the directory ends"))
		}
	}
	t.addressing(e)
	return nil
}

// enter notes that directory e, which begins at block first, is read. The same
// extent under two names is tolerated a few times, since genisoimage -f writes
// that for a followed link; it is then a directory of its own under each.
// See RATIONALE.md, "A directory listed twice is tolerated".
func (t *walker) enter(e *Entry, first LBA) error {
	t.order = append(t.order, e)
	if t.dirs[first] == nil {
		t.dirs[first] = e
		return nil
	}
	for up := e; up.Parent != up; up = up.Parent {
		if r := up.Parent.Record(); r.LBA()+LBA(r.XAR()) == first {
			return errorf(ErrLoop, "the directory at block %d contains itself", first)
		}
	}
	if err := t.budget.Alias(); err != nil {
		return fmt.Errorf("directories listed twice: %w", err)
	}
	t.warn.add(e.Off(), "directory record", "extent", errorf(ErrConflict, "the directory at block %d is listed twice", first))
	return nil
}

// record takes the n-th record of directory e.
func (t *walker) record(e *Entry, r Record, off int64, n int) error {
	if err := t.budget.Record(1); err != nil {
		return fault.At(off, "directory record", "", err)
	}
	t.records++
	if _, ok := both32(r[2:]); !ok {
		t.warn.add(off, "directory record", "extent", errorf(ErrConflict, "byte orders differ"))
	}
	if _, ok := both32(r[10:]); !ok {
		t.warn.add(off, "directory record", "data length", errorf(ErrConflict, "byte orders differ"))
	}
	if n == 0 {
		if !r.isSelf() {
			return fault.At(off, "directory", "", errorf(ErrFormat, "does not begin with its own record"))
		}
		e.dir.self = &Raw{Off: off, Record: r}
		if e.Parent == e {
			t.detectSUSP(e.dir.self)
		}
		return t.attributes(e.dir.self)
	}
	if r.isParent() && e.dir.up == nil {
		e.dir.up = &Raw{Off: off, Record: r}
		return t.attributes(e.dir.up)
	}
	return t.child(e, r, off)
}

// child adds an entry, or one more section of the last one (ECMA-119 6.5.1).
func (t *walker) child(dir *Entry, r Record, off int64) error {
	raw, a := Raw{Off: off, Record: r}, &t.rr.a
	if err := t.attributes(&raw); err != nil {
		return err
	}
	if k := len(dir.dir.children); k > 0 {
		last := dir.dir.children[k-1]
		tail := last.last().Record
		if tail.Flags()&FlagMultiExtent != 0 {
			if !bytes.Equal(tail.ID(), r.ID()) {
				return fault.At(off, "directory record", "identifier", errorf(ErrFormat, "a further section of %q was expected", tail.ID()))
			}
			last.extra().raws = append(last.Raws(), raw)
			return nil
		}
	}
	if err := t.name(r, a, off); err != nil {
		return err
	}
	if len(t.cells) == 0 {
		t.cells = make([]Entry, 128)
	}
	e := &t.cells[0]
	t.cells = t.cells[1:]
	e.Parent, e.at, e.cl = dir, uint32(off-dir.dir.off), a.hasCL
	if len(raw.Areas) > 0 || len(r) != int(r[0]) {
		e.extra().raws = []Raw{raw}
	}
	if e.cl {
		t.holders++
	}
	if e.IsDir() && a.Mode&ModeType != ModeDir && a.px > 0 {
		t.warn.add(off, "Rock Ridge PX", "mode", errorf(ErrConflict, "%o for a directory", a.Mode))
	}
	if !e.IsDir() && a.Mode&ModeType == ModeDir && a.px > 0 && !a.hasCL {
		t.warn.add(off, "Rock Ridge PX", "mode", errorf(ErrConflict, "%o for a file", a.Mode))
	}
	dir.dir.children = append(dir.dir.children, e)
	return nil
}

// detectSUSP decides from the root's own record whether system use fields are
// read and how many bytes of each are skipped (SUSP 5.3).
func (t *walker) detectSUSP(root *Raw) {
	x := t.rules
	if x.h == Joliet {
		return
	}
	su := root.Record.SystemUse()
	if sp, _ := findSP(su); sp != nil {
		x.skip = int(sp[6])
		if x.susp = x.skip <= maxRecord-recordFixed-1; !x.susp {
			t.warn.add(root.Off, "system use entry SP", "skip", errorf(ErrFormat, "no record has %d bytes to skip", x.skip))
		}
		return
	}
	// Some images lack SP, but have Rock Ridge in every record.
	if len(su) >= 4 {
		switch string(su[:2]) {
		case "RR", "PX", "TF", "CE", "ER":
			x.susp = int(su[2]) >= 5 && int(su[2]) <= len(su)
		}
	}
}

// attributes checks the system use field of a record, reads its continuation areas and
// leaves in t.rr what it says.
func (t *walker) attributes(raw *Raw) error {
	t.rr = rrParser{warn: t.warn}
	if !t.rules.susp {
		return nil
	}
	skip := t.rules.skip
	if raw.Record.isSelf() && len(t.order) == 1 {
		skip = spAt(raw.Record) // LEN_SKP does not hold for the record that has SP
	}
	if t.entry == nil {
		t.entry = t.rr.entry
	}
	err := t.systemUse(raw, skip, t.entry)
	if err == nil {
		err = t.rr.finish(raw.Off)
	}
	return err
}

// decode decodes the system use field of a record that was checked before.
func (x *rules) decode(raw Raw, skip int) Attributes {
	var p rrParser
	if x.susp {
		raw.each(skip, func(e SystemUseEntry) bool { return p.entry(e, 0) == nil })
	}
	return p.a
}

// each calls f for the system use entries but CE of a record that was checked before, until
// it returns false.
func (raw Raw) each(skip int, f func(SystemUseEntry) bool) {
	su := raw.Record.SystemUse()
	if skip > len(su) {
		return
	}
	su = su[skip:]
	for i := 0; ; i++ {
		for len(su) >= 4 && signature(su[0]) && signature(su[1]) && int(su[2]) >= 4 && int(su[2]) <= len(su) {
			e := SystemUseEntry(su[:su[2]])
			if e.Sig() == "ST" || e.Sig() != "CE" && !f(e) {
				break
			}
			su = su[len(e):]
		}
		if i == len(raw.Areas) {
			return
		}
		su = raw.Areas[i].Data
	}
}

// named is the name that NM entries give a record, in its bytes if it is in one piece.
func (raw Raw) named(skip int) []byte {
	var p rrParser
	raw.each(skip, func(e SystemUseEntry) bool { return e.Sig() != "NM" || p.entry(e, 0) == nil })
	return p.a.name
}

// findSP returns the entry SP of the root's own record, nil without one, and where the
// entries begin: at SP, in front of which a CD-ROM XA disc has 14 bytes, and others something
// else; or at other entries, where SP is not the first.
func findSP(su []byte) (sp SystemUseEntry, first int) {
	for at := 0; at+7 <= len(su); at++ {
		if string(su[at:at+2]) != "SP" || su[at+2] < 7 || su[at+4] != 0xbe || su[at+5] != 0xef {
			continue
		}
		if !wholeEntries(su[:at]) {
			first = at
		}
		return SystemUseEntry(su[at : at+7]), first
	}
	return nil, 0
}

// spAt returns where the entries of the root's own record begin.
func spAt(r Record) int {
	_, first := findSP(r.SystemUse())
	return first
}

// wholeEntries reports bytes that are system use entries, at least one.
func wholeEntries(b []byte) bool {
	n := len(b)
	for len(b) >= 4 && signature(b[0]) && signature(b[1]) && b[2] >= 4 && int(b[2]) <= len(b) {
		b = b[b[2]:]
	}
	return n > 0 && len(b) == 0
}

// name checks what a record is called in this hierarchy; see Entry.Name.
func (t *walker) name(r Record, a *Attributes, off int64) error {
	name := a.name
	switch {
	case t.rules.h == Joliet:
		if id := r.ID(); len(id)%2 != 0 {
			return fault.At(off, "directory record", "identifier", errorf(ErrFormat, "%d bytes of UCS-2", len(id)))
		}
		t.text = appendJoliet(t.text[:0], r.ID())
		name = t.text
	case len(name) == 0:
		if a.named {
			t.warn.add(off, "Rock Ridge NM", "name", errorf(ErrName, "empty"))
		}
		name = isoID(r)
	}
	if err := checkName(name); err != nil {
		return fault.At(off, "directory record", "name", err)
	}
	return nil
}

// isoName is the plain identifier as readers show it: without version and
// without the dot of an empty extension (ECMA-119 7.5).
func isoName(r Record) string { return string(isoID(r)) }

func isoID(r Record) []byte {
	name := r.ID()
	if r.Flags()&FlagDirectory != 0 {
		return name
	}
	if base, ok := bytes.CutSuffix(name, []byte(";1")); ok {
		name = base
	}
	if base, ok := bytes.CutSuffix(name, []byte(".")); ok && len(base) > 0 {
		name = base
	}
	return name
}

// checkName refuses what is no single component of a path.
func checkName(name []byte) error {
	switch {
	case len(name) == 0, string(name) == ".", string(name) == "..", bytes.IndexByte(name, '/') >= 0, bytes.IndexByte(name, 0) >= 0:
		return errorf(ErrName, "%q", name)
	case len(name) > 4*maxName:
		return errorf(ErrName, "longer than %d bytes", 4*maxName)
	}
	return nil
}

// addressing counts directories whose "." or ".." point elsewhere. Nobody follows those.
// That ".." of Joliet trees points to the directory itself is how libisofs has it: package
// verify reports that.
func (t *walker) addressing(e *Entry) {
	here, parent := e.Record().LBA(), e.Parent.Record().LBA()
	up := e.dir.up != nil && (e.dir.up.Record.LBA() == parent || t.rules.h == Joliet && e.dir.up.Record.LBA() == here)
	if e.dir.self.Record.LBA() != here || !up {
		if t.astray == 0 {
			t.astrayAt = e.dir.self.Off
		}
		t.astray++
	}
}

// relocate connects the placeholders of deep directories with the directories
// they stand for (RRIP 1.12, 4.1.5) and sees to it that the logical tree is one.
func (t *walker) relocate(root *Entry) error {
	if t.holders == 0 {
		return nil
	}
	var holders []*Entry
	for _, d := range t.order {
		for _, c := range d.dir.children {
			if c.cl {
				holders = append(holders, c)
			}
		}
	}
	for _, h := range holders {
		off, child := h.Off(), h.Attributes().child
		target := t.dirs[child]
		switch {
		case target == nil:
			if err := t.checkRange(child.Offset(), BlockSize); err != nil {
				return fault.At(off, "Rock Ridge CL", "location", err)
			}
			return fault.At(off, "Rock Ridge CL", "location", errorf(ErrFormat, "no relocated directory at block %d", child))
		case target.Holder() != nil || target == root:
			return fault.At(off, "Rock Ridge CL", "location", errorf(ErrLoop, "the directory at block %d has two parents", child))
		case !target.pointsBack():
			return fault.At(off, "Rock Ridge CL", "location", errorf(ErrFormat, "the directory at block %d does not point back", child))
		}
		h.extra().target, target.extra().holder = target, h
	}
	seen, placed := 0, 0
	for e := range root.Walk() {
		if e.Holder() != nil {
			placed++
		}
		if seen++; seen > t.records {
			return fault.At(root.Off(), "Rock Ridge CL", "", errorf(ErrLoop, "a relocated directory contains itself"))
		}
	}
	if placed < len(holders) { // cut off from the root, with itself as an ancestor
		return fault.At(root.Off(), "Rock Ridge CL", "", errorf(ErrLoop, "a relocated directory contains itself"))
	}
	return nil
}

// pointsBack reports a directory whose ".." names the place that it is shown at (RRIP 1.12,
// 4.1.5).
func (e *Entry) pointsBack() bool {
	return e.dir.up != nil && e.dir.rules.decode(*e.dir.up, e.dir.rules.skip).hasPL
}

// FilesIn returns the paths of the files with content in a range of bytes, in the
// order of the tree that readers prefer.
func (img *Image) FilesIn(from, to int64) ([]string, error) {
	var out []string
	for _, h := range Hierarchies {
		root, err := img.Tree(h)
		if err != nil {
			return nil, err
		}
		if root == nil {
			continue
		}
		for e := range root.Walk() {
			if !e.IsDir() && slices.ContainsFunc(e.Sections(), func(s Section) bool {
				return s.LBA.Offset() < to && s.LBA.Offset()+s.Size > from
			}) {
				out = append(out, e.Path())
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, nil
}
