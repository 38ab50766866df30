// Package master lays out a new image: descriptors, directory trees, boot equipment
// and content, one behind the other without gaps.
//
// It reads the heads of boot images and nothing else; what it makes is a map.
package master

import (
	"errors"
	"fmt"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Options of Plan.
type Options struct {
	Texts  iso9660.VolumeTexts
	Naming iso9660.NamingRules
	// Input is the coding of local names, whose bytes identifiers are made of, Output that
	// of names in Rock Ridge.
	Input, Output *Charset
	// Relocate, unless empty, names the directory of the root into which directories
	// below the eighth level go; Rock Ridge shows them where they belong.
	Relocate string
	// TransTable, unless empty, names a file in each directory that says which name
	// belongs to which identifier.
	TransTable       string
	TransTableJoliet bool // Joliet lists these files too
	// Made are the attributes of files that the planner makes.
	Made tree.Attr
	// Padding is how many blocks of zeros follow the content.
	Padding int64
	// Weight puts content of larger numbers in front of others.
	Weight map[*tree.Node]int
	// Marked nodes get the flag that says hidden (ECMA-119 9.1.6).
	Marked map[*tree.Node]bool
	// Extra are further system use entries of a node: access lists and the like.
	Extra map[*tree.Node][]iso9660.SystemUseEntry
	Boot  *Boot // nil: the image does not boot
}

// Boot is the boot equipment to make.
type Boot struct {
	// Catalog is the node of the boot catalog's file; nil: no directory lists it.
	Catalog *tree.Node
	Entries []Entry
	boot.Spec
	AppendedSources []extent.Source // of Spec.Appended
}

// Entry is one entry of the boot catalog.
type Entry struct {
	boot.EntrySpec
	Node     *tree.Node // the boot image; nil: Appended has it
	Appended int        // number of the appended partition that is the image
}

// Result is a planned image.
type Result struct {
	Map *extent.Map
	// Blocks is the volume space size.
	Blocks int64
	// Trees describe the hierarchies, Content is how many bytes files have.
	Trees   []Tree
	Files   int
	Content int64
	// Warnings are what not every reader can show.
	Warnings []string
}

// Tree describes one hierarchy.
type Tree struct {
	Hierarchy     string
	Dirs, Records int
	Bytes         int64 // of directories, continuation areas and path tables
}

// ErrEmptyBoot reports a boot image without content.
var ErrEmptyBoot = errors.New("a boot image cannot be empty")

// TwiceError reports two sources that would have the same path in the image.
type TwiceError struct{ First, Second, Path string }

func (e *TwiceError) Error() string {
	return fmt.Sprintf("%s and %s would both be %s in the image", e.First, e.Second, e.Path)
}

// maxBlocks is what 32-bit block addresses can tell.
const maxBlocks = 1<<32 - 1

// planner carries the state of one Plan.
type planner struct {
	tree      *tree.Tree
	o         Options
	content   *contents
	trees     []*hierarchy // of all sets
	origins   []int64      // of the sets: 0, and that of the partition if there is one
	catalog   *generated   // nil without an entry
	catalogAt uint32
	images    map[extent.Source]int64 // blocks of boot images

	area    boot.Arrangement
	end     int64 // block behind the content
	res     Result
	patches map[extent.Source][]boot.Patch
	located []boot.Located
}

// Plan lays out the tree as a new image. It takes the tree apart while it writes the
// directories.
func Plan(t *tree.Tree, o Options) (*Result, error) {
	p := &planner{tree: t, o: o, origins: []int64{0}, patches: map[extent.Source][]boot.Patch{}, images: map[extent.Source]int64{}}
	if b := o.Boot; b != nil {
		if len(b.Entries) > 0 {
			p.catalog = &generated{name: "boot catalog", data: make([]byte, iso9660.BlockSize)}
			if b.Catalog != nil {
				b.Catalog.Source = p.catalog
			}
		}
		if b.PartitionOffset > 0 {
			p.origins = append(p.origins, b.PartitionOffset)
		}
	}
	p.content = gather(t, o)
	if err := p.buildTrees(); err != nil {
		return nil, err
	}
	if err := p.place(); err != nil {
		return nil, err
	}
	if err := p.equip(); err != nil {
		return nil, err
	}
	m, err := p.assemble()
	if err != nil {
		return nil, err
	}
	p.res.Map, p.res.Blocks = m, p.area.Blocks
	return &p.res, nil
}

// buildTrees makes the hierarchies; a second set of descriptors has those of the first
// with other addresses.
func (p *planner) buildTrees() error {
	for _, h := range iso9660.Hierarchies {
		if !p.tree.Has[h] {
			continue
		}
		b, err := p.hierarchy(h)
		if err != nil {
			return err
		}
		p.trees = append(p.trees, b)
		p.warnNames(b)
		p.warnJoliet(b)
	}
	for _, b := range p.trees {
		p.number(b)
	}
	first := slices.Clone(p.trees)
	for _, origin := range p.origins[1:] {
		for _, b := range first {
			p.trees = append(p.trees, b.copyFor(origin))
		}
	}
	return nil
}

// The limits that some readers have: Linux drops the end of longer names, and a
// path table numbers parents in 16 bits.
const (
	safeName  = 253
	tableDirs = 1<<16 - 1
	safeLink  = 1023 // libisofs gives up on images with longer ones
)

func (p *planner) warnNames(b *hierarchy) {
	if len(b.dirs) > tableDirs {
		p.warn("%s: path tables hold %d directories; the others are in the tree only", b.h, tableDirs)
	}
	if b.h == iso9660.Primary && b.longest > safeName {
		p.warn("%s: Linux cuts names of more than %d bytes", b.longPath, safeName)
	}
	if b.longLink != "" {
		p.warn("%s: xorriso cannot read images with links of more than %d bytes", b.longLink, safeLink)
	}
}

func (p *planner) warn(format string, args ...any) {
	p.res.Warnings = append(p.res.Warnings, fmt.Sprintf(format, args...))
}
