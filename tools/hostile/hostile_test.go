//go:build hostile

// Package hostile counts how programs that read ISO images fare with the catalogue of
// hostile ones. It prints numbers only; which image does what is not for publication
// before the authors of those programs know.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// patience is how long a program may take before it counts as one that does not end.
const patience = 10 * time.Second

// peers are command lines that read all of an image ($1) into a directory ($2).
var peers = []struct{ name, script string }{
	{"isolayer", `"$ISOLAYER" extract "$1" -C "$2"`},
	{"bsdtar", `bsdtar -x -f "$1" -C "$2"`},
	{"xorriso", `xorriso -no_rc -osirrox on -indev stdio:"$1" -extract / "$2"`},
	{"7z", `7z x -y -o"$2" "$1"`},
	{"isoinfo", `isoinfo -l -R -i "$1"`},
}

// tally is what a program did with all images.
type tally struct{ read, refused, hung, crashed, escaped int }

// program builds isolayer.
func program(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "isolayer")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/isolayer").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// TestPeers prints the table of docs/robustness.md.
func TestPeers(t *testing.T) {
	bin := program(t)
	images := 0
	counts := make([]tally, len(peers))
	for _, r := range hostile.Rows {
		if r.Big || r.Grow > 0 {
			continue
		}
		images++
		image := filepath.Join(t.TempDir(), "image.iso")
		if err := r.Write(image, r.Image()); err != nil {
			t.Fatal(err)
		}
		for i, p := range peers {
			if p.name != "isolayer" {
				isotest.Tool(t, p.name)
			}
			counts[i].add(t, bin, p.script, image)
		}
	}
	t.Logf("%d images, an end after %v is none", images, patience)
	t.Log("| program | reads | refuses | no end | crashes | writes outside |")
	t.Log("|---|---|---|---|---|---|")
	for i, p := range peers {
		c := counts[i]
		t.Logf("| %s | %d | %d | %d | %d | %d |", p.name, c.read, c.refused, c.hung, c.crashed, c.escaped)
	}
	if c := counts[0]; c.hung+c.crashed+c.escaped > 0 {
		t.Errorf("isolayer is not safe: %+v", c)
	}
}

// add runs a program in a directory of its own, with 2 GiB of memory, and counts what it did.
func (c *tally) add(t *testing.T, bin, script, image string) {
	room := t.TempDir()
	out := filepath.Join(room, "a", "b", "out")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "ulimit -v 2097152; ulimit -f 2097152; "+script, "sh", image, out)
	cmd.Env, cmd.Dir = append(os.Environ(), "ISOLAYER="+bin), filepath.Join(room, "a")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		c.hung++
	case err == nil:
		c.read++
	case errors.As(err, &exit) && (exit.ExitCode() > 128 || exit.ExitCode() < 0):
		c.crashed++
	default:
		c.refused++
	}
	if outside(t, room, out) {
		c.escaped++
	}
}

// outside reports whether there is a file in room that is not in out.
func outside(t *testing.T, room, out string) (found bool) {
	err := filepath.WalkDir(room, func(p string, d fs.DirEntry, err error) error {
		switch {
		case p == out:
			return fs.SkipDir
		case err != nil:
			return err
		case !d.IsDir():
			found = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(fmt.Errorf("look for files: %w", err))
	}
	return found
}
