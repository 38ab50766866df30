package isolayer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/mediacheck"
	"github.com/isolayer/isolayer/internal/tree"
)

// ErrNotUTF8 reports a name that Joliet cannot have.
var ErrNotUTF8 = errors.New("the name is not UTF-8, which Joliet needs")

// Graft is a local file or directory and the place in the image it goes to. What a
// directory holds goes into Dest; a file is Dest itself, or goes into it if Dest is empty
// or ends in a slash.
type Graft struct{ Source, Dest string }

// Weight puts the content of files that match a pattern in front of that of smaller
// weights. Patterns match the name of a file or its path on disk.
type Weight struct {
	Pattern string
	Weight  int
}

// MasterOptions say what image to make of local files. The zero value is ISO 9660
// level 1 without Rock Ridge, as mkisofs makes it. Patterns are those of path.Match; they
// match names, or paths on disk.
type MasterOptions struct {
	Texts  iso9660.VolumeTexts
	Naming iso9660.NamingRules
	// RockRidge records names and attributes, Joliet names for Windows, Enhanced the long
	// identifiers of ISO 9660:1999.
	RockRidge, Joliet, Enhanced bool
	// Rational makes everything belong to root, readable by all, writable by none.
	Rational          bool
	UID, GID          *uint32
	FileMode, DirMode *uint32 // permission bits
	NewDirMode        *uint32 // of directories that only the image has
	NoHardLinks       bool    // every name of a file has its own content
	FollowLinks       bool    // the image gets what symbolic links lead to
	Exclude           []string
	Hide, HideJoliet  []string // not listed, but written
	Mark              []string // listed with the flag that says hidden
	Sort              []Weight
	// Weights are those of paths in the image, and count more.
	Weights        []master.PathWeight
	Relocate       string // see master.Options
	TransTable     string
	HideTransTable bool  // Joliet lists no such files
	Padding        int64 // blocks
	// Once writes equal contents once, which takes reading all files of equal size.
	Once bool
	// ACL and Attributes record access lists and extended attributes (AAIP) of users,
	// AllAttributes those of all namespaces.
	ACL, Attributes, AllAttributes bool
	// Zisofs marks files that mkzftree compressed as such.
	Zisofs bool
	Boot   *MasterBoot
	// Names say how local names are read and recorded.
	Names master.Names
	// Replace lets a later source take the place of an earlier one of the same name,
	// which is an error otherwise.
	Replace bool
	// FileDates, unless nil, is the time of all files.
	FileDates *time.Time
	// Epoch is the latest time of files; nil: no limit.
	Epoch *time.Time
	// Output is the file that the image will be: it is left out.
	Output string
	// Implant gives the image a media check.
	Implant bool
	// Fix adds the tables that boot images need and nobody asked for.
	Fix bool
}

// MasterBoot is the boot equipment to make.
type MasterBoot struct {
	Catalog       string // path of the boot catalog in the image
	CatalogHidden bool   // no directory lists it
	Entries       []MasterEntry
	boot.Spec
	// AppendedFiles are the contents of Spec.Appended, whose sizes they set.
	AppendedFiles []FileRange
	// From is an image whose boot equipment is made again, and whose label is taken where
	// none is given: its boot images are taken
	// unless the sources have files of their paths. The other fields must be empty.
	From string
	// Limits bound what reading From may cost; zero ones are fault.Defaults.
	Limits fault.Limits
}

// FileRange is a part of a local file, in bytes; a size of 0 is all behind Off.
type FileRange struct {
	Path      string
	Off, Size int64
}

// MasterEntry is one entry of the boot catalog.
type MasterEntry struct {
	boot.EntrySpec
	Path     string // of the boot image in the image; "": Appended has it
	Appended int    // number of the appended partition that is the boot image

	node *tree.Node // of Path, if known
}

