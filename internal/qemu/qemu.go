// Package qemu starts an image in a virtual machine and watches what it shows: the
// proof that it boots.
//
// It changes no image and knows nothing of what is inside.
package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Firmware is what the machine starts with.
type Firmware string

// The firmwares.
const (
	BIOS       Firmware = "bios"
	UEFI       Firmware = "uefi"
	SecureBoot Firmware = "secure-boot" // UEFI that starts what Microsoft's keys have signed
)

// Media is how the machine gets the image.
type Media string

// The media.
const (
	CD   Media = "cd"
	Disk Media = "disk"
	USB  Media = "usb" // a stick
)

// Options describe a run. The zero value boots a CD with BIOS and waits for the
// machine to power off.
type Options struct {
	Firmware Firmware
	Media    Media
	Memory   int           // MiB; 0 is 1024
	Timeout  time.Duration // 0 is three minutes
	// Expect are texts to wait for, in any order, on the serial console or on the
	// text screen of a BIOS machine. When all came the machine is stopped.
	Expect []string
	// Screenshot is a PNG file to write when the machine stops, "" for none.
	Screenshot string
	// Console gets what the serial console shows, as it comes; nil for nobody.
	Console io.Writer
	NoKVM   bool // emulate the processor even where KVM is there
}

// Result is what came out of a run.
type Result struct {
	Missing []string      // texts that did not come
	Console string        // all of the serial console, control sequences taken out
	Screen  string        // the last text screen, BIOS machines only
	Took    time.Duration //
	Ended   bool          // the machine powered off or reset by itself
	KVM     bool          // it ran on the processor
}

// MissingError reports a program or firmware file that is not installed.
type MissingError struct {
	What     string
	Packages string // what has it, by distribution
}

func (e *MissingError) Error() string { return e.What + " is not installed" }

// ErrStopped reports a machine that ended before it ran.
var ErrStopped = errors.New("QEMU stopped")

// Run boots the image at path. The image is only read. The error is one of the
// run; texts that did not come are in the result.
func Run(ctx context.Context, path string, o Options) (Result, error) {
	if _, err := os.Stat(path); err != nil {
		return Result{}, err
	}
	res, err := run(ctx, path, o)
	if errors.Is(err, ErrStopped) && res.KVM {
		o.NoKVM = true // some machines offer KVM and then cannot do it
		return run(ctx, path, o)
	}
	return res, err
}

func run(ctx context.Context, path string, o Options) (res Result, err error) {
	dir, err := os.MkdirTemp("", "isolayer-boot-")
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, err := prepare(path, dir, o)
	if err != nil {
		return res, err
	}
	limit := o.Timeout
	if limit == 0 {
		limit = 3 * time.Minute
	}
	start := time.Now()
	if err := m.start(); err != nil {
		return res, err
	}
	ended := m.watch(ctx, start.Add(limit))
	if !ended && o.Screenshot != "" {
		err = m.screenshot(o.Screenshot)
	}
	err = errors.Join(err, m.stop(ended))
	res = Result{m.missing(), m.console.text(), m.screen, time.Since(start), ended, m.kvm}
	if ended && res.Console == "" && m.screen == "" && time.Since(start) < time.Second {
		return res, fmt.Errorf("%w: %s", ErrStopped, m.stderr.text())
	}
	if cerr := ctx.Err(); cerr != nil {
		return res, cerr
	}
	return res, err
}

// prepare finds what a run needs and makes its command line.
func prepare(path, dir string, o Options) (*machine, error) {
	qemu, err := program()
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	m := &machine{o: o, dir: dir, kvm: !o.NoKVM && hasKVM()}
	m.console.copy = o.Console
	args, err := m.args(abs)
	if err != nil {
		return nil, err
	}
	m.cmd = command(qemu, args)
	m.cmd.Stdout, m.cmd.Stderr = &m.console, &m.stderr
	return m, nil
}

// hasKVM reports whether the kernel lets us run machines on the processor.
func hasKVM() bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}
