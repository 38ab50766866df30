package diff

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fat"
)

// inside compares the files of FAT images that boot equipment of the same name is.
func (c *comparison) inside() (out []Change, err error) {
	for _, o := range c.a.Boot.Objects() {
		p, ok := c.b.Boot.Find(o.Name)
		if !ok || o.Shared() || p.Shared() {
			continue
		}
		x, y := c.a.fat(o), c.b.fat(p)
		if x == nil || y == nil {
			continue
		}
		was, err := listFAT(x)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Name, err)
		}
		now, err := listFAT(y)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Name, err)
		}
		names := maps.Clone(was)
		maps.Copy(names, now)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			change, err := c.insideOne(x, y, name, was, now)
			if err != nil {
				return nil, fmt.Errorf("compare %s:/%s: %w", o.Name, name, err)
			}
			if change != nil {
				change.Name = o.Name + ":/" + name
				out = append(out, *change)
			}
		}
	}
	return out, nil
}

// fat opens boot equipment as a FAT image, nil if it is none that can be read.
func (s Side) fat(o *boot.Object) *fat.Image {
	if o.End() > s.Size {
		return nil
	}
	img, err := fat.OpenWithin(io.NewSectionReader(s.Source, o.Off, o.Len), o.Len, s.Image.Budget())
	if err != nil {
		return nil
	}
	return img
}

// listFAT lists all that is in an image; directories have the size -1.
func listFAT(img *fat.Image) (map[string]int64, error) {
	out := map[string]int64{}
	err := fs.WalkDir(img, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return nil // a damaged directory has nothing to compare
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[p] = info.Size()
		if d.IsDir() {
			out[p] = -1
		}
		return nil
	})
	return out, err
}

// insideOne compares what is at one path, nil if that is the same.
func (c *comparison) insideOne(x, y *fat.Image, name string, was, now map[string]int64) (*Change, error) {
	m, before := was[name]
	n, after := now[name]
	switch {
	case !before:
		return &Change{Kind: Added, Dir: n < 0}, nil
	case !after:
		return &Change{Kind: Removed, Dir: m < 0}, nil
	case m < 0 && n < 0:
		return nil, nil
	case m < 0:
		return &Change{Kind: Changed, Details: []Detail{{"type", "directory", "file"}}}, nil
	case n < 0:
		return &Change{Kind: Changed, Dir: true, Details: []Detail{{"type", "file", "directory"}}}, nil
	}
	change := &Change{Kind: Changed, Details: []Detail{{What: "content"}}}
	if m != n {
		change.Details = append(change.Details, Detail{"size", fmt.Sprint(m), fmt.Sprint(n)})
	} else {
		a, errA := x.Content(name)
		b, errB := y.Content(name)
		if errA != nil || errB != nil {
			return nil, nil // damaged in both, as far as one can tell
		}
		same, err := c.equal(a, b, m)
		if same || err != nil {
			return nil, err
		}
	}
	change.texts = &[2][]byte{insideText(x, name, m), insideText(y, name, n)}
	return change, nil
}

// insideText is the content of a text file, nil for others.
func insideText(img *fat.Image, name string, size int64) []byte {
	if size > maxText {
		return nil
	}
	b, err := fs.ReadFile(img, name)
	if err != nil || !isText(b) {
		return nil
	}
	return bytes.Clone(b)
}
