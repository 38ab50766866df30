package diff

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/iso9660"
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

// Volumes compares the volume descriptors, but for what says where things lie.
func Volumes(a, b Side) []Change {
	var out []Change
	if a.Size != b.Size {
		out = append(out, Change{Changed, "image", []Detail{{"bytes", fmt.Sprint(a.Size), fmt.Sprint(b.Size)}}})
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
				out = append(out, Change{Changed, name, details})
			}
		}
	}
	return out
}

// detail quotes values; of long ones only the name is told.
func detail(name, from, to string) Detail {
	if len(from) > 128 || len(to) > 128 {
		return Detail{What: name}
	}
	return Detail{name, fmt.Sprintf("%q", from), fmt.Sprintf("%q", to)}
}

// Boot compares the boot equipment: the lines that describe it, and the bytes of
// what no directory lists.
func Boot(ctx context.Context, a, b Side) ([]Change, error) {
	before, after := a.Boot.Describe(), b.Boot.Describe()
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
	c := &comparison{ctx: ctx, a: a, b: b}
	theirs := hidden(b)
	for _, x := range hidden(a) {
		i := slices.IndexFunc(theirs, func(y boot.Range) bool { return x.Name == y.Name })
		if i < 0 {
			continue // its line tells
		}
		y := theirs[i]
		same := x.Len == y.Len
		if same {
			var err error
			same, err = c.equal(io.NewSectionReader(a.Source, x.Off, x.Len), io.NewSectionReader(b.Source, y.Off, y.Len), x.Len)
			if err != nil {
				return nil, fmt.Errorf("compare %s: %w", x.Name, err)
			}
		}
		if !same {
			out = append(out, Change{Changed, x.Name, []Detail{{What: "content"}}})
		}
	}
	return out, nil
}

// hidden lists the boot images that no directory lists.
func hidden(s Side) (out []boot.Range) {
	if s.Boot.Catalog == nil {
		return nil
	}
	for i, en := range s.Boot.Catalog.Entries {
		if im := en.Image; im.Name == "" && im.Size > 0 {
			out = append(out, boot.Range{Off: en.LBA.Offset(), Len: im.Size, Name: fmt.Sprintf("boot image %d", i+1)})
		}
	}
	return out
}
