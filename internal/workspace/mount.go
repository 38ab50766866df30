//go:build linux

package workspace

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/fault"
)

// Standing is a mount that outlives the command that makes it, until Unmount.
type Standing struct {
	Image   string       `json:"image,omitempty"` // shown at Target, or
	Dir     string       `json:"dir,omitempty"`   // a directory that is shielded there
	Session int          `json:"session,omitempty"`
	Upper   string       `json:"upper,omitempty"` // holds changes; "" for an image: none can be made
	Target  string       `json:"target"`
	Temp    string       `json:"-"`
	Kinds   []string     `json:"-"` // of views to try: erofs, iso9660, fuse; nil is all that this user can have
	Limits  fault.Limits `json:"-"` // of reading the image

	View string `json:"view,omitempty"` // kind of the view
	Room string `json:"room,omitempty"` // directory that goes with it
	Work string `json:"work,omitempty"`
	Boot string `json:"boot,omitempty"` // id of the boot in which it was made
}

// ErrNotOurs reports a directory on which nothing of isolayer is mounted.
var ErrNotOurs = errors.New("nothing that isolayer mounted is there")

// Stand makes a standing mount and returns the kind of the view.
func Stand(s Standing) (kind string, err error) {
	for _, p := range []*string{&s.Image, &s.Dir, &s.Upper, &s.Target} {
		if *p == "" {
			continue
		}
		if *p, err = filepath.Abs(*p); err != nil {
			return "", err
		}
	}
	if info, err := os.Stat(s.Target); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", fmt.Errorf("%s: %w", s.Target, unix.ENOTDIR)
	}
	writable := s.Upper != "" || s.Dir != ""
	if writable && os.Geteuid() != 0 {
		return "", fmt.Errorf("%s: %w", s.Target, ErrRoot)
	}
	unlock, err := lockState()
	if err != nil {
		return "", err
	}
	defer unlock()
	if on, err := mountinfo.Mounted(s.Target); err == nil && on {
		return "", fmt.Errorf("%s: %w", s.Target, ErrTaken)
	}
	if err := forget(s.Target); err != nil {
		return "", err
	}
	if err := s.place(); err != nil {
		return "", err
	}
	err = s.save() // before anything is there: if this process is killed, it is found all the same
	if err == nil {
		err = s.furnish()
	}
	if err == nil {
		err = s.mount(writable)
	}
	if err == nil {
		err = s.save()
	}
	if err != nil {
		return "", errors.Join(err, s.takeDown(), s.clear(), s.unsave())
	}
	return s.View, nil
}

// place gives the directories that the mount needs their names.
func (s *Standing) place() error {
	s.Boot = bootID()
	temp, err := filepath.Abs(cmp.Or(s.Temp, os.TempDir()))
	if err != nil {
		return err
	}
	s.Room = filepath.Join(temp, fmt.Sprintf("isolayer-mount-%016x", rand.Uint64()))
	if s.Upper == "" && s.Dir != "" {
		s.Upper = filepath.Join(s.Room, "upper")
	}
	if s.Upper != "" {
		s.Work = workOf(s.Upper)
	}
	return nil
}

// furnish makes them.
func (s *Standing) furnish() error {
	if err := os.Mkdir(s.Room, 0o700); err != nil {
		return err
	}
	if s.Upper == "" {
		return nil
	}
	fresh := false
	if _, err := os.Stat(s.Upper); errors.Is(err, fs.ErrNotExist) {
		fresh = true
	}
	if err := mkdirs(s.Upper, s.Work, filepath.Join(s.Room, "view")); err != nil {
		return err
	}
	switch {
	case !fresh:
		return nil
	case s.Dir != "":
		return like(s.Upper, s.Dir)
	}
	w := &Workspace{image: s.Image, Upper: s.Upper, opts: Options{Session: s.Session, Limits: s.Limits}}
	return w.rootLike(true)
}

func (s *Standing) mount(writable bool) (err error) {
	lower := s.Dir
	if s.Image != "" {
		v := &viewSpec{Image: s.Image, Session: s.Session, Limits: s.Limits, Dir: s.Target, Kinds: []string{"erofs", "iso9660", "fuse"}, Meta: filepath.Join(s.Room, filepath.Base(s.Image)+".erofs"), Detached: true}
		if os.Geteuid() != 0 {
			v.Kinds, v.Helper = []string{"fuse"}, true
		}
		if s.Kinds != nil {
			v.Kinds = s.Kinds
		}
		if writable {
			v.Dir = filepath.Join(s.Room, "view")
		}
		if s.View, err = v.mount(); err != nil {
			return err
		}
		lower = v.Dir
	}
	if !writable {
		return nil
	}
	if err := probeUpper(s.Upper, false); err != nil {
		return fmt.Errorf("%s: %w: %w", s.Upper, ErrUpper, err)
	}
	return overlaySpec{Lower: lower, Upper: s.Upper, Work: s.Work, Target: s.Target, Foreign: s.Image != ""}.mount(escape(lower))
}

// takeDown unmounts what is mounted.
func (s *Standing) takeDown() error {
	for _, dir := range []string{s.Target, filepath.Join(s.Room, "view")} {
		on, err := mountinfo.Mounted(dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !on {
			continue
		}
		if err := unmount(dir); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	return nil
}

// unmount takes one mount away. One whose server is dead goes even if somebody is in it.
func unmount(dir string) error {
	err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW)
	var st unix.Stat_t
	if err != nil && errors.Is(unix.Stat(dir, &st), unix.ENOTCONN) {
		err = unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	}
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	out, herr := exec.Command("fusermount3", "-u", dir).CombinedOutput()
	switch {
	case herr == nil:
		return nil
	case strings.Contains(string(out), "busy"):
		return unix.EBUSY
	}
	return errors.Join(err, fmt.Errorf("fusermount3: %s", bytes.TrimSpace(out)))
}

// clear removes what was made for the mount, never what the user named.
func (s *Standing) clear() error {
	var dirs []string
	if s.Work != "" {
		dirs = append(dirs, s.Work)
	}
	if s.Room != "" {
		dirs = append(dirs, s.Room)
	}
	return removeAll(dirs...)
}

// Unmount takes a standing mount away. Changes stay in the upper directory that the user
// named; without one they are gone.
func Unmount(target string) error {
	target, err := filepath.Abs(target)
	if err != nil {
		return err
	}
	unlock, err := lockState()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := load(stateFile(target))
	if errors.Is(err, fs.ErrNotExist) {
		list, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
			return m.Mountpoint != target || m.FSType != "fuse.isolayer", false
		})
		if err != nil || len(list) == 0 {
			return errors.Join(fmt.Errorf("%s: %w", target, ErrNotOurs), err)
		}
		return unmount(target)
	}
	if err != nil {
		return err
	}
	if s.Boot == bootID() {
		if err := s.takeDown(); err != nil {
			return err
		}
	}
	return errors.Join(s.clear(), s.unsave())
}

// serveDetached starts a process that serves a view until it is unmounted, and that
// belongs to no terminal.
func serveDetached(spec []byte) error {
	out, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{daemonName}, Dir: "/", Stdin: bytes.NewReader(spec), Stdout: theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return err
	}
	var r reply
	if err := json.NewDecoder(io.LimitReader(out, 1<<20)).Decode(&r); err != nil {
		return fmt.Errorf("the process that serves the view ended early: %w", err)
	}
	return errors.Join(r.err(), cmd.Process.Release())
}
