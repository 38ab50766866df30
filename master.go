package isolayer

import (
	"context"
	"time"

	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master/scan"
)

// Root is a local file or directory and its place in a new image.
type Root struct {
	Source string
	// Dest is the path in the image; empty, what is in a directory goes into the root.
	Dest string
}

// MasterOptions say what image to make.
type MasterOptions struct {
	Label string // volume identifier, up to 32 characters
	// Plain leaves Rock Ridge out: names and attributes are then those of ISO 9660 level 1.
	Plain bool
	// Joliet records names for Windows, too.
	Joliet bool
	// BootFrom is an image file whose boot equipment is made again, and whose label is taken
	// where none is given. Its boot images are taken unless the sources have files of their
	// paths.
	BootFrom string
	// Epoch is the latest time of files; nil: no limit.
	Epoch *time.Time
	// MediaCheck gives the image a media check of isomd5sum.
	MediaCheck bool
}

// Master plans a new image of local files. Nothing is written; of files only those that
// boot are read.
func Master(ctx context.Context, roots []Root, o MasterOptions) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var sources []scan.Graft
	for _, r := range roots {
		sources = append(sources, scan.Graft{Source: r.Source, Dest: r.Dest})
	}
	s := scan.Options{
		Texts: iso9660.VolumeTexts{Volume: o.Label}, RockRidge: !o.Plain, Rational: true, Joliet: o.Joliet,
		Epoch: o.Epoch, Implant: o.MediaCheck,
	}
	if o.BootFrom != "" {
		s.Boot = &scan.Boot{From: o.BootFrom}
	}
	img, err := build.Master(sources, s)
	if err != nil {
		return nil, err
	}
	return &Image{img}, nil
}
