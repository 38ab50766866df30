package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Naming are the rules of one hierarchy's identifiers, learned from those it
// has, by which names of newcomers are formed.
type Naming struct {
	h        Hierarchy
	allowed  [256]bool // bytes of a plain identifier
	version  bool      // files end in ;1
	dot      bool      // files without extension have a dot all the same
	dirDot   bool      // directories may have dots
	manyDots bool
	long     bool // beyond 8.3
	file     int  // longest file identifier without version
	joliet   int  // longest Joliet name in characters
	utf16    bool // Joliet names are UTF-16
}

// The name lengths of ISO 9660 level 1, levels 2 and 3, and Joliet.
const (
	level1Stem, level1Ext = 8, 3
	level2File, level2Dir = 30, 31
	jolietShort           = 64  // Joliet 1.0
	jolietLong            = 103 // what genisoimage -joliet-long and xorriso write
	identifierMax         = 184 // of new identifiers: leaves room for a CE entry (28 bytes) in a record
)

// NamingOf learns the rules of hierarchy h from its records.
func NamingOf(h Hierarchy, root *Entry) *Naming {
	n := &Naming{h: h, joliet: jolietShort}
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" {
		n.allowed[c] = true
	}
	files, versions, dots := 0, 0, 0
	for stack := []*Entry{root}; len(stack) > 0; {
		e := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, c := range e.Children() {
			if len(c.Children()) > 0 {
				stack = append(stack, c)
			}
			id := c.Record().ID()
			if h == Joliet {
				if len(id)/2 > jolietShort {
					n.joliet = jolietLong
				}
				if bytes.HasSuffix(id, []byte("\x00;\x001")) {
					versions++
				}
				files++
				continue
			}
			name, _, versioned := bytes.Cut(id, []byte(";"))
			points := 0
			for _, b := range name {
				n.allowed[b] = true
				if b == '.' {
					points++
				}
			}
			if c.IsDir() {
				n.dirDot = n.dirDot || points > 0
				n.long = n.long || len(name) > level1Stem
				continue
			}
			files++
			if versioned {
				versions++
			}
			if bytes.HasSuffix(name, []byte(".")) {
				dots++
			}
			n.manyDots = n.manyDots || points > 1
			n.long = n.long || len(name) > level1Stem+1+level1Ext
			n.file = max(n.file, len(name))
		}
	}
	n.allowed['.'] = false
	n.version = h == Primary && (versions > 0 || files == 0) || h == Joliet && versions > 0
	n.dot = h == Primary && (dots > 0 || n.version && !n.manyDots)
	return n
}

// Namer forms the identifiers of one directory's newcomers.
type Namer struct {
	rules *Naming
	taken map[string]bool
	next  map[string]int // for names that are cut to the same, the number to try next
}

// Namer returns a namer for a directory without any entry.
func (n *Naming) Namer() *Namer {
	return &Namer{n, map[string]bool{}, map[string]int{}}
}

// Take notes an identifier that is in use and reports whether it was free.
func (n *Namer) Take(id []byte) bool {
	free := !n.taken[string(id)]
	n.taken[string(id)] = true
	return free
}

// maxNumber is how many names may be cut to the same: with seven digits one
// character of a short name is left.
const maxNumber = 9_999_999

// ID forms and takes the identifier of a newcomer. Where it is in use, the end
// of the name gives way to a number.
func (n *Namer) ID(name string, dir bool) ([]byte, error) {
	first := n.rules.form(name, dir, "")
	if n.Take([]byte(first)) {
		return []byte(first), nil
	}
	for i := n.next[first]; i <= maxNumber; i++ {
		id := []byte(n.rules.form(name, dir, strconv.Itoa(i)))
		if n.Take(id) {
			n.next[first] = i + 1
			return id, nil
		}
	}
	return nil, fmt.Errorf("%s: no free identifier in the %s hierarchy", name, n.rules.h)
}

// form makes the identifier of name that ends in the given number.
func (n *Naming) form(name string, dir bool, number string) string {
	switch n.h {
	case Joliet:
		return n.jolietID(name, dir, number)
	case Enhanced:
		return strings.ToValidUTF8(cutBytes(name, identifierMax-len(number)), "_") + number
	}
	return n.plain(name, dir, number)
}

