package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/workspace"
)

// TestWorkspaceKill kills edits, builds and shields at random moments: no process, mount
// or loop device is left, no directory after the next start, and what was shielded is
// what it was.
func TestWorkspaceKill(t *testing.T) {
	kills := 24
	if os.Getenv("ISOLAYER_SOAK") != "" {
		kills = 500
	}
	bin, base := shared(t, "grub-rescue-cdrom")
	users := []*user{asRoot(t, bin), asNobody(t, bin)}
	type mode struct {
		name string
		args []string
		took time.Duration
		env  []string // one for nobody only, if it has any
	}
	busy := "for i in 1 2 3 4; do echo $i > f$i; rm -f f$i; cat boot/grub/i386-pc/normal.mod > copy; done"
	modes := []*mode{
		{name: "edit", args: []string{"edit", base, "-o", "out.iso", "--strategy", "overlay", "--", "sh", "-c", busy}},
		{name: "build", args: []string{"build", base, "-o", "out.iso", "--strategy", "overlay", "--mastering", "xorriso", "--add", "file"}},
		{name: "shield", args: []string{"shield", "dir", "--", "sh", "-c", "cd dir; for i in 1 2 3 4; do echo $i >> precious; rm -f other; done; sleep 0.1"}},
		{
			name: "edit by fuse-overlayfs", args: []string{"edit", base, "-o", users[1].path("out.iso"), "--strategy", "overlay", "--", "sh", "-c", busy},
			env: []string{"CHANGES=ramfs", "TMPDIR=" + users[1].path("changes")},
		},
	}
	isotest.Tool(t, workspace.FuseOverlayfs)
	if err := os.Mkdir(users[1].path("changes"), 0o755); err != nil {
		t.Fatal(err)
	}
	var sums []string
	for _, u := range users {
		u.write("file", "content\n")
		if err := os.Mkdir(u.path("dir"), 0o755); err != nil {
			t.Fatal(err)
		}
		u.write("dir/precious", "precious\n")
		u.write("dir/other", "other\n")
		if len(u.argv) > 0 {
			_ = os.Chown(u.path("dir"), 65534, 65534)
		}
		sums = append(sums, fmt.Sprint(shieldedState(t, u.path("dir"))))
		for _, m := range modes {
			if m.env != nil && u != users[1] {
				continue
			}
			start := time.Now()
			if o := u.with(everybody, m.env, m.args...); o.code != 0 {
				t.Fatalf("%s: %s", m.name, o)
			}
			if took := time.Since(start); m.took == 0 || took < m.took {
				m.took = took
			}
		}
	}
	r := rand.New(rand.NewPCG(6, uint64(kills)))
	early, ended := 0, 0
	for i := 0; early < kills && i < 4*kills; i++ {
		k, m := i%len(users), modes[i/2%len(modes)]
		if m.env != nil {
			k = 1
		}
		u := users[k]
		mark := fmt.Sprintf("ISOLAYER_KILL_TEST=%d.%d", os.Getpid(), i)
		if u.killed(append(m.env, mark), time.Duration(r.Float64()*float64(m.took)), m.args...) {
			early++
		} else {
			ended++
			m.took = m.took * 9 / 10 // it was measured while the machine was busier
		}
		if left := survivors(mark); left != "" {
			t.Fatalf("%s, kill %d: still running: %s", m.name, i, left)
		}
		if b, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(b, []byte(u.dir)) {
			t.Fatalf("%s, kill %d: still mounted: %s %v", m.name, i, b, err)
		}
		if loops := loopsOf(base, u.dir); loops != "" {
			t.Fatalf("%s, kill %d: loop device left: %s", m.name, i, loops)
		}
		if s := fmt.Sprint(shieldedState(t, u.path("dir"))); s != sums[k] {
			t.Fatalf("%s, kill %d: the shielded directory changed:\n%s\n%s", m.name, i, sums[k], s)
		}
		if i%8 < 2 || early >= kills-2 { // the next start
			u.must("shield", "dir", "--", "true")
			u.clean()
			if hidden, _ := filepath.Glob(u.path(".*isolayer*")); len(hidden) > 0 {
				t.Fatalf("%s, kill %d: left behind: %v", m.name, i, hidden)
			}
		}
	}
	t.Logf("%d kills, %d after the end", early, ended)
	if early < kills {
		t.Errorf("only %d of %d runs could be killed in time", early, early+ended)
	}
}

