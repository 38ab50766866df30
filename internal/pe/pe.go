// Package pe reads EFI programs: for which machine they are, who signed them,
// and what they call themselves.
//
// It verifies no signature: it returns what a signature says and whether the
// program is the one that it was made for.
package pe

import (
	"crypto/sha256"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The limits on what Open reads. Real programs are far below.
const (
	maxSections  = 96 // the most that Windows loads
	maxTable     = 1 << 20
	maxText      = 64 << 10 // of the .sbat section
	maxOptional  = 4 << 10
	maxSignature = 16
)

// Binary is an EFI program. It never changes; it is safe for concurrent use.
type Binary struct {
	r        io.ReaderAt
	size     int64
	Machine  Machine
	EFI      bool // by its subsystem; else it is of another system
	sections []section
	headers  int64 // length of all headers
	checksum int64 // offset of the field
	entry    int64 // offset of the directory entry of the certificate table
	table    int64 // offset of the section table
	memory   int64 // bytes of the whole program in memory
	aligned  int64 // what places of sections in the file are multiples of
	certs    span  // the certificate table, if any

	Signatures []Signature
	SBAT       []Component
}

// span is a range of the file.
type span struct{ off, n int64 }

func (s span) end() int64 { return s.off + s.n }

type section struct {
	name string
	span
	virtual int64 // bytes in memory
	address int64 // … from there on
}

// Machine is the processor that a program is for, as the COFF header names it.
type Machine uint16

// String returns the name that UEFI gives to a machine in file names: BOOTX64.EFI.
func (m Machine) String() string {
	switch m {
	case pe.IMAGE_FILE_MACHINE_I386:
		return "ia32"
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return "x64"
	case pe.IMAGE_FILE_MACHINE_ARMNT, pe.IMAGE_FILE_MACHINE_THUMB:
		return "arm"
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return "aa64"
	case pe.IMAGE_FILE_MACHINE_RISCV64:
		return "riscv64"
	case pe.IMAGE_FILE_MACHINE_LOONGARCH64:
		return "loongarch64"
	case pe.IMAGE_FILE_MACHINE_IA64:
		return "ia64"
	}
	return fmt.Sprintf("machine %04Xh", uint16(m))
}

// Offsets in the headers (Microsoft PE format).
const (
	offNewHeader  = 60
	sizeCOFF      = 24 // with the signature in front
	offAligned    = 36 // in the optional header, like those below
	offMemory     = 56
	offCheckSum   = 64
	offHeaders    = 60
	offSubsystem  = 68
	dirs32        = 96
	dirs64        = 112
	magic32       = 0x10b
	magic64       = 0x20b
	certDirectory = 4
	sizeDirectory = 8
	sizeSection   = 40
)

// Open reads the headers, the certificate table and the .sbat section of the
// program that r holds in size bytes. A signature that cannot be understood is
// in the list with its error; other damage is a FormatError.
// See RATIONALE.md, "PE programs are read by our own code".
func Open(r io.ReaderAt, size int64) (*Binary, error) {
	b := &Binary{r: r, size: size}
	dos, err := b.read(0, 64, "DOS header")
	if err != nil {
		return nil, err
	}
	if dos[0] != 'M' || dos[1] != 'Z' {
		return nil, formatError(0, "DOS header", "signature", ErrNotPE, "%x", dos[:2])
	}
	at := int64(binary.LittleEndian.Uint32(dos[offNewHeader:]))
	coff, err := b.read(at, sizeCOFF, "COFF header")
	if err != nil {
		return nil, err
	}
	if string(coff[:4]) != "PE\x00\x00" {
		return nil, formatError(at, "COFF header", "signature", ErrNotPE, "%x", coff[:4])
	}
	b.Machine = Machine(binary.LittleEndian.Uint16(coff[4:]))
	optional := int64(binary.LittleEndian.Uint16(coff[20:]))
	if err := b.readOptional(at+sizeCOFF, optional); err != nil {
		return nil, err
	}
	if err := b.readSections(at+sizeCOFF+optional, int64(binary.LittleEndian.Uint16(coff[6:]))); err != nil {
		return nil, err
	}
	if err := b.readSBAT(); err != nil {
		return nil, err
	}
	return b, b.readCertificates()
}

// readOptional reads the optional header, which is not optional in programs.
func (b *Binary) readOptional(at, n int64) error {
	bad := func(field string, kind Kind, format string, args ...any) error {
		return formatError(at, "optional header", field, kind, format, args...)
	}
	if n > maxOptional {
		return bad("length", ErrLimit, "%d", n)
	}
	h, err := b.read(at, n, "optional header")
	if err != nil {
		return err
	}
	if n < offSubsystem+2 {
		return bad("length", ErrFormat, "%d", n)
	}
	dirs := int64(dirs64)
	switch magic := binary.LittleEndian.Uint16(h); magic {
	case magic64:
	case magic32:
		dirs = dirs32
	default:
		return bad("magic", ErrFormat, "%x", magic)
	}
	b.headers = int64(binary.LittleEndian.Uint32(h[offHeaders:]))
	b.checksum = at + offCheckSum
	b.memory, b.aligned = int64(binary.LittleEndian.Uint32(h[offMemory:])), int64(binary.LittleEndian.Uint32(h[offAligned:]))
	subsystem := binary.LittleEndian.Uint16(h[offSubsystem:])
	b.EFI = subsystem >= pe.IMAGE_SUBSYSTEM_EFI_APPLICATION && subsystem <= pe.IMAGE_SUBSYSTEM_EFI_ROM
	if n < dirs || int64(binary.LittleEndian.Uint32(h[dirs-4:])) <= certDirectory {
		return nil
	}
	entry := dirs + certDirectory*sizeDirectory
	if n < entry+sizeDirectory {
		return bad("length", ErrFormat, "%d for the directories", n)
	}
	b.entry = at + entry
	b.certs = span{int64(binary.LittleEndian.Uint32(h[entry:])), int64(binary.LittleEndian.Uint32(h[entry+4:]))}
	if b.certs.n != 0 && b.certs.end() > b.size {
		return bad("certificate table", ErrRange, "%d bytes at %d", b.certs.n, b.certs.off)
	}
	return nil
}

// readSections reads the table of sections.
func (b *Binary) readSections(at, n int64) error {
	if n > maxSections {
		return formatError(at, "section table", "", ErrLimit, "%d sections", n)
	}
	b.table = at
	raw, err := b.read(at, n*sizeSection, "section table")
	if err != nil {
		return err
	}
	if end := at + int64(len(raw)); b.headers < end || b.headers > b.size {
		return formatError(at, "optional header", "size of headers", ErrRange, "%d, the section table ends at %d", b.headers, end)
	}
	for off := at; len(raw) > 0; raw = raw[sizeSection:] {
		s := section{
			name:    cString(raw[:8]),
			virtual: int64(binary.LittleEndian.Uint32(raw[8:])),
			address: int64(binary.LittleEndian.Uint32(raw[12:])),
			span:    span{int64(binary.LittleEndian.Uint32(raw[20:])), int64(binary.LittleEndian.Uint32(raw[16:]))},
		}
		if s.n != 0 && s.end() > b.size {
			return formatError(off, "section table", s.name, ErrRange, "%d bytes at %d", s.n, s.off)
		}
		b.sections = append(b.sections, s)
		off += sizeSection
	}
	return nil
}

// Has reports whether the program has a section of that name.
func (b *Binary) Has(section string) bool {
	for _, s := range b.sections {
		if s.name == section {
			return true
		}
	}
	return false
}

// read reads n bytes at off.
func (b *Binary) read(off, n int64, structure string) ([]byte, error) {
	if off > b.size || n > b.size-off {
		return nil, formatError(off, structure, "", ErrTruncated, "%d bytes needed, the file has %d", n, b.size)
	}
	out := make([]byte, n)
	if got, err := b.r.ReadAt(out, off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, formatError(off, structure, "", ErrTruncated, "%d of %d bytes", got, n)
		}
		return nil, fmt.Errorf("read %s at %d: %w", structure, off, err)
	}
	return out, nil
}

// Digest is the SHA-256 of a program without its checksum and signatures: what
// Authenticode signs and what firmware keeps in its lists of programs.
type Digest [sha256.Size]byte

func (d Digest) String() string { return fmt.Sprintf("%x", d[:]) }
