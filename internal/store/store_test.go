package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, text string) Descriptor {
	t.Helper()
	d, err := s.Put(t.Context(), func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.MediaType = MediaLayer
	return d
}

// TestPut: content is there whole or not at all.
func TestPut(t *testing.T) {
	s := open(t)
	d := put(t, s, "hello")
	if want := Digest("sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"); d.Digest != want || d.Size != 5 {
		t.Errorf("%+v", d)
	}
	if b, err := os.ReadFile(s.Path(d.Digest)); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	if again := put(t, s, "hello"); again.Digest != d.Digest {
		t.Errorf("%+v", again)
	}
	broken := errors.New("broken")
	if _, err := s.Put(t.Context(), func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(s.Dir(), "blobs", "sha256", ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestCache: a result is found until its layer is gone or cut.
func TestCache(t *testing.T) {
	s := open(t)
	d := put(t, s, "layer")
	key := Key{1, 2, 3}
	if _, ok := s.Find(key); ok {
		t.Error("found before it was made")
	}
	if err := s.Remember(key, d); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Find(key); !ok || got.Digest != d.Digest || got.Size != d.Size {
		t.Errorf("%+v, %v", got, ok)
	}
	if err := os.Chmod(s.Path(d.Digest), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.Path(d.Digest), 2); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Find(key); ok {
		t.Error("a cut layer is taken")
	}
}

// TestImages: names, what they hold, and what pruning leaves.
func TestImages(t *testing.T) {
	s := open(t)
	kept, lost := put(t, s, "kept"), put(t, s, "lost")
	for k, d := range []Descriptor{kept, lost} {
		if err := s.Remember(Key{byte(k)}, d); err != nil {
			t.Fatal(err)
		}
	}
	c := Config{Base: "base.iso", Digest: "sha256:" + Digest(strings.Repeat("a", 64)), History: []Step{{"COPY a b", kept.Digest, kept.Size}}}
	for _, name := range []string{"site/web:1", "site/web:1", "other"} {
		if _, err := s.Tag(t.Context(), name, c, []Descriptor{kept}); err != nil {
			t.Fatal(err)
		}
	}
	images, err := s.Images()
	if err != nil || len(images) != 2 || images[1].Name != "site/web:1" || images[1].Config.History[0].Instruction != "COPY a b" {
		t.Fatalf("%+v, %v", images, err)
	}
	for _, name := range []string{"", ":x", "x:", "a:b:c", "../é", "a b"} {
		if _, err := s.Tag(t.Context(), name, c, nil); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
	release, err := s.Use()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prune(false); !errors.Is(err, ErrBusy) {
		t.Errorf("pruned while it is used: %v", err)
	}
	release()
	if p, err := s.Prune(false); err != nil || p.Files != 2 { // the layer, and what the step gave
		t.Errorf("%+v, %v", p, err)
	}
	if _, ok := s.Find(Key{0}); !ok {
		t.Error("what an image needs is gone")
	}
	if _, ok := s.Has(lost.Digest); ok {
		t.Error("what nobody needs is there")
	}
	if _, err := s.Prune(true); err != nil {
		t.Fatal(err)
	}
	if images, err := s.Images(); err != nil || len(images) > 0 {
		t.Errorf("%+v, %v", images, err)
	}
}

// TestDamaged: a store that somebody damaged says so.
func TestDamaged(t *testing.T) {
	s := open(t)
	d, err := s.Tag(t.Context(), "x", Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"{", `{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`} {
		if err := os.WriteFile(filepath.Join(s.Dir(), "index.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Images(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := os.Chmod(s.Path(d), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(d), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	var m Manifest
	if err := s.GetJSON(d, &m); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// TestFileDigest: the digest is computed once, and again when the file changed.
func TestFileDigest(t *testing.T) {
	s := open(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	runs := 0
	get := func(fresh bool) Digest {
		d, err := s.FileDigest(file, fresh, func() (Digest, error) {
			runs++
			return "sha256:" + Digest(strings.Repeat("0", 63)+string(rune('0'+runs))), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	get(false)
	time.Sleep(60 * time.Millisecond) // a file that is older than the clock's step
	first := get(false)
	if got := get(false); got != first {
		t.Errorf("%s, then %s", first, got)
	}
	if got := get(true); got == first {
		t.Error("not computed again")
	}
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	n := runs
	get(false)
	if runs == n {
		t.Error("a changed file has its old digest")
	}
	for _, bad := range []string{"", "sha256:", "md5:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("g", 64), "sha256:" + strings.Repeat("0", 63)} {
		if _, err := ParseDigest(bad); !errors.Is(err, ErrDigest) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestDigestNotes: what a power failure makes of the note of a digest is no note.
func TestDigestNotes(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	old := time.Now().Add(-time.Hour)
	if err := errors.Join(os.WriteFile(file, []byte("content"), 0o600), os.Chtimes(file, old, old)); err != nil {
		t.Fatal(err)
	}
	want, computed := Digest("sha256:"+fmt.Sprintf("%x", sha256.Sum256([]byte("content")))), 0
	digest := func(times int) {
		t.Helper()
		computed = 0
		d, err := s.FileDigest(file, false, func() (Digest, error) { computed++; return want, nil })
		if err != nil || d != want || computed != times {
			t.Errorf("%s, computed %d times, want %d; %v", d, computed, times, err)
		}
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	id, known := identify(info)
	if !known {
		t.Skip("this system does not say that a file is the one that it was")
	}
	for recent(info) {
		time.Sleep(10 * time.Millisecond)
	}
	digest(1)
	digest(0)
	for _, torn := range []string{"", strings.Repeat("\x00", len(want)), string(want[:20])} {
		if err := os.WriteFile(s.path(id.file()), []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		digest(1)
		digest(0)
	}
}
