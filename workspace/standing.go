//go:build linux

package workspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/fault"
)

// Standing is a mount that outlives the command that makes it, until Unmount.
type Standing struct {
	Image   string `json:"image,omitempty"` // shown at Target, or
	Dir     string `json:"dir,omitempty"`   // a directory that is shielded there
	Session int    `json:"session,omitempty"`
	Upper   string `json:"upper,omitempty"` // holds changes; "" for an image: none can be made
	Target  string `json:"target"`
	Temp    string `json:"-"`

	Limits fault.Limits `json:"-"`

	Kinds []string `json:"-"` // of views to try: erofs, iso9660, fuse; nil is all that this user can have

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
	if on, err := mountinfo.Mounted(s.Target); err == nil && on {
		return "", fmt.Errorf("%s: something is mounted there: %w", s.Target, unix.EBUSY)
	}
	writable := s.Upper != "" || s.Dir != ""
	if writable && os.Geteuid() != 0 {
		return "", fmt.Errorf("a writable mount that stands: %w: it needs root", ErrNoNamespace)
	}
	if err := s.furnish(); err != nil {
		return "", errors.Join(err, s.clear())
	}
	if err := s.mount(writable); err != nil {
		return "", errors.Join(err, s.takeDown(), s.clear())
	}
	return s.View, s.save()
}

// furnish makes the directories that the mount needs.
func (s *Standing) furnish() (err error) {
	s.Boot = bootID()
	temp := s.Temp
	if temp == "" {
		temp = os.TempDir()
	}
	if s.Room, err = os.MkdirTemp(temp, "isolayer-mount-"); err != nil {
		return err
	}
	if s.Upper == "" && s.Dir != "" {
		s.Upper = filepath.Join(s.Room, "upper")
	}
	if s.Upper == "" {
		return nil
	}
	s.Work = workOf(s.Upper)
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
		v := &viewSpec{Image: s.Image, Session: s.Session, Limits: s.Limits, Dir: s.Target, Kinds: []string{"erofs", "iso9660", "fuse"}, Meta: filepath.Join(s.Room, "erofs"), Detached: true}
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

// stateDir is where standing mounts of this user are noted until the next boot.
func stateDir() string {
	if os.Geteuid() == 0 {
		return "/run/isolayer"
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return filepath.Join(d, "isolayer")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("isolayer-%d", os.Geteuid()))
}

func stateFile(target string) string {
	return filepath.Join(stateDir(), fmt.Sprintf("%x.json", sha256.Sum256([]byte(target)))[:24]+".json")
}

func (s *Standing) save() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(stateDir(), 0o700); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(stateDir(), &st); err != nil || st.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("%s belongs to somebody else: %w", stateDir(), fs.ErrPermission)
	}
	return os.WriteFile(stateFile(s.Target), b, 0o600)
}

// Unmount takes a standing mount away. Changes stay in the upper directory that the user
// named; without one they are gone.
func Unmount(target string) error {
	target, err := filepath.Abs(target)
	if err != nil {
		return err
	}
	var s Standing
	b, err := os.ReadFile(stateFile(target))
	if errors.Is(err, fs.ErrNotExist) {
		list, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
			return m.Mountpoint != target || m.FSType != "fuse.isolayer", false
		})
		if err != nil || len(list) == 0 {
			return errors.Join(fmt.Errorf("%s: %w", target, ErrNotOurs), err)
		}
		return unmount(target)
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return err
	}
	if s.Boot == bootID() {
		if err := s.takeDown(); err != nil {
			return err
		}
	}
	return errors.Join(s.clear(), os.Remove(stateFile(target)))
}

// Standings lists the standing mounts of this user; gone are those that are no more.
func Standings() (here, gone []Standing, err error) {
	list, err := filepath.Glob(filepath.Join(globEscape(stateDir()), "*.json"))
	for _, f := range list {
		var s Standing
		b, rerr := os.ReadFile(f)
		if rerr != nil || json.Unmarshal(b, &s) != nil {
			continue
		}
		var st unix.Stat_t
		on, merr := mountinfo.Mounted(s.Target)
		if s.Boot == bootID() && on && merr == nil && unix.Stat(s.Target, &st) == nil {
			here = append(here, s)
		} else {
			gone = append(gone, s)
		}
	}
	return here, gone, err
}

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(b))
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
