package extent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// within fails the test if f does not return soon.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("blocks")
	}
}

func write(t *testing.T, name, data string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// openIn counts the open descriptors of files in dir.
func openIn(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	n := 0
	for _, e := range list {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, dir+"/") {
			n++
		}
	}
	return n
}

func TestFilesLimit(t *testing.T) {
	dir, pool := t.TempDir(), NewFiles()
	var files []*File
	for i := range 200 {
		f, err := pool.Add(write(t, fmt.Sprintf("%s/%03d", dir, i), fmt.Sprintf("%03d", i)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i, f := range files {
				b := make([]byte, 3)
				if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF || string(b) != fmt.Sprintf("%03d", i) {
					t.Errorf("file %d reads %q, %v", i, b, err)
				}
			}
		})
	}
	wg.Wait()
	if n := openIn(t, dir); n == 0 || n > maxOpen {
		t.Errorf("%d files are open, at most %d wanted", n, maxOpen)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	if n := openIn(t, dir); n != 0 {
		t.Errorf("%d files are open after Close", n)
	}
	if _, err := files[0].ReadAt(make([]byte, 1), 0); err != nil {
		t.Errorf("read after Close: %v", err)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileRead(t *testing.T) {
	pool := NewFiles()
	defer pool.Close()
	f, err := pool.Add(write(t, t.TempDir()+"/f", "0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	for _, c := range []struct {
		off  int64
		want string
		err  error
	}{{0, "0123", nil}, {6, "6789", nil}, {8, "89", io.EOF}, {10, "", io.EOF}, {99, "", io.EOF}} {
		if n, err := f.ReadAt(b, c.off); string(b[:n]) != c.want || err != c.err {
			t.Errorf("ReadAt %d: %q, %v", c.off, b[:n], err)
		}
	}
	if n, err := f.ReadAt(b, -1); n != 0 || err == nil || err == io.EOF {
		t.Errorf("negative offset: %d, %v", n, err)
	}
}

func TestFileChanged(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"modified":  func(p string) error { return os.WriteFile(p, []byte("9876543210"), 0o600) },
		"truncated": func(p string) error { return os.Truncate(p, 3) },
		"replaced": func(p string) error {
			return errors.Join(os.WriteFile(p+"2", []byte("0123456789"), 0o600), os.Rename(p+"2", p))
		},
		"replaced by a FIFO":      func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) },
		"replaced by a directory": func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			pool := NewFiles()
			defer pool.Close()
			path := write(t, t.TempDir()+"/f", "0123456789")
			f, err := pool.Add(path)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // coarser clocks than this have no file system here
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			if err := f.Check(t.Context()); !errors.Is(err, ErrChanged) {
				t.Errorf("Check: %v", err)
			}
			within(t, func() {
				if n, err := f.ReadAt(make([]byte, 10), 0); n != 0 || !errors.Is(err, ErrChanged) {
					t.Errorf("ReadAt: %d, %v", n, err)
				}
			})
		})
	}
}

// A file that is open already is not asked again at every read; who is done
// with it calls Check. What is cut off must not be taken for the end all the same.
func TestFileChangedWhileOpen(t *testing.T) {
	pool := NewFiles()
	defer pool.Close()
	path := write(t, t.TempDir()+"/f", "0123456789")
	f, err := pool.Add(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 10), 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	if err := f.Check(t.Context()); !errors.Is(err, ErrChanged) {
		t.Errorf("Check: %v", err)
	}
	if _, err := Whole(f).ReadAt(make([]byte, 10), 0); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrChanged) {
		t.Errorf("ReadAt: %v", err)
	}
}

func TestAddRefuses(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("fifo", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, link, dir, "/dev/zero", filepath.Join(dir, "missing")} {
		within(t, func() {
			if f, err := NewFiles().Add(path); err == nil {
				t.Errorf("%s was taken: %v", filepath.Base(path), f)
			}
		})
	}
}

func TestMapConcurrent(t *testing.T) {
	pool := NewFiles()
	defer pool.Close()
	f, err := pool.Add(write(t, t.TempDir()+"/f", strings.Repeat("0123456789", 500)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Whole(f).Overlay([]Extent{BytesOf(100, []byte("patch")), ZeroOf(3000, 700)})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, m.Size())
	if _, err := m.ReadAt(want, 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			b := make([]byte, 333)
			for off := int64(i); off+333 < m.Size(); off += 97 {
				if _, err := m.ReadAt(b, off); err != nil || !bytes.Equal(b, want[off:off+333]) {
					t.Errorf("at %d: %v", off, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
