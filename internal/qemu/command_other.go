//go:build !linux

package qemu

import "os/exec"

func command(path string, args []string) *exec.Cmd { return exec.Command(path, args...) }
