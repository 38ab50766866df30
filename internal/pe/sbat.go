package pe

import (
	"bytes"
	"strings"
)

// Component is a line of the .sbat section: what a program consists of, and the
// generations by which firmware revokes it (shim's SBAT.md).
type Component struct {
	Name       string // "shim", "grub.debian", …
	Generation string
	Vendor     string
	Package    string
	Version    string
	URL        string
}

// readSBAT reads the .sbat section, if there is one.
func (b *Binary) readSBAT() error {
	for _, s := range b.sections {
		if s.name != ".sbat" || s.n == 0 {
			continue
		}
		n := s.n
		if s.virtual != 0 {
			n = min(n, s.virtual)
		}
		text, err := b.read(s.off, min(n, maxText), "section .sbat")
		if err != nil {
			return err
		}
		for line := range strings.Lines(cString(text)) {
			if c, ok := parseComponent(strings.TrimRight(line, "\r\n")); ok {
				b.SBAT = append(b.SBAT, c)
			}
		}
		return nil
	}
	return nil
}

// parseComponent takes a line apart; only name and generation must be there.
func parseComponent(line string) (c Component, ok bool) {
	fields := strings.SplitN(strings.ToValidUTF8(line, "\ufffd"), ",", 6)
	for i, to := range []*string{&c.Name, &c.Generation, &c.Vendor, &c.Package, &c.Version, &c.URL} {
		if i < len(fields) {
			*to = fields[i]
		}
	}
	return c, len(fields) >= 2 && c.Name != ""
}

// cString returns what lies before the first zero byte.
func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
