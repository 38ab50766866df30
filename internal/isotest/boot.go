package isotest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Medium is how a virtual machine gets an image.
type Medium string

// The media.
const (
	CD   Medium = "cd"
	Disk Medium = "disk"
)

// bootLimit is how long a boot may take under emulation on a busy machine.
const bootLimit = 3 * time.Minute

// Boot starts an image under QEMU, without KVM, and waits until the serial
// console has shown all texts, in any order. uefi selects OVMF instead of SeaBIOS.
func Boot(tb testing.TB, image string, uefi bool, m Medium, texts ...string) {
	tb.Helper()
	qemu := Tool(tb, "qemu-system-x86_64")
	args := []string{
		"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "768", "-nodefaults", "-no-user-config",
		"-display", "none", "-vga", "std", "-serial", "stdio", "-no-reboot", "-nic", "none",
	}
	if uefi {
		vars := filepath.Join(tb.TempDir(), "vars.fd")
		b, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
		if err != nil {
			tb.Fatalf("%v (Debian package ovmf)", err)
		}
		if err := os.WriteFile(vars, b, 0o600); err != nil {
			tb.Fatal(err)
		}
		args = append(args, "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd", "-drive", "if=pflash,format=raw,unit=1,file="+option(vars))
	}
	if m == CD {
		args = append(args, "-drive", "if=none,id=d,media=cdrom,format=raw,readonly=on,file="+option(image), "-device", "ide-cd,bus=ide.0,drive=d,bootindex=1")
	} else {
		args = append(args, "-drive", "if=none,id=d,format=raw,snapshot=on,file="+option(image), "-device", "ide-hd,bus=ide.0,drive=d,bootindex=1")
	}
	ctx, cancel := context.WithTimeout(tb.Context(), bootLimit)
	defer cancel()
	var console watcher
	console.texts, console.seen = texts, cancel
	cmd := exec.CommandContext(ctx, qemu, args...)
	cmd.Stdout, cmd.Stderr = &console, &console
	_ = cmd.Run() // it is killed when all was seen, or powers off by itself
	if missing := console.missing(); len(missing) > 0 {
		tb.Errorf("%s (uefi %v, %s) did not show %q; the console ended with:\n%s", filepath.Base(image), uefi, m, missing, console.tail())
	}
}

// option quotes a value of a QEMU option, in which commas separate.
func option(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// watcher collects a console and calls seen when all texts were shown.
type watcher struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	texts []string
	seen  func()
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if len(w.left()) == 0 {
		w.seen()
	}
	return len(p), nil
}

func (w *watcher) left() []string {
	var out []string
	for _, t := range w.texts {
		if !bytes.Contains(w.buf.Bytes(), []byte(t)) {
			out = append(out, t)
		}
	}
	return out
}

func (w *watcher) missing() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left()
}

func (w *watcher) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := strings.ToValidUTF8(w.buf.String(), "?")
	return s[max(0, len(s)-1500):]
}
