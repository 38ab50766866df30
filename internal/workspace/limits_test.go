//go:build linux

package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/isotest"
)

// TestLimits: every process that reads the image has the limits that the user set, and
// their errors come back as what they are.
func TestLimits(t *testing.T) {
	needRoot(t)
	image := isotest.Image(t, "rhel-like-small")
	tight := fault.Limits{Records: 5}
	for _, kind := range []string{"fuse", "erofs"} {
		dir := t.TempDir()
		v := viewSpec{Image: image, Limits: tight, Dir: filepath.Join(dir, "view"), Kinds: []string{kind}, Meta: filepath.Join(dir, "meta")}
		if err := os.Mkdir(v.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, detached := range []bool{false, true} {
			v.Detached = detached
			if _, err := v.mount(); !errors.Is(err, fault.Limit) {
				t.Errorf("%s, detached %v: %v", kind, detached, err)
				_ = unix.Unmount(v.Dir, unix.MNT_DETACH)
			}
		}
		if k, _, err := startKeeper(spec{View: &v}, false, Options{}); !errors.Is(err, fault.Limit) {
			t.Errorf("%s in a keeper: %v", kind, err)
			if err == nil {
				_ = k.stop()
			}
		}
	}
	for _, s := range []Strategy{Copy{}, Overlay{}, Bind{}} {
		if w, err := Prepare(t.Context(), image, s, Options{Temp: t.TempDir(), Limits: tight}); !errors.Is(err, fault.Limit) {
			t.Errorf("%s: %v", s, err)
			if err == nil {
				_ = w.Close()
			}
		}
	}
	if _, err := Prepare(t.Context(), image, Copy{}, Options{Temp: t.TempDir(), Limits: fault.Limits{OutBytes: 1 << 20}}); !errors.Is(err, fault.Bomb) {
		t.Errorf("a copy of more than is allowed: %v", err)
	}
	if _, err := CaptureUpper(image, 0, t.TempDir(), CaptureOptions{Limits: tight}); !errors.Is(err, fault.Limit) {
		t.Errorf("an upper directory: %v", err)
	}
	if _, err := Stand(Standing{Image: image, Target: t.TempDir(), Temp: t.TempDir(), Limits: tight}); !errors.Is(err, fault.Limit) {
		t.Errorf("a standing mount: %v", err)
	}
}
