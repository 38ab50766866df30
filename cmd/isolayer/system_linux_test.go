package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program builds the command once for tests that need a process of their own.
func program(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "isolayer")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// TestBinarySize guards what keeps the linker's removal of dead code working.
func TestBinarySize(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	info, err := os.Stat(program(t))
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(17 << 20); info.Size() > limit {
		t.Errorf("%d bytes, the limit is %d", info.Size(), limit)
	}
}

// TestInterrupted stops a build that waits for the reader of a FIFO, and one
// that writes a file.
func TestInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin, dir := program(t), t.TempDir()
	base := filepath.Join(dir, "base.iso")
	if err := os.WriteFile(base, fixture(t), 0o644); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "build", base, "--add", base+":/big", "-o", fifo)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(fifo) // returns when the build has opened it
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the build does not end")
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit code %d, stderr %q", code, &stderr)
	}
}

// TestFullTarget writes to a file system that is too small.
func TestFullTarget(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounts a tmpfs, needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=300k"); err != nil {
		t.Skip(err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	base := filepath.Join(t.TempDir(), "base.iso")
	if err := os.WriteFile(base, fixture(t), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.iso")
	if err := os.WriteFile(out, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	// As much new content as does not fit: the fixture's padding is holes.
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, bytes.Repeat([]byte("x"), 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"build", base, "--add", big, "-o", out}, nil, &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "not enough space") || !strings.Contains(stderr.String(), "hint: ") {
		t.Errorf("exit code %d, stderr %q", code, &stderr)
	}
	if b, err := os.ReadFile(out); err != nil || string(b) != "precious" {
		t.Errorf("the older file is %q, %v", b, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

// TestExtractCannotEscape extracts images, one after the other, that would lead
// a careless program out of the directory.
func TestExtractCannotEscape(t *testing.T) {
	xorriso, err := exec.LookPath("xorriso")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	make := func(iso string, prepare func(tree string)) string {
		tree := filepath.Join(dir, iso+".tree")
		if err := os.MkdirAll(tree, 0o755); err != nil {
			t.Fatal(err)
		}
		prepare(tree)
		if out, err := exec.Command(xorriso, "-as", "mkisofs", "-quiet", "-R", "-o", filepath.Join(dir, iso), tree).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return filepath.Join(dir, iso)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(dir, "outside")
	must(os.Mkdir(outside, 0o755))
	links := make("links.iso", func(tree string) {
		must(os.Symlink("../outside", filepath.Join(tree, "x")))
		must(os.Symlink("../outside/victim", filepath.Join(tree, "y")))
	})
	files := make("files.iso", func(tree string) {
		must(os.Mkdir(filepath.Join(tree, "x"), 0o755))
		must(os.WriteFile(filepath.Join(tree, "x", "file"), []byte("x"), 0o644))
		must(os.WriteFile(filepath.Join(tree, "y"), []byte("y"), 0o4755))
		must(os.WriteFile(filepath.Join(tree, "bad\nname\x1b[31m"), nil, 0o644))
		must(os.Mkdir(filepath.Join(tree, "locked"), 0o755))
		must(os.WriteFile(filepath.Join(tree, "locked", "file"), []byte("z"), 0o444))
		must(os.Chmod(filepath.Join(tree, "locked"), 0o555))
		t.Cleanup(func() { must(os.Chmod(filepath.Join(tree, "locked"), 0o755)) }) // or it could not be removed
	})
	target := filepath.Join(dir, "target")
	for _, iso := range []string{links, files, links, files} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"extract", iso, "-C", target}, nil, &stdout, &stderr); code != 0 {
			// A link cannot replace a directory that holds something.
			if iso != links || !strings.Contains(stderr.String(), "extract /x") {
				t.Fatalf("%s: exit code %d, %s", iso, code, &stderr)
			}
		}
	}
	if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
		t.Errorf("outside the target: %v, %v", list, err)
	}
	if b, err := os.ReadFile(filepath.Join(target, "x", "file")); err != nil || string(b) != "x" {
		t.Errorf("x/file: %q, %v", b, err)
	}
	info, err := os.Lstat(filepath.Join(target, "y"))
	if err != nil || info.Mode()&(os.ModeSetuid|os.ModeSymlink) != 0 {
		t.Errorf("y: %v, %v", info, err)
	}
	var stdout, stderr bytes.Buffer
	if run(t.Context(), []string{"ls", files}, nil, &stdout, &stderr); !strings.Contains(stdout.String(), `bad\nname\x1b[31m`) {
		t.Errorf("ls printed %q", &stdout)
	}
}
