// Package verify checks whether an image is sound: its structures against the
// standards and against each other, its boot files and its media checksums. It
// repairs nothing and does not say what an image was changed from.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// maxFindings bounds what is listed of each check; the rest is counted.
const maxFindings = 100

// Severity is how bad a finding is.
type Severity string

const (
	// Problem is what readers or firmware fail at, or what contradicts itself.
	Problem Severity = "problem"
	// Notice is unusual, or against the letter of a standard, but harmless as a rule.
	Notice Severity = "notice"
)

// Finding is one thing that is not as it should be. It has an offset, in bytes
// of the image, or a path.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"`
	Offset   *int64   `json:"offset,omitempty"`
	Path     string   `json:"path,omitempty"`
	Text     string   `json:"text"`
	Kind     string   `json:"kind,omitempty"` // of damage, see package fault
}

func (f Finding) String() string {
	switch {
	case f.Path != "":
		return fmt.Sprintf("%s: %s: %s", f.Severity, f.Path, f.Text)
	case f.Offset != nil:
		return fmt.Sprintf("%s: offset %d: %s", f.Severity, *f.Offset, f.Text)
	}
	return fmt.Sprintf("%s: %s", f.Severity, f.Text)
}

// Group is what one check found. Problems and Notices count all findings, of
// which the first hundred are listed.
type Group struct {
	Check    string    `json:"check"`
	Summary  string    `json:"summary"`
	Problems int       `json:"problems"`
	Notices  int       `json:"notices"`
	Findings []Finding `json:"findings,omitempty"`
}

// Report is the outcome of all checks that apply to an image.
type Report struct {
	Groups []Group `json:"checks"`
}

// Problems counts the problems of all checks.
func (r *Report) Problems() int {
	n := 0
	for _, g := range r.Groups {
		n += g.Problems
	}
	return n
}

// Options of Image. The zero value checks everything.
type Options struct {
	// Progress is called while much is read.
	Progress func(done, total int64)
	// Limits bound what reading may cost; zero ones are the defaults.
	Limits fault.Limits
}

// checks are run in this order. One without summary and findings does not apply
// to the image and is left out of the report.
var checks = []struct {
	name string
	run  func(*checker) (summary string, err error)
}{
	{"descriptors", (*checker).descriptors},
	{"directories", (*checker).directories},
	{"path tables", (*checker).pathTables},
	{"trees", (*checker).compareTrees},
	{"second trees", (*checker).secondSuperblocks},
	{"extents", (*checker).extents},
	{"partitions", (*checker).partitions},
	{"boot images", (*checker).bootImages},
	{"boot files", (*checker).bootFiles},
	{"media check", (*checker).mediaCheck},
}

// Image checks the image that r holds in size bytes. Damage is in the report; the
// error is one of reading, of the context, or that this is no ISO 9660 image.
func Image(ctx context.Context, r io.ReaderAt, size int64, o Options) (*Report, error) {
	img, err := iso9660.Open(r, size, iso9660.Options{Budget: fault.NewBudget(size, o.Limits)})
	if err != nil {
		return nil, err
	}
	c := &checker{ctx: ctx, in: source{r, size}, img: img, options: o}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	report := &Report{}
	for _, check := range checks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.group = &Group{Check: check.name}
		if c.group.Summary, err = check.run(c); err != nil {
			return nil, fmt.Errorf("check %s: %w", check.name, err)
		}
		if c.group.Summary != "" || len(c.group.Findings) > 0 {
			report.Groups = append(report.Groups, *c.group)
		}
	}
	return report, nil
}

// checker is the state of one run.
type checker struct {
	ctx     context.Context // of the one call of Image that the checker lives for
	in      source
	img     *iso9660.Image
	options Options
	equip   *boot.Equipment
	parts   []partRange
	merged  *tree.Tree        // nil where a tree cannot be read
	trees   [3]*iso9660.Entry // nil: not there or not readable
	broken  [3]error          // why a tree cannot be read
	group   *Group
}

// prepare reads the trees and the boot equipment.
func (c *checker) prepare() (err error) {
	at := map[iso9660.LBA]*iso9660.Entry{}
	for _, h := range iso9660.Hierarchies {
		root, err := c.img.Tree(h)
		if err != nil {
			if !damage(err) {
				return err
			}
			c.broken[h] = err
			continue
		}
		if c.trees[h] = root; root == nil {
			continue
		}
		for e := range root.Walk() {
			if s := e.Sections(); !e.IsDir() && len(s) > 0 && at[s[0].LBA] == nil {
				at[s[0].LBA] = e
			}
		}
	}
	c.equip, err = boot.Parse(c.in, c.in.size, boot.Volume{
		Catalog: c.img.BootCatalog(),
		Blocks:  int64(c.img.Primary().SpaceSize()),
		FileSize: func(l iso9660.LBA) (int64, string, bool) {
			e := at[l]
			if e == nil {
				return 0, "", false
			}
			return e.Size(), e.Path(), true
		},
	})
	if err != nil {
		return err
	}
	c.parts = partitionRanges(&c.equip.System)
	if c.broken == [3]error{} {
		c.merged, err = tree.FromImage(c.img)
	}
	return err
}

// damage distinguishes malformed input from failed reading.
func damage(err error) bool {
	var kind iso9660.Kind
	return errors.As(err, &kind)
}

// add counts a finding and lists it while there is room. Arguments are formatted
// only then: millions of findings cost nothing.
func (c *checker) add(s Severity, format string, args []any, f Finding) {
	g := c.group
	if s == Problem {
		g.Problems++
	} else {
		g.Notices++
	}
	if len(g.Findings) < maxFindings {
		f.Severity, f.Check, f.Text = s, g.Check, fmt.Sprintf(format, args...)
		g.Findings = append(g.Findings, f)
	}
}

// as gives the finding that was added last its kind.
func (c *checker) as(k fault.Kind) {
	if n := len(c.group.Findings); n > 0 && n == c.group.Problems+c.group.Notices {
		c.group.Findings[n-1].Kind = k.Code()
	}
}

// kindOf is the kind of damage.
func kindOf(err error) (k fault.Kind) {
	errors.As(err, &k)
	return k
}

// at adds a finding at a byte offset.
func (c *checker) at(s Severity, off int64, format string, args ...any) {
	c.add(s, format, args, Finding{Offset: &off})
}

// path adds a finding of a file or directory.
func (c *checker) path(s Severity, of pather, format string, args ...any) {
	f := Finding{}
	if len(c.group.Findings) < maxFindings {
		f.Path = of.Path()
	}
	c.add(s, format, args, f)
}

// pather is what has a path in the image: an entry of a hierarchy, a node of the tree.
type pather interface{ Path() string }

// lazy is a path that is put together when it is printed.
type lazy struct{ pather }

func (l lazy) String() string { return l.Path() }

// literal is a path as written in a boot configuration.
type literal string

// Path returns the path itself.
func (l literal) Path() string { return string(l) }

// source is an image of known size.
type source struct {
	r    io.ReaderAt
	size int64
}

// ReadAt reads as io.ReaderAt does, but never behind the size.
func (s source) ReadAt(p []byte, off int64) (int, error) {
	return io.NewSectionReader(s.r, 0, s.size).ReadAt(p, off)
}

// read returns n bytes at off, fewer where the image ends. An error is one of
// reading.
func (s source) read(off, n int64) ([]byte, error) {
	if off < 0 || off >= s.size || n <= 0 {
		return nil, nil
	}
	b := make([]byte, min(n, s.size-off))
	got, err := s.r.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
	}
	return b[:got], nil
}
