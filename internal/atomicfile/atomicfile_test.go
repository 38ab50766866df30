package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// faulty is a system whose call number k fails with err.
type faulty struct {
	System
	k, calls int
	err      error
	hit      string // the call that failed
}

func (s *faulty) fails(call string) bool {
	s.calls++
	if s.calls-1 == s.k {
		s.hit = call
	}
	return s.calls-1 == s.k
}

func (s *faulty) OpenDir(path string) (*os.File, error) {
	if s.fails("open directory") {
		return nil, s.err
	}
	return s.System.OpenDir(path)
}

func (s *faulty) CreateUnnamed(dir *os.File, perm fs.FileMode) (*os.File, error) {
	if s.fails("create") {
		return nil, s.err
	}
	return s.System.CreateUnnamed(dir, perm)
}

func (s *faulty) CreateNamed(dir *os.File, name string, perm fs.FileMode) (*os.File, error) {
	if s.fails("create with a name") {
		return nil, s.err
	}
	return s.System.CreateNamed(dir, name, perm)
}

func (s *faulty) Chmod(f *os.File, perm fs.FileMode) error {
	if s.fails("chmod") {
		return s.err
	}
	return s.System.Chmod(f, perm)
}

func (s *faulty) Link(f, dir *os.File, name string) error {
	if s.fails("link") {
		return s.err
	}
	return s.System.Link(f, dir, name)
}

func (s *faulty) Rename(dir *os.File, from, to string) error {
	if s.fails("rename") {
		return s.err
	}
	return s.System.Rename(dir, from, to)
}

func (s *faulty) Sync(f *os.File) error {
	if s.fails("sync") {
		return s.err
	}
	return s.System.Sync(f)
}

func (s *faulty) SyncDir(dir *os.File) error {
	if s.fails("sync directory") {
		return s.err
	}
	return s.System.SyncDir(dir)
}

func (s *faulty) Close(f *os.File) error {
	fails := s.fails("close")
	if err := s.System.Close(f); err != nil || !fails {
		return err
	}
	return s.err
}

// named is a system where files have a name from the start.
type named struct{ System }

