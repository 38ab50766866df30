package loadertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// realLimit ends a machine whose own time does not go on. It is no answer but an error.
const realLimit = 4 * time.Minute

// Firmware of UEFI machines: code and variables.
const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// Run starts a medium. It makes the medium and what else the machine needs in dir.
func Run(ctx context.Context, dir string, m Medium) (Outcome, error) {
	image, err := Build(ctx, dir, m)
	if err != nil {
		return Outcome{}, err
	}
	return RunImage(ctx, dir, m, image)
}

// RunImage starts an image of a medium, which may have been changed since it was made.
func RunImage(ctx context.Context, dir string, m Medium, image string) (out Outcome, err error) {
	args, err := m.machine(ctx, dir, image)
	if err != nil {
		return Outcome{}, fmt.Errorf("make machine for %s: %w", m.Loader, err)
	}
	ctx, cancel := context.WithTimeout(ctx, realLimit)
	defer cancel()
	var serial line
	var stderr bytes.Buffer
	cmd := process(ctx, "qemu-system-x86_64", args)
	cmd.Stdout, cmd.Stderr = &serial, &stderr
	ended, err := start(cmd)
	if err != nil {
		return Outcome{}, err
	}
	w := watch{m: m, dir: dir, ended: ended}
	werr := w.run(ctx)
	if kerr := cmd.Process.Kill(); kerr != nil && !errors.Is(kerr, os.ErrProcessDone) {
		werr = errors.Join(werr, kerr)
	}
	<-ended
	out = parse(serial.text())
	out.Screen, out.Ended = w.screen, w.gone && !out.Started
	if !out.Started && (werr != nil || serial.text() == "" && stderr.Len() > 0) {
		return out, fmt.Errorf("run %s: %w\n%s%s\n%s", m.Loader, errors.Join(werr, errStopped), stderr.Bytes(), serial.text(), w.screen)
	}
	return out, nil
}

var errStopped = errors.New("QEMU came to no end")

// machine makes the command line, and the local disk that a loader can go on to.
//
// Its time is counted in instructions and goes on at once where it sleeps: timeouts of ten
// seconds take one, and a loaded host changes nothing.
func (m Medium) machine(ctx context.Context, dir, image string) ([]string, error) {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-vga", "std", "-nic", "none", "-no-reboot", "-smp", "1", "-accel", "tcg",
		"-serial", "stdio", "-monitor", "none", "-qmp", "unix:" + filepath.Join(dir, "qmp") + ",server=on,wait=off",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=1",
		"-rtc", "base=2026-01-01,clock=vm", "-icount", fmt.Sprintf("shift=%d,sleep=off", m.speed()),
	}
	local := filepath.Join(dir, "local.img")
	disk := []string{"-drive", "format=raw,if=none,id=local,snapshot=on,file=" + local}
	cd := []string{"-drive", "format=raw,if=none,id=medium,media=cdrom,readonly=on,file=" + image}
	switch {
	case m.Loader == SystemBoot || m.Loader == REFInd: // they would offer the local disk, too
		args = append(append(args, "-M", "q35", "-m", "160"), append(cd, "-device", "ide-cd,bus=ide.0,drive=medium,bootindex=1")...)
	case m.Loader.uefi():
		if err := fat(ctx, dir, local, "LOCAL", map[string][]byte{"EFI/BOOT/BOOTX64.EFI": Kernel(Local)}); err != nil {
			return nil, err
		}
		args = append(append(append(args, "-M", "q35", "-m", "160"), cd...), "-device", "ide-cd,bus=ide.0,drive=medium,bootindex=1")
		args = append(append(args, disk...), "-device", "ide-hd,bus=ide.1,drive=local,bootindex=2")
	default:
		if err := os.WriteFile(local, append(Sector(Local), make([]byte, 32<<20-512)...), 0o644); err != nil {
			return nil, err
		}
		args = append(append(append(args, "-M", "pc", "-m", "64"), cd...), "-device", "ide-cd,bus=ide.1,drive=medium,bootindex=1")
		return append(append(args, disk...), "-device", "ide-hd,bus=ide.0,drive=local,bootindex=2"), nil
	}
	vars, err := os.ReadFile(ovmfVars)
	if err != nil {
		return nil, err
	}
	own := filepath.Join(dir, "vars.fd")
	if err := os.WriteFile(own, vars, 0o644); err != nil {
		return nil, err
	}
	return append(args, "-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+ovmfCode, "-drive", "if=pflash,format=raw,unit=1,file="+own), nil
}

// speed is the binary logarithm of the nanoseconds that an instruction takes. GRUB polls,
// so its time has to go on fast; the others sleep.
func (m Medium) speed() int {
	switch m.Loader {
	case ISOLINUX:
		return 8
	case GRUB, GRUBLegacy:
		return 10
	}
	return 7
}

// start runs the program and returns what its end is sent on.
func start(cmd *exec.Cmd) (<-chan error, error) {
	started, ended := make(chan error), make(chan error, 1)
	go run(cmd, started, ended)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	return ended, nil
}

// line is what came on the serial line, of which the first megabyte is kept.
type line struct {
	mu  sync.Mutex
	buf []byte
}

var _ io.Writer = &line{}

func (l *line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buf) < 1<<20 {
		l.buf = append(l.buf, p...)
	}
	return len(p), nil
}

func (l *line) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.ReplaceAll(string(l.buf), "\r\n", "\n")
}
