package diff

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// fields are the fields of a descriptor that tell what the volume is, not where
// things lie in it.
var fields = []struct {
	name string
	of   func(*iso9660.Descriptor) string
}{
	{"volume identifier", (*iso9660.Descriptor).VolumeID},
	{"system identifier", (*iso9660.Descriptor).SystemID},
	{"volume set", (*iso9660.Descriptor).VolumeSetID},
	{"publisher", (*iso9660.Descriptor).Publisher},
	{"preparer", (*iso9660.Descriptor).Preparer},
	{"application", (*iso9660.Descriptor).Application},
	{"copyright file", raw(702, 37)},
	{"abstract file", raw(739, 37)},
	{"bibliographic file", raw(776, 37)},
	{"creation date", raw(813, 17)},
	{"modification date (UUID)", raw(830, 17)},
	{"expiration date", raw(847, 17)},
	{"effective date", raw(864, 17)},
	{"application use", raw(iso9660.OffAppUse, iso9660.AppUseSize)},
	{"space size in blocks", func(d *iso9660.Descriptor) string { return fmt.Sprint(d.SpaceSize()) }},
}

// raw returns the bytes of a field as they are.
func raw(off, n int) func(*iso9660.Descriptor) string {
	return func(d *iso9660.Descriptor) string { return string(d.Raw[off : off+n]) }
}

// volumes compares the volume descriptors, but for what says where things lie.
func volumes(a, b Side) []Change {
	var out []Change
	if a.Size != b.Size {
		out = append(out, Change{Kind: Changed, Name: "image", Details: []Detail{{"bytes", fmt.Sprint(a.Size), fmt.Sprint(b.Size)}}})
	}
	for _, h := range iso9660.Hierarchies {
		x, y := a.Image.Descriptor(h), b.Image.Descriptor(h)
		name := h.String() + " descriptor"
		switch {
		case x == nil && y == nil:
		case x == nil:
			out = append(out, Change{Kind: Added, Name: name})
		case y == nil:
			out = append(out, Change{Kind: Removed, Name: name})
		default:
			var details []Detail
			for _, f := range fields {
				if from, to := f.of(x), f.of(y); from != to {
					details = append(details, detail(f.name, from, to))
				}
			}
			if len(details) > 0 {
				out = append(out, Change{Kind: Changed, Name: name, Details: details})
			}
		}
	}
	return out
}

// detail quotes values; of long ones only the name is shown.
func detail(name, from, to string) Detail {
	if len(from) > 128 || len(to) > 128 {
		return Detail{What: name}
	}
	return Detail{name, fmt.Sprintf("%q", from), fmt.Sprintf("%q", to)}
}

// bootCode is the part of the system area that holds code only.
const bootCode = 440

// BootCode is the name of that part in a report.
const BootCode = "boot code"

// addressSize is how many bytes an address in boot code has at the most.
const addressSize = 8

// sameCode reports whether the boot code is the same but for the addresses in it, which
// follow what they point at.
func (c *comparison) sameCode() (bool, error) {
	var code [2][]byte
	for i, s := range []Side{c.a, c.b} {
		b := make([]byte, min(bootCode, s.Size))
		if n, err := s.Source.ReadAt(b, 0); n < len(b) {
			return false, err
		}
		for _, r := range s.Boot.Refs() {
			if r.Off < int64(len(b)) {
				clear(b[r.Off:min(r.Off+addressSize, int64(len(b)))])
			}
		}
		code[i] = b
	}
	return bytes.Equal(code[0], code[1]), nil
}

// boot compares the boot equipment: the lines that describe it, the boot code, and the
// bytes of what no directory lists.
func (c *comparison) boot() ([]Change, error) {
	before, after := c.a.Boot.Describe(), c.b.Boot.Describe()
	var out []Change
	for _, l := range before {
		if !slices.Contains(after, l) {
			out = append(out, Change{Kind: Removed, Name: l})
		}
	}
	for _, l := range after {
		if !slices.Contains(before, l) {
			out = append(out, Change{Kind: Added, Name: l})
		}
	}
	unlisted := func(s Side) map[string]boot.Range {
		out := map[string]boot.Range{}
		for _, o := range s.Boot.Objects() {
			if o.Path == "" && o.Movable() && o.Off+o.Len <= s.Size {
				out[o.Name] = boot.Range{Off: o.Off, Len: o.Len}
			}
		}
		return out
	}
	switch same, err := c.sameCode(); {
	case err != nil:
		return nil, fmt.Errorf("compare boot code: %w", err)
	case !same:
		out = append(out, Change{Kind: Changed, Name: BootCode, Details: []Detail{{What: "content"}}})
	}
	x, y := unlisted(c.a), unlisted(c.b)
	for _, name := range slices.Sorted(maps.Keys(x)) {
		m, n := x[name], y[name]
		if _, ok := y[name]; !ok {
			continue // its line says so
		}
		same := m.Len == n.Len
		if same {
			var err error
			same, err = c.equal(io.NewSectionReader(c.a.Source, m.Off, m.Len), io.NewSectionReader(c.b.Source, n.Off, n.Len), m.Len)
			if err != nil {
				return nil, fmt.Errorf("compare %s: %w", name, err)
			}
		}
		if !same {
			out = append(out, Change{Kind: Changed, Name: name, Details: []Detail{{What: "content"}}})
		}
	}
	files, err := c.inside()
	return append(out, files...), err
}
