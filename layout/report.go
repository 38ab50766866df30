package layout

// Report tells what a plan does, for --dry-run and for the summary of a build.
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
}

// TreeReport tells where a hierarchy's directories went.
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
