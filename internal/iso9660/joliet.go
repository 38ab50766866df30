package iso9660

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeUCS2 decodes big-endian UCS-2 or UTF-16; a lone surrogate becomes U+FFFD.
func decodeUCS2(b []byte) string {
	return string(appendUCS2(make([]byte, 0, maxRecord), b)) // on the stack
}

// jolietShown is an identifier as readers show it: without version.
func jolietShown(id []byte) string {
	return string(appendJoliet(make([]byte, 0, maxRecord), id))
}

func appendJoliet(text, id []byte) []byte {
	return bytes.TrimSuffix(appendUCS2(text, id), []byte(";1"))
}

func appendUCS2(text, b []byte) []byte {
	for ; len(b) >= 2; b = b[2:] {
		r := rune(binary.BigEndian.Uint16(b))
		if utf16.IsSurrogate(r) {
			next := rune(utf8.RuneError)
			if len(b) >= 4 {
				next = rune(binary.BigEndian.Uint16(b[2:]))
			}
			if r = utf16.DecodeRune(r, next); r != utf8.RuneError {
				b = b[2:]
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return text
}

// encodeUCS2 encodes s big-endian. What UCS-2 cannot hold becomes '_'.
func encodeUCS2(s string) []byte { return encodeJoliet(s, false) }

// encodeJoliet encodes s big-endian, as UTF-16 or as UCS-2.
func encodeJoliet(s string, pairs bool) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, r := range s {
		switch {
		case r == utf8.RuneError || r > maxUCS2 && !pairs:
			r = '_'
		case r > maxUCS2:
			high, low := utf16.EncodeRune(r)
			b, r = binary.BigEndian.AppendUint16(b, uint16(high)), low
		}
		b = binary.BigEndian.AppendUint16(b, uint16(r))
	}
	return b
}

// maxUCS2 is the last character that one unit holds.
const maxUCS2 = 0xffff

// unitsOf is how many units of 16 bits s takes.
func unitsOf(s string) (n int) {
	for _, r := range s {
		if n++; r > maxUCS2 {
			n++
		}
	}
	return n
}

// cutUnits cuts s to n units without cutting a character.
func cutUnits(s string, n int) string {
	for i, r := range s {
		if r > maxUCS2 {
			n--
		}
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// jolietPlain are the bytes that names have in Joliet as they are.
var jolietPlain = func() (plain [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		plain[c] = !strings.ContainsRune(`*/:;?\`, rune(c))
	}
	return plain
}()

// JolietName is name with '_' for what Joliet does not allow (Joliet 1.0, "Allowed
// character set") and UCS-2 cannot hold.
func JolietName(name string) string { return jolietName(name, false) }

func jolietName(name string, pairs bool) string {
	plain := true // as names are as a rule
	for i := range len(name) {
		plain = plain && jolietPlain[name[i]]
	}
	if plain {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > maxUCS2 && !pairs || r == utf8.RuneError || strings.ContainsRune(`*/:;?\`, r) {
			return '_'
		}
		return r
	}, name)
}
