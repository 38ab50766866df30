package qemu

import (
	"os/exec"
	"syscall"
)

// command makes a process that dies with us, and that a Ctrl-C at the terminal does
// not reach: we end it ourselves.
func command(path string, args []string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd
}
