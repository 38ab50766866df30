package isolayer

import (
	"context"
	"io"

	"github.com/isolayer/isolayer/internal/build"
)

// LayerOptions tune WriteLayer. The zero value is what most want.
type LayerOptions struct {
	// Plain writes whole files where a layer would have what differs in them, and what was
	// renamed as removed and new, for other programs than this one.
	Plain bool
	// Progress, unless nil, is called now and then with the bytes compared.
	Progress func(done, total int64)
}

// WriteLayer writes the change that turns base into the image, as an OCI layer: a tar archive
// that is not compressed. edit.Layer applies it, to the same base or to another one that has what
// it changes. What no layer can say of the change is returned, a sentence each.
func (b *Base) WriteLayer(ctx context.Context, base *Base, w io.Writer, o LayerOptions) (unsaid []string, err error) {
	l, unsaid, err := build.MakeLayer(ctx, b.in, base.in, build.LayerOptions{Plain: o.Plain, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	return unsaid, l.Write(w)
}
