//go:build !linux

package sink

var native system = plain{}

// nonblock is no flag: the opening of a FIFO waits for its reader.
const nonblock = 0
