// Package bootcfg reads and edits the configurations of boot loaders: what they
// start, with which arguments, and where they look for it. Every byte that an edit
// is not about stays as it is: blanks, comments, line ends, the order of lines.
//
// It reads and writes no files and knows no images: bytes go in, bytes come out.
// What depends on variables, conditions or functions is not evaluated.
package bootcfg

import (
	"errors"
	"fmt"
	"strings"
)

// Format is the language of a configuration.
type Format uint8

// The formats.
const (
	// Syslinux is that of isolinux, syslinux, extlinux and pxelinux.
	Syslinux Format = iota + 1
	// GRUB is the script language of GRUB 2.
	GRUB
	// Legacy is the menu of GRUB 0.97 and of Fedora's loader for 32-bit UEFI.
	Legacy
	// Entry is a boot loader entry as systemd-boot reads it, or its loader.conf.
	Entry
	// Parm is a parameter file of s390: all of it is the command line.
	Parm
	// ESXi is the boot.cfg of VMware's mboot.
	ESXi
	// Limine is limine.conf, or limine.cfg up to version 7.
	Limine
	// REFInd is refind.conf, or the refind_linux.conf beside kernels.
	REFInd
)

func (f Format) String() string {
	return [...]string{"unknown", "syslinux", "GRUB 2", "GRUB legacy", "boot loader entry", "parameter file", "ESXi", "Limine", "rEFInd"}[f]
}

// MaxSize is the longest configuration that Parse takes, in bytes. Real ones have
// some KiB.
const MaxSize = 1 << 20

// maxWords bounds what a hostile file makes of memory.
const maxWords = 1 << 16

// Errors that callers tell apart.
var (
	// ErrLimit reports a configuration that is larger than any real one.
	ErrLimit = errors.New("exceeds a limit")
	// ErrQuote reports a text that the format has no way to write.
	ErrQuote = errors.New("cannot be written there")
	// ErrRoom reports a padded area that is too small for the edit.
	ErrRoom = errors.New("no room in the reserved area")
	// ErrSpec reports a kernel argument that is none.
	ErrSpec = errors.New("is not a kernel argument")
	// ErrNoEntry reports the name of an entry that a menu does not have.
	ErrNoEntry = errors.New("no such menu entry")
)

// word is a word of a command and what stands in front of it.
type word struct {
	gap string // blanks, and line ends that are continued
	raw string // as written, with quotes
}

// command is a line, or what GRUB takes for one. Its bytes are those of its words,
// then the tail: blanks, a comment, the separator.
type command struct {
	words []word
	tail  string
	line  int  // number of its first line, from 1
	depth int  // how many blocks are open around it
	key   bool // the first word ends in an equals sign, which arguments directly follow
	// quoted says that the arguments stand together in double quotes, as rEFInd has them.
	quoted bool
}

// File is a configuration. Its commands, one behind the other, are its bytes.
type File struct {
	// Reserved says that comments of number signs behind command lines are areas
	// which other programs write arguments to, marked as such or not: their ends stay.
	Reserved bool

	format   Format
	commands []*command
	eol      string // of its first line
	entries  []*MenuEntry
	padded   bool // there are areas of number signs
	graph    graph
}

// Parse reads a configuration. There is no wrong one: what is not understood is
// kept. The error is that of a file beyond the limits.
// See RATIONALE.md, "Boot configurations are kept as words with what stands between them".
func Parse(format Format, text []byte) (*File, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%d bytes: %w", len(text), ErrLimit)
	}
	f := &File{format: format, eol: "\n"}
	if i := strings.IndexByte(string(text), '\n'); i > 0 && text[i-1] == '\r' {
		f.eol = "\r\n"
	}
	l := &lexer{text: string(text), line: 1}
	if format == GRUB {
		f.commands = l.script()
	} else {
		f.commands = l.lines(format)
	}
	if l.count > maxWords {
		return nil, fmt.Errorf("%d words: %w", l.count, ErrLimit)
	}
	f.entries, f.padded = f.scan(), len(f.Areas()) > 0
	return f, nil
}

// Bytes returns the text, edits included.
func (f *File) Bytes() []byte {
	var b strings.Builder
	for _, c := range f.commands {
		c.write(&b)
	}
	return []byte(b.String())
}

func (c *command) write(b *strings.Builder) {
	for _, w := range c.words {
		b.WriteString(w.gap)
		b.WriteString(w.raw)
	}
	b.WriteString(c.tail)
}

// len is the length of a command in bytes.
func (c *command) len() int {
	n := len(c.tail)
	for _, w := range c.words {
		n += len(w.gap) + len(w.raw)
	}
	return n
}

// Format returns the language it was read as.
func (f *File) Format() Format { return f.format }

// Entries returns what the configuration can start, in order.
func (f *File) Entries() []*MenuEntry { return f.entries }

// is reports whether the word at i is the given one, in any case.
func (c *command) is(i int, names ...string) bool {
	if i >= len(c.words) {
		return false
	}
	for _, n := range names {
		if strings.EqualFold(c.words[i].raw, n) {
			return true
		}
	}
	return false
}

// indent is what a new line beside c begins with.
func (c *command) indent() string {
	if len(c.words) == 0 {
		return ""
	}
	gap := c.words[0].gap
	return gap[strings.LastIndexByte(gap, '\n')+1:]
}

// insert puts commands behind another one, or in front of all without one.
func (f *File) insert(behind *command, list ...*command) {
	at := 0
	for i, c := range f.commands {
		if c == behind {
			at = i + 1
		}
	}
	if at > 0 && !strings.Contains(f.commands[at-1].tail, "\n") { // the last line has no end
		f.commands[at-1].tail += f.eol
	}
	f.commands = append(f.commands[:at:at], append(list, f.commands[at:]...)...)
}

// newLine makes a command of words that need no quotes, a blank between them.
func (f *File) newLine(indent string, words ...string) *command {
	c := &command{tail: f.eol, key: f.format == ESXi || f.format == Limine && len(words) > 0 && strings.HasSuffix(words[0], "=")}
	c.quoted = f.format == REFInd && len(words) > 0 && words[0] == "options"
	for i, w := range words {
		gap := " "
		if i == 0 {
			gap = indent
		}
		c.words = append(c.words, word{gap, w})
	}
	return c
}
