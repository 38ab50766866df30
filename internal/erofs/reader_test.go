package erofs_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// A reader of EROFS images by the description of the format, not by the writer's code:
// blocks of 2048 bytes, extended inodes, chunks of one extra device.

// node is what the image says of one inode.
type node struct {
	nid      uint64
	mode     uint16
	nlink    uint32
	uid, gid uint32
	size     int64
	time     int64
	rdev     uint32
	text     string            // of a link
	sections []iso9660.Section // of a file, neighbours joined; the last may be longer than the file
	names    map[string]uint64 // of a directory
	order    []string
	types    map[string]byte
}

type reader struct {
	b      []byte
	root   uint64
	inodes uint64
	device uint32 // blocks
}

func open(b []byte) (*reader, error) {
	le := binary.LittleEndian
	if len(b) < 2048 || len(b)%2048 != 0 {
		return nil, fmt.Errorf("%d bytes", len(b))
	}
	sb := b[1024:]
	switch {
	case le.Uint32(sb) != 0xe0f5e1e2:
		return nil, errors.New("magic")
	case sb[12] != 11:
		return nil, errors.New("block size")
	case int(le.Uint32(sb[36:]))*2048 != len(b):
		return nil, fmt.Errorf("%d blocks in %d bytes", le.Uint32(sb[36:]), len(b))
	case le.Uint32(sb[40:]) != 0:
		return nil, errors.New("inodes do not begin at block 0")
	case le.Uint32(sb[80:]) != 4|8:
		return nil, errors.New("features")
	case le.Uint16(sb[86:]) != 1:
		return nil, errors.New("devices")
	}
	slot := int(le.Uint16(sb[88:])) * 128
	return &reader{b, uint64(le.Uint16(sb[14:])), le.Uint64(sb[16:]), le.Uint32(b[slot+64:])}, nil
}

func (r *reader) bytes(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > int64(len(r.b)) || n > int64(len(r.b))-off {
		return nil, fmt.Errorf("%d bytes at %d of %d", n, off, len(r.b))
	}
	return r.b[off : off+n], nil
}

func (r *reader) node(nid uint64) (*node, error) {
	off := int64(nid) * 32
	i, err := r.bytes(off, 64)
	if err != nil {
		return nil, err
	}
	if off/2048 != (off+63)/2048 || off < 2048 {
		return nil, fmt.Errorf("inode %d at %d", nid, off)
	}
	le := binary.LittleEndian
	n := &node{
		nid: nid, mode: le.Uint16(i[4:]), size: int64(le.Uint64(i[8:])), uid: le.Uint32(i[24:]), gid: le.Uint32(i[28:]),
		time: int64(le.Uint64(i[32:])), nlink: le.Uint32(i[44:]),
	}
	format := le.Uint16(i)
	if format&1 != 1 || le.Uint16(i[2:]) != 0 {
		return nil, fmt.Errorf("inode %d: format %#x", nid, format)
	}
	switch kind := uint32(n.mode) & iso9660.ModeType; {
	case format>>1 == 4:
		return n, r.chunks(n, off+64, le.Uint16(i[16:]))
	case format>>1 != 0:
		return nil, fmt.Errorf("inode %d: layout %d", nid, format>>1)
	case kind == iso9660.ModeChar || kind == iso9660.ModeBlock:
		n.rdev = le.Uint32(i[16:])
	case n.size > 0:
		data, err := r.bytes(int64(le.Uint32(i[16:]))*2048, n.size)
		if err != nil {
			return nil, err
		}
		if kind == iso9660.ModeSymlink {
			n.text = string(data)
			return n, nil
		}
		return n, n.directory(data)
	}
	return n, nil
}

func (r *reader) chunks(n *node, off int64, format uint16) error {
	if format&^0x1f != 0x20 {
		return fmt.Errorf("inode %d: chunk format %#x", n.nid, format)
	}
	chunk := int64(2048) << (format & 0x1f)
	for left := n.size; left > 0; left -= chunk {
		x, err := r.bytes(off, 8)
		if err != nil {
			return err
		}
		off += 8
		if binary.LittleEndian.Uint16(x[2:]) != 1 {
			return fmt.Errorf("inode %d: device %d", n.nid, binary.LittleEndian.Uint16(x[2:]))
		}
		s := iso9660.Section{LBA: iso9660.LBA(binary.LittleEndian.Uint32(x[4:])), Size: min(chunk, left)}
		if int64(s.LBA)+iso9660.Blocks(s.Size) > int64(r.device) {
			return fmt.Errorf("inode %d: blocks %d+%d of %d", n.nid, s.LBA, iso9660.Blocks(s.Size), r.device)
		}
		n.sections = append(n.sections, s)
	}
	return nil
}

func (n *node) directory(data []byte) error {
	n.names, n.types = map[string]uint64{}, map[string]byte{}
	le := binary.LittleEndian
	last := ""
	for len(data) > 0 {
		block := data[:min(2048, len(data))]
		data = data[len(block):]
		count := int(le.Uint16(block[8:])) / 12
		if count == 0 || count*12 > len(block) {
			return fmt.Errorf("inode %d: a block with %d entries", n.nid, count)
		}
		for i := range count {
			d := block[i*12:]
			from, to := int(le.Uint16(d[8:])), len(block)
			if i < count-1 {
				to = int(le.Uint16(d[12+8:]))
			}
			if from > to || to > len(block) {
				return fmt.Errorf("inode %d: a name from %d to %d", n.nid, from, to)
			}
			name := strings.TrimRight(string(block[from:to]), "\x00")
			if name == "" || len(name) > 255 || name <= last || strings.Contains(name, "/") {
				return fmt.Errorf("inode %d: %q behind %q", n.nid, name, last)
			}
			last = name
			n.names[name], n.types[name] = le.Uint64(d), d[10]
			n.order = append(n.order, name)
		}
	}
	return nil
}
