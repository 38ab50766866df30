package isolayer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/tree"
)

// stage is where steps change the tree.
func (b *Base) stage(ctx context.Context, t *tree.Tree, o Options) *stage {
	files := b.files.Part()
	return &stage{ctx: ctx, owned: &owned{list: []io.Closer{files}}, base: b, fields: map[iso9660.Field]string{}, tree: t, files: files, options: o, local: localtree.NewSources(files), boot: b.boot, objects: map[string]extent.Source{}}
}

// Build plans the image that the steps, in order, make of the base. Nothing is
// written but temporary files; Close the image to remove them. Errors of a step name it.
// When the context ends, so does Build.
func (b *Base) Build(ctx context.Context, steps []Step, o Options) (*Image, error) {
	t, err := b.Tree()
	if err != nil {
		return nil, err
	}
	if o.Epoch != nil {
		t.Epoch = *o.Epoch
	}
	s := b.stage(ctx, t, o)
	s.packages, _ = packages(t)
	img, err := s.build(steps)
	if err != nil {
		return nil, errors.Join(err, s.owned.Close())
	}
	img.owned = s.owned
	return img, nil
}

// do carries out a step, unless the context has ended.
func (s *stage) do(step Step) error {
	err := s.ctx.Err()
	if err == nil {
		err = s.carry(step)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	return nil
}

// working says what is begun.
func (s *stage) working(what string) {
	if s.options.Working != nil {
		s.options.Working(what)
	}
}

// build carries out steps, then what follows from them, and plans the image.
func (s *stage) build(steps []Step) (*Image, error) {
	for _, step := range joined(steps) {
		if err := s.do(step); err != nil {
			return nil, err
		}
	}
	lower, err := s.drafted()
	if err != nil {
		return nil, err
	}
	if err := s.insecure(); err != nil {
		return nil, err
	}
	if err := s.follow(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.base.path, err)
	}
	if errs := s.base.img.Missing(); len(errs) > 0 {
		return nil, &ImageError{"", s.base.path, errs[0]}
	}
	maps.Copy(s.fields, s.options.Fields)
	note, err := s.renew()
	if err != nil {
		return nil, fmt.Errorf("%s: new UUID: %w", s.base.path, err)
	}
	img, err := s.plan()
	if err != nil {
		return nil, &ImageError{"", s.base.path, err}
	}
	img.lower = lower
	if note != "" {
		img.Report.Notes = append(img.Report.Notes, note)
	}
	return img, nil
}

// follow does what follows from the steps and needs no plan.
func (s *stage) follow() error {
	if err := s.installs(); err != nil {
		return err
	}
	if err := s.summary(); err != nil {
		return err
	}
	if err := s.refreshRepositories(); err != nil {
		return err
	}
	return s.trust()
}

// drafted is what a layer on a draft may patch: what the steps left, without what follows
// from them.
func (s *stage) drafted() (*lowers, error) {
	if !s.options.draft {
		return nil, nil
	}
	return s.lowers()
}

// renew gives the image another UUID if that is asked for, and says so.
func (s *stage) renew() (note string, err error) {
	if !s.options.NewUUID {
		return "", nil
	}
	r, err := s.renewUUID()
	if err != nil {
		return "", err
	}
	s.modified = r.time
	return r.note(), nil
}

// plan places everything, until the image is true in itself.
func (s *stage) plan() (*Image, error) {
	b, o, l := s.base, s.options, s.base.layout()
	var area []byte
	if src := s.objects[SystemArea]; src != nil {
		var err error
		if l, area, err = b.withSystemArea(src); err != nil {
			return nil, err
		}
	}
	res, err := s.settle(func() (*layout.Result, error) {
		return layout.Plan(l, s.tree, layout.Options{
			KeepFreed: o.KeepFreed, AtEnd: o.AtEnd, InPlace: o.InPlace, Compact: o.Compact,
			Objects: s.objects, Drop: o.NoBoot, Repair: o.Repair, SystemArea: area, Modified: s.modified, Fields: s.fields, Named: s.tables(),
		})
	})
	if err != nil {
		return nil, err
	}
	res.Report.BootFiles, res.Report.Warnings = s.bootFiles, append(res.Report.Warnings, s.warnings...)
	res.Report.Notes, res.Report.Unattended = append(res.Report.Notes, s.notes...), s.unattended
	if volume := int64(b.img.Primary().SpaceSize()) * iso9660.BlockSize; volume > b.Size() {
		res.Report.Warnings = append(res.Report.Warnings, fmt.Sprintf("the base is cut short: %d bytes of %d; all files are there", b.Size(), volume))
	}
	img := &Image{Map: res.Map, Report: res.Report}
	if o.InPlace {
		img.edit = &inplace.Edit{Base: b.src, Overwritten: res.Overwritten, Wiped: res.Wiped}
	}
	if err := b.mediaCheck(img, o.MediaCheck); err != nil {
		return nil, err
	}
	img.Report.Written = img.Map.Written(b.src) // the field of the check is a part of it
	return img, s.untested(img)
}
