package layer

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/isolayer/isolayer/extent"
)

// Compression says how an archive is compressed.
type Compression string

// The compressions.
const (
	None Compression = "none"
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// magics are the first bytes of compressed files, and of some that are none of ours.
var magics = []struct {
	magic string
	c     Compression
}{
	{"\x1f\x8b", Gzip},
	{"\x28\xb5\x2f\xfd", Zstd},
	{"\xfd7zXZ\x00", "xz"},
	{"BZh", "bzip2"},
}

// Expand returns the uncompressed archive of a file: the file itself or, if that is
// compressed, a temporary file in dir (the system's if empty), which is gone after
// closing.
func Expand(src extent.Source, dir string) (extent.Source, io.Closer, error) {
	head := make([]byte, 8)
	n, err := src.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	c := None
	for _, m := range magics {
		if len(m.magic) <= n && string(head[:len(m.magic)]) == m.magic {
			c = m.c
		}
	}
	var r io.Reader = bufio.NewReaderSize(io.NewSectionReader(src, 0, src.Size()), 1<<20)
	switch c {
	case None:
		return src, io.NopCloser(nil), nil
	case Gzip:
		r, err = gzip.NewReader(r)
	case Zstd:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			defer z.Close()
			r = z
		}
	default:
		return nil, nil, fmt.Errorf("%s: %w: it is compressed with %s; gzip and zstd are known", src.Name(), ErrUnsupported, c)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w: %w", src.Name(), ErrFormat, err)
	}
	s, err := newSpool(src.Name(), dir)
	if err != nil {
		return nil, nil, err
	}
	limit := max(freeSize, src.Size()*maxRatio)
	s.size, err = io.Copy(s.f, io.LimitReader(r, limit+1))
	switch {
	case err != nil && !s.failed:
		err = fmt.Errorf("%s: after %d bytes: %w: %w", src.Name(), s.size, ErrFormat, err)
	case s.size > limit:
		err = fmt.Errorf("%s: %w: it unpacks to more than %d bytes", src.Name(), ErrLimit, limit)
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, s, nil
}

// spool is a temporary file as a source.
type spool struct {
	f      spoolFile
	name   string
	size   int64
	failed bool // to write
}

// spoolFile notes that writing it failed, which is not the archive's fault.
type spoolFile struct {
	*os.File
	s *spool
}

// Write implements io.Writer.
func (f spoolFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.s.failed = f.s.failed || err != nil
	return n, err
}

func newSpool(name, dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "isolayer-layer-*.tar")
	if err != nil {
		return nil, err
	}
	s := &spool{name: name}
	s.f = spoolFile{f, s}
	_ = os.Remove(f.Name()) // where that is possible; else when it is closed
	return s, nil
}

// Name implements extent.Source.
func (s *spool) Name() string { return s.name }

// Size implements extent.Source.
func (s *spool) Size() int64 { return s.size }

// ReadAt implements io.ReaderAt.
func (s *spool) ReadAt(p []byte, off int64) (int, error) { return s.f.ReadAt(p, off) }

// Close removes the file.
func (s *spool) Close() error {
	err := s.f.Close()
	if rerr := os.Remove(s.f.Name()); !errors.Is(rerr, os.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// Compress returns a writer that compresses what it writes to w. Closing it does not
// close w. The same input gives the same output.
func Compress(w io.Writer, c Compression) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		return gzip.NewWriter(w), nil
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	case None:
		return nopCloser{w}, nil
	}
	return nil, fmt.Errorf("%w: compression %q", ErrUnsupported, c)
}

type nopCloser struct{ io.Writer }

// Close implements io.Closer.
func (nopCloser) Close() error { return nil }
