// Package sinktest is the suite that every sink must pass.
//
// It knows no sink: a Medium says where one writes to.
package sinktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/sink"
)

// Medium is what one test writes to.
type Medium struct {
	Sink sink.Sink
	// Has returns what is there now; nil where there is nothing.
	Has func() []byte
	// Partial says that what was written before an error cannot be taken back.
	Partial bool
}

// Open makes a medium for one test. base is the file that all plans have as their base; it
// may be the medium itself.
type Open func(t *testing.T, base string) Medium

// baseSize is how long the base of all plans is: some of what sinks handle at once, and a
// rest.
const baseSize = 6<<20 + 1234

// otherSize is how long another source is.
const otherSize = 5<<20 + 1

// world is a base and other sources, anew for each test.
type world struct {
	m     Medium
	path  string // of the base
	base  *extent.File
	other *extent.File
	files *extent.Files
}

func open(t *testing.T, o Open) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{path: filepath.Join(dir, "base"), files: extent.NewFiles()}
	w.base = w.file(t, w.path, baseBytes())
	w.other = w.file(t, filepath.Join(dir, "other"), otherBytes())
	w.m = o(t, w.path)
	t.Cleanup(func() {
		if err := w.files.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) file(t *testing.T, path string, b []byte) *extent.File {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := w.files.Add(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What the base and the other source hold.
var (
	baseBytes  = sync.OnceValue(func() []byte { return random(baseSize, 1) })
	otherBytes = sync.OnceValue(func() []byte { return random(otherSize, 2) })
)

func random(n int, seed uint64) []byte {
	b := make([]byte, n+8)
	r := rand.NewPCG(seed, 0)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}

// plan is a map as a plan for its base.
func (w *world) plan(m *extent.Map, late ...sink.Late) sink.Plan {
	return sink.Plan{Map: m, Late: late, Base: w.base}
}

func (w *world) whole() *extent.Map { return extent.Whole(w.base) }

func overlay(t *testing.T, m *extent.Map, over ...extent.Extent) *extent.Map {
	t.Helper()
	m, err := m.Overlay(over)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// late is a plan of a map with the CRC-32 of all of it at an offset.
func late(off int64) sink.Late {
	return sink.Late{Off: off, Len: 4, Start: func() (io.Writer, func() ([]byte, error), error) {
		h := crc32.NewIEEE()
		return h, func() ([]byte, error) { return h.Sum(nil), nil }, nil
	}}
}

// content reads a map.
func content(t *testing.T, m *extent.Map) []byte {
	t.Helper()
	b := make([]byte, m.Size())
	if n, err := m.ReadAt(b, 0); n < len(b) {
		t.Fatal(err)
	}
	return b
}

// write writes a plan and fails the test if that does not give the bytes.
func (w *world) write(t *testing.T, p sink.Plan, o sink.Options, want []byte) {
	t.Helper()
	res, err := w.m.Sink.Write(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.m.Has(); sha256.Sum256(got) != sha256.Sum256(want) {
		t.Errorf("it holds %d other bytes than the %d of the image; the first at %d", len(got), len(want), differ(got, want))
	}
	if res.Size != p.Map.Size() || res.Written+res.Cloned+res.Holes+res.Kept != res.Size || res.Method == "" {
		t.Errorf("the result of %d bytes is %+v", p.Map.Size(), res)
	}
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// fails writes a plan that cannot be, and fails the test unless the error is want and what
// was there before is there.
func (w *world) fails(t *testing.T, ctx context.Context, p sink.Plan, o sink.Options, want error) {
	t.Helper()
	before := w.m.Has()
	res, err := w.m.Sink.Write(ctx, p, o)
	if !errors.Is(err, want) || res != (sink.Result{}) {
		t.Errorf("it returns %+v, %v; want the error %q", res, err, want)
	}
	if got := w.m.Has(); !w.m.Partial && (!bytes.Equal(got, before) || got == nil != (before == nil)) {
		t.Errorf("%d bytes are there, not the %d of before", len(got), len(before))
	}
}

// Test runs the suite.
func Test(t *testing.T, o Open) {
	t.Run("Bytes", func(t *testing.T) { testBytes(t, o) })
	t.Run("Random", func(t *testing.T) { testRandom(t, o) })
	t.Run("Late", func(t *testing.T) { testLate(t, o) })
	t.Run("LateFails", func(t *testing.T) { testLateFails(t, o) })
	t.Run("Unsealed", func(t *testing.T) { testUnsealed(t, o) })
	t.Run("SourceFails", func(t *testing.T) { testSourceFails(t, o) })
	t.Run("SourceChanges", func(t *testing.T) { testSourceChanges(t, o) })
	t.Run("Canceled", func(t *testing.T) { testCanceled(t, o) })
	t.Run("Observed", func(t *testing.T) { testObserved(t, o) })
	t.Run("Progress", func(t *testing.T) { testProgress(t, o) })
	t.Run("Again", func(t *testing.T) { testAgain(t, o) })
	t.Run("AtOnce", func(t *testing.T) { testAtOnce(t, o) })
}

// testBytes: every kind of extent, at the beginning, at the end and across what is handled
// at once; longer, shorter and empty images.
func testBytes(t *testing.T, o Open) {
	for name, m := range map[string]func(w *world) *extent.Map{
		"base":    func(w *world) *extent.Map { return w.whole() },
		"empty":   func(*world) *extent.Map { return &extent.Map{} },
		"a byte":  func(w *world) *extent.Map { return w.whole().Resize(1) },
		"shorter": func(w *world) *extent.Map { return w.whole().Resize(5<<20 + 1) },
		"longer":  func(w *world) *extent.Map { return w.whole().Resize(baseSize + 5<<20 + 1) },
		"appended": func(w *world) *extent.Map {
			return overlay(t, w.whole().Resize(baseSize+otherSize), extent.CopyOf(baseSize, w.other, 0, otherSize))
		},
		"patched": func(w *world) *extent.Map {
			return overlay(t, w.whole(), extent.BytesOf(0, []byte("first")), extent.BytesOf(5<<20-3, []byte("across")), extent.BytesOf(baseSize-4, []byte("last")))
		},
		"zeros": func(w *world) *extent.Map {
			return overlay(t, w.whole(), extent.ZeroOf(3, 100), extent.ZeroOf(1<<20, 5<<20), extent.ZeroOf(baseSize-9, 9))
		},
		"replaced": func(w *world) *extent.Map {
			return overlay(t, w.whole(), extent.CopyOf(12345, w.other, 54321, 4<<20), extent.CopyOf(6<<20, w.other, 0, 1))
		},
		"nothing of it": func(w *world) *extent.Map { return extent.Whole(w.other) },
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, o)
			m := m(w)
			w.write(t, w.plan(m), sink.Options{}, content(t, m))
		})
	}
}

// testRandom: maps nobody thought of.
func testRandom(t *testing.T, o Open) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := open(t, o)
			r := rand.New(rand.NewPCG(seed, 1))
			m := w.whole().Resize(baseSize + r.Int64N(4<<20) - 2<<20)
			for range 1 + r.IntN(60) {
				off := r.Int64N(m.Size())
				n := 1 + r.Int64N(min(m.Size()-off, 1<<r.IntN(22)))
				switch r.IntN(3) {
				case 0:
					m = overlay(t, m, extent.ZeroOf(off, n))
				case 1:
					m = overlay(t, m, extent.BytesOf(off, random(int(min(n, 5000)), seed)))
				default:
					m = overlay(t, m, extent.CopyOf(off, w.other, r.Int64N(w.other.Size()-n+1), n))
				}
			}
			w.write(t, w.plan(m), sink.Options{}, content(t, m))
		})
	}
}

