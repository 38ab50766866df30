package sink

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/isolayer/isolayer/extent"
)

// errShort makes a call that moves bytes move only some of them.
var errShort = errors.New("short")

// faulty is a system whose call number k fails with err, or is done in part.
type faulty struct {
	system
	k    int
	err  error
	only string // unless empty, count the calls of this method alone

	mu    sync.Mutex // sources are mapped beside the writing
	calls int
	hit   string   // the method that failed
	cut   string   // the method that is to do less than it is told
	log   []string // every method called
}

// fails counts a call and reports whether it is the one to fail.
func (s *faulty) fails(method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, method)
	if s.only != "" && method != s.only {
		return false
	}
	s.calls++
	if s.calls-1 != s.k {
		return false
	}
	s.hit = method
	if s.err == errShort {
		s.cut = method
		return false
	}
	return true
}

// short reports, once, whether a call is to be done in part.
func (s *faulty) short(method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut != method {
		return false
	}
	s.cut = ""
	return true
}

func (s *faulty) OpenDir(path string) (*os.File, error) {
	if s.fails("openDir") {
		return nil, s.err
	}
	return s.system.OpenDir(path)
}

func (s *faulty) CreateUnnamed(dir *os.File, perm fs.FileMode) (*os.File, error) {
	if s.fails("createUnnamed") {
		return nil, s.err
	}
	return s.system.CreateUnnamed(dir, perm)
}

func (s *faulty) CreateNamed(dir *os.File, name string, perm fs.FileMode) (*os.File, error) {
	if s.fails("createNamed") {
		return nil, s.err
	}
	return s.system.CreateNamed(dir, name, perm)
}

func (s *faulty) Chmod(f *os.File, perm fs.FileMode) error {
	if s.fails("chmod") {
		return s.err
	}
	return s.system.Chmod(f, perm)
}

func (s *faulty) Chown(f *os.File, like fs.FileInfo) error {
	if s.fails("chown") {
		return s.err
	}
	return s.system.Chown(f, like)
}

func (s *faulty) Link(f, dir *os.File, name string) error {
	if s.fails("link") {
		return s.err
	}
	return s.system.Link(f, dir, name)
}

func (s *faulty) Rename(dir *os.File, from, to string) error {
	if s.fails("rename") {
		return s.err
	}
	return s.system.Rename(dir, from, to)
}

func (s *faulty) Sync(f *os.File) error {
	if s.fails("sync") {
		return s.err
	}
	return s.system.Sync(f)
}

func (s *faulty) SyncDir(dir *os.File) error {
	if s.fails("syncDir") {
		return s.err
	}
	return s.system.SyncDir(dir)
}

// close closes in any case, as the kernel does.
func (s *faulty) Close(f *os.File) error {
	fails := s.fails("close")
	if err := s.system.Close(f); err != nil {
		return err
	}
	if fails {
		return s.err
	}
	return nil
}

func (s *faulty) space(f *os.File) (space, error) {
	if s.fails("space") {
		return space{}, s.err
	}
	return s.system.space(f)
}

func (s *faulty) truncate(f *os.File, size int64) error {
	if s.fails("truncate") {
		return s.err
	}
	return s.system.truncate(f, size)
}

func (s *faulty) allocate(f *os.File, off, n int64) error {
	if s.fails("allocate") {
		return s.err
	}
	return s.system.allocate(f, off, n)
}

func (s *faulty) punch(f *os.File, off, n int64) error {
	if s.fails("punch") {
		return s.err
	}
	return s.system.punch(f, off, n)
}

func (s *faulty) clone(dst, src *os.File) error {
	if s.fails("clone") {
		return s.err
	}
	return s.system.clone(dst, src)
}

func (s *faulty) cloneRange(dst *os.File, off int64, src *os.File, srcOff, n int64) error {
	if s.fails("cloneRange") {
		return s.err
	}
	return s.system.cloneRange(dst, off, src, srcOff, n)
}

func (s *faulty) copyRange(dst *os.File, off int64, src *os.File, srcOff, n int64) (int64, error) {
	if s.fails("copyRange") {
		return 0, s.err
	}
	if s.short("copyRange") {
		n = n/2 + 1
	}
	return s.system.copyRange(dst, off, src, srcOff, n)
}

func (s *faulty) nextRange(src *os.File, off int64) (start, end int64, err error) {
	if s.fails("nextRange") {
		return 0, 0, s.err
	}
	return s.system.nextRange(src, off)
}

