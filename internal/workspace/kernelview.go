//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/erofs"
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
func (v *viewSpec) mountEROFS() error {
	_, img, err := v.open()
	if err != nil {
		return err
	}
	info, err := os.Stat(v.Image)
	if err != nil {
		return err
	}
	b, err := erofs.Metadata(img, info.Size())
	if err != nil {
		return err
	}
	if err := os.WriteFile(v.Meta, b, 0o600); err != nil {
		return err
	}
	// Before Linux 6.12 it takes devices only.
	if err = v.pair(os.Open, shortName); errors.Is(err, unix.ENOTBLK) {
		err = v.pair(attach, (*os.File).Name)
	}
	return err
}

// shortName is the name of a file, or one by its descriptor if that is longer than options
// of a mount may be. The list of mounts shows it.
func shortName(f *os.File) string {
	if len(f.Name()) < 200 {
		return f.Name()
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd())
}

// pair opens both files and mounts them by the names that name gives.
func (v *viewSpec) pair(open func(string) (*os.File, error), name func(*os.File) string) error {
	meta, err := open(v.Meta)
	if err != nil {
		return err
	}
	defer meta.Close()
	image, err := open(v.Image)
	if err != nil {
		return err
	}
	defer image.Close()
	return mountPair(name(meta), name(image), v.Dir)
}

// mountPair mounts an EROFS image with one extra device.
func mountPair(source, device, dir string) error {
	fs, err := unix.Fsopen("erofs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open erofs: %w", err)
	}
	defer unix.Close(fs)
	for _, o := range [][2]string{{"source", source}, {"device", device}} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return fmt.Errorf("set %s: %w", o[0], err)
		}
	}
	if err := unix.FsconfigSetFlag(fs, "ro"); err != nil {
		return err
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return fmt.Errorf("mount erofs: %w", err)
	}
	m, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return fmt.Errorf("mount erofs: %w", err)
	}
	defer unix.Close(m)
	return unix.MoveMount(m, "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH)
}
