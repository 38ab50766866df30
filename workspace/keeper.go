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

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/fault"
	"github.com/isolayer/isolayer/fsview"
	"github.com/isolayer/isolayer/iso9660"
)

// The keeper is a child process with a mount namespace of its own. It mounts and starts
// programs. A FUSE view is served by a process that the keeper starts and that starts
// none itself: between fork and exec a child holds the FUSE device open, and if it waits
// there for its own view (chdir), nothing, not even a kill, can end it. The keeper is the first process of a PID namespace: when it
// ends, all that was started in it ends, and with the last of them the namespace and its
// mounts. It ends when this process does: by the death signal, and since its socket closes.

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

// spec is what a keeper mounts, in this order.
type spec struct {
	Proc     bool // a new /proc, for the PID namespace
	View     *viewSpec
	Overlays []overlaySpec
	Binds    []Binding
}

// viewSpec is a read-only view of an image.
type viewSpec struct {
	Image   string
	Session int
	Limits  fault.Limits
	Dir     string
	Root    bool     // everything shows as root's
	Kinds   []string // in the order in which they are tried: erofs, iso9660, fuse
	Meta    string   // where an EROFS image may be written
	Helper  bool     // fusermount3 may help
	// Detached views outlive this process.
	Detached bool
}

// overlaySpec is one overlay.
type overlaySpec struct {
	Lower, Upper, Work, Target string
	UserXattr                  bool
	Foreign                    bool // what lies below comes from an image: its setuid bits and devices mean nothing
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

// reply tells of a request, or that the mounts are there.
type reply struct {
	View  string // the kind of view
	Exit  int
	Error string
	Errno int    // of the cause, if it is one of the system
	Cause string // key of causes
}

// causes are errors of this package that a reply can carry.
var causes = map[string]error{
	"namespace": ErrNoNamespace, "upper": ErrUpper, "lower": ErrLower, "there": ErrNotThere, "fuse": fsview.ErrNoFUSE,
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
	kind, err := s.mount()
	if err != nil {
		_ = out.Encode(failure(err))
		return 1
	}
	if err := out.Encode(reply{View: kind}); err != nil {
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

// mount makes all mounts, and returns the kind of view.
func (s *spec) mount() (kind string, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("make mounts private: %w: %w", ErrNoNamespace, err)
	}
	if s.Proc {
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return "", fmt.Errorf("%w: %w", errNoProc, err)
		}
	}
	if s.View == nil {
		return "", s.lay()
	}
	// Not every view can lie below an overlay: some are themselves stacked too deep.
	var errs []error
	for _, kind := range s.View.Kinds {
		v := *s.View
		v.Kinds = []string{kind}
		if kind, err = v.mount(); err == nil {
			if err = s.lay(); err == nil {
				return kind, nil
			}
			err = errors.Join(err, unix.Unmount(v.Dir, unix.MNT_DETACH))
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// lay makes overlays and binds.
func (s *spec) lay() error {
	// What lies below is opened first: an overlay may hide another's lower directory.
	lowers := make([]*os.File, len(s.Overlays))
	for i, o := range s.Overlays {
		fd, err := unix.Open(o.Lower, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", o.Lower, err)
		}
		lowers[i] = os.NewFile(uintptr(fd), o.Lower)
		defer lowers[i].Close()
	}
	for i, o := range s.Overlays {
		if err := o.mount(fmt.Sprintf("/proc/self/fd/%d", lowers[i].Fd())); err != nil {
			return err
		}
	}
	for _, b := range s.Binds {
		if err := b.mount(); err != nil {
			return err
		}
	}
	return nil
}

// errNoProc says that there must be no PID namespace, for want of a /proc for it.
var errNoProc = errors.New("mount /proc")

func (o overlaySpec) mount(lower string) error {
	opts := "lowerdir=" + lower + ",upperdir=" + escape(o.Upper) + ",workdir=" + escape(o.Work)
	if o.UserXattr {
		opts += ",userxattr"
	} else {
		// What a user namespace cannot do is not done as root either: the same edits
		// leave the same marks.
		opts += ",redirect_dir=nofollow,metacopy=off,index=off"
		if hasMoves(o.Upper) {
			opts = strings.Replace(opts, "redirect_dir=nofollow", "redirect_dir=follow", 1)
		}
	}
	flags := uintptr(0)
	if o.Foreign {
		flags = unix.MS_NOSUID | unix.MS_NODEV
	}
	err := unix.Mount("isolayer", o.Target, "overlay", flags, opts)
	if err == nil {
		return nil
	}
	if uerr := probeUpper(o.Upper, o.UserXattr); uerr != nil {
		return fmt.Errorf("lay %s over %s: %w: %w", o.Upper, o.Lower, ErrUpper, uerr)
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("mount overlay: %w: %w", ErrNoNamespace, err)
	}
	return fmt.Errorf("lay %s over %s (%s): %w: %w", o.Upper, o.Lower, fsName(o.Lower), ErrLower, err)
}

// escape guards what options of overlayfs take as separators.
func escape(p string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace(p)
}

func (b Binding) mount() error {
	if err := unix.Mount(b.Source, b.Path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s over %s: %w", b.Source, b.Path, err)
	}
	return nil
}

// mount mounts a view of the first kind that works.
func (v *viewSpec) mount() (kind string, err error) {
	var errs []error
	for _, kind := range v.Kinds {
		switch kind {
		case "erofs":
			err = v.mountEROFS()
		case "iso9660":
			err = v.mountKernel()
		default:
			err = v.mountFUSE()
		}
		if err == nil {
			return kind, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", kind, err))
	}
	return "", fmt.Errorf("show %s: %w", v.Image, errors.Join(errs...))
}

func (v *viewSpec) open() (*extent.File, *iso9660.Image, error) {
	src, err := extent.NewFiles().Add(v.Image)
	if err != nil {
		return nil, nil, err
	}
	img, err := iso9660.Open(src, src.Size(), iso9660.Options{Session: v.Session, Budget: fault.NewBudget(src.Size(), v.Limits)})
	return src, img, err
}

// mountFUSE starts a process that serves the view.
func (v *viewSpec) mountFUSE() error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if v.Detached {
		return serveDetached(b)
	}
	return serveFUSE(b)
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

// unbind takes binds away, the last one first.
func unbind(binds []Binding) (err error) {
	for i := len(binds) - 1; i >= 0; i-- {
		err = errors.Join(err, unix.Unmount(binds[i].Path, unix.MNT_DETACH))
	}
	return err
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
