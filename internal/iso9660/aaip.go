package iso9660

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Attribute is an extended attribute of a file; the name "" is its access list.
type Attribute struct {
	Name  string
	Value []byte
}

// aaipSpaces are the bytes that stand for common beginnings of names in AAIP.
var aaipSpaces = []struct {
	prefix string
	code   byte
}{{"system.", 2}, {"user.", 3}, {"isofs.", 4}, {"trusted.", 5}, {"security.", 6}}

// AttributeEntries encodes attributes as AL entries of AAIP 2.0: components as those of
// links, names and values in turn.
func AttributeEntries(list []Attribute) []SystemUseEntry {
	var out []SystemUseEntry
	e := SystemUseEntry{'A', 'L', 5, 1, 0}
	add := func(b []byte) {
		for {
			if len(e) > 255-3 { // no room for a component of one byte
				e[2], e[4] = byte(len(e)), 1
				out = append(out, e)
				e = SystemUseEntry{'A', 'L', 5, 1, 0}
			}
			n := min(len(b), 255-len(e)-2)
			more := byte(0)
			if n < len(b) {
				more = 1
			}
			e = append(append(e, more, byte(n)), b[:n]...)
			if b = b[n:]; len(b) == 0 {
				return
			}
		}
	}
	for _, a := range list {
		name := []byte(a.Name)
		for _, s := range aaipSpaces {
			if rest, ok := strings.CutPrefix(a.Name, s.prefix); ok {
				name = append([]byte{s.code}, rest...)
			}
		}
		add(name)
		add(a.Value)
	}
	if len(list) == 0 {
		return nil
	}
	e[2] = byte(len(e))
	return append(out, e)
}

// aclTags are the kinds of entries of Linux's access lists, as AAIP has them.
var aclTags = map[uint16]byte{1: 1, 2: 10, 4: 3, 8: 12, 16: 5, 32: 6}

// aclQualified marks the kinds that name somebody.
const aclQualified = 8

// AccessList encodes an access list, from the form of the attribute
// system.posix_acl_access.
func AccessList(acl []byte) (Attribute, error) {
	var out []byte
	if len(acl) < 4 || len(acl)%8 != 4 || binary.LittleEndian.Uint32(acl) != 2 {
		return Attribute{}, errorf(ErrFormat, "access list of %d bytes", len(acl))
	}
	for b := acl[4:]; len(b) > 0; b = b[8:] {
		tag := binary.LittleEndian.Uint16(b)
		kind, ok := aclTags[tag]
		if !ok {
			return Attribute{}, fmt.Errorf("access list: %w", errorf(ErrUnsupported, "entry of kind %d", tag))
		}
		perm := byte(binary.LittleEndian.Uint16(b[2:])) & 7
		if tag != 2 && tag != 8 {
			out = append(out, kind<<4|perm)
			continue
		}
		id := binary.BigEndian.AppendUint32(nil, binary.LittleEndian.Uint32(b[4:]))
		for len(id) > 1 && id[0] == 0 {
			id = id[1:]
		}
		out = append(out, kind<<4|aclQualified|perm, byte(len(id)))
		out = append(out, id...)
	}
	return Attribute{Value: out}, nil
}
