// Package isolayer makes changed ISO images out of existing ones: a read-only
// base, ordered steps of change, and an image that is a plan until its bytes
// are needed.
//
//	base, err := isolayer.Open("base.iso", isolayer.OpenOptions{})
//	image, err := base.Build(ctx, []isolayer.Step{isolayer.Add{Source: "ks.cfg"}}, isolayer.Options{})
//	_, err = image.WriteFile(ctx, "out.iso", sink.Options{})
//
// It does not master images from directories.
package isolayer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/fault"
	"github.com/isolayer/isolayer/inplace"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/layout"
	"github.com/isolayer/isolayer/mediacheck"
	"github.com/isolayer/isolayer/sink"
	"github.com/isolayer/isolayer/tree"
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
	files *extent.Files
	src   extent.Source
	img   *iso9660.Image
	boot  *boot.Equipment
	at    map[iso9660.LBA]*iso9660.Entry // the files by their first block
	end   int64                          // block behind files and directories

	mu     sync.Mutex
	spools []io.Closer // temporary files of layers
}

// Open opens the image file at path and reads its descriptors, its trees and
// its boot equipment, but no file content.
func Open(path string, o OpenOptions) (*Base, error) {
	b := &Base{path: path, files: extent.NewFiles()}
	if err := b.open(o); err != nil {
		return nil, errors.Join(&ImageError{"open", path, bare(err)}, b.files.Close())
	}
	return b, nil
}

func (b *Base) open(o OpenOptions) (err error) {
	if err := inplace.Recover(b.path); err != nil {
		return err
	}
	if b.src, err = b.files.Add(b.path); err != nil {
		return err
	}
	return b.read(o)
}

// read reads descriptors, trees and boot equipment of the source.
func (b *Base) read(o OpenOptions) (err error) {
	if b.img, err = iso9660.Open(b.src, b.src.Size(), iso9660.Options{Session: o.Session, Budget: fault.NewBudget(b.src.Size(), o.Limits)}); err != nil {
		return err
	}
	if err := b.index(); err != nil {
		return err
	}
	b.boot, err = boot.Parse(b.src, b.src.Size(), b.volume())
	return err
}

// volume is what package boot wants to know of the file system.
func (b *Base) volume() boot.Volume {
	return boot.Volume{
		Catalog: b.img.BootCatalog(),
		Blocks:  int64(b.img.Primary().SpaceSize()),
		End:     b.end,
		FileSize: func(l iso9660.LBA) (int64, string, bool) {
			e := b.at[l]
			if e == nil {
				return 0, "", false
			}
			return e.Size(), e.Path(), true
		},
	}
}

// index finds the files of all hierarchies by their first block, and where the last
// file or directory ends.
func (b *Base) index() error {
	var files []*iso9660.Entry
	for _, h := range iso9660.Hierarchies {
		root, err := b.img.Tree(h)
		if err != nil {
			return err
		}
		if root == nil {
			continue
		}
		for e := range root.Walk() {
			if !e.IsDir() && e.Size() > 0 {
				files = append(files, e)
			}
			for i := range e.Raws {
				if r := e.Raws[i].Record; r.Size() > 0 {
					b.end = max(b.end, int64(r.LBA())+int64(r.XAR())+iso9660.Blocks(int64(r.Size())))
				}
			}
		}
	}
	b.at = make(map[iso9660.LBA]*iso9660.Entry, len(files))
	for _, e := range slices.Backward(files) { // the first of a block counts
		b.at[e.Start()] = e
	}
	return nil
}

// Close closes the files that are open and removes temporary ones.
func (b *Base) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := []error{b.files.Close()}
	for _, s := range b.spools {
		errs = append(errs, s.Close())
	}
	b.spools = nil
	return errors.Join(errs...)
}

// Path returns the path the base was opened with.
func (b *Base) Path() string { return b.path }

// Size returns the length of the image in bytes.
func (b *Base) Size() int64 { return b.src.Size() }

// Image returns the file system of the base.
func (b *Base) Image() *iso9660.Image { return b.img }

// Boot returns the boot equipment of the base.
func (b *Base) Boot() *boot.Equipment { return b.boot }

