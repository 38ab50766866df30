//go:build !linux

package sink

import "github.com/isolayer/isolayer/internal/atomicfile"

var native system = plain{atomicfile.Native}

// nonblock is no flag: the opening of a FIFO waits for its reader.
const nonblock = 0
