// Package layer stores a change of an image as an OCI layer: a tar archive with
// whiteouts, plain or compressed with gzip or zstd.
//
// It neither finds out what changed nor changes a tree: packages diff and tree do.
package layer

import (
	"errors"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Layer is a change of an image.
type Layer struct {
	// Renames come first; each names a path of the image before any change.
	Renames []tree.Rename
	// Gone are removed, and Opaque directories emptied, before anything is added.
	Gone, Opaque []string
	// Added are files, directories, links and devices with all their attributes, in the
	// order in which they are put; they replace what is there, but for directories,
	// which merge. Files that share a Source are hard links of each other. A Source may be
	// a *Patch.
	Added []tree.Put
	// Objects are new contents of boot equipment that no directory lists, by its name;
	// they may be patches, too.
	Objects map[string]extent.Source
	// Root are the attributes of the root directory, for programs that know no images.
	Root tree.Attr
	// Fields are texts of the volume descriptors, Modified their modification date
	// unless it is zero.
	Fields   map[iso9660.Field]string
	Modified time.Time
}

// patches lists what of the layer are patches.
func (l *Layer) patches() (out []*Patch) {
	add := func(src extent.Source) {
		if p, ok := src.(*Patch); ok {
			out = append(out, p)
		}
	}
	for _, p := range l.Added {
		add(p.Source)
	}
	for _, src := range l.Objects {
		add(src)
	}
	return out
}

// Patches reports whether some content is stated as what it differs in from another image's.
func (l *Layer) Patches() bool { return len(l.patches()) > 0 }

// The names of whiteouts (OCI image specification, layer.md), and of entries that are
// not part of the tree, which other programs skip.
const (
	whiteout    = ".wh."
	opaque      = ".wh..wh..opq"
	objectsPath = ".wh..wh.isolayer/"
	patchesPath = objectsPath + "files/" // and the path of the file that is patched
)

// The PAX records that say what tar cannot.
const (
	paxVersion  = "ISOLAYER.version"
	paxRenames  = "ISOLAYER.renames" // JSON: pairs of paths
	paxModified = "ISOLAYER.modified"
	paxField    = "ISOLAYER.volume." // and the field
	paxPatch    = "ISOLAYER.patch."  // and these:
	paxLower    = paxPatch + "lower"
	paxResult   = paxPatch + "result"
	paxRanges   = paxPatch + "ranges"
	paxOf       = paxPatch + "of"
)

// The versions of what is stored. Layers without patches have the first one, so that
// earlier programs read them.
const (
	version        = "1"
	versionPatches = "2"
)

// fields are the names of the texts in PAX records.
var fields = map[iso9660.Field]string{
	iso9660.FieldVolumeSet:   "volume-set",
	iso9660.FieldPublisher:   "publisher",
	iso9660.FieldPreparer:    "preparer",
	iso9660.FieldApplication: "application",
	iso9660.FieldVolume:      "id",
}

// Limits of what is read.
const (
	maxEntries = 1 << 20
	maxRatio   = 1100     // compressed bytes may become so many times more
	freeSize   = 64 << 20 // … above this
	maxWindow  = 128 << 20
)

// Errors that callers tell apart.
var (
	// ErrFormat reports a file that is no layer, or a damaged one.
	ErrFormat = errors.New("not a valid layer")
	// ErrUnsupported reports a layer with something in it that images cannot hold.
	ErrUnsupported = errors.New("cannot be in a layer")
	// ErrBase reports a layer that renames or patches what an image does not have.
	ErrBase = errors.New("the layer does not fit this image")
	// ErrLimit reports a layer that is unreasonably large.
	ErrLimit = errors.New("over the limit")
)
