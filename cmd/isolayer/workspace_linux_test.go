package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/qemu"
)

// outcome is how a command ended.
type outcome struct {
	code        int
	out, errout string
}

func (o outcome) String() string {
	return fmt.Sprintf("exit code %d\nstdout: %sstderr: %s", o.code, o.out, o.errout)
}

// user runs commands as somebody in a directory of his.
type user struct {
	t    *testing.T
	bin  string
	dir  string
	argv []string // what becomes that user
	attr *syscall.SysProcAttr
}

// root is whoever runs the tests.
func asRoot(t *testing.T, bin string) *user {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	return &user{t: t, bin: bin, dir: t.TempDir()}
}

// asNobody becomes nobody. Some machines let only root open /dev/fuse: nobody gets a
// node of his own in a mount namespace, as most systems have it, unless noFUSE.
const asNobodyScript = `set -e
if [ "$FUSE" = yes ]; then mkdir -p "$DIR/dev"; mount -t tmpfs t "$DIR/dev"; mknod -m 666 "$DIR/dev/fuse" c 10 229; mount --bind "$DIR/dev/fuse" /dev/fuse; umount -l "$DIR/dev"; rmdir "$DIR/dev"; fi
cd "$DIR"; export HOME="$DIR" TMPDIR="$DIR"
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`

