package isolayer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/tree"
)

// Step is one change of an image as users state it. The variants are Add,
// Remove, Move, Link, Mkdir, Chmod, Chown and Layer, and for what it boots Kargs, Label,
// MenuTimeout, DefaultEntry and AddEntry; paths in the image are absolute or count
// from its root.
type Step interface {
	fmt.Stringer
	step()
}

// Other makes a Step of what embeds it: steps that only this module has.
type Other struct{}

func (Other) step() {}

func (Add) step()          {}
func (Remove) step()       {}
func (Move) step()         {}
func (Link) step()         {}
func (Mkdir) step()        {}
func (Chmod) step()        {}
func (Chown) step()        {}
func (Kargs) step()        {}
func (EntryKargs) step()   {}
func (Label) step()        {}
func (MenuTimeout) step()  {}
func (DefaultEntry) step() {}
func (AddEntry) step()     {}
func (InitrdAdd) step()    {}
func (AnswerFile) step()   {}
func (Layer) step()        {}

// Add puts a local file or directory tree into the image. Dest defaults to the
// root; ending in a slash it is the directory the source goes into. Files
// replace files, directories merge, symbolic links inside a tree stay links.
//
// A Dest that begins with @ names boot equipment (see boot.Object): the file then
// replaces what no directory lists. One like @efi:/EFI/BOOT/grub.cfg is a path inside of
// it: the FAT image there grows if it must.
type Add struct{ Source, Dest string }

// Remove takes away what matches the pattern, directories with all below them.
// '**' matches any number of directories. Matching nothing is an error.
type Remove struct{ Pattern string }

// Move renames a file or directory.
type Move struct{ Old, New string }

// Link makes a symbolic link at Path.
type Link struct{ Target, Path string }

// Mkdir makes a directory and its missing parents.
type Mkdir struct{ Path string }

// Chmod sets permission bits.
type Chmod struct {
	Mode uint32
	Path string
}

// Owner is the owner of a file, by numbers.
type Owner struct{ UID, GID uint32 }

// Chown sets the owner.
type Chown struct {
	UID, GID uint32
	Path     string
}

func (a Add) String() string {
	if a.Dest == "" {
		return "add " + a.Source
	}
	return "add " + a.Source + " to " + a.Dest
}
func (r Remove) String() string { return "rm " + r.Pattern }
func (m Move) String() string   { return "mv " + m.Old + " to " + m.New }
func (l Link) String() string   { return "ln " + l.Target + " at " + l.Path }
func (m Mkdir) String() string  { return "mkdir " + m.Path }
func (c Chmod) String() string  { return fmt.Sprintf("chmod %o %s", c.Mode, c.Path) }
func (c Chown) String() string  { return fmt.Sprintf("chown %d:%d %s", c.UID, c.GID, c.Path) }

// stage is what steps work on.
type stage struct {
	ctx      context.Context // of Build
	base     *Base
	owned    *owned // temporary things of the image
	packages int    // in the tree before any step
	unpacked map[content]*cpio.Initrd
	heads    map[content]heads // sums of what was unpacked
	modified time.Time         // the modification date of the descriptors, if a layer has one
	patched  int64             // bytes of content that layers patched

	tree    *tree.Tree
	files   *extent.Files
	options Options
	local   *localtree.Sources
	boot    *boot.Equipment
	objects map[string]extent.Source // new contents of boot equipment
	fields  map[iso9660.Field]string // texts of the descriptors that change

	bootFiles       []layout.BootFile // configurations that changed
	volumesMade     fat.Volumes       // FAT images by edits; those of the base are in it
	programs        boot.Known        // … likewise
	replacements    int               // of objects, however often
	menusAfter      *menu.Edit        // the last one
	menusAt         mediumState       // … when the image was that
	menusBefore     []*menu.Menu      // what started, if a step changes menus
	notes, warnings []string
	ours            map[*tree.Node]bool // lists of translated names that were brought in line
	unattended      []string            // why the result asks nothing before it overwrites disks
}

// ErrNoMatch reports a pattern that matches nothing in the image.
var ErrNoMatch = errors.New("matches nothing in the image")

// ErrNoEdit reports a step that changes more than files and directories.
var ErrNoEdit = errors.New("is no change of files and directories")

// ErrSpecial reports a local file that is no regular file, directory or link.
var ErrSpecial = localtree.ErrSpecial

func (r Remove) apply(s *stage) error {
	if object, inside, ok := inObject(r.Pattern); ok {
		return s.removeInside(object, inside)
	}
	if n, err := s.tree.Lookup(r.Pattern); err == nil {
		return s.tree.Do(tree.Remove{Path: n.Path()})
	} else if !errors.Is(err, fs.ErrNotExist) {
		return bare(err)
	}
	hits, err := s.tree.Glob(r.Pattern, ErrNoMatch)
	if err != nil {
		return bare(err)
	}
	for _, n := range slices.Backward(hits) { // children before the directories they are in
		if err := s.tree.Do(tree.Remove{Path: n.Path()}); err != nil {
			return err
		}
	}
	return nil
}

func (m Move) apply(s *stage) error {
	if err := s.place(m.New); err != nil {
		return err
	}
	return bare(s.tree.Do(tree.Rename{Old: m.Old, New: m.New}))
}

func (l Link) apply(s *stage) error {
	if err := s.place(l.Path); err != nil {
		return err
	}
	return s.put(l.Path, tree.Attr{Mode: iso9660.ModeSymlink | 0o777, Link: l.Target, ModTime: s.tree.Epoch}, nil)
}

