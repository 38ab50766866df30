package inplace

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/isolayer/isolayer/extent"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// op is a call of the package, as the model of a disk saw it.
type op struct {
	kind string // write, truncate, sync; create, rename, remove, syncdir
	file *node
	off  int64
	data []byte
	name string
	to   string
}

// node is a file. What it holds now is for the program; what a crash leaves is made
// from a trace.
type node struct{ now []byte }

// model is a place in memory that writes down what is done to it.
type model struct {
	names  map[string]*node
	trace  []op
	failAt int // the op that fails, 0 for none
}

const imageName = ""

func newModel(image []byte) *model {
	return &model{names: map[string]*node{imageName: {bytes.Clone(image)}}}
}

var errModel = errors.New("disk fails")

func (m *model) note(o op) error {
	m.trace = append(m.trace, o)
	if len(m.trace) == m.failAt {
		return errModel
	}
	return nil
}

func (m *model) image() (file, identity, error) {
	return &handle{m, m.names[imageName]}, identity{1, 2}, nil
}

func (m *model) open(name string) (file, error) {
	if n := m.names[name]; n != nil {
		return &handle{m, n}, nil
	}
	return nil, fs.ErrNotExist
}

func (m *model) create(name string) (file, error) {
	if m.names[name] != nil {
		return nil, fs.ErrExist
	}
	n := &node{}
	if err := m.note(op{kind: "create", name: name, file: n}); err != nil {
		return nil, err
	}
	m.names[name] = n
	return &handle{m, n}, nil
}

func (m *model) rename(old, to string) error {
	if err := m.note(op{kind: "rename", name: old, to: to}); err != nil {
		return err
	}
	m.names[to] = m.names[old]
	delete(m.names, old)
	return nil
}

func (m *model) remove(name string) error {
	if err := m.note(op{kind: "remove", name: name}); err != nil {
		return err
	}
	delete(m.names, name)
	return nil
}

func (m *model) sync() error { return m.note(op{kind: "syncdir"}) }

// maxFile is how long a file of the model can become.
const maxFile = 1 << 27

// handle is an open file of the model.
type handle struct {
	m *model
	n *node
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(h.n.now).ReadAt(p, off)
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > maxFile {
		return 0, errModel
	}
	if err := h.m.note(op{kind: "write", file: h.n, off: off, data: bytes.Clone(p)}); err != nil {
		return 0, err
	}
	h.n.now = put(h.n.now, p, off)
	return len(p), nil
}

func put(b, p []byte, off int64) []byte {
	if n := off + int64(len(p)) - int64(len(b)); n > 0 {
		b = append(b, make([]byte, n)...)
	}
	copy(b[off:], p)
	return b
}

func (h *handle) Zero(off, n int64) error {
	if off+n > maxFile {
		return errModel
	}
	_, err := h.WriteAt(make([]byte, n), off)
	return err
}

func (h *handle) Truncate(n int64) error {
	if n > maxFile {
		return errModel
	}
	if err := h.m.note(op{kind: "truncate", file: h.n, off: n}); err != nil {
		return err
	}
	h.n.now = resize(h.n.now, n)
	return nil
}

func resize(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		return b[:n:n]
	}
	return append(b[:len(b):len(b)], make([]byte, n-int64(len(b)))...)
}

func (h *handle) Size() (int64, error) { return int64(len(h.n.now)), nil }
func (h *handle) Sync() error          { return h.m.note(op{kind: "sync", file: h.n}) }
func (h *handle) Close() error         { return nil }

