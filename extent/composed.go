package extent

import (
	"context"
	"sort"
)

// Composed is a Source that is itself made of extents, such as an edited image
// inside an image. Maps refer to what it is made of, see Into.
type Composed struct {
	name string
	m    *Map
}

// Compose makes a source of a map. Sources that are composed themselves are taken
// apart, so that edits of edits do not read through each other.
func Compose(name string, m *Map) *Composed {
	var flat []Extent
	nested := false
	for _, e := range m.Extents() {
		c, ok := e.Src.(*Composed)
		if !ok {
			flat = append(flat, e)
			continue
		}
		nested = true
		for _, x := range c.m.Extents() {
			if x.End() > e.SrcOff && x.Off < e.SrcOff+e.Len {
				x = x.Slice(e.SrcOff, e.SrcOff+e.Len)
				x.Off += e.Off - e.SrcOff
				flat = append(flat, x)
			}
		}
	}
	if nested {
		if whole, err := New(flat); err == nil { // else as it is: only slower
			m = whole
		}
	}
	return &Composed{name, m}
}

// Extents returns what it is made of, in order.
func (c *Composed) Extents() []Extent { return c.m.Extents() }

// Name returns the name for people.
func (c *Composed) Name() string { return c.name }

// Size returns the length in bytes.
func (c *Composed) Size() int64 { return c.m.Size() }

// ReadAt reads the composed bytes.
func (c *Composed) ReadAt(p []byte, off int64) (int, error) { return c.m.ReadAt(p, off) }

// ReadAtContext implements ContextReader.
func (c *Composed) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	return c.m.ReadAtContext(ctx, p, off)
}

// Into returns the extents that put n bytes of src from its beginning at off: one
// copy, or those that a composed source is made of.
func Into(off int64, src Source, n int64) []Extent {
	c, ok := src.(*Composed)
	if !ok {
		return []Extent{CopyOf(off, src, 0, n)}
	}
	var out []Extent
	for _, e := range c.m.Extents() {
		if e.Off >= n {
			break
		}
		e = e.Slice(e.Off, min(e.End(), n))
		e.Off += off
		out = append(out, e)
	}
	return out
}

// Shared reports whether n bytes of two composed sources come from the same place of the
// same file, and so are the same, without reading them.
func Shared(a *Composed, at int64, b *Composed, bt int64, n int64) bool {
	x, ok := a.origin(at, n)
	y, ok2 := b.origin(bt, n)
	return ok && ok2 && x.Src == y.Src && x.SrcOff == y.SrcOff
}

// origin is the one copy that n bytes are part of.
func (c *Composed) origin(off, n int64) (Extent, bool) {
	es := c.m.Extents()
	i := sort.Search(len(es), func(i int) bool { return es[i].End() > off })
	if i == len(es) || es[i].Kind != Copy || es[i].Off > off || es[i].End() < off+n {
		return Extent{}, false
	}
	return es[i].Slice(off, off+n), true
}
