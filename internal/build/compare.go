package build

import (
	"context"
	"fmt"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/verify"
)

// Verify checks whether the image file at path is sound. Unlike Open it also takes
// images whose trees cannot be read: that is in the report.
func Verify(ctx context.Context, path string, o verify.Options) (report *verify.Report, err error) {
	err = withFile(path, func(src extent.Source) (err error) {
		report, err = verify.Image(ctx, src, src.Size(), o)
		return err
	})
	return report, err
}

// Compare says how the image differs from base, the image it was made of.
func Compare(ctx context.Context, b *baseimage.Base, base *baseimage.Base, progress diff.Progress) (*diff.Report, error) {
	before, err := Side(base)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", base.Path(), err)
	}
	after, err := Side(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Path(), err)
	}
	return diff.Images(ctx, before, after, progress)
}

// Side is the image as package diff takes it.
func Side(b *baseimage.Base) (diff.Side, error) {
	t, err := b.Merged()
	return diff.Side{Source: b.Source(), Size: b.Size(), Image: b.Image(), Tree: t, Boot: b.Boot()}, err
}
