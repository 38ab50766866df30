//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// entry is what lies below the changes at one path.
type entry struct {
	tree.Attr
	size    int64
	content func() (io.ReaderAt, func() error, error) // of a regular file
}

func (e *entry) is(kind uint32) bool { return e != nil && e.Mode&iso9660.ModeType == kind }

// below is what changes lie on: an image, or a directory.
type below interface {
	lookup(path string) *entry // nil if there is nothing
	children(path string) []string
}

// capture compares a directory with what lies below it.
type capture struct {
	below   below
	dir     string        // the upper directory, or the merged one if full
	full    bool          // dir shows everything; else only what changed, in the manner of overlayfs
	since   unix.Timespec // full: what is older was not touched
	work    *tree.Tree    // as the edits so far make it; nil for a directory
	files   *extent.Files
	epoch   *time.Time               // latest time of files
	made    time.Time                // time of new directories
	attrs   bool                     // modes and owners are recorded
	own     [2]uint32                // who shows as 0:0
	squash  bool                     // the view showed everything as 0:0
	expect  func(mode uint32) uint32 // permission bits that a copy shows
	exact   map[string]bool          // paths that have the bits that they are to have
	moves   map[string]*move         // by destination
	marks   bool                     // names say what is removed, in the manner of OCI layers
	sources map[[2]uint64]*extent.File
	cleared map[string]bool // directories that are removed or emptied
	out     Result
}

// move is a directory that lies elsewhere below (redirect of overlayfs).
type move struct {
	origin string
	node   *tree.Node
}

func (c *capture) run() (Result, error) {
	c.sources = map[[2]uint64]*extent.File{}
	c.moves = map[string]*move{}
	c.cleared = map[string]bool{}
	if !c.full && c.work != nil {
		if err := c.redirects("/", "/"); err != nil {
			return Result{}, err
		}
		if err := c.takeAway(); err != nil {
			return Result{}, err
		}
	}
	if err := c.walk("/", "/"); err != nil {
		return Result{}, err
	}
	if err := c.findMoves(); err != nil {
		return Result{}, err
	}
	slices.SortStableFunc(c.out.Changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return c.out, nil
}

// do notes an edit, and makes it in the working tree.
func (c *capture) do(e tree.Edit) error {
	c.out.Edits = append(c.out.Edits, e)
	switch e := e.(type) {
	case tree.Remove:
		c.cleared[e.Path] = true
	case tree.Opaque:
		c.cleared[e.Path] = true
	}
	if c.work == nil {
		return nil
	}
	if err := c.work.Do(e); err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	return nil
}

func (c *capture) change(k Kind, p string, dir bool) {
	c.out.Changes = append(c.out.Changes, Change{Kind: k, What: kindNames[k], Path: p, Dir: dir})
}

// walk compares a directory with the one that lies below at origin, "" for none.
func (c *capture) walk(p, origin string) error {
	list, err := os.ReadDir(filepath.Join(c.dir, p))
	if err != nil {
		return c.unreadable(p, err)
	}
	seen := map[string]bool{}
	for _, d := range list {
		seen[d.Name()] = true
		if name, ok := c.mark(p, d); ok {
			if err := c.marked(p, origin, name); err != nil {
				return err
			}
			continue
		}
		q := path.Join(p, d.Name())
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(c.dir, q), &st); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
		var b *entry
		at := ""
		if origin != "" {
			at = path.Join(origin, d.Name())
			b = c.below.lookup(at)
		}
		if err := c.one(q, at, b, &st); err != nil {
			return err
		}
	}
	if c.full && origin != "" {
		return c.missing(p, origin, seen)
	}
	return nil
}

func (c *capture) one(q, at string, b *entry, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return c.directory(q, at, b, st)
	case unix.S_IFREG:
		if !c.full && st.Size == 0 && c.xattr(q, "whiteout") != nil {
			return c.whiteout(q, b)
		}
		return c.file(q, at, b, st)
	case unix.S_IFLNK:
		return c.link(q, b, st)
	case unix.S_IFCHR:
		if !c.full && st.Rdev == 0 {
			return c.whiteout(q, b)
		}
	}
	if c.full && b.is(st.Mode&unix.S_IFMT) {
		return nil // it was there before
	}
	return fmt.Errorf("%s %w", q, ErrSpecial)
}

func (c *capture) whiteout(q string, b *entry) error {
	if b == nil {
		return nil
	}
	if c.work != nil && !c.has(q) {
		return nil // it was moved away
	}
	c.change(Removed, q, b.is(iso9660.ModeDir))
	return c.do(tree.Remove{Path: q})
}

// missing notes what a full directory does not show any more.
func (c *capture) missing(p, origin string, seen map[string]bool) error {
	for _, name := range c.below.children(origin) {
		if !seen[name] {
			q := path.Join(p, name)
			if b := c.below.lookup(path.Join(origin, name)); b != nil && !skippedByCopy(b.Mode) {
				c.change(Removed, q, b.is(iso9660.ModeDir))
				if err := c.do(tree.Remove{Path: q}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *capture) directory(q, at string, b *entry, st *unix.Stat_t) error {
	if m := c.moves[q]; m != nil {
		if err := c.putBack(q, m); err != nil {
			return err
		}
		if err := c.attributes(q, c.below.lookup(m.origin), st); err != nil {
			return err
		}
		return c.walk(q, m.origin)
	}
	switch {
	case !b.is(iso9660.ModeDir):
		if b != nil {
			c.change(Removed, q, false)
			if err := c.do(tree.Remove{Path: q}); err != nil {
				return err
			}
		}
		c.change(Added, q, true)
		a := c.attr(q, st, nil)
		a.ModTime = c.made
		if err := c.do(tree.Put{Path: q, Attr: a}); err != nil {
			return err
		}
		return c.walk(q, "")
	case !c.full && c.isOpaque(q):
		if err := c.opaque(q, at); err != nil {
			return err
		}
		at = ""
	}
	if err := c.attributes(q, b, st); err != nil {
		return err
	}
	return c.walk(q, at)
}

// opaque empties a directory, all but what was moved into it.
func (c *capture) opaque(q, at string) error {
	inside := false
	for dest := range c.moves {
		inside = inside || strings.HasPrefix(dest, q+"/")
	}
	for _, name := range c.below.children(at) {
		p := path.Join(q, name)
		if c.work != nil && !c.has(p) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(c.dir, p)); errors.Is(err, os.ErrNotExist) {
			c.change(Removed, p, c.below.lookup(path.Join(at, name)).is(iso9660.ModeDir))
		}
		if inside {
			if err := c.do(tree.Remove{Path: p}); err != nil {
				return err
			}
		}
	}
	if inside {
		return nil
	}
	return c.do(tree.Opaque{Path: q})
}
