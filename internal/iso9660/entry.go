package iso9660

import (
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

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

// Entry is a file or directory of one hierarchy, as found.
type Entry struct {
	Attributes        // meaningful if RockRidge reports true
	Name       string // as this hierarchy shows it
	Raws       []Raw  // its record; one a section if the file has several

	Parent   *Entry   // physical; the root is its own
	Children []*Entry // physical, in the order of the records
	Self, Up *Raw     // a directory's "." and ".." records

	// A directory deeper than eight levels may live elsewhere: Target is set on
	// the empty record at its logical place, Holder on the directory itself.
	Target, Holder *Entry

	self, up *Attributes // of those records; nil without them

	index atomic.Pointer[map[string]*Entry] // of the logical children, made when a path is looked up
}

// Section is one part of a file's content (ECMA-119 6.4).
type Section struct {
	LBA  LBA
	Size int64 // bytes
}

// IsDir reports a directory. The placeholder of a relocated one is none, whatever its flags.
func (e *Entry) IsDir() bool { return e.Raws[0].Record.Flags()&FlagDirectory != 0 && !e.hasCL }

// RockRidge reports whether the record has Rock Ridge entries.
func (e *Entry) RockRidge() bool { return e.rr }

// PXLen returns the length of the record's PX entry: 36, 44, or 0 without one.
func (e *Entry) PXLen() int { return e.px }

// Associated reports an associated file (a resource fork), which no listing shows.
func (e *Entry) Associated() bool { return e.Raws[0].Record.Flags()&FlagAssociated != 0 }

// Own returns the attributes in the directory's own "." record.
func (e *Entry) Own() *Attributes {
	if e.self == nil {
		return &Attributes{}
	}
	return e.self
}

// Sections returns where the content lies, none for an empty file.
func (e *Entry) Sections() []Section { return e.AppendSections(nil) }

// AppendSections appends the sections to out.
func (e *Entry) AppendSections(out []Section) []Section {
	if e.hasCL { // whatever its record says of an extent is that of the directory
		return out
	}
	for i := range e.Raws {
		if r := e.Raws[i].Record; r.Size() > 0 {
			out = append(out, Section{r.LBA() + LBA(r.XAR()), int64(r.Size())})
		}
	}
	return out
}

// Start returns the first block of the content, 0 for an empty file.
func (e *Entry) Start() LBA {
	if e.hasCL {
		return 0
	}
	for i := range e.Raws {
		if r := e.Raws[i].Record; r.Size() > 0 {
			return r.LBA() + LBA(r.XAR())
		}
	}
	return 0
}

// Size returns the stored length of the content in bytes.
func (e *Entry) Size() int64 {
	var n int64
	if e.hasCL {
		return 0
	}
	for _, raw := range e.Raws {
		n += int64(raw.Record.Size())
	}
	return n
}

// ModTime returns the modification time: that of Rock Ridge, else the recording date.
func (e *Entry) ModTime() time.Time {
	if !e.Modified.IsZero() {
		return e.Modified
	}
	return e.Raws[0].Record.Time()
}

// StMode returns st_mode. Without Rock Ridge everything is readable by all.
func (e *Entry) StMode() uint32 {
	switch {
	case e.IsDir() && e.px > 0:
		return ModeDir | e.Mode&0o7777 // the record's flag decides what it is
	case e.IsDir():
		return ModeDir | 0o555
	case e.px == 0:
		return ModeRegular | 0o444
	case e.Mode&ModeType == ModeDir || e.Mode&ModeType == 0:
		return ModeRegular | e.Mode&0o7777
	}
	return e.Mode
}

// Entries returns the logical children: relocated directories are where they
// belong, not where they are stored, and associated files are left out.
func (e *Entry) Entries() []*Entry {
	return e.appendEntries(make([]*Entry, 0, len(e.Children)))
}

func (e *Entry) appendEntries(out []*Entry) []*Entry {
	for _, c := range e.Children {
		switch {
		case c.Associated(), c.Holder != nil, c.storesRelocated():
		case c.Target != nil:
			out = append(out, c.Target)
		default:
			out = append(out, c)
		}
	}
	return out
}

// storesRelocated reports a directory that holds nothing but relocated ones.
func (e *Entry) storesRelocated() bool {
	for _, c := range e.Children {
		if c.Holder == nil {
			return false
		}
	}
	return len(e.Children) > 0
}

// LogicalName returns the name at the logical place.
func (e *Entry) LogicalName() string {
	if e.Holder != nil {
		return e.Holder.Name
	}
	return e.Name
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
		t.root, t.rr, t.err = root, w.susp, err
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
		return nil, fmt.Errorf("read %s hierarchy: %w", h, t.err)
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
	w := &walker{Image: img, h: h, warn: &warnings{}, budget: b}
	w.root, w.err = w.tree(d)
	w.dirs, w.order = nil, nil
	return w
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
		stack = append(stack[:len(stack)-1], e.Children...)
		if e.IsDir() || e.Associated() || e.Target != nil {
			continue
		}
		for i := range e.Raws {
			r := e.Raws[i].Record
			if r.Size() == 0 {
				continue
			}
			if err := img.checkRange((r.LBA() + LBA(r.XAR())).Offset(), int64(r.Size())); err != nil {
				img.missing = append(img.missing, fmt.Errorf("%s: %w", e.Path(), fault.At(e.Raws[0].Off, "directory record", "extent", err)))
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
	if e.Holder != nil {
		at = e.Holder
	}
	if at.Parent == at {
		return "/"
	}
	dir := at.Parent.Path()
	if dir == "/" {
		return dir + at.Name
	}
	return dir + "/" + at.Name
}

// Open returns a reader of the file's content, uncompressed if it is stored by
// zisofs. It fails if the content is not all in the image.
func (img *Image) Open(e *Entry) (io.ReaderAt, int64, error) {
	var parts []Section
	for _, s := range e.Sections() {
		if err := img.checkRange(s.LBA.Offset(), s.Size); err != nil {
			return nil, 0, fault.At(e.Raws[0].Off, "directory record", "extent", err)
		}
		parts = append(parts, s)
	}
	c := &content{img.r, parts}
	if z := e.Compressed; z != nil && !z.version2 && e.Size() > 0 {
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
func (e *Entry) ISOName() string { return isoName(e.Raws[0].Record) }

// Unlisted reports an entry that no listing shows: an associated file, or a
// directory that only stores relocated ones.
func (e *Entry) Unlisted() bool { return e.Associated() || e.storesRelocated() }
