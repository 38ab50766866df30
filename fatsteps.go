package isolayer

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/localtree"
)

// addInside puts a local file or directory tree into the FAT image that boot equipment
// is. The rules for dest are those of Add; attributes have no place there.
func (s *stage) addInside(a Add, object, dest string, info fs.FileInfo) error {
	v, err := s.fatNamed(object)
	if err != nil {
		return err
	}
	_, dest, _ = inObject(localtree.Destination(a.Dest, a.Source, info.IsDir(), func(string) bool {
		_, isDir, err := v.img.Lookup(dest)
		return err == nil && isDir
	}))
	return s.editFAT(v, func(e *fat.Editor) error {
		return localtree.Walk(a.Source, info, nil, func(x localtree.Entry) error {
			return s.putLocal(e, x, fatPath(x.Below(dest)))
		})
	})
}

// fatPath is a path as package fat takes it.
func fatPath(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p == "" {
		return "."
	}
	return p
}

// putLocal puts a local file or an empty directory into a FAT image.
func (s *stage) putLocal(e *fat.Editor, x localtree.Entry, dest string) error {
	switch {
	case x.Info.IsDir():
		return mkdirs(e, dest)
	case x.IsLink():
		return fmt.Errorf("%s: FAT has no symbolic links: %w", x.Path, iso9660.ErrUnsupported)
	}
	src, err := s.source(x.Path, x.Info)
	if err != nil {
		return err
	}
	return putFAT(e, dest, src)
}

// removeInside takes away what matches, in any case, in the FAT image that boot
// equipment is.
func (s *stage) removeInside(object, pattern string) error {
	v, err := s.fatNamed(object)
	if err != nil {
		return err
	}
	hits := []string{}
	if found, _, err := v.img.Lookup(pattern); err == nil {
		hits = append(hits, found)
	} else if !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("%w: bad pattern", fs.ErrInvalid)
	} else if err := fs.WalkDir(v.img, ".", func(p string, d fs.DirEntry, err error) error {
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
		return ErrNoMatch
	}
	return s.editFAT(v, func(e *fat.Editor) error {
		for _, p := range hits {
			if err := e.RemoveAll(p); err != nil {
				return err
			}
		}
		return nil
	})
}
