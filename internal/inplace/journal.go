package inplace

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// A journal holds what an edit overwrites. Its layout, numbers little-endian:
//
//	magic     8 bytes
//	header    old and new size, device and inode of the image, flags, length of the two
//	          lists, SHA-256 of the new bytes where the first list has saved ones
//	lists     a range each: offset, length, kind
//	bytes     of the ranges of kind saved, in the order of the lists
//	SHA-256   of all that
//	done      4 bytes, once the ranges of the second list are dealt with
//
// The first list are the ranges that are overwritten before the edit takes effect, the
// second those that are wiped afterwards.
const (
	magic = "ISOLJRN1"
	done  = "DONE"
	// maxRanges bounds what is read of a damaged journal.
	maxRanges = 1 << 26
	// maxImage is more than an image can have: 2^32 blocks and what lies behind them.
	maxImage = 1 << 44
)

// What the old bytes of a range are.
const (
	kindSaved = iota
	kindZero
	kindLost // not saved: the edit cannot be undone
)

type entry struct {
	off, n int64
	kind   uint8
}

func (e entry) end() int64 { return e.off + e.n }

type header struct {
	OldSize, NewSize int64
	Device, Inode    uint64
	Flags            uint32
	Over, Post       uint32
	After            [sha256.Size]byte
}

const flagNoUndo = 1

type journal struct {
	header
	over, post []entry
}

// errTorn reports a journal that was not written to its end: nothing of its edit was.
var errTorn = errors.New("incomplete journal")

// scan reads the old bytes of a range and adds to the list the runs that are zero and
// those that are not, by pieces of pageSize. It fails with ErrUndoSize when the latter
// are more than most bytes.
func scan(img io.ReaderAt, r entry, list []entry, most int64) ([]entry, error) {
	buf := make([]byte, min(bufSize, r.n))
	count := saved(list)
	for off := r.off; off < r.end(); {
		b := buf[:min(bufSize, r.end()-off)]
		if err := readFull(img, b, off); err != nil {
			return nil, err
		}
		for len(b) > 0 {
			n := min(pageSize-off%pageSize, int64(len(b)))
			kind := uint8(kindSaved)
			if bytes.Equal(b[:n], zeros[:n]) {
				kind = kindZero
			} else if count += n; count > most {
				return nil, fmt.Errorf("%w: more than %d bytes", ErrUndoSize, most)
			}
			if k := len(list) - 1; k >= 0 && list[k].end() == off && list[k].kind == kind {
				list[k].n += n
			} else {
				list = append(list, entry{off, n, kind})
			}
			off, b = off+n, b[n:]
		}
	}
	return list, nil
}

var zeros [pageSize]byte

// saved is how many bytes of the image the lists keep.
func saved(lists ...[]entry) (n int64) {
	for _, l := range lists {
		for _, e := range l {
			if e.kind == kindSaved {
				n += e.n
			}
		}
	}
	return n
}

// write writes the journal of an image.
func (j *journal) write(f file, img io.ReaderAt) (int64, error) {
	j.Over, j.Post = uint32(len(j.over)), uint32(len(j.post))
	w := &summed{h: sha256.New(), w: bufio.NewWriterSize(&appender{f: f}, bufSize)}
	put := func(v any) error { return binary.Write(w, binary.LittleEndian, v) }
	if _, err := io.WriteString(w, magic); err != nil {
		return 0, err
	}
	if err := put(j.header); err != nil {
		return 0, err
	}
	var record [17]byte
	for _, list := range [][]entry{j.over, j.post} {
		for _, e := range list {
			binary.LittleEndian.PutUint64(record[:], uint64(e.off))
			binary.LittleEndian.PutUint64(record[8:], uint64(e.n))
			record[16] = e.kind
			if _, err := w.Write(record[:]); err != nil {
				return 0, err
			}
		}
	}
	buf := make([]byte, bufSize)
	for _, list := range [][]entry{j.over, j.post} {
		for _, e := range list {
			if e.kind != kindSaved {
				continue
			}
			for off := e.off; off < e.end(); {
				b := buf[:min(bufSize, e.end()-off)]
				if err := readFull(img, b, off); err != nil {
					return 0, err
				}
				if _, err := w.Write(b); err != nil {
					return 0, err
				}
				off += int64(len(b))
			}
		}
	}
	if _, err := w.w.Write(w.h.Sum(nil)); err != nil {
		return 0, err
	}
	return w.n + sha256.Size, w.w.Flush()
}

// summed hashes and counts what is written.
type summed struct {
	h hash.Hash
	w *bufio.Writer
	n int64
}

// Write implements io.Writer.
func (s *summed) Write(p []byte) (int, error) {
	s.h.Write(p) // hashes return no errors
	s.n += int64(len(p))
	return s.w.Write(p)
}

// appender writes to a file from its start on.
type appender struct {
	f   file
	off int64
}

// Write implements io.Writer.
func (a *appender) Write(p []byte) (int, error) {
	n, err := a.f.WriteAt(p, a.off)
	a.off += int64(n)
	return n, err
}

