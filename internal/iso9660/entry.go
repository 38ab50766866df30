package iso9660

import (
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/isolayer/isolayer/internal/fault"
)

// Hierarchy names one of the directory hierarchies an image can hold.
type Hierarchy uint8

// The hierarchies.
const (
	Primary  Hierarchy = iota // of the primary volume descriptor, with Rock Ridge if it is there
	Joliet                    // of a Joliet supplementary descriptor
	Enhanced                  // of an enhanced descriptor (ISO 9660:1999), when separate
)

// Hierarchies lists all of them.
var Hierarchies = []Hierarchy{Primary, Joliet, Enhanced}

func (h Hierarchy) String() string { return [...]string{"primary", "Joliet", "enhanced"}[h] }

// Entry is a file or directory of one hierarchy, as found. It is a view of its record in
// the bytes of the directory: names and attributes are decoded when they are asked for.
type Entry struct{ view }

// directory is what a directory has besides its record.
type directory struct {
	rules    *rules
	data     []byte // its extent
	off      int64  // … in the image
	children []*Entry
	self, up *Raw

	index atomic.Pointer[map[string]*Entry] // of the logical children, made when a path is looked up
}

// rules are what it takes to decode the records of a hierarchy.
type rules struct {
	h    Hierarchy
	susp bool // system use fields are to be read
	skip int  // LEN_SKP of SP (SUSP 5.3)
}

// more is what few entries have.
type more struct {
	raws           []Raw // of several sections, with continuation areas, or unlike the bytes of the directory
	target, holder *Entry
}

// EntryOf is an entry with these records, which is in no image: one section each, without
// Rock Ridge.
func EntryOf(raws ...Raw) *Entry {
	root := &Entry{view{dir: &directory{rules: &rules{}}}}
	root.Parent = root
	return &Entry{view{Parent: root, more: &more{raws: raws}}}
}

// Children returns the entries of a directory, as they are stored, in the order of the
// records.
func (e *Entry) Children() []*Entry {
	if e.dir == nil {
		return nil
	}
	return e.dir.children
}

// Self returns a directory's own "." record, nil if it is none.
func (e *Entry) Self() *Raw {
	if e.dir == nil {
		return nil
	}
	return e.dir.self
}

// Up returns a directory's ".." record, nil without one.
func (e *Entry) Up() *Raw {
	if e.dir == nil {
		return nil
	}
	return e.dir.up
}

// Target returns the directory that the entry stands for: one deeper than eight levels may
// be stored elsewhere. nil for most entries.
func (e *Entry) Target() *Entry {
	if e.more == nil {
		return nil
	}
	return e.more.target
}

// Holder returns the entry that stands at the logical place of a directory, nil if it is
// stored there.
func (e *Entry) Holder() *Entry {
	if e.more == nil {
		return nil
	}
	return e.more.holder
}

// Section is one part of a file's content (ECMA-119 6.4).
type Section struct {
	LBA  LBA
	Size int64 // bytes
}

// Own returns the attributes in the directory's own "." record.
func (e *Entry) Own() Attributes {
	if e.dir == nil || e.dir.self == nil {
		return Attributes{}
	}
	skip := e.dir.rules.skip
	if e.Parent == e {
		skip = spAt(e.dir.self.Record) // LEN_SKP does not hold for the record that has SP
	}
	return e.dir.rules.decode(*e.dir.self, skip)
}

// Entries returns the logical children: relocated directories are where they
// belong, not where they are stored, and associated files are left out.
func (e *Entry) Entries() []*Entry {
	return e.appendEntries(make([]*Entry, 0, len(e.Children())))
}

func (e *Entry) appendEntries(out []*Entry) []*Entry {
	for _, c := range e.Children() {
		switch {
		case c.Associated(), c.Holder() != nil, c.storesRelocated():
		case c.Target() != nil:
			out = append(out, c.Target())
		default:
			out = append(out, c)
		}
	}
	return out
}

// storesRelocated reports a directory that holds nothing but relocated ones.
func (e *Entry) storesRelocated() bool {
	for _, c := range e.Children() {
		if c.Holder() == nil {
			return false
		}
	}
	return len(e.Children()) > 0
}

// LogicalName returns the name at the logical place.
func (e *Entry) LogicalName() string {
	if h := e.Holder(); h != nil {
		return h.Name()
	}
	return e.Name()
}

// Walk yields e and all below it, as listings show them, parents first.
func (e *Entry) Walk() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		stack := []*Entry{e}
		for len(stack) > 0 {
			next := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if !yield(next) {
				return
			}
			stack = next.appendEntries(stack)
		}
	}
}

// Tree returns the root of a hierarchy, nil if the image has none of that kind,
// and reads it when it is asked for first.
func (img *Image) Tree(h Hierarchy) (*Entry, error) {
	d := img.Descriptor(h)
	if d == nil {
		return nil, nil
	}
	t := &img.trees[h]
	t.once.Do(func() {
		w := t.ahead
		if t.ahead = nil; w == nil || w.err != nil || !w.budget.Join() {
			w = img.walk(h, d, img.budget)
		}
		root, err := w.root, w.err
		t.root, t.rr, t.err = root, w.rules.susp, err
		img.mu.Lock()
		defer img.mu.Unlock()
		for _, f := range w.warn.list {
			img.warn.add(f.Off, f.Structure, f.Field, f.Err)
		}
		img.warn.more += w.warn.more
		if err == nil {
			img.checkContent(root)
		}
	})
	if t.err != nil {
		return nil, hierarchyError(h, t.err)
	}
	return t.root, nil
}