// plain forms an ISO 9660 identifier (ECMA-119 7.5, 7.6).
func (n *Naming) plain(name string, dir bool, number string) string {
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && (!dir || n.dirDot) {
		stem, ext = name[:i], name[i+1:]
	}
	stem, ext = n.translate(stem), n.translate(ext)
	stemMax, extMax := level1Stem, level1Ext
	switch {
	case dir && n.long:
		stemMax, extMax = level2Dir, 0
		if ext != "" {
			stem, ext = stem+"."+ext, ""
		}
	case dir:
		extMax = 0
		stem += ext
		ext = ""
	case n.long:
		total := min(max(level2File, n.file-1), identifierMax-len(".;1"))
		extMax = min(len(ext), max(level1Ext, total-max(len(stem), len(number))))
		stemMax = total - extMax
	}
	ext = ext[:min(len(ext), extMax)]
	stem = stem[:min(len(stem), stemMax-len(number))] + number
	if stem == "" && ext == "" {
		stem = "_"
	}
	id := stem
	if ext != "" || n.dot && !dir {
		id += "." + ext
	}
	if n.version && !dir {
		id += ";1"
	}
	return id
}

// translate maps a name to the bytes that identifiers of the image have.
func (n *Naming) translate(s string) string {
	var b strings.Builder
	for _, r := range s {
		up := r
		if r >= 'a' && r <= 'z' {
			up -= 'a' - 'A'
		}
		switch {
		case r == '.' && n.manyDots, r < utf8.RuneSelf && n.allowed[r]:
			b.WriteRune(r)
		case up < utf8.RuneSelf && n.allowed[up]:
			b.WriteRune(up)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// jolietID forms a Joliet identifier, cutting the stem and then the extension.
func (n *Naming) jolietID(name string, dir bool, number string) string {
	name = jolietName(name, n.utf16)
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && !dir {
		stem, ext = name[:i], name[i:]
	}
	if unitsOf(ext) > n.joliet-1-len(number) {
		stem, ext = stem+ext, ""
	}
	id := cutUnits(stem, n.joliet-unitsOf(ext)-len(number)) + number + ext
	if n.version && !dir {
		id += ";1"
	}
	return string(encodeJoliet(id, n.utf16))
}

// cutBytes cuts s to n bytes without cutting a character.
func cutBytes(s string, n int) string {
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// Less orders identifiers of hierarchy h: names, then extensions, each padded
// with spaces, then versions descending (ECMA-119 9.3); Joliet's as bytes.
func Less(h Hierarchy, a, b []byte) bool {
	if h == Joliet {
		return bytes.Compare(a, b) < 0
	}
	na, ea, va := splitID(a)
	nb, eb, vb := splitID(b)
	if c := comparePadded(na, nb); c != 0 {
		return c < 0
	}
	if c := comparePadded(ea, eb); c != 0 {
		return c < 0
	}
	return bytes.Compare(va, vb) > 0
}

func splitID(id []byte) (name, ext, version []byte) {
	id, version, _ = bytes.Cut(id, []byte(";"))
	if i := bytes.LastIndexByte(id, '.'); i >= 0 {
		return id[:i], id[i+1:], version
	}
	return id, nil, version
}

func comparePadded(a, b []byte) int {
	for i := range max(len(a), len(b)) {
		ca, cb := byte(' '), byte(' ')
		if i < len(a) {
			ca = a[i]
		}
		if i < len(b) {
			cb = b[i]
		}
		if ca != cb {
			return int(ca) - int(cb)
		}
	}
	return 0
}

// PathTableDir is one directory of a path table. Parent is its index in the table.
type PathTableDir struct {
	ID     []byte
	LBA    LBA
	Parent int
}

// PathTable encodes a path table of type L or M (ECMA-119 9.4). dirs must be in
// the order of the standard, the root first. Parent numbers have 16 bits: what
// lies beyond 65535 directories cannot be recorded and is left out.
func PathTable(dirs []PathTableDir, order binary.AppendByteOrder) []byte {
	var b []byte
	for i, d := range dirs {
		if i > 0xffff || d.Parent >= 0xffff {
			break
		}
		b = append(b, byte(len(d.ID)), 0)
		b = order.AppendUint32(b, uint32(d.LBA))
		b = order.AppendUint16(b, uint16(d.Parent+1))
		b = append(b, d.ID...)
		if len(d.ID)%2 == 1 {
			b = append(b, 0)
		}
	}
	return b
}
