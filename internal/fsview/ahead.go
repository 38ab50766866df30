//go:build linux

package fsview

import "sync/atomic"

const (
	aheadWindow = 8 << 20 // bytes asked for at once
	aheadStep   = 2 << 20 // asked again when so few are left
)

// ahead asks for the bytes behind those that are read in sequence: the kernel reads at
// most 128 KiB ahead of what goes through FUSE, far too little for a cold disk.
type ahead struct {
	advise    func(off, n int64)
	last, end atomic.Int64 // end of the last read, end of what was asked for
}

// read notes that n bytes at off of the image are read now.
func (a *ahead) read(off, n int64) {
	if a.advise == nil {
		return
	}
	last := a.last.Swap(off + n)
	if off < last-aheadWindow || off > last+aheadStep {
		return // elsewhere: wait for a second read there
	}
	end := a.end.Load()
	if off+n <= end-aheadStep && off >= end-2*aheadWindow {
		return
	}
	from := off + n
	if from < end && end < from+aheadWindow {
		from = end
	}
	if a.end.CompareAndSwap(end, from+aheadWindow) {
		go a.advise(from, aheadWindow)
	}
}