// ReadTrees reads all hierarchies, several at once, and returns the first error: the one
// that Tree gives. Nobody else may use the image meanwhile.
func (img *Image) ReadTrees() error {
	var wg sync.WaitGroup
	for _, h := range Hierarchies[1:] {
		if d := img.Descriptor(h); d != nil {
			wg.Go(func() { img.trees[h].ahead = img.walk(h, d, img.budget.Fork()) })
		}
	}
	_, err := img.Tree(Primary)
	wg.Wait()
	for _, h := range Hierarchies[1:] {
		if err == nil {
			_, err = img.Tree(h)
		}
	}
	return err
}

// walk reads the hierarchy under d and charges that to b.
func (img *Image) walk(h Hierarchy, d *Descriptor, b *fault.Budget) *walker {
	w := &walker{Image: img, rules: &rules{h: h}, warn: &warnings{}, budget: b}
	w.root, w.err = w.tree(d)
	w.dirs, w.order, w.cells = nil, nil, nil
	return w
}

func hierarchyError(h Hierarchy, err error) error {
	return fmt.Errorf("read %s hierarchy: %w", h, err)
}

// RockRidge reports whether a hierarchy has Rock Ridge.
func (img *Image) RockRidge(h Hierarchy) (bool, error) {
	_, err := img.Tree(h)
	return img.trees[h].rr, err
}

// Descriptor returns the descriptor a hierarchy hangs from, nil without one.
// An enhanced descriptor that shares the primary's root is no hierarchy of its own.
func (img *Image) Descriptor(h Hierarchy) *Descriptor {
	switch h {
	case Joliet:
		return img.joliet
	case Enhanced:
		if img.enhanced != nil && img.enhanced.Root().LBA() == img.primary.Root().LBA() {
			return nil
		}
		return img.enhanced
	}
	return img.primary
}

// maxMissing bounds how many missing files are named.
const maxMissing = 10

// checkContent notes the files whose content is not all in the image.
func (img *Image) checkContent(root *Entry) {
	stack := []*Entry{root}
	for len(stack) > 0 && len(img.missing) < maxMissing {
		e := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], e.Children()...)
		if e.IsDir() || e.Associated() || e.Target() != nil {
			continue
		}
		for r := range e.Records() {
			if r.Size() == 0 {
				continue
			}
			if err := img.checkRange((r.LBA() + LBA(r.XAR())).Offset(), int64(r.Size())); err != nil {
				img.missing = append(img.missing, fmt.Errorf("%s: %w", e.Path(), fault.At(e.Off(), "directory record", "extent", err)))
				break
			}
		}
	}
}

// Missing returns an error for each file, of the hierarchies read so far, whose
// content lies outside the image: at most 10.
func (img *Image) Missing() []error {
	img.mu.Lock()
	defer img.mu.Unlock()
	return img.missing
}

// Path returns the logical path from the root, with a leading slash.
func (e *Entry) Path() string {
	at := e
	if h := e.Holder(); h != nil {
		at = h
	}
	if at.Parent == at {
		return "/"
	}
	dir := at.Parent.Path()
	if dir == "/" {
		return dir + at.Name()
	}
	return dir + "/" + at.Name()
}

// Open returns a reader of the file's content, uncompressed if it is stored by
// zisofs. It fails if the content is not all in the image.
func (img *Image) Open(e *Entry) (io.ReaderAt, int64, error) {
	var parts []Section
	for _, s := range e.Sections() {
		if err := img.checkRange(s.LBA.Offset(), s.Size); err != nil {
			return nil, 0, fault.At(e.Off(), "directory record", "extent", err)
		}
		parts = append(parts, s)
	}
	c := &content{img.r, parts}
	if z := e.zisofs(); z != nil && !z.version2 && e.Size() > 0 {
		zr, err := newZisofsReader(z, io.NewSectionReader(c, 0, e.Size()), parts[0].LBA.Offset())
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", e.Path(), err)
		}
		return zr, z.Size, nil
	}
	return c, e.Size(), nil
}

// content reads the sections of a file as one.
type content struct {
	r     io.ReaderAt
	parts []Section
}

func (c *content) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for _, s := range c.parts {
		if off >= s.Size {
			off -= s.Size
			continue
		}
		want := min(int64(len(p)-n), s.Size-off)
		got, err := c.r.ReadAt(p[n:n+int(want)], s.LBA.Offset()+off)
		n += got
		if int64(got) < want {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		if off = 0; n == len(p) {
			return n, nil
		}
	}
	return n, io.EOF
}

// ISOName is the plain ISO 9660 identifier without version and without the dot
// of an empty extension (ECMA-119 7.5).
func (e *Entry) ISOName() string { return isoName(e.Record()) }

// Unlisted reports an entry that no listing shows: an associated file, or a
// directory that only stores relocated ones.
func (e *Entry) Unlisted() bool { return e.Associated() || e.storesRelocated() }
