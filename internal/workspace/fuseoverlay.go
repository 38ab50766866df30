//go:build linux

package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Who lays a writable directory over a view.
const (
	Kernel        = "overlayfs"
	FuseOverlayfs = "fuse-overlayfs" // a program; slower, and less particular about file systems
)

// startTime is how long fuse-overlayfs may take until its mount is there.
const startTime = 10 * time.Second

// mountFUSE lets fuse-overlayfs mount the overlay. It ends with this process.
func (o overlaySpec) mountFUSE() error {
	program, err := exec.LookPath(FuseOverlayfs)
	if err != nil {
		return fmt.Errorf("%s: %w", FuseOverlayfs, exec.ErrNotFound)
	}
	before, err := device(o.Target)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	// Its list of lower directories cannot have a colon in a name: they are named from
	// where it starts.
	opts := "lowerdir=" + escape(filepath.Base(o.Lower)) + ",upperdir=" + escape(o.Upper) + ",workdir=" + escape(o.Work)
	cmd := &exec.Cmd{Path: program, Args: []string{program, "-f", "-o", opts, o.Target}, Dir: filepath.Dir(o.Lower), Stdout: &said, Stderr: &said}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", FuseOverlayfs, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(startTime)
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("%s over %s (%s): %w: %w: %s", FuseOverlayfs, o.Lower, fsName(o.Upper), ErrLower, err, lastLine(said.String()))
		case <-deadline:
			_ = cmd.Process.Kill()
			return errors.Join(fmt.Errorf("%s: no mount after %v: %w", FuseOverlayfs, startTime, ErrLower), <-ended)
		case <-time.After(2 * time.Millisecond):
		}
		if now, err := device(o.Target); err == nil && now != before {
			return nil
		}
	}
}

func device(p string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(p, &st); err != nil {
		return 0, fmt.Errorf("stat %s: %w", p, err)
	}
	return st.Dev, nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
