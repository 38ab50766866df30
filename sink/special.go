package sink

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/isolayer/isolayer/internal/atomicfile"
)

// through writes to a device or FIFO.
func through(ctx context.Context, sys system, t atomicfile.Target, p Plan, o Options) (res Result, err error) {
	f, err := openSpecial(ctx, t)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, sys.Close(f)) }()
	// A full FIFO would block a write for ever; not every device has deadlines.
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	disk := t.Old.Mode()&(fs.ModeDevice|fs.ModeCharDevice) == fs.ModeDevice
	if disk {
		if err := fits(f, p.Map.Size()); err != nil {
			return Result{}, err
		}
	}
	res, err = Stream(f).Write(ctx, p, o)
	if ctx.Err() != nil {
		return Result{}, errors.Join(ctx.Err(), err)
	}
	if err == nil && disk {
		err = sys.Sync(f)
	}
	return res, err
}

// openSpecial opens a device or FIFO. Other programs that use a block device
// make it fail; for the reader of a FIFO it waits.
func openSpecial(ctx context.Context, t atomicfile.Target) (*os.File, error) {
	flags := os.O_WRONLY
	switch mode := t.Old.Mode(); {
	case mode&fs.ModeNamedPipe != 0:
		flags |= nonblock
	case mode&fs.ModeCharDevice == 0:
		flags |= os.O_EXCL
	}
	for {
		f, err := os.OpenFile(t.Path, flags, 0)
		if flags&nonblock == 0 || !errors.Is(err, syscall.ENXIO) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(tick):
		}
	}
}

// fits checks that a block device holds size bytes.
func fits(f *os.File, size int64) error {
	room, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if room < size {
		return &SpaceError{Needed: size, Free: room}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}
