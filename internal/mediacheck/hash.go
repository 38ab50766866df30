package mediacheck

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
)

const (
	// step is how isomd5sum reads; the parts that fragments cover end at such steps.
	step = 32768
	// signatureMagic is the length of what a signature block begins with.
	signatureMagic = 64
)

// blank is a range of bytes that counts as filled with one byte.
type blank struct {
	from, to int64
	fill     byte
}

// Hasher computes a tag from the bytes of an image, which are to be written to it in
// order from the first one on. It takes as many as it gets.
type Hasher struct {
	tag    *Tag
	total  int64 // bytes covered
	end    int64 // behind which nothing matters
	off    int64
	sum    hash.Hash
	part   hash.Hash // nil without a partition
	blanks []blank

	fragment int64 // bytes of one
	last     int64 // number of the fragment before
	sums     []byte

	// onFragment, unless nil, hears each fragment's sum with the part of the image that
	// is in this one and not in the one before.
	onFragment func(sum string, from, to int64) error
	from       int64
	buf        []byte
}

// NewHasher computes a tag like t for a volume of that many blocks.
func NewHasher(t *Tag, blocks int64) (*Hasher, error) {
	total, err := t.Covered(blocks)
	if err != nil {
		return nil, err
	}
	h := &Hasher{tag: t, total: total, end: total, sum: newHash(t.Digest), buf: make([]byte, step), fragment: total / int64(t.Fragments+1)}
	if t.Kind == ISOMD5 && t.Fragments > 0 && h.fragment < step {
		return nil, fmt.Errorf("%d blocks, checkisomd5 needs %d: %w", blocks, (int64(t.Fragments)+1)*step/blockSize+t.Skip, ErrShort)
	}
	h.blanks = []blank{{Offset, Offset + Size, ' '}}
	if t.Kind == Checkmedia {
		h.blanks = append(h.blanks, blank{0, sectorSize, 0})
		if at := t.Signature * sectorSize; at > 0 {
			h.blanks = append(h.blanks, blank{at + signatureMagic, at + blockSize, 0})
		}
		if p := t.Partition; p != nil {
			h.part = newHash(t.Digest)
			h.end = max(h.end, (p.Start+p.Count)*sectorSize)
		}
	}
	return h, nil
}

// Write implements io.Writer.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && h.off < h.end {
		// Not over a step, where fragments end, nor over the end of what is covered.
		piece := min(int64(len(p)), step-h.off%step)
		if h.off < h.total {
			piece = min(piece, h.total-h.off)
		}
		b := h.blanked(p[:piece])
		if h.off < h.total {
			h.sum.Write(b) // hashes return no errors
		}
		h.partition(b)
		h.off += piece
		if err := h.endFragment(); err != nil {
			return n - len(p), err
		}
		p = p[piece:]
	}
	h.off += int64(len(p))
	return n, nil
}

// blanked is b, which stands at h.off, with what counts as blank.
func (h *Hasher) blanked(b []byte) []byte {
	own := false
	for _, x := range h.blanks {
		from, to := max(x.from-h.off, 0), min(x.to-h.off, int64(len(b)))
		if from >= to {
			continue
		}
		if !own {
			own = true
			b = append(h.buf[:0], b...)
		}
		copy(b[from:to], bytes.Repeat([]byte{x.fill}, int(to-from)))
	}
	return b
}

// partition hashes what of b is in the partition.
func (h *Hasher) partition(b []byte) {
	if h.part == nil {
		return
	}
	start := h.tag.Partition.Start * sectorSize
	end := start + h.tag.Partition.Count*sectorSize
	if from, to := max(start-h.off, 0), min(end-h.off, int64(len(b))); from < to {
		h.part.Write(b[from:to])
	}
}

// endFragment notes the sum so far if a fragment ends here: with the first step that
// began in the next one.
func (h *Hasher) endFragment() error {
	if h.tag.Fragments == 0 || h.off > h.total || h.off%step != 0 && h.off != h.total {
		return nil
	}
	began := (h.off - 1) / step * step
	k := began / h.fragment
	if k == h.last || len(h.sums) >= h.tag.Fragments*h.tag.digits() {
		return nil
	}
	h.last = k
	var digits []byte
	for _, d := range h.sum.Sum(nil)[:min(h.tag.digits(), h.sum.Size())] {
		digits = append(digits, strconv.FormatUint(uint64(d), 16)[0])
	}
	h.sums = append(h.sums, digits...)
	from := h.from
	h.from = h.off
	if h.onFragment == nil {
		return nil
	}
	return h.onFragment(string(digits), from, h.off)
}

// Tag is the tag of what was written: like the one the hasher was made with, with the
// sums computed. It fails if less was written than the sums cover.
func (h *Hasher) Tag() (*Tag, error) {
	if h.off < h.end {
		return nil, fmt.Errorf("media check covers %d bytes, the image has %d: %w", h.end, h.off, io.ErrUnexpectedEOF)
	}
	t := *h.tag
	sum := h.sum
	if t.Pad > 0 {
		c, ok := sum.(hash.Cloner)
		if !ok {
			return nil, errors.New("internal error: hash cannot be cloned")
		}
		clone, err := c.Clone()
		if err != nil {
			return nil, err
		}
		sum = clone
		zeros := make([]byte, blockSize)
		for range t.Pad {
			sum.Write(zeros)
		}
	}
	t.Sum, t.FragmentSums = hex.EncodeToString(sum.Sum(nil)), string(h.sums)
	t.pairs = slices.Clone(t.pairs)
	if h.part != nil {
		p := *t.Partition
		p.Sum = hex.EncodeToString(h.part.Sum(nil))
		t.Partition = &p
	}
	return &t, nil
}
