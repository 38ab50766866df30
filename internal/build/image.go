package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/mediacheck"
	"github.com/isolayer/isolayer/sink"
)

// ErrUnsealed reports bytes of an image that are not known before it is sealed; see
// Image.Seal.
var ErrUnsealed = extent.ErrUnsealed

// Image is a planned image. It is safe for concurrent use: it may be written any number
// of times at once. Close it when it is not needed any more; its base must stay open
// until then.
type Image struct {
	// Map has all its bytes, but for a media check, which comes from the others: reading
	// that gives ErrUnsealed unless the image is Sealed.
	Map    *extent.Map
	Report layout.Report

	// Lower is what a layer on a draft may patch.
	Lower *apply.Lowers

	base   extent.Source    // nil for an image that is made from nothing
	check  *lateCheck       // to be computed, or nil
	places []place          // of slots that have no content yet
	edit   *inplace.Edit    // nil unless planned for that
	owned  *baseimage.Owned // what Close closes
}

// lateCheck is a media check that is computed when the image is written. It is shared by
// an image and those sealed of it.
type lateCheck struct {
	tag    *mediacheck.Tag
	blocks int64 // of the volume

	mu    sync.Mutex
	said  string          // what it is, once that is known
	field []extent.Extent // its bytes, then
}

// observer computes the media check for one writer.
func (c *lateCheck) observer() (sink.Observer, error) {
	h, err := mediacheck.NewHasher(c.tag, c.blocks)
	if err != nil {
		return sink.Observer{}, err
	}
	return sink.Observer{Writer: h, Late: func() ([]extent.Extent, error) {
		tag, err := h.Tag()
		if err != nil {
			return nil, err
		}
		field, err := tag.Field()
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.said = fmt.Sprintf("%s %s", tag.Kind, tag.Sum)
		c.field = []extent.Extent{extent.BytesOf(mediacheck.Offset, field)}
		return c.field, nil
	}}, nil
}

// known returns the bytes of the media check, nil before they are computed.
func (c *lateCheck) known() []extent.Extent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.field
}

// ready returns the map to write, and what computes its media check meanwhile unless it
// is known already.
func (i *Image) ready() (*extent.Map, []sink.Observer, error) {
	if i.Sealed() {
		return i.Map, nil, nil
	}
	if len(i.places) > 0 {
		return nil, nil, fmt.Errorf("%s: %w", i.places[0].slot.Name(), ErrUnsealed)
	}
	if field := i.check.known(); field != nil {
		m, err := i.Map.Overlay(field)
		return m, nil, err
	}
	o, err := i.check.observer()
	return i.Map, []sink.Observer{o}, err
}

// MediaCheck is the program and the sum of a media check that was computed, "" if there
// is none or the image was not written or sealed yet.
func (i *Image) MediaCheck() string {
	if i.check == nil {
		return ""
	}
	i.check.mu.Lock()
	defer i.check.mu.Unlock()
	return i.check.said
}

// Sealed reports whether all bytes of the image are known. A media check is not, until
// the image is sealed, nor is a slot; an image that has neither is sealed from the start.
func (i *Image) Sealed() bool { return i.Map.Sealed() }

// Seal returns the image with what depends on other bytes, which takes a pass over all
// of them unless it was written before. The image itself stays as it is. To close either
// closes both.
func (i *Image) Seal(ctx context.Context, progress func(done, total int64)) (*Image, error) {
	m, obs, err := i.ready()
	if err == nil && len(obs) > 0 {
		m, err = sink.Feed(ctx, m, progress, obs...)
	}
	if err != nil {
		return nil, err
	}
	sealed := *i
	sealed.Map, sealed.Report.MediaCheck = m, i.MediaCheck()
	return &sealed, nil
}

// Unchanged reports whether the image is the base, byte for byte.
func (i *Image) Unchanged() bool {
	es := i.Map.Extents()
	return len(es) == 1 && es[0].Kind == extent.Copy && es[0].SrcOff == 0 && es[0].Len == es[0].Src.Size()
}

func (i *Image) warn(s string) { i.Report.Warnings = append(i.Report.Warnings, s) }

// WriteFile writes the image to a file that appears whole or not at all; see sink.File.
// A media check is computed while the bytes are written.
func (i *Image) WriteFile(ctx context.Context, path string, o sink.Options) (sink.Result, error) {
	m, obs, err := i.ready()
	if err != nil {
		return sink.Result{}, err
	}
	o.Observe = append(obs, o.Observe...)
	return sink.File(ctx, path, m, o)
}

// Stream writes the image to a stream; see sink.Stream. A media check, which stands in
// front of what it covers, takes a pass over all bytes beforehand.
func (i *Image) Stream(ctx context.Context, w io.Writer, o sink.Options) (sink.Result, error) {
	m, obs, err := i.ready()
	if err != nil {
		return sink.Result{}, err
	}
	o.Observe = append(obs, o.Observe...)
	return sink.Stream(ctx, w, m, o)
}

// InPlaceOptions tune WriteInPlace.
type InPlaceOptions struct {
	Undo     inplace.UndoPolicy
	Progress func(done, total int64)
}

// WriteInPlace changes the base's file to be the image, which must have been planned
// with Options.InPlace; see inplace.Apply. A media check takes a pass over all bytes
// beforehand, see Seal.
func (i *Image) WriteInPlace(ctx context.Context, o InPlaceOptions) (inplace.Result, error) {
	if i.edit == nil {
		return inplace.Result{}, errors.New("the image was not planned for its place")
	}
	if _, ok := i.edit.Base.(*extent.File); !ok {
		return inplace.Result{}, fmt.Errorf("change %s: %w: it is no file", i.edit.Base.Name(), errors.ErrUnsupported)
	}
	sealed, err := i.Seal(ctx, o.Progress)
	if err != nil || i.Unchanged() {
		return inplace.Result{}, err
	}
	e := *i.edit
	e.Map, e.Undo, e.Progress = sealed.Map, o.Undo, o.Progress
	path := e.Base.Name()
	e.Check = func() error { return sink.Check(e.Map, e.Base) }
	res, err := inplace.Apply(ctx, path, e)
	if err != nil {
		return res, fmt.Errorf("change %s: %w", path, baseimage.Bare(err))
	}
	return res, nil
}

// Undo takes the last edit in place of the image file at path back; see inplace.Undo.
func Undo(path string) error {
	if err := inplace.Undo(path); err != nil {
		return fmt.Errorf("undo %s: %w", path, baseimage.Bare(err))
	}
	return nil
}

// Own lets Close close something else, too.
func (i *Image) Own(c io.Closer) { i.owned.Add(c) }

// Close lets go of what the image is made of besides its base: temporary files of layers,
// and the files of a mastered one.
func (i *Image) Close() error {
	if i.owned == nil {
		return nil
	}
	return i.owned.Close()
}