func asNobody(t *testing.T, bin string) *user {
	u := asRoot(t, bin)
	for _, tool := range []string{"unshare", "setpriv"} {
		isotest.Tool(t, tool)
	}
	open(t, u.dir)
	if err := os.Chown(u.dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	u.argv = []string{"unshare", "-m", "sh", "-c", asNobodyScript, "sh"}
	return u
}

// open lets everybody pass the directories above dir.
func open(t *testing.T, dir string) {
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && info.Mode()&0o005 == 0o005 {
			continue
		}
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func (u *user) run(args ...string) outcome { return u.with("yes", nil, args...) }

func (u *user) with(fuse string, env []string, args ...string) outcome {
	u.t.Helper()
	argv := append(append([]string{}, u.argv...), append([]string{u.bin}, args...)...)
	cmd := exec.CommandContext(u.t.Context(), argv[0], argv[1:]...)
	var out, errout bytes.Buffer
	cmd.SysProcAttr = u.attr
	cmd.Dir, cmd.Stdout, cmd.Stderr = u.dir, &out, &errout
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "TMPDIR="+u.dir, "DIR="+u.dir, "FUSE="+fuse, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Env = append(cmd.Env, env...)
	_ = cmd.Run() // the code tells
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errout.String()}
}

// must runs a command that has to succeed.
func (u *user) must(args ...string) outcome {
	u.t.Helper()
	o := u.run(args...)
	if o.code != 0 {
		u.t.Fatalf("isolayer %s: %s", strings.Join(args, " "), o)
	}
	return o
}

func (u *user) path(name string) string { return filepath.Join(u.dir, name) }

func (u *user) write(name, content string) string {
	u.t.Helper()
	if err := os.WriteFile(u.path(name), []byte(content), 0o644); err != nil {
		u.t.Fatal(err)
	}
	if len(u.argv) > 0 {
		if err := os.Chown(u.path(name), 65534, 65534); err != nil {
			u.t.Fatal(err)
		}
	}
	return u.path(name)
}

// clean fails if a workspace or a mount was left.
func (u *user) clean() {
	u.t.Helper()
	if left, _ := filepath.Glob(u.path("*isolayer-*")); len(left) > 0 {
		u.t.Errorf("left behind: %v", left)
	}
	if b, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(b, []byte(u.dir)) {
		u.t.Errorf("still mounted: %s %v", b, err)
	}
}

// shared is what all users of one test run: the program and a base, readable by all.
func shared(t *testing.T, image string) (bin, base string) {
	t.Helper()
	if testing.Short() {
		t.Skip("makes an image")
	}
	bin, base = program(t), filepath.Join(t.TempDir(), "base.iso")
	isotest.Run(t, "cp", "--no-preserve=mode", isotest.Image(t, image), base)
	open(t, filepath.Dir(bin))
	open(t, filepath.Dir(base))
	return bin, base
}

// comparable is what a tree must have in common, whoever made the image: tables that the
// maker writes, and the catalog it makes, are its own; the permissions of a link are what
// the maker's system says.
func comparableTree(t *testing.T, image string) isotest.Manifest {
	return isotest.Bsdtar(t, image).Map(func(e isotest.Entry) isotest.Entry {
		if e.Type == 'l' {
			e.Perm = 0
		}
		return e
	}).Without("isolinux/isolinux.bin").Without("isolinux/boot.cat").Without("TRANS.TBL") // which build keeps true
}

var (
	strategies = []string{"copy", "overlay", "bind"}
	masterings = []string{"native", "genisoimage", "xorriso"}
)

// TestStrategies builds by each strategy with each mastering: the file that was added or
// replaced is there, all else agrees with the native build, the media check passes.
func TestStrategies(t *testing.T) {
	bin, base := shared(t, "rhel-like-small")
	matrix(t, asRoot(t, bin), base, true)
}

// matrix runs all strategies as one user, and returns how many cases there were.
func matrix(t *testing.T, u *user, base string, boots bool) (cases int) {
	u.write("kickstart.cfg", "text\nreboot\n")
	u.write("EULA", "Other terms.\n")
	for _, p := range []string{"kickstart.cfg", "EULA"} {
		isotest.Run(t, "touch", "-d", "@1690000000", u.path(p))
	}
	native := map[string]string{}
	for _, s := range strategies {
		edit := []string{"--add", "kickstart.cfg"}
		if s == "bind" {
			edit = []string{"--add", "EULA:/EULA"}
		}
		for _, m := range masterings {
			out := u.path(s + "-" + m + ".iso")
			cases++
			ok := t.Run(s+"/"+m, func(t *testing.T) {
				u := *u
				u.t = t
				if native[edit[1]] == "" {
					native[edit[1]] = u.path(s + ".iso")
					u.must(append([]string{"build", base, "-o", native[edit[1]]}, edit...)...)
				}
				o := u.must(append([]string{"build", base, "-o", out, "--strategy", s, "--mastering", m}, edit...)...)
				want, got := comparableTree(t, native[edit[1]]), comparableTree(t, out)
				if s == "copy" && m != "native" && len(u.argv) > 0 { // which has no owners and modes
					want, got = want.Map(isotest.Content), got.Map(isotest.Content)
				}
				if d := want.Diff(got); d != "" {
					t.Errorf("the native build and this one differ:\n%s\n%s", d, o)
				}
				if m == "native" && isotest.SHA256File(t, out) != isotest.SHA256File(t, native[edit[1]]) {
					t.Error("not the bytes of the native build")
				}
				isotest.Run(t, "checkisomd5", out)
				u.clean()
				if boots && m != "native" && s == "overlay" {
					isotest.Boot(t, out, qemu.BIOS, qemu.CD, "CORPUS-BOOT-OK")
				}
			})
			if !ok {
				t.FailNow()
			}
			_ = os.Remove(out)
		}
	}
	return cases
}

const work = `umask 022
echo text > kickstart.cfg; rm GPL; chmod 600 EULA; mkdir new; echo x > new/y; ln -s kickstart.cfg link
rm -rf images/pxeboot; mkdir images/pxeboot; echo q > images/pxeboot/z; rm -rf LiveOS; mkdir b; mv isolinux/isolinux.bin b/loader.bin; mv EFI Efi
sed -i s/name/Name/ .treeinfo; echo more >> RPM-GPG-KEY-CentOS-7; touch -d @1500000000 .discinfo
`

// listedNobody is how many cases TestNobody has: none may get lost.
const listedNobody = 17

// TestNobody does as an ordinary user what TestStrategies does as root, and more. The same
// edit gives the same image as root and as nobody.
func TestNobody(t *testing.T) {
	bin, base := shared(t, "rhel-like-small")
	root, u := asRoot(t, bin), asNobody(t, bin)
	cases := matrix(t, u, base, false)
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
	step("no FUSE", func(t *testing.T, u *user) {
		o := u.with("no", nil, "edit", base, "--strategy", "overlay", "--", "true")
		if os.Getenv("CI") == "" && o.code == 0 {
			t.Skip("everybody may open /dev/fuse here")
		}
		if o.code != exitOurs || !strings.Contains(o.errout, "/dev/fuse") || !strings.Contains(o.errout, "hint: ") {
			t.Error(o)
		}
	})
	step("no FUSE, auto", func(t *testing.T, u *user) {
		if o := u.with("no", nil, "edit", base, "-o", "copied.iso", "--", "sh", "-c", "echo x > x"); o.code != 0 || !strings.Contains(o.errout, "the image is copied") {
			t.Error(o)
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
		if o := u.run("mount", "--rw", "up", base, "mnt"); o.code != 1 || !strings.Contains(o.errout, "needs root") {
			t.Error(o)
		}
	})
	step("no more rights", func(t *testing.T, u *user) {
		o := u.run("edit", base, "--", "sh", "-c", "umount . 2>/dev/null && exit 9; mount -t tmpfs t . 2>/dev/null && exit 8; grep -q 'NoNewPrivs:.1' /proc/self/status")
		if o.code != 0 {
			t.Error(o)
		}
	})
	t.Logf("%d cases as nobody", cases)
	if cases < listedNobody {
		t.Errorf("%d cases as nobody, %d are listed", cases, listedNobody)
	}
}

// TestWorkspaceErrors: what does not work says why, and what to do.
func TestWorkspaceErrors(t *testing.T) {
	bin, base := shared(t, "rhel-like-small")
	u := asRoot(t, bin)
	u.write("file", "x")
	if err := os.Mkdir(u.path("ram"), 0o755); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "mount", "-t", "ramfs", "r", u.path("ram"))
	defer isotest.Run(t, "umount", u.path("ram"))
	if err := os.Mkdir(u.path("mnt"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		args []string
		says string
		hint string
	}{
		{exitOurs, []string{"edit", base, "--", "no-such-shell"}, "no-such-shell", "SHELL"},
		{exitOurs, []string{"edit", base, "--workspace-dir", u.path("ram"), "--strategy", "overlay", "--", "true"}, "unsuitable file system", "--workspace-dir"},
		{1, []string{"build", base, "--strategy", "bind", "--add", "file:/new", "-o", "o.iso"}, "/new is not in the image", "overlay"},
		{1, []string{"build", base, "--strategy", "bind", "--rm", "/GPL", "-o", "o.iso"}, "laid over", "overlay"},
		{2, []string{"build", base, "--mastering", "xorriso", "-o", "o.iso"}, "works on a directory", "--strategy"},
		{1, []string{"umount", u.path("mnt")}, "nothing that isolayer mounted", "doctor"},
		{exitOurs, []string{"shield", "/proc", "--", "true"}, "/proc", "hint"},
		{exitOurs, []string{"shield", u.path("nowhere"), "--", "true"}, "no such file", "path"},
		{exitOurs, []string{"shield", u.dir, "--workspace-dir", u.dir, "--", "true"}, "inside what is shielded", "--workspace-dir"},
	} {
		o := u.run(c.args...)
		if o.code != c.code || !strings.Contains(o.errout, c.says) || !strings.Contains(o.errout, "hint: ") || !strings.Contains(o.errout, c.hint) {
			t.Errorf("%v: %s", c.args, o)
		}
	}
	u.must("mount", base, "mnt")
	held, err := os.Open(u.path("mnt/EULA"))
	if err != nil {
		t.Fatal(err)
	}
	if o := u.run("umount", "mnt"); o.code != 1 || !strings.Contains(o.errout, "busy") || !strings.Contains(o.errout, "hint: ") {
		t.Error(o)
	}
	_ = held.Close()
	u.must("umount", "mnt")
	if o := u.must("doctor", "--workspace-dir", u.dir); !strings.Contains(o.out, "overlay ") || strings.Contains(o.out, u.path("mnt")) {
		t.Error(o)
	}
	if got := strings.Join(isotest.Paths(isotest.Bsdtar(t, base)), ""); !strings.Contains(got, "EULA") {
		t.Error("the base was changed")
	}
}
