package fat

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/spelling"
)

// lookup finds a file or directory in any case.
func (img *Image) lookup(op, name string) (*entry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e := img.root
	if name == "." {
		return e, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if e.err != nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: e.err}
		}
		if e = e.find(part); e == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: img.missing(name)}
		}
	}
	return e, nil
}

// missing is the error that nothing is at a path.
func (img *Image) missing(name string) error {
	return &spelling.Missing{Path: name, Near: func() string {
		return spelling.Path(name, func(dir string) []string {
			names, _ := img.List(dir) // none of a damaged one
			return names
		})
	}}
}

// Content returns where the bytes of a file lie: a map over the image.
func (img *Image) Content(name string) (*extent.Map, error) {
	e, err := img.lookup("open", name)
	if err != nil {
		return nil, err
	}
	if e.dir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is a directory")}
	}
	m, err := img.content(e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return m, nil
}

func (img *Image) content(e *entry) (*extent.Map, error) {
	c, err := img.fileChain(e)
	if err != nil {
		return nil, err
	}
	return extent.New(img.extents(c, e.size))
}

// fileChain returns the clusters of a file, checked against its size.
func (img *Image) fileChain(e *entry) (chain, error) {
	if e.first == 0 && e.size == 0 {
		return nil, nil
	}
	c, err := img.chain(e.first, maxChain)
	if err != nil {
		return nil, err
	}
	if need := img.clustersOf(e.size); c.clusters() < need {
		return nil, formatError(img.slotOff(e), "directory", e.name, ErrFormat, "%d bytes in %d clusters", e.size, c.clusters())
	}
	return c, nil
}

// extents returns the first n bytes that lie in a chain as ranges of the image.
func (img *Image) extents(c chain, n int64) (out []extent.Extent) {
	for off := int64(0); off < n; c = c[1:] {
		k := min(int64(c[0].n)*img.clusterSize(), n-off)
		out = append(out, extent.CopyOf(off, img.src, img.offset(c[0].first), k))
		off += k
	}
	return out
}

// Open opens a file or directory; files are io.ReaderAt and io.Seeker, too.
func (img *Image) Open(name string) (fs.File, error) {
	e, err := img.lookup("open", name)
	if err != nil {
		return nil, err
	}
	if e.dir() {
		list, err := img.ReadDir(name)
		if err != nil {
			return nil, err
		}
		return &openDir{e, list}, nil
	}
	m, err := img.content(e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{io.NewSectionReader(m, 0, e.size), e}, nil
}

// Stat describes a file or directory.
func (img *Image) Stat(name string) (fs.FileInfo, error) {
	e, err := img.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{e}, nil
}

// ReadDir lists a directory, sorted by name. Of names that differ only in case,
// which no writer makes, the first one counts.
func (img *Image) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := img.lookup("readdir", name)
	if err != nil {
		return nil, err
	}
	if !e.dir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	if e.err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: e.err}
	}
	out := make([]fs.DirEntry, 0, len(e.children))
	for _, c := range e.children {
		if e.find(c.name) == c {
			out = append(out, fs.FileInfoToDirEntry(fileInfo{c}))
		}
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// fileInfo is an entry as fs.FileInfo.
type fileInfo struct{ e *entry }

func (i fileInfo) Name() string       { return i.e.name }
func (i fileInfo) IsDir() bool        { return i.e.dir() }
func (i fileInfo) ModTime() time.Time { return i.e.written }
func (i fileInfo) Sys() any           { return nil }

func (i fileInfo) Size() int64 {
	if i.e.dir() {
		return 0
	}
	return i.e.size
}

// Mode shows the read-only attribute as missing write permission.
func (i fileInfo) Mode() fs.FileMode {
	mode := fs.FileMode(0o644)
	if i.e.dir() {
		mode = fs.ModeDir | 0o755
	}
	if i.e.attr&attrReadOnly != 0 {
		mode &^= 0o222
	}
	return mode
}

type openFile struct {
	*io.SectionReader
	e *entry
}

func (f *openFile) Stat() (fs.FileInfo, error) { return fileInfo{f.e}, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	e    *entry
	list []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return fileInfo{d.e}, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.e.name, Err: errors.New("is a directory")}
}

// ReadDir returns the next n entries, all if n is not positive.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(d.list) {
		if n > 0 && len(d.list) == 0 {
			return nil, io.EOF
		}
		n = len(d.list)
	}
	out := d.list[:n]
	d.list = d.list[n:]
	return out, nil
}
