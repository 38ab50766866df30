package cpio

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// xzGuard looks at an xz stream before the decoder gets it: a window larger than what
// Linux takes would be allocated by the decoder. It also finds the end of the stream.
type xzGuard struct {
	r     *bufio.Reader
	chunk []byte // what the walk has not seen yet
	walk  *xzWalk
	next  func() (struct{}, bool)
	stop  func()
	done  bool // the walk has ended
}

func newXZGuard(r *bufio.Reader) *xzGuard {
	g := &xzGuard{r: r}
	g.next, g.stop = iter.Pull(func(yield func(struct{}) bool) {
		g.walk = &xzWalk{r: readerFunc(func(p []byte) (int, error) {
			for len(g.chunk) == 0 {
				if !yield(struct{}{}) {
					return 0, io.EOF
				}
			}
			n := copy(p, g.chunk)
			g.chunk = g.chunk[n:]
			return n, nil
		})}
		g.walk.stream()
	})
	g.step()
	return g
}

// whole reports whether the walk has seen all of a stream.
func (g *xzGuard) whole() bool { return g.done && g.walk.err == nil }

// step lets the walk see the chunk.
func (g *xzGuard) step() {
	_, more := g.next()
	g.done = !more
}

// Read implements io.Reader. It ends with the stream.
func (g *xzGuard) Read(p []byte) (int, error) {
	if g.done {
		return 0, io.EOF
	}
	n, err := g.r.Read(p)
	g.chunk = p[:n]
	g.step()
	if g.walk.err != nil {
		return 0, unexpected(g.walk.err)
	}
	return n - len(g.chunk), err
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// xzReader is a decoder with its guard.
type xzReader struct {
	io.Reader
	guard *xzGuard
}

// Read implements io.Reader. The decoder takes a stream for whole that ends between two of
// its parts; only one whose footer was seen is.
func (r *xzReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) && !r.guard.whole() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer.
func (r *xzReader) Close() error {
	r.guard.stop()
	return nil
}

// stream steps over one stream (The .xz File Format 1.2, 2 to 4): blocks of LZMA2 chunks,
// whose headers say their lengths, then the index and the footer.
func (s *xzWalk) stream() {
	head := s.bytes(12)
	check := int64(0)
	if s.err == nil {
		check = []int64{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[head[7]&15]
	}
	for s.err == nil {
		n := s.byte()
		if n == 0 {
			break // the index
		}
		s.block(s.bytes(int(n)*4 + 3))
		s.chunks()
		s.pad(12)
		s.skip(check)
	}
	index := s.n - 1
	for range s.number() * 2 { // sizes of each block
		if s.number(); s.err != nil {
			return
		}
	}
	s.pad(index)
	s.skip(4)
	if foot := s.bytes(12); s.err == nil && string(foot[10:]) != "YZ" {
		s.err = fmt.Errorf("footer at %d: %w", s.n-12, ErrFormat)
	}
}

// xzWalk steps through a stream. After an error it does nothing.
type xzWalk struct {
	r   io.Reader
	n   int64
	err error
}

func (s *xzWalk) skip(n int64) {
	if s.err == nil {
		var got int64
		got, s.err = io.CopyN(io.Discard, s.r, n)
		s.n += got
	}
}

func (s *xzWalk) bytes(n int) []byte {
	b := make([]byte, n)
	if s.err == nil {
		_, s.err = io.ReadFull(s.r, b)
		s.n += int64(n)
	}
	return b
}

func (s *xzWalk) byte() byte { return s.bytes(1)[0] }

// pad goes to the next multiple of four, counted from start.
func (s *xzWalk) pad(start int64) { s.skip(-(s.n - start) & 3) }

// number reads a multibyte integer (1.2).
func (s *xzWalk) number() (v uint64) {
	for k := range 9 {
		c := s.byte()
		v |= uint64(c&0x7f) << (7 * k)
		if c&0x80 == 0 {
			return v
		}
	}
	if s.err == nil {
		s.err = ErrFormat
	}
	return 0
}

// block looks at the header of a block, without its first byte (3.1): the window that
// LZMA2 asks for is bounded.
func (s *xzWalk) block(h []byte) {
	if s.err != nil {
		return
	}
	b := &xzWalk{r: bytes.NewReader(h)}
	flags := b.byte()
	for range int(flags>>6&1) + int(flags>>7) {
		b.number() // sizes
	}
	for range flags&3 + 1 {
		id, size := b.number(), b.number()
		props := b.bytes(int(min(size, uint64(len(h)))))
		if b.err == nil && id == 0x21 && len(props) == 1 {
			if d := uint(props[0]); d > 40 || (2|uint64(d&1))<<(d/2+11) > windowLimit { // 5.3.1
				b.err = fmt.Errorf("window: %w", ErrLimit)
			}
		}
	}
	s.err = b.err
}

// chunks steps over LZMA2 chunks (5.3.1).
func (s *xzWalk) chunks() {
	for s.err == nil {
		switch c := s.byte(); {
		case c == 0:
			return
		case c >= 0x80:
			h := s.bytes(4)
			n := int64(binary.BigEndian.Uint16(h[2:])) + 1
			if c >= 0xc0 {
				n++ // properties
			}
			s.skip(n)
		case c <= 2:
			s.skip(int64(binary.BigEndian.Uint16(s.bytes(2))) + 1)
		default:
			s.err = fmt.Errorf("chunk at %d: %w", s.n-1, ErrFormat)
		}
	}
}