// TestMountKill kills mount, which outlives its command: whatever of it is there is found
// and taken away by umount or doctor --clean.
func TestMountKill(t *testing.T) {
	kills := 12
	if os.Getenv("ISOLAYER_SOAK") != "" {
		kills = 200
	}
	bin, base := shared(t, "grub-rescue-cdrom")
	u := asRoot(t, bin)
	for _, d := range []string{"mnt", "dir"} {
		if err := os.Mkdir(u.path(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	modes := [][]string{
		{"mount", "--view", "fuse", base, "mnt"},
		{"mount", "--view", "erofs", base, "mnt"},
		{"mount", "--rw", "up", base, "mnt"},
		{"shield", "--mount", "mnt", "dir"},
	}
	took := make([]time.Duration, len(modes))
	for i, m := range modes {
		start := time.Now()
		u.must(m...)
		took[i] = time.Since(start)
		u.must("umount", "mnt")
	}
	r := rand.New(rand.NewPCG(7, uint64(kills)))
	left, gone := 0, 0
	for i := range kills {
		m := i % len(modes)
		mark := fmt.Sprintf("ISOLAYER_KILL_TEST=mount.%d.%d", os.Getpid(), i)
		if !u.killed([]string{mark}, time.Duration(r.Float64()*float64(took[m])), modes[m]...) {
			left++
			took[m] = took[m] * 9 / 10
		}
		time.Sleep(20 * time.Millisecond) // a server that was started goes on until it is mounted
		if o := u.run("umount", "mnt"); o.code != 0 {
			gone++
			if !strings.Contains(o.errout, "nothing that isolayer mounted") {
				t.Fatalf("%v, kill %d: %s", modes[m], i, o)
			}
		}
		if still := survivors(mark); still != "" {
			t.Fatalf("%v, kill %d: still running: %s", modes[m], i, still)
		}
		u.clean()
		if b, _ := filepath.Glob(u.path(".up*")); len(b) > 0 {
			t.Fatalf("%v, kill %d: left behind: %v", modes[m], i, b)
		}
		if loops := loopsOf(base, u.dir); loops != "" {
			t.Fatalf("%v, kill %d: loop device left: %s", modes[m], i, loops)
		}
	}
	t.Logf("%d kills: %d after it stood, %d before anything was there", kills, left, gone)
}

// killed runs a command, kills it after a while, and reports whether it was still running.
func (u *user) killed(env []string, after time.Duration, args ...string) bool {
	u.t.Helper()
	argv := append(append([]string{}, u.argv...), append([]string{u.bin}, args...)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = u.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+u.dir, "DIR="+u.dir, "FUSE="+everybody, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Env = append(cmd.Env, env...)
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill()
	return cmd.Wait() != nil
}

// survivors are processes with the mark in their environment, after they had time to end.
func survivors(mark string) string {
	var left []string
	for range 100 {
		left = nil
		list, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, p := range list {
			if b, err := os.ReadFile(p); err == nil && bytes.Contains(b, []byte(mark+"\x00")) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
				cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				left = append(left, fmt.Sprintf("%d %q", pid, cmdline))
			}
		}
		if len(left) == 0 {
			return ""
		}
		time.Sleep(50 * time.Millisecond)
	}
	return strings.Join(left, ", ")
}

// loopsOf are the loop devices that show one of the files.
func loopsOf(names ...string) string {
	var left string
	for range 40 {
		left = ""
		list, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
		for _, p := range list {
			b, _ := os.ReadFile(p)
			for _, n := range names {
				if strings.HasPrefix(string(b), n) {
					left += p + " " + string(b)
				}
			}
		}
		if left == "" {
			return ""
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

// shieldedState is all that can be seen of a directory: content, owners, modes, times.
func shieldedState(t *testing.T, dir string) []string {
	t.Helper()
	out := strings.Split(string(isotest.Run(t, "find", dir, "-printf", "%P %y %m %U %G %s %T@ %C@ %i\n")), "\n")
	list, _ := filepath.Glob(dir + "/*")
	for _, p := range list {
		out = append(out, isotest.SHA256File(t, p))
	}
	return out
}
