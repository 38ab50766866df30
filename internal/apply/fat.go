package apply

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/stage"
)

// addInside puts a local file or directory tree into the FAT image that boot equipment
// is. The rules for dest are those of Add; attributes have no place there.
func addInside(s *stage.Stage, a edit.Add, object, dest string, info fs.FileInfo) error {
	v, err := s.FatNamed(object)
	if err != nil {
		return err
	}
	_, dest, _ = stage.SplitObject(localtree.Destination(a.Dest, a.Source, info.IsDir(), func(string) bool {
		_, isDir, err := v.Lookup(dest)
		return err == nil && isDir
	}))
	return v.Edit(func(e stage.Editor) error {
		return localtree.Walk(a.Source, info, nil, func(x localtree.Entry) error {
			return putLocal(s, e, x, FatPath(x.Below(dest)))
		})
	})
}

// FatPath is a path as package fat takes it.
func FatPath(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p == "" {
		return "."
	}
	return p
}

// putLocal puts a local file or an empty directory into a FAT image.
func putLocal(s *stage.Stage, e stage.Editor, x localtree.Entry, dest string) error {
	switch {
	case x.Info.IsDir():
		return e.Mkdir(dest)
	case x.IsLink():
		return fmt.Errorf("%s: FAT has no symbolic links: %w", x.Path, iso9660.ErrUnsupported)
	}
	src, err := s.Source(x.Path, x.Info)
	if err != nil {
		return err
	}
	return e.Put(dest, src)
}

// removeInside takes away what matches, in any case, in the FAT image that boot
// equipment is.
func removeInside(s *stage.Stage, object, pattern string) error {
	v, err := s.FatNamed(object)
	if err != nil {
		return err
	}
	hits := []string{}
	if found, _, err := v.Lookup(pattern); err == nil {
		hits = append(hits, found)
	} else if !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("%w: bad pattern", fs.ErrInvalid)
	} else if err := fs.WalkDir(v, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p != "." && doublestar.MatchUnvalidated(strings.ToLower(pattern), strings.ToLower(p)) {
			hits = append(hits, p)
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if len(hits) == 0 {
		return stage.ErrNoMatch
	}
	return v.Edit(func(e stage.Editor) error {
		for _, p := range hits {
			if err := e.Remove(p); err != nil {
				return err
			}
		}
		return nil
	})
}
