//go:build !linux

package atomicfile

// Native is the system with all that the platform offers.
var Native = Portable
