//go:build linux

package workspace

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Run runs a program in the merged directory and returns its exit code, 128 and the
// number if a signal ended it. Binds are laid over files for that time.
func (w *Workspace) Run(ctx context.Context, c Command, binds ...Binding) (int, error) {
	dir := w.Dir
	if len(w.shields) > 0 { // where we are, by its name: what it leads to is another directory now
		var err error
		if dir, err = os.Getwd(); err != nil {
			return -1, err
		}
	}
	if w.keeper != nil {
		return w.keeper.ask(ctx, request{Args: c.Args, Env: c.Env, Dir: dir, Binds: binds, Offline: c.Offline})
	}
	return w.runPlain(ctx, c, dir)
}

// runPlain runs a program where nothing is mounted.
func (w *Workspace) runPlain(ctx context.Context, c Command, dir string) (int, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), c.Env...), w.opts.Stdout, w.opts.Stderr
	if w.opts.Stdin != nil {
		cmd.Stdin = w.opts.Stdin
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.Offline {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNET
		if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		}
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // see startKeeper
		done <- cmd.Run()
	}()
	err := <-done
	var ended *exec.ExitError
	if ctx.Err() != nil {
		return -1, ctx.Err()
	}
	if errors.As(err, &ended) {
		if s, ok := ended.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return 128 + int(s.Signal()), nil
		}
		return ended.ExitCode(), nil
	}
	return 0, err
}

// Apply makes edits in the merged directory.
func (w *Workspace) Apply(ctx context.Context, edits []tree.Edit) error {
	b, err := encodeEdits(edits, w.spool)
	if err != nil || len(edits) == 0 {
		return err
	}
	if w.keeper == nil {
		w.noteExact(edits)
		return applyEdits(w.Dir, b)
	}
	_, err = w.keeper.ask(ctx, request{Dir: w.Dir, Apply: b})
	return err
}

// noteExact notes what gets attributes of its own: a copy shows those of the image as far
// as its user can have them.
func (w *Workspace) noteExact(edits []tree.Edit) {
	if w.exact == nil {
		w.exact = map[string]bool{}
	}
	for _, e := range edits {
		switch e := e.(type) {
		case tree.Put:
			if e.Attr.Mode&iso9660.ModeType != iso9660.ModeDir { // one that is there stays as it is
				w.exact[path.Clean("/"+e.Path)] = true
			}
		case tree.SetAttr:
			if e.Mode != nil {
				w.exact[path.Clean("/"+e.Path)] = true
			}
		}
	}
}

// spool writes content to a file of the workspace.
func (w *Workspace) spool(src extent.Source) (string, error) {
	f, err := os.CreateTemp(w.room.dir, "content-")
	if err != nil {
		return "", err
	}
	_, err = io.CopyBuffer(f, struct{ io.Reader }{io.NewSectionReader(src, 0, src.Size())}, make([]byte, 1<<20))
	return f.Name(), errors.Join(err, f.Close())
}

// Stop ends all programs and takes the mounts away. What was changed can then be
// captured.
func (w *Workspace) Stop() error {
	if w.keeper == nil {
		return nil
	}
	err := w.keeper.stop()
	w.keeper = nil
	return err
}

// Path is where a file of that name may be kept until Close.
func (w *Workspace) Path(name string) string { return w.room.path(name) }

// Close ends everything and removes the workspace.
func (w *Workspace) Close() error {
	return errors.Join(w.Stop(), w.room.remove())
}

// Keep ends everything but leaves the workspace's directory, and returns it.
func (w *Workspace) Keep() (string, error) {
	return w.room.dir, errors.Join(w.Stop(), w.room.leave())
}
