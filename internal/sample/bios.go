// Package sample makes a small image that boots without anybody's boot loader: programs of
// our own, which firmware starts, print a text and stop.
//
// They load nothing and read no disk.
package sample

import "slices"

// bootCode is how much of the first sector is in front of the disk's signature.
const bootCode = 440

// origin is where a BIOS puts the first sector of a disk, and a boot image without
// emulation.
const origin = 0x7c00

// BIOS returns a boot sector that prints an ASCII text on the screen and on the first
// serial port, at 115200 baud. It fits in front of a partition table; a text for which
// there is no room is cut.
func BIOS(text string) []byte {
	setup := []byte{
		0xfa,       // cli
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0x8e, 0xc0, // mov es, ax
		0x8e, 0xd0, // mov ss, ax
		0xbc, 0x00, 0x7c, // mov sp, 7C00
		0xfb,                         // sti
		0xea, 0x12, 0x7c, 0x00, 0x00, // jmp 0000:7C12, the next: some begin at 07C0:0000
		// The UART: 115200 baud, 8 bits, no parity.
		0xba, 0xfb, 0x03, 0xb0, 0x80, 0xee, // out 3FB, 80: what follows is the divisor
		0xba, 0xf8, 0x03, 0xb0, 0x01, 0xee, // out 3F8, 1
		0xba, 0xf9, 0x03, 0xb0, 0x00, 0xee, // out 3F9, 0
		0xba, 0xfb, 0x03, 0xb0, 0x03, 0xee, // out 3FB, 3
	}
	print := []byte{
		0x50,       // push ax
		0xb4, 0x0e, // mov ah, 0E
		0xbb, 0x07, 0x00, // mov bx, 7
		0xcd, 0x10, // int 10: write a character
		0xba, 0xfd, 0x03, // mov dx, 3FD
		0xec,       // in al, dx: without a UART all bits are 1
		0xa8, 0x20, // test al, 20
		0x74, 0xfb, // jz to the in: until it can take a character
		0xba, 0xf8, 0x03, // mov dx, 3F8
		0x58, // pop ax
		0xee, // out dx, al
	}
	next := []byte{
		0xac,       // lodsb
		0x84, 0xc0, // test al, al
		0x74, byte(len(print) + 2), // jz stop
	}
	again := []byte{0xeb, byte(-(len(next) + len(print) + 2))} // jmp next
	stop := []byte{0xf4, 0xeb, 0xfd}                           // hlt; jmp to it
	load := []byte{0xbe, 0, 0}                                 // mov si, text
	code := slices.Concat(setup, load, next, print, again, stop)
	at := origin + len(code)
	code[len(setup)+1], code[len(setup)+2] = byte(at), byte(at>>8)
	text = text[:min(len(text), bootCode-len(code)-1)]
	return append(append(code, text...), 0)
}
