package isolayer

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master/scan"
)

// Root is what goes into a new image, and its place there: a local file or directory, or
// content that is in no file.
type Root struct {
	Source string
	// Dest is the path in the image. What a directory holds goes below it; a file is Dest
	// itself, or goes into it if Dest is empty or ends in a slash.
	Dest string
	// Content, unless nil, is a file that is not on disk: Source is not looked at, and Dest is
	// its path. See [extent.Memory].
	Content extent.Source
}

// MasterOptions say what image to make.
type MasterOptions struct {
	Label string // volume identifier, up to 32 characters
	// Plain leaves Rock Ridge out: names and attributes are then those of ISO 9660 level 1.
	Plain bool
	// Joliet records names for Windows, too.
	Joliet bool
	// BIOS and UEFI are paths in the image of what machines boot from CDs: a loader such as
	// isolinux.bin, and a FAT image with EFI programs. The table that such a loader has for
	// its place (boot info table) is filled in where it is known to read that.
	BIOS, UEFI string
	// BootFrom is an image file whose boot equipment is made again, and whose label is taken
	// where none is given. Its boot images are taken unless the sources have files of their
	// paths. BIOS and UEFI must be empty then.
	BootFrom string
	// Epoch is the latest time of files, and the time of those that are not on disk; nil: no
	// limit, and the time of the newest file (1 January 1970 without one).
	Epoch *time.Time
	// MediaCheck gives the image a media check of isomd5sum.
	MediaCheck bool
}

// boot is what the image is to boot from: nil for nothing.
func (o MasterOptions) boot() *scan.Boot {
	b := &scan.Boot{From: o.BootFrom}
	add := func(p string, e boot.EntrySpec) {
		if p != "" {
			b.Catalog = cmp.Or(b.Catalog, path.Join(path.Dir(p), "boot.cat"))
			b.Entries = append(b.Entries, scan.Entry{EntrySpec: e, Path: p})
		}
	}
	add(o.BIOS, boot.EntrySpec{Platform: boot.BIOS, Sectors: 4})
	add(o.UEFI, boot.EntrySpec{Platform: boot.UEFI})
	if len(b.Entries) == 0 && b.From == "" {
		return nil
	}
	return b
}

// Master plans a new image. Nothing is written; of files only those that boot are read. Two
// sources for one path are an error that names both, except for directories, which merge.
func Master(ctx context.Context, roots []Root, o MasterOptions) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.BootFrom != "" && o.BIOS+o.UEFI != "" {
		return nil, fmt.Errorf("boot from %s and from %s: %w", o.BootFrom, cmp.Or(o.BIOS, o.UEFI), fs.ErrInvalid)
	}
	var sources []scan.Graft
	for _, r := range roots {
		sources = append(sources, scan.Graft{Source: r.Source, Dest: r.Dest, Content: r.Content})
	}
	img, err := build.Master(sources, scan.Options{
		Texts: iso9660.VolumeTexts{Volume: o.Label}, RockRidge: !o.Plain, Rational: true, Joliet: o.Joliet,
		Epoch: o.Epoch, Implant: o.MediaCheck, Boot: o.boot(), Fix: true,
	})
	if err != nil {
		return nil, err
	}
	return &Image{img}, nil
}
