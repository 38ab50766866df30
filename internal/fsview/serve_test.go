//go:build linux

package fsview_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fsview"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
)

// TestMain serves a view in a process of its own: the one that looks at a mount must
// not be the one that answers.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		if err := serve(os.Args[2], os.Args[3]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	isotest.NeedFUSE()
	os.Exit(m.Run())
}

func serve(image, dir string) error {
	files := extent.NewFiles()
	src, err := files.Add(image)
	if err != nil {
		return err
	}
	img, err := iso9660.Open(src, src.Size(), iso9660.Options{})
	if err != nil {
		return err
	}
	v, err := fsview.New(img, fsview.Options{Advise: func(off, n int64) {
		_ = src.With(func(f *os.File) error { return unix.Fadvise(int(f.Fd()), off, n, unix.FADV_WILLNEED) })
	}})
	if err != nil {
		return err
	}
	m, err := v.Mount(dir, fsview.MountOptions{Name: image})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return m.Unmount()
}

// view is an image that another process has mounted.
type view struct {
	dir   string
	cmd   *exec.Cmd
	stdin io.Closer
}

func mount(t testing.TB, image string) *view {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounts, needs root")
	}
	v := &view{dir: filepath.Join(t.TempDir(), "view")}
	if err := os.Mkdir(v.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	v.cmd = exec.Command("/proc/self/exe", "serve", image, v.dir)
	in, err := v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	v.stdin = in
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Unmount(v.dir, unix.MNT_DETACH)
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		rest, _ := io.ReadAll(out)
		t.Fatalf("serve %s: %v %s%s", image, err, line, rest)
	}
	return v
}

// end lets the server unmount and stop.
func (v *view) end(t testing.TB) {
	t.Helper()
	_ = v.stdin.Close()
	if err := v.cmd.Wait(); err != nil {
		t.Errorf("the server: %v", err)
	}
}