// crash is what a disk may hold when the power fails after the first ops of a trace:
// what was synced, and of the rest any sectors, any of the sizes, any first part of
// the changes of the directory. Without barriers, syncing does nothing.
func crash(r *rand.Rand, start snapshot, trace []op, barriers bool) *model {
	type state struct {
		durable []byte
		pending []op
	}
	files := map[*node]*state{}
	of := func(n *node) *state {
		if files[n] == nil {
			files[n] = &state{durable: bytes.Clone(start.data[n])}
		}
		return files[n]
	}
	names := maps.Clone(start.names)
	var dir []op
	changeDir := func(o op) {
		switch o.kind {
		case "create":
			names[o.name] = o.file
		case "rename":
			names[o.to] = names[o.name]
			delete(names, o.name)
		case "remove":
			delete(names, o.name)
		}
	}
	settle := func(s *state, all bool) {
		for _, o := range s.pending {
			if o.kind == "truncate" {
				if all || r.IntN(2) == 0 {
					s.durable = resize(s.durable, o.off)
				}
				continue
			}
			for at := 0; at < len(o.data); {
				n := min(sector-(int(o.off)+at)%sector, len(o.data)-at)
				if all || r.IntN(2) == 0 {
					s.durable = put(s.durable, o.data[at:at+n], o.off+int64(at))
				}
				at += n
			}
		}
		s.pending = nil
	}
	for _, o := range trace {
		switch o.kind {
		case "write", "truncate":
			of(o.file).pending = append(of(o.file).pending, o)
		case "sync":
			if barriers {
				settle(of(o.file), true)
			}
		case "syncdir":
			if barriers {
				for _, d := range dir {
					changeDir(d)
				}
				dir = nil
			}
		default:
			dir = append(dir, o)
		}
	}
	for _, d := range dir[:r.IntN(len(dir)+1)] {
		changeDir(d)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		settle(of(names[name]), false)
	}
	m := &model{names: map[string]*node{}}
	for name, n := range names {
		m.names[name] = &node{of(n).durable}
	}
	return m
}

// snapshot is what a model holds before a trace begins.
type snapshot struct {
	names map[string]*node
	data  map[*node][]byte
}

func (m *model) snapshot() snapshot {
	m.trace = nil
	s := snapshot{maps.Clone(m.names), map[*node][]byte{}}
	for _, n := range m.names {
		s.data[n] = bytes.Clone(n.now)
	}
	return s
}

// source is bytes as a source of extents.
type source struct{ b []byte }

func (s *source) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(s.b).ReadAt(p, off) }
func (s *source) Name() string                            { return "source" }
func (s *source) Size() int64                             { return int64(len(s.b)) }

// randomEdit makes an image and an edit of it, of every kind: new content in free
// places and behind the end, moved content, structures, wiped ranges, another size.
func randomEdit(r *rand.Rand) (image, want []byte, e Edit) {
	const page = 2048
	pages := 20 + r.IntN(30)
	image = make([]byte, pages*page)
	use := make([]byte, pages) // 0 free, 1 stays, 2 structure, 3 freed
	for i := range pages {
		use[i] = byte(r.IntN(4))
		if use[i] != 0 || r.IntN(3) == 0 {
			for j := range page {
				image[i*page+j] = byte(r.Uint32())
			}
		}
	}
	base, other := &source{image}, &source{make([]byte, 8*page)}
	for i := range other.b {
		other.b[i] = byte(r.Uint32())
	}
	size := int64(pages * page)
	newSize := size
	switch r.IntN(3) {
	case 0:
		newSize += int64(1+r.IntN(10)) * page
	case 1:
		newSize -= int64(r.IntN(3)) * page
	}
	if r.IntN(4) == 0 {
		newSize += 512 * int64(r.IntN(4))
	}
	var over, wiped, late []extent.Extent
	for i := int64(0); i*page < newSize; i++ {
		off, n := i*page, min(page, newSize-i*page)
		kind := byte(0)
		if i < int64(pages) {
			kind = use[i]
		}
		switch {
		case kind == 3:
			wiped = append(wiped, extent.ZeroOf(off, n))
		case kind == 2 && r.IntN(2) == 0:
			over = append(over, extent.BytesOf(off, bytes.Repeat([]byte{byte(r.Uint32())}, int(n))))
			late = append(late, extent.ZeroOf(off, n))
		case kind == 0 && r.IntN(2) == 0:
			switch r.IntN(4) {
			case 0:
				over = append(over, extent.CopyOf(off, other, int64(r.IntN(7))*page, n))
			case 1:
				over = append(over, extent.ZeroOf(off, n))
			case 2:
				over = append(over, extent.BytesOf(off, bytes.Repeat([]byte{byte(r.Uint32())}, int(n))))
			case 3:
				// From where the base has something that is not written to before the
				// edit takes effect.
				for range 10 {
					if k := int64(r.IntN(pages)); use[k] == 1 || use[k] == 3 {
						over = append(over, extent.CopyOf(off, base, k*page, n))
						break
					}
				}
			}
		}
	}
	m := extent.Whole(base).Resize(newSize)
	for _, list := range [][]extent.Extent{wiped, over} {
		var err error
		if m, err = m.Overlay(list); err != nil {
			panic(err)
		}
	}
	want = make([]byte, newSize)
	if _, err := m.ReadAt(want, 0); err != nil && !errors.Is(err, io.EOF) {
		panic(err)
	}
	return image, want, Edit{Map: m, Base: base, Overwritten: late, Wiped: wiped, Undo: UndoPolicy(r.IntN(3))}
}

