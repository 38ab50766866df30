//go:build linux

package fsview

import (
	"errors"
	"io"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// forever is how long the kernel may keep what it was told, in seconds.
const forever = 365 * 24 * 60 * 60

func (v *View) String() string { return "isolayer" }

func (v *View) node(id uint64) *node {
	if id == 0 || id >= uint64(len(v.nodes)) {
		return nil
	}
	return &v.nodes[id]
}

func (v *View) entry(id uint64, out *fuse.EntryOut) {
	out.NodeId, out.Generation = id, 1
	out.EntryValid, out.AttrValid = forever, forever
	out.Attr = v.nodes[id].attr
}

// Lookup implements fuse.RawFileSystem.
func (v *View) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	n := v.node(h.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	id := n.find(name)
	if id == 0 {
		out.EntryValid = forever // that it is not there holds as long
		return fuse.OK
	}
	v.entry(id, out)
	return fuse.OK
}

// Forget implements fuse.RawFileSystem.
func (v *View) Forget(uint64, uint64) {}

// GetAttr implements fuse.RawFileSystem.
func (v *View) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := v.node(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	out.AttrValid, out.Attr = forever, n.attr
	return fuse.OK
}

// Readlink implements fuse.RawFileSystem.
func (v *View) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	n := v.node(h.NodeId)
	if n == nil || n.attr.Mode&iso9660.ModeType != iso9660.ModeSymlink {
		return nil, fuse.EINVAL
	}
	return []byte(n.entry.Attributes().Link), fuse.OK
}

// Open implements fuse.RawFileSystem.
func (v *View) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := v.node(in.NodeId)
	switch {
	case n == nil:
		return fuse.Status(syscall.ESTALE)
	case in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY:
		return fuse.EROFS
	}
	if _, err := v.reader(n); err != nil {
		return fuse.EIO
	}
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE | fuse.FOPEN_NOFLUSH
	return fuse.OK
}

// Read implements fuse.RawFileSystem. Bytes that the image does not have give EIO.
func (v *View) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n := v.node(in.NodeId)
	if n == nil {
		return nil, fuse.Status(syscall.ESTALE)
	}
	r, err := v.reader(n)
	if err != nil || in.Offset > n.attr.Size {
		return nil, fuse.EIO
	}
	if s := n.entry.Sections(); len(s) > 0 && n.entry.Attributes().Compressed == nil {
		v.ahead.read(s[0].LBA.Offset()+int64(in.Offset), int64(len(buf)))
	}
	buf = buf[:min(uint64(len(buf)), n.attr.Size-in.Offset)]
	got, err := r.ReadAt(buf, int64(in.Offset))
	if got < len(buf) || err != nil && !errors.Is(err, io.EOF) {
		return nil, fuse.EIO
	}
	return fuse.ReadResultData(buf), fuse.OK
}

// OpenDir implements fuse.RawFileSystem.
func (v *View) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if n := v.node(in.NodeId); n == nil || !n.entry.IsDir() {
		return fuse.ENOTDIR
	}
	out.OpenFlags = fuse.FOPEN_CACHE_DIR | fuse.FOPEN_KEEP_CACHE
	return fuse.OK
}

// ReadDir implements fuse.RawFileSystem.
func (v *View) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return v.list(in, func(e fuse.DirEntry, _ uint64) bool { return out.AddDirEntry(e) })
}

// ReadDirPlus implements fuse.RawFileSystem.
func (v *View) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return v.list(in, func(e fuse.DirEntry, id uint64) bool {
		entry := out.AddDirLookupEntry(e)
		if entry != nil && id != 0 {
			v.entry(id, entry)
		}
		return entry != nil
	})
}

// list gives the entries of a directory from an offset on: first the directory itself
// and its parent, which are given no node, then its children.
func (v *View) list(in *fuse.ReadIn, add func(fuse.DirEntry, uint64) bool) fuse.Status {
	n := v.node(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	for i := in.Offset; i < uint64(len(n.children))+2; i++ {
		var e fuse.DirEntry
		var id uint64
		switch i {
		case 0:
			e = fuse.DirEntry{Name: ".", Ino: in.NodeId, Mode: iso9660.ModeDir}
		case 1:
			e = fuse.DirEntry{Name: "..", Ino: n.parent, Mode: iso9660.ModeDir}
		default:
			c := n.children[i-2]
			id = c.id
			e = fuse.DirEntry{Name: c.name, Ino: id, Mode: v.nodes[id].attr.Mode}
		}
		e.Off = i + 1
		if !add(e, id) {
			break
		}
	}
	return fuse.OK
}

// StatFs implements fuse.RawFileSystem.
func (v *View) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	out.Bsize, out.Frsize, out.NameLen = iso9660.BlockSize, iso9660.BlockSize, 255
	out.Blocks = uint64(iso9660.Blocks(v.size))
	out.Files = uint64(len(v.nodes) - 1)
	return fuse.OK
}
