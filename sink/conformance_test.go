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
