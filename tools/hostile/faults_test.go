//go:build hostile

package hostile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// outputs are commands that write, in a directory where base.iso, twin.iso, layer.tar,
// Isofile and the folder src are, and an older out.
var outputs = []struct {
	name string
	args string
	// inPlace commands change copy.iso: a failure leaves it as it was or as it should be,
	// if need be when the next command has taken the edit back.
	inPlace bool
	// files is set for extract, which replaces file by file: each is whole or not there.
	files bool
}{
	{"build", "build base.iso --add src -o out", false, false},
	{"build --layout", "build base.iso --add src --layout compact -o out", false, false},
	{"build -f", "build -f Isofile --store store -o out", false, false},
	{"layer create", "layer create base.iso twin.iso -o out.tar", false, false},
	{"layer apply", "layer apply base.iso layer.tar -o out", false, false},
	{"edit", "edit base.iso --strategy copy --workspace-dir . -o out -- touch new", false, false},
	{"master", "master -quiet -r -J -o out src", false, false},
	{"build --in-place", "build copy.iso --add src --in-place", true, false},
	{"md5 implant", "md5 implant copy.iso", true, false},
	{"extract", "extract twin.iso -C out.d", false, true},
}

// calls are the system calls that fail. Those that the runtime of Go makes on its own
// are left out where a failure of them ends any program.
var calls = []string{
	"openat", "pread64", "pwrite64", "write", "fsync", "fdatasync", "close", "rename", "renameat", "renameat2", "linkat", "unlinkat", "ftruncate",
	"fallocate", "copy_file_range", "sync_file_range", "ioctl", "lseek", "fstatfs", "newfstatat", "fstat", "fchmod", "fchmodat", "fchown", "fchownat", "mkdirat", "symlinkat", "utimensat", "flock", "getdents64",
}

// TestFaults lets every system call of every command that writes fail: the exit code
// says so, and neither is an older output lost nor anything left behind.
func TestFaults(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing: apt-get install strace")
	}
	errnos := []string{"ENOSPC", "EIO", "EDQUOT", "EINTR"}
	if testing.Short() {
		errnos = errnos[1:2]
	}
	bin := program(t)
	stock := t.TempDir()
	furnish(t, bin, stock)
	for _, c := range outputs {
		t.Run(c.name, func(t *testing.T) {
			f := &faults{t: t, bin: bin, stock: stock, args: strings.Fields(c.args), inPlace: c.inPlace, files: c.files}
			f.old, f.want = f.state(f.fresh()), map[string]string{}
			dir := f.fresh()
			if code, out := f.run(dir, nil); code != 0 {
				t.Fatalf("exit code %d: %s", code, out)
			}
			f.want = f.state(dir)
			for _, call := range calls {
				for _, errno := range errnos {
					for n := 1; n <= 40; n++ {
						if !f.one(call, errno, n) {
							break
						}
					}
				}
			}
			t.Logf("%d runs in which a call failed; %d of them ended with an error", f.runs, f.failed)
			if f.failed == 0 {
				t.Error("no failure was told")
			}
		})
	}
}

// furnish makes what the commands need.
func furnish(t *testing.T, bin, dir string) {
	t.Helper()
	write := func(name string, b []byte) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := append(hostile.New(), make(hostile.Image, 1<<20)...)
	image.Put(hostile.AtPVD, hostile.OffSpaceSize, hostile.Pair32(uint32(len(image)/hostile.BlockSize)))
	write("base.iso", image)
	write("copy.iso", image)
	write("src/sub/file", bytes.Repeat([]byte("text "), 30_000))
	write("src/other", []byte("other"))
	write("Isofile", []byte("FROM base.iso\nCOPY src /src\nREMOVE /a.txt\n"))
	write("out", []byte("older output"))
	write("out.tar", []byte("older layer"))
	for _, args := range []string{"build base.iso --add src --rm /a.txt -o twin.iso", "layer create base.iso twin.iso -o layer.tar"} {
		cmd := exec.Command(bin, strings.Fields(args)...)
		cmd.Dir, cmd.Env = dir, environment()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
	}
}

// environment makes runs of one command equal.
func environment() []string {
	return append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "GOMAXPROCS=1")
}

