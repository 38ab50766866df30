package sample

import (
	"encoding/binary"
	"slices"
	"unicode/utf16"
)

// The numbers of a PE32+ image (Microsoft PE format), with one section.
const (
	peAt        = 0x40   // of the PE header
	optionalLen = 0xf0   // of the optional header with 16 data directories
	textRVA     = 0x1000 // where the section is in memory
	textAt      = 0x200  // and in the file
	fileUnit    = 0x200
	machineX64  = 0x8664
	efiProgram  = 10 // subsystem
)

// EFI returns a UEFI program for x64 that prints a text through the firmware, and as
// ASCII on the first serial port, and stops. It needs no relocation: all its addresses
// count from its own.
func EFI(text string) []byte {
	head := []byte{
		0x48, 0x83, 0xec, 0x28, // sub rsp, 40: room that callees may use (UEFI 2.3.4.1)
		0x48, 0x8b, 0x4a, 0x40, // mov rcx, [rdx + 64]: ConOut of the system table
		0x48, 0x8d, 0x15, 0, 0, 0, 0, // lea rdx, [wide text]
		0xff, 0x51, 0x08, // call [rcx + 8]: OutputString
		0x48, 0x8d, 0x35, 0, 0, 0, 0, // lea rsi, [text]
	}
	print := []byte{
		0x50,                   // push rax
		0x66, 0xba, 0xfd, 0x03, // mov dx, 3FD
		0xec,       // in al, dx: without a UART all bits are 1
		0xa8, 0x20, // test al, 20
		0x74, 0xfb, // jz to the in
		0x66, 0xba, 0xf8, 0x03, // mov dx, 3F8
		0x58, // pop rax
		0xee, // out dx, al
	}
	next := []byte{
		0xac,       // lodsb
		0x84, 0xc0, // test al, al
		0x74, byte(len(print) + 2), // jz stop
	}
	again := []byte{0xeb, byte(-(len(next) + len(print) + 2))}
	code := slices.Concat(head, next, print, again, []byte{0xf4, 0xeb, 0xfd}) // stop: hlt; jmp to it
	wide := len(code) + len(code)%2
	code = append(code, make([]byte, wide-len(code))...)
	for _, u := range utf16.Encode([]rune(text)) {
		code = binary.LittleEndian.AppendUint16(code, u)
	}
	code = append(code, 0, 0)
	plain := len(code)
	code = append(append(code, text...), 0)
	binary.LittleEndian.PutUint32(code[11:], uint32(wide-15)) // from the end of the instruction
	binary.LittleEndian.PutUint32(code[21:], uint32(plain-25))
	return program(code)
}

// program wraps code into a PE32+ image.
func program(code []byte) []byte {
	size := (len(code) + fileUnit - 1) / fileUnit * fileUnit
	b := make([]byte, textAt+size)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], peAt)
	coff := b[peAt:]
	copy(coff, "PE\x00\x00")
	le.PutUint16(coff[4:], machineX64)
	le.PutUint16(coff[6:], 1) // section
	le.PutUint16(coff[20:], optionalLen)
	le.PutUint16(coff[22:], 0x22) // executable, addresses beyond 2 GiB
	o := coff[24:]
	le.PutUint16(o, 0x20b) // PE32+
	le.PutUint32(o[4:], uint32(size))
	le.PutUint32(o[16:], textRVA) // entry
	le.PutUint32(o[20:], textRVA)
	le.PutUint32(o[32:], textRVA)  // alignment of sections
	le.PutUint32(o[36:], fileUnit) // in the file
	le.PutUint32(o[56:], uint32(textRVA+(size+textRVA-1)/textRVA*textRVA))
	le.PutUint32(o[60:], textAt) // size of the headers
	le.PutUint16(o[68:], efiProgram)
	le.PutUint32(o[108:], 16) // data directories, all empty
	s := o[optionalLen:]
	copy(s, ".text")
	le.PutUint32(s[8:], uint32(len(code)))
	le.PutUint32(s[12:], textRVA)
	le.PutUint32(s[16:], uint32(size))
	le.PutUint32(s[20:], textAt)
	le.PutUint32(s[36:], 0x60000020) // code, executable, readable
	copy(b[textAt:], code)
	return b
}
