package extent

// Patched is a file that is an old one with other bytes at some places, and perhaps more
// behind: what an edit inside of a FAT image, an initrd or a program makes of it. What is
// not patched stays where it is, if the file keeps its place in an image.
type Patched struct {
	Src      Source
	Off, Len int64 // the old file, in Src
	// Patches lie over the old bytes or behind them, in offsets of the file, in any order and
	// without overlap.
	Patches []Extent
	// Size is that of the new file; 0: that of the old one, or up to the end of the last
	// patch. What is neither old nor patched is zero.
	Size int64
}

// Map returns the new file.
func (p Patched) Map() (*Map, error) {
	var old []Extent
	if p.Len > 0 {
		old = append(old, CopyOf(0, p.Src, p.Off, p.Len))
	}
	m, err := New(old)
	if err != nil {
		return nil, err
	}
	size := p.Size
	if size == 0 {
		size = p.Len
		for _, e := range p.Patches {
			size = max(size, e.End())
		}
	}
	return m.Resize(size).Overlay(p.Patches)
}
