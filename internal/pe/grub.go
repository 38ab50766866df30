package pe

import (
	"encoding/binary"
	"strings"
)

// The limits on what GRUB reads: real programs have some hundred modules.
const (
	maxModules = 4096
	maxScript  = 64 << 10
)

// The kinds of what GRUB's programs carry with them (include/grub/kernel.h).
const (
	grubConfig = 2
	grubPrefix = 3
)

// GRUB returns what a program of GRUB has built in: the directory it reads its
// configuration from, perhaps behind a device in brackets, and the script that it runs
// first. Both are empty for other programs.
func (b *Binary) GRUB() (prefix, script string) {
	for _, s := range b.sections {
		if s.name != "mods" || s.n < 24 {
			continue
		}
		head, err := b.read(s.off, 24, "GRUB modules")
		if err != nil || string(head[:4]) != "mimg" {
			return "", ""
		}
		at, size := int64(binary.LittleEndian.Uint32(head[4:])), int64(binary.LittleEndian.Uint32(head[8:]))
		if at == 0 { // a 64-bit machine, where this is padding
			at, size = int64(binary.LittleEndian.Uint32(head[8:])), int64(binary.LittleEndian.Uint32(head[16:]))
		}
		return b.modules(s, at, min(size, s.n))
	}
	return "", ""
}

// modules walks the list of modules at off of a section.
func (b *Binary) modules(s section, at, end int64) (prefix, script string) {
	for range maxModules {
		if at < 12 || at+8 > end {
			return prefix, script
		}
		head, err := b.read(s.off+at, 8, "GRUB module")
		if err != nil {
			return prefix, script
		}
		kind, n := binary.LittleEndian.Uint32(head), int64(binary.LittleEndian.Uint32(head[4:]))
		if n < 8 || at+n > end {
			return prefix, script
		}
		if (kind == grubConfig || kind == grubPrefix) && n <= maxScript {
			text, err := b.read(s.off+at+8, n-8, "GRUB module")
			if err != nil {
				return prefix, script
			}
			if t := strings.TrimRight(string(text), "\x00"); kind == grubConfig {
				script = t
			} else {
				prefix = t
			}
		}
		at += n
	}
	return prefix, script
}
