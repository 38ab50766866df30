// Package diff says how two images differ: in their trees, their volume
// descriptors and their boot equipment. It does not judge the differences.
package diff

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
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

// The kinds.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Moved   Kind = "moved"
	Changed Kind = "changed"
)

// Detail is one property that changed, with both values if they can be shown.
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
	Name    string   `json:"name"`           // path in the tree, field or boot equipment
	From    string   `json:"from,omitempty"` // the path before, of what moved
	Details []Detail `json:"details,omitempty"`
	Dir     bool     `json:"directory,omitempty"`

	// Before and After are the nodes in both trees; nil for what is in one only, or in none.
	Before *tree.Node `json:"-"`
	After  *tree.Node `json:"-"`

	texts *[2][]byte // of a file inside of boot equipment, nil for others
}

// String is the change on one line: + added, - removed, > moved, ~ changed (how).
func (c Change) String() string {
	name := c.Name
	if c.Dir && name != "/" {
		name += "/"
	}
	how := ""
	if len(c.Details) > 0 {
		parts := make([]string, len(c.Details))
		for i, d := range c.Details {
			parts[i] = d.String()
		}
		how = fmt.Sprintf(" (%s)", strings.Join(parts, ", "))
	}
	switch c.Kind {
	case Added:
		return "+ " + name
	case Removed:
		return "- " + name
	case Moved:
		return fmt.Sprintf("> %s → %s%s", c.From, name, how)
	}
	return "~ " + name + how
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

	a, b Side
}

// Changes counts what differs.
func (r *Report) Changes() int { return len(r.Tree) + len(r.Volume) + len(r.Boot) }

// Progress is called while content is compared.
type Progress func(done, total int64)

// Images compares b with the image a that it came from. progress may be nil. The
// error is one of reading or of the context.
func Images(ctx context.Context, a, b Side, progress Progress) (*Report, error) {
	c := &comparison{
		ctx: ctx, a: a, b: b, progress: progress,
		total: min(a.Size, b.Size), limit: 4 * (a.Size + b.Size),
	}
	if err := c.trees(); err != nil {
		return nil, err
	}
	equipment, err := c.boot()
	if err != nil {
		return nil, err
	}
	return &Report{Tree: c.changes, Volume: volumes(a, b), Boot: equipment, Same: c.same, SameBytes: c.sameBytes, a: a, b: b}, nil
}

// maxText is how long a file may be that is shown line by line.
const maxText = 1 << 20

// Text is the unified diff of a file that changed; nil for all that is not text of
// at most 1 MiB on both sides.
func (r *Report) Text(c Change) ([]byte, error) {
	if c.texts != nil {
		if c.texts[0] == nil || c.texts[1] == nil {
			return nil, nil
		}
		return diff.Diff("a/"+c.Name, c.texts[0], "b/"+c.Name, c.texts[1]), nil
	}
	before, err := r.a.text(c.Before)
	if before == nil || err != nil {
		return nil, err
	}
	after, err := r.b.text(c.After)
	if after == nil || err != nil {
		return nil, err
	}
	from := c.From
	if from == "" {
		from = c.Name
	}
	return diff.Diff("a"+from, before, "b"+c.Name, after), nil
}

// text is the content of a text file, nil for others.
func (s Side) text(n *tree.Node) ([]byte, error) {
	if n == nil || !n.IsRegular() || n.Size() > maxText || !inside(n.Content(), s.Size) {
		return nil, nil
	}
	b := make([]byte, n.Size())
	if got, err := (parts{s.Source, n.Content()}).ReadAt(b, 0); got < len(b) {
		return nil, fmt.Errorf("read %s: %w", n.Path(), err)
	}
	if !isText(b) {
		return nil, nil
	}
	return b, nil
}

func isText(b []byte) bool { return bytes.IndexByte(b, 0) < 0 && utf8.Valid(b) }
