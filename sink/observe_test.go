package sink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/extent"
)

// sum makes a plan of a map, which has the SHA-256 of the image, its own bytes taken as
// zeros, at an offset.
func sum(t *testing.T, m *extent.Map, at int64) Plan {
	t.Helper()
	m, err := m.Overlay([]extent.Extent{extent.LateOf(at, sha256.Size)})
	if err != nil {
		t.Fatal(err)
	}
	return Plan{Map: m, Late: []Late{{Off: at, Len: sha256.Size, Start: func() (io.Writer, func() ([]byte, error), error) {
		h := sha256.New()
		return h, func() ([]byte, error) { return h.Sum(nil), nil }, nil
	}}}}
}

// TestLate: a file gets its late bytes last, a stream what was made before.
func TestLate(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	content := bytes.Repeat([]byte("content of the image "), 200_000)
	if err := os.WriteFile(src, content, 0o644); err != nil {
		t.Fatal(err)
	}
	files := extent.NewFiles()
	defer files.Close()
	f, err := files.Add(src)
	if err != nil {
		t.Fatal(err)
	}
	p := sum(t, extent.Whole(f), 1000)
	sealed := bytes.Clone(content)
	clear(sealed[1000 : 1000+sha256.Size])
	want := sha256.Sum256(sealed)
	copy(sealed[1000:], want[:])

	out := filepath.Join(t.TempDir(), "out")
	if _, err := File(out).Write(t.Context(), p, Options{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, sealed) {
		t.Errorf("file: %v, equal %v", err, bytes.Equal(got, sealed))
	}

	all := sha256.Sum256(sealed)
	plain := sha256.New()
	if _, err := File(out).Write(t.Context(), p, Options{Observe: []io.Writer{plain}}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, sealed) || !bytes.Equal(plain.Sum(nil), all[:]) {
		t.Errorf("file, two observers: %v, equal %v", err, bytes.Equal(got, sealed))
	}

	plain = sha256.New()
	var both bytes.Buffer
	if _, err := Stream(&both).Write(t.Context(), p, Options{Observe: []io.Writer{plain}}); err != nil || !bytes.Equal(both.Bytes(), sealed) || !bytes.Equal(plain.Sum(nil), all[:]) {
		t.Errorf("stream, two observers: %v", err)
	}

	var seen int64
	made, err := p.Seal(t.Context(), func(done, total int64) { seen = done })
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	plain = sha256.New()
	if _, err := Stream(&stream).Write(t.Context(), Plan{Map: made}, Options{Observe: []io.Writer{plain}}); err != nil || !bytes.Equal(stream.Bytes(), sealed) {
		t.Errorf("stream: %v", err)
	}
	if !bytes.Equal(plain.Sum(nil), all[:]) {
		t.Error("the observer of a stream saw other bytes")
	}
	if seen == 0 {
		t.Error("no progress")
	}
}

type badObserver struct{ after int }

func (b *badObserver) Write(p []byte) (int, error) {
	if b.after--; b.after < 0 {
		return 0, errors.New("observer fails")
	}
	return len(p), nil
}

// TestObserverFails: nothing is left when an observer fails, and a writer that fails
// does not wait for it.
func TestObserverFails(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(t.TempDir(), "src")
	if err := os.WriteFile(src, make([]byte, 5<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	files := extent.NewFiles()
	defer files.Close()
	f, err := files.Add(src)
	if err != nil {
		t.Fatal(err)
	}
	m := extent.Whole(f)
	_, err = File(filepath.Join(dir, "out")).Write(t.Context(), Plan{Map: m}, Options{Observe: []io.Writer{&badObserver{2}}})
	if err == nil {
		t.Error("no error")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Feed(ctx, m, nil, &badObserver{99}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	p := sum(t, m, 0)
	p.Late[0].Start = func() (io.Writer, func() ([]byte, error), error) {
		return &badObserver{99}, func() ([]byte, error) { return nil, errors.New("late") }, nil
	}
	_, err = p.Seal(t.Context(), nil)
	if err == nil || err.Error() != "late" {
		t.Error(err)
	}
}
