//go:build linux

package workspace

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// redirects finds the directories of an upper directory that overlayfs moved: they name
// where in the lower one their other content is.
func (c *capture) redirects(p, origin string) error {
	list, err := os.ReadDir(filepath.Join(c.dir, p))
	if err != nil {
		return c.unreadable(p, err)
	}
	for _, d := range list {
		if !d.IsDir() {
			continue
		}
		q, at := path.Join(p, d.Name()), ""
		if origin != "" {
			at = path.Join(origin, d.Name())
		}
		if r := c.xattr(q, "redirect"); r != nil {
			at = redirected(origin, string(r))
			if !c.below.lookup(at).is(iso9660.ModeDir) {
				return fmt.Errorf("%s: %s, which it was moved from, %w", q, at, ErrNotThere)
			}
			n, err := c.work.Lookup(at)
			if err != nil {
				return err
			}
			c.moves[q] = &move{at, n}
		} else if c.isOpaque(q) {
			at = ""
		}
		if err := c.redirects(q, at); err != nil {
			return err
		}
	}
	return nil
}

// redirected is the path in the lower directory that the value of a redirect names:
// absolute, or a name beside the directory's own.
func redirected(parent, value string) string {
	if path.IsAbs(value) {
		return path.Clean(value)
	}
	return path.Join(parent, value)
}

// takeAway moves what was moved out of the way, so that two directories can change
// places; one alone whose new place is free goes there at once.
func (c *capture) takeAway() error {
	for i, dest := range slices.Sorted(maps.Keys(c.moves)) {
		m := c.moves[dest]
		to := fmt.Sprintf("/.isolayer-moved-%d", i)
		parent, err := c.work.Lookup(path.Dir(dest))
		if len(c.moves) == 1 && !c.has(dest) && err == nil && parent.IsDir() {
			to = dest
		}
		c.out.Changes = append(c.out.Changes, Change{Kind: Renamed, What: kindNames[Renamed], Path: dest, From: m.origin, Dir: true})
		if err := c.do(tree.Rename{Old: m.node.Path(), New: to}); err != nil {
			return err
		}
	}
	return nil
}

// putBack gives a moved directory its new path.
func (c *capture) putBack(q string, m *move) error {
	if m.node.Path() == q {
		return nil
	}
	if c.has(q) {
		if err := c.do(tree.Remove{Path: q}); err != nil {
			return err
		}
	}
	return c.do(tree.Rename{Old: m.node.Path(), New: q})
}

// has reports whether something has that very path in the working tree.
func (c *capture) has(p string) bool {
	n, err := c.work.Lookup(p)
	return err == nil && n.Path() == p
}

// belowSource is content that lies in the base.
type belowSource struct {
	io.ReaderAt
	name string
	size int64
}

func (s *belowSource) Name() string { return s.name }
func (s *belowSource) Size() int64  { return s.size }

func newBelowSource(name string, e *entry) (*belowSource, error) {
	if e.content == nil {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrInvalid)
	}
	r, _, err := e.content()
	if err != nil {
		return nil, err
	}
	return &belowSource{r, name, e.size}, nil
}
