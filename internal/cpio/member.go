package cpio

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cavaliergopher/cpio"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// windowLimit bounds the memory that a compressed stream may ask for. Linux takes
// windows of 128 MiB at most.
const windowLimit = 256 << 20

// magics are how archives begin (lib/decompress.c, init/initramfs.c).
var magics = []struct {
	bytes string
	c     Compression
}{
	{"070701", None},
	{"070702", None},
	{"\x1f\x8b", Gzip},
	{"\xfd7zXZ\x00", XZ},
	{"\x28\xb5\x2f\xfd", Zstd},
	{"BZh", Bzip2},
	{"\x5d\x00\x00", LZMA},
	{"\x02\x21\x4c\x18", LZ4},
	{"\x89LZO", LZO},
}

// member is a piece of an initrd: a compressed stream, or what may be a plain archive.
type member struct {
	compression Compression
	r           io.ReaderAt
	off, size   int64
	end         func() int64 // its length, once all of it was read; nil if size says it
}

// member looks what is at off, and how far it reaches: to the end for a plain archive,
// and for a stream whose end only unpacking shows.
func (i *Initrd) member(off int64) (*member, error) {
	head := make([]byte, 6)
	n, err := i.r.ReadAt(head, off)
	if n < 2 {
		return nil, unexpected(err)
	}
	k := slices.IndexFunc(magics, func(m struct {
		bytes string
		c     Compression
	},
	) bool {
		return bytes.HasPrefix(head[:n], []byte(m.bytes))
	})
	if k < 0 {
		return nil, fmt.Errorf("%w: nothing that Linux unpacks begins with % x", ErrFormat, head[:n])
	}
	m := &member{compression: magics[k].c, r: i.r, off: off, size: i.size - off}
	if m.compression == Zstd {
		if m.size, err = m.zstdEnd(i.raw); err != nil {
			return nil, fmt.Errorf("%s stream: %w", m.compression, unexpected(err))
		}
	}
	return m, nil
}

func (m *member) section() *io.SectionReader { return io.NewSectionReader(m.r, m.off, m.size) }

// open unpacks the member. Of gzip and xz the end is where unpacking stops.
func (m *member) open() (io.ReadCloser, error) {
	raw := &tally{r: m.section()}
	in := bufio.NewReaderSize(raw, 256<<10)
	m.end = nil
	switch m.compression {
	case None:
		return io.NopCloser(in), nil
	case Gzip:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("gzip stream: %w", unexpected(err))
		}
		z.Multistream(false) // RFC 1952: the next member is another archive
		m.end = func() int64 { return raw.n - int64(in.Buffered()) }
		return z, nil
	case Bzip2:
		return io.NopCloser(bzip2.NewReader(in)), nil
	case LZ4:
		return io.NopCloser(lz4.NewReader(in)), nil
	case Zstd:
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowLimit))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case XZ:
		g := newXZGuard(in)
		r, err := xz.ReaderConfig{SingleStream: true}.NewReader(bufio.NewReaderSize(g, 64<<10))
		if err != nil {
			g.stop()
			return nil, fmt.Errorf("xz stream: %w", unexpected(err))
		}
		m.end = func() int64 { return g.walk.n }
		return &xzReader{bufio.NewReaderSize(r, 64<<10), g}, nil
	case LZMA:
		if h, err := in.Peek(5); err != nil || binary.LittleEndian.Uint32(h[1:]) > windowLimit {
			return nil, fmt.Errorf("window: %w", ErrLimit)
		}
		r, err := lzma.NewReader(in)
		return closer(r, err)
	}
	return nil, fmt.Errorf("%s: %w", m.compression, ErrCompression)
}

func closer(r io.Reader, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bufio.NewReaderSize(r, 64<<10)), nil
}

// tally counts what is read.
type tally struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	return n, err
}

// zstdEnd is the length of one frame, with skippable ones in front (RFC 8878 3.1), by the
// headers of its blocks.
func (m *member) zstdEnd(r io.ReaderAt) (int64, error) {
	at := int64(0)
	var b [18]byte
	read := func(n int64) ([]byte, error) {
		_, err := io.NewSectionReader(r, m.off, m.size).ReadAt(b[:n], at)
		at += n
		return b[:n], err
	}
	h, err := read(5)
	if err != nil {
		return 0, err
	}
	d := h[4]
	at += []int64{0, 1, 2, 4}[d&3] + []int64{0, 2, 4, 8}[d>>6] // dictionary id, content size
	if single := d&0x20 != 0; !single {
		at++ // window
	} else if d>>6 == 0 {
		at++ // content size of one byte
	}
	for {
		h, err := read(3)
		if err != nil {
			return 0, err
		}
		v := int64(h[0]) | int64(h[1])<<8 | int64(h[2])<<16
		switch n := v >> 3; v >> 1 & 3 {
		case 0, 2:
			at += n
		case 1: // a byte that repeats
			at++
		default:
			return 0, fmt.Errorf("block at %d: %w", at-3, ErrFormat)
		}
		if v&1 != 0 {
			break
		}
	}
	if d&4 != 0 {
		at += 4 // checksum
	}
	return m.within(at)
}

func (m *member) within(n int64) (int64, error) {
	if n > m.size {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

// counter counts what is read, up to a limit.
type counter struct {
	r       io.Reader
	n, left int64
	peeked  []byte
	last    []byte // as many of the last bytes as a trailer has
}

func (c *counter) Read(p []byte) (int, error) {
	if len(c.peeked) > 0 {
		n := copy(p, c.peeked)
		c.peeked = c.peeked[n:]
		c.n += int64(n)
		return n, nil
	}
	if c.left <= 0 && len(p) > 0 {
		if n, err := c.r.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, fmt.Errorf("more than it may unpack to: %w", ErrLimit)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	tail := p[max(0, n-len(trailer)):n]
	c.last = append(c.last[min(len(c.last), max(0, len(c.last)+len(tail)-len(trailer))):], tail...)
	c.n += int64(n)
	c.left -= int64(n)
	return n, err
}

// align goes to the next multiple of four, counted from start, and returns how far that
// is from there. The end of the input will do.
func (c *counter) align(start int64) (int64, error) {
	if n := -(c.n - start) & 3; n > 0 {
		if _, err := io.CopyN(io.Discard, c, n); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	return c.n - start, nil
}

// skipZeros reads zeros, and reports whether anything follows.
func (c *counter) skipZeros() (bool, error) {
	b := make([]byte, 1)
	for {
		switch n, err := c.Read(b); {
		case n == 1 && b[0] == 0:
		case n == 1:
			c.peeked = b
			c.n--
			return true, nil
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, err
		}
	}
}

func unexpected(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// format makes an error of the library one of ours.
func format(err error) error {
	if errors.Is(err, cpio.ErrHeader) {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return unexpected(err)
}