// lateMap has late bytes at the front, across 5 MiB, and at the end.
func (w *world) lateMap(t *testing.T) (*extent.Map, []sink.Late) {
	t.Helper()
	at := []int64{17, 5<<20 - 2, baseSize - 4}
	m := overlay(t, w.whole(), extent.ZeroOf(2<<20, 1<<20))
	var list []sink.Late
	for _, off := range at {
		m = overlay(t, m, extent.LateOf(off, 4))
		list = append(list, late(off))
	}
	return m, list
}

// sealed is what lateMap is in the end.
func (w *world) sealed(t *testing.T, m *extent.Map, list []sink.Late) []byte {
	t.Helper()
	b := content(t, m.Blank())
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	for _, l := range list {
		copy(b[l.Off:], sum)
	}
	return b
}

// testLate: late bytes are what they are computed as, and what observers hear.
func testLate(t *testing.T, o Open) {
	for _, observed := range []bool{false, true} {
		w := open(t, o)
		m, list := w.lateMap(t)
		want := w.sealed(t, m, list)
		h := sha256.New()
		opts := sink.Options{}
		if observed {
			opts.Observe = []io.Writer{h}
		}
		w.write(t, w.plan(m, list...), opts, want)
		if sum := sha256.Sum256(want); observed && !bytes.Equal(h.Sum(nil), sum[:]) {
			t.Error("an observer heard other bytes")
		}
	}
}

