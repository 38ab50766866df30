//go:build linux

package workspace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/atomicfile"
)

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
	// Half of it would hide a mount.
	_, err = atomicfile.Write(context.Background(), stateFile(s.Target), 0o600, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	return err
}

func (s *Standing) unsave() error {
	if err := os.Remove(stateFile(s.Target)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func load(file string) (*Standing, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &Standing{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// forget clears what is left of a mount that is not there any more.
func forget(target string) error {
	s, err := load(stateFile(target))
	if err != nil {
		return nil // none, or nothing that can be known
	}
	return errors.Join(s.clear(), s.unsave())
}

// lockState makes sure that one process at a time mounts, or takes away, what stands.
func lockState() (unlock func(), err error) {
	if err := os.MkdirAll(stateDir(), 0o700); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(stateDir(), &st); err != nil || st.Uid != uint32(os.Geteuid()) {
		return nil, fmt.Errorf("%s belongs to somebody else: %w", stateDir(), fs.ErrPermission)
	}
	name := filepath.Join(stateDir(), "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return lockState() // whoever had it removed the directory
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var held, there unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &held); err != nil || unix.Lstat(name, &there) != nil || held.Ino != there.Ino || held.Dev != there.Dev {
		_ = f.Close()
		return lockState()
	}
	return func() {
		if list, err := os.ReadDir(stateDir()); err == nil && len(list) == 1 { // nothing stands
			_ = os.Remove(name)
			_ = os.Remove(stateDir())
		}
		_ = f.Close()
	}, nil
}

// Standings lists the standing mounts of this user; gone are those that are no more.
func Standings() (here, gone []Standing, err error) {
	list, err := filepath.Glob(filepath.Join(globEscape(stateDir()), "*.json"))
	for _, f := range list {
		s, lerr := load(f)
		if lerr != nil {
			continue
		}
		var st unix.Stat_t
		on, merr := mountinfo.Mounted(s.Target)
		if s.Boot == bootID() && on && merr == nil && unix.Stat(s.Target, &st) == nil {
			here = append(here, *s)
		} else {
			gone = append(gone, *s)
		}
	}
	return here, gone, err
}

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(b))
}
