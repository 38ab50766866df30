package extent

import (
	"fmt"
	"io"
	"sort"
)

// Pack is a Source of many files, one behind the other, each at a multiple of a unit and
// filled up with zeros: what takes an extent and more for each file in a map takes a few
// bytes in a pack.
type Pack struct {
	files []*File
	at    []int64 // offsets of the files
	size  int64
	unit  int64
}

// NewPack returns an empty pack.
func NewPack(unit int64) *Pack { return &Pack{unit: unit} }

// Add puts a file behind the others.
func (p *Pack) Add(f *File) {
	p.files, p.at = append(p.files, f), append(p.at, p.size)
	p.size += (f.Size() + p.unit - 1) / p.unit * p.unit
}

// Files returns the files; the caller must not modify them.
func (p *Pack) Files() []*File { return p.files }

// Name names the files, for people.
func (p *Pack) Name() string {
	if len(p.files) == 0 {
		return "no files"
	}
	return fmt.Sprintf("%d files from %s", len(p.files), p.files[0].Name())
}

// Size returns the length in bytes, a multiple of the unit.
func (p *Pack) Size() int64 { return p.size }

// ReadAt reads the bytes of the files and the zeros between them. A file that ends early
// gives io.ErrUnexpectedEOF.
func (p *Pack) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: negative offset", p.Name())
	}
	if off >= p.size {
		return 0, io.EOF
	}
	i := sort.Search(len(p.at), func(i int) bool { return p.at[i] > off }) - 1
	for ; n < len(b) && i < len(p.files); i++ {
		f, from := p.files[i], off+int64(n)-p.at[i]
		end := p.size
		if i+1 < len(p.at) {
			end = p.at[i+1]
		}
		part := b[n:min(int64(len(b)), int64(n)+end-p.at[i]-from)]
		content := part[:max(0, min(int64(len(part)), f.Size()-from))]
		if got, err := f.ReadAt(content, from); got < len(content) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n + got, fmt.Errorf("read %s at %d: %w", f.Name(), from+int64(got), err)
		}
		clear(part[len(content):])
		n += len(part)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