// faults is the matrix of one command.
type faults struct {
	t              *testing.T
	bin, stock     string
	args           []string
	inPlace, files bool
	old, want      map[string]string // the directory before, and when all went well
	runs, failed   int
}

// fresh is a new directory to run in.
func (f *faults) fresh() string {
	dir := filepath.Join(f.t.TempDir(), "room")
	if err := os.CopyFS(dir, os.DirFS(f.stock)); err != nil {
		f.t.Fatal(err)
	}
	return dir
}

// run runs the command, under strace with these options if there are any.
func (f *faults) run(dir string, strace []string) (int, string) {
	argv := append([]string{f.bin}, f.args...)
	if strace != nil {
		argv = append(append([]string{"strace", "-f", "-qq", "-o", filepath.Join(filepath.Dir(dir), "trace")}, strace...), argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, environment()
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// state is what is in a directory: digests by path.
func (f *faults) state(dir string) map[string]string {
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		if strings.HasPrefix(name, "store/") && !strings.Contains(name, ".new-") {
			return nil // what is kept there may be complete or not yet
		}
		if strings.HasSuffix(name, ".isolayer-undo") {
			out[name] = "there" // it holds times
			return nil
		}
		b, err := os.ReadFile(p)
		out[name] = fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// one lets call number n of each thread fail and reports whether there was one.
func (f *faults) one(call, errno string, n int) bool {
	dir := f.fresh()
	code, out := f.run(dir, []string{"-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", call, errno, n)})
	trace, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "trace"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer os.RemoveAll(filepath.Dir(dir))
	if !bytes.Contains(trace, []byte("(INJECTED)")) {
		return false
	}
	if strings.Contains(out, "netpollBreak write failed") || strings.Contains(out, "runtime: ") {
		return true // the runtime's own pipe
	}
	f.runs++
	what := fmt.Sprintf("%s %d: %s, exit code %d: %s", call, n, errno, code, out)
	if code != 0 {
		f.failed++
	}
	if strings.Contains(out, "panic") || strings.Contains(out, "goroutine ") {
		f.t.Errorf("%s", what)
	}
	if f.inPlace && code != 0 { // the next command brings the image in order
		if out, err := exec.Command(f.bin, "info", filepath.Join(dir, "copy.iso")).CombinedOutput(); err != nil {
			f.t.Errorf("%s\nthe next command: %v, %s", what, err, out)
		}
	}
	got := f.state(dir)
	for _, p := range slices.Sorted(paths(got, f.want, f.old)) {
		switch is := got[p]; {
		case code == 0 && is == f.want[p]:
		case code != 0 && is == f.old[p], f.inPlace && code != 0 && is == f.want[p]:
		case f.files && code != 0 && (is == "" || is == f.want[p]):
		case code != 0 && strings.HasPrefix(p, "isolayer-workspace-") && strings.Contains(out, "the workspace is kept: "): // so that no work is lost
		case code != 0 && call == "unlinkat" && f.old[p] == "": // it could not be taken away
		case code != 0 && is == f.want[p] && late(call): // it has its name, and that is reported
		default:
			f.t.Errorf("%s\n%s is %s, was %s, should be %s", what, p, is, f.old[p], f.want[p])
		}
	}
	if code != 0 && !f.inPlace && call != "unlinkat" && !strings.Contains(out, "kept") { // nothing that the next run stumbles over
		if code, out := f.run(dir, nil); code != 0 || !maps.Equal(f.state(dir), f.want) {
			f.t.Errorf("%s\nthe next run: exit code %d, %s; %v, want %v", what, code, out, f.state(dir), f.want)
		}
	}
	return true
}

// late are the calls that come last: the directory is brought to the disk, and closed, what
// was needed meanwhile is removed.
func late(call string) bool { return call == "fsync" || call == "close" || call == "unlinkat" }

func paths(maps ...map[string]string) func(func(string) bool) {
	all := map[string]bool{}
	for _, m := range maps {
		for p := range m {
			all[p] = true
		}
	}
	return func(yield func(string) bool) {
		for p := range all {
			if !yield(p) {
				return
			}
		}
	}
}
