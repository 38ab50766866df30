package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// step is how much is compared at once.
const step = 1 << 20

// comparison compares two images.
type comparison struct {
	ctx      context.Context // of the one call that the comparison lives for
	a, b     Side
	progress Progress
	pairs    verdicts
	done     int64 // bytes compared
	total    int64 // bytes to compare, about
	limit    int64 // bytes; crafted trees list the same bytes over and over
	bufs     [2][]byte
	sections [2][]iso9660.Section // of the files that are compared

	changes   []Change
	same      int
	sameBytes int64
}

// places are where the content of a file lies in both images.
type places struct {
	a, b iso9660.LBA
	size int64
}

// verdicts are what is known of pairs of content, by their places.
type verdicts struct {
	short map[places]verdict // of content in one section
	long  map[string]verdict
}

// get returns what is known of content of the same size.
func (v *verdicts) get(a, b []iso9660.Section) verdict {
	if len(a) == 1 && len(b) == 1 {
		return v.short[places{a[0].LBA, b[0].LBA, a[0].Size}]
	}
	return v.long[fmt.Sprint(a, b)]
}

// set notes what get returns from then on.
func (v *verdicts) set(a, b []iso9660.Section, to verdict) {
	if v.short == nil {
		v.short, v.long = map[places]verdict{}, map[string]verdict{}
	}
	if len(a) == 1 && len(b) == 1 {
		v.short[places{a[0].LBA, b[0].LBA, a[0].Size}] = to
	} else {
		v.long[fmt.Sprint(a, b)] = to
	}
}

// verdict is what is known of a pair of content.
type verdict uint8

const (
	unknown verdict = iota
	different
	same
	counted // and sameBytes has it
)

// content reports whether two files hold the same bytes, and if not, why it says so.
// See RATIONALE.md, "diff reads what it calls the same".
func (c *comparison) content(m, n *tree.Node) (alike bool, why string, err error) {
	if m.Size() != n.Size() {
		return false, "content", nil
	}
	if m.Size() == 0 {
		return true, "", nil
	}
	a, b := c.places(m, n)
	if c.pairs.get(a, b) == unknown {
		if c.done > c.limit-m.Size() {
			return false, "content not compared: the trees list more than the images hold", nil
		}
		if !inside(a, c.a.Size) || !inside(b, c.b.Size) {
			return false, "content not compared: it is not all in the image", nil
		}
		if alike = c.shared(a, b); !alike {
			if alike, err = c.equal(parts{c.a.Source, a}, parts{c.b.Source, b}, m.Size()); err != nil {
				return false, "", fmt.Errorf("compare %s: %w", n.Path(), err)
			}
		}
		is := different
		if alike {
			is = same
		}
		c.pairs.set(a, b, is)
	}
	return c.pairs.get(a, b) >= same, "content", nil
}

// shared reports whether the content of two files is the same because it comes from the same
// place: of images that are only planned, and made of the same base, nearly all does.
func (c *comparison) shared(m, n []iso9660.Section) bool {
	a, ok := c.a.Source.(*extent.Composed)
	b, ok2 := c.b.Source.(*extent.Composed)
	if !ok || !ok2 || len(m) != len(n) {
		return false
	}
	for i := range m {
		if m[i].Size != n[i].Size || !extent.Shared(a, m[i].LBA.Offset(), b, n[i].LBA.Offset(), m[i].Size) {
			return false
		}
	}
	return true
}

// places returns where the content of two files lies, until it is called again.
func (c *comparison) places(m, n *tree.Node) (a, b []iso9660.Section) {
	c.sections = [2][]iso9660.Section{m.AppendContent(c.sections[0][:0]), n.AppendContent(c.sections[1][:0])}
	return c.sections[0], c.sections[1]
}

// count notes a file whose content is the same in both images.
func (c *comparison) count(m, n *tree.Node) {
	c.same++
	if m.Size() == 0 {
		return
	}
	if a, b := c.places(m, n); c.pairs.get(a, b) != counted {
		c.pairs.set(a, b, counted)
		c.sameBytes += m.Size()
	}
}

func inside(sections []iso9660.Section, size int64) bool {
	for _, s := range sections {
		if s.LBA.Offset()+s.Size > size {
			return false
		}
	}
	return true
}

// equal compares n bytes of two readers.
func (c *comparison) equal(a, b io.ReaderAt, n int64) (bool, error) {
	if c.bufs[0] == nil {
		c.bufs = [2][]byte{make([]byte, step), make([]byte, step)}
	}
	for off := int64(0); off < n; off += step {
		if err := c.ctx.Err(); err != nil {
			return false, err
		}
		x, y := c.bufs[0][:min(step, n-off)], c.bufs[1][:min(step, n-off)]
		for i, r := range []io.ReaderAt{a, b} {
			buf := [][]byte{x, y}[i]
			if got, err := r.ReadAt(buf, off); got < len(buf) {
				if err == nil || errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return false, err
			}
		}
		c.done += int64(len(x))
		if c.progress != nil {
			c.progress(min(c.done, c.total), c.total)
		}
		if !bytes.Equal(x, y) {
			return false, nil
		}
	}
	return true, nil
}

// parts reads the sections of a file as one, as they are stored.
type parts struct {
	r        io.ReaderAt
	sections []iso9660.Section
}

// ReadAt implements io.ReaderAt.
func (p parts) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for _, s := range p.sections {
		if off >= s.Size {
			off -= s.Size
			continue
		}
		want := int(min(int64(len(b)-n), s.Size-off))
		got, err := p.r.ReadAt(b[n:n+want], s.LBA.Offset()+off)
		if n += got; got < want {
			return n, err
		}
		if off = 0; n == len(b) {
			return n, nil
		}
	}
	return n, io.EOF
}
