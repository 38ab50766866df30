// Package baseimage holds an opened image: the source of its bytes, its directory hierarchies,
// its boot equipment and the tree that these are merged into, each read once. An image whose
// edit in place was interrupted is completed or taken back first.
//
// It changes nothing; package stage holds what steps make of a base.
package baseimage

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/tree"
)

// OpenOptions choose how a base is opened. The zero value is the usual way.
type OpenOptions struct {
	Session int // of a multi-session image, 1 being the oldest; 0: the one that readers see
	// Limits bound what reading the image may cost; zero ones are fault.Defaults.
	Limits fault.Limits
}

// ImageError is an error about an image file: what was done, and to which.
type ImageError struct {
	Op   string // "" or a verb
	Path string
	Err  error
}

func (e *ImageError) Error() string {
	if e.Op == "" {
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err)
}

func (e *ImageError) Unwrap() error { return e.Err }

// Base is an open image. It is safe for concurrent use; Close it after the last
// image made of it was written.
type Base struct {
	path  string
	Files *extent.Files
	src   extent.Source
	img   *iso9660.Image
	boot  *boot.Equipment
	end   int64 // block behind files and directories

	merging sync.Mutex
	first   *tree.Tree // which is looked at and copied
	given   bool       // the one that was merged before was to be edited

	Volumes fat.Volumes // that firmware boots from
	Known   boot.Known  // of theirs

	mu      sync.Mutex
	initrds map[Content]*cpio.Initrd // that were unpacked
	spools  map[any]*spool           // unpacked layers, by the identity of their sources
	Kept    Owned                    // of edits, which have no image
}

// Open opens the image file at path and reads its descriptors, its trees and
// its boot equipment, but no file content.
func Open(path string, o OpenOptions) (*Base, error) {
	b := &Base{path: path, Files: extent.NewFiles()}
	if err := b.open(o); err != nil {
		return nil, errors.Join(&ImageError{"open", path, Bare(err)}, b.Files.Close())
	}
	return b, nil
}

// OpenSource opens an image that a source holds, such as one in memory, which stays open
// when the base is closed.
func OpenSource(src extent.Source, o OpenOptions) (*Base, error) {
	b := &Base{path: src.Name(), Files: extent.NewFiles(), src: src}
	if err := b.read(o); err != nil {
		return nil, &ImageError{"open", b.path, Bare(err)}
	}
	return b, nil
}

func (b *Base) open(o OpenOptions) (err error) {
	if err := inplace.Recover(inplace.Target{Image: b.path}); err != nil {
		return err
	}
	if b.src, err = b.Files.Add(b.path); err != nil {
		return err
	}
	return b.read(o)
}

// read reads descriptors, trees and boot equipment of the source.
func (b *Base) read(o OpenOptions) (err error) {
	if b.img, err = iso9660.Open(b.src, b.src.Size(), iso9660.Options{Session: o.Session, Budget: fault.NewBudget(b.src.Size(), o.Limits)}); err != nil {
		return err
	}
	if err := b.measure(); err != nil {
		return err
	}
	b.boot, err = boot.Parse(b.src, b.src.Size(), b.Volume())
	return err
}

// Volume is what package boot wants to know of the file system.
func (b *Base) Volume() boot.Volume {
	files := fileIndex{img: b.img}
	return boot.Volume{
		Catalog: b.img.BootCatalog(),
		Blocks:  int64(b.img.Primary().SpaceSize()),
		End:     b.end,
		FileSize: func(l iso9660.LBA) (int64, string, bool) {
			e := files.find(l)
			if e == nil {
				return 0, "", false
			}
			return e.Size(), e.Path(), true
		},
	}
}

// measure reads the hierarchies and finds where the last file or directory ends.
func (b *Base) measure() error {
	if err := b.img.ReadTrees(); err != nil {
		return err
	}
	for _, h := range iso9660.Hierarchies {
		root, err := b.img.Tree(h)
		if err != nil {
			return err
		}
		if root == nil {
			continue
		}
		for e := range root.Walk() {
			b.end = max(b.end, reach(e))
		}
	}
	return nil
}

// reach is the block behind a file or directory.
func reach(e *iso9660.Entry) (end int64) {
	for r := range e.Records() {
		if r.Size() > 0 {
			end = max(end, int64(r.LBA())+int64(r.XAR())+iso9660.Blocks(int64(r.Size())))
		}
	}
	return end
}

