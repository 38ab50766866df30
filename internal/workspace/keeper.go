//go:build linux

package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/fsview"
)

// The keeper is a child process with a mount namespace of its own. It mounts and starts
// programs. A FUSE view is served by a process that the keeper starts and that starts
// none itself: between fork and exec a child holds the FUSE device open, and if it waits
// there for its own view (chdir), nothing, not even a kill, can end it. The keeper is the
// first process of a PID namespace: when it ends, all that was started in it ends, and with
// the last of them the namespace and its mounts. It ends when this process does: by the
// death signal, and since its socket closes.

// Names by which this program knows what it was started as.
const (
	keeperName  = "isolayer-workspace"
	applierName = "isolayer-apply"
	viewerName  = "isolayer-view"
	daemonName  = "isolayer-mount"
)

// Main makes a process that a workspace started do its job and end. Programs that use
// workspaces must call it first thing.
func Main() {
	switch os.Args[0] {
	case keeperName:
		os.Exit(keep())
	case applierName:
		os.Exit(applyMain())
	case viewerName, daemonName:
		os.Exit(serveMain())
	}
}

// request asks the keeper to run a program.
type request struct {
	Args  []string
	Env   []string
	Dir   string
	Apply json.RawMessage `json:",omitempty"` // edits instead of a program
	Binds []Binding       // for this program only

	Offline bool // without a network
}

// reply is the answer to a request, or that the mounts are there.
type reply struct {
	View  string // the kind of view
	Layer string // who lays changes over it
	Why   string // why not the kernel
	Exit  int
	Error string
	Errno int    // of the cause, if it is one of the system
	Cause string // key of causes
}

// causes are errors of this package that a reply can carry.
var causes = map[string]error{
	"namespace": ErrNoNamespace, "upper": ErrUpper, "lower": ErrLower, "there": ErrNotThere, "fuse": fsview.ErrNoFUSE,
	"limit": fault.Limit, "bomb": fault.Bomb, "loop": fault.Loop,
}

// remote is an error that happened in the keeper.
type remote struct {
	text  string
	cause error
	errno syscall.Errno
}

func (r *remote) Error() string { return r.text }

func (r *remote) Unwrap() []error {
	var out []error
	if r.cause != nil {
		out = append(out, r.cause)
	}
	if r.errno != 0 {
		out = append(out, r.errno)
	}
	return out
}

func (r reply) err() error {
	if r.Error == "" {
		return nil
	}
	return &remote{r.Error, causes[r.Cause], syscall.Errno(r.Errno)}
}

func failure(err error) reply {
	r := reply{Error: err.Error(), Exit: -1}
	var no syscall.Errno
	if errors.As(err, &no) {
		r.Errno = int(no)
	}
	for key, cause := range causes {
		if errors.Is(err, cause) {
			r.Cause = key
		}
	}
	return r
}

// keep is the life of a keeper.
func keep() int {
	sock := os.NewFile(3, "socket")
	unix.CloseOnExec(3)
	in, out := json.NewDecoder(sock), json.NewEncoder(sock)
	var s spec
	if err := in.Decode(&s); err != nil {
		return 1
	}
	made, err := s.mount()
	if err != nil {
		_ = out.Encode(failure(err))
		return 1
	}
	if err := out.Encode(made); err != nil {
		return 1
	}
	for {
		var r request
		if in.Decode(&r) != nil {
			return 0 // the parent is done, or gone
		}
		code, err := r.run()
		answer := reply{Exit: code}
		if err != nil {
			answer = failure(err)
		}
		if out.Encode(answer) != nil {
			return 1
		}
	}
}

// kept are the capabilities that programs in a workspace have: what changing files
// needs. They can neither mount nor take a mount away.
var kept = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID,
	unix.CAP_KILL, unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_NET_BIND_SERVICE,
}

// run runs a program, with the keeper's standard streams, and returns its exit code.
func (r *request) run() (int, error) {
	runtime.LockOSThread() // what the program inherits is the thread's; it is never used again
	if len(r.Binds) > 0 {
		for i, b := range r.Binds {
			if err := b.mount(); err != nil {
				return -1, errors.Join(err, unbind(r.Binds[:i]))
			}
		}
		defer func() { _ = unbind(r.Binds) }()
	}
	cmd := &exec.Cmd{Dir: r.Dir, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: append(os.Environ(), r.Env...)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if r.Offline { // made before the program loses the right to
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNET
	}
	var said strings.Builder
	if r.Apply != nil {
		cmd.Path, cmd.Args = "/proc/self/exe", []string{applierName, r.Dir}
		cmd.Dir, cmd.Stdin, cmd.Stderr = "/", strings.NewReader(string(r.Apply)), &said
	} else {
		path, err := exec.LookPath(r.Args[0])
		if err != nil {
			return -1, err
		}
		cmd.Path, cmd.Args = path, r.Args
		if err := restrict(); err != nil {
			return -1, err
		}
	}
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && r.Apply != nil:
		return -1, errors.New(strings.TrimSpace(said.String()))
	case errors.As(err, &ended):
		if s, ok := ended.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return 128 + int(s.Signal()), nil
		}
		return ended.ExitCode(), nil
	}
	return 0, err
}

// restrict takes from this thread, and what it starts, the rights to do more than to
// change files.
func restrict() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		keep := false
		for _, k := range kept {
			keep = keep || k == c
		}
		if keep {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}
