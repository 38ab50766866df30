package isolayer

import (
	"context"
	"fmt"

	"github.com/isolayer/isolayer/extent"
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

// Compare tells how the image differs from base, the image it was made of.
func (b *Base) Compare(ctx context.Context, base *Base, progress diff.Progress) (*diff.Report, error) {
	before, err := base.Side()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", base.path, err)
	}
	after, err := b.Side()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.path, err)
	}
	return diff.Images(ctx, before, after, progress)
}

// Side is the image as package diff takes it.
func (b *Base) Side() (diff.Side, error) {
	t, err := b.merged()
	return diff.Side{Source: b.src, Size: b.Size(), Image: b.img, Tree: t, Boot: b.boot}, err
}
