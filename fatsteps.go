package isolayer

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// addInside puts a local file or directory tree into the FAT image that boot equipment
// is. The rules for dest are those of Add; attributes have no place there.
func (s *stage) addInside(a Add, object, dest string, info fs.FileInfo) error {
	v, err := s.fatNamed(object)
	if err != nil {
		return err
	}
	if _, isDir, err := v.img.Lookup(dest); strings.HasSuffix(a.Dest, "/") || err == nil && isDir && !info.IsDir() {
		if base := filepath.Base(filepath.Clean(a.Source)); base != "." && base != ".." && base != "/" {
			dest = path.Join(dest, filepath.ToSlash(base))
		}
	}
	return s.editFAT(v, func(e *fat.Editor) error {
		if !info.IsDir() {
			return s.putLocal(e, a.Source, fatPath(dest), info)
		}
		return filepath.WalkDir(a.Source, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(a.Source, p)
			if err != nil {
				return err
			}
			info, err := d.Info()
			if rel == "." { // a link to a directory, given by name, is followed
				info, err = os.Stat(p)
			}
			if err != nil {
				return err
			}
			return s.putLocal(e, p, fatPath(path.Join(dest, filepath.ToSlash(rel))), info)
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
func (s *stage) putLocal(e *fat.Editor, p, dest string, info fs.FileInfo) error {
	switch info.Mode().Type() {
	case fs.ModeDir:
		return mkdirs(e, dest)
	case 0:
		src, err := s.source(p, info)
		if err != nil {
			return err
		}
		return putFAT(e, dest, src)
	case fs.ModeSymlink:
		return fmt.Errorf("%s: FAT has no symbolic links: %w", p, iso9660.ErrUnsupported)
	}
	return fmt.Errorf("%s %w", p, ErrSpecial)
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
