//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mountKernel mounts the image by the kernel's own iso9660, through a loop device that
// goes with the mount.
func (v *viewSpec) mountKernel() error {
	if v.Session > 0 {
		return errors.New("only the newest session")
	}
	loop, err := attach(v.Image)
	if err != nil {
		return err
	}
	defer loop.Close()
	if err := unix.Mount(loop.Name(), v.Dir, "iso9660", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "map=off"); err != nil {
		return fmt.Errorf("mount iso9660: %w", err)
	}
	return nil
}

// attach makes a read-only loop device of a file: it is gone when nobody uses it any
// more, the open file included.
func attach(file string) (*os.File, error) {
	backing, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range 20 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		dev, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		c := unix.LoopConfig{Fd: uint32(backing.Fd()), Size: 2048}
		c.Info.Flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
		if err = unix.IoctlLoopConfigure(int(dev.Fd()), &c); err == nil {
			return dev, nil
		}
		_ = dev.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("set up %s: %w", dev.Name(), err)
		}
	}
	return nil, fmt.Errorf("find a free loop device: %w", unix.EBUSY)
}

// mountEROFS mounts an EROFS image that has the metadata only; its content is the image
// itself.
func (v *viewSpec) mountEROFS() error { return errors.ErrUnsupported }
