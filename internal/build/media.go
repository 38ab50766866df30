package build

import (
	"context"
	"errors"
	"os"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/mediacheck"
)

// What is known of media checks.
type (
	// MediaState is the media check of an image, and what checking it came to.
	MediaState = mediacheck.State
	// ImplantOptions tune ImplantMedia.
	ImplantOptions = mediacheck.ImplantOptions
)

var (
	// ErrNoMediaCheck reports an image without a media check.
	ErrNoMediaCheck = mediacheck.ErrNone
	// ErrFieldUsed reports a field that is not ours to overwrite.
	ErrFieldUsed = mediacheck.ErrFieldUsed
)

// ReadMediaCheck reads the media check of an image file without checking it. Nothing
// else of the image needs to be readable. ErrNoMediaCheck if it has none.
func ReadMediaCheck(path string) (m *MediaState, err error) {
	err = withFile(path, func(src extent.Source) (err error) {
		m, err = mediacheck.Read(src)
		return err
	})
	return m, err
}

// CheckMedia compares an image file with its media check; it stops at the first
// fragment that is damaged.
func CheckMedia(ctx context.Context, path string, progress func(done, total int64)) (m *MediaState, err error) {
	err = withFile(path, func(src extent.Source) (err error) {
		m, err = mediacheck.CheckImage(ctx, src, progress)
		return err
	})
	return m, err
}

// ImplantMedia puts a media check of isomd5sum into an image file: 512 bytes are
// written, in place, after all was read. A field in use gives ErrFieldUsed.
func ImplantMedia(ctx context.Context, path string, o ImplantOptions) (tag *mediacheck.Tag, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = withFile(path, func(src extent.Source) error {
		if tag, err = mediacheck.Implant(ctx, src, o); err != nil {
			return err
		}
		field, err := tag.Field()
		if err != nil {
			return err
		}
		if x, ok := src.(extent.Checked); ok {
			if err := x.Check(ctx); err != nil {
				return err
			}
		}
		if _, err := f.WriteAt(field, mediacheck.Offset); err != nil {
			return err
		}
		return f.Sync()
	})
	return tag, err
}

// withFile opens a file for reading.
func withFile(path string, use func(extent.Source) error) (err error) {
	if err := inplace.Recover(inplace.Target{Image: path}); err != nil {
		return &baseimage.ImageError{Op: "open", Path: path, Err: baseimage.Bare(err)}
	}
	files := extent.NewFiles()
	defer func() { err = errors.Join(err, files.Close()) }()
	src, err := files.Add(path)
	if err != nil {
		return &baseimage.ImageError{Op: "open", Path: path, Err: baseimage.Bare(err)}
	}
	if err := use(src); err != nil {
		return &baseimage.ImageError{Op: "", Path: path, Err: baseimage.Bare(err)}
	}
	return nil
}