// Tree returns the merged tree of the base, a new one at each call.
func (b *Base) Tree() (*tree.Tree, error) { return tree.FromImage(b.img) }

// Refusals tells why Build cannot change this image, a sentence each; none if it can.
func (b *Base) Refusals() []string { return layout.Refusals(b.layout()) }

func (b *Base) layout() layout.Base {
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
			off = e.Raws[0].Off
		}
	}
	return fmt.Errorf("%s: %w", n.Path(), fault.At(off, "file", "size", fmt.Errorf("%d bytes: %w", size, err)))
}

// Options of Build. The zero value is the default.
type Options struct {
	// Epoch is the time of created directories and the latest time of added
	// files (SOURCE_DATE_EPOCH). nil: no limit, and the base's modification date.
	Epoch *time.Time
	// ExactTimes gives added files the time Epoch, whatever their own is.
	ExactTimes bool
	// Preserve takes attributes of added files from their source.
	Preserve Preserve
	// MediaCheck is MediaAuto if empty.
	MediaCheck MediaCheck
	// KeepFreed leaves the bytes of removed files in the image.
	KeepFreed bool
	// AtEnd puts all new data behind the end, none into space that became free.
	AtEnd bool
	// InPlace plans an image that WriteInPlace can write over its base.
	InPlace bool
	// Compact writes everything afresh, without the gaps that edits left.
	Compact bool
	// NoBoot lists platforms that shall not boot any more; their boot images may
	// then be removed.
	NoBoot []boot.Platform
	// Repair makes boot tables right that the base has wrong.
	Repair bool
	// NewUUID gives the image another UUID (the modification date of its
	// descriptors) and changes every boot file that names the old one.
	NewUUID bool
	// RefreshRepo lets the distribution's own programs (createrepo_c, apt-ftparchive)
	// write the metadata of repositories that packages were added to or removed from.
	RefreshRepo bool
	// Resign is a key of GnuPG that signs anew what the edit made invalid.
	Resign string
	// Insecure lets SUSE's installer go on where a signature does not hold any more: every
	// entry gets insecure=1. Other installers have no such argument.
	Insecure bool
	// Fields are texts of the volume descriptors to set.
	Fields map[iso9660.Field]string
}

// Preserve names the attributes taken from the source of added files.
type Preserve struct{ Mode, Owner, Time bool }

// Image is a planned image.
type Image struct {
	// Map has all its bytes, but for a media check, which comes from the others: see
	// Sealed.
	Map    *extent.Map
	Report layout.Report

	check  *mediacheck.Tag // to be computed, or nil
	blocks int64           // of the volume
	edit   *inplace.Edit   // nil unless planned for that
	files  *extent.Files   // of a mastered image, or nil
}

// stage is where steps change the tree.
func (b *Base) stage(ctx context.Context, t *tree.Tree, o Options) *stage {
	return &stage{ctx: ctx, base: b, fields: map[iso9660.Field]string{}, tree: t, files: b.files, options: o, links: map[fileKey]*extent.File{}, boot: b.boot, objects: map[string]extent.Source{}}
}

