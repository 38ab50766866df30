//go:build linux

package fsview_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/isotest"
)

// TestView compares what the kernel shows through the view with what bsdtar reads.
func TestView(t *testing.T) {
	if testing.Short() {
		t.Skip("makes images")
	}
	for _, name := range []string{"rhel-like-small", "alpine", "deep", "norr", "utf8", "grub-rescue-cdrom", "dupinode"} {
		t.Run(name, func(t *testing.T) {
			image := isotest.Image(t, name)
			v := mount(t, image)
			want := isotest.Bsdtar(t, image)
			got := manifest(t, v.dir)
			same := func(e isotest.Entry) isotest.Entry {
				if name == "norr" { // libarchive makes modes up
					return isotest.Content(e)
				}
				if e.Type == 'l' || e.Type == 'd' {
					e.MTime = 0
				}
				return e
			}
			if name == "utf8" { // libarchive loses a slash
				long := want["longlink"]
				long.Link = isotest.XorrisoTree(t, image)["longlink"].Link
				want = want.With("longlink", long)
			}
			if d := want.Map(same).Diff(got.Map(same)); d != "" {
				t.Errorf("bsdtar and the view differ:\n%s", d)
			}
			v.end(t)
		})
	}
}

// manifest lists a directory by a program that knows nothing of it.
func manifest(t *testing.T, dir string) isotest.Manifest {
	t.Helper()
	m := isotest.Manifest{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		e := isotest.Entry{Perm: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), MTime: info.ModTime().Unix()}
		rel, _ := filepath.Rel(dir, p)
		switch {
		case d.IsDir():
			e.Type = 'd'
		case d.Type() == os.ModeSymlink:
			e.Type = 'l'
			e.Link, err = os.Readlink(p)
		case d.Type()&os.ModeNamedPipe != 0:
			e.Type = 'p'
		case d.Type()&os.ModeCharDevice != 0:
			e.Type = 'c'
		case d.Type()&os.ModeDevice != 0:
			e.Type = 'b'
		default:
			e.Type, e.Size = 'f', info.Size()
			e.SHA256 = isotest.SHA256File(t, p)
		}
		m[rel] = e
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFS runs the standard library's conformance test over a mounted view.
func TestFS(t *testing.T) {
	if testing.Short() {
		t.Skip("makes an image")
	}
	v := mount(t, isotest.Image(t, "rhel-like-small"))
	if err := fstest.TestFS(os.DirFS(filepath.Join(v.dir, "repodata")), "repomd.xml"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(v.dir, "x"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
		t.Errorf("writing: %v", err)
	}
	v.end(t)
}

// TestConcurrentReads reads random ranges of random files at the same time, cold.
func TestConcurrentReads(t *testing.T) {
	v := mount(t, isotest.Image(t, "grub-rescue-cdrom"))
	var files []string
	content := map[string][]byte{}
	if err := filepath.WalkDir(v.dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, p)
			content[p], err = os.ReadFile(p)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	reads := 4000
	if testing.Short() {
		reads = 400
	}
	var wg sync.WaitGroup
	for seed := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			for i := range reads / 8 {
				p := files[r.IntN(len(files))]
				want := content[p]
				f, err := os.Open(p)
				if err != nil {
					t.Error(err)
					return
				}
				if i%16 == 0 {
					_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // what the kernel kept is dropped: the server is asked again
				}
				off := r.IntN(len(want) + 1)
				buf := make([]byte, r.IntN(1<<20))
				n, err := f.ReadAt(buf, int64(off))
				if string(buf[:n]) != string(want[off:off+n]) || n < len(buf) && n != len(want)-off || err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("%s at %d: %d bytes, %v", p, off, n, err)
				}
				_ = f.Close()
			}
		})
	}
	wg.Wait()
	v.end(t)
}

// TestUnmountUnderLoad takes the view away while programs read it: a plain unmount
// says that it is busy; killing the server ends the reads with an error; nothing is left.
func TestUnmountUnderLoad(t *testing.T) {
	v := mount(t, isotest.Image(t, "grub-rescue-cdrom"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var once sync.Once
	reading := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				out, _ := exec.Command("sh", "-c", `cat "$1"/boot/grub/i386-pc/*.mod | wc -c`, "sh", v.dir).Output()
				if len(out) > 2 {
					once.Do(func() { close(reading) })
				}
			}
		})
	}
	<-reading
	held, err := os.Open(filepath.Join(v.dir, "boot/grub/i386-pc/normal.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Unmount(v.dir, 0); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("unmount while in use: %v", err)
	}
	if err := v.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = v.cmd.Wait()
	_ = held.Close()
	close(stop)
	wg.Wait()
	if _, err := os.ReadDir(v.dir); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("a dead view: %v", err)
	}
	for range 100 { // programs that end let go
		if err = syscall.Unmount(v.dir, 0); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Error(err)
	}
	if on, err := mountinfo.Mounted(v.dir); on || err != nil {
		t.Errorf("still mounted: %v %v", on, err)
	}
}
