//go:build linux

package fsview

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// MountOptions say how a view is mounted.
type MountOptions struct {
	Name   string // shown as what is mounted
	Helper bool   // let fusermount3 mount it if we may not
}

// Mount is a view that is mounted. The process that made it must not use it through
// the mount: requests of the Go runtime may wait for each other.
type Mount struct {
	server *fuse.Server
	dir    string
}

// ErrNoFUSE reports that this machine, or this user, cannot use FUSE.
var ErrNoFUSE = errors.New("FUSE cannot be used")

// Mount mounts the view on a directory and returns when it answers.
func (v *View) Mount(dir string, o MountOptions) (*Mount, error) {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !o.Helper {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, fmt.Errorf("%w: open /dev/fuse: %w", ErrNoFUSE, err)
	}
	server, err := fuse.NewServer(v, dir, &fuse.MountOptions{
		FsName: o.Name, Name: "isolayer", Options: []string{"ro"},
		DirectMount: o.Helper, DirectMountStrict: !o.Helper,
		DirectMountFlags: syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV,
		MaxWrite:         1 << 20, MaxReadAhead: 1 << 20, MaxBackground: 64,
		EnableSymlinkCaching: true, ExplicitDataCacheControl: true, DisableXAttrs: true,
		Logger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: mount %s: %w", ErrNoFUSE, dir, err)
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	widen(dir)
	return &Mount{server, dir}, nil
}

// widen lets the kernel read more ahead, where root may say so: fewer requests.
func widen(dir string) {
	var st unix.Stat_t
	if unix.Lstat(filepath.Dir(dir), &st) != nil || os.Geteuid() != 0 {
		return
	}
	parent := st.Dev
	if unix.Lstat(dir, &st) != nil || st.Dev == parent {
		return
	}
	name := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(st.Dev), unix.Minor(st.Dev))
	_ = os.WriteFile(name, []byte("1024"), 0) // only speed hangs on it
}

// Unmount takes the mount away; it fails while somebody uses it.
func (m *Mount) Unmount() error {
	if err := m.server.Unmount(); err != nil {
		return fmt.Errorf("unmount %s: %w", m.dir, busy(err))
	}
	return nil
}

// Wait returns when the mount is gone.
func (m *Mount) Wait() { m.server.Wait() }

// busy makes the words of a helper program the error that they mean.
func busy(err error) error {
	if strings.Contains(err.Error(), "busy") {
		return syscall.EBUSY
	}
	return err
}
