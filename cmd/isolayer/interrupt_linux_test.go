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

	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// long makes an image whose one large file takes all commands some time, at bytes of
// which are no zeros.
func long(t *testing.T, path string, at int64) {
	t.Helper()
	const size = 0xfffff800
	m := hostile.New()
	m.Descriptor(hostile.AtSVD, 255, 0)
	m.Root(hostile.File("X.;1", hostile.AtChain, size, hostile.PX(hostile.ModeRegular|0o644), hostile.NM("x")))
	m.Put(hostile.AtPVD, hostile.OffSpaceSize, hostile.Pair32(5<<30/hostile.BlockSize))
	if err := os.WriteFile(path, m, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(5 << 30); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("end"), at); err != nil {
		t.Fatal(err)
	}
}

// TestInterrupts interrupts commands that are busy: they end within two seconds and
// leave nothing.
func TestInterrupts(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin, dir := program(t), t.TempDir()
	for name, at := range map[string]int64{"a.iso": 4 << 30, "b.iso": 4<<30 + 1} {
		long(t, filepath.Join(dir, name), at)
	}
	for name, text := range map[string]string{"Isofile": "FROM a.iso\nMKDIR /new\n", "ks.cfg": "text\n", "big": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "big"), 4<<30); err != nil {
		t.Fatal(err)
	}
	for i, line := range []string{
		"verify a.iso --base b.iso",
		"extract a.iso -C out",
		"edit a.iso --strategy copy --workspace-dir . -o out -- true",
		"build -f Isofile --store store -o out",
		"diff a.iso b.iso",
		"md5 implant a.iso",
		"layer create a.iso b.iso -o out.tar.gz",
		"master -quiet -R -o out -checksum sha256 big",
		"build a.iso --add ks.cfg --media-check implant --checksum sha256 -o out",
		"edit a.iso --strategy copy --workspace-dir . -o out --limits out-bytes=none -- sleep 60",
	} {
		if i >= 4 && os.Getenv("ISOLAYER_SOAK") == "" {
			break
		}
		t.Run(line, func(t *testing.T) { interrupt(t, bin, dir, strings.Fields(line)) })
	}
}

func interrupt(t *testing.T, bin, dir string, args []string) {
	cmd := exec.Command(bin, args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	before := stamp(t, dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond)
	start := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Skipf("it has ended already, this machine is quick: %v, %s", err, &stderr)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
	took := time.Since(start)
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit code %d, stderr %s", code, &stderr)
	}
	// In make test nothing hangs on how busy the machine is: there a minute is the end.
	if took > 2*time.Second && os.Getenv("ISOLAYER_SOAK") != "" || took > time.Minute {
		t.Errorf("it ends after %v", took)
	}
	t.Logf("ended after %v", took.Round(time.Millisecond))
	for p, now := range stamp(t, dir) {
		// What extract has taken out is whole, and stays.
		if before[p] != now && !strings.HasPrefix(p, filepath.Join(dir, "store")) && p != filepath.Join(dir, "out/a.txt") {
			t.Errorf("left behind: %s, %s", p, now)
		}
	}
	for p := range before {
		if _, err := os.Lstat(p); err != nil {
			t.Error(err)
		}
	}
	for _, p := range []string{"out", "store"} {
		if err := os.RemoveAll(filepath.Join(dir, p)); err != nil {
			t.Error(err)
		}
	}
}
