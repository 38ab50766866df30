package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/workspace"
)

const work = `umask 022
echo text > kickstart.cfg; rm GPL; chmod 600 EULA; mkdir new; echo x > new/y; ln -s kickstart.cfg link
rm -rf images/pxeboot; mkdir images/pxeboot; echo q > images/pxeboot/z; rm -rf LiveOS; mkdir b; mv isolinux/isolinux.bin b/loader.bin; mv EFI Efi
sed -i s/name/Name/ .treeinfo; echo more >> RPM-GPG-KEY-CentOS-7; touch -d @1500000000 .discinfo
`

// listedNobody is how many cases TestNobody has: none may get lost.
const listedNobody = 24

// TestNobody does as an ordinary user what TestStrategies does as root, and more. The same
// edit gives the same image as root and as nobody.
func TestNobody(t *testing.T) {
	bin, base := shared(t, "rhel-like-small")
	root, u := asRoot(t, bin), asNobody(t, bin)
	cases := matrix(t, u, base)
	step := func(name string, f func(t *testing.T, u *user)) {
		cases++
		t.Run(name, func(t *testing.T) {
			own := *u
			own.t = t
			f(t, &own)
			own.clean()
		})
	}
	step("edit", func(t *testing.T, u *user) {
		args := []string{"edit", base, "-o", "edited.iso", "--strategy", "overlay", "--", "sh", "-c", work}
		mine, roots := u.must(args...), root.must(args...)
		if mine.out != roots.out || !strings.Contains(mine.out, "A /kickstart.cfg\n") || !strings.Contains(mine.out, "D /GPL\n") {
			t.Errorf("nobody: %s\nroot: %s", mine, roots)
		}
		if isotest.SHA256File(t, u.path("edited.iso")) != isotest.SHA256File(t, root.path("edited.iso")) {
			t.Error("the images differ")
		}
	})
	step("the command fails", func(t *testing.T, u *user) {
		if o := u.run("edit", base, "-o", "none.iso", "--", "sh", "-c", "echo x > x; exit 7"); o.code != 7 || !strings.Contains(o.errout, "thrown away") {
			t.Error(o)
		}
		if _, err := os.Stat(u.path("none.iso")); err == nil {
			t.Error("an image was built")
		}
	})
	step("shield", func(t *testing.T, u *user) {
		if err := errors.Join(os.Mkdir(u.path("dir"), 0o755), os.Chown(u.path("dir"), 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		if o := u.must("shield", "dir", "--", "sh", "-c", "echo x > dir/x"); o.out != "A "+u.path("dir")+"/x\n" {
			t.Error(o)
		}
		if _, err := os.Stat(u.path("dir/x")); err == nil {
			t.Error("the directory was reached")
		}
	})
	for _, c := range []struct{ fuse, why string }{{onlyRoot, "permission denied"}, {noDevice, "no such file"}} {
		step("no FUSE, "+c.why, func(t *testing.T, u *user) {
			o := u.with(c.fuse, nil, "edit", base, "--strategy", "overlay", "--", "true")
			if o.code != exitOurs || !strings.Contains(o.errout, "/dev/fuse") || !strings.Contains(o.errout, c.why) || !strings.Contains(o.errout, "hint: ") {
				t.Error(o)
			}
			o = u.with(c.fuse, nil, "doctor")
			if o.code != 0 || !strings.Contains(o.out, "open /dev/fuse: "+c.why) {
				t.Error(o)
			}
		})
		step("no FUSE, auto, "+c.why, func(t *testing.T, u *user) {
			if o := u.with(c.fuse, nil, "edit", base, "-o", "copied.iso", "--", "sh", "-c", "echo x > x"); o.code != 0 || !strings.Contains(o.errout, "the image is copied") {
				t.Error(o)
			}
		})
	}
	// Where the kernel lays no overlay, fuse-overlayfs does, and leaves other marks of the
	// same changes.
	isotest.Tool(t, workspace.FuseOverlayfs)
	if err := os.Mkdir(u.path("changes"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, on := range []string{"ramfs", "overlay"} {
		env := []string{"CHANGES=" + on, "TMPDIR=" + u.path("changes")}
		step("fuse-overlayfs, changes on "+on, func(t *testing.T, u *user) {
			o := u.with(everybody, env, "edit", base, "-o", u.path("fuse.iso"), "--strategy", "overlay", "--", "sh", "-c", work)
			if o.code != 0 || !strings.Contains(o.errout, "fuse-overlayfs makes the overlay") || !strings.Contains(o.out, "D /LiveOS/\n") {
				t.Fatal(o)
			}
			if isotest.SHA256File(t, u.path("edited.iso")) != isotest.SHA256File(t, u.path("fuse.iso")) {
				t.Errorf("not the image that the kernel's overlay gives:\n%s", o)
			}
		})
	}
	step("no fuse-overlayfs", func(t *testing.T, u *user) {
		u.argv = append(slices.Clip(u.argv), "env", "PATH=/nonexistent")
		env := []string{"CHANGES=ramfs", "TMPDIR=" + u.path("changes")}
		if o := u.with(everybody, env, "edit", base, "-o", u.path("copied.iso"), "--", "/bin/sh", "-c", "echo x > x"); o.code != 0 || !strings.Contains(o.errout, "no overlay, the image is copied") || !strings.Contains(o.out, "A /x\n") {
			t.Error(o)
		}
		if o := u.with(everybody, env, "edit", base, "--strategy", "overlay", "--", "/bin/sh", "-c", "true"); o.code != exitOurs || !strings.Contains(o.errout, "unsuitable file system") || !strings.Contains(o.errout, "hint: ") {
			t.Error(o)
		}
	})
	step("what fuse-overlayfs kept", func(t *testing.T, u *user) {
		if err := errors.Join(os.Mkdir(u.path("kept"), 0o755), os.Chown(u.path("kept"), 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(u.path("kept"))
		u.must("edit", base, "--keep", "--strategy", "overlay", "--workspace-dir", u.path("kept"), "--", "sh", "-c", work)
		kernel, err := filepath.Glob(u.path("kept/*/upper"))
		if err != nil || len(kernel) != 1 {
			t.Fatal(kernel, err)
		}
		u.must("build", base, "--upper", kernel[0], "-o", "kernel.iso")
		script := `"$0" edit "$1" --keep --strategy overlay -- sh -c "$2" && test -f "$TMPDIR"/isolayer-workspace-*/upper/.wh.GPL && "$0" build "$1" --upper "$TMPDIR"/isolayer-workspace-*/upper -o program.iso`
		u.argv = append(slices.Clip(u.argv), "sh", "-ec", script)
		if o := u.with(everybody, []string{"CHANGES=ramfs", "TMPDIR=" + u.path("changes")}, base, work); o.code != 0 {
			t.Fatal(o)
		}
		if isotest.SHA256File(t, u.path("kernel.iso")) != isotest.SHA256File(t, u.path("program.iso")) {
			t.Error("what the kernel left and what fuse-overlayfs left give different images")
		}
	})
	step("no user namespaces", func(t *testing.T, u *user) {
		all := []syscall.SysProcIDMap{{Size: 1 << 16}}
		u.attr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: all, GidMappings: all, GidMappingsEnableSetgroups: true}
		u.argv = []string{
			"sh", "-c",
			`echo 0 > /proc/sys/user/max_user_namespaces && cd "$DIR" && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`, "sh",
		}
		o := u.run("edit", base, "--strategy", "overlay", "--", "true")
		if o.code != exitOurs || !strings.Contains(o.errout, "private mounts are not possible") || !strings.Contains(o.errout, "hint: ") {
			t.Error(o)
		}
	})
	step("mount", func(t *testing.T, u *user) {
		if err := os.Mkdir(u.path("mnt"), 0o755); err != nil {
			t.Fatal(err)
		}
		if o := u.run("mount", "--rw", "up", base, "mnt"); o.code != 1 || !strings.Contains(o.errout, "only root") || !strings.Contains(o.errout, "hint: run it as root; isolayer edit") {
			t.Error(o)
		}
	})
	step("a copy keeps modes", func(t *testing.T, u *user) {
		u.write("EULA", "Other terms.\n") // the base's own is read-only
		args := []string{"--add", "EULA:/EULA", "--chmod", "0600:/GPL"}
		u.must(append([]string{"build", base, "-o", "native.iso"}, args...)...)
		u.must(append([]string{"build", base, "-o", "copied.iso", "--strategy", "copy"}, args...)...)
		if isotest.SHA256File(t, u.path("native.iso")) != isotest.SHA256File(t, u.path("copied.iso")) {
			t.Errorf("the images differ: %v %v", isotest.Bsdtar(t, u.path("native.iso"))["EULA"], isotest.Bsdtar(t, u.path("copied.iso"))["EULA"])
		}
	})
	step("no more rights", func(t *testing.T, u *user) {
		o := u.run("edit", base, "--", "sh", "-c", "umount . 2>/dev/null && exit 9; mount -t tmpfs t . 2>/dev/null && exit 8; grep -q 'NoNewPrivs:.1' /proc/self/status")
		if o.code != 0 {
			t.Error(o)
		}
	})
	counted(t, "nobody", cases, listedNobody)
}

// counted fails if there were fewer cases than are listed, and writes the number for
// make judge to print: go test is silent about what passes.
func counted(t *testing.T, where string, cases, listed int) {
	t.Helper()
	t.Logf("%d cases, %s", cases, where)
	if cases < listed {
		t.Errorf("%d cases, %s; %d are listed", cases, where, listed)
	}
	if dir := os.Getenv("ISOLAYER_CASES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, where), fmt.Append(nil, cases), 0o644); err != nil {
			t.Error(err)
		}
	}
}
