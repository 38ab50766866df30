package verify

import (
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/internal/mediacheck"
)

// mediaCheck recomputes the media checksum of the image.
func (c *checker) mediaCheck() (string, error) {
	p := c.img.Primary()
	switch {
	case p.Block != 16:
		return "", nil
	case p.MediaCheck() == "":
		return "none", nil
	}
	tag, err := mediacheck.Parse(p.AppUse())
	if err != nil || tag == nil {
		c.at(Problem, mediacheck.Offset, "%s: the tags are malformed: %v", p.MediaCheck(), err)
		return p.MediaCheck(), nil
	}
	out, err := mediacheck.Check(c.ctx, c.in, c.in.size, tag, mediacheck.Blocks(p.Raw), c.options.Progress)
	switch {
	case errors.Is(err, mediacheck.ErrShort), errors.Is(err, io.ErrUnexpectedEOF):
		c.at(Problem, mediacheck.Offset, "%s: %v", tag.Kind, err)
	case err != nil:
		return "", err
	case out.Fragment > 0:
		c.at(Problem, out.From, "%s: fragment %d, bytes %d to %d, is damaged: %s", tag.Kind, out.Fragment, out.From, out.To-1, c.filesIn(out.From, out.To))
	case !out.OK:
		c.at(Problem, out.From, "%s: %ssum is %s, the tag says %s; bytes %d to %d: %s", tag.Kind, tag.Digest, out.Got.Sum, tag.Sum, out.From, out.To-1, c.filesIn(out.From, out.To))
	}
	return fmt.Sprintf("%s %s", tag.Kind, tag.Sum), nil
}

// filesIn names what lies in a range of bytes.
func (c *checker) filesIn(from, to int64) string {
	names, err := c.img.FilesIn(from, to)
	if err != nil {
		return "the tree cannot be read"
	}
	return mediacheck.Where(names)
}
