//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// spec is what a keeper mounts, in this order.
type spec struct {
	Proc     bool // a new /proc, for the PID namespace
	View     *viewSpec
	Overlays []overlaySpec
	Binds    []Binding
}

// overlaySpec is one overlay.
type overlaySpec struct {
	Lower, Upper, Work, Target string
	UserXattr                  bool
	Foreign                    bool     // what lies below comes from an image: its setuid bits and devices mean nothing
	Kinds                      []string // in the order in which they are tried: Kernel, FuseOverlayfs
}

// mount makes all mounts, and says which kinds they are.
func (s *spec) mount() (reply, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return reply{}, fmt.Errorf("make mounts private: %w: %w", ErrNoNamespace, err)
	}
	if s.Proc {
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return reply{}, fmt.Errorf("%w: %w", errNoProc, err)
		}
	}
	if s.View == nil {
		return s.lay()
	}
	// Not every view can lie below an overlay: some are themselves stacked too deep.
	var errs []error
	for _, kind := range s.View.Kinds {
		v := *s.View
		v.Kinds = []string{kind}
		_, err := v.mount()
		if err == nil {
			var made reply
			if made, err = s.lay(); err == nil {
				made.View = kind
				return made, nil
			}
			err = errors.Join(err, unix.Unmount(v.Dir, unix.MNT_DETACH))
		}
		if errors.Is(err, ErrUpper) {
			return reply{}, err // whatever the view is
		}
		errs = append(errs, err)
	}
	return reply{}, errors.Join(errs...)
}

// lay makes overlays and binds.
func (s *spec) lay() (made reply, err error) {
	// What lies below is opened first: an overlay may hide another's lower directory.
	lowers := make([]*os.File, len(s.Overlays))
	for i, o := range s.Overlays {
		fd, err := unix.Open(o.Lower, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return made, fmt.Errorf("open %s: %w", o.Lower, err)
		}
		lowers[i] = os.NewFile(uintptr(fd), o.Lower)
		defer lowers[i].Close()
	}
	for i, o := range s.Overlays {
		if made, err = o.mountAny(lowers[i]); err != nil {
			return made, err
		}
	}
	for _, b := range s.Binds {
		if err := b.mount(); err != nil {
			return made, err
		}
	}
	return made, nil
}

// mountAny mounts an overlay of the first kind that works. The error is that of the first
// one, unless another one was there and failed too.
func (o overlaySpec) mountAny(lower *os.File) (made reply, err error) {
	for i, kind := range o.Kinds {
		var kerr error
		if kind == FuseOverlayfs {
			kerr = o.mountFUSE()
		} else {
			kerr = o.mount(fmt.Sprintf("/proc/self/fd/%d", lower.Fd()))
		}
		if kerr == nil {
			made.Layer = kind
			return made, nil
		}
		if i == 0 || !errors.Is(kerr, exec.ErrNotFound) {
			err = errors.Join(err, kerr)
		}
		if made.Why = err.Error(); errors.Is(err, ErrUpper) {
			made.Why = probeUpper(o.Upper, o.UserXattr).Error()
		}
	}
	return made, err
}

// errNoProc says that there must be no PID namespace, for want of a /proc for it.
var errNoProc = errors.New("mount /proc")

// See RATIONALE.md, "Overlays without redirects, as root too".
func (o overlaySpec) mount(lower string) error {
	// Where it can have no attributes the kernel lays it all the same, and fails later.
	if err := probeUpper(o.Upper, o.UserXattr); err != nil {
		return fmt.Errorf("%s: %w: %w", o.Upper, ErrUpper, err)
	}
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

// unbind takes binds away, the last one first.
func unbind(binds []Binding) (err error) {
	for i := len(binds) - 1; i >= 0; i-- {
		err = errors.Join(err, unix.Unmount(binds[i].Path, unix.MNT_DETACH))
	}
	return err
}