func (s *faulty) writeAt(f *os.File, p []byte, off int64) (int, error) {
	if s.fails("writeAt") {
		n, err := s.system.writeAt(f, p[:len(p)/3], off)
		return n, errors.Join(s.err, err)
	}
	if s.short("writeAt") {
		p = p[:len(p)/2+1]
	}
	return s.system.writeAt(f, p, off)
}

func (s *faulty) openDirect(f *os.File) (*os.File, error) {
	if s.fails("openDirect") {
		return nil, s.err
	}
	return s.system.openDirect(f)
}

func (s *faulty) writeDirect(f *os.File, vec [][]byte, off int64) (int64, error) {
	if s.fails("writeDirect") {
		n, err := s.system.writeDirect(f, vec[:len(vec)/2], off)
		return n, errors.Join(s.err, err)
	}
	if s.short("writeDirect") {
		vec = vec[:len(vec)/2]
	}
	return s.system.writeDirect(f, vec, off)
}

func (s *faulty) mapFile(src *os.File, off, n int64) ([]byte, error) {
	if s.fails("mapFile") {
		return nil, s.err
	}
	return s.system.mapFile(src, off, n)
}

// unmap unmaps in any case.
func (s *faulty) unmap(b []byte) error {
	fails := s.fails("unmap")
	if err := s.system.unmap(b); err != nil {
		return err
	}
	if fails {
		return s.err
	}
	return nil
}

func (s *faulty) startWriteback(f *os.File, off, n int64) error {
	if s.fails("startWriteback") {
		return s.err
	}
	return s.system.startWriteback(f, off, n)
}

func (s *faulty) awaitWriteback(f *os.File, off, n int64) error {
	if s.fails("awaitWriteback") {
		return s.err
	}
	return s.system.awaitWriteback(f, off, n)
}

// testFaults makes every single call fail in every way.
func testFaults(t *testing.T, dir string, o Options, systems ...system) {
	r := rand.New(rand.NewPCG(5, 5))
	pool := extent.NewFiles()
	holes := filepath.Join(dir, "holes")
	holey(t, holes, r)
	base := source(t, pool, dir, noise(r, 10<<20))
	other := source(t, pool, dir, noise(r, 2<<20))
	m := overlay(t, extent.Whole(base).Resize(18<<20),
		extent.BytesOf(32<<10, noise(r, 5000)), extent.ZeroOf(1<<20, 1<<20),
		extent.CopyOf(4<<20+1, other, 0, other.Size()), // never cloned
		extent.CopyOf(10<<20, other, 0, other.Size()),
		extent.CopyOf(13<<20+2048, open(t, pool, holes), 0, 4<<20))
	want := content(t, m)
	for _, sys := range systems {
		for _, fault := range []error{
			syscall.ENOSPC, syscall.EIO, syscall.EDQUOT, syscall.EINTR, syscall.EFBIG, errShort,
		} {
			for k := 0; faultAt(t, dir, &faulty{system: sys, k: k, err: fault}, m, want, o); k++ {
				if k > 1000 {
					t.Fatalf("%T, %v: no end of calls", sys, fault)
				}
			}
		}
	}
}

// faultAt writes the map and reports whether the call to fail was made at all.
func faultAt(t *testing.T, dir string, sys *faulty, m *extent.Map, want []byte, o Options) bool {
	t.Helper()
	path := filepath.Join(dir, "out.iso")
	old := []byte("old output")
	if err := os.WriteFile(path, old, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := on(sys, path).Write(t.Context(), Plan{Map: m}, o)
	what := fmt.Sprintf("call %d, %s: %v", sys.k, sys.hit, sys.err)
	// Nobody asks again after a sync or a close, whatever the reason.
	final := sys.hit == "sync" || sys.hit == "syncDir" || sys.hit == "close" || sys.hit == "unmap"
	// What cannot be mapped is read, and what cannot be written directly is copied.
	succeeds := sys.hit == "" || sys.hit == "mapFile" || sys.hit == "openDirect" || sys.err == errShort || errors.Is(sys.err, syscall.EINTR) && !final
	switch {
	case succeeds && err != nil:
		t.Fatalf("%s: %v", what, err)
	case !succeeds && !errors.Is(err, sys.err):
		t.Fatalf("%s: got %v", what, err)
	case !succeeds && errors.Is(sys.err, syscall.ENOSPC) && (sys.hit == "writeAt" || sys.hit == "writeDirect"):
		if short := new(SpaceError); !errors.As(err, &short) || short.Needed < 1<<20 {
			t.Fatalf("%s: %v does not tell what is needed", what, err)
		}
	}
	// The new file has got its name when its directory fails to be synced.
	last := sys.hit == "syncDir" || sys.hit == "close" && sys.calls == sys.k+1
	if succeeds || last {
		old = want
	}
	mustHold(t, path, old)
	if t.Failed() {
		t.Fatal(what)
	}
	return sys.hit != ""
}

func TestFaults(t *testing.T) { testFaults(t, t.TempDir(), Options{}, native, noTmpfile{native}) }

// bigMap is large enough for the writer to wait for the disk.
func bigMap(t *testing.T) *extent.Map {
	data := memory(noise(rand.New(rand.NewPCG(10, 10)), backlog+2*window))
	return extent.Whole(&data)
}

func TestWritebackFaults(t *testing.T) {
	m := bigMap(t)
	want := content(t, m)
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC, syscall.EINTR, syscall.ENOSYS} {
		sys := &faulty{system: native, only: "awaitWriteback", err: fault}
		path := filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := on(sys, path).Write(t.Context(), Plan{Map: m}, Options{})
		if runtime.GOOS == "linux" && sys.hit == "" {
			t.Fatal("nothing waits for the disk")
		}
		if fault == syscall.EINTR || fault == syscall.ENOSYS || sys.hit == "" {
			if err != nil {
				t.Errorf("%v: %v", fault, err)
			}
			mustHold(t, path, want)
			continue
		}
		if !errors.Is(err, fault) {
			t.Errorf("%v: %v", fault, err)
		}
		mustHold(t, path, []byte("old"))
	}
}

