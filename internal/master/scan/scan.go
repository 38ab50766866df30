package scan

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/tree"
)

// scan turns local files into the tree of a new image.
type scan struct {
	label   string // of the image that equipment comes from
	o       Options
	tree    *tree.Tree
	files   *extent.Files
	local   *localtree.Sources
	twice   bool        // files may be met again that have but one name
	output  fs.FileInfo // the file to leave out
	rootSet bool        // the root has its attributes
	newest  time.Time
	active  map[localtree.Key]bool // directories on the way, where links are followed

	byName  map[*tree.Node]map[string]int // of directories that may get a name twice
	weights map[*tree.Node]int
	marked  map[*tree.Node]bool
	extra   map[*tree.Node][]iso9660.SystemUseEntry
	notes   []string
	lacking []string
	from    map[*tree.Node]string // what is not content comes from, where sources may meet
	said    master.Remarks
}

func newScan(o Options) *scan {
	files := extent.NewFiles()
	s := &scan{
		o: o, files: files, local: localtree.NewSources(files), active: map[localtree.Key]bool{},
		byName: map[*tree.Node]map[string]int{}, weights: map[*tree.Node]int{}, marked: map[*tree.Node]bool{}, extra: map[*tree.Node][]iso9660.SystemUseEntry{},
		from: map[*tree.Node]string{}, newest: time.Unix(0, 0),
	}
	s.tree = &tree.Tree{RockRidge: o.RockRidge, Has: [3]bool{iso9660.Primary: true, iso9660.Joliet: o.Joliet, iso9660.Enhanced: o.Enhanced}}
	s.tree.Root = &tree.Node{In: s.tree.Has, Attr: tree.Attr{Mode: iso9660.ModeDir | 0o555}}
	if o.Output != "" {
		s.output, _ = os.Stat(o.Output) // usually it is not there
	}
	return s
}

// graft puts one source into the tree.
func (s *scan) graft(g Graft) error {
	if g.Content != nil {
		return s.content(g)
	}
	info, err := os.Stat(g.Source)
	if err != nil {
		if info, err = os.Lstat(g.Source); err != nil { // a link may lead nowhere
			return err
		}
	}
	dest := filepath.ToSlash(g.Dest)
	if !info.IsDir() {
		link, err := os.Lstat(g.Source)
		if err != nil {
			return err
		}
		dest = localtree.Into(dest, localtree.Name(g.Source))
		if s.o.FollowLinks {
			link = info
		}
		return s.add(g.Source, path.Base(dest), link, path.Dir(dest))
	}
	dir, err := s.directory(dest)
	if err != nil {
		return fmt.Errorf("%s: %w", g.Dest, fault.Bare(err))
	}
	if dir != s.tree.Root || !s.rootSet {
		s.rootSet = s.rootSet || dir == s.tree.Root
		dir.Attr = s.attr(g.Source, info)
	}
	return s.list(g.Source, info, dir)
}

// content puts a file into the tree that is not on disk.
func (s *scan) content(g Graft) error {
	p := filepath.ToSlash(g.Dest)
	if localtree.IsInto(p) {
		return fmt.Errorf("%q: %w: content of memory needs a name", p, fs.ErrInvalid)
	}
	dir, err := s.directory(path.Dir(p))
	if err != nil {
		return fmt.Errorf("%s: %w", p, fault.Bare(err))
	}
	name, err := s.named(p, path.Base(p))
	if err != nil {
		return err
	}
	a := s.made()
	for _, t := range []*time.Time{s.o.Epoch, s.o.FileDates} {
		if t != nil {
			a.ModTime = *t
		}
	}
	s.index(dir)
	n, err := s.child(dir, name, p, a, g.Content)
	if err == nil {
		s.mark(n, strings.TrimPrefix(p, "/"))
	}
	return err
}

// add puts a single file into a directory of the image.
func (s *scan) add(p, name string, info fs.FileInfo, in string) error {
	dir, err := s.directory(in)
	if err != nil {
		return fmt.Errorf("%s: %w", in, fault.Bare(err))
	}
	s.index(dir)
	return s.place(p, name, info, dir)
}

