package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/tree"
)

// New is where steps change the tree.
func New(ctx context.Context, b *baseimage.Base, t *tree.Tree, o Options) *Stage {
	files := b.Files.Part()
	return &Stage{Ctx: ctx, Owned: &baseimage.Owned{List: []io.Closer{files}}, Base: b, Fields: map[iso9660.Field]string{}, Tree: t, Files: files, Options: o, local: localtree.NewSources(files), Boot: b.Boot(), Objects: map[string]extent.Source{}}
}

// Working says what is begun.
func (s *Stage) Working(what string) {
	if s.Options.Working != nil {
		s.Options.Working(what)
	}
}

// Stage is what steps work on.
type Stage struct {
	Ctx      context.Context // of Build
	Base     *baseimage.Base
	Owned    *baseimage.Owned // temporary things of the image
	Packages int              // in the tree before any step
	Unpacked map[baseimage.Content]*cpio.Initrd
	Heads    map[baseimage.Content]Heads // sums of what was unpacked
	Modified time.Time                   // the modification date of the descriptors, if a layer has one
	Patched  int64                       // bytes of content that layers patched

	Tree    *tree.Tree
	Files   *extent.Files
	Options Options
	local   *localtree.Sources
	Boot    *boot.Equipment
	Objects map[string]extent.Source // new contents of boot equipment
	Fields  map[iso9660.Field]string // texts of the descriptors that change

	BootFiles       []layout.BootFile // configurations that changed
	volumesMade     fat.Volumes       // FAT images by edits; those of the base are in it
	Programs        boot.Known        // … likewise
	replacements    int               // of objects, however often
	MenusAfter      *menu.Edit        // the last one
	MenusAt         mediumState       // … when the image was that
	MenusBefore     []*menu.Menu      // what started, if a step changes menus
	Notes, Warnings []string
	Ours            map[*tree.Node]bool // lists of translated names that were brought in line
	Unattended      []string            // why the result asks nothing before it overwrites disks
}

// ErrNoMatch reports a pattern that matches nothing in the image.
var ErrNoMatch = errors.New("matches nothing in the image")

// ErrNoEdit reports a step that changes more than files and directories.
var ErrNoEdit = errors.New("is not a change of files and directories")

// ErrSpecial reports a local file that is no regular file, directory or link.
var ErrSpecial = localtree.ErrSpecial

// Note notes what users are told that asked for something.
func (s *Stage) Note(text string) { s.Notes = append(s.Notes, text) }

func (s *Stage) Put(p string, a tree.Attr, src extent.Source) error {
	return baseimage.Bare(s.Tree.Do(tree.Put{Path: p, Attr: a, Source: src}))
}

// Place notes what tree.Place says of a path that was given.
func (s *Stage) Place(p string) error {
	warning, err := s.Tree.Place(p)
	if warning != "" {
		s.Warnings = append(s.Warnings, warning)
	}
	return baseimage.Bare(err)
}

// ReplaceObject gives boot equipment new content, in the tree where a directory lists it; a file
// there keeps its attributes.
func (s *Stage) ReplaceObject(name string, src extent.Source) error {
	o, ok := s.Boot.Find(name)
	switch {
	case !ok && name != baseimage.SystemArea:
		return fmt.Errorf("%s: %w", name, baseimage.ErrNoObject)
	case ok && !o.Movable():
		return fmt.Errorf("%s cannot be replaced: %w", name, layout.ErrBootImage)
	case ok:
		return baseimage.Bare(s.putObject(o, src))
	}
	s.Objects[name] = src
	s.replacements++
	return nil
}

// AddFile puts one local file, directory or link at dest.
func (s *Stage) AddFile(e localtree.Entry, dest string) error {
	attr := s.Attr(e.Info)
	attr.Link = e.Link
	if !e.Info.Mode().IsRegular() {
		return s.Put(dest, attr, nil)
	}
	src, err := s.Source(e.Path, e.Info)
	if err != nil {
		return err
	}
	return s.Put(dest, attr, src)
}

// Attr are the attributes that an added file gets: root's, readable by all.
func (s *Stage) Attr(info fs.FileInfo) tree.Attr {
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
	if s.Options.Preserve.Mode {
		a.Mode = a.Mode&iso9660.ModeType | iso9660.StMode(info.Mode())&^iso9660.ModeType
	}
	if info.IsDir() && !s.Options.Preserve.Time {
		a.ModTime = s.Tree.Epoch
	}
	return s.owner(a, info)
}

func (s *Stage) owner(a tree.Attr, info fs.FileInfo) tree.Attr {
	if s.Options.Preserve.Owner {
		a.UID, a.GID = localtree.OwnerOf(info)
	}
	return a
}

// Time is the time that something gets whose time is given: bounded by the epoch, and that
// of created directories if it is zero.
func (s *Stage) Time(t time.Time) time.Time {
	if t.IsZero() {
		return s.Tree.Epoch
	}
	return s.clamp(t)
}

// clamp bounds a time by the epoch, unless times are to be preserved, and cuts
// it to the seconds that an image records.
func (s *Stage) clamp(t time.Time) time.Time {
	if e := s.Options.Epoch; e != nil && (s.Options.ExactTimes || !s.Options.Preserve.Time && t.After(*e)) {
		t = *e
	}
	return t.UTC().Truncate(time.Second)
}

// Source returns the source for a local file; hard links share one.
func (s *Stage) Source(p string, info fs.FileInfo) (*extent.File, error) {
	return s.local.Of(p, info, false)
}
