package extent

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// maxOpen bounds how many files a Files keeps open: far below the usual limit
// of 1024 descriptors, enough for every reader of a server.
const maxOpen = 64

// ErrChanged reports that a source is no longer the file that was planned with.
var ErrChanged = errors.New("file changed while it was in use")

// Files opens file sources on demand and keeps at most 64 of them open, more
// only while more than that are being read at once.
// It is safe for concurrent use.
type Files struct {
	*pool
	part bool // of a pool that others use, too
}

// pool is the files that are open.
type pool struct {
	mu   sync.Mutex
	open map[*File]*list.Element // of *handle, front = used last
	lru  list.List
}

type handle struct {
	file *File
	os   *os.File
	uses int
}

// NewFiles returns an empty pool.
func NewFiles() *Files { return &Files{pool: &pool{open: map[*File]*list.Element{}}} }

// Part returns a pool that counts its open files with p's: closing it closes only its
// own, closing p all of them.
func (p *Files) Part() *Files { return &Files{p.pool, true} }

// File is a regular file as a Source. It is the same file, with the same size
// and times, at every read, or the read fails with ErrChanged.
type File struct {
	files *Files
	path  string
	id    identity
	holes bool // it may have some
}

// identity is what distinguishes one state of a file from another.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds
}

// Add returns the source for the regular file at path, symbolic links followed.
// Anything else than a regular file is refused without opening it, since
// opening a FIFO would block.
func (p *Files) Add(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return p.AddInfo(path, info)
}

// AddInfo is Add for a caller that has asked the system already: info is what os.Stat
// says of the path.
func (p *Files) AddInfo(path string, info fs.FileInfo) (*File, error) {
	if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	return &File{files: p, path: path, id: identify(info), holes: sparse(info)}, nil
}

// Name returns the path of the file.
func (f *File) Name() string { return f.path }

// Size returns the size in bytes the file had when it was added.
func (f *File) Size() int64 { return f.id.size }

// Identity names the state of the file that was added: what has the same is the same file,
// unchanged.
func (f *File) Identity() string {
	return fmt.Sprintf("%s %d:%d %d %d %d", f.path, f.id.dev, f.id.ino, f.id.size, f.id.mtime, f.id.ctime)
}

// Sparse reports whether the file may have holes.
func (f *File) Sparse() bool { return f.holes }

// Device distinguishes file systems: files of different ones share no blocks.
func (f *File) Device() uint64 { return f.id.dev }

// ReadAt reads from the file; see io.ReaderAt.
func (f *File) ReadAt(b []byte, off int64) (n int, err error) {
	if off >= f.id.size {
		return 0, io.EOF
	}
	err = f.With(func(o *os.File) error {
		n, err = o.ReadAt(b, off)
		return err
	})
	return n, err
}

// With calls fn with the open file; see Local.
func (f *File) With(fn func(*os.File) error) error {
	h, err := f.files.acquire(f)
	if err != nil {
		return err
	}
	defer f.files.release(h)
	return fn(h.os)
}

// Check reports whether the file is still what it was when it was added: ErrChanged if not.
func (f *File) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	if identify(info) != f.id {
		return fmt.Errorf("%s: %w", f.path, ErrChanged)
	}
	return nil
}

// same reports whether an open file is the one that was added, unchanged.
func (f *File) same(o *os.File) error {
	info, err := o.Stat()
	if err == nil && identify(info) != f.id {
		err = fmt.Errorf("%s: %w", f.path, ErrChanged)
	}
	return err
}

func (p *pool) acquire(f *File) (*handle, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.open[f]; ok {
		p.lru.MoveToFront(e)
		h := e.Value.(*handle)
		if err := f.same(h.os); err != nil {
			return nil, err
		}
		h.uses++
		return h, nil
	}
	// The path may lead to a FIFO by now, which would block until somebody writes.
	o, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := f.same(o); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	h := &handle{file: f, os: o, uses: 1}
	p.open[f] = p.lru.PushFront(h)
	if err := p.evict(); err != nil {
		h.uses--
		return nil, err
	}
	return h, nil
}

// evict closes idle files above the limit, those unused longest first.
func (p *pool) evict() error {
	for e := p.lru.Back(); e != nil && p.lru.Len() > maxOpen; {
		h, prev := e.Value.(*handle), e.Prev()
		if h.uses == 0 {
			p.lru.Remove(e)
			delete(p.open, h.file)
			if err := h.os.Close(); err != nil {
				return err
			}
		}
		e = prev
	}
	return nil
}

func (p *pool) release(h *handle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.uses--
}

// Close closes the idle files. The sources stay usable: the next read opens again.
func (p *Files) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for f, e := range p.open {
		if h := e.Value.(*handle); h.uses == 0 && (!p.part || f.files == p) {
			errs = append(errs, h.os.Close())
			p.lru.Remove(e)
			delete(p.open, f)
		}
	}
	return errors.Join(errs...)
}
