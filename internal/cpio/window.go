package cpio

import "io"

// blockSize and blocks are what window keeps of what it read.
const (
	blockSize = 256 << 10
	blocks    = 4
)

// window is a reader that keeps the blocks it read last, so that who reads on, or a bit
// back, reads nothing twice: to find the end of an archive takes looking behind it.
type window struct {
	r    io.ReaderAt
	size int64
	kept [blocks]block
	next int

	hear  io.Writer // of all bytes, in order; or nil
	heard int64
}

// block is a piece of the reader at a multiple of blockSize.
type block struct {
	off  int64
	data []byte
}

// ReadAt implements io.ReaderAt. It is not safe for concurrent use.
func (w *window) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= w.size {
			return n, io.EOF
		}
		b, err := w.block(at - at%blockSize)
		if skip := at - b.off; skip < int64(len(b.data)) {
			n += copy(p[n:], b.data[skip:])
			continue
		}
		return n, unexpected(err)
	}
	return n, nil
}

// block returns the block at off, as far as it can be read.
func (w *window) block(off int64) (block, error) {
	for _, b := range w.kept {
		if b.off == off && len(b.data) > 0 {
			return b, nil
		}
	}
	b := &w.kept[w.next]
	w.next = (w.next + 1) % blocks
	if b.data == nil {
		b.data = make([]byte, blockSize)
	}
	b.off, b.data = off, b.data[:blockSize][:min(blockSize, w.size-off)]
	n, err := w.r.ReadAt(b.data, off)
	b.data = b.data[:n]
	if w.hear != nil && w.heard == off && err == nil {
		_, err = w.hear.Write(b.data)
		w.heard += int64(n)
	}
	return *b, err
}