// Master plans a new image of local files. Nothing is written; of files only those that
// boot are read. Close the image when it has been written.
func Master(sources []Graft, o MasterOptions) (img *Image, err error) {
	s := newScan(o)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.files.Close())
		}
	}()
	if len(sources) == 0 {
		return nil, fmt.Errorf("%w: nothing to put into the image", os.ErrInvalid)
	}
	s.twice = o.FollowLinks || len(sources) > 1
	for _, g := range sources {
		if err := s.graft(g); err != nil {
			return nil, err
		}
	}
	if o.Once {
		if err := master.Once(s.tree); err != nil {
			return nil, err
		}
	}
	return s.plan()
}

// plan lays the scanned tree out.
func (s *scan) plan() (*Image, error) {
	o := s.o
	if s.tree.Epoch = s.newest; o.Epoch != nil {
		s.tree.Epoch = *o.Epoch
	}
	if o.Texts.Modified.IsZero() {
		o.Texts.Modified = s.tree.Epoch
	}
	if o.Texts.Created.IsZero() {
		o.Texts.Created = o.Texts.Modified
	}
	s.settle(s.tree.Root)
	mo := master.Options{
		Texts: o.Texts, Naming: o.Naming, Relocate: o.Relocate,
		TransTable: o.TransTable, TransTableJoliet: !o.HideTransTable, Padding: o.Padding,
		Weight: s.weights, Marked: s.marked, Extra: s.extra, Made: s.made(), Input: o.Names.Input, Output: o.Names.Output,
	}
	for _, p := range master.Weigh(s.tree, o.Weights, s.weights) {
		s.said.Add("no such file for the sort weight", p)
	}
	if o.Boot != nil {
		b, err := s.equipment(*o.Boot, o.Texts)
		if err != nil {
			return nil, err
		}
		mo.Boot = b
		if mo.Texts.Volume == "" { // by which its boot loaders find the medium
			mo.Texts.Volume = s.label
		}
	}
	res, err := master.Plan(s.tree, mo)
	if err != nil {
		return nil, err
	}
	img := &Image{Map: res.Map, owned: &owned{list: []io.Closer{s.files}}}
	r := &img.Report
	r.Size, r.Written, r.Content, r.Added = res.Map.Size(), res.Map.Size(), res.Content, res.Files
	for _, t := range res.Trees {
		r.Trees = append(r.Trees, layout.TreeReport{Hierarchy: t.Hierarchy, Placement: "new", Dirs: t.Dirs, Records: t.Records, Bytes: t.Bytes})
	}
	r.Notes = append(s.notes, s.said.Notes()...)
	r.Warnings = slices.Concat(s.lacking, s.said.Warnings(), res.Warnings)
	if o.Implant {
		return img, img.implant(res.Blocks)
	}
	return img, nil
}

// implant notes that a media check is to be computed.
func (i *Image) implant(blocks int64) error {
	tag := mediacheck.New()
	if _, err := mediacheck.NewHasher(tag, blocks); err != nil {
		return fmt.Errorf("media check: %w", err)
	}
	return i.lateCheck(tag, blocks)
}

// equipment turns paths into nodes and looks at what boot images need.
func (s *scan) equipment(b MasterBoot, texts iso9660.VolumeTexts) (*master.Boot, error) {
	var sources []extent.Source
	if b.From != "" {
		var err error
		if b, sources, err = s.bootFrom(b.From, b.Limits); err != nil {
			return nil, err
		}
	}
	out := &master.Boot{Spec: b.Spec, AppendedSources: sources}
	out.Seed = fmt.Appendf(nil, "%s\x00%s", texts.Volume, iso9660.NewDate17(texts.Modified))
	for i, f := range b.AppendedFiles {
		src, err := s.rangeOf(f)
		if err != nil {
			return nil, err
		}
		if src.Size() == 0 {
			return nil, fmt.Errorf("%s: %w", f.Path, master.ErrEmptyBoot)
		}
		out.AppendedSources = append(out.AppendedSources, src)
		out.Appended[i].Size = src.Size()
	}
	for _, e := range b.Entries {
		entry, err := s.entry(e, out)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, entry)
	}
	if len(b.Entries) == 0 || b.CatalogHidden {
		return out, nil
	}
	n, err := s.catalog(cmp.Or(b.Catalog, "boot.catalog"))
	if err != nil {
		return nil, fmt.Errorf("boot catalog: %w", bare(err))
	}
	out.Catalog = n
	return out, nil
}

