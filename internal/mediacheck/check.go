package mediacheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ahead is how many buffers are read in advance, bufSize how long each is.
const (
	ahead   = 3
	bufSize = 1 << 20
)

// Outcome says whether an image is what its tag says.
type Outcome struct {
	OK bool `json:"ok"`
	// Got is the tag with the sums of the image. It is nil where a fragment was wrong:
	// what is behind it was not read.
	Got *Tag `json:"-"`
	// Fragment is the number of the first wrong fragment, from 1; 0 if none is or only
	// the sum of all is. The damage lies in the bytes from From to To.
	Fragment int   `json:"fragment,omitempty"`
	From     int64 `json:"from,omitempty"`
	To       int64 `json:"to,omitempty"`
}

// errFragment ends a check at the first wrong fragment.
var errFragment = errors.New("wrong fragment")

// Check compares an image of size bytes with its tag; blocks is the size of its volume.
// It stops at the first wrong fragment. The error is one of reading, of the context, or
// that the tag cannot be checked.
func Check(ctx context.Context, r io.ReaderAt, size int64, t *Tag, blocks int64, progress func(done, total int64)) (Outcome, error) {
	h, err := NewHasher(t, blocks)
	if err != nil {
		return Outcome{}, err
	}
	if h.end > size {
		return Outcome{}, fmt.Errorf("media check covers %d bytes, the image has %d: %w", h.end, size, io.ErrUnexpectedEOF)
	}
	var out Outcome
	end := int64(0)
	if t.FragmentSums != "" {
		k := 0
		h.onFragment = func(sum string, from, to int64) error {
			k++
			end = to
			if at := (k - 1) * len(sum); at+len(sum) <= len(t.FragmentSums) && t.FragmentSums[at:at+len(sum)] != sum {
				out.Fragment, out.From, out.To = k, from, to
				return errFragment
			}
			return nil
		}
	}
	if err := read(ctx, r, h, progress); errors.Is(err, errFragment) {
		return out, nil
	} else if err != nil {
		return out, err
	}
	if out.Got, err = h.Tag(); err != nil {
		return out, err
	}
	out.OK = out.Got.Sum == t.Sum && (t.Partition == nil || strings.EqualFold(out.Got.Partition.Sum, t.Partition.Sum))
	if !out.OK {
		out.From, out.To = end, h.end
	}
	return out, nil
}

// Compute returns t with the sums of the image.
func Compute(ctx context.Context, r io.ReaderAt, t *Tag, blocks int64, progress func(done, total int64)) (*Tag, error) {
	h, err := NewHasher(t, blocks)
	if err != nil {
		return nil, err
	}
	if err := read(ctx, r, h, progress); err != nil {
		return nil, err
	}
	return h.Tag()
}

// read gives a hasher what it wants to see. It reads ahead, so that reading and
// computing overlap.
func read(ctx context.Context, r io.ReaderAt, h *Hasher, progress func(done, total int64)) error {
	ctx, cancel := context.WithCancel(ctx)
	type block struct {
		b   []byte
		err error
	}
	free, full := make(chan []byte, ahead), make(chan block, ahead)
	for range ahead {
		free <- make([]byte, bufSize)
	}
	go func() {
		defer close(full)
		for off := int64(0); off < h.end; {
			select {
			case <-ctx.Done():
				return
			case b := <-free:
				b = b[:min(bufSize, h.end-off)]
				n, err := r.ReadAt(b, off)
				if n == len(b) {
					err = nil
				} else if err == nil || errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				full <- block{b, err} // never blocks: there is room for every buffer
				if err != nil {
					return
				}
				off += int64(n)
			}
		}
	}()
	defer func() {
		cancel()
		for range full { // until the reader has let go of r
		}
	}()
	for x := range full {
		if x.err != nil {
			return fmt.Errorf("read at %d: %w", h.off, x.err)
		}
		if _, err := h.Write(x.b); err != nil {
			return err
		}
		free <- x.b[:bufSize]
		if progress != nil {
			progress(h.off, h.end)
		}
	}
	return ctx.Err()
}

// maxNamed is how many files of a damaged range are named.
const maxNamed = 3

// Where says what lies in a damaged range, for people, from the paths of its files.
func Where(files []string) string {
	switch n := len(files); {
	case n == 0:
		return "no file lies there"
	case n > maxNamed:
		return fmt.Sprintf("%s and %d more files lie there", strings.Join(files[:maxNamed], ", "), n-maxNamed)
	case n == 1:
		return files[0] + " lies there"
	}
	return strings.Join(files, ", ") + " lie there"
}
