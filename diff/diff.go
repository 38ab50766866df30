// Package diff tells how two images differ: in their trees, their volume
// descriptors and their boot equipment. It does not judge the differences.
package diff

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// Side is one of the two images.
type Side struct {
	Source io.ReaderAt
	Size   int64 // bytes
	Image  *iso9660.Image
	Tree   *tree.Tree
	Boot   *boot.Equipment
}

// Kind is what became of something.
type Kind string

// The kinds; their order in a report is that of the paths.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
)

// Detail is one property that changed, with both values if they can be told.
type Detail struct {
	What string `json:"what"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

func (d Detail) String() string {
	if d.From == "" && d.To == "" {
		return d.What
	}
	return fmt.Sprintf("%s %s → %s", d.What, d.From, d.To)
}

// Change is a file, directory or field that differs.
type Change struct {
	Kind    Kind     `json:"kind"`
	Name    string   `json:"name"` // path in the tree, field or boot equipment
	Details []Detail `json:"details,omitempty"`
}

// String is the change on one line: + added, - removed, ~ changed (how).
func (c Change) String() string {
	switch c.Kind {
	case Added:
		return "+ " + c.Name
	case Removed:
		return "- " + c.Name
	}
	parts := make([]string, len(c.Details))
	for i, d := range c.Details {
		parts[i] = d.String()
	}
	return fmt.Sprintf("~ %s (%s)", c.Name, strings.Join(parts, ", "))
}

// Report is all that differs between two images, and the proof of the rest.
type Report struct {
	Tree   []Change `json:"tree"`
	Volume []Change `json:"volume"`
	Boot   []Change `json:"boot"`
	// Same counts the files whose content was read in both images and is the same;
	// SameBytes is how many bytes that is, content of several names counted once.
	Same      int   `json:"files_identical"`
	SameBytes int64 `json:"bytes_identical"`
}

// Progress is called while content is compared.
type Progress func(done, total int64)

// Images compares b with the image a that it came from. progress may be nil. The
// error is one of reading or of the context.
func Images(ctx context.Context, a, b Side, progress Progress) (*Report, error) {
	t, err := Trees(ctx, a, b, progress)
	if err != nil {
		return nil, err
	}
	equipment, err := Boot(ctx, a, b)
	if err != nil {
		return nil, err
	}
	return &Report{Tree: t.Changes, Volume: Volumes(a, b), Boot: equipment, Same: t.Same, SameBytes: t.SameBytes}, nil
}
