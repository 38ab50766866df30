// Package layout decides where everything lies in a changed image and makes the
// extent map of it: unchanged content stays where it is, directory trees are
// written afresh, descriptors and boot equipment follow.
//
// It reads metadata of the base and writes nothing.
package layout

import (
	"errors"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// Base is the image to start from.
type Base struct {
	Image  *iso9660.Image
	Boot   *boot.Equipment
	Source extent.Source
}

// Options of Plan. The zero value is the default.
type Options struct {
	KeepFreed       bool // leave the bytes of what was removed
	AtEnd           bool // all new data behind the end
	StripMediaCheck bool // remove a media checksum without a warning
}

// Result is a planned image.
type Result struct {
	Map    *extent.Map
	Report Report
}

// Errors that callers decide on.
var (
	// ErrUnsupported reports a base whose layout cannot be changed.
	ErrUnsupported = errors.New("this image cannot be rebuilt yet")
	// ErrBootImage reports an edit that takes a boot image away.
	ErrBootImage = errors.New("is a boot image")
)

// Plan lays out the tree t, made from base and edited, as a changed base.
func Plan(base Base, t *tree.Tree, o Options) (*Result, error) {
	return nil, errors.New("not yet")
}
