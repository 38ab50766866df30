//go:build linux

package workspace

func daemonMain() int { return 1 }
