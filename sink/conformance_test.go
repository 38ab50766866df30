package sink_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/sinktest"
	"github.com/isolayer/isolayer/sink"
)

// has returns what a file holds, nil if there is none, and fails the test if anything else
// is in its directory.
func has(t *testing.T, path string, beside ...string) func() []byte {
	return func() []byte {
		t.Helper()
		list, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.Name() != filepath.Base(path) && !contains(beside, e.Name()) {
				t.Errorf("%s is left beside it", e.Name())
			}
		}
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return b
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestFileIsASink(t *testing.T) {
	sinktest.Test(t, func(t *testing.T, _ string) sinktest.Medium {
		path := filepath.Join(t.TempDir(), "out")
		return sinktest.Medium{Sink: sink.File(path), Has: has(t, path)}
	})
}

func TestReplacedFileIsASink(t *testing.T) {
	sinktest.Test(t, func(t *testing.T, _ string) sinktest.Medium {
		path := filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
			t.Fatal(err)
		}
		return sinktest.Medium{Sink: sink.File(path), Has: has(t, path)}
	})
}

func TestStreamIsASink(t *testing.T) {
	sinktest.Test(t, func(*testing.T, string) sinktest.Medium {
		b := &bytes.Buffer{}
		return sinktest.Medium{Sink: sink.Stream(b), Has: b.Bytes, Partial: true}
	})
}

func TestInPlaceIsASink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not on this system")
	}
	for name, journal := range map[string]string{"beside": "", "elsewhere": "journals"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && journal != "" {
				t.Skip("the other place is tested")
			}
			sinktest.Test(t, func(t *testing.T, base string) sinktest.Medium {
				o := sink.InPlaceOptions{Undo: sink.UndoDrop}
				if journal != "" {
					o.Journal = filepath.Join(t.TempDir(), journal)
				}
				return sinktest.Medium{Sink: sink.InPlace(base, o), Has: has(t, base, "other")}
			})
		})
	}
}

// snapshot is a source that keeps what an image and its journal hold while it is read.
type snapshot struct {
	image, journal string
	was            map[string][]byte
}

func (s *snapshot) ReadAt(p []byte, _ int64) (int, error) {
	for _, path := range []string{s.image, s.journal} {
		if b, err := os.ReadFile(path); err == nil {
			s.was[path] = b
		}
	}
	clear(p)
	return len(p), nil
}

func (s *snapshot) Name() string { return "snapshot" }
func (s *snapshot) Size() int64  { return 512 }

// TestJournalElsewhere: an edit that was killed is taken back by a journal at another place,
// and one that took effect is undone by it.
func TestJournalElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not on this system")
	}
	image, elsewhere := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "j")
	old := bytes.Repeat([]byte("old content "), 10_000)
	if err := os.WriteFile(image, old, 0o600); err != nil {
		t.Fatal(err)
	}
	files := extent.NewFiles()
	defer files.Close()
	base, err := files.Add(image)
	if err != nil {
		t.Fatal(err)
	}
	src := &snapshot{image, elsewhere + ".isolayer-journal", map[string][]byte{}}
	m, err := extent.Whole(base).Overlay([]extent.Extent{extent.BytesOf(0, []byte("new")), extent.CopyOf(70_000, src, 0, 512)})
	if err != nil {
		t.Fatal(err)
	}
	o := sink.InPlaceOptions{Undo: sink.UndoKeep, Journal: elsewhere}
	res, err := sink.InPlace(image, o).Write(t.Context(), sink.Plan{Map: m, Base: base}, sink.Options{})
	if err != nil || res.Edit.Undo != elsewhere+".isolayer-undo" {
		t.Fatalf("%+v, %v", res.Edit, err)
	}
	if err := sink.Undo(image, o); err != nil || !bytes.Equal(has(t, image)(), old) {
		t.Fatal("undone, it is another image", err)
	}
	if err := sink.Undo(image, o); err == nil {
		t.Error("it was undone twice")
	}

	// As it would be, had the run been killed when the source was read.
	half := src.was[image]
	if len(src.was[src.journal]) == 0 || bytes.Equal(half, old) {
		t.Fatal("nothing was written then")
	}
	for path, b := range src.was {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Recover(image, sink.InPlaceOptions{}); err != nil || !bytes.Equal(has(t, image)(), half) {
		t.Fatal("recovered without its journal", err)
	}
	for range 2 {
		if err := sink.Recover(image, o); err != nil || !bytes.Equal(has(t, image)(), old) {
			t.Fatal("recovered, it is another image", err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(elsewhere)); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestInPlaceNeedsItsPlan: a plan that knows no base says nothing of what may be
// overwritten.
func TestInPlaceNeedsItsPlan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sink.InPlace(path, sink.InPlaceOptions{}).Write(context.Background(), sink.Plan{}, sink.Options{}); !errors.Is(err, sink.ErrNoPlace) {
		t.Error(err)
	}
}