// fileIndex finds files by their first block: the first of the first hierarchy that has
// one there. It searches the trees, until so many were looked for that a map pays.
type fileIndex struct {
	img      *iso9660.Image
	searched int
	at       map[iso9660.LBA]*iso9660.Entry
}

// maxSearches is how many files are searched for before there is a map: boot catalogs name
// fewer as a rule.
const maxSearches = 8

func (x *fileIndex) find(at iso9660.LBA) *iso9660.Entry {
	if x.searched++; x.searched > maxSearches {
		if x.at == nil {
			x.at = map[iso9660.LBA]*iso9660.Entry{}
			x.each(func(e *iso9660.Entry, start iso9660.LBA) bool {
				if x.at[start] == nil {
					x.at[start] = e
				}
				return true
			})
		}
		return x.at[at]
	}
	var found *iso9660.Entry
	x.each(func(e *iso9660.Entry, start iso9660.LBA) bool {
		if start == at {
			found = e
		}
		return found == nil
	})
	return found
}

// each yields the files with content, which were read before, until f returns false.
func (x *fileIndex) each(f func(e *iso9660.Entry, start iso9660.LBA) bool) {
	for _, h := range iso9660.Hierarchies {
		root, err := x.img.Tree(h)
		if root == nil || err != nil {
			continue
		}
		for e := range root.Walk() {
			if !e.IsDir() && e.Size() > 0 && !f(e, e.Start()) {
				return
			}
		}
	}
}

// Close closes the files that are open and removes temporary ones, also those of images
// that were not closed.
func (b *Base) Close() error {
	errs := []error{b.Files.Close(), b.Kept.Close()}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.spools {
		errs = append(errs, s.close())
	}
	b.spools = nil
	return errors.Join(errs...)
}

// Path returns the path the base was opened with, or the name of its source.
func (b *Base) Path() string { return b.path }

// Size returns the length of the image in bytes.
func (b *Base) Size() int64 { return b.src.Size() }

// Source returns the bytes of the base.
func (b *Base) Source() extent.Source { return b.src }

// Image returns the file system of the base.
func (b *Base) Image() *iso9660.Image { return b.img }

// Boot returns the boot equipment of the base.
func (b *Base) Boot() *boot.Equipment { return b.boot }

// maxKept is from how many nodes on a tree is not kept beside the first one that is edited:
// it can be made again, which takes a little longer than to copy it.
const maxKept = 50_000

// Tree returns the merged tree of the base, a new one at each call.
func (b *Base) Tree() (*tree.Tree, error) {
	b.merging.Lock()
	defer b.merging.Unlock()
	if b.first != nil {
		return b.first.Copy(), nil
	}
	t, err := tree.FromImage(b.img)
	if err != nil || t.Nodes > maxKept && !b.given {
		b.given = true
		return t, err
	}
	b.first = t
	return t.Copy(), nil
}

// Merged returns the one tree of the base that is there to look at, not to edit.
func (b *Base) Merged() (*tree.Tree, error) {
	b.merging.Lock()
	defer b.merging.Unlock()
	if b.first != nil {
		return b.first, nil
	}
	t, err := tree.FromImage(b.img)
	b.first = t
	return t, err
}

// Refusals says why Build cannot change this image, a sentence each; none if it can.
func (b *Base) Refusals() []string { return layout.Refusals(b.Layout()) }

func (b *Base) Layout() layout.Base {
	return layout.Base{Image: b.img, Boot: b.boot, Source: b.src}
}

// Open returns the content of a file of the base's tree.
func (b *Base) Open(n *tree.Node) (io.ReaderAt, int64, error) {
	for _, e := range n.Found {
		if e != nil {
			return b.img.Open(e)
		}
	}
	return nil, 0, fmt.Errorf("%s is not in the base", n.Path())
}

// Charge counts size bytes of a file that leave the image, and refuses them where that
// is more than its budget allows.
func (b *Base) Charge(n *tree.Node, size int64) error {
	err := b.img.Budget().Out(size)
	if err == nil {
		return nil
	}
	off := int64(0)
	for _, e := range n.Found {
		if e != nil {
			off = e.Off()
		}
	}
	return fmt.Errorf("%s: %w", n.Path(), fault.At(off, "file", "size", fmt.Errorf("%d bytes: %w", size, err)))
}
