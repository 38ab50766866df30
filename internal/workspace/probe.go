//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// probeUpper says why a directory cannot hold the changes of an overlay; nil if it can.
func probeUpper(dir string, user bool) error {
	name := "trusted.overlay.isolayer"
	if user {
		name = "user.overlay.isolayer"
	}
	err := unix.Setxattr(dir, name, []byte("y"), 0)
	if errors.Is(err, unix.EPERM) && !user {
		return nil // a container: the mount itself will tell
	}
	if err == nil {
		err = unix.Removexattr(dir, name)
	}
	if err != nil {
		return fmt.Errorf("%s has no extended attributes of the kind that overlayfs needs: %w", fsName(dir), err)
	}
	switch fsName(dir) {
	case "overlay", "nfs", "vfat", "fuse", "cifs", "ecryptfs":
		return fmt.Errorf("%s cannot be the upper file system of an overlay", fsName(dir))
	}
	return nil
}

// fsNames are file systems by their numbers (statfs(2)).
var fsNames = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.NFS_SUPER_MAGIC: "nfs", unix.MSDOS_SUPER_MAGIC: "vfat", unix.FUSE_SUPER_MAGIC: "fuse",
	unix.CIFS_SUPER_MAGIC: "cifs", unix.SMB2_SUPER_MAGIC: "cifs", unix.ISOFS_SUPER_MAGIC: "iso9660", unix.SQUASHFS_MAGIC: "squashfs",
	unix.EROFS_SUPER_MAGIC_V1: "erofs", unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", unix.ECRYPTFS_SUPER_MAGIC: "ecryptfs",
	unix.RAMFS_MAGIC: "ramfs", unix.F2FS_SUPER_MAGIC: "f2fs", unix.CGROUP2_SUPER_MAGIC: "cgroup2",
}

// fsName names the file system a path is on.
func fsName(p string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(p, &st); err != nil {
		return "an unknown file system"
	}
	if n, ok := fsNames[int64(uint32(st.Type))]; ok {
		return n
	}
	return fmt.Sprintf("file system %#x", uint32(st.Type))
}

// hasMoves reports whether an upper directory names directories that it moved.
func hasMoves(upper string) bool {
	errFound := errors.New("found")
	err := filepath.WalkDir(upper, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			if n, err := unix.Lgetxattr(p, "trusted.overlay.redirect", nil); err == nil && n > 0 {
				return errFound
			}
		}
		return nil
	})
	return errors.Is(err, errFound)
}
