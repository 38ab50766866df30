package scan

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/tree"
)

// attr are the attributes that the image shows.
func (s *scan) attr(p string, info fs.FileInfo) tree.Attr {
	a := tree.Attr{Mode: iso9660.StMode(info.Mode()), ModTime: info.ModTime()}
	a.UID, a.GID = localtree.OwnerOf(info)
	if s.o.Rational {
		a.UID, a.GID = 0, 0
		p := a.Mode&0o777 | 0o444
		if p&0o111 != 0 || info.IsDir() {
			p |= 0o111
		}
		a.Mode = a.Mode&iso9660.ModeType | p&^0o222
	}
	for field, value := range map[*uint32]*uint32{&a.UID: s.o.UID, &a.GID: s.o.GID} {
		if value != nil {
			*field = *value
		}
	}
	switch set := s.o.FileMode; {
	case info.IsDir() && s.o.DirMode != nil:
		a.Mode = a.Mode&iso9660.ModeType | *s.o.DirMode
	case info.Mode().IsRegular() && set != nil:
		a.Mode = a.Mode&iso9660.ModeType | *set
	}
	if s.o.Epoch != nil && a.ModTime.After(*s.o.Epoch) {
		a.ModTime = *s.o.Epoch
	}
	if s.o.FileDates != nil {
		a.ModTime = *s.o.FileDates
	}
	t, other := master.ClampTime(a.ModTime)
	if other {
		s.said.Add(fmt.Sprintf("images hold times from 1900 to 2155, it becomes %s", t.Format(time.DateOnly)), p)
	}
	a.ModTime = t.Truncate(time.Second)
	if a.ModTime.After(s.newest) {
		s.newest = a.ModTime
	}
	return a
}

// made are the attributes of files that are not on disk.
func (s *scan) made() tree.Attr {
	a := tree.Attr{Mode: iso9660.ModeRegular | 0o444, ModTime: s.tree.Epoch}
	if s.o.UID != nil {
		a.UID = *s.o.UID
	}
	if s.o.GID != nil {
		a.GID = *s.o.GID
	}
	if s.o.FileMode != nil {
		a.Mode = iso9660.ModeRegular | *s.o.FileMode
	}
	return a
}

// note keeps what patterns say about a node, and its attributes if they are wanted.
func (s *scan) note(n *tree.Node, p string) error {
	s.mark(n, filepath.ToSlash(p))
	if s.o.Zisofs && n.IsRegular() && n.Source != nil {
		if e := iso9660.CompressedEntry(n.Source); e != nil {
			s.extra[n] = append(s.extra[n], e)
		}
	}
	kept := master.Kept{ACL: s.o.ACL, User: s.o.Attributes, All: s.o.AllAttributes}
	if kept == (master.Kept{}) || n.IsLink() {
		return nil
	}
	list, err := master.Attributes(p, kept)
	if err == nil && len(list) > 0 {
		s.extra[n] = append(s.extra[n], iso9660.AttributeEntries(list)...)
	}
	return err
}

// mark keeps what patterns say about a node.
func (s *scan) mark(n *tree.Node, p string) {
	if master.Matches(s.o.Hide, p, n.Name) {
		n.In[iso9660.Primary], n.In[iso9660.Enhanced] = false, false
	}
	if master.Matches(s.o.HideJoliet, p, n.Name) {
		n.In[iso9660.Joliet] = false
	}
	if master.Matches(s.o.Mark, p, n.Name) {
		s.marked[n] = true
	}
	if w, ok := s.weights[n.Parent]; ok { // that of a directory is for all in it
		s.weights[n] = w
	}
	for _, w := range s.o.Sort {
		if master.Matches([]string{w.Pattern}, p, n.Name) {
			s.weights[n] = w.Weight
		}
	}
}
