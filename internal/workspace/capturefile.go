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

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

func (c *capture) link(q string, b *entry, st *unix.Stat_t) error {
	target, err := os.Readlink(filepath.Join(c.dir, q))
	if err != nil {
		return err
	}
	if b.is(iso9660.ModeSymlink) && b.Link == target {
		return nil
	}
	a := c.attr(q, st, b)
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
	return c.put(q, b, c.attr(q, st, b), src)
}

// untouched says that a file of a full directory is older than all work in it. What
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
			return c.put(q, b, c.attr(q, st, from), src)
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
	if f, err := os.Open(p); err != nil { // reported now, not while the image is written
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