var errFault = errors.New("fault")

// faultSize is how long a source is that fails.
const faultSize = 1 << 20

// fault is a writer, or a source, that fails.
type fault struct {
	after int64 // bytes
	hit   func()
}

func (f *fault) Write(p []byte) (int, error) {
	if f.after -= int64(len(p)); f.after < 0 {
		return 0, errFault
	}
	return len(p), nil
}

func (f *fault) ReadAt(p []byte, off int64) (int, error) {
	if f.hit != nil {
		f.hit()
	}
	if off+int64(len(p)) > f.after {
		return 0, errFault
	}
	return len(p), nil
}

func (f *fault) Name() string { return "faulty" }
func (f *fault) Size() int64  { return faultSize }

// testLateFails: what fails in making late bytes, or makes others than there is room for.
func testLateFails(t *testing.T, o Open) {
	start := func(w io.Writer, b []byte, err error) func() (io.Writer, func() ([]byte, error), error) {
		return func() (io.Writer, func() ([]byte, error), error) {
			return w, func() ([]byte, error) { return b, err }, nil
		}
	}
	for name, f := range map[string]struct {
		start func() (io.Writer, func() ([]byte, error), error)
		want  error
	}{
		"at the start": {func() (io.Writer, func() ([]byte, error), error) { return nil, nil, errFault }, errFault},
		"at once":      {start(&fault{}, make([]byte, 4), nil), errFault},
		"on the way":   {start(&fault{after: baseSize / 2}, make([]byte, 4), nil), errFault},
		"at the end":   {start(io.Discard, nil, errFault), errFault},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, o)
			m, list := w.lateMap(t)
			list[1].Start = f.start
			w.fails(t, t.Context(), w.plan(m, list...), sink.Options{}, f.want)
		})
	}
	for _, n := range []int{0, 3, 5} {
		w := open(t, o)
		m, list := w.lateMap(t)
		list[0].Start = start(io.Discard, make([]byte, n), nil)
		before := w.m.Has()
		if _, err := w.m.Sink.Write(t.Context(), w.plan(m, list...), sink.Options{}); err == nil {
			t.Errorf("%d late bytes for 4 are no error", n)
		}
		if !w.m.Partial && !bytes.Equal(w.m.Has(), before) {
			t.Errorf("%d late bytes for 4 were written", n)
		}
	}
}

// testUnsealed: a plan whose bytes are not all known is refused before the first of them.
func testUnsealed(t *testing.T, o Open) {
	for late := range 3 { // so many are made, of three
		w := open(t, o)
		m, list := w.lateMap(t)
		before := w.m.Has()
		w.fails(t, t.Context(), w.plan(m, list[:late]...), sink.Options{}, extent.ErrUnsealed)
		if !bytes.Equal(w.m.Has(), before) {
			t.Error("bytes were written")
		}
	}
	w := open(t, o)
	before := w.m.Has()
	if _, err := w.m.Sink.Write(t.Context(), w.plan(w.whole(), late(17)), sink.Options{}); err == nil || !bytes.Equal(w.m.Has(), before) {
		t.Errorf("late bytes for what is known: %v", err)
	}
}

// testSourceFails: a source that cannot be read, in part or at all.
func testSourceFails(t *testing.T, o Open) {
	for _, after := range []int64{0, 1 << 18, faultSize - 1} {
		w := open(t, o)
		m := overlay(t, w.whole(), extent.CopyOf(4<<20+7, &fault{after: after}, 0, faultSize))
		w.fails(t, t.Context(), w.plan(m), sink.Options{}, errFault)
	}
}

