package qemu_test

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
)

// TestLoader waits for a text on the screen of a BIOS machine, and takes a picture.
func TestLoader(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine")
	}
	isotest.Tool(t, "qemu-system-x86_64")
	shot := filepath.Join(t.TempDir(), "shot.png")
	image := isotest.Image(t, "memtest86+x64")
	before := isotest.SHA256File(t, image)
	var live bytes.Buffer
	res, err := qemu.Run(t.Context(), image, qemu.Options{Media: qemu.Disk, Expect: []string{"Memtest86+"}, Screenshot: shot, Timeout: time.Minute, Console: &live})
	if err != nil || len(res.Missing) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	f, err := os.Open(shot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p, err := png.Decode(f); err != nil || p.Bounds().Dx() < 640 {
		t.Errorf("screenshot: %v", err)
	}
	if isotest.SHA256File(t, image) != before {
		t.Error("the image changed")
	}
}

// TestGivesUp: a text that does not come, and a context that ends, stop the machine.
func TestGivesUp(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine")
	}
	isotest.Tool(t, "qemu-system-x86_64")
	image := isotest.Image(t, "grub-rescue-cdrom")
	res, err := qemu.Run(t.Context(), image, qemu.Options{Expect: []string{"GRUB", "no such text"}, Timeout: 4 * time.Second, NoKVM: true})
	if err != nil || len(res.Missing) != 1 || res.Missing[0] != "no such text" || res.Ended {
		t.Errorf("%+v, %v", res, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	if _, err := qemu.Run(ctx, image, qemu.Options{Expect: []string{"no such text"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if time.Since(start) > 20*time.Second {
		t.Error("the machine went on")
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("QEMU", "no-such-program")
	image := filepath.Join(t.TempDir(), "x.iso")
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var m *qemu.MissingError
	if _, err := os.Stat("/usr/libexec/qemu-kvm"); err == nil {
		t.Skip("another QEMU is there")
	}
	if _, err := qemu.Run(t.Context(), image, qemu.Options{}); !errors.As(err, &m) || m.Packages == "" {
		t.Error(err)
	}
	if _, err := qemu.Run(t.Context(), image+"x", qemu.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
