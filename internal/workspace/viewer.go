//go:build linux

package workspace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/fsview"
)

// serveFUSE starts the process that mounts and serves a view, and returns when it
// answers. It ends with this thread, or when the mount is taken away.
// See RATIONALE.md, "The FUSE server starts no process".
func serveFUSE(spec []byte) error {
	out, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{viewerName}, Dir: "/", Stdin: bytes.NewReader(spec), Stdout: theirs, Stderr: os.Stderr}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	var r reply
	if err := json.NewDecoder(out).Decode(&r); err != nil {
		return fmt.Errorf("the process that serves the view ended early: %w", err)
	}
	return r.err()
}

// serveMain is the life of the process that serves a view.
func serveMain() int {
	var v viewSpec
	b, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	var m *fsview.Mount
	if err == nil {
		m, err = v.serve()
	}
	answer := reply{}
	if err != nil {
		answer = failure(err)
	}
	if json.NewEncoder(os.Stdout).Encode(answer) != nil || err != nil {
		return 1
	}
	_ = os.Stdout.Close()
	m.Wait()
	return 0
}

func (v *viewSpec) serve() (*fsview.Mount, error) {
	src, img, err := v.open()
	if err != nil {
		return nil, err
	}
	view, err := fsview.New(img, fsview.Options{Root: v.Root, Advise: func(off, n int64) {
		_ = src.With(func(f *os.File) error { return unix.Fadvise(int(f.Fd()), off, n, unix.FADV_WILLNEED) })
	}})
	if err != nil {
		return nil, err
	}
	return view.Mount(v.Dir, fsview.MountOptions{Name: v.Image, Helper: v.Helper})
}
