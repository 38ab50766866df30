package fat

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// checkName reports whether VFAT can hold a name.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return errorf(ErrName, "%q", name)
	case !utf8.ValidString(name):
		return errorf(ErrName, "%q is not UTF-8", name)
	case strings.ContainsAny(name, "\"*/:<>?\\|\x7f") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return errorf(ErrName, "%q has a character that FAT reserves", name)
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		return errorf(ErrName, "%q ends in a dot or space, which readers drop", name)
	case len(utf16.Encode([]rune(name))) > maxName:
		return errorf(ErrName, "longer than %d UTF-16 units", maxName)
	}
	return nil
}

// shortOK reports whether a short name may have the upper-case character.
func shortOK(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("$%'-_@~`!(){}^#&", r)
}

// exactShort returns the short name and NT case bits that show just that name,
// if there are any.
func exactShort(name string) (short shortName, nt byte, ok bool) {
	base, ext, dot := strings.Cut(name, ".")
	if base == "" || len(base) > 8 || len(ext) > 3 || dot && ext == "" {
		return short, 0, false
	}
	short = padShort(strings.ToUpper(base), strings.ToUpper(ext))
	for _, p := range []struct {
		part  string
		lower byte
	}{{base, lowerBase}, {ext, lowerExt}} {
		upper := strings.ToUpper(p.part)
		if strings.ContainsFunc(upper, func(r rune) bool { return !shortOK(r) }) {
			return short, 0, false
		}
		switch {
		case p.part == upper:
		case p.part == strings.ToLower(upper):
			nt |= p.lower
		default:
			return short, 0, false
		}
	}
	return short, nt, true
}

func padShort(base, ext string) (n shortName) {
	copy(n[:], fmt.Sprintf("%-8s%-3s", base, ext))
	return n
}

// alias forms a short name for a long one, as Windows does: what is left of it
// in upper case if that loses nothing but case, else with a number, and from the
// tenth on with a digest. taken reports which are in use.
func alias(name string, taken func(shortName) bool) shortName {
	base, ext, lossy := reduce(name)
	if short := padShort(base, ext); !lossy && !taken(short) {
		return short
	}
	for i := 1; i < 10; i++ {
		if short := padShort(fmt.Sprintf("%.6s~%d", base, i), ext); !taken(short) {
			return short
		}
	}
	sum := fnv.New32a()
	sum.Write([]byte(name))
	for i := sum.Sum32(); ; i++ {
		if short := padShort(fmt.Sprintf("%.2s%04X~1", base, i&0xffff), ext); !taken(short) {
			return short
		}
		if i&0xffff == 0 { // the other number halves the next round
			ext = fmt.Sprintf("%03X", i>>16&0xfff)
		}
	}
}

// reduce returns what a short name can keep of a name.
func reduce(name string) (base, ext string, lossy bool) {
	trimmed := strings.TrimLeft(name, ". ")
	lossy = trimmed != name
	base = trimmed
	if i := strings.LastIndexByte(trimmed, '.'); i > 0 {
		base, ext = trimmed[:i], trimmed[i+1:]
	}
	clean := func(s string, n int) string {
		var b strings.Builder
		for _, r := range strings.ToUpper(s) {
			switch {
			case r == ' ' || r == '.':
				lossy = true
			case shortOK(r):
				b.WriteRune(r)
			default:
				lossy = true
				b.WriteByte('_')
			}
		}
		lossy = lossy || b.Len() > n
		return b.String()[:min(n, b.Len())]
	}
	base, ext = clean(base, 8), clean(ext, 3)
	if base == "" {
		base, lossy = "_", true
	}
	return base, ext, lossy
}

// volumeLabel returns a label as a root directory or boot sector holds it.
func volumeLabel(label string) (out [11]byte, err error) {
	upper := strings.ToUpper(label)
	if len(upper) > len(out) || strings.ContainsFunc(upper, func(r rune) bool { return r != ' ' && !shortOK(r) }) || strings.HasPrefix(upper, " ") {
		return out, errorf(ErrName, "label %q: at most 11 letters, digits and $%%'-_@~`!(){}^#&", label)
	}
	copy(out[:], fmt.Sprintf("%-11s", upper))
	return out, nil
}