// TestOrder holds the calls to the order that a power failure asks for.
func TestOrder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have no unnamed files")
	}
	m := bytesMap(t, []byte("content"))
	for _, c := range []struct {
		sys  system
		tail []string
	}{
		{native, []string{"writeAt", "sync", "link", "close", "rename", "syncDir", "close"}},
		{noTmpfile{native}, []string{"writeAt", "sync", "close", "rename", "syncDir", "close"}},
	} {
		sys := &faulty{system: c.sys, k: -1}
		if _, err := on(sys, filepath.Join(t.TempDir(), "out")).Write(t.Context(), Plan{Map: m}, Options{}); err != nil {
			t.Fatal(err)
		}
		got := sys.log[slices.Index(sys.log, "writeAt"):]
		if !slices.Equal(got, c.tail) {
			t.Errorf("got  %v\nwant %v", got, c.tail)
		}
	}
}

// unsteady is a source whose read number k fails, or gives only some of the bytes.
type unsteady struct {
	memory
	k, reads int
	err      error
}

func (s *unsteady) ReadAt(p []byte, off int64) (int, error) {
	s.reads++
	if s.reads-1 != s.k {
		return s.memory.ReadAt(p, off)
	}
	n, err := s.memory.ReadAt(p[:len(p)/3], off)
	if s.err == errShort {
		return n, errors.Join(err, io.EOF) // as a file that has become shorter
	}
	return n, errors.Join(err, s.err)
}

// TestReadFaults makes every single read of a source fail in every way.
func TestReadFaults(t *testing.T) {
	data := noise(rand.New(rand.NewPCG(6, 6)), 5<<20)
	dir := t.TempDir()
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EINTR, errShort} {
		for k := 0; ; k++ {
			src := &unsteady{memory: memory(data), k: k, err: fault}
			path := filepath.Join(dir, "out.iso")
			if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
				t.Fatal(err)
			}
			_, err := File(path).Write(t.Context(), Plan{Map: extent.Whole(src)}, Options{})
			if src.reads <= k { // there are no more reads
				mustHold(t, path, data)
				break
			}
			if err == nil || fault != errShort && !errors.Is(err, fault) {
				t.Errorf("read %d, %v: %v", k, fault, err)
			}
			mustHold(t, path, []byte("old"))
			if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
				t.Fatalf("read %d, %v: left behind: %v, %v", k, fault, list, err)
			}
		}
	}
}

// TestRemoveFault: a temporary file that cannot be taken away is reported beside the cause.
func TestRemoveFault(t *testing.T) {
	dir := t.TempDir()
	sys := &stubborn{faulty{system: noTmpfile{native}, only: "writeAt", err: syscall.ENOSPC}}
	_, err := on(sys, filepath.Join(dir, "out")).Write(t.Context(), Plan{Map: bytesMap(t, []byte("content"))}, Options{})
	if !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.EROFS) {
		t.Errorf("got %v", err)
	}
}

// stubborn keeps its files.
type stubborn struct{ faulty }

func (s *stubborn) Remove(*os.File, string) error { return syscall.EROFS }
