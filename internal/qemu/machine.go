package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// machine is one running QEMU.
type machine struct {
	o       Options
	dir     string
	kvm     bool
	cmd     *exec.Cmd
	qmp     *monitor
	console console
	stderr  console
	screen  string
	ended   chan error
}

// start runs the program. The goroutine keeps its thread: on Linux the machine dies
// with the thread that started it.
func (m *machine) start() error {
	started := make(chan error)
	m.ended = make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := m.cmd.Start()
		started <- err
		if err == nil {
			m.ended <- m.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start QEMU: %w", err)
	}
	return nil
}

// watch looks at the machine until all texts came, it ended, the time is over or
// the context is.
func (m *machine) watch(ctx context.Context, until time.Time) (ended bool) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-m.ended:
			m.ended <- err
			return true
		case <-ctx.Done():
			return false
		case now := <-tick.C:
			m.look()
			if len(m.o.Expect) > 0 && len(m.missing()) == 0 || now.After(until) {
				return false
			}
		}
	}
}

// look reads the text screen, which only BIOS machines have.
func (m *machine) look() {
	if m.o.Firmware != BIOS && m.o.Firmware != "" {
		return
	}
	if !m.connect() {
		return
	}
	file := filepath.Join(m.dir, "screen")
	err := m.qmp.do("pmemsave", map[string]any{"val": 0xb8000, "size": 80 * 25 * 2, "filename": file})
	if err != nil {
		return // not up yet, or already gone
	}
	if b, err := os.ReadFile(file); err == nil {
		if s := textScreen(b); s != "" {
			m.screen = s
		}
	}
}

// connect opens the monitor once the machine has it.
func (m *machine) connect() bool {
	if m.qmp == nil {
		q, err := dial(filepath.Join(m.dir, "qmp"))
		if err != nil {
			return false
		}
		m.qmp = q
	}
	return true
}

// missing are the texts that came neither on the console nor on the screen.
func (m *machine) missing() []string {
	shown := m.console.text()
	var out []string
	for _, t := range m.o.Expect {
		if !strings.Contains(shown, t) && !strings.Contains(m.screen, t) {
			out = append(out, t)
		}
	}
	return out
}

func (m *machine) screenshot(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if !m.connect() {
		return errors.New("take screenshot: the machine does not answer")
	}
	if err := m.qmp.do("screendump", map[string]any{"filename": abs, "format": "png"}); err != nil {
		return fmt.Errorf("take screenshot: %w", err)
	}
	return nil
}

// stop ends the machine.
func (m *machine) stop(ended bool) (err error) {
	if m.qmp != nil {
		err = m.qmp.close()
	}
	if !ended {
		if kerr := m.cmd.Process.Kill(); kerr != nil && !errors.Is(kerr, os.ErrProcessDone) {
			err = errors.Join(err, kerr)
		}
	}
	<-m.ended // killed, or told its story on stderr
	return err
}
