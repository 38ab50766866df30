//go:build linux

package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/fault"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// Options of a workspace. The zero value is the usual way.
type Options struct {
	Temp           string // where the workspace's directory is made; "" is os.TempDir
	Session        int    // of the image
	Limits         fault.Limits
	Lower          []string // kinds of views to try: erofs, iso9660, fuse; nil is all that this user can have
	Stdin          *os.File // of programs; nil is nothing
	Stdout, Stderr io.Writer
}

// Workspace is a directory with an image's content, or what stands for another
// directory, that can be changed. It is not safe for concurrent use.
type Workspace struct {
	Strategy Strategy
	View     string // kind of the view: erofs, iso9660, fuse, copy
	Dir      string // the merged directory, as programs see it
	Upper    string // holds what changed; "" if that is not known by it

	room    *room
	image   string
	opts    Options
	keeper  *keeper
	squash  bool          // the view shows everything as root's
	since   unix.Timespec // of a copy: when it was complete
	shields []string      // the directories that are shielded
	began   time.Time
}

// keeper is the child that holds mounts, as its parent sees it.
type keeper struct {
	sock *os.File
	in   *json.Decoder
	out  *json.Encoder
	done chan error
	kill func() error
}

// Prepare makes a workspace of the image. Overlay and Bind mount in a private
// namespace: nobody else sees it, and it goes with this process.
func Prepare(ctx context.Context, image string, s Strategy, o Options) (w *Workspace, err error) {
	if image, err = filepath.Abs(image); err != nil {
		return nil, err
	}
	w = &Workspace{Strategy: s, image: image, opts: o}
	if w.room, err = newRoom(o.Temp); err != nil {
		return nil, err
	}
	w.Dir = w.room.path("merged")
	switch s := s.(type) {
	case Copy:
		err = w.copyOut(ctx)
	case Overlay:
		err = w.overlay(ctx, s)
	case Bind:
		err = w.bind(ctx, s)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", s, err), w.Close())
	}
	return w, nil
}

func (w *Workspace) overlay(ctx context.Context, o Overlay) error {
	work := w.room.path("work")
	w.Upper = w.room.path("upper")
	if o.Upper != "" {
		u, err := filepath.Abs(o.Upper)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(u, 0o755); err != nil {
			return err
		}
		w.Upper, work = u, workOf(u)
		w.room.also = append(w.room.also, work)
	}
	if err := mkdirs(w.room.path("view"), w.Dir, w.Upper, work); err != nil {
		return err
	}
	if err := w.rootLike(o.Upper == ""); err != nil {
		return err
	}
	return w.start(ctx, func(user bool) spec {
		return spec{
			View:     w.viewSpec(user, w.room.path("view")),
			Overlays: []overlaySpec{{Lower: w.room.path("view"), Upper: w.Upper, Work: work, Target: w.Dir, UserXattr: user, Foreign: true}},
		}
	})
}

// rootLike gives a new upper directory the attributes of the image's root, which the
// merged one then shows.
func (w *Workspace) rootLike(fresh bool) error {
	v := &viewSpec{Image: w.image, Session: w.opts.Session, Limits: w.opts.Limits}
	_, img, err := v.open()
	if err != nil || !fresh {
		return err
	}
	t, err := tree.FromImage(img)
	if err != nil {
		return err
	}
	a := t.Root.Attr
	if os.Geteuid() == 0 {
		if err := os.Chown(w.Upper, int(a.UID), int(a.GID)); err != nil {
			return err
		}
	}
	return errors.Join(os.Chmod(w.Upper, iso9660.FileMode(copiedMode(a.Mode))&^fs.ModeType), os.Chtimes(w.Upper, a.ModTime, a.ModTime))
}

func (w *Workspace) bind(ctx context.Context, b Bind) error {
	if err := mkdirs(w.Dir); err != nil {
		return err
	}
	binds, err := w.bindings(b)
	if err != nil {
		return err
	}
	return w.start(ctx, func(user bool) spec {
		return spec{View: w.viewSpec(user, w.Dir), Binds: binds}
	})
}