// list adds what a local directory holds.
func (s *scan) list(p string, info fs.FileInfo, dir *tree.Node) error {
	if key, _ := localtree.KeyOf(info); key != (localtree.Key{}) && s.o.FollowLinks {
		s.active[key] = true
		defer delete(s.active, key)
	}
	return localtree.Children(p, func(n int) {
		if len(dir.Children) > 0 {
			s.index(dir)
		} else {
			dir.Children = make([]*tree.Node, 0, n)
		}
	}, func(p, name string, info fs.FileInfo) error { return s.place(p, name, info, dir) })
}

// place adds one local file, directory, link or device as a child of dir.
func (s *scan) place(p, name string, info fs.FileInfo, dir *tree.Node) error {
	if s.leftOut(p, name, info) {
		return nil
	}
	name, err := s.named(p, name)
	if err != nil {
		return err
	}
	if s.o.FollowLinks && info.Mode()&fs.ModeSymlink != 0 {
		info = s.followed(p, info)
	}
	if info.IsDir() {
		if key, _ := localtree.KeyOf(info); s.active[key] {
			s.said.Add("left out, a followed link leads back to this directory", p)
			return nil
		}
		n, err := s.child(dir, name, p, s.attr(p, info), nil)
		if err != nil {
			return err
		}
		if err := s.note(n, p); err != nil {
			return err
		}
		return s.list(p, info, n)
	}
	attr, src, why, err := s.what(p, info)
	if err != nil {
		return err
	}
	if why != "" {
		s.said.Add("left out, "+why, p)
		return nil
	}
	n, err := s.child(dir, name, p, attr, src)
	if err != nil {
		return err
	}
	return s.note(n, p)
}

// leftOut reports whether a file is not for the image, and says so unless it was asked for.
func (s *scan) leftOut(p, name string, info fs.FileInfo) bool {
	switch {
	case master.Matches(s.o.Exclude, filepath.ToSlash(p), name):
	case s.output != nil && os.SameFile(info, s.output):
		s.notes = append(s.notes, p+" is the output and was left out")
	case s.o.TransTable != "" && name == s.o.TransTable && !info.IsDir():
		s.said.Note("left out, the image gets translation tables of its own", p)
	default:
		return false
	}
	return true
}

// named is the name that a local file has in the image.
func (s *scan) named(p, name string) (string, error) {
	name, err := s.o.Names.In(name)
	if err != nil {
		return "", fmt.Errorf("%q: %w", p, err)
	}
	if s.o.Joliet && !utf8.ValidString(name) && !master.Matches(s.o.HideJoliet, filepath.ToSlash(p), name) {
		return "", fmt.Errorf("%q: %w", p, ErrNotUTF8)
	}
	if n := s.o.Names.Cut; n > 0 && len(name) > n {
		s.said.Add(fmt.Sprintf("the name is cut to %d bytes", n), p)
		name = master.CutName(name, n)
	}
	return name, nil
}

// followed is what a link leads to. One that leads nowhere, or to a directory that it is
// in, stays a link.
func (s *scan) followed(p string, link fs.FileInfo) fs.FileInfo {
	to, err := os.Stat(p)
	if err != nil {
		s.said.Add("the link leads nowhere and is not followed", p)
		return link
	}
	if key, _ := localtree.KeyOf(to); s.active[key] {
		s.said.Add("the link leads to a directory that it is in and is not followed", p)
		return link
	}
	return to
}

// what returns attributes and content of a local file that is no directory, or why it
// cannot be in the image.
// See RATIONALE.md, "FIFOs are recorded, sockets refused".
func (s *scan) what(p string, info fs.FileInfo) (attr tree.Attr, src extent.Source, why string, err error) {
	attr = s.attr(p, info)
	switch mode := info.Mode(); {
	case mode.IsRegular():
		if s.o.NoHardLinks {
			f, err := s.files.AddInfo(p, info)
			return attr, f, "", err
		}
		f, err := s.local.Of(p, info, s.twice)
		return attr, f, "", err
	case !s.o.RockRidge && mode&fs.ModeSymlink != 0:
		return attr, nil, "symbolic links need Rock Ridge", nil
	case !s.o.RockRidge:
		return attr, nil, "devices, FIFOs and sockets need Rock Ridge", nil
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(p)
		if err == nil {
			attr.Link, err = s.o.Names.In(filepath.ToSlash(target))
		}
		if err != nil {
			return attr, nil, "", fmt.Errorf("link of %q: %w", p, fault.Bare(err))
		}
		return attr, nil, "", nil
	}
	attr.Major, attr.Minor = localtree.DeviceOf(info)
	return attr, nil, "", nil
}