// testSourceChanges: a source that is another file while it is read.
func testSourceChanges(t *testing.T, o Open) {
	w := open(t, o)
	changing := &fault{after: faultSize, hit: sync.OnceFunc(func() {
		if err := os.WriteFile(w.other.Name(), random(100, 9), 0o644); err != nil {
			t.Error(err)
		}
	})}
	m := overlay(t, w.whole(), extent.CopyOf(0, w.other, 0, 1), extent.CopyOf(3<<20, changing, 0, faultSize))
	w.fails(t, t.Context(), w.plan(m), sink.Options{}, extent.ErrChanged)
}

// testCanceled: a context that has ended, and one that ends on the way.
func testCanceled(t *testing.T, o Open) {
	w := open(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, list := w.lateMap(t)
	w.fails(t, ctx, w.plan(extent.Whole(w.other)), sink.Options{}, context.Canceled)
	w.fails(t, ctx, w.plan(m, list...), sink.Options{}, context.Canceled)

	w = open(t, o)
	ctx, cancel = context.WithCancel(t.Context())
	ending, read := &fault{after: faultSize, hit: cancel}, false
	behind := &fault{after: faultSize, hit: func() { read = true }}
	m = overlay(t, w.whole(), extent.CopyOf(0, ending, 0, faultSize), extent.CopyOf(5<<20, behind, 0, faultSize))
	w.fails(t, ctx, w.plan(m), sink.Options{}, context.Canceled)
	if read {
		t.Error("it went on reading")
	}
}

// testObserved: observers hear all bytes in order, and one that fails ends it.
func testObserved(t *testing.T, o Open) {
	w := open(t, o)
	m := overlay(t, w.whole(), extent.ZeroOf(1<<20, 5<<20), extent.BytesOf(9, []byte("bytes")))
	var heard bytes.Buffer
	h := sha256.New()
	want := content(t, m)
	w.write(t, w.plan(m), sink.Options{Observe: []io.Writer{&heard, h}}, want)
	if sum := sha256.Sum256(want); !bytes.Equal(heard.Bytes(), want) || !bytes.Equal(h.Sum(nil), sum[:]) {
		t.Error("observers heard other bytes")
	}
	w = open(t, o)
	w.fails(t, t.Context(), w.plan(overlay(t, w.whole(), extent.ZeroOf(0, 1))), sink.Options{Observe: []io.Writer{&fault{after: 1 << 20}}}, errFault)
}

// testProgress: it grows within each pass over the bytes, and says once, at the end, that
// all is done.
func testProgress(t *testing.T, o Open) {
	w := open(t, o)
	m := overlay(t, w.whole(), extent.CopyOf(0, w.other, 0, otherSize))
	want := content(t, m)
	var ends int
	var last int64
	w.write(t, w.plan(m), sink.Options{Progress: func(done, total int64) {
		if done > total || done < last || ends > 0 {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		if last = done; done == total {
			ends++
		}
	}}, want)
	if ends != 1 {
		t.Errorf("the end was told %d times", ends)
	}
}

// testAgain: what fails does not stand in the way of the next.
func testAgain(t *testing.T, o Open) {
	w := open(t, o)
	if w.m.Partial {
		t.Skip("what was written stays")
	}
	m, list := w.lateMap(t)
	w.fails(t, t.Context(), w.plan(overlay(t, w.whole(), extent.CopyOf(4<<20, &fault{}, 0, faultSize))), sink.Options{}, errFault)
	w.write(t, w.plan(m, list...), sink.Options{}, w.sealed(t, m, list))
}

// testAtOnce: a plan may be written many times at once.
func testAtOnce(t *testing.T, o Open) {
	var each sync.WaitGroup
	first := open(t, o)
	m := overlay(t, extent.Whole(first.other), extent.LateOf(17, 4))
	p := sink.Plan{Map: m, Late: []sink.Late{late(17)}}
	want := first.sealed(t, m, p.Late)
	for range 3 {
		w := open(t, o)
		q := p
		q.Base = w.base
		each.Go(func() {
			if _, err := w.m.Sink.Write(t.Context(), q, sink.Options{}); err != nil {
				t.Error(err)
			} else if !bytes.Equal(w.m.Has(), want) {
				t.Error("another image")
			}
		})
	}
	each.Wait()
}