// TestApply: the image is the new one, and undone the old one.
func TestApply(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		image, want, e := randomEdit(r)
		m := newModel(image)
		res, err := apply(t.Context(), m, e)
		if err != nil {
			t.Fatal(seed, err)
		}
		if !bytes.Equal(m.names[imageName].now, want) {
			t.Fatalf("seed %d: wrong image", seed)
		}
		if m.names[JournalSuffix] != nil || (m.names[UndoSuffix] != nil) != (e.Undo != UndoDrop) || (res.Undo != "") != (e.Undo != UndoDrop) {
			t.Fatalf("seed %d: journals %v, %+v", seed, maps.Keys(m.names), res)
		}
		err = undo(m)
		if e.Undo == UndoDrop {
			if !errors.Is(err, ErrNoUndo) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			continue
		}
		if err != nil || !bytes.Equal(m.names[imageName].now, image) || len(m.names) != 1 {
			t.Fatalf("seed %d: not undone: %v", seed, err)
		}
		if err := undo(m); !errors.Is(err, ErrNoUndo) {
			t.Fatalf("seed %d: undone twice: %v", seed, err)
		}
	}
}

// crashes runs edits, lets the power fail during them, during what comes to the
// rescue, and during undoing, and counts images that are neither old nor new.
func crashes(t *testing.T, n int, barriers bool) (bad, old, fresh int) {
	t.Helper()
	for seed := uint64(0); old+fresh+bad < n; seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		image, want, e := randomEdit(r)
		m := newModel(image)
		start := m.snapshot()
		if _, err := apply(t.Context(), m, e); err != nil {
			t.Fatal(seed, err)
		}
		trace, from, to := m.trace, image, want
		if e.Undo != UndoDrop && r.IntN(3) == 0 { // crash while it is undone
			start = m.snapshot()
			if err := undo(m); err != nil {
				t.Fatal(seed, err)
			}
			trace, from, to = m.trace, want, image
		}
		for range 20 {
			k := r.IntN(len(trace) + 1)
			left := crash(r, start, trace[:k], barriers)
			for again := r.IntN(3); again > 0; again-- { // and while it is brought in order
				before := left.snapshot()
				if err := recoverImage(left); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if len(left.trace) == 0 {
					break
				}
				left = crash(r, before, left.trace[:r.IntN(len(left.trace)+1)], barriers)
			}
			if err := recoverImage(left); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			switch got := left.names[imageName].now; {
			case bytes.Equal(got, from):
				old++
			case bytes.Equal(got, to):
				fresh++
			default:
				bad++
				if barriers {
					t.Fatalf("seed %d, after %d of %d operations (%s): the image is neither old nor new", seed, k, len(trace), describe(trace))
				}
			}
		}
	}
	return bad, old, fresh
}

func describe(trace []op) (s string) {
	for _, o := range trace {
		s += fmt.Sprintf(" %s%s", o.kind, o.name)
	}
	return s
}

// TestCrashes: whatever reaches the disk, the image is the old or the new one. Without
// barriers it would not be, or this test could not tell.
func TestCrashes(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 500
	}
	if os.Getenv("ISOLAYER_SOAK") != "" {
		n = 100_000
	}
	bad, old, fresh := crashes(t, n, true)
	t.Logf("%d crashes: %d old images, %d new ones, %d bad", old+fresh+bad, old, fresh, bad)
	if old < n/10 || fresh < n/10 {
		t.Errorf("%d old and %d new images: the crashes are at the wrong time", old, fresh)
	}
	if bad, _, _ := crashes(t, 500, false); bad == 0 {
		t.Error("without barriers nothing goes wrong: the model sees nothing")
	}
}

