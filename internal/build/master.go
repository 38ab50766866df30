package build

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/mediacheck"
	"github.com/isolayer/isolayer/internal/sample"
)

// Master plans a new image of local files. Nothing is written; of files only those that
// boot are read. Close the image when it has been written.
func Master(sources []scan.Graft, o scan.Options) (*Image, error) {
	res, err := scan.Plan(sources, o)
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

// mastered is the image of a plan.
func mastered(res *scan.Result) *Image {
	img := &Image{Map: res.Map, owned: &baseimage.Owned{List: []io.Closer{res}}}
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
