package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSignals interrupts commands that wait for whoever reads their output.
func TestSignals(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin, dir := program(t), t.TempDir()
	base := filepath.Join(dir, "base.iso")
	if err := os.WriteFile(base, fixture(t), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		args  []string
		sig   syscall.Signal
		twice bool
		code  int
	}{
		{"cat", []string{"cat", base, "@system-area"}, syscall.SIGINT, false, 130},
		{"build to a pipe", []string{"build", base, "--mkdir", "/new", "-o", "-"}, syscall.SIGTERM, false, 143},
		{"build to a pipe", []string{"build", base, "--mkdir", "/new", "-o", "-"}, syscall.SIGINT, false, 130},
		{"ls", []string{"ls", "-lR", "--json", base}, syscall.SIGTERM, false, 143},
		{"two signals", []string{"build", base, "--mkdir", "/new", "-o", "-"}, syscall.SIGINT, true, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			// A full pipe: whoever writes to it waits, even for a short output.
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(bin, c.args...)
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = w, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = w.Close()
			waitFor(t, cmd.Process.Pid, "pipe_w", "anon_pipe")
			start := time.Now()
			if err := cmd.Process.Signal(c.sig); err != nil {
				t.Fatal(err)
			}
			if c.twice {
				time.Sleep(300 * time.Millisecond) // the first one must have been taken
				if err := cmd.Process.Signal(c.sig); err != nil {
					t.Fatal(err)
				}
			}
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Fatal("it does not end")
			}
			t.Logf("ended after %v", time.Since(start).Round(time.Millisecond))
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, stderr %q", code, &stderr)
			}
			if !c.twice && !strings.Contains(stderr.String(), "interrupted") {
				t.Errorf("stderr %q", &stderr)
			}
			_, _ = io.Copy(io.Discard, r)
		})
	}
}

// waitFor waits until a thread of the process waits in one of these functions of the
// kernel, or for a second where the kernel does not tell.
func waitFor(t *testing.T, pid int, where ...string) {
	t.Helper()
	for range 100 {
		list, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task/*/wchan"))
		for _, p := range list {
			b, _ := os.ReadFile(p)
			for _, w := range where {
				if strings.Contains(string(b), w) {
					return
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestRealFaults writes against limits of the system: of the size of a file, and of the
// room of its file system. The older output stays, and nothing else is left.
func TestRealFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := program(t)
	src := t.TempDir()
	base, big := filepath.Join(src, "base.iso"), filepath.Join(src, "big")
	if err := os.WriteFile(base, fixture(t), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(big, bytes.Repeat([]byte("x"), 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	small := t.TempDir()
	mounted := os.Geteuid() == 0 && syscall.Mount("tmpfs", small, "tmpfs", 0, "size=600k") == nil
	if mounted {
		defer func() {
			if err := syscall.Unmount(small, 0); err != nil {
				t.Error(err)
			}
		}()
	}
	commands := map[string][]string{
		"out.iso":   {"build", base, "--add", big, "-o", "out.iso"},
		"layer.tar": {"layer", "create", base, filepath.Join(src, "changed.iso"), "-o", "layer.tar"},
		"big":       {"extract", filepath.Join(src, "changed.iso"), "/big", "-C", "."},
	}
	if out, err := exec.Command(bin, "build", base, "--add", big, "-o", filepath.Join(src, "changed.iso")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for output, args := range commands {
		for _, where := range []string{"ulimit", "tmpfs"} {
			if where == "tmpfs" && !mounted {
				t.Log("without root there is no small file system to write to")
				continue
			}
			dir, script := t.TempDir(), `ulimit -f 600; exec "$0" "$@"`
			if where == "tmpfs" {
				dir, script = small, `exec "$0" "$@"`
			}
			old := filepath.Join(dir, output)
			if err := os.WriteFile(old, []byte("precious"), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", append([]string{"-c", script, bin}, args...)...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != exitFailed || !bytes.Contains(out, []byte("isolayer: ")) {
				t.Errorf("%s, %s: %v, %s", where, args[0], err, out)
			}
			b, err := os.ReadFile(old)
			if output == "big" { // extract replaces: no half of a file
				if err == nil {
					t.Errorf("%s: %d bytes of the file are left", where, len(b))
				}
			} else if err != nil || string(b) != "precious" {
				t.Errorf("%s, %s: the older output is %q, %v", where, args[0], b[:min(len(b), 20)], err)
			}
			list, err := os.ReadDir(dir)
			if err != nil || len(list) > 1 {
				t.Errorf("%s, %s: left behind: %v, %v", where, args[0], list, err)
			}
			_ = os.Remove(old)
		}
	}
}