func (m Mkdir) apply(s *stage) error {
	if object, inside, ok := inObject(m.Path); ok {
		v, err := s.fatNamed(object)
		if err != nil {
			return err
		}
		return s.editFAT(v, func(e *fat.Editor) error { return mkdirs(e, fatPath(inside)) })
	}
	if err := s.place(strings.TrimRight(m.Path, "/")); err != nil {
		return err
	}
	return s.put(m.Path, tree.Attr{Mode: iso9660.ModeDir | 0o755, ModTime: s.tree.Epoch}, nil)
}

func (c Chmod) apply(s *stage) error {
	return s.setAttr(tree.SetAttr{Path: c.Path, Mode: &c.Mode})
}

func (c Chown) apply(s *stage) error {
	return s.setAttr(tree.SetAttr{Path: c.Path, UID: &c.UID, GID: &c.GID})
}

// setAttr sets attributes, and notes those that are set already.
func (s *stage) setAttr(e tree.SetAttr) error {
	var was tree.Attr
	n, _ := s.tree.Lookup(e.Path)
	if n != nil {
		was = n.Attr
	}
	err := s.tree.Do(e)
	if err == nil && n.Attr == was {
		s.note(e.Path + " has that mode or owner already")
	}
	return bare(err)
}

// note notes what users are told that asked for something.
func (s *stage) note(text string) { s.notes = append(s.notes, text) }

func (s *stage) put(p string, a tree.Attr, src extent.Source) error {
	return bare(s.tree.Do(tree.Put{Path: p, Attr: a, Source: src}))
}

func (a Add) apply(s *stage) error {
	info, err := os.Stat(a.Source)
	if err != nil {
		return err
	}
	if object, inside, ok := inObject(a.Dest); ok {
		return s.addInside(a, object, inside, info)
	} else if strings.HasPrefix(a.Dest, "@") {
		return s.addObject(a, info)
	}
	dest := localtree.Destination(a.Dest, a.Source, info.IsDir(), func(dest string) bool {
		n, err := s.tree.Lookup(dest)
		return err == nil && n.IsDir()
	})
	return localtree.Walk(a.Source, info, nil, func(e localtree.Entry) error {
		dest := e.Below(dest)
		if err := s.place(dest); err != nil {
			return err
		}
		return s.addFile(e, dest)
	})
}

// place notes what tree.Place says of a path that was given.
func (s *stage) place(p string) error {
	warning, err := s.tree.Place(p)
	if warning != "" {
		s.warnings = append(s.warnings, warning)
	}
	return bare(err)
}

// ErrNoObject reports an @ name that the image has nothing for.
var ErrNoObject = boot.ErrNoObject

// addObject replaces boot equipment by a local file; what is a file of the tree is
// replaced there.
func (s *stage) addObject(a Add, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w: not a regular file", a.Source, fs.ErrInvalid)
	}
	o, ok := s.boot.Find(a.Dest)
	if !ok && a.Dest != SystemArea {
		return fmt.Errorf("%s: %w", a.Dest, ErrNoObject)
	}
	if ok && o.Path != "" {
		return s.addFile(localtree.Entry{Path: a.Source, Info: info}, o.Path)
	}
	src, err := s.source(a.Source, info)
	if err != nil {
		return err
	}
	return s.replaceObject(a.Dest, src)
}

// replaceObject gives boot equipment that no directory lists new content.
func (s *stage) replaceObject(name string, src extent.Source) error {
	o, ok := s.boot.Find(name)
	switch {
	case !ok && name != SystemArea:
		return fmt.Errorf("%s: %w", name, ErrNoObject)
	case ok && !o.Movable():
		return fmt.Errorf("%s cannot be replaced: %w", name, layout.ErrBootImage)
	case ok:
		name = o.Name
	}
	s.objects[name] = src
	s.replacements++
	return nil
}

// addFile puts one local file, directory or link at dest.
func (s *stage) addFile(e localtree.Entry, dest string) error {
	attr := s.attr(e.Info)
	attr.Link = e.Link
	if !e.Info.Mode().IsRegular() {
		return s.put(dest, attr, nil)
	}
	src, err := s.source(e.Path, e.Info)
	if err != nil {
		return err
	}
	return s.put(dest, attr, src)
}

// attr are the attributes that an added file gets: root's, readable by all.
func (s *stage) attr(info fs.FileInfo) tree.Attr {
	a := tree.Attr{ModTime: s.clamp(info.ModTime())}
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		a.Mode = iso9660.ModeSymlink | 0o777
		return s.owner(a, info)
	case info.IsDir():
		a.Mode = iso9660.ModeDir | 0o755
	case info.Mode()&0o111 != 0:
		a.Mode = iso9660.ModeRegular | 0o755
	default:
		a.Mode = iso9660.ModeRegular | 0o644
	}
	if s.options.Preserve.Mode {
		a.Mode = a.Mode&iso9660.ModeType | iso9660.StMode(info.Mode())&^iso9660.ModeType
	}
	if info.IsDir() && !s.options.Preserve.Time {
		a.ModTime = s.tree.Epoch
	}
	return s.owner(a, info)
}

func (s *stage) owner(a tree.Attr, info fs.FileInfo) tree.Attr {
	if s.options.Preserve.Owner {
		a.UID, a.GID = localtree.OwnerOf(info)
	}
	return a
}

// clamp bounds a time by the epoch, unless times are to be preserved, and cuts
// it to the seconds that an image records.
func (s *stage) clamp(t time.Time) time.Time {
	if e := s.options.Epoch; e != nil && (s.options.ExactTimes || !s.options.Preserve.Time && t.After(*e)) {
		t = *e
	}
	return t.UTC().Truncate(time.Second)
}

// source returns the source for a local file; hard links share one.
func (s *stage) source(p string, info fs.FileInfo) (*extent.File, error) {
	return s.local.Of(p, info, false)
}

// bare strips the operation from a path error whose path the caller names already.
func bare(err error) error { return fault.Bare(err) }
