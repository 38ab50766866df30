// Package erofs makes EROFS images that hold the tree of an ISO 9660 image and no
// content: that is taken from the ISO image itself, as an extra device. Linux mounts the
// pair without knowing iso9660.
//
// It writes metadata only and reads none. Structures are those of
// https://erofs.docs.kernel.org/en/latest/ondisk/.
package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

const (
	blockBits   = 11 // those of ISO 9660: content can start at any of its blocks
	blockSize   = 1 << blockBits
	superOffset = 1024
	superSize   = 128
	slotSize    = 128 // of the device table
	inodeSize   = 64  // the extended form
	nidSize     = 32  // inodes are numbered by their offset in this unit
	direntSize  = 12
	indexSize   = 8
	magic       = 0xe0f5e1e2

	featureMtime   = 2 // compatible
	featureChunked = 4 // incompatible
	featureDevices = 8

	layoutPlain = 0 // content in consecutive blocks of the first device
	layoutChunk = 4 // content in chunks of any device
	extended    = 1
	withIndexes = 0x20

	maxChunkBits = 31
	maxIndexes   = 8 << 20 // of all files: 64 MiB, and 16 GiB in the smallest chunks
)

// ErrUnsupported reports an image that cannot be shown so: content that is stored
// compressed, sections that end inside a block, or content behind the end of the image,
// for which the kernel would show zeros.
var ErrUnsupported = errors.New("cannot be shown by EROFS")

// fileTypes are the types in directory entries.
var fileTypes = map[uint32]byte{
	iso9660.ModeRegular: 1, iso9660.ModeDir: 2, iso9660.ModeChar: 3, iso9660.ModeBlock: 4,
	iso9660.ModeFIFO: 5, iso9660.ModeSocket: 6, iso9660.ModeSymlink: 7,
}

// inode is one file or directory; names of one file share it.
type inode struct {
	entry   *iso9660.Entry
	parent  *inode
	nlink   uint32
	at      int64 // byte offset
	block   int64 // plain layout: of the content
	size    int64
	data    []byte // plain layout: the content
	chunk   uint16 // format
	indexes []uint32
	names   []name
}

type name struct {
	text string
	to   *inode
}

func (n *inode) nid() uint64 { return uint64(n.at / nidSize) }

// Metadata makes the EROFS image for the hierarchy that readers prefer of an ISO image of
// size bytes. It takes 72 bytes for each file and directory of one section, names, and at
// most 64 MiB for sections.
func Metadata(img *iso9660.Image, size int64) ([]byte, error) {
	h, err := img.Preferred()
	if err != nil {
		return nil, err
	}
	root, err := img.Tree(h)
	if err != nil {
		return nil, err
	}
	m := &maker{device: size}
	if err := m.collect(root); err != nil {
		return nil, err
	}
	m.place()
	return m.encode(size), nil
}

type maker struct {
	device  int64 // bytes of the ISO image
	inodes  []*inode
	indexes int
	blocks  int64
}

// identity says that two names are the same file.
type identity struct {
	section  iso9660.Section
	mode     uint32
	uid, gid uint32
	time     int64
}

func (m *maker) collect(root *iso9660.Entry) error {
	top := &inode{entry: root}
	top.parent = top
	m.inodes = append(m.inodes, top)
	known := map[identity]*inode{}
	for i := 0; i < len(m.inodes); i++ {
		n := m.inodes[i]
		if !n.entry.IsDir() {
			if err := m.content(n); err != nil {
				return fmt.Errorf("%s: %w", n.entry.Path(), err)
			}
			continue
		}
		n.nlink = 2
		n.names = append(n.names, name{".", n}, name{"..", n.parent})
		seen := map[string]bool{}
		for _, e := range n.entry.Entries() {
			text := e.LogicalName()
			if !usable(text) || seen[text] {
				continue
			}
			seen[text] = true
			if e.IsDir() {
				n.nlink++
			}
			n.names = append(n.names, name{text, m.inode(e, n, known)})
		}
		slices.SortFunc(n.names, func(a, b name) int { return strings.Compare(a.text, b.text) })
	}
	return nil
}

// usable reports whether a name can be that of a file.
func usable(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 255 && !strings.ContainsAny(s, "/\x00")
}

func (m *maker) inode(e *iso9660.Entry, parent *inode, known map[identity]*inode) *inode {
	n := &inode{entry: e, parent: parent, nlink: 1}
	if s := e.Sections(); e.StMode()&iso9660.ModeType == iso9660.ModeRegular && len(s) > 0 {
		key := identity{s[0], e.StMode(), e.Attributes().UID, e.Attributes().GID, e.ModTime().UnixNano()}
		switch old := known[key]; {
		case old == nil:
			known[key] = n
		case slices.Equal(s, old.entry.Sections()):
			old.nlink++
			return old
		}
	}
	m.inodes = append(m.inodes, n)
	return n
}

// content finds out where the bytes of a file that is no directory are.
func (m *maker) content(n *inode) error {
	switch n.entry.StMode() & iso9660.ModeType {
	case iso9660.ModeSymlink:
		n.data = []byte(n.entry.Attributes().Link)
		n.size = int64(len(n.data))
		return nil
	case iso9660.ModeRegular:
	default:
		return nil
	}
	n.size = n.entry.Size()
	if n.entry.ContentSize() != n.size || n.entry.Attributes().Compressed != nil {
		return fmt.Errorf("compressed content: %w", ErrUnsupported)
	}
	return m.chunks(n)
}