// opened is a journal on disk.
type opened struct {
	journal
	f     file
	data  int64 // where the saved bytes begin
	end   int64 // of the sum
	ended bool  // done is there
}

// open reads a journal and proves that it is whole: errTorn if it is not.
func openJournal(f file) (*opened, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	j := &opened{f: f}
	h := sha256.New()
	r := &counted{r: io.TeeReader(bufio.NewReaderSize(io.NewSectionReader(f, 0, size), bufSize), h)}
	torn := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errTorn
		}
		return err
	}
	m := make([]byte, len(magic))
	if _, err := io.ReadFull(r, m); err != nil || string(m) != magic {
		return nil, errors.Join(errTorn, torn(err))
	}
	if err := binary.Read(r, binary.LittleEndian, &j.header); err != nil {
		return nil, torn(err)
	}
	if j.Over > maxRanges || j.Post > maxRanges || j.OldSize < 0 || j.NewSize < 0 || j.OldSize > maxImage || j.NewSize > maxImage {
		return nil, errTorn
	}
	var record [17]byte
	var n int64
	for i := range int64(j.Over) + int64(j.Post) {
		if _, err := io.ReadFull(r, record[:]); err != nil {
			return nil, torn(err)
		}
		e := entry{int64(binary.LittleEndian.Uint64(record[:])), int64(binary.LittleEndian.Uint64(record[8:])), record[16]}
		if e.off < 0 || e.n <= 0 || e.off > j.OldSize || e.n > j.OldSize-e.off {
			return nil, errTorn
		}
		if e.kind == kindSaved {
			n += e.n
		}
		if n > size {
			return nil, errTorn
		}
		if i < int64(j.Over) {
			j.over = append(j.over, e)
		} else {
			j.post = append(j.post, e)
		}
	}
	j.data = r.n
	if _, err := io.CopyN(io.Discard, r, n); err != nil {
		return nil, torn(err)
	}
	j.end = r.n + sha256.Size
	tail := make([]byte, min(sha256.Size+int64(len(done)), max(0, size-r.n)))
	if err := readFull(f, tail, r.n); err != nil {
		return nil, torn(err)
	}
	if len(tail) < sha256.Size || !bytes.Equal(tail[:sha256.Size], h.Sum(nil)) {
		return nil, errTorn
	}
	j.ended = string(tail[sha256.Size:]) == done
	return j, nil
}

// belongs reports whether the journal is that of an image: ErrForeign if not. Whenever a
// run ends, the image has its old size, its new one, or is on the way.
func (j *opened) belongs(img file, id identity) error {
	size, err := img.Size()
	if err == nil && ((identity{j.Device, j.Inode}) != id || size < min(j.OldSize, j.NewSize) || size > max(j.OldSize, j.NewSize)) {
		err = ErrForeign
	}
	return err
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// restore gives the image its old bytes and size.
func (j *opened) restore(img file) error {
	at := j.data
	buf := make([]byte, bufSize)
	for _, list := range [][]entry{j.over, j.post} {
		for _, e := range list {
			switch e.kind {
			case kindZero:
				if err := img.Zero(e.off, e.n); err != nil {
					return err
				}
				continue
			case kindLost:
				continue // of a second list that was not begun
			}
			for off := e.off; off < e.end(); {
				b := buf[:min(bufSize, e.end()-off)]
				if err := readFull(j.f, b, at); err != nil {
					return fmt.Errorf("read journal: %w", err)
				}
				if _, err := img.WriteAt(b, off); err != nil {
					return err
				}
				off, at = off+int64(len(b)), at+int64(len(b))
			}
		}
	}
	if err := img.Truncate(j.OldSize); err != nil {
		return err
	}
	return img.Sync()
}

// finish does what is left to do after the edit took effect.
func (j *opened) finish(img file) error {
	if j.ended {
		return nil
	}
	for _, e := range j.post {
		if e.off < j.NewSize {
			if err := img.Zero(e.off, min(e.n, j.NewSize-e.off)); err != nil {
				return err
			}
		}
	}
	if j.NewSize < j.OldSize {
		if err := img.Truncate(j.NewSize); err != nil {
			return err
		}
	}
	if err := img.Sync(); err != nil {
		return err
	}
	if _, err := j.f.WriteAt([]byte(done), j.end); err != nil {
		return err
	}
	return j.f.Sync()
}

// after is the SHA-256 of the bytes that r has where the image had some that are not
// zero, in the ranges of the first list: whether the edit is still in the image.
func (j *journal) after(r io.ReaderAt) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	buf := make([]byte, bufSize)
	for _, e := range j.over {
		if e.kind != kindSaved {
			continue
		}
		for off := e.off; off < min(e.end(), j.NewSize); {
			b := buf[:min(bufSize, e.end()-off, j.NewSize-off)]
			if err := readFull(r, b, off); err != nil {
				return sum, err
			}
			h.Write(b)
			off += int64(len(b))
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}

// readFull reads all of b.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read at %d: %w", off, err)
}
