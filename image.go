package isolayer

import (
	"context"
	"io"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/sink"
)

// Image is a planned image: a value that may be read and written any number of times, also
// at once. Close it when it is not needed any more; its base must stay open until then.
type Image struct{ in *build.Image }

// Size returns the length of the image in bytes.
func (i *Image) Size() int64 { return i.in.Map.Size() }

// ReadAt implements [io.ReaderAt]: any part of the image, without writing it. Bytes that
// depend on others, those of a media check, give [ErrUnsealed] before the image is sealed.
func (i *Image) ReadAt(p []byte, off int64) (int, error) { return i.in.Map.ReadAt(p, off) }

// Map returns where each byte of the image comes from. It must not be changed.
func (i *Image) Map() *extent.Map { return i.in.Map }

// Report returns what Build did.
func (i *Image) Report() Report { return report(&i.in.Report) }

// Unchanged reports whether the image is its base, byte for byte.
func (i *Image) Unchanged() bool { return i.in.Unchanged() }

// Sealed reports whether all bytes of the image are known. Those of a media check are not,
// until the image is sealed; an image that has none to compute is sealed from the start.
func (i *Image) Sealed() bool { return i.in.Sealed() }

// Seal returns the image with what depends on other bytes, which takes a pass over all of
// them. The image itself stays as it is. To close either closes both. progress, unless nil,
// is called now and then with the bytes read.
func (i *Image) Seal(ctx context.Context, progress func(done, total int64)) (*Image, error) {
	sealed, err := i.in.Seal(ctx, progress)
	if err != nil {
		return nil, err
	}
	return &Image{sealed}, nil
}

// WriteTo writes the image to a sink: one of package sink, or of your own. A media check is
// computed while the bytes are written, or beforehand, as the sink can.
func (i *Image) WriteTo(ctx context.Context, s sink.Sink, o sink.Options) (sink.Result, error) {
	return i.in.WriteTo(ctx, s, o)
}

// WriteFile writes the image to a file that appears whole or not at all; blocks are shared
// with the base where the file system can do that. A media check is computed while the bytes
// are written.
func (i *Image) WriteFile(ctx context.Context, path string, o sink.Options) (sink.Result, error) {
	return i.in.WriteFile(ctx, path, o)
}

// Stream writes the image to a stream. A media check, which stands in front of what it
// covers, takes a pass over all bytes beforehand.
func (i *Image) Stream(ctx context.Context, w io.Writer, o sink.Options) (sink.Result, error) {
	return i.in.Stream(ctx, w, o)
}

// InPlaceOptions tune WriteInPlace.
type InPlaceOptions struct {
	// KeepUndo leaves beside the image what [Undo] needs.
	KeepUndo bool
	Progress func(done, total int64)
}

// WriteInPlace changes the base's file to be the image, which must have been planned with
// BuildOptions.InPlace. It is interrupted at no point without being completed or taken back
// by the next Open: a journal beside the file says how. The base cannot be used afterwards.
// The result is how many bytes were written.
func (i *Image) WriteInPlace(ctx context.Context, o InPlaceOptions) (written int64, err error) {
	place := sink.InPlaceOptions{Undo: sink.UndoDrop}
	if o.KeepUndo {
		place.Undo = sink.UndoKeep
	}
	res, err := i.in.WriteInPlace(ctx, place, sink.Options{Progress: o.Progress})
	return res.Written, err
}

// Close removes temporary files that the image is made of.
func (i *Image) Close() error { return i.in.Close() }