// chunks lays the sections of a file in chunks of one size, a power of two blocks: one
// that holds all if there is one section, else the largest whose multiples are all the
// places where a section begins.
func (m *maker) chunks(n *inode) error {
	s := n.entry.Sections()
	if len(s) == 0 {
		return nil
	}
	shift := bits.Len64(uint64(iso9660.Blocks(n.size) - 1))
	start := int64(0)
	for i, x := range s {
		if end := x.LBA.Offset() + x.Size; end > m.device {
			return fmt.Errorf("content up to byte %d of %d: %w", end, m.device, ErrUnsupported)
		}
		if i == len(s)-1 {
			break
		}
		if x.Size%blockSize != 0 {
			return fmt.Errorf("a section of %d bytes: %w", x.Size, ErrUnsupported)
		}
		start += x.Size >> blockBits
		shift = min(shift, bits.TrailingZeros64(uint64(start)))
	}
	shift = min(shift, maxChunkBits)
	n.chunk = uint16(shift) | withIndexes
	count := (iso9660.Blocks(n.size)-1)>>shift + 1
	if count > int64(maxIndexes-m.indexes) {
		return fmt.Errorf("more than %d chunks: %w", maxIndexes, ErrUnsupported)
	}
	m.indexes += int(count)
	n.indexes = make([]uint32, 0, count)
	for _, x := range s {
		for b := int64(0); b < iso9660.Blocks(x.Size); b += 1 << shift {
			n.indexes = append(n.indexes, uint32(int64(x.LBA)+b))
		}
	}
	return nil
}

// place gives inodes and the content of directories and links their places.
func (m *maker) place() {
	at := int64(blockSize)
	for _, n := range m.inodes {
		at = (at + nidSize - 1) &^ (nidSize - 1)
		if at/blockSize != (at+inodeSize-1)/blockSize { // none crosses a block
			at = (at + blockSize - 1) &^ (blockSize - 1)
		}
		n.at = at
		at += inodeSize + int64(len(n.indexes))*indexSize
	}
	m.blocks = iso9660.Blocks(at)
	for _, n := range m.inodes {
		if n.entry.IsDir() {
			n.data = directory(n.names)
			n.size = int64(len(n.data))
		}
		if len(n.data) > 0 {
			n.block = m.blocks
			m.blocks += iso9660.Blocks(int64(len(n.data)))
		}
	}
}

// directory encodes entries block by block: fixed parts, then names.
func directory(names []name) []byte {
	var out []byte
	for len(names) > 0 {
		used, count := 0, 0
		for count < len(names) && used+direntSize+len(names[count].text) <= blockSize {
			used += direntSize + len(names[count].text)
			count++
		}
		block := make([]byte, blockSize)
		off := count * direntSize
		for i, n := range names[:count] {
			d := block[i*direntSize:]
			binary.LittleEndian.PutUint64(d, n.to.nid())
			binary.LittleEndian.PutUint16(d[8:], uint16(off))
			d[10] = fileTypes[n.to.entry.StMode()&iso9660.ModeType]
			off += copy(block[off:], n.text)
		}
		if names = names[count:]; len(names) == 0 {
			block = block[:used]
		}
		out = append(out, block...)
	}
	return out
}

func (m *maker) encode(size int64) []byte {
	out := make([]byte, m.blocks*blockSize)
	le := binary.LittleEndian
	sb := out[superOffset : superOffset+superSize]
	le.PutUint32(sb, magic)
	le.PutUint32(sb[8:], featureMtime)
	sb[12] = blockBits
	le.PutUint16(sb[14:], uint16(m.inodes[0].nid()))
	le.PutUint64(sb[16:], uint64(len(m.inodes)))
	le.PutUint32(sb[36:], uint32(m.blocks))
	le.PutUint32(sb[80:], featureChunked|featureDevices)
	le.PutUint16(sb[86:], 1)
	le.PutUint16(sb[88:], (superOffset+superSize)/slotSize)
	le.PutUint32(out[superOffset+superSize+64:], uint32(iso9660.Blocks(size)))
	for i, n := range m.inodes {
		n.encode(out[n.at:], uint32(i+1))
		copy(out[n.block*blockSize:], n.data)
	}
	return out
}

func (n *inode) encode(b []byte, number uint32) {
	le := binary.LittleEndian
	format := uint16(layoutPlain<<1 | extended)
	if len(n.indexes) > 0 {
		format = layoutChunk<<1 | extended
	}
	e := n.entry
	le.PutUint16(b, format)
	le.PutUint16(b[4:], uint16(e.StMode()))
	le.PutUint64(b[8:], uint64(n.size))
	switch t := e.StMode() & iso9660.ModeType; {
	case len(n.indexes) > 0:
		le.PutUint16(b[16:], n.chunk)
	case t == iso9660.ModeChar || t == iso9660.ModeBlock:
		le.PutUint32(b[16:], (e.Attributes().Minor&0xff)|(e.Attributes().Major&0xfff)<<8|(e.Attributes().Minor&^0xff)<<12)
	default:
		le.PutUint32(b[16:], uint32(n.block))
	}
	le.PutUint32(b[20:], number)
	le.PutUint32(b[24:], e.Attributes().UID)
	le.PutUint32(b[28:], e.Attributes().GID)
	le.PutUint64(b[32:], uint64(e.ModTime().Unix()))
	le.PutUint32(b[40:], uint32(e.ModTime().Nanosecond()))
	le.PutUint32(b[44:], n.nlink)
	for i, x := range n.indexes {
		at := b[inodeSize+i*indexSize:]
		le.PutUint16(at[2:], 1) // the first extra device
		le.PutUint32(at[4:], x)
	}
}
