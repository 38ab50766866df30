package master

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

var (
	// ErrCharset reports a character set that is not known.
	ErrCharset = errors.New("unknown character set")
	// ErrCoding reports a name that a character set cannot have.
	ErrCoding = errors.New("the name does not fit the character set")
)

// Charset is a coding of names other than UTF-8, of which nil is one: it leaves names as
// they are.
type Charset struct {
	name string
	code encoding.Encoding // nil: ASCII
}

// wide are the codings of more than one byte a character, under the names that iconv has
// for them, without signs.
var wide = map[string]encoding.Encoding{
	"eucjp": japanese.EUCJP, "shiftjis": japanese.ShiftJIS, "sjis": japanese.ShiftJIS, "cp932": japanese.ShiftJIS,
	"euckr": korean.EUCKR, "cp949": korean.EUCKR,
	"gb2312": simplifiedchinese.GBK, "euccn": simplifiedchinese.GBK, "gbk": simplifiedchinese.GBK, "cp936": simplifiedchinese.GBK, "gb18030": simplifiedchinese.GB18030,
	"big5": traditionalchinese.Big5, "cp950": traditionalchinese.Big5,
}

// aliases are further names of codings of one byte.
var aliases = map[string]string{
	"latin1": "iso88591", "latin2": "iso88592", "latin3": "iso88593", "latin4": "iso88594", "latin5": "iso88599",
	"latin6": "iso885910", "latin7": "iso885913", "latin8": "iso885914", "latin9": "iso885915", "latin10": "iso885916",
	"macintosh": "cp10000", "mac": "cp10000", "macroman": "cp10000", "maccyrillic": "cp10007", "macintoshcyrillic": "cp10007",
}

// CharsetOf returns the coding of a name that mkisofs, genisoimage or iconv has for it,
// however it is spelled; nil for UTF-8.
func CharsetOf(name string) (*Charset, error) {
	key := plainName(name)
	switch key {
	case "utf8", "default":
		return nil, nil
	case "ascii", "usascii", "ansix341968", "iso646us":
		return &Charset{name: name}, nil
	}
	if a, ok := aliases[key]; ok {
		key = a
	}
	if code, ok := wide[key]; ok {
		return &Charset{name, code}, nil
	}
	for _, code := range charmap.All {
		if c, ok := code.(*charmap.Charmap); ok && hasASCII(c) && plainName(c.String()) == key {
			return &Charset{name, c}, nil
		}
	}
	return nil, fmt.Errorf("%w %q", ErrCharset, name)
}

// hasASCII reports whether a coding has ASCII at its place; those of mainframes have not,
// and one is no character set.
func hasASCII(c *charmap.Charmap) bool {
	return c.DecodeByte('A') == 'A' && c != charmap.XUserDefined
}

// plainName makes one of the spellings of a name.
func plainName(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' || r == '.' || r == ':' {
			return -1
		}
		return r
	}, strings.ToLower(name))
	for _, prefix := range []string{"ibmcodepage", "windowscodepage", "ibm", "windows"} {
		if rest, ok := strings.CutPrefix(plain, prefix); ok {
			if _, err := strconv.Atoi(rest); err == nil {
				return "cp" + rest
			}
		}
	}
	if a, ok := aliases[plain]; ok {
		return a
	}
	return plain
}

// Charsets lists the names of all codings that CharsetOf knows, sorted.
func Charsets() []string {
	out := []string{"utf-8", "us-ascii"}
	for _, code := range charmap.All {
		if c, ok := code.(*charmap.Charmap); ok && hasASCII(c) {
			out = append(out, strings.Replace(plainName(c.String()), "iso8859", "iso8859-", 1))
		}
	}
	for name := range wide {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// String is the name by which the coding was asked for.
func (c *Charset) String() string {
	if c == nil {
		return "utf-8"
	}
	return c.name
}

// Decode turns a name in this coding into UTF-8. Bytes that mean nothing in it are
// ErrCoding. Names in UTF-8 are not looked at.
func (c *Charset) Decode(s string) (string, error) {
	if c == nil || isASCII(s) {
		return s, nil
	}
	if c.code == nil {
		return s, fmt.Errorf("%w %s", ErrCoding, c)
	}
	out, err := c.code.NewDecoder().String(s)
	if err != nil || strings.ContainsRune(out, utf8.RuneError) {
		return s, fmt.Errorf("%w %s", ErrCoding, c)
	}
	return out, nil
}

// Encode turns a name in UTF-8 into this coding. Characters that it does not have are
// ErrCoding.
func (c *Charset) Encode(s string) (string, error) {
	if c == nil || isASCII(s) {
		return s, nil
	}
	if c.code == nil || !utf8.ValidString(s) {
		return s, fmt.Errorf("%w %s", ErrCoding, c)
	}
	out, err := c.code.NewEncoder().String(s)
	if err != nil {
		return s, fmt.Errorf("%w %s", ErrCoding, c)
	}
	return out, nil
}

// recorded is a name as Rock Ridge has it; Plan has looked whether it can.
func (c *Charset) recorded(s string) string {
	out, _ := c.Encode(s)
	return out
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