func (named) CreateUnnamed(*os.File, fs.FileMode) (*os.File, error) {
	return nil, errors.ErrUnsupported
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// names are those of all files in a directory, hidden ones too.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func read(t *testing.T, p string) string {
	t.Helper()
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWriteFaults: whichever call fails, the old file is there or the new one, whole, and
// nothing beside it; the error says which.
func TestWriteFaults(t *testing.T) {
	fault := errors.New("fault")
	for what, base := range map[string]System{"native": Native, "named": named{Native}, "portable": Portable} {
		for _, old := range []string{"", "old"} {
			for k := 0; ; k++ {
				dir := t.TempDir()
				p := filepath.Join(dir, "f")
				if old != "" {
					if err := os.WriteFile(p, []byte(old), 0o640); err != nil {
						t.Fatal(err)
					}
				}
				sys := &faulty{System: base, k: k, err: fault}
				_, err := write(t.Context(), sys, p, 0, text("new"))
				if sys.hit == "" {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				if !errors.Is(err, fault) || !strings.HasPrefix(err.Error(), "write "+p+": ") {
					t.Errorf("%s, %s fails: %v", what, sys.hit, err)
				}
				want := map[bool][]string{true: {"f"}, false: nil}
				final := sys.hit == "sync directory" || sys.hit == "close" && slices.Contains(names(t, dir), "f") && read(t, p) == "new"
				if got := names(t, dir); !slices.Equal(got, want[old != "" || final]) {
					t.Errorf("%s, %s fails: %q", what, sys.hit, got)
				}
				if old != "" && !final && read(t, p) != old {
					t.Errorf("%s, %s fails: the old file is %q", what, sys.hit, read(t, p))
				}
			}
		}
	}
}

// TestWriteInterrupted: a signal during a call is no error, but for calls whose second
// answer says nothing about the first.
func TestWriteInterrupted(t *testing.T) {
	for k := 0; ; k++ {
		dir := t.TempDir()
		sys := &faulty{System: Native, k: k, err: syscall.EINTR}
		_, err := write(t.Context(), sys, filepath.Join(dir, "f"), 0o600, text("new"))
		if sys.hit == "" {
			break
		}
		if final := slices.Contains([]string{"sync", "sync directory", "close"}, sys.hit); (err != nil) != final {
			t.Errorf("%s: %v", sys.hit, err)
		}
	}
}

// TestWriteModes: of the file that is replaced, else as asked for, else by the umask.
func TestWriteModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are Unix's")
	}
	dir := t.TempDir()
	p := filepath.Join(dir, "f")
	mode := func() fs.FileMode {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	for _, r := range []struct{ ask, want fs.FileMode }{{0o444, 0o444}, {0o600, 0o444}, {0, 0o444}} {
		if _, err := Write(t.Context(), p, r.ask, text("x")); err != nil || mode() != r.want {
			t.Errorf("%v: %v, %v", r.ask, mode(), err)
		}
	}
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "probe"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	probe, err := os.Stat(filepath.Join(dir, "probe"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), p, 0, text("x")); err != nil || mode() != probe.Mode() {
		t.Errorf("%v, want %v, %v", mode(), probe.Mode(), err)
	}
}

// TestWriteLinks: the file that a link leads to is replaced, and not the link.
func TestWriteLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	for range 2 { // at first there is no such file
		if n, err := Write(t.Context(), filepath.Join(dir, "link"), 0, text("four")); err != nil || n != 4 {
			t.Fatal(n, err)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "link")); err != nil || to != "real" || read(t, filepath.Join(dir, "real")) != "four" {
		t.Error(to, err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	var missing *DirError
	if _, err := Write(t.Context(), filepath.Join(dir, "loop"), 0, text("x")); err == nil {
		t.Error("a link to itself was written to")
	}
	if _, err := Write(t.Context(), filepath.Join(dir, "gone", "f"), 0, text("x")); !errors.As(err, &missing) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Write(t.Context(), dir, 0, text("x")); err == nil {
		t.Error("a directory was written to")
	}
}

// TestWriteGivenUp: what fill says, and the end of the context, leave nothing.
func TestWriteGivenUp(t *testing.T) {
	dir := t.TempDir()
	bad := errors.New("bad")
	if _, err := Write(t.Context(), filepath.Join(dir, "f"), 0, func(io.Writer) error { return bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, err := Write(ctx, filepath.Join(dir, "f"), 0, func(w io.Writer) error {
		for {
			if n++; n == 3 {
				cancel()
			}
			if _, err := fmt.Fprint(w, "more"); err != nil {
				return err
			}
		}
	})
	if !errors.Is(err, context.Canceled) || n != 3 {
		t.Error(n, err)
	}
	if _, err := Write(ctx, filepath.Join(dir, "f"), 0, func(io.Writer) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// TestCall: a file may get its name last; what has it is replaced whole.
func TestCall(t *testing.T) {
	for _, sys := range []System{Native, named{Native}, Portable} {
		dir := t.TempDir()
		out, err := Create(sys, Target{Dir: dir, Name: "new"}, 0o444)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.OS().WriteString("x"); err != nil {
			t.Fatal(err)
		}
		if left, err := filepath.Glob(filepath.Join(dir, Unnamed)); err != nil || len(left) != len(names(t, dir)) {
			t.Errorf("%q is not what Unnamed matches: %q, %v", names(t, dir), left, err)
		}
		out.Call("sum")
		if err := out.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"sum"}) || read(t, filepath.Join(dir, "sum")) != "x" {
			t.Errorf("%q", got)
		}
	}
}

// TestAdopt: a file of another program takes the place, the mode and, through a link, the
// name of an older one; whatever fails, one of them is there.
func TestAdopt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are Unix's")
	}
	fault := errors.New("fault")
	for k := 0; ; k++ {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "made"), filepath.Join(dir, "out")
		for p, s := range map[string]string{from: "new", to: "old"} {
			if err := os.WriteFile(p, []byte(s), map[bool]fs.FileMode{true: 0o640, false: 0o600}[p == to]); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("out", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		sys := &faulty{System: Native, k: k, err: fault}
		err := adopt(t.Context(), sys, from, filepath.Join(dir, "link"))
		if sys.hit != "" && !errors.Is(err, fault) {
			t.Errorf("%s: %v", sys.hit, err)
		}
		got := read(t, to)
		if late := sys.hit == "sync directory" || sys.hit == "close"; sys.hit != "" && !late && got != "old" || (sys.hit == "" || late) && got != "new" {
			t.Errorf("%s: %q", sys.hit, got)
		}
		if sys.hit != "" {
			continue
		}
		info, serr := os.Lstat(to)
		if err != nil || serr != nil || info.Mode() != 0o640 || !slices.Equal(names(t, dir), []string{"link", "out"}) {
			t.Error(err, serr, info.Mode(), names(t, dir))
		}
		break
	}
	dir := t.TempDir()
	from := filepath.Join(dir, "made")
	if err := os.WriteFile(from, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Adopt(t.Context(), from, os.DevNull); !Unsupported(err) {
		t.Error(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"made"}) {
		t.Errorf("%q", got)
	}
}
