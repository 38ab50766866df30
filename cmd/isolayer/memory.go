package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// firstCollection is how much memory is in use when garbage is collected first. Most
// commands are done before: collecting at Go's 4 MiB took a third of their time.
const firstCollection = 32 << 20

// collectLate puts the first collection off; from then on all is as usual. Who sets Go's
// own variables decides.
func collectLate() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	percent := debug.SetGCPercent(-1)
	limit := debug.SetMemoryLimit(firstCollection)
	usual := func(int) {
		debug.SetMemoryLimit(limit)
		if now := debug.SetGCPercent(percent); now >= 0 {
			debug.SetGCPercent(now) // a command has its own
		}
	}
	runtime.AddCleanup(new([64]byte), usual, 0) // nothing holds it: the first collection finds it
}
