package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

func applyRemove(s *stage.Stage, r edit.Remove) error {
	if object, inside, ok := stage.SplitObject(r.Pattern); ok {
		return removeInside(s, object, inside)
	}
	if n, err := s.Tree.Lookup(r.Pattern); err == nil {
		return s.Tree.Do(tree.Remove{Path: n.Path()})
	} else if !errors.Is(err, fs.ErrNotExist) {
		return baseimage.Bare(err)
	}
	hits, err := s.Tree.Glob(r.Pattern, stage.ErrNoMatch)
	if err != nil {
		return baseimage.Bare(err)
	}
	for _, n := range slices.Backward(hits) { // children before the directories they are in
		if err := s.Tree.Do(tree.Remove{Path: n.Path()}); err != nil {
			return err
		}
	}
	return nil
}

func applyMove(s *stage.Stage, m edit.Move) error {
	if err := s.Place(m.New); err != nil {
		return err
	}
	return baseimage.Bare(s.Tree.Do(tree.Rename{Old: m.Old, New: m.New}))
}

func applyLink(s *stage.Stage, l edit.Link) error {
	if err := s.Place(l.Path); err != nil {
		return err
	}
	return s.Put(l.Path, tree.Attr{Mode: iso9660.ModeSymlink | 0o777, Link: l.Target, ModTime: s.Tree.Epoch}, nil)
}

func applyMkdir(s *stage.Stage, m edit.Mkdir) error {
	if object, inside, ok := stage.SplitObject(m.Path); ok {
		v, err := s.FatNamed(object)
		if err != nil {
			return err
		}
		return v.Edit(func(e stage.Editor) error { return e.Mkdir(FatPath(inside)) })
	}
	if err := s.Place(strings.TrimRight(m.Path, "/")); err != nil {
		return err
	}
	return s.Put(m.Path, tree.Attr{Mode: iso9660.ModeDir | 0o755, ModTime: s.Tree.Epoch}, nil)
}

func applyChmod(s *stage.Stage, c edit.Chmod) error {
	return setAttr(s, tree.SetAttr{Path: c.Path, Mode: &c.Mode})
}

func applyChown(s *stage.Stage, c edit.Chown) error {
	return setAttr(s, tree.SetAttr{Path: c.Path, UID: &c.UID, GID: &c.GID})
}

// setAttr sets attributes, and notes those that are set already.
func setAttr(s *stage.Stage, e tree.SetAttr) error {
	var was tree.Attr
	n, _ := s.Tree.Lookup(e.Path)
	if n != nil {
		was = n.Attr
	}
	err := s.Tree.Do(e)
	if err == nil && n.Attr == was {
		s.Note(e.Path + " has that mode or owner already")
	}
	return baseimage.Bare(err)
}

func applyAdd(s *stage.Stage, a edit.Add) error {
	info, err := os.Stat(a.Source)
	if err != nil {
		return err
	}
	if object, inside, ok := stage.SplitObject(a.Dest); ok {
		return addInside(s, a, object, inside, info)
	} else if strings.HasPrefix(a.Dest, "@") {
		return addObject(s, a, info)
	}
	dest := localtree.Destination(a.Dest, a.Source, info.IsDir(), func(dest string) bool { return isDir(s, dest) })
	return localtree.Walk(a.Source, info, nil, func(e localtree.Entry) error {
		dest := e.Below(dest)
		if err := s.Place(dest); err != nil {
			return err
		}
		return s.AddFile(e, dest)
	})
}

// addObject replaces boot equipment by a local file.
func addObject(s *stage.Stage, a edit.Add, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w: not a regular file", a.Source, fs.ErrInvalid)
	}
	src, err := s.Source(a.Source, info)
	if err != nil {
		return err
	}
	return putObject(s, a.Dest, s.Attr(info), src)
}
