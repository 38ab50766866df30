package loadertest

import (
	"context"
	"os/exec"
	"runtime"
	"syscall"
)

// process makes a process that dies with us.
func process(ctx context.Context, name string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run keeps its thread: the machine dies with the thread that started it.
func run(cmd *exec.Cmd, started, ended chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait() // how a machine ends says nothing
		close(ended)
	}
}
