package sink

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/atomicfile"
)

var native system = linux{plain{atomicfile.Native}}

const nonblock = unix.O_NONBLOCK

// linux is the system with what the kernel offers beyond plain.
type linux struct{ plain }

func (linux) space(f *os.File) (space, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return space{}, err
	}
	if st.Blocks == 0 { // some network file systems do not know
		return space{}, errors.ErrUnsupported
	}
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree // root may use what is held back
	}
	unit := int64(st.Frsize)
	if unit == 0 {
		unit = int64(st.Bsize)
	}
	return space{block: unit, free: int64(free) * unit}, nil
}

func (linux) allocate(f *os.File, off, n int64) error {
	return unix.Fallocate(int(f.Fd()), 0, off, n)
}

func (linux) punch(f *os.File, off, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

func (linux) clone(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}

func (linux) cloneRange(dst *os.File, off int64, src *os.File, srcOff, n int64) error {
	return unix.IoctlFileCloneRange(int(dst.Fd()), &unix.FileCloneRange{
		Src_fd:      int64(src.Fd()),
		Src_offset:  uint64(srcOff),
		Src_length:  uint64(n),
		Dest_offset: uint64(off),
	})
}

func (linux) copyRange(dst *os.File, off int64, src *os.File, srcOff, n int64) (int64, error) {
	done, err := unix.CopyFileRange(int(src.Fd()), &srcOff, int(dst.Fd()), &off, int(n), 0)
	return int64(max(done, 0)), err
}

// nextRange moves the offset of src, which nothing here relies on.
func (linux) nextRange(src *os.File, off int64) (start, end int64, err error) {
	fd := int(src.Fd())
	start, err = unix.Seek(fd, off, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) { // nothing but a hole up to the end
		end, err = unix.Seek(fd, 0, unix.SEEK_END)
		return end, end, err
	}
	if err != nil {
		return 0, 0, err
	}
	end, err = unix.Seek(fd, start, unix.SEEK_HOLE)
	return start, end, err
}

// openDirect is for file systems whose direct writing is simple, ext2 to ext4 and XFS: those
// with checksums or copies of their own want memory that nobody changes meanwhile. The files
// of overlays, which containers have, lie on one of them as a rule.
func (linux) openDirect(f *os.File) (*os.File, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC:
	default:
		return nil, errors.ErrUnsupported
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func (linux) writeDirect(f *os.File, vec [][]byte, off int64) (int64, error) {
	n, err := unix.Pwritev(int(f.Fd()), vec, off)
	return int64(max(n, 0)), err
}

// mapFile is for files of the kernel's own file systems. Those that a program serves, and
// what may lie over them, could be ours: it would wait for itself.
func (linux) mapFile(src *os.File, off, n int64) ([]byte, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(src.Fd()), &st); err != nil {
		return nil, err
	}
	switch uint32(st.Type) { // signed on some machines, of 32 bits on others
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
	default:
		return nil, errors.ErrUnsupported
	}
	return unix.Mmap(int(src.Fd()), off, int(n), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
}

func (linux) unmap(b []byte) error { return unix.Munmap(b) }

func (linux) startWriteback(f *os.File, off, n int64) error {
	return unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

func (linux) awaitWriteback(f *os.File, off, n int64) error {
	return unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WAIT_BEFORE)
}