// rangeOf is a part of a local file as content.
func (s *scan) rangeOf(r FileRange) (extent.Source, error) {
	f, err := s.files.Add(r.Path)
	if err != nil {
		return nil, err
	}
	if r.Off == 0 && r.Size == 0 {
		return f, nil
	}
	if r.Size == 0 {
		r.Size = max(f.Size()-r.Off, 0)
	}
	if r.Off < 0 || r.Size < 0 || r.Off > f.Size() || r.Size > f.Size()-r.Off {
		return nil, fmt.Errorf("%s has %d bytes, too few for %d at %d: %w", r.Path, f.Size(), r.Size, r.Off, io.ErrUnexpectedEOF)
	}
	m, err := extent.New([]extent.Extent{extent.CopyOf(0, f, r.Off, r.Size)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	return extent.Compose(fmt.Sprintf("%s from %d on", r.Path, r.Off), m), nil
}

// entry finds the image of one entry.
func (s *scan) entry(e MasterEntry, b *master.Boot) (master.Entry, error) {
	out := master.Entry{EntrySpec: e.EntrySpec, Appended: e.Appended}
	var src extent.Source
	name := fmt.Sprintf("appended partition %d", e.Appended)
	if e.Path != "" {
		n := e.node
		if n == nil {
			var err error
			if n, err = s.tree.Lookup(e.Path); err != nil {
				return out, fmt.Errorf("boot image: %w", err)
			}
		}
		if !n.IsRegular() {
			return out, fmt.Errorf("boot image %s: %w: not a regular file", n.Path(), os.ErrInvalid)
		}
		out.Node, src, name = n, n.Source, n.Path()
	} else {
		i := slices.IndexFunc(b.Appended, func(a boot.AppendedSpec) bool { return a.Number == e.Appended })
		if i < 0 {
			return out, fmt.Errorf("boot image: no %s", name)
		}
		src = b.AppendedSources[i]
	}
	if out.Media == MediaBySize {
		m, ok := boot.FloppyOf(src.Size())
		if !ok {
			return out, fmt.Errorf("boot image %s of %d bytes: %w", name, src.Size(), boot.ErrMedia)
		}
		out.Media = m
	}
	if out.Media != boot.NoEmulation && out.Sectors > 1 {
		s.said.Add("firmware loads one sector of an emulated disk, whatever -boot-load-size says", name)
	}
	head := make([]byte, min(src.Size(), boot.HeadSize))
	if n, err := src.ReadAt(head, 0); n < len(head) {
		return out, fmt.Errorf("read boot image %s: %w", name, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	table, grub2 := boot.Needs(head, out.Platform)
	if table && !out.InfoTable {
		s.lacks(name, "-boot-info-table", "the loader stops with a checksum error")
		out.InfoTable = s.o.Fix
	}
	if grub2 && !out.GRUB2 && b.Code == boot.CodeGRUB2 {
		s.lacks(name, "--grub2-boot-info", "it does not boot from disks")
		out.GRUB2 = s.o.Fix
	}
	return out, nil
}

// MediaBySize is the medium of a boot image that is a floppy disk of its own size.
const MediaBySize boot.Media = 0xff

// lacks warns of an option that a boot image needs, or tells that it was added.
func (s *scan) lacks(name, option, otherwise string) {
	if s.o.Fix {
		s.notes = append(s.notes, fmt.Sprintf("%s: added %s", name, option))
		return
	}
	s.lacking = append(s.lacking, fmt.Sprintf("%s needs %s: %s", name, option, otherwise))
}
