//go:build linux

package workspace

import (
	"bytes"
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
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
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
	epoch   *time.Time // latest time of files
	made    time.Time  // time of new directories
	attrs   bool       // modes and owners are recorded
	own     [2]uint32  // who shows as 0:0
	squash  bool       // the view showed everything as 0:0
	expect  func(mode uint32) uint32
	moves   map[string]*move // by destination
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
		a := c.attr(st, nil)
		a.ModTime = c.made
		if err := c.do(tree.Put{Path: q, Attr: a}); err != nil {
			return err
		}
		return c.walk(q, "")
	case !c.full && bytes.Equal(c.xattr(q, "opaque"), []byte("y")):
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

// attributes notes that mode or owner are others than they were.
func (c *capture) attributes(q string, b *entry, st *unix.Stat_t) error {
	if b == nil {
		return nil
	}
	e := tree.SetAttr{Path: q}
	if !c.attrs {
		st = &unix.Stat_t{Mode: st.Mode&unix.S_IFMT | c.shown(b.Mode), Uid: b.UID, Gid: b.GID, Mtim: st.Mtim}
	}
	if mode := st.Mode & 0o7777; mode != c.shown(b.Mode) {
		e.Mode = &mode
	}
	if !c.squash && c.attrs {
		uid, gid := c.owner(st)
		if uid != b.UID {
			e.UID = &uid
		}
		if gid != b.GID {
			e.GID = &gid
		}
	}
	if t := c.attr(st, nil).ModTime; st.Mode&unix.S_IFMT == unix.S_IFREG && !time.Unix(st.Mtim.Unix()).Equal(b.ModTime) && !t.Equal(b.ModTime) {
		e.ModTime = &t
	}
	if e.Mode == nil && e.UID == nil && e.GID == nil && e.ModTime == nil {
		return nil
	}
	c.change(Altered, q, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	return c.do(e)
}

// shown are the permission bits with which the directory showed an entry at first.
func (c *capture) shown(mode uint32) uint32 {
	if c.expect != nil {
		mode = c.expect(mode)
	}
	return mode & 0o7777
}

// owner is the owner of a file of the directory, as an image records it.
func (c *capture) owner(st *unix.Stat_t) (uid, gid uint32) {
	uid, gid = st.Uid, st.Gid
	if uid == c.own[0] {
		uid = 0
	}
	if gid == c.own[1] || uid == 0 && st.Uid != 0 {
		gid = 0
	}
	return uid, gid
}

// attr are the attributes of a new entry, or of one that replaces b: that keeps its
// owner, as an editor that writes a new file and renames it means to.
func (c *capture) attr(st *unix.Stat_t, b *entry) tree.Attr {
	a := tree.Attr{Mode: st.Mode, ModTime: time.Unix(st.Mtim.Unix()).UTC().Truncate(time.Second)}
	if c.epoch != nil && a.ModTime.After(*c.epoch) {
		a.ModTime = *c.epoch
	}
	a.UID, a.GID = c.owner(st)
	if b != nil && a.UID == 0 && a.GID == 0 {
		a.UID, a.GID = b.UID, b.GID
	}
	if b != nil && c.shown(b.Mode) == st.Mode&0o7777 {
		a.Mode = st.Mode&unix.S_IFMT | b.Mode&0o7777
	}
	return a
}

func (c *capture) link(q string, b *entry, st *unix.Stat_t) error {
	target, err := os.Readlink(filepath.Join(c.dir, q))
	if err != nil {
		return err
	}
	if b.is(iso9660.ModeSymlink) && b.Link == target {
		return nil
	}
	a := c.attr(st, b)
	a.Link = target
	return c.put(q, b, a, nil)
}

// put adds a file or link, or replaces what is there.
func (c *capture) put(q string, b *entry, a tree.Attr, src extent.Source) error {
	k := Added
	if b != nil {
		k = Modified
	}
	if b.is(iso9660.ModeDir) {
		if err := c.do(tree.Remove{Path: q}); err != nil {
			return err
		}
	}
	c.change(k, q, false)
	return c.do(tree.Put{Path: q, Attr: a, Source: src})
}

func (c *capture) file(q, at string, b *entry, st *unix.Stat_t) error {
	if c.full && b.is(iso9660.ModeRegular) && c.untouched(st) {
		return nil
	}
	if !c.full && c.xattr(q, "metacopy") != nil {
		return c.metacopy(q, at, b, st)
	}
	if b.is(iso9660.ModeRegular) && b.size == st.Size {
		same, err := c.same(q, b)
		if err != nil {
			return c.unreadable(q, err)
		}
		if same {
			return c.attributes(q, b, st)
		}
	}
	src, err := c.source(q, st)
	if err != nil {
		return c.unreadable(q, err)
	}
	return c.put(q, b, c.attr(st, b), src)
}

// untouched tells that a file of a full directory is older than all work in it. What
// was changed in the same instant is compared.
func (c *capture) untouched(st *unix.Stat_t) bool {
	s := c.since
	return st.Ctim.Sec < s.Sec || st.Ctim.Sec == s.Sec && st.Ctim.Nsec < s.Nsec
}

// metacopy is a file of which only attributes were copied up: its bytes lie below.
func (c *capture) metacopy(q, at string, b *entry, st *unix.Stat_t) error {
	if r := c.xattr(q, "redirect"); r != nil {
		at = redirected(path.Dir(at), string(r))
		if from := c.below.lookup(at); from != nil {
			src, err := newBelowSource(at, from)
			if err != nil {
				return err
			}
			return c.put(q, b, c.attr(st, from), src)
		}
	}
	if !b.is(iso9660.ModeRegular) {
		return fmt.Errorf("%s: what it is a copy of %w", q, ErrNotThere)
	}
	return c.attributes(q, b, st)
}

func (c *capture) source(q string, st *unix.Stat_t) (extent.Source, error) {
	if c.files == nil {
		return nil, nil
	}
	key := [2]uint64{st.Dev, st.Ino}
	if f := c.sources[key]; f != nil {
		return f, nil
	}
	p := filepath.Join(c.dir, q)
	if f, err := os.Open(p); err != nil { // told now, not while the image is written
		return nil, err
	} else if err := f.Close(); err != nil {
		return nil, err
	}
	f, err := c.files.Add(p)
	if err == nil && st.Nlink > 1 {
		c.sources[key] = f
	}
	return f, err
}

// same compares the content of a file with what lies below.
func (c *capture) same(q string, b *entry) (same bool, err error) {
	f, err := os.Open(filepath.Join(c.dir, q))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, done, err := b.content()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, done()) }()
	x, y := make([]byte, 1<<18), make([]byte, 1<<18)
	for off := int64(0); off < b.size; off += int64(len(x)) {
		n := int(min(int64(len(x)), b.size-off))
		if _, err := r.ReadAt(x[:n], off); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if got, err := f.ReadAt(y[:n], off); got < n {
			return false, err
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return false, nil
		}
	}
	return true, nil
}

func (c *capture) unreadable(q string, err error) error {
	return fmt.Errorf("read %s: %w", q, err)
}

// xattr returns an attribute of overlayfs, nil without one: it is called trusted as
// root, user with the option userxattr.
func (c *capture) xattr(q, name string) []byte {
	buf := make([]byte, 4096)
	for _, space := range []string{"trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."} {
		if n, err := unix.Lgetxattr(filepath.Join(c.dir, q), space+name, buf); err == nil {
			return buf[:n]
		}
	}
	return nil
}
