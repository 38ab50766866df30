package master

import (
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// identifiers forms the primary identifiers of one directory as mkisofs does
// (ECMA-119 7.5, 7.6, and the ways in which options break them).
type identifiers struct {
	rules iso9660.NamingRules
	input *Charset // bytes of a local name count, not characters
	taken map[string]bool
	next  map[string]int // the number to try next for names that come out the same
}

// namer forms identifiers of one directory.
type namer interface {
	// ID forms and takes the identifier of a name, Take notes one that is in use.
	ID(name string, dir bool) ([]byte, error)
	Take(id []byte) bool
}

// namer returns the namer of a directory of the hierarchy.
func (x *builder) namer() namer {
	if x.b.h != iso9660.Primary {
		return x.naming.Namer()
	}
	return &identifiers{rules: x.p.o.Naming, input: x.p.o.Input, taken: map[string]bool{}, next: map[string]int{}}
}

// Take notes an identifier that is in use and reports whether it was free.
func (f *identifiers) Take(id []byte) bool {
	free := !f.taken[string(id)]
	f.taken[string(id)] = true
	return free
}

// maxNumber is how many names may come out the same: with seven digits one character of a
// short name is left.
const maxNumber = 9_999_999

// ID forms and takes the identifier of a name. Where it is in use, the end of the stem
// gives way to three digits, or to more when these are used up.
func (f *identifiers) ID(name string, dir bool) ([]byte, error) {
	p := f.split(f.input.recorded(name), dir)
	first := f.join(p, "", dir)
	if f.Take([]byte(first)) {
		return []byte(first), nil
	}
	for i := f.next[first]; i <= maxNumber; i++ {
		id := []byte(f.join(p, fmt.Sprintf("%03d", i), dir))
		if f.Take(id) {
			f.next[first] = i + 1
			return id, nil
		}
	}
	return nil, fmt.Errorf("%s: no free identifier", name)
}

// parts is a name in front of the dot and behind it.
type parts struct {
	stem, ext string
	dot       bool
	limit     int // of the stem, in bytes
}

// split finds the dot that counts, which is the last one that something follows, and cuts
// both parts to what there is room for.
func (f *identifiers) split(name string, dir bool) parts {
	r := f.rules
	if rest, ok := strings.CutSuffix(name, ".tar.gz"); ok && !r.ManyDots {
		name = rest + ".tgz"
	}
	plain := dir && r.PlainDirs
	i := -1
	if name != "" && !plain {
		if i = strings.LastIndexByte(name[:len(name)-1], '.'); i < 0 {
			i = strings.IndexByte(name, '.')
		}
	}
	leading := i == 0 && len(name) > 1
	if leading && !r.LeadingDot {
		i = -1
	}
	p := parts{stem: name}
	if i >= 0 {
		p = parts{stem: name[:i], ext: name[i+1:], dot: true}
	}
	p.stem, p.ext = f.translate(p.stem, r.ManyDots && !plain), f.translate(p.ext, r.ManyDots)
	if strings.HasPrefix(p.stem, ".") && !r.LeadingDot {
		p.stem = "_" + p.stem[1:]
	}
	f.cut(&p, dir)
	return p
}

// translate maps a name to the bytes that identifiers may have.
func (f *identifiers) translate(s string, dots bool) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' && !f.rules.Lowercase && !f.rules.Every {
			c -= 'a' - 'A'
		}
		if c == '.' && dots || f.allowed(c) {
			b[i] = c
		} else {
			b[i] = '_'
		}
	}
	return string(b)
}

func (f *identifiers) allowed(c byte) bool {
	r := f.rules
	switch {
	case c == '.' || c == '/' || c == 0:
		return false
	case c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', r.Every:
		return true
	case c >= 'a' && c <= 'z':
		return r.Lowercase
	case c == '#' || c == '-' || c == '~':
		return r.Marks || r.Relaxed
	}
	return r.Relaxed && c >= ' ' && c < 0x7f
}

// The lengths of level 1 (ECMA-119 10.1), and of new identifiers, which leave room for a
// CE entry of 28 bytes in a record.
const (
	shortStem, shortExt = 8, 3
	longestID           = 184
)

// cut cuts the parts. Of long names the longer part gives way; if both take more than
// half, both get half.
func (f *identifiers) cut(p *parts, dir bool) {
	limit := min(f.rules.Length, longestID-len(".;1"))
	switch half := limit / 2; {
	case limit == 0:
		p.limit = shortStem
		p.ext = p.ext[:min(len(p.ext), shortExt)]
		if p.dot && p.stem == "" {
			return // a dot in front of all
		}
	case dir:
		if p.dot {
			p.stem += "." + p.ext
		}
		p.limit, p.ext, p.dot = limit, "", false
	case !p.dot && f.rules.NoDot:
		p.limit = limit
	case len(p.stem)+1+len(p.ext) <= limit:
		p.limit = limit - 1 - len(p.ext)
	case len(p.stem) > half && len(p.ext) > half:
		p.limit, p.ext = half, p.ext[:half]
	case len(p.ext) <= half:
		p.limit = limit - 1 - len(p.ext)
	default:
		p.limit, p.ext = len(p.stem), p.ext[:limit-1-len(p.stem)]
	}
	p.stem = p.stem[:min(len(p.stem), p.limit)]
}

// join makes the identifier whose stem ends in the given number.
func (f *identifiers) join(p parts, number string, dir bool) string {
	id := p.stem
	if number != "" {
		id = p.stem[:max(0, min(len(p.stem), p.limit-len(number)))] + number
	}
	if p.dot || !dir && !f.rules.NoDot {
		id += "." + p.ext
	}
	if id == "" {
		id = "_"
	}
	if !f.rules.NoVersion && !dir {
		id += ";1"
	}
	return id
}
