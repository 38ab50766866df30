package boot

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// tree is what a test knows of an image's primary tree.
type tree struct {
	volume Volume
	end    int64 // first block behind files, directories and other used blocks
}

// readTree walks the primary tree of a well-formed image, on its own so that
// package boot is judged without the parser it will work with.
func readTree(tb testing.TB, r io.ReaderAt, size int64) tree {
	tb.Helper()
	block := func(at int64) []byte {
		b := make([]byte, iso9660.BlockSize)
		if _, err := r.ReadAt(b, at*iso9660.BlockSize); err != nil && err != io.EOF {
			tb.Fatal(err)
		}
		return b
	}
	le := binary.LittleEndian
	type file struct {
		name string
		size int64
	}
	files := map[iso9660.LBA]file{}
	t := tree{}
	pvd := block(16)
	t.volume.Blocks = int64(le.Uint32(pvd[80:]))
	if br := block(17); br[0] == 0 && string(br[7:30]) == "EL TORITO SPECIFICATION" {
		t.volume.Catalog = iso9660.LBA(le.Uint32(br[71:]))
	}
	var walk func(rec []byte, path string)
	walk = func(rec []byte, path string) {
		at, n := int64(le.Uint32(rec[2:])), int64(le.Uint32(rec[10:]))
		t.end = max(t.end, at+iso9660.Blocks(n))
		if rec[25]&2 == 0 {
			if n > 0 {
				files[iso9660.LBA(at)] = file{path, n}
			}
			return
		}
		for ; n > 0; at, n = at+1, n-iso9660.BlockSize {
			for b := block(at); len(b) > 33 && b[0] > 33; b = b[b[0]:] {
				if b[32] == 1 && b[33] < 2 {
					continue
				}
				walk(b[:b[0]], path+"/"+string(b[33:33+int(b[32])]))
			}
		}
	}
	walk(pvd[156:190], "")
	t.volume.End = t.end
	t.volume.FileSize = func(at iso9660.LBA) (int64, string, bool) {
		f, ok := files[at]
		return f.size, f.name, ok
	}
	return t
}

// usedEnd is the first block behind all that is not zero in front of limit (bytes).
func usedEnd(tb testing.TB, r io.ReaderAt, limit int64) int64 {
	tb.Helper()
	const step = 1 << 16
	for off := (limit - 1) / step * step; off >= 0; off -= step {
		b := make([]byte, min(step, limit-off))
		if _, err := r.ReadAt(b, off); err != nil && err != io.EOF {
			tb.Fatal(err)
		}
		for i := len(b) - 1; i >= 0; i-- {
			if b[i] != 0 {
				return iso9660.Blocks(off + int64(i) + 1)
			}
		}
	}
	return 0
}
