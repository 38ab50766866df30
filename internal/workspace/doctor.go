//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Ability is one thing that this machine can do for this user, or cannot.
type Ability struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Text string `json:"text"` // how, or why not
}

// Abilities tries what workspaces need. Nothing is left.
func Abilities(temp string) []Ability {
	if temp == "" {
		temp = os.TempDir()
	}
	out := []Ability{kernel(), namespaces(), fuseDevice()}
	for _, fs := range []string{"overlay", "erofs", "iso9660"} {
		out = append(out, filesystem(fs))
	}
	a := Ability{Name: "changes", OK: true, Text: fmt.Sprintf("%s is on %s", temp, fsName(temp))}
	dir, err := os.MkdirTemp(temp, ".isolayer-probe-")
	if err == nil {
		err = errors.Join(probeUpper(dir, os.Geteuid() != 0), os.Remove(dir))
	}
	if err != nil {
		a.OK, a.Text = false, fmt.Sprintf("%s cannot hold them: %v; name another with --workspace-dir", temp, err)
	}
	out = append(out, a)
	for _, p := range []string{"genisoimage", "xorriso", "isohybrid", "qemu-system-x86_64", "fusermount3", FuseOverlayfs} {
		a := Ability{Name: p}
		if path, err := exec.LookPath(p); err == nil {
			a.OK, a.Text = true, path
		} else {
			a.Text = "not installed"
		}
		out = append(out, a)
	}
	return out
}

func kernel() Ability {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Ability{Name: "kernel", Text: err.Error()}
	}
	return Ability{"kernel", true, unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])}
}

// namespaces starts a child in the namespaces that a keeper has.
func namespaces() Ability {
	a := Ability{Name: "private mounts", OK: true, Text: "as root"}
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{applierName, "/nonexistent"}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		a.Text = "by user namespaces"
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return Ability{a.Name, false, fmt.Sprintf("%v: images are copied instead", bare(err))}
	}
	_ = cmd.Wait() // it fails, for want of its directory
	return a
}

func fuseDevice() Ability {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return Ability{"FUSE", false, fmt.Sprintf("open /dev/fuse: %v", bare(err))}
	}
	_ = f.Close()
	return Ability{"FUSE", true, "/dev/fuse can be opened"}
}

func filesystem(name string) Ability {
	b, _ := os.ReadFile("/proc/filesystems")
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 0 && f[len(f)-1] == name {
			return Ability{name, true, "the kernel has it"}
		}
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	dir := map[string]string{"iso9660": "isofs", "overlay": "overlayfs"}[name]
	if dir == "" {
		dir = name
	}
	list, _ := filepath.Glob("/lib/modules/" + unix.ByteSliceToString(u.Release[:]) + "/kernel/fs/" + dir + "/*.ko*")
	if len(list) > 0 {
		return Ability{name, true, "a module of the kernel"}
	}
	instead := map[string]string{
		"iso9660": "EROFS or FUSE show images", "erofs": "iso9660 or FUSE show images", "overlay": "fuse-overlayfs can do it, else images are copied",
	}
	return Ability{name, false, "the kernel does not have it; " + instead[name]}
}

// Temp is the directory for workspaces, unless another one is named.
func Temp() string { return os.TempDir() }