// bindings checks that sources and places are alike, before anything is mounted.
func (w *Workspace) bindings(b Bind) ([]Binding, error) {
	v := &viewSpec{Image: w.image, Session: w.opts.Session, Limits: w.opts.Limits}
	_, img, err := v.open()
	if err != nil {
		return nil, err
	}
	t, err := tree.FromImage(img)
	if err != nil {
		return nil, err
	}
	var out []Binding
	for _, x := range b.Map {
		src, err := filepath.Abs(x.Source)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(src)
		if err != nil {
			return nil, err
		}
		n, err := t.Lookup(x.Path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s %w", x.Path, ErrNotThere)
		case n.IsDir() && !info.IsDir():
			return nil, fmt.Errorf("%s %w", x.Path, tree.ErrIsDir)
		case !n.IsDir() && info.IsDir():
			return nil, fmt.Errorf("%s %w", x.Path, tree.ErrNotDir)
		case n.IsLink():
			return nil, fmt.Errorf("%s: %w: it leads to %s", x.Path, tree.ErrLinkPath, n.Link)
		}
		out = append(out, Binding{src, filepath.Join(w.Dir, n.Path())})
	}
	return out, nil
}

func (w *Workspace) viewSpec(user bool, dir string) *viewSpec {
	kinds := w.opts.Lower
	if kinds == nil {
		kinds = []string{"erofs", "iso9660", "fuse"}
		if user {
			kinds = []string{"fuse"}
		}
	}
	w.squash = user
	return &viewSpec{Image: w.image, Session: w.opts.Session, Limits: w.opts.Limits, Dir: dir, Root: user, Kinds: kinds, Meta: w.room.path("erofs")}
}

func mkdirs(dirs ...string) error {
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// workOf is the directory overlayfs works in, beside an upper one: both must be on one
// file system.
func workOf(upper string) string {
	return filepath.Join(filepath.Dir(upper), "."+filepath.Base(upper)+".isolayer-work")
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
	for _, o := range make(user).Overlays {
		if err := probeUpper(o.Upper, user); err != nil {
			return fmt.Errorf("%s: %w: %w", o.Upper, ErrUpper, err)
		}
	}
	for _, pid := range []bool{true, false} {
		s := make(user)
		s.Proc = pid
		if w.keeper, w.View, err = startKeeper(s, user, w.opts); err == nil || !strings.HasPrefix(err.Error(), errNoProc.Error()) {
			return err
		}
	}
	return err
}

func startKeeper(s spec, user bool, o Options) (k *keeper, view string, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, "", err
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
		return nil, "", fmt.Errorf("%w: %w: %w", errClone, ErrNoNamespace, bare(err))
	}
	k.kill = cmd.Process.Kill
	var r reply
	if err := errors.Join(k.out.Encode(s), k.in.Decode(&r)); err != nil {
		_ = k.stop()
		return nil, "", fmt.Errorf("the child that mounts ended early: %w", err)
	}
	if err := r.err(); err != nil {
		_ = k.stop()
		return nil, "", err
	}
	return k, r.View, nil
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
		return applyEdits(w.Dir, b)
	}
	_, err = w.keeper.ask(ctx, request{Dir: w.Dir, Apply: b})
	return err
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

// CaptureOptions say how changes are recorded.
type CaptureOptions struct {
	Files *extent.Files // opens what was added; nil: changes are told, edits have no content
	Epoch *time.Time    // latest time of files
	// Limits are those of CaptureUpper.
	Limits fault.Limits
}

// Capture tells what was changed, after Stop. Files stay where they are until Close.
func (w *Workspace) Capture(o CaptureOptions) (Result, error) {
	c := &capture{dir: w.Upper, files: o.Files, epoch: o.Epoch, attrs: true, squash: w.squash, own: [2]uint32{uint32(os.Geteuid()), uint32(os.Getegid())}}
	if w.Upper == "" {
		c.dir, c.full, c.since = w.Dir, true, w.since
		c.squash = os.Geteuid() != 0
		c.expect = copiedMode
	}
	return c.onImage(&viewSpec{Image: w.image, Session: w.opts.Session, Limits: w.opts.Limits})
}

// CaptureUpper tells what an upper directory of overlayfs changes in an image.
func CaptureUpper(image string, session int, upper string, o CaptureOptions) (Result, error) {
	c := &capture{dir: upper, files: o.Files, epoch: o.Epoch, attrs: true, own: [2]uint32{uint32(os.Geteuid()), uint32(os.Getegid())}}
	c.squash = os.Geteuid() != 0
	return c.onImage(&viewSpec{Image: image, Session: session, Limits: o.Limits})
}

func (c *capture) onImage(v *viewSpec) (Result, error) {
	_, img, err := v.open()
	if err != nil {
		return Result{}, err
	}
	var trees [2]*tree.Tree
	for i := range trees {
		if trees[i], err = tree.FromImage(img); err != nil {
			return Result{}, err
		}
	}
	c.below, c.work, c.made = imageBelow{img, trees[0]}, trees[1], trees[0].Epoch
	c.attrs = trees[0].RockRidge
	if c.epoch != nil {
		c.made = *c.epoch
		c.work.Epoch = *c.epoch
	}
	return c.run()
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
