package build

import (
	"context"
	"errors"
	"fmt"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/tree"
)

// ReadLayer reads a layer from a file for f, which may use it until it returns.
func ReadLayer(path string, f func(*layer.Layer) error) (err error) {
	files := extent.NewFiles()
	defer func() { err = errors.Join(err, files.Close()) }()
	src, err := files.Add(path)
	if err != nil {
		return err
	}
	plain, spool, err := layer.Expand(src, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.Close()) }()
	l, err := layer.Read(plain)
	if err != nil {
		return err
	}
	return f(l)
}

// LayerOptions tune MakeLayer. The zero value is the default.
type LayerOptions struct {
	Plain    bool // see layer.From
	Progress diff.Progress

	Lower *apply.Lowers // if base is only planned
}

// MakeLayer makes the layer that turns base into b. Both must stay open until it is
// written. What no layer can say of the change is returned, a sentence each.
func MakeLayer(ctx context.Context, b *baseimage.Base, base *baseimage.Base, o LayerOptions) (l *layer.Layer, unsaid []string, err error) {
	before, err := Side(base)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", base.Path(), err)
	}
	after, err := Side(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", b.Path(), err)
	}
	r, err := diff.Images(ctx, before, after, o.Progress)
	if err != nil {
		return nil, nil, err
	}
	lower := o.Lower
	if lower == nil && !o.Plain {
		if lower, err = apply.BaseLowers(base); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", base.Path(), err)
		}
	}
	return layer.New(layer.From{
		Report: r, Before: before, After: after, Content: func(n *tree.Node) (extent.Source, error) { return NodeSource(b, n) },
		Object: func(name string) (extent.Source, error) { return objectSource(b, name) },
		Lower:  lower.File, LowerObject: lower.Object, Plain: o.Plain,
	})
}

// NodeSource is a file of the image as a source.
func NodeSource(b *baseimage.Base, n *tree.Node) (extent.Source, error) {
	r, size, err := b.Open(n)
	if err == nil {
		err = b.Charge(n, size)
	}
	if err != nil {
		return nil, &baseimage.ImageError{Op: "", Path: b.Path(), Err: err}
	}
	return baseimage.PartOf(r, n.Path(), size, b.Path()), nil
}

// objectSource is what no directory lists as a source; its name is that for Add.
func objectSource(b *baseimage.Base, name string) (extent.Source, error) {
	if name == diff.BootCode {
		return baseimage.PartOf(b.Source(), baseimage.SystemArea, baseimage.BootCode, b.Path()), nil
	}
	r, err := b.Object(name)
	if err != nil {
		return nil, err
	}
	return baseimage.PartOf(r, name, r.Size(), b.Path()), nil
}
