//go:build linux

package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeper is the child that holds mounts, as its parent sees it.
type keeper struct {
	sock *os.File
	in   *json.Decoder
	out  *json.Encoder
	done chan error
	kill func() error
}

// start starts a keeper: as root without, else with a user namespace; without a PID
// namespace where no /proc can be made for one.
func (w *Workspace) start(ctx context.Context, make func(user bool) spec) error {
	modes := []bool{true}
	if os.Geteuid() == 0 {
		modes = []bool{false, true} // root of a container may have to do as users do
	}
	var err error
	for _, user := range modes {
		if err = w.startAs(user, make); err == nil || !errors.Is(err, errClone) {
			break
		}
	}
	return errors.Join(err, ctx.Err())
}

// errClone says that not even the child could be started.
var errClone = errors.New("start a child with namespaces of its own")

func (w *Workspace) startAs(user bool, make func(user bool) spec) (err error) {
	for _, pid := range []bool{true, false} {
		s := make(user)
		s.Proc = pid
		var made reply
		if w.keeper, made, err = startKeeper(s, user, w.opts); err == nil {
			w.View, w.Layer, w.Why = made.View, made.Layer, made.Why
			return nil
		}
		if !strings.HasPrefix(err.Error(), errNoProc.Error()) {
			return err
		}
	}
	return err
}

func startKeeper(s spec, user bool, o Options) (k *keeper, made reply, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, made, err
	}
	sock, theirs := os.NewFile(uintptr(pair[0]), "socket"), os.NewFile(uintptr(pair[1]), "socket")
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{keeperName}, ExtraFiles: []*os.File{theirs}, Stdout: o.Stdout, Stderr: o.Stderr}
	if o.Stdin != nil {
		cmd.Stdin = o.Stdin
	}
	a := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if s.Proc {
		a.Cloneflags |= unix.CLONE_NEWPID
	}
	if user {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	cmd.SysProcAttr = a
	k = &keeper{sock: sock, in: json.NewDecoder(sock), out: json.NewEncoder(sock), done: make(chan error, 1)}
	started := make(chan error)
	go func() {
		// The death signal comes when the thread that started the child ends.
		runtime.LockOSThread()
		err := cmd.Start()
		_ = theirs.Close()
		started <- err
		if err == nil {
			k.done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		_ = sock.Close()
		return nil, made, fmt.Errorf("%w: %w: %w", errClone, ErrNoNamespace, bare(err))
	}
	k.kill = cmd.Process.Kill
	var r reply
	if err := errors.Join(k.out.Encode(s), k.in.Decode(&r)); err != nil {
		_ = k.stop()
		return nil, made, fmt.Errorf("the child that mounts ended early: %w", err)
	}
	if err := r.err(); err != nil {
		_ = k.stop()
		return nil, made, err
	}
	return k, r, nil
}

// bare strips the operation from a path error.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// stop ends the keeper and all it started.
func (k *keeper) stop() error {
	err := k.sock.Close()
	select {
	case <-k.done:
		return err
	case <-time.After(2 * time.Second):
	}
	_ = k.kill()
	<-k.done
	return err
}

// ask sends a request and waits for the answer. When ctx ends, the keeper is killed, and
// with it the program.
func (k *keeper) ask(ctx context.Context, r request) (int, error) {
	if err := k.out.Encode(r); err != nil {
		return -1, err
	}
	var answer reply
	got := make(chan error, 1)
	go func() { got <- k.in.Decode(&answer) }()
	select {
	case err := <-got:
		if err != nil {
			return -1, fmt.Errorf("the child that holds the mounts ended: %w", err)
		}
		return answer.Exit, answer.err()
	case <-ctx.Done():
		_ = k.kill()
		<-got
		return -1, ctx.Err()
	}
}
