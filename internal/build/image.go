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

// late makes the media check, whenever the image is written.
func (c *lateCheck) late() sink.Late {
	return sink.Late{Off: mediacheck.Offset, Len: mediacheck.Size, Start: func() (io.Writer, func() ([]byte, error), error) {
		h, err := mediacheck.NewHasher(c.tag, c.blocks)
		if err != nil {
			return nil, nil, err
		}
		return h, func() ([]byte, error) {
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
			return field, nil
		}, nil
	}}
}

// known returns the bytes of the media check, nil before they are computed.
func (c *lateCheck) known() []extent.Extent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.field
}

// plan is what a sink writes. A media check that is known already is not computed again.
func (i *Image) plan() (p sink.Plan, err error) {
	p.Map = i.Map
	if i.edit != nil {
		p.Base, p.Overwritten, p.Wiped = i.edit.Base, i.edit.Overwritten, i.edit.Wiped
	}
	switch {
	case i.Sealed():
	case len(i.places) > 0:
		err = fmt.Errorf("%s: %w", i.places[0].slot.Name(), ErrUnsealed)
	default:
		if field := i.check.known(); field != nil {
			p.Map, err = i.Map.Overlay(field)
		} else {
			p.Late = []sink.Late{i.check.late()}
		}
	}
	return p, err
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
	p, err := i.plan()
	if err != nil {
		return nil, err
	}
	m, err := p.Seal(ctx, progress)
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

// WriteTo writes the image to a sink. A media check is computed while the bytes are
// written, or beforehand, as the sink can.
func (i *Image) WriteTo(ctx context.Context, s sink.Sink, o sink.Options) (sink.Result, error) {
	p, err := i.plan()
	if err != nil {
		return sink.Result{}, err
	}
	return s.Write(ctx, p, o)
}

// WriteFile writes the image to a file that appears whole or not at all; see sink.File.
// A media check is computed while the bytes are written.
func (i *Image) WriteFile(ctx context.Context, path string, o sink.Options) (sink.Result, error) {
	return i.WriteTo(ctx, sink.File(path), o)
}

// Stream writes the image to a stream; see sink.Stream. A media check, which stands in
// front of what it covers, takes a pass over all bytes beforehand.
func (i *Image) Stream(ctx context.Context, w io.Writer, o sink.Options) (sink.Result, error) {
	return i.WriteTo(ctx, sink.Stream(w), o)
}

// WriteInPlace changes the base's file to be the image, which must have been planned
// with Options.InPlace; see sink.InPlace. A media check takes a pass over all bytes
// beforehand, see Seal.
func (i *Image) WriteInPlace(ctx context.Context, place sink.InPlaceOptions, o sink.Options) (sink.Result, error) {
	if i.edit == nil {
		return sink.Result{}, sink.ErrNoPlace
	}
	path := i.edit.Base.Name()
	if _, ok := i.edit.Base.(extent.Local); !ok {
		return sink.Result{}, fmt.Errorf("change %s: %w: it is not a file", path, errors.ErrUnsupported)
	}
	return i.WriteTo(ctx, sink.InPlace(path, place), o)
}

// Undo takes the last edit in place of the image file at path back.
func Undo(path string) error { return sink.Undo(path, sink.InPlaceOptions{}) }

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
