// Package sourcetest checks that a type is an extent.Source as the rest takes it to be, as
// testing/fstest does for file systems. It makes no sources.
package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"

	"github.com/isolayer/isolayer/extent"
)

// Test checks a source that holds want: its size, reads inside, across and behind the end, at
// negative offsets and of nothing, many at once; and what it is able to do besides. The
// error joins all that is wrong.
func Test(src extent.Source, want []byte) error {
	c := checker{src: src, want: want}
	if !reflect.TypeOf(src).Comparable() {
		c.fault("it cannot be compared, which tells sources apart")
	}
	if got := src.Size(); got != int64(len(want)) {
		c.fault("its size is %d, want %d", got, len(want))
	}
	if src.Name() == "" {
		c.fault("it has no name")
	}
	c.reads()
	c.negative()
	c.concurrent()
	c.abilities()
	c.ahead()
	return errors.Join(c.faults...)
}

// TestChanged checks a source whose bytes are changed by change behind its back, while its
// name and size may stay: Check must say so, and another source made of it by open must have
// another identity. What the source does not claim to be able to do is not asked for.
func TestChanged(src extent.Source, change func() error, open func() (extent.Source, error)) error {
	c := checker{src: src}
	ctx := context.Background()
	if x, ok := src.(extent.Checked); ok {
		if err := x.Check(ctx); err != nil {
			c.fault("Check before a change: %v", err)
		}
	}
	before, named := src.(extent.Identified)
	id := ""
	if named {
		id = before.Identity()
	}
	if err := change(); err != nil {
		return err
	}
	if x, ok := src.(extent.Checked); ok {
		if err := x.Check(ctx); !errors.Is(err, extent.ErrChanged) {
			c.fault("Check after a change: %v, want ErrChanged", err)
		}
		if n, err := src.ReadAt(make([]byte, 1), 0); err == nil || n > 0 && errors.Is(err, extent.ErrChanged) {
			c.fault("after a change it reads %d bytes, %v", n, err)
		}
	}
	if !named {
		return errors.Join(c.faults...)
	}
	if before.Identity() != id {
		c.fault("the identity of what it was has become another one")
	}
	again, err := open()
	if err != nil {
		return err
	}
	if x, ok := again.(extent.Identified); !ok || x.Identity() == id {
		c.fault("after a change it has the same identity %q", id)
	}
	return errors.Join(c.faults...)
}

type checker struct {
	src    extent.Source
	want   []byte
	mu     sync.Mutex
	faults []error
}

func (c *checker) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) < 20 {
		c.faults = append(c.faults, fmt.Errorf(format, args...))
	}
}

// read checks one read of n bytes at an offset that is not negative (see io.ReaderAt): all
// that is there, io.EOF if that is less than was asked for, and not a byte behind it.
func (c *checker) read(off int64, n int) {
	const mark = 0xa5
	size := int64(len(c.want))
	buf := bytes.Repeat([]byte{mark}, n+8)
	want := c.want[min(off, size):min(off+int64(n), size)]
	got, err := c.src.ReadAt(buf[:n:n], off)
	switch {
	case got != len(want):
		c.fault("read of %d bytes at %d: %d, want %d", n, off, got, len(want))
	case !bytes.Equal(buf[:got], want):
		c.fault("read of %d bytes at %d: other bytes", n, off)
	case got < n && !errors.Is(err, io.EOF):
		c.fault("read of %d bytes at %d, %d are there: %v, want io.EOF", n, off, got, err)
	case err != nil && (!errors.Is(err, io.EOF) || off+int64(n) < size):
		c.fault("read of %d bytes at %d: %v", n, off, err)
	}
	if !bytes.Equal(buf[n:], bytes.Repeat([]byte{mark}, 8)) {
		c.fault("read of %d bytes at %d wrote behind them", n, off)
	}
}

// reads asks for ranges at the ends and around the sizes that blocks have.
func (c *checker) reads() {
	size := int64(len(c.want))
	for _, off := range []int64{0, 1, 511, 512, 2047, 2048, 4095, 4096, 65535, 65536, size / 2, size - 2, size - 1, size, size + 1, size + 1<<40} {
		for _, n := range []int{0, 1, 2, 512, 2048, 2049, 70000, len(c.want), len(c.want) + 1} {
			if off >= 0 {
				c.read(off, n)
			}
		}
	}
}

func (c *checker) negative() {
	defer func() {
		if r := recover(); r != nil {
			c.fault("read at a negative offset panics: %v", r)
		}
	}()
	for _, off := range []int64{-1, -1 << 62} {
		if n, err := c.src.ReadAt(make([]byte, 4), off); n != 0 || err == nil || errors.Is(err, io.EOF) {
			c.fault("read at %d: %d bytes, %v, want an error", off, n, err)
		}
	}
}

func (c *checker) concurrent() {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for off := int64(i); off < int64(len(c.want)); off += max(1, int64(len(c.want)/20)) {
				c.read(off, 3000+i)
			}
		})
	}
	wg.Wait()
}

// abilities checks what of a source that nobody changed must be so.
func (c *checker) abilities() {
	if x, ok := c.src.(extent.Identified); ok {
		if id := x.Identity(); id == "" || id == c.src.Name() || id != x.Identity() {
			c.fault("its identity is %q: empty, its name, or another one each time", id)
		}
	}
	if x, ok := c.src.(extent.Checked); ok {
		if err := x.Check(context.Background()); err != nil {
			c.fault("Check: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := x.Check(ctx); err != nil && !errors.Is(err, context.Canceled) {
			c.fault("Check with a context that has ended: %v", err)
		}
	}
	if x, ok := c.src.(extent.Local); ok {
		c.local(x)
	}
}

// ahead checks that bytes which were announced, and those that were not, are what they are,
// and that a read whose context has ended ends.
func (c *checker) ahead() {
	size := int64(len(c.want))
	if x, ok := c.src.(extent.Prefetcher); ok {
		ctx, cancel := context.WithCancel(context.Background())
		x.Prefetch(ctx, []extent.Range{{Off: size / 2, Len: size - size/2}, {Off: 0, Len: size / 3}})
		c.read(size/2, int(size-size/2))
		c.read(size/3, int(size/2-size/3))
		cancel()
		x.Prefetch(ctx, []extent.Range{{Off: 0, Len: size}})
		c.read(0, len(c.want))
	}
	x, ok := c.src.(extent.ContextReader)
	if !ok {
		return
	}
	buf := make([]byte, size)
	if n, err := x.ReadAtContext(context.Background(), buf, 0); n < len(buf) || err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(buf, c.want) {
		c.fault("ReadAtContext: %d bytes, %v", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	clear(buf)
	switch n, err := x.ReadAtContext(ctx, buf, 0); {
	case n == len(buf) && bytes.Equal(buf, c.want): // they were at hand
	case !errors.Is(err, context.Canceled):
		c.fault("ReadAtContext with a context that has ended: %d bytes, %v", n, err)
	}
}

// local checks that the file is the source.
func (c *checker) local(x extent.Local) {
	boom := errors.New("of fn")
	err := x.With(func(f *os.File) error {
		info, err := f.Stat()
		if err != nil || info.Size() != int64(len(c.want)) {
			c.fault("the file has another size: %v", err)
		}
		if got, err := io.ReadAll(io.NewSectionReader(f, 0, int64(len(c.want)))); err != nil || !bytes.Equal(got, c.want) {
			c.fault("the file has other bytes: %v", err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		c.fault("With returns %v for the error of its function", err)
	}
}
