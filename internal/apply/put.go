package apply

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

func applyPut(s *stage.Stage, p edit.Put) error {
	a, src, err := putOf(s, p)
	if err != nil {
		return err
	}
	there := isDir(s, p.Path)
	if err := PutAt(s, p.Path, a, src); err != nil {
		return err
	}
	if there {
		s.Note(p.Path + " is there already, and stays as it is")
		return nil
	}
	if lost := unrecorded(s, p); lost != "" {
		s.Warn(p.Path + ": " + lost)
	}
	return nil
}

// putOf is what a step puts: its attributes, and its content if it is a file.
func putOf(s *stage.Stage, p edit.Put) (a tree.Attr, src extent.Source, err error) {
	a = tree.Attr{Mode: iso9660.StMode(p.Mode &^ fs.ModeDir), UID: p.UID, GID: p.GID, ModTime: s.Time(p.ModTime)}
	given := a.Mode &^ iso9660.ModeType
	mode := func(kind, usual uint32) uint32 {
		if given != 0 {
			usual = given
		}
		return kind | usual
	}
	switch {
	case p.Content != nil && p.Source != nil:
		err = fmt.Errorf("%w: Content and Source are both given", fs.ErrInvalid)
	case p.Mode.Type()&^fs.ModeDir != 0:
		err = fmt.Errorf("%w: mode %v is neither that of a file nor of a directory", fs.ErrInvalid, p.Mode)
	case p.Link != "" || p.Mode.IsDir():
		switch {
		case p.Content != nil || p.Source != nil:
			err = fmt.Errorf("%w: a link or a directory has no content", fs.ErrInvalid)
		case p.Link == "":
			a.Mode = mode(iso9660.ModeDir, 0o755)
		case p.Mode != 0:
			err = fmt.Errorf("%w: a link has no mode", fs.ErrInvalid)
		default:
			a.Mode, a.Link = iso9660.ModeSymlink|0o777, p.Link
		}
	case strings.HasSuffix(p.Path, "/"):
		err = fmt.Errorf("%w: the path of a file ends in a slash", fs.ErrInvalid)
	default:
		a.Mode, src = mode(iso9660.ModeRegular, 0o644), p.Source
		if src == nil {
			src = extent.Memory(p.Path, p.Content)
		}
	}
	return a, src, err
}

// unrecorded says which attributes that were given the image has no place for.
func unrecorded(s *stage.Stage, p edit.Put) string {
	_, _, inside := stage.SplitObject(p.Path)
	switch {
	case p.Mode&^fs.ModeDir == 0 && p.UID == 0 && p.GID == 0 && (p.ModTime.IsZero() || !inside):
		return ""
	case inside:
		return "files of FAT images have no mode and owner, and the time of the build"
	case !s.Tree.RockRidge && (p.Mode&^fs.ModeDir != 0 || p.UID != 0 || p.GID != 0):
		return "mode and owner: " + tree.ErrNoAttr.Error()
	}
	return ""
}

// PutAt puts a file, a directory or a link, as the attributes say, where dest leads: into
// the tree, into the FAT image that boot equipment is, or in the place of boot equipment.
func PutAt(s *stage.Stage, dest string, a tree.Attr, src extent.Source) error {
	if object, inside, ok := stage.SplitObject(dest); ok {
		return putInside(s, object, inside, a.Mode, src)
	}
	if strings.HasPrefix(dest, "@") {
		return putObject(s, dest, a, src)
	}
	if err := s.Place(dest); err != nil {
		return err
	}
	if a.Mode&iso9660.ModeType == iso9660.ModeDir && isDir(s, dest) {
		return nil
	}
	return s.Put(dest, a, src)
}

// isDir reports a directory of the tree.
func isDir(s *stage.Stage, p string) bool {
	n, err := s.Tree.Lookup(p)
	return err == nil && n.IsDir()
}

// putInside gives a file inside of the FAT image that boot equipment is new content, or
// makes a directory there, as the mode says.
func putInside(s *stage.Stage, object, inside string, mode uint32, src extent.Source) error {
	v, err := s.FatNamed(object)
	if err != nil {
		return err
	}
	return v.Edit(func(e stage.Editor) error {
		switch mode & iso9660.ModeType {
		case iso9660.ModeDir:
			return e.Mkdir(FatPath(inside))
		case iso9660.ModeRegular:
			return e.Put(FatPath(inside), src)
		}
		return fmt.Errorf("FAT has no symbolic links: %w", iso9660.ErrUnsupported)
	})
}

// putObject replaces boot equipment; what is a file of the tree is replaced there.
func putObject(s *stage.Stage, name string, a tree.Attr, src extent.Source) error {
	o, ok := s.Boot.Find(name)
	switch {
	case !ok && name != baseimage.SystemArea:
		return fmt.Errorf("%s: %w", name, baseimage.ErrNoObject)
	case a.Mode&iso9660.ModeType != iso9660.ModeRegular:
		return fmt.Errorf("%s: %w: not a regular file", name, fs.ErrInvalid)
	case ok && o.Path != "":
		return s.Put(o.Path, a, src)
	}
	return s.ReplaceObject(name, src)
}
