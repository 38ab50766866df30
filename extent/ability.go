package extent

import (
	"context"
	"os"
)

// What a Source may be able to do besides. Whoever wants it asks for the interface by a type
// assertion and does without where the answer is no.

// Identified is a source whose bytes have a name.
type Identified interface {
	// Identity names the bytes: what has the same identity has the same bytes, today and in
	// another process. It is an entity tag, a digest, or what a file system says of a file
	// and its times, never a name alone. Plans and caches are named by it.
	Identity() string
}

// Checked is a source that others can change behind our back.
type Checked interface {
	// Check reports whether the source still is what it was when it was made: an error that
	// wraps ErrChanged if not. It may ask a file system or a server, but reads no content.
	Check(ctx context.Context) error
}

// ContextReader is a source whose reads may take long, such as of a server.
type ContextReader interface {
	// ReadAtContext is ReadAt that ends with the error of the context when that ends.
	ReadAtContext(ctx context.Context, p []byte, off int64) (int, error)
}

// Range is a run of bytes of a source.
type Range struct{ Off, Len int64 }

// End returns the offset behind the range.
func (r Range) End() int64 { return r.Off + r.Len }

// Prefetcher is a source that can read ahead.
type Prefetcher interface {
	// Prefetch announces what will be read, in the order in which that will happen. It does
	// not wait, and reads nothing more once the context has ended. What is read after all is
	// what ReadAt gives, announced or not.
	Prefetch(ctx context.Context, ranges []Range)
}

// Local is a source that is a file of this machine, as a whole: its Name is a path, and what
// copies it may let the kernel do so, or share its blocks.
type Local interface {
	Source
	// With calls fn with the open file, unless that has changed. Its offset is shared: fn may
	// change it, but must not rely on it. The file is not to be used after fn.
	With(fn func(*os.File) error) error
	// Device distinguishes file systems: files of different ones share no blocks.
	Device() uint64
	// Sparse reports whether the file may have holes.
	Sparse() bool
}