// TestFailures: a disk that fails at any one operation leaves the old image, or the
// next run brings it in order.
func TestFailures(t *testing.T) {
	for seed := range uint64(40) {
		image, want, e := randomEdit(rand.New(rand.NewPCG(seed, 3)))
		m := newModel(image)
		if _, err := apply(t.Context(), m, e); err != nil {
			t.Fatal(err)
		}
		for k := 1; k <= len(m.trace); k++ {
			f := newModel(image)
			f.failAt = k
			if _, err := apply(t.Context(), f, e); !errors.Is(err, errModel) {
				t.Fatalf("seed %d: operation %d fails: %v", seed, k, err)
			}
			if err := recoverImage(f); err != nil {
				t.Fatalf("seed %d: operation %d fails, then: %v", seed, k, err)
			}
			if got := f.names[imageName].now; !bytes.Equal(got, image) && !bytes.Equal(got, want) || f.names[JournalSuffix] != nil {
				t.Fatalf("seed %d: operation %d (%s) fails: neither old nor new", seed, k, m.trace[k-1].kind)
			}
		}
	}
}

// TestRefused: undo is for the image that the edit made, a journal for the image that
// it was made for.
func TestRefused(t *testing.T) {
	image, _, e := randomEdit(rand.New(rand.NewPCG(5, 5)))
	e.Undo = UndoKeep
	m := newModel(image)
	if _, err := apply(t.Context(), m, e); err != nil {
		t.Fatal(err)
	}
	img := m.names[imageName]
	saved := bytes.Clone(img.now)
	img.now = append(img.now, 0)
	if err := undo(m); !errors.Is(err, ErrSince) {
		t.Errorf("a longer image: %v", err)
	}
	img.now = bytes.Clone(saved)
	img.now[e.Overwritten[0].Off] ^= 1
	if err := undo(m); !errors.Is(err, ErrSince) {
		t.Errorf("a changed structure: %v", err)
	}
	img.now = saved
	m.names[JournalSuffix] = &node{bytes.Clone(m.names[UndoSuffix].now)}
	m.names[JournalSuffix].now[8+16]++ // the device
	fix(m.names[JournalSuffix])
	if err := recoverImage(m); !errors.Is(err, ErrForeign) || !bytes.Equal(img.now, saved) {
		t.Errorf("a journal of another file: %v", err)
	}

	big := make([]byte, MaxUndo+4096)
	for i := range big {
		big[i] = 1
	}
	base := &source{big}
	zero, err := extent.Whole(base).Overlay([]extent.Extent{extent.ZeroOf(0, int64(len(big)))})
	if err != nil {
		t.Fatal(err)
	}
	for policy, want := range map[UndoPolicy]error{UndoAuto: ErrUndoSize, UndoKeep: nil, UndoDrop: nil} {
		_, err := apply(t.Context(), newModel(big), Edit{Map: zero, Base: base, Wiped: []extent.Extent{extent.ZeroOf(0, int64(len(big)))}, Undo: policy})
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("much to keep, policy %d: %v", policy, err)
		}
	}
}

// fix makes the sum of a changed journal right.
func fix(n *node) {
	body := n.now[:len(n.now)-len(done)-32]
	sum := sha256.Sum256(body)
	copy(n.now[len(body):], sum[:])
}

// FuzzJournal: no journal makes a run go wrong, or write outside the image.
func FuzzJournal(f *testing.F) {
	for seed := range uint64(5) {
		image, _, e := randomEdit(rand.New(rand.NewPCG(seed, 4)))
		e.Undo = UndoKeep
		m := newModel(image)
		if _, err := apply(f.Context(), m, e); err != nil {
			f.Fatal(err)
		}
		f.Add(m.names[UndoSuffix].now, true)
		f.Add(m.names[UndoSuffix].now, false)
		huge := bytes.Clone(m.names[UndoSuffix].now)
		huge[len(magic)+7] = 0x17 // the old size
		f.Add(huge, false)
	}
	f.Fuzz(func(t *testing.T, j []byte, committed bool) {
		if len(j) > 1<<18 {
			return
		}
		if n := len(j) - 32; n > 0 { // sums do not stop mutations
			sum := sha256.Sum256(j[:n])
			j = append(bytes.Clone(j[:n]), sum[:]...)
		}
		m := newModel(make([]byte, 40*2048))
		name := JournalSuffix
		if committed {
			name = UndoSuffix
		}
		m.names[name] = &node{j}
		if err := recoverImage(m); err != nil {
			return
		}
		_ = undo(m)
		if len(m.names[imageName].now) > 1<<28 {
			t.Fatal("the image grew without bound")
		}
	})
}
