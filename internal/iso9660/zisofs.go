package iso9660

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/isolayer/isolayer/internal/fault"
)

// Zisofs describes a transparently compressed file: entry ZF of Rock Ridge.
type Zisofs struct {
	Size      int64 // uncompressed, bytes
	header    int   // bytes
	blockLog  int
	version2  bool
	algorithm string
}

var zisofsMagic = []byte{0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07}

// zisofsHeader is the shortest header of a compressed file, in bytes.
const zisofsHeader = 16

// CompressedEntry returns the ZF entry of a file that mkzftree compressed, nil for others.
func CompressedEntry(r io.ReaderAt) SystemUseEntry {
	h := make([]byte, zisofsHeader)
	if n, _ := r.ReadAt(h, 0); n < len(h) || !bytes.HasPrefix(h, zisofsMagic) {
		return nil // what cannot be read is reported when it is written
	}
	e := SystemUseEntry{'Z', 'F', 16, 1, 'p', 'z', h[12], h[13]}
	e = appendBoth32(e, binary.LittleEndian.Uint32(h[8:]))
	if _, err := parseZF(e); err != nil {
		return nil
	}
	return e
}

// parseZF decodes a ZF entry. Version 2 is listed, but its content stays compressed.
func parseZF(e SystemUseEntry) (*Zisofs, error) {
	z := &Zisofs{header: int(e[6]) * 4, blockLog: int(e[7]), algorithm: string(e[4:6])}
	switch z.algorithm {
	case "pz":
		v, _ := both32(e[8:])
		z.Size = int64(v)
	case "PZ":
		z.Size, z.version2 = int64(binary.LittleEndian.Uint64(e[8:])), true
	default:
		return nil, errorf(ErrUnsupported, "algorithm %q", z.algorithm)
	}
	if z.blockLog < 15 || z.blockLog > 17 {
		return nil, errorf(ErrFormat, "block size 2^%d", z.blockLog)
	}
	if z.Size < 0 {
		return nil, errorf(ErrRange, "size %d", z.Size)
	}
	return z, nil
}

// zisofsReader reads the uncompressed content. It holds one block at a time.
type zisofsReader struct {
	z      *Zisofs
	r      *io.SectionReader // compressed
	starts []byte            // table of block pointers, 4 bytes each
	off    int64             // of the first byte in the image

	mu    sync.Mutex
	index int64 // of the block in data; -1: none
	data  []byte
}

// newZisofsReader checks the header and the block pointer table before it
// trusts their sizes: the table must lie inside the stored file.
func newZisofsReader(z *Zisofs, r *io.SectionReader, off int64) (*zisofsReader, error) {
	bad := func(field string, kind Kind, format string, args ...any) (*zisofsReader, error) {
		return nil, fault.At(off, "zisofs file", field, errorf(kind, format, args...))
	}
	if z.version2 {
		return bad("", ErrUnsupported, "version 2")
	}
	head := make([]byte, 16)
	if _, err := r.ReadAt(head, 0); err != nil {
		return bad("header", ErrTruncated, "16 bytes, the file has %d", r.Size())
	}
	if !bytes.Equal(head[:8], zisofsMagic) {
		return bad("header", ErrFormat, "other first bytes")
	}
	if int(head[12])*4 != z.header || int(head[13]) != z.blockLog || int64(binary.LittleEndian.Uint32(head[8:])) != z.Size {
		return bad("header", ErrConflict, "header and ZF entry differ")
	}
	blocks := (z.Size + 1<<z.blockLog - 1) >> z.blockLog
	if n := int64(z.header) + 4*(blocks+1); n > r.Size() {
		return bad("pointers", ErrTruncated, "%d bytes, the file has %d", n, r.Size())
	}
	starts := make([]byte, 4*(blocks+1))
	if _, err := r.ReadAt(starts, int64(z.header)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &zisofsReader{z: z, r: r, starts: starts, off: off, index: -1}, nil
}

// ReadAt reads uncompressed bytes.
func (r *zisofsReader) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= r.z.Size {
			return n, io.EOF
		}
		if err := r.load(at >> r.z.blockLog); err != nil {
			return n, err
		}
		n += copy(p[n:], r.data[at-r.index<<r.z.blockLog:])
	}
	return n, nil
}

// load uncompresses block i.
func (r *zisofsReader) load(i int64) error {
	if i == r.index {
		return nil
	}
	le := binary.LittleEndian
	from, to := int64(le.Uint32(r.starts[4*i:])), int64(le.Uint32(r.starts[4*i+4:]))
	size := min(int64(1)<<r.z.blockLog, r.z.Size-i<<r.z.blockLog)
	bad := func(format string, args ...any) error {
		return fault.At(r.off+from, "zisofs file", fmt.Sprintf("block %d", i), errorf(ErrFormat, format, args...))
	}
	if from > to || to > r.r.Size() {
		return bad("lies at %d to %d of %d", from, to, r.r.Size())
	}
	r.index = -1
	if from == to { // a block of zeros is not stored
		r.data, r.index = make([]byte, size), i
		return nil
	}
	zr, err := zlib.NewReader(io.NewSectionReader(r.r, from, to-from))
	if err != nil {
		return bad("%v", err)
	}
	defer zr.Close() // reading side: nothing to lose
	data := make([]byte, size)
	if _, err := io.ReadFull(zr, data); err != nil {
		return bad("%v", err)
	}
	r.data, r.index = data, i
	return nil
}
