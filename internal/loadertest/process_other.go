//go:build !linux

package loadertest

import (
	"context"
	"os/exec"
)

func process(ctx context.Context, name string, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

func run(cmd *exec.Cmd, started, ended chan<- error) {
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait() // how a machine ends says nothing
		close(ended)
	}
}
