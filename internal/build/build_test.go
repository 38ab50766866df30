package build_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/sink"
)

// made is an image of files, by their paths, made here: short tests have no other.
func made(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, files[name], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Unix(1_600_000_000, 0).UTC()
	img, err := build.Master([]scan.Graft{{Source: dir}}, scan.Options{
		RockRidge: true, Joliet: true, Epoch: &at, Texts: iso9660.VolumeTexts{Volume: "MADE", Created: at, Modified: at},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	out := filepath.Join(t.TempDir(), "made.iso")
	if _, err := img.WriteFile(t.Context(), out, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	return out
}

// opened is an image file that is closed with the test.
func opened(t *testing.T, path string) *baseimage.Base {
	t.Helper()
	b, err := baseimage.Open(path, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// TestBuildEnds: a context that has ended ends planning.
func TestBuildEnds(t *testing.T) {
	b := opened(t, made(t, map[string][]byte{"a": []byte("a")}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	steps := []edit.Step{edit.Mkdir{Path: "/new"}}
	if _, err := build.Build(ctx, b, steps, stage.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Build: %v", err)
	}
	if _, err := apply.EditsOf(ctx, b, steps, stage.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Edits: %v", err)
	}
}
