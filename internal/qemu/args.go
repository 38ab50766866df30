package qemu

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// program finds QEMU. The environment variable QEMU names another one.
func program() (string, error) {
	name := "qemu-system-x86_64"
	if other := os.Getenv("QEMU"); other != "" {
		name = other
	}
	for _, candidate := range []string{name, "/usr/libexec/qemu-kvm"} { // RHEL has it there
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", &MissingError{name, "apt install qemu-system-x86 (Debian, Ubuntu), dnf install qemu-system-x86-core (Fedora), pacman -S qemu-system-x86 (Arch)"}
}

// firmwareFiles are the code and the variable store of OVMF, where distributions
// have them. The environment variables OVMF_CODE and OVMF_VARS name others.
var firmwareFiles = map[Firmware][][2]string{
	UEFI: {
		{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
		{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
		{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
		{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
		{"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
	},
	SecureBoot: {
		{"/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
		{"/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.ms.fd"},
		{"/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"},
		{"/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin", "/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin"},
	},
}

// firmware returns the files of a UEFI firmware.
func firmware(f Firmware) (code, vars string, err error) {
	if code, vars = os.Getenv("OVMF_CODE"), os.Getenv("OVMF_VARS"); code != "" && vars != "" {
		return code, vars, nil
	}
	for _, c := range firmwareFiles[f] {
		if _, err := os.Stat(c[0]); err != nil {
			continue
		}
		if _, err := os.Stat(c[1]); err == nil {
			return c[0], c[1], nil
		}
	}
	return "", "", &MissingError{"OVMF, the UEFI firmware for virtual machines,", "apt install ovmf (Debian, Ubuntu), dnf install edk2-ovmf (Fedora), pacman -S edk2-ovmf (Arch)"}
}

// args makes the command line and the files it names.
func (m *machine) args(image string) ([]string, error) {
	memory := m.o.Memory
	if memory == 0 {
		memory = 1024
	}
	kind := "q35"
	if m.o.Firmware == SecureBoot {
		kind += ",smm=on" // which guards the variables
	}
	args := []string{
		"-M", kind, "-m", strconv.Itoa(memory), "-smp", "1", "-nodefaults", "-no-user-config", "-no-reboot",
		"-display", "none", "-vga", "std", "-nic", "none", "-serial", "stdio", "-monitor", "none",
		"-qmp", "unix:" + option(filepath.Join(m.dir, "qmp")) + ",server=on,wait=off",
	}
	if m.kvm {
		args = append(args, "-accel", "kvm", "-cpu", "host")
	} else {
		args = append(args, "-accel", "tcg,thread=multi", "-cpu", "max")
	}
	fw, err := m.firmwareArgs()
	if err != nil {
		return nil, err
	}
	return append(append(args, fw...), m.mediaArgs(image)...), nil
}

func (m *machine) firmwareArgs() ([]string, error) {
	switch m.o.Firmware {
	case "", BIOS:
		return nil, nil
	case UEFI, SecureBoot:
	default:
		return nil, fmt.Errorf("firmware %q: %w", m.o.Firmware, fs.ErrInvalid)
	}
	code, vars, err := firmware(m.o.Firmware)
	if err != nil {
		return nil, err
	}
	own := filepath.Join(m.dir, "vars") // the machine writes to it
	if err := copyFile(own, vars); err != nil {
		return nil, fmt.Errorf("copy firmware variables: %w", err)
	}
	args := []string{
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + option(code),
		"-drive", "if=pflash,format=raw,unit=1,file=" + option(own),
	}
	if m.o.Firmware == SecureBoot {
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on")
	}
	return args, nil
}

// mediaArgs attach the image. Writes of the machine to a disk go to a temporary file.
func (m *machine) mediaArgs(image string) []string {
	file := "format=raw,if=none,id=medium,file=" + option(image)
	switch m.o.Media {
	case Disk:
		return []string{"-drive", file + ",snapshot=on", "-device", "ide-hd,bus=ide.0,drive=medium,bootindex=1"}
	case USB:
		return []string{"-drive", file + ",snapshot=on", "-device", "qemu-xhci", "-device", "usb-storage,drive=medium,removable=on,bootindex=1"}
	}
	return []string{"-drive", file + ",media=cdrom,readonly=on", "-device", "ide-cd,bus=ide.0,drive=medium,bootindex=1"}
}

// option quotes a value of a QEMU option, in which commas separate.
func option(s string) string { return strings.ReplaceAll(s, ",", ",,") }

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
