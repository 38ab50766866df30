package scan

import (
	"errors"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/tree"
)

// ErrNotUTF8 reports a name that Joliet cannot have.
var ErrNotUTF8 = errors.New("the name is not UTF-8, which Joliet needs")

// Graft is a local file or directory and the place in the image it goes to. What a
// directory holds goes into Dest; a file is Dest itself, or goes into it if Dest is empty
// or ends in a slash. Content, unless nil, is a file that is not on disk: Dest is its path.
type Graft struct {
	Source, Dest string
	Content      extent.Source
}

// Weight puts the content of files that match a pattern in front of that of smaller
// weights. Patterns match the name of a file or its path on disk.
type Weight struct {
	Pattern string
	Weight  int
}

// Options say what image to make of local files. The zero value is ISO 9660
// level 1 without Rock Ridge, as mkisofs makes it. Patterns are those of path.Match; they
// match names, or paths on disk.
type Options struct {
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
	Boot   *Boot
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

// Boot is the boot equipment to make.
type Boot struct {
	Catalog       string // path of the boot catalog in the image
	CatalogHidden bool   // no directory lists it
	Entries       []Entry
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

// Entry is one entry of the boot catalog.
type Entry struct {
	boot.EntrySpec
	Path     string // of the boot image in the image; "": Appended has it
	Appended int    // number of the appended partition that is the boot image

	Node *tree.Node // of Path, if known
}

// MediaBySize is the medium of a boot image that is a floppy disk of its own size.
const MediaBySize boot.Media = 0xff
