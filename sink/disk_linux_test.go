package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/extent"
)

// missing skips a test that lacks something here but fails it where continuous
// integration promises to have it.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" && os.Geteuid() == 0 {
		t.Fatal("missing: " + what)
	}
	t.Skip("missing: " + what)
}

// mount mounts a file system on a new directory for the time of the test.
func mount(t *testing.T, args ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root, to mount")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", append(args, dir)...).CombinedOutput(); err != nil {
		missing(t, "mount: "+string(out))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// loop makes a file system in a file and mounts it.
func loop(t *testing.T, size int64, mkfs string, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("makes file systems")
	}
	if _, err := exec.LookPath(mkfs); err != nil {
		missing(t, mkfs)
	}
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, append(args, image)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", mkfs, err, out)
	}
	return mount(t, "-o", "loop", image)
}

func tmpfs(t *testing.T, size string) string {
	t.Helper()
	return mount(t, "-t", "tmpfs", "-o", "size="+size, "tmpfs")
}

// sub makes a directory in a mounted file system.
func sub(t *testing.T, dir string) string {
	t.Helper()
	dir, err := os.MkdirTemp(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func used(t *testing.T, dir string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

func syncFS(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Syncfs(int(d.Fd())), d.Close()); err != nil {
		t.Fatal(err)
	}
}

func allocated(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

func TestFileSystems(t *testing.T) {
	for name, mount := range map[string]func(t *testing.T) string{
		"tmpfs": func(t *testing.T) string { return tmpfs(t, "1g") },
		"ext4":  func(t *testing.T) string { return loop(t, 1<<30, "mkfs.ext4", "-q") },
		"ext4-1k": func(t *testing.T) string {
			return loop(t, 1<<30, "mkfs.ext4", "-q", "-b", "1024")
		},
		"overlay": func(t *testing.T) string {
			below := loop(t, 1<<30, "mkfs.ext4", "-q")
			for _, d := range []string{"lower", "upper", "work"} {
				if err := os.Mkdir(filepath.Join(below, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			return mount(t, "-t", "overlay", "-o", fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", below), "overlay")
		},
		"btrfs": func(t *testing.T) string { return loop(t, 1<<30, "mkfs.btrfs", "-q") },
		"xfs":   func(t *testing.T) string { return loop(t, 1<<30, "mkfs.xfs", "-q", "-m", "reflink=1") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t)
			t.Run("RandomMaps", func(t *testing.T) { testRandomMaps(t, sub(t, dir), 12) })
			t.Run("Holes", func(t *testing.T) { testHoles(t, sub(t, dir)) })
			if name != "tmpfs" && name != "btrfs" {
				t.Run("Direct", func(t *testing.T) { testDirect(t, sub(t, dir), name != "overlay") })
				t.Run("DirectCancel", func(t *testing.T) { testDirectCancel(t, sub(t, dir)) })
				t.Run("DirectLate", func(t *testing.T) { testDirectLate(t, sub(t, dir)) })
				t.Run("Shrinks", func(t *testing.T) { testShrinks(t, sub(t, dir)) })
			}
			if name == "ext4" {
				t.Run("Faults", func(t *testing.T) { testFaults(t, sub(t, dir), Options{worth: &always}, native) })
			}
			if name == "btrfs" || name == "xfs" {
				t.Run("Faults", func(t *testing.T) { testFaults(t, sub(t, dir), Options{}, native, noTmpfile{native}) })
				t.Run("Reflink", func(t *testing.T) { testReflink(t, sub(t, dir)) })
				t.Run("ReflinkTight", func(t *testing.T) { testReflinkTight(t, sub(t, dir)) })
			}
		})
	}
}

func TestHoles(t *testing.T) { testHoles(t, t.TempDir()) }

func testHoles(t *testing.T, dir string) {
	path := filepath.Join(dir, "sparse")
	r := rand.New(rand.NewPCG(6, 6))
	pool := extent.NewFiles()
	holey(t, path, r)
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	m := extent.Whole(open(t, pool, path)).Resize(128 << 20)
	m = overlay(t, m, extent.BytesOf(90<<20, []byte("data")), extent.CopyOf(100<<20+2048, open(t, pool, path), 0, 20<<20))
	out := filepath.Join(dir, "out")
	res, err := File(out).Write(t.Context(), Plan{Map: m}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, out, content(t, m))
	checkSum(t, res, m)
	syncFS(t, dir)
	if n := allocated(t, out); n > 3<<20 {
		t.Errorf("%d bytes allocated, %+v", n, res)
	}
}

// testReflink expects that edits of an image take the space of the edits.
func testReflink(t *testing.T, dir string) {
	r := rand.New(rand.NewPCG(7, 7))
	pool := extent.NewFiles()
	base := source(t, pool, dir, noise(r, 64<<20+2048))
	whole := extent.Whole(base)
	shifted, err := extent.New([]extent.Extent{
		extent.BytesOf(0, noise(r, 4096+512)),
		extent.CopyOf(4096+512, base, 512, base.Size()-512),
	})
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := extent.New([]extent.Extent{
		extent.CopyOf(0, base, 2048, 100<<10), // cannot be cloned, unlike what follows
		extent.CopyOf(100<<10, base, 20<<20, 40<<20),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*extent.Map{
		"mixed": mixed,
		"edited": overlay(t, whole.Resize(base.Size()+100<<10),
			extent.BytesOf(32<<10, noise(r, 2048)), extent.BytesOf(20<<20+2048, noise(r, 100_000)),
			extent.BytesOf(base.Size(), noise(r, 100<<10))),
		"shorter": whole.Resize(50<<20 + 2048),
		"shifted": shifted,
		"blanked": overlay(t, whole, extent.ZeroOf(1<<20+2048, 20<<20)),
		"moved":   overlay(t, whole, extent.CopyOf(1<<20+2048, base, 40<<20+2048, 10<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			syncFS(t, dir)
			before := used(t, dir)
			out := filepath.Join(dir, name)
			res, err := File(out).Write(t.Context(), Plan{Map: m}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			mustHold(t, out, content(t, m))
			checkSum(t, res, m)
			syncFS(t, dir)
			if n := used(t, dir) - before; n >= 2<<20 {
				t.Errorf("%d bytes more in use", n)
			}
			if res.Method != MethodReflink || res.Written >= 1<<20 {
				t.Errorf("%+v", res)
			}
			if err := base.Check(t.Context()); err != nil {
				t.Errorf("cloning touched the source: %v", err)
			}
		})
	}
}

// testReflinkTight writes an image for which a copy would have no room.
func testReflinkTight(t *testing.T, dir string) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "big")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(st.Bavail) * st.Bsize * 2 / 3 &^ 4095
	err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	// An unwritten range would be a hole.
	_, werr := io.CopyN(f, rand.NewChaCha8([32]byte{}), size)
	if err = errors.Join(err, werr, f.Close()); err != nil {
		t.Fatal(err)
	}
	pool := extent.NewFiles()
	base := open(t, pool, path)
	m := overlay(t, extent.Whole(base), extent.BytesOf(1<<20, make([]byte, 1<<20)))
	res, err := File(filepath.Join(dir, "out")).Write(t.Context(), Plan{Map: m}, Options{})
	if err != nil || res.Cloned != size-1<<20 {
		t.Errorf("%+v, %v", res, err)
	}
	// Without a clone it is known in advance that there is no room.
	var short *SpaceError
	_, err = on(noClone{native}, filepath.Join(dir, "out2")).Write(t.Context(), Plan{Map: m}, Options{})
	if !errors.As(err, &short) || short.Err != nil || short.Needed != size || short.Free >= size {
		t.Errorf("%v", err)
	}
	mustBeClean(t, dir)
}

// blind is a system that does not know how much room there is.
type blind struct{ system }

func (blind) space(*os.File) (space, error)         { return space{}, syscall.ENOSYS }
func (blind) allocate(*os.File, int64, int64) error { return syscall.EOPNOTSUPP }

func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "8m")
	path := newFile(t, dir, []byte("old"))
	base := source(t, extent.NewFiles(), t.TempDir(), make([]byte, 20<<20))
	for name, sys := range map[string]system{
		"foreseen": native, "found": blind{native}, "copied": blind{noClone{native}}, "named": blind{noTmpfile{native}},
	} {
		_, err := on(sys, path).Write(t.Context(), Plan{Map: extent.Whole(base)}, Options{})
		var short *SpaceError
		if !errors.Is(err, ErrNoSpace) || !errors.As(err, &short) {
			t.Fatalf("%s: %v", name, err)
		}
		if short.Needed != 20<<20 || name == "foreseen" && (short.Free < 7<<20 || short.Free > 8<<20) {
			t.Errorf("%s: %v", name, err)
		}
		if (name != "foreseen") != errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
		mustHold(t, path, []byte("old"))
		if n := used(t, dir); n > 1<<20 {
			t.Errorf("%s: %d bytes still in use", name, n)
		}
	}
	// Zeros need no room.
	if _, err := File(path).Write(t.Context(), Plan{Map: bytesMap(t, []byte("x")).Resize(1 << 30)}, Options{}); err != nil {
		t.Error(err)
	}
}

// limited is set in the process that may not write large files.
const limited = "SINK_TEST_LIMITED"

// TestFileSizeLimit needs a process of its own: the limit would also hit the
// files that the testing package writes.
func TestFileSizeLimit(t *testing.T) {
	if os.Getenv(limited) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$")
		cmd.Env = append(os.Environ(), limited+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	path := newFile(t, dir, []byte("old"))
	base := source(t, extent.NewFiles(), dir, make([]byte, 2<<20))
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := File(path).Write(t.Context(), Plan{Map: extent.Whole(base)}, Options{}); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("%v", err)
	}
	mustHold(t, path, []byte("old"))
}

func TestModeAndOwner(t *testing.T) {
	mask := unix.Umask(0o027)
	defer unix.Umask(mask)
	dir := t.TempDir()
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	for name, sys := range map[string]system{"unnamed": native, "named": noTmpfile{native}} {
		path := filepath.Join(dir, name)
		for _, c := range []struct {
			old, option, want fs.FileMode // old 0: no file
		}{
			{0, 0, 0o640}, {0, 0o606, 0o606}, {0o604, 0, 0o604}, {0o400, 0o666, 0o400},
		} {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if c.old != 0 {
				err := os.WriteFile(path, nil, 0o600)
				if os.Geteuid() == 0 {
					err = errors.Join(err, os.Chown(path, 1234, 5678))
				}
				if err = errors.Join(err, os.Chmod(path, c.old)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := on(sys, path).Write(t.Context(), Plan{Map: bytesMap(t, []byte("x"))}, Options{Mode: c.option}); err != nil {
				t.Fatal(err)
			}
			if got := mode(path); got != c.want {
				t.Errorf("%s, %+v: %v", name, c, got)
			}
			var st unix.Stat_t
			if err := unix.Stat(path, &st); err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() == 0 && c.old != 0 && (st.Uid != 1234 || st.Gid != 5678) {
				t.Errorf("%s, %+v: owner %d:%d", name, c, st.Uid, st.Gid)
			}
		}
	}
}

func TestUnwritableDirectory(t *testing.T) {
	dir := tmpfs(t, "1m")
	path := newFile(t, dir, []byte("old"))
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := File(path).Write(t.Context(), Plan{Map: bytesMap(t, []byte("x"))}, Options{}); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
	mustHold(t, path, []byte("old"))
}

func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	m := bytesMap(t, noise(rand.New(rand.NewPCG(8, 8)), 3<<20))
	read := make(chan []byte)
	go func() {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		read <- b
	}()
	if _, err := File(path).Write(t.Context(), Plan{Map: m}, Options{}); err != nil {
		t.Fatal(err)
	}
	if string(<-read) != string(content(t, m)) {
		t.Error("other bytes came out")
	}
	for _, reader := range []bool{false, true} { // one that does not read
		if reader {
			f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if _, err := File(path).Write(ctx, Plan{Map: m}, Options{}); !errors.Is(err, ctx.Err()) || err == nil {
			t.Errorf("reader %v: %v", reader, err)
		}
		cancel()
	}
}

func TestBlockDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "root, to make a device")
	}
	image := newFile(t, t.TempDir(), make([]byte, 4<<20))
	out, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		missing(t, "losetup")
	}
	dev := string(out[:len(out)-1])
	defer func() {
		if err := exec.Command("losetup", "--detach", dev).Run(); err != nil {
			t.Error(err)
		}
	}()
	m := bytesMap(t, noise(rand.New(rand.NewPCG(9, 9)), 3<<20))
	if _, err := File(dev).Write(t.Context(), Plan{Map: m}, Options{}); err != nil {
		t.Fatal(err)
	}
	mustHold(t, image, content(t, m.Resize(4<<20)))
	if _, err := File(dev).Write(t.Context(), Plan{Map: m.Resize(4<<20 + 1)}, Options{}); !errors.Is(err, ErrNoSpace) {
		t.Error(err)
	}
}
