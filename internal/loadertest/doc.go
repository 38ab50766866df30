// Package loadertest starts configurations of boot loaders with the boot loaders themselves
// and returns what they started: the judge of everything isolayer says about menus.
//
// It knows nothing of what a configuration means. Media are made by xorriso and mtools, the
// loaders are Debian's, and what runs in the end is a kernel stand-in of our own that prints
// its name, its command line and its initrd on the first serial port.
package loadertest

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// Loader is a boot loader and the firmware that starts it.
type Loader string

// The loaders.
const (
	ISOLINUX   Loader = "isolinux"     // with the menus of SYSLINUX; BIOS
	GRUB       Loader = "grub"         // GRUB 2; BIOS
	GRUBEFI    Loader = "grub-efi"     // GRUB 2; UEFI
	GRUBLegacy Loader = "grub-legacy"  // GRUB 0.97; BIOS
	SystemBoot Loader = "systemd-boot" // UEFI
	REFInd     Loader = "refind"       // UEFI
)

// Loaders are all of them.
func Loaders() []Loader {
	return []Loader{ISOLINUX, GRUB, GRUBEFI, GRUBLegacy, SystemBoot, REFInd}
}

// uefi reports whether the loader is a UEFI program.
func (l Loader) uefi() bool { return l == GRUBEFI || l == SystemBoot || l == REFInd }

// Medium is an ISO image that a machine starts from. For systemd-boot and rEFInd, which read the
// volume they lie on, all files are in the FAT volume that the boot catalog names.
type Medium struct {
	Loader Loader
	Label  string // of the volume; "" is MEDIUM
	// Files are the paths, without a slash in front, and contents. Kernels and initrds are
	// there, too: see [Kernel] and [Initrd].
	Files map[string][]byte
	// Dir is the directory of the loader and its configuration; "" is isolinux, boot/grub,
	// and EFI/BOOT for rEFInd. It says nothing to systemd-boot.
	Dir string
	// Patience is how long, in the machine's time, a loader may do nothing; 0 is a minute.
	// It has to be longer than any timeout of the configuration.
	Patience time.Duration
}

// Outcome is what a loader did by itself, without a key pressed.
type Outcome struct {
	Started bool     // else the loader waits for somebody, or the machine ended
	Kernel  string   // the name of the stand-in, Local for the machine's disk
	Command string   // the command line that it was given
	Initrd  []string // the names of the initrds, in order
	Ended   bool     // the machine stopped or wanted to start anew: the loader died or left
	Screen  string   // the last text screen seen, BIOS only
	Serial  string   // everything on the serial line
}

// Local is the name of the stand-in on the machine's own disk.
const Local = "local disk"

// String is the outcome in one line.
func (o Outcome) String() string {
	if !o.Started {
		return "nothing"
	}
	return fmt.Sprintf("%s %q %v", o.Kernel, o.Command, o.Initrd)
}

// Initrd returns a file that names itself when a stand-in is given it as initrd.
func Initrd(name string) []byte {
	b := []byte("[" + name + "]")
	return append(b, make([]byte, 64-len(b)%64)...)
}

// Boot starts a medium and returns what its loader started. A program or file that is missing
// skips the test, or fails it where CI is set.
func Boot(tb testing.TB, m Medium) Outcome {
	tb.Helper()
	Need(tb, m.Loader)
	dir, err := os.MkdirTemp("", "isolayer-loader-")
	if err != nil {
		tb.Fatal(err)
	}
	defer os.RemoveAll(dir)
	out, err := Run(tb.Context(), dir, m)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}
