package layout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report says what a plan does, for --dry-run and for the summary of a build.
// Sizes are bytes.
type Report struct {
	BaseSize int64 `json:"base_size"`
	Size     int64 `json:"size"`
	// Written is what differs from the base at the same place: new content,
	// trees, tables, descriptors and wiped ranges.
	Written int64 `json:"written"`
	// Content is the new file content among it, Wiped the zeros over bytes of
	// removed files and of trees that moved.
	Content int64 `json:"content"`
	Wiped   int64 `json:"wiped"`

	Added    int `json:"added"`    // files, directories and links that are new
	Replaced int `json:"replaced"` // files with new content
	Removed  int `json:"removed"`
	Changed  int `json:"changed"` // renamed, moved or with other attributes

	// MediaCheck is the program and the sum of a media check that was computed.
	MediaCheck string `json:"media_check,omitempty"`

	Trees    []TreeReport `json:"trees,omitempty"`
	Moved    []Move       `json:"moved,omitempty"`    // untouched files that made room for the trees
	Boot     []string     `json:"boot,omitempty"`     // what follows a size change
	Notes    []string     `json:"notes,omitempty"`    // what else was done
	Warnings []string     `json:"warnings,omitempty"` //

	// Unattended says why the image overwrites disks without asking; empty if it is not
	// known to.
	Unattended []string `json:"unattended,omitempty"`

	// Signatures are those of the base that do not hold any more.
	Signatures []Signature `json:"signatures,omitempty"`

	BootFiles []BootFile `json:"boot_files,omitempty"` // configurations that changed

	// Untested reports that boot entries test the medium, and that it lost the media check
	// that they compare with; a warning names them.
	Untested bool `json:"-"`
}

// Signature is a signature that does not fit any more what it signs.
type Signature struct {
	Path    string `json:"path"`
	Signs   string `json:"signs"`
	Meaning string `json:"meaning"` // what becomes of that when the image is used
}

// TreeReport says where a hierarchy's directories went.
type TreeReport struct {
	Hierarchy string `json:"hierarchy"`
	Placement string `json:"placement"` // unchanged, in place, relaid, at the end
	Dirs      int    `json:"directories"`
	Records   int    `json:"records"`
	Bytes     int64  `json:"bytes"` // of its directories, continuation areas and path tables
}

// Move is an untouched file whose content has another place than in the base.
type Move struct {
	Path string `json:"path"`
	From int64  `json:"from"` // block
	To   int64  `json:"to"`
	Size int64  `json:"size"`
}

// BootFile is a boot configuration that was changed, in the tree or, as @efi:/path, in
// a FAT image.
type BootFile struct {
	Path string `json:"path"`
	// Changes says in how many places what was changed: "entries" whose kernel
	// arguments did, "label", "timeout", "default entry", "entry added".
	Changes map[string]int `json:"changes"`
}

// String is the change on one line.
func (b BootFile) String() string {
	var out []string
	for _, what := range slices.Sorted(maps.Keys(b.Changes)) {
		switch n := b.Changes[what]; {
		case what == "entries" && n == 1:
			out = append(out, "1 entry")
		case what == "entries":
			out = append(out, fmt.Sprintf("%d entries", n))
		case n == 1:
			out = append(out, what)
		default:
			out = append(out, fmt.Sprintf("%s in %d places", what, n))
		}
	}
	return b.Path + ": " + strings.Join(out, ", ")
}