// do carries out a step, unless the context has ended.
func (s *stage) do(step Step) error {
	err := s.ctx.Err()
	if err == nil {
		err = step.apply(s)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	return nil
}

// Build plans the image that the steps, in order, make of the base. Nothing is
// written. Errors of a step name it. When the context ends, so does Build.
func (b *Base) Build(ctx context.Context, steps []Step, o Options) (*Image, error) {
	t, err := b.Tree()
	if err != nil {
		return nil, err
	}
	if o.Epoch != nil {
		t.Epoch = *o.Epoch
	}
	s := b.stage(ctx, t, o)
	for _, step := range joined(steps) {
		if err := s.do(step); err != nil {
			return nil, err
		}
	}
	if err := s.insecure(); err != nil {
		return nil, err
	}
	s.installs()
	if err := s.refreshRepositories(); err != nil {
		return nil, fmt.Errorf("%s: %w", b.path, err)
	}
	if err := s.trust(); err != nil {
		return nil, fmt.Errorf("%s: %w", b.path, err)
	}
	if errs := b.img.Missing(); len(errs) > 0 {
		return nil, &ImageError{"", b.path, errs[0]}
	}
	maps.Copy(s.fields, o.Fields)
	var note string
	modified := s.modified
	if o.NewUUID {
		r, err := s.renewUUID()
		if err != nil {
			return nil, fmt.Errorf("%s: new UUID: %w", b.path, err)
		}
		note, modified = r.note(), r.time
	}
	l := b.layout()
	var area []byte
	if src := s.objects[SystemArea]; src != nil {
		if l, area, err = b.withSystemArea(src); err != nil {
			return nil, &ImageError{"", b.path, err}
		}
	}
	res, err := s.settle(func() (*layout.Result, error) {
		return layout.Plan(l, t, layout.Options{
			KeepFreed: o.KeepFreed, AtEnd: o.AtEnd, InPlace: o.InPlace, Compact: o.Compact,
			Objects: s.objects, Drop: o.NoBoot, Repair: o.Repair, SystemArea: area, Modified: modified, Fields: s.fields, Named: s.tables(),
		})
	})
	if err != nil {
		return nil, &ImageError{"", b.path, err}
	}
	res.Report.BootFiles, res.Report.Warnings = s.bootFiles, append(res.Report.Warnings, s.warnings...)
	res.Report.Notes, res.Report.Unattended = append(res.Report.Notes, s.notes...), s.unattended
	if note != "" {
		res.Report.Notes = append(res.Report.Notes, note)
	}
	if volume := int64(b.img.Primary().SpaceSize()) * iso9660.BlockSize; volume > b.Size() {
		res.Report.Warnings = append(res.Report.Warnings, fmt.Sprintf("the base is cut short: %d bytes of %d; all files are there", b.Size(), volume))
	}
	img := &Image{Map: res.Map, Report: res.Report}
	if o.InPlace {
		img.edit = &inplace.Edit{Base: b.src, Overwritten: res.Overwritten, Wiped: res.Wiped}
	}
	if err := b.mediaCheck(img, o.MediaCheck); err != nil {
		return nil, &ImageError{"", b.path, err}
	}
	return img, nil
}

// WriteFile writes the image to a file that appears whole or not at all; see sink.File.
// A media check is computed while the bytes are written.
func (i *Image) WriteFile(ctx context.Context, path string, o sink.Options) (sink.Result, error) {
	obs, err := i.observer()
	if err != nil {
		return sink.Result{}, err
	}
	o.Observe = append(obs, o.Observe...)
	return sink.File(ctx, path, i.Map, o)
}

// Stream writes the image to a stream; see sink.Stream. A media check, which stands in
// front of what it covers, takes a pass over all bytes beforehand.
func (i *Image) Stream(ctx context.Context, w io.Writer, o sink.Options) (sink.Result, error) {
	obs, err := i.observer()
	if err != nil {
		return sink.Result{}, err
	}
	o.Observe = append(obs, o.Observe...)
	return sink.Stream(ctx, w, i.Map, o)
}

// InPlaceOptions tune WriteInPlace.
type InPlaceOptions struct {
	Undo     inplace.UndoPolicy
	Progress func(done, total int64)
}

// WriteInPlace changes the base's file to be the image, which must have been planned
// with Options.InPlace; see inplace.Apply. A media check takes a pass over all bytes
// beforehand, see Seal.
func (i *Image) WriteInPlace(ctx context.Context, o InPlaceOptions) (inplace.Result, error) {
	if i.edit == nil {
		return inplace.Result{}, errors.New("the image was not planned for its place")
	}
	if err := i.Seal(ctx, o.Progress); err != nil || i.Unchanged() {
		return inplace.Result{}, err
	}
	e := *i.edit
	e.Map, e.Undo, e.Progress = i.Map, o.Undo, o.Progress
	path := e.Base.Name()
	e.Check = func() error { return sink.Check(i.Map, e.Base) }
	res, err := inplace.Apply(ctx, path, e)
	if err != nil {
		return res, fmt.Errorf("change %s: %w", path, bare(err))
	}
	return res, nil
}

// Undo takes the last edit in place of the image file at path back; see inplace.Undo.
func Undo(path string) error {
	if err := inplace.Undo(path); err != nil {
		return fmt.Errorf("undo %s: %w", path, bare(err))
	}
	return nil
}
