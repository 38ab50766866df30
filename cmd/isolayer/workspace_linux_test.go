package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
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

// asNobodyScript becomes nobody, in a namespace whose /dev/fuse is as FUSE says.
var asNobodyScript = "set -e\n" + isotest.Devices + `
cd "$DIR"; export HOME="$DIR"
case "$CHANGES" in
"") ;;
ramfs) mount -t ramfs r "$TMPDIR";;
overlay) mkdir lower upper work; mount -t overlay -o lowerdir="$DIR/lower",upperdir="$DIR/upper",workdir="$DIR/work" o "$TMPDIR";;
esac
[ "$TMPDIR" = "$DIR" ] || chown 65534:65534 "$TMPDIR"
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

// Who may open /dev/fuse, by its mode.
const (
	everybody = "666"
	onlyRoot  = "600"
	noDevice  = "none"
)

func (u *user) run(args ...string) outcome { return u.with(everybody, nil, args...) }

func (u *user) with(fuse string, env []string, args ...string) outcome {
	u.t.Helper()
	argv := append(append([]string{}, u.argv...), append([]string{u.bin}, args...)...)
	cmd := exec.CommandContext(u.t.Context(), argv[0], argv[1:]...)
	var out, errout bytes.Buffer
	cmd.SysProcAttr = u.attr
	cmd.Dir, cmd.Stdout, cmd.Stderr = u.dir, &out, &errout
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "TMPDIR="+u.dir, "DIR="+u.dir, "FUSE="+fuse, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Env = append(cmd.Env, env...)
	_ = cmd.Run() // the exit code decides
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
	boots := []bootWay{{qemu.BIOS, qemu.CD}}
	if os.Getenv("ISOLAYER_SOAK") != "" {
		boots = append(boots, bootWay{qemu.UEFI, qemu.CD}, bootWay{qemu.BIOS, qemu.Disk}, bootWay{qemu.UEFI, qemu.Disk})
	}
	matrix(t, asRoot(t, bin), base, boots...)
}

// TestStrategiesMedium is the same on an image of 1 GiB.
func TestStrategiesMedium(t *testing.T) {
	if os.Getenv("ISOLAYER_SOAK") == "" {
		t.Skip("ISOLAYER_SOAK=1 runs it")
	}
	bin, base := shared(t, "rhel-like-medium")
	matrix(t, asRoot(t, bin), base)
}

// bootWay is a way to start a machine from an image.
type bootWay struct {
	firmware qemu.Firmware
	media    qemu.Media
}

// matrix runs all strategies as one user, and returns how many cases there were. Results
// of other mastering programs over an overlay are booted in those ways.
func matrix(t *testing.T, u *user, base string, boots ...bootWay) (cases int) {
	base, err := filepath.Rel(u.dir, base) // as people name it; other programs run elsewhere
	if err != nil {
		t.Fatal(err)
	}
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
				if m != "native" && s == "overlay" {
					for _, b := range boots {
						isotest.Boot(t, out, b.firmware, b.media, "CORPUS-BOOT-OK")
					}
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
