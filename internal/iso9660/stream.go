package iso9660

import (
	"bytes"
	"errors"
	"slices"

	"github.com/isolayer/isolayer/internal/fault"
)

// ErrRelocated reports a hierarchy that stores directories elsewhere than it shows them:
// they are only known when all of it was read.
var ErrRelocated = errors.New("directories are stored elsewhere than they are shown")

// Stream reads the hierarchies of an image a directory at a time, and keeps none of them.
// It is for one goroutine.
type Stream struct {
	img   *Image
	roots [3]*Entry
	rr    bool
}

// NewStream reads all hierarchies once, with the checks of Tree and on its budget. visit gets
// each directory with its entries, which are let go when it returns. The error may be
// ErrRelocated.
func NewStream(img *Image, visit func(h Hierarchy, dir *Entry)) (*Stream, error) {
	s := &Stream{img: img}
	for _, h := range Hierarchies {
		d := img.Descriptor(h)
		if d == nil {
			continue
		}
		w := &walker{Image: img, rules: &rules{h: h}, warn: &warnings{}, budget: img.budget}
		w.visit = func(e *Entry) { visit(h, e) }
		root, err := w.tree(d)
		switch {
		case err != nil:
			return nil, hierarchyError(h, err)
		case w.holders > 0:
			return nil, ErrRelocated
		case h == Primary:
			s.rr = w.rules.susp
		}
		s.roots[h] = root
	}
	return s, nil
}

// Image returns the image.
func (s *Stream) Image() *Image { return s.img }

// RockRidge reports whether the primary hierarchy has Rock Ridge.
func (s *Stream) RockRidge() bool { return s.rr }

// Roots returns the roots by hierarchy, nil for what the image does not have.
func (s *Stream) Roots() [3]*Entry { return s.roots }

// Load reads the entries of a directory, until Release lets them go.
func (s *Stream) Load(dir *Entry) error {
	w := &walker{Image: s.img, rules: dir.known(), budget: fault.NewBudget(s.img.size, fault.Unlimited()), dirs: map[LBA]*Entry{}}
	if dir.Parent != dir {
		w.order = []*Entry{dir.Parent} // its "." is not the one with SP
	}
	if err := w.directory(dir); err != nil {
		return hierarchyError(w.rules.h, err)
	}
	return nil
}

// known are the rules of the hierarchy, which are known once its root was read.
func (e *view) known() *rules {
	r := *e.Parent.dir.rules
	return &r
}

// Release lets go of the entries of a directory.
func (s *Stream) Release(dir *Entry) { dir.release() }

// release lets go of all of a directory but what decodes its own record and its name.
func (e *Entry) release() {
	d := &directory{rules: e.dir.rules}
	if e.Parent == e { // whose attributes are in its "."
		self := *e.dir.self
		self.Record = bytes.Clone(self.Record)
		d.self = &self
	}
	e.dir = d
}

// keep makes an entry independent of the bytes of its directory.
func (e *Entry) keep() {
	raws := slices.Clone(e.Raws())
	for i := range raws {
		raws[i].Record = bytes.Clone(raws[i].Record)
	}
	e.extra().raws = raws
}
