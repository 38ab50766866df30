package build

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/pkgrepo"
	"github.com/isolayer/isolayer/internal/refresh"
	"github.com/isolayer/isolayer/internal/stage"
)

// Build plans the image that the steps, in order, make of the base. Nothing is
// written but temporary files; Close the image to remove them. Errors of a step name it.
// When the context ends, so does Build.
func Build(ctx context.Context, b *baseimage.Base, steps []edit.Step, o stage.Options) (*Image, error) {
	t, err := b.Tree()
	if err != nil {
		return nil, err
	}
	if o.Epoch != nil {
		t.Epoch = *o.Epoch
	}
	s := stage.New(ctx, b, t, o)
	s.Packages, _ = pkgrepo.Packages(t)
	img, err := build(s, steps)
	if err != nil {
		return nil, errors.Join(err, s.Owned.Close())
	}
	img.owned = s.Owned
	return img, nil
}

// build carries out steps, then what follows from them, and plans the image.
func build(s *stage.Stage, steps []edit.Step) (*Image, error) {
	for _, step := range apply.Joined(steps) {
		if err := apply.Do(s, step); err != nil {
			return nil, err
		}
	}
	lower, err := drafted(s)
	if err != nil {
		return nil, err
	}
	if err := refresh.Insecure(s); err != nil {
		return nil, err
	}
	if err := follow(s); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Base.Path(), err)
	}
	if errs := s.Base.Image().Missing(); len(errs) > 0 {
		return nil, &baseimage.ImageError{Op: "", Path: s.Base.Path(), Err: errs[0]}
	}
	maps.Copy(s.Fields, s.Options.Fields)
	note, err := renew(s)
	if err != nil {
		return nil, fmt.Errorf("%s: new UUID: %w", s.Base.Path(), err)
	}
	img, err := plan(s)
	if err != nil {
		return nil, &baseimage.ImageError{Op: "", Path: s.Base.Path(), Err: err}
	}
	img.Lower = lower
	if note != "" {
		img.Report.Notes = append(img.Report.Notes, note)
	}
	return img, nil
}

// follow does what follows from the steps and needs no plan.
func follow(s *stage.Stage) error {
	if err := apply.Installs(s); err != nil {
		return err
	}
	if err := bootedit.Summary(s); err != nil {
		return err
	}
	if err := pkgrepo.RefreshRepositories(s); err != nil {
		return err
	}
	return refresh.Trust(s)
}

// drafted is what a layer on a draft may patch: what the steps left, without what follows
// from them.
func drafted(s *stage.Stage) (*apply.Lowers, error) {
	if !s.Options.Draft {
		return nil, nil
	}
	return apply.LowersOf(s)
}

// renew gives the image another UUID if that is asked for, and says so.
func renew(s *stage.Stage) (note string, err error) {
	if !s.Options.NewUUID {
		return "", nil
	}
	r, err := bootedit.RenewUUID(s)
	if err != nil {
		return "", err
	}
	s.Modified = r.Time
	return r.Note(), nil
}

// plan places everything, until the image is true in itself.
func plan(s *stage.Stage) (*Image, error) {
	b, o, l := s.Base, s.Options, s.Base.Layout()
	var area []byte
	if src := s.Objects[baseimage.SystemArea]; src != nil {
		var err error
		if l, area, err = withSystemArea(b, src); err != nil {
			return nil, err
		}
	}
	res, err := refresh.Refresh(s, func() (*layout.Result, error) {
		return layout.Plan(l, s.Tree, layout.Options{
			KeepFreed: o.KeepFreed, AtEnd: o.AtEnd, InPlace: o.InPlace, Compact: o.Compact,
			Objects: s.Objects, Drop: o.NoBoot, Repair: o.Repair, SystemArea: area, Modified: s.Modified, Fields: s.Fields, Named: refresh.Tables(s),
		})
	})
	if err != nil {
		return nil, err
	}
	res.Report.BootFiles, res.Report.Warnings = s.BootFiles, append(res.Report.Warnings, s.Warnings...)
	res.Report.Notes, res.Report.Unattended = append(res.Report.Notes, s.Notes...), s.Unattended
	if volume := int64(b.Image().Primary().SpaceSize()) * iso9660.BlockSize; volume > b.Size() {
		res.Report.Warnings = append(res.Report.Warnings, fmt.Sprintf("the base is cut short: %d bytes of %d; all files are there", b.Size(), volume))
	}
	img := &Image{Map: res.Map, Report: res.Report, base: b.Source()}
	if err := img.slots(); err != nil {
		return nil, err
	}
	if o.InPlace {
		img.edit = &inplace.Edit{Base: b.Source(), Overwritten: res.Overwritten, Wiped: res.Wiped}
	}
	if err := mediaCheck(b, img, o.MediaCheck); err != nil {
		return nil, err
	}
	img.Report.Written = img.Map.Written(b.Source()) // the field of the check is a part of it
	return img, untested(s, img)
}
