package isolayer

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/mediacheck"
	"github.com/isolayer/isolayer/internal/sample"
)

// What Master makes images of.
type (
	// Graft is a local file or directory and its place in the image.
	Graft = scan.Graft
	// MasterOptions say what image to make. The zero value is ISO 9660 level 1 without Rock
	// Ridge, as mkisofs makes it.
	MasterOptions = scan.Options
	// MasterBoot is the boot equipment to make, or the image that has its like.
	MasterBoot = scan.Boot
	// MasterEntry is one entry of the boot catalog.
	MasterEntry = scan.Entry
	// FileRange is a part of a local file.
	FileRange = scan.FileRange
	// Weight puts the content of files in front of that of others.
	Weight = scan.Weight
)

// MediaBySize is the medium of a boot image that is a floppy disk of its own size.
const MediaBySize = scan.MediaBySize

// ErrNotUTF8 reports a name that Joliet cannot have.
var ErrNotUTF8 = scan.ErrNotUTF8

// Master plans a new image of local files. Nothing is written; of files only those that
// boot are read. Close the image when it has been written.
func Master(sources []Graft, o MasterOptions) (*Image, error) {
	res, err := scan.Plan(sources, o, donor)
	if err != nil {
		return nil, err
	}
	img := mastered(res)
	if o.Implant {
		err = img.implant(res.Blocks)
	}
	if err != nil {
		return nil, errors.Join(err, img.Close())
	}
	return img, nil
}

// donor opens an image whose boot equipment is made again.
func donor(path string, limits fault.Limits) (*scan.Donor, error) {
	b, err := Open(path, OpenOptions{Limits: limits})
	if err != nil {
		return nil, err
	}
	return &scan.Donor{Boot: b.boot, Label: b.img.Primary().VolumeID(), Close: b.Close}, nil
}

// mastered is the image of a plan.
func mastered(res *scan.Result) *Image {
	img := &Image{Map: res.Map, owned: &owned{list: []io.Closer{res}}}
	r := &img.Report
	r.Size, r.Written, r.Content, r.Added = res.Map.Size(), res.Map.Size(), res.Content, res.Files
	for _, t := range res.Trees {
		r.Trees = append(r.Trees, layout.TreeReport{Hierarchy: t.Hierarchy, Placement: "new", Dirs: t.Dirs, Records: t.Records, Bytes: t.Bytes})
	}
	r.Notes, r.Warnings = res.Notes, res.Warnings
	return img
}

// implant notes that a media check is to be computed.
func (i *Image) implant(blocks int64) error {
	tag := mediacheck.New()
	if _, err := mediacheck.NewHasher(tag, blocks); err != nil {
		return fmt.Errorf("media check: %w", err)
	}
	return i.lateCheck(tag, blocks)
}

// SampleText is what the image of Sample prints when it boots.
const SampleText = sample.Text

// Sample plans a small image that boots with BIOS and UEFI, from CD and disk: programs of
// our own that print SampleText on the screen and the first serial port. epoch is the
// time of its files; nil: 1 January 2024.
func Sample(epoch *time.Time) (*Image, error) {
	when := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	if epoch != nil {
		when = *epoch
	}
	res, err := sample.Plan(when)
	if err != nil {
		return nil, err
	}
	return mastered(res), nil
}
