package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// TestKill kills builds and edits in place at random moments: afterwards the output is
// not there or whole, the image edited in place is the old one or the new one, and
// nothing else is left once the next command has opened it.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	kills := 60
	if os.Getenv("ISOLAYER_SOAK") != "" {
		kills = 2000
	}
	bin := program(t)
	base := isotest.Image(t, "grub-rescue-cdrom")
	raw, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	add := filepath.Join(dir, "added.bin")
	if err := os.WriteFile(add, bytes.Repeat([]byte("some content that is added\n"), 1<<19), 0o644); err != nil {
		t.Fatal(err)
	}
	image, out := filepath.Join(dir, "image.iso"), filepath.Join(dir, "out.iso")
	sum := func(path string) string {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return "missing"
		} else if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", sha256.Sum256(b))
	}
	old := fmt.Sprintf("%x", sha256.Sum256(raw))
	modes := []struct {
		name  string
		args  []string
		reset func() error
		look  func() string
		old   string
		fresh string
		took  time.Duration
	}{
		{
			name: "build", args: []string{"build", base, "--add", add, "--rm", "/boot/grub/i386-pc", "--no-boot", "all", "-o", out},
			reset: func() error { return os.Remove(out) }, look: func() string { return sum(out) }, old: "missing",
		},
		{
			name: "in place", args: []string{"build", image, "--add", add, "--rm", "/boot/grub/fonts", "--in-place"},
			reset: func() error {
				_ = os.Remove(image + ".isolayer-undo")
				return os.WriteFile(image, raw, 0o644)
			},
			look: func() string {
				if msg, err := exec.Command(bin, "ls", image).CombinedOutput(); err != nil {
					t.Fatalf("the image does not open: %v\n%s", err, msg)
				}
				return sum(image)
			},
			old: old,
		},
	}
	for i := range modes {
		m := &modes[i]
		for range 5 {
			if err := m.reset(); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			start := time.Now()
			if msg, err := exec.Command(bin, m.args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, msg)
			}
			m.took += time.Since(start) / 5
		}
		m.fresh = m.look()
		if m.fresh == m.old {
			t.Fatalf("%s changes nothing", m.name)
		}
	}
	var histogram [10]int
	var runs, killed, before, after int
	r := rand.New(rand.NewPCG(1, uint64(kills)))
	for ; killed < kills && runs < 20*kills; runs++ {
		m := &modes[runs%2]
		if err := m.reset(); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		cmd := exec.Command(bin, m.args...)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		part := r.Float64()
		time.Sleep(time.Duration(part * float64(m.took)))
		_ = cmd.Process.Kill()
		if cmd.Wait() == nil { // it ended first: the machine is quicker than it was
			m.took = m.took * 9 / 10
		} else {
			killed++
			histogram[int(part*10)]++
			m.took += m.took / 150 // so that one run in sixteen ends first: the kills reach to the end
		}
		switch m.look() {
		case m.old:
			before++
		case m.fresh:
			after++
		default:
			t.Fatalf("%s, killed after %.0f %% of its time: the image is torn", m.name, part*100)
		}
		if left, _ := filepath.Glob(image + ".isolayer-journal"); len(left) > 0 {
			t.Fatalf("left behind: %v", left)
		}
	}
	var bars strings.Builder
	for i, n := range histogram {
		fmt.Fprintf(&bars, "\n%3d %% %s %d", i*10, strings.Repeat("#", n*60/kills), n)
	}
	t.Logf("%d runs, %d killed before their end: %d old images, %d new ones%s", runs, killed, before, after, bars.String())
	if killed < kills {
		t.Errorf("only %d runs were killed before their end", killed)
	}
}
