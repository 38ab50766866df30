//go:build linux

package workspace

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/tree"
)

// attributes notes that mode or owner are others than they were.
func (c *capture) attributes(q string, b *entry, st *unix.Stat_t) error {
	if b == nil {
		return nil
	}
	e := tree.SetAttr{Path: q}
	if !c.attrs {
		st = &unix.Stat_t{Mode: st.Mode&unix.S_IFMT | c.shown(q, b.Mode), Uid: b.UID, Gid: b.GID, Mtim: st.Mtim}
	}
	if mode := st.Mode & 0o7777; mode != c.shown(q, b.Mode) {
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
	if t := c.attr(q, st, nil).ModTime; st.Mode&unix.S_IFMT == unix.S_IFREG && !time.Unix(st.Mtim.Unix()).Equal(b.ModTime) && !t.Equal(b.ModTime) {
		e.ModTime = &t
	}
	if e.Mode == nil && e.UID == nil && e.GID == nil && e.ModTime == nil {
		return nil
	}
	c.change(Altered, q, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	return c.do(e)
}

// shown are the permission bits with which the directory showed an entry at first.
func (c *capture) shown(q string, mode uint32) uint32 {
	if c.expect != nil && !c.exact[q] {
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
func (c *capture) attr(q string, st *unix.Stat_t, b *entry) tree.Attr {
	a := tree.Attr{Mode: st.Mode, ModTime: time.Unix(st.Mtim.Unix()).UTC().Truncate(time.Second)}
	if c.epoch != nil && a.ModTime.After(*c.epoch) {
		a.ModTime = *c.epoch
	}
	a.UID, a.GID = c.owner(st)
	if b != nil && a.UID == 0 && a.GID == 0 {
		a.UID, a.GID = b.UID, b.GID
	}
	if b != nil && c.shown(q, b.Mode) == st.Mode&0o7777 {
		a.Mode = st.Mode&unix.S_IFMT | b.Mode&0o7777
	}
	return a
}
