package sink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/extent"
)

// sum is an observer which puts the SHA-256 of the image, its own bytes taken as
// they were, at an offset.
func sum(at int64) (Observer, func() []byte) {
	h := sha256.New()
	return Observer{h, func() ([]extent.Extent, error) {
		return []extent.Extent{extent.BytesOf(at, h.Sum(nil))}, nil
	}}, func() []byte { return h.Sum(nil) }
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
	m := extent.Whole(f)
	want := sha256.Sum256(content)
	sealed := bytes.Clone(content)
	copy(sealed[1000:], want[:])

	obs, _ := sum(1000)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := File(t.Context(), out, m, Options{Observe: []Observer{obs}}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, sealed) {
		t.Errorf("file: %v, equal %v", err, bytes.Equal(got, sealed))
	}

	all := sha256.Sum256(sealed)
	obs, _ = sum(1000)
	plain := sha256.New()
	if _, err := File(t.Context(), out, m, Options{Observe: []Observer{{Writer: plain}, obs}}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, sealed) || !bytes.Equal(plain.Sum(nil), all[:]) {
		t.Errorf("file, two observers: %v, equal %v", err, bytes.Equal(got, sealed))
	}

	obs, _ = sum(1000)
	plain = sha256.New()
	var both bytes.Buffer
	if _, err := Stream(t.Context(), &both, m, Options{Observe: []Observer{obs, {Writer: plain}}}); err != nil || !bytes.Equal(both.Bytes(), sealed) || !bytes.Equal(plain.Sum(nil), all[:]) {
		t.Errorf("stream, two observers: %v", err)
	}

	obs, _ = sum(1000)
	var seen int64
	made, err := Feed(t.Context(), m, func(done, total int64) { seen = done }, obs)
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	plain = sha256.New()
	if _, err := Stream(t.Context(), &stream, made, Options{Observe: []Observer{{Writer: plain}}}); err != nil || !bytes.Equal(stream.Bytes(), sealed) {
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
	_, err = File(t.Context(), filepath.Join(dir, "out"), m, Options{Observe: []Observer{{Writer: &badObserver{2}}}})
	if err == nil {
		t.Error("no error")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Feed(ctx, m, nil, Observer{Writer: &badObserver{99}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, err = Feed(t.Context(), m, nil, Observer{&badObserver{99}, func() ([]extent.Extent, error) { return nil, errors.New("late") }})
	if err == nil || err.Error() != "late" {
		t.Error(err)
	}
}
