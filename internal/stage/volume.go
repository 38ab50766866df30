package stage

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Volume is a file system that boot loaders, installers or kernels read, as earlier steps
// left it, and that steps edit: the tree of the image, or a FAT image. It shows what was there
// when it was opened; Fresh opens it again after an edit.
//
// Paths have no slash in front and are found in any case, as loaders find them. The suite
// that any Volume must pass is package volumetest.
type Volume interface {
	bootcfg.Volume
	boot.Programs
	// Prefix stands in front of its paths where users see them: "/", or "@efi:/".
	Prefix() string
	// Original reports whether its bytes are those of the base, so that what is found in it
	// holds for every image that is made of that.
	Original() bool
	// Content is where the bytes of a file are: size bytes of src, from off on.
	Content(name string) (src extent.Source, off, size int64, err error)
	// Edit makes changes, all or none of them.
	Edit(change func(Editor) error) error
}

// Editor changes a Volume.
type Editor interface {
	// Put gives a file content and makes what is missing of the directories above it. A file
	// that is there keeps its attributes.
	Put(name string, src extent.Source) error
	// Mkdir makes a directory and those above it; one that is there already will do.
	Mkdir(name string) error
	// Remove takes a file away, or a directory with all below it.
	Remove(name string) error
}

// Volumes are the file systems that boot loaders read, the tree first.
func (s *Stage) Volumes() ([]Volume, error) {
	list, err := s.FatVolumes()
	if err != nil {
		return nil, err
	}
	out := []Volume{s.TreeVolume()}
	for _, v := range list {
		out = append(out, v)
	}
	return out, nil
}

// Fresh opens a volume again, as it is now.
func (s *Stage) Fresh(v Volume) (Volume, error) {
	list, err := s.Volumes()
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		if x.Prefix() == v.Prefix() {
			return x, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", v.Prefix(), fs.ErrNotExist)
}

// TreeVolume is the tree of the image as a Volume.
func (s *Stage) TreeVolume() Volume { return treeVolume{s.Reader(), s} }

type treeVolume struct {
	tree.Files
	s *Stage
}

// Prefix implements Volume.
func (treeVolume) Prefix() string { return "/" }

// Original implements Volume. Which files of the tree are the base's is known file by file.
func (treeVolume) Original() bool { return false }

// Content implements Volume.
func (v treeVolume) Content(name string) (extent.Source, int64, int64, error) {
	n := v.s.Tree.Find(name)
	switch {
	case n == nil:
		return nil, 0, 0, fmt.Errorf("/%s: %w", name, fs.ErrNotExist)
	case !n.IsRegular():
		return nil, 0, 0, fmt.Errorf("/%s: %w: not a regular file", name, fs.ErrInvalid)
	case n.Source != nil:
		return n.Source, 0, n.Source.Size(), nil
	case len(n.Content()) == 1:
		return v.s.Base.Source(), n.Content()[0].LBA.Offset(), n.Content()[0].Size, nil
	case len(n.Content()) == 0:
		return extent.Compose(n.Path(), &extent.Map{}), 0, 0, nil
	}
	return nil, 0, 0, fmt.Errorf("it is stored in %d pieces: %w", len(n.Content()), iso9660.ErrUnsupported)
}

// Edit implements Volume. A change of the tree that fails leaves no image.
func (v treeVolume) Edit(change func(Editor) error) error { return change(v) }

// Put implements Editor.
func (v treeVolume) Put(name string, src extent.Source) error {
	to, attr := name, tree.Attr{Mode: NewFileMode, ModTime: v.s.Tree.Epoch}
	switch found, err := v.s.Tree.Lookup(name); {
	case err == nil:
		to, attr = found.Path(), found.Attr
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := v.s.Put(to, attr, src); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Mkdir implements Editor.
func (v treeVolume) Mkdir(name string) error {
	if n, err := v.s.Tree.Lookup(name); err == nil && n.IsDir() {
		return nil
	}
	return v.s.Put(name, tree.Attr{Mode: iso9660.ModeDir | 0o755, ModTime: v.s.Tree.Epoch}, nil)
}

// Remove implements Editor.
func (v treeVolume) Remove(name string) error {
	n := v.s.Tree.Find(name)
	if n == nil {
		return fmt.Errorf("/%s: %w", name, fs.ErrNotExist)
	}
	return v.s.Tree.Do(tree.Remove{Path: n.Path()})
}
