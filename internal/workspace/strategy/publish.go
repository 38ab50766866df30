package strategy

import (
	"context"
	"errors"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/atomicfile"
	"github.com/isolayer/isolayer/sink"
)

// Publish gives a finished file its name: by renaming it, or by a copy where that is on
// another file system. It returns its size in bytes.
func Publish(ctx context.Context, from, to string) (size int64, err error) {
	files := extent.NewFiles()
	defer func() { err = errors.Join(err, files.Close()) }()
	src, err := files.Add(from)
	if err != nil {
		return 0, err
	}
	if err := atomicfile.Adopt(ctx, from, to); !atomicfile.Unsupported(err) {
		return src.Size(), err
	}
	m, err := extent.New([]extent.Extent{extent.CopyOf(0, src, 0, src.Size())})
	if err != nil {
		return 0, err
	}
	_, err = sink.File(to).Write(ctx, sink.Plan{Map: m}, sink.Options{})
	return src.Size(), err
}
