package iso9660

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeUCS2 decodes big-endian UCS-2 or UTF-16; a lone surrogate becomes U+FFFD.
func decodeUCS2(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// encodeUCS2 encodes s big-endian. What UCS-2 cannot hold becomes '_'.
func encodeUCS2(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, r := range s {
		if r > 0xffff || r == utf8.RuneError {
			r = '_'
		}
		b = binary.BigEndian.AppendUint16(b, uint16(r))
	}
	return b
}

// JolietName is name with '_' for what Joliet does not allow (Joliet 1.0, "Allowed
// character set") and UCS-2 cannot hold.
func JolietName(name string) string {
	plain := true // as names are as a rule
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c >= utf8.RuneSelf || strings.IndexByte(`*/:;?\`, c) >= 0 {
			plain = false
			break
		}
	}
	if plain {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0xffff || r == utf8.RuneError || strings.ContainsRune(`*/:;?\`, r) {
			return '_'
		}
		return r
	}, name)
}
