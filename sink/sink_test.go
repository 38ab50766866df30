package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/atomicfile"
)

// memory is a source that is not a file.
type memory []byte

func (m *memory) Name() string { return "memory" }
func (m *memory) Size() int64  { return int64(len(*m)) }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(*m).ReadAt(p, off)
}

func noise(r *rand.Rand, n int64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}).Read(b)
	return b
}

// newFile writes data to a new file and returns its path.
func newFile(t testing.TB, dir string, data []byte) string {
	t.Helper()
	f, err := os.CreateTemp(dir, "source")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// source makes a file source with the given content.
func source(t testing.TB, pool *extent.Files, dir string, data []byte) *extent.File {
	t.Helper()
	return open(t, pool, newFile(t, dir, data))
}

func open(t testing.TB, pool *extent.Files, path string) *extent.File {
	t.Helper()
	f, err := pool.Add(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return f
}

func overlay(t testing.TB, m *extent.Map, over ...extent.Extent) *extent.Map {
	t.Helper()
	m, err := m.Overlay(over)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func content(t testing.TB, m *extent.Map) []byte {
	t.Helper()
	b := make([]byte, m.Size())
	if _, err := m.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// mustHold fails unless path holds want and nothing hidden is beside it.
func mustHold(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		n := 0
		for n < min(len(got), len(want)) && got[n] == want[n] {
			n++
		}
		t.Fatalf("%s: %d bytes, want %d; they differ at %d", path, len(got), len(want), n)
	}
	mustBeClean(t, filepath.Dir(path))
}

func mustBeClean(t testing.TB, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, ".*.isolayer-*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func checkSum(t testing.TB, r Result, m *extent.Map) {
	t.Helper()
	if r.Size != m.Size() || r.Written+r.Cloned+r.Holes != r.Size {
		t.Fatalf("result does not add up to %d: %+v", m.Size(), r)
	}
}

// randomMap makes a map with every kind of extent, of odd and even places and
// of lengths around the limits that the writer knows.
func randomMap(t testing.TB, r *rand.Rand, sources []extent.Source) *extent.Map {
	t.Helper()
	lengths := []int64{
		1, 7, 511, 2048, 4095, 4096, minHole - 1, minHole, 20000,
		minBulk - 1, minBulk, minBulk + 2048, 100_001, 3*chunk + 5,
	}
	var list []extent.Extent
	var at int64
	place := func() {
		n := lengths[r.IntN(len(lengths))]
		switch r.IntN(4) {
		case 0:
			list = append(list, extent.ZeroOf(at, n))
		case 1:
			list = append(list, extent.BytesOf(at, noise(r, n)))
		default:
			src := sources[r.IntN(len(sources))]
			n = min(n, src.Size())
			off := r.Int64N(src.Size() - n + 1)
			if r.IntN(2) == 0 && n > 8192 { // a congruent place, for cloning
				off = min(off&^4095|at&4095, (src.Size()-n)&^4095-4096|at&4095)
			}
			if off < 0 {
				off = 0
			}
			list = append(list, extent.CopyOf(at, src, off, n))
		}
		at += list[len(list)-1].Len
	}
	if r.IntN(2) == 0 { // edits of a base
		m := extent.Whole(sources[0]).Resize(sources[0].Size() + r.Int64N(1<<20) - 1<<19)
		size := m.Size()
		for at = r.Int64N(10000); ; at += r.Int64N(200_000) {
			place()
			if at > size {
				return overlay(t, m, list[:len(list)-1]...)
			}
		}
	}
	for range 1 + r.IntN(40) {
		place()
	}
	m, err := extent.New(list)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// always writes everything directly that can be.
var always worth

// testRandomMaps is the law of the package, for a directory on any file system.
func testRandomMaps(t *testing.T, dir string, rounds uint64) {
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 0))
		pool := extent.NewFiles()
		sparse := filepath.Join(dir, fmt.Sprintf("sparse-%d", seed))
		holey(t, sparse, r)
		inMemory := memory(noise(r, 300_000))
		m := randomMap(t, r, []extent.Source{
			source(t, pool, dir, noise(r, 2<<20+r.Int64N(8192))),
			source(t, pool, dir, noise(r, 200_000)), open(t, pool, sparse), &inMemory,
		})
		want := content(t, m)
		path := filepath.Join(dir, "out.iso")
		for _, sys := range []system{native, noClone{native}, plain{atomicfile.Portable}} {
			for _, o := range []Options{{}, {worth: &always}} {
				res, err := on(sys, path).Write(t.Context(), Plan{Map: m}, o)
				if err != nil {
					t.Fatalf("seed %d, %T: %v", seed, sys, err)
				}
				mustHold(t, path, want)
				checkSum(t, res, m)
			}
		}
		var buf bytes.Buffer
		res, err := Stream(&buf).Write(t.Context(), Plan{Map: m}, Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !bytes.Equal(buf.Bytes(), want) {
			t.Fatalf("seed %d: stream differs", seed)
		}
		checkSum(t, res, m)
	}
}

// holey makes a file of 4 MiB with holes.
func holey(t testing.TB, path string, r *rand.Rand) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(4 << 20)
	}
	for range 5 {
		if err == nil {
			_, err = f.WriteAt(noise(r, 70_000), r.Int64N(4<<20-70_000))
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRandomMaps(t *testing.T) { testRandomMaps(t, t.TempDir(), 30) }

func TestEmptyMap(t *testing.T) {
	m, err := extent.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "empty")
	if _, err := File(path).Write(t.Context(), Plan{Map: m}, Options{}); err != nil {
		t.Fatal(err)
	}
	mustHold(t, path, nil)
	if _, err := Stream(io.Discard).Write(t.Context(), Plan{Map: m}, Options{}); err != nil {
		t.Fatal(err)
	}
}

func bytesMap(t testing.TB, b []byte) *extent.Map {
	t.Helper()
	m, err := extent.New([]extent.Extent{extent.BytesOf(0, b)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pool := extent.NewFiles()
	data := []byte("content of the base")
	base := source(t, pool, dir, data)
	at := func(name string) string { return filepath.Join(dir, name) }
	must(os.Link(base.Name(), at("hard")))
	must(os.Symlink(filepath.Base(base.Name()), at("soft")))
	must(os.Symlink("soft", at("softer")))
	must(os.Symlink("loop", at("loop")))
	must(os.Symlink(dir, at("dir")))
	base = open(t, pool, base.Name()) // the hard link changed it
	for _, c := range []struct {
		path string
		want error
	}{
		{base.Name(), ErrSameFile},
		{at("hard"), ErrSameFile},
		{at("soft"), ErrSameFile},
		{at("softer"), ErrSameFile},
		{at("dir"), syscall.EISDIR},
		{dir, syscall.EISDIR},
		{at("loop"), syscall.ELOOP},
		{at("none/out"), fs.ErrNotExist},
		{at("none") + "/", fs.ErrNotExist},
		{"", fs.ErrNotExist},
		{at("hard/out"), syscall.ENOTDIR},
	} {
		_, err := File(c.path).Write(t.Context(), Plan{Map: extent.Whole(base)}, Options{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.path, err, c.want)
		}
	}
	mustHold(t, base.Name(), data)

	f, err := os.OpenFile(at("hard"), os.O_WRONLY|os.O_APPEND, 0)
	must(err)
	if _, err := Stream(f).Write(t.Context(), Plan{Map: extent.Whole(base)}, Options{}); !errors.Is(err, ErrSameFile) {
		t.Errorf("stream: %v, want %v", err, ErrSameFile)
	}
	must(f.Close())
	mustHold(t, base.Name(), data)
}

func TestThroughSymlink(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]string{
		"to-b": "a/b", "one": "to-b/../real", "two": filepath.Join(dir, "one"),
	} {
		if err := os.Symlink(link, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"made", "replaced"} {
		if _, err := File(filepath.Join(dir, "two")).Write(t.Context(), Plan{Map: bytesMap(t, []byte(text))}, Options{}); err != nil {
			t.Fatal(err)
		}
		mustHold(t, filepath.Join(dir, "a/real"), []byte(text))
	}
	if _, err := os.Readlink(filepath.Join(dir, "two")); err != nil {
		t.Error(err)
	}
}

func TestLongName(t *testing.T) {
	path := filepath.Join(t.TempDir(), string(bytes.Repeat([]byte("é"), 127)))
	for _, sys := range []system{native, noTmpfile{native}} {
		if _, err := on(sys, path).Write(t.Context(), Plan{Map: bytesMap(t, []byte("x"))}, Options{}); err != nil {
			t.Fatal(err)
		}
		mustHold(t, path, []byte("x"))
	}
}

// on is a file of a system.
func on(sys system, path string) Sink { return file{path, sys} }

// noTmpfile is a system where files have a name from the start.
type noTmpfile struct{ system }

func (noTmpfile) CreateUnnamed(*os.File, fs.FileMode) (*os.File, error) {
	return nil, syscall.EOPNOTSUPP
}

// noClone is a system that cannot share blocks.
type noClone struct{ system }

func (noClone) clone(*os.File, *os.File) error { return syscall.EOPNOTSUPP }

func (noClone) cloneRange(*os.File, int64, *os.File, int64, int64) error { return syscall.EOPNOTSUPP }

func (noClone) copyRange(*os.File, int64, *os.File, int64, int64) (int64, error) {
	return 0, syscall.EXDEV
}

func TestPlainSystem(t *testing.T) {
	dir := t.TempDir()
	pool := extent.NewFiles()
	r := rand.New(rand.NewPCG(1, 1))
	base := source(t, pool, dir, noise(r, 3<<20))
	m := overlay(t, extent.Whole(base), extent.BytesOf(5000, noise(r, 5000)), extent.ZeroOf(1<<20, 1<<20))
	path := filepath.Join(dir, "out")
	for range 2 {
		res, err := on(plain{atomicfile.Portable}, path).Write(t.Context(), Plan{Map: m}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		mustHold(t, path, content(t, m))
		if res.Method != MethodWrite || res.Holes != 1<<20 {
			t.Errorf("%+v", res)
		}
	}
}

func TestProgress(t *testing.T) {
	m := bytesMap(t, make([]byte, 30*chunk+1))
	write := map[string]func(Options) error{
		"file": func(o Options) error {
			_, err := File(filepath.Join(t.TempDir(), "out")).Write(t.Context(), Plan{Map: m}, o)
			return err
		},
		"stream": func(o Options) error {
			_, err := Stream(io.Discard).Write(t.Context(), Plan{Map: m}, o)
			return err
		},
	}
	for name, write := range write {
		var calls, last int64
		start := time.Now()
		err := write(Options{Progress: func(done, total int64) {
			if calls++; done < last || total != m.Size() {
				t.Errorf("%s: %d of %d after %d", name, done, total, last)
			}
			last = done
		}})
		if err != nil || last != m.Size() {
			t.Errorf("%s: ended at %d: %v", name, last, err)
		}
		if most := 2 + int64(time.Since(start)/tick); calls > most {
			t.Errorf("%s: %d calls, at most %d expected", name, calls, most)
		}
	}
}

// hook is a source that does something when byte at is read.
type hook struct {
	extent.Source
	at int64
	do func()
}

func (h *hook) ReadAt(p []byte, off int64) (int, error) {
	if off <= h.at && h.at < off+int64(len(p)) {
		h.do()
	}
	return h.Source.ReadAt(p, off)
}

func TestCancel(t *testing.T) {
	dir := t.TempDir()
	path := newFile(t, dir, []byte("old"))
	data := memory(make([]byte, 40*chunk))
	ctx, cancel := context.WithCancel(t.Context())
	m := extent.Whole(&hook{Source: &data, at: 20 * chunk, do: cancel})
	var done int64
	o := Options{Progress: func(n, _ int64) { done = n }}
	for range 2 { // the second time it is cancelled from the start
		if _, err := File(path).Write(ctx, Plan{Map: m}, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		mustHold(t, path, []byte("old"))
		if _, err := Stream(io.Discard).Write(ctx, Plan{Map: m}, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if done > 21*chunk {
		t.Errorf("went on to %d", done)
	}
}

// interrupted is a system where the user gives up during the sync.
type interrupted struct {
	system
	cancel context.CancelFunc
}

func (s interrupted) Sync(f *os.File) error {
	s.cancel()
	return s.system.Sync(f)
}

func TestCancelAtTheEnd(t *testing.T) {
	path := newFile(t, t.TempDir(), []byte("old"))
	for _, sys := range []system{native, noTmpfile{native}} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := on(interrupted{sys, cancel}, path).Write(ctx, Plan{Map: bytesMap(t, []byte("new"))}, Options{})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		mustHold(t, path, []byte("old"))
	}
}

func TestSourceChanges(t *testing.T) {
	changes := map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 9<<20) },
		"extended":  func(path string) error { return os.Truncate(path, 20<<20) },
		"written": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte("x"), 0)
				err = errors.Join(err, f.Close())
			}
			return err
		},
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+"-", make([]byte, 10<<20), 0o666), os.Rename(path+"-", path))
		},
		"removed": os.Remove,
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := newFile(t, dir, []byte("old"))
			for _, write := range []func(*extent.Map) error{
				func(m *extent.Map) error {
					_, err := File(path).Write(t.Context(), Plan{Map: m}, Options{})
					return err
				},
				func(m *extent.Map) error {
					_, err := Stream(io.Discard).Write(t.Context(), Plan{Map: m}, Options{})
					return err
				},
			} {
				base := source(t, extent.NewFiles(), dir, make([]byte, 10<<20))
				trap := memory(make([]byte, 5000))
				h := &hook{Source: &trap, do: func() {
					if err := change(base.Name()); err != nil {
						t.Error(err)
					}
				}}
				// In the middle of the base, so that it changes while it is copied.
				m := overlay(t, extent.Whole(base), extent.CopyOf(5<<20, h, 0, trap.Size()))
				err := write(m)
				if !errors.Is(err, extent.ErrChanged) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("unnoticed: %v", err)
				}
				mustHold(t, path, []byte("old"))
			}
		})
	}
}

func TestManySmallExtents(t *testing.T) {
	dir := t.TempDir()
	pool := extent.NewFiles()
	r := rand.New(rand.NewPCG(3, 3))
	base := source(t, pool, dir, noise(r, 3*100_000*64))
	var edits []extent.Extent
	for i := range int64(100_000) {
		edits = append(edits, extent.BytesOf(3*i*64, []byte("sixteen bytes...")))
	}
	m := overlay(t, extent.Whole(base), edits...)
	path := filepath.Join(dir, "out")
	start := time.Now()
	if _, err := File(path).Write(t.Context(), Plan{Map: m}, Options{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d extents in %v", len(m.Extents()), time.Since(start))
	mustHold(t, path, content(t, m))
}

// failing is a writer that takes n bytes.
type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return len(p) + f.n, nil // short, and no word about it
	}
	return len(p), nil
}

func TestStreamShortWrite(t *testing.T) {
	m := bytesMap(t, make([]byte, 2*chunk))
	if _, err := Stream(&failing{n: chunk + 1}).Write(t.Context(), Plan{Map: m}, Options{}); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
}
