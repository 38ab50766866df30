package sink

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
)

// files is a map of files that lie on pages, with what is not between them.
func files(t *testing.T, dir string) *extent.Map {
	t.Helper()
	r := rand.New(rand.NewPCG(12, 12))
	pool := extent.NewFiles()
	list := []extent.Extent{extent.BytesOf(0, noise(r, 70_001))}
	for off := int64(72 << 10); off < 24<<20; {
		src := source(t, pool, dir, noise(r, 50_000+r.Int64N(1<<20)))
		list = append(list, extent.CopyOf(off, src, 0, src.Size()))
		off += (src.Size() + 4095) &^ 4095
	}
	size := list[len(list)-1].End() + 2048
	return overlay(t, extent.Whole(&memory{}).Resize(size), list...)
}

// counting counts how many bytes were written directly, and how many were mapped.
type counting struct {
	system
	direct, mapped int64
}

func (c *counting) writeDirect(f *os.File, vec [][]byte, off int64) (int64, error) {
	n, err := c.system.writeDirect(f, vec, off)
	c.direct += n
	return n, err
}

func (c *counting) mapFile(src *os.File, off, n int64) ([]byte, error) {
	b, err := c.system.mapFile(src, off, n)
	c.mapped += int64(len(b))
	return b, err
}

// testDirect is for file systems that are written directly, and whose files are mapped or not.
func testDirect(t *testing.T, dir string, mapped bool) {
	m := files(t, dir)
	want := content(t, m)
	path := filepath.Join(dir, "out.iso")
	for name, c := range map[string]struct {
		worth worth
		least int64 // bytes to be written directly
		most  int64
	}{
		"always":   {always, m.Size() / 100 * 98, m.Size()},
		"too slow": {worth{rate: 1 << 50, trial: 5 << 20}, 5 << 20, 5<<20 + directWindow},
		"usual":    {usual, 0, 0},
	} {
		sys := &counting{system: noClone{native}}
		res, err := on(sys, path).Write(t.Context(), Plan{Map: m}, Options{worth: &c.worth})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		mustHold(t, path, want)
		checkSum(t, res, m)
		if sys.direct < c.least || sys.direct > c.most || (c.most > 0) != (res.Method == MethodDirect) {
			t.Errorf("%s: %d of %d bytes written directly, method %s", name, sys.direct, m.Size(), res.Method)
		}
		if c.most == m.Size() && (sys.mapped > m.Size()*3/4) != mapped {
			t.Errorf("%s: %d of %d bytes mapped", name, sys.mapped, m.Size())
		}
	}
}

// shrinking cuts a source as soon as it is mapped.
type shrinking struct{ system }

func (s shrinking) mapFile(src *os.File, off, n int64) ([]byte, error) {
	b, err := s.system.mapFile(src, off, n)
	return b, errors.Join(err, os.Truncate(src.Name(), off))
}

// testShrinks: neither a crash nor an image.
func testShrinks(t *testing.T, dir string) {
	src := source(t, extent.NewFiles(), dir, noise(rand.New(rand.NewPCG(1, 1)), 8<<20))
	path := filepath.Join(dir, "out.iso")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := on(shrinking{noClone{native}}, path).Write(t.Context(), Plan{Map: extent.Whole(src)}, Options{worth: &always})
	if !errors.Is(err, extent.ErrChanged) {
		t.Errorf("got %v", err)
	}
	mustHold(t, path, []byte("old"))
}

// stopping ends the run at a direct write.
type stopping struct {
	system
	at     int
	cancel context.CancelFunc
}

func (s *stopping) writeDirect(f *os.File, vec [][]byte, off int64) (int64, error) {
	if s.at--; s.at < 0 {
		s.cancel()
	}
	return s.system.writeDirect(f, vec, off)
}

// testDirectCancel: whenever a run is ended nothing is left, no descriptor either.
func testDirectCancel(t *testing.T, dir string) {
	m := files(t, dir)
	path := filepath.Join(dir, "out.iso")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	before := maps(t, dir)
	for at := 0; ; at++ {
		ctx, cancel := context.WithCancel(t.Context())
		sys := &stopping{noClone{native}, at, cancel}
		_, err := on(sys, path).Write(ctx, Plan{Map: m}, Options{worth: &always})
		cancel()
		if sys.at >= 0 {
			if err != nil || at == 0 {
				t.Errorf("%d writes: %v", at, err)
			}
			mustHold(t, path, content(t, m))
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended at write %d: %v", at, err)
		}
		mustHold(t, path, []byte("old"))
	}
	if after := maps(t, dir); after > before {
		t.Errorf("%d mappings, %d before", after, before)
	}
}

// maps counts the mappings of files in a directory.
func maps(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), dir)
}

// testDirectLate: what is late lies over what was written directly.
func testDirectLate(t *testing.T, dir string) {
	m := files(t, dir)
	path := filepath.Join(dir, "out.iso")
	want := sha256.Sum256(content(t, overlay(t, m, extent.ZeroOf(40_000, sha256.Size))))
	if _, err := on(noClone{native}, path).Write(t.Context(), sum(t, m, 40_000), Options{worth: &always}); err != nil {
		t.Fatal(err)
	}
	mustHold(t, path, content(t, overlay(t, m, extent.BytesOf(40_000, want[:]))))
}
