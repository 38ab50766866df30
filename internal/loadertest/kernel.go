package loadertest

import (
	"encoding/binary"
	"slices"
)

// What a program of ours prints on the first serial port: its name, the command line it was
// given, and the first 4096 bytes of its initrd.
const (
	printKernel  = "\n@@KERNEL "
	printCommand = "@@\n@@CMDLINE "
	printInitrd  = "@@\n@@INITRD "
	printEnd     = "@@\n@@END@@\n"
)

// The shape of a bzImage: the boot sector and the setup code, then what runs at 1 MiB
// (Documentation/arch/x86/boot of Linux).
const (
	setupSectors = 4
	setupSize    = (1 + setupSectors) * 512
	headerAt     = 0x1f1
	realAt       = 0x270 // behind the setup header
	versionAt    = 0x300 // the text of kernel_version
)

// Places in the protected-mode part. The three entries are at addresses the protocol fixes.
const (
	entry64At    = 0x200
	handoverAt   = 0x600 // 0x200 behind handover_offset
	entryPEAt    = 0x700
	textKernelAt = 0x900
	textCmdAt    = 0x910
	textInitrdAt = 0x920
	textEndAt    = 0x930
	nameAt       = 0x940
)

// Kernel returns a file that boot loaders take for a Linux kernel: a bzImage of protocol 2.12
// with real-mode, 32-bit, 64-bit, EFI handover and UEFI entry. It prints its name, which is
// ASCII, its command line and its initrd, and asks QEMU's isa-debug-exit to end.
func Kernel(name string) []byte {
	body := make([]byte, nameAt)
	for at, b := range map[int][]byte{
		0: entry32, entry64At: entry64, handoverAt: handover64, entryPEAt: slices.Concat(entryPE, loadedImage),
		textKernelAt: []byte(printKernel), textCmdAt: []byte(printCommand), textInitrdAt: []byte(printInitrd), textEndAt: []byte(printEnd),
	} {
		copy(body[at:], b)
	}
	body = append(append(body, name...), 0)
	body = append(body, make([]byte, -len(body)&0xfff)...)
	b := append(make([]byte, setupSize), body...)
	setupHeader(b, len(body))
	peHeader(b, len(body))
	copy(b[realAt:], real16)
	gdt(b[realAt+len(real16):])
	copy(b[versionAt:], "6.1.0 (isolayer) stand-in #1\x00")
	return b
}

// loadedImage is EFI_LOADED_IMAGE_PROTOCOL_GUID (UEFI 9.1.1).
var loadedImage = []byte{0xa1, 0x31, 0x1b, 0x5b, 0x62, 0x95, 0xd2, 0x11, 0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}

func setupHeader(b []byte, body int) {
	le := binary.LittleEndian
	b[headerAt] = setupSectors
	le.PutUint32(b[0x1f4:], uint32(body/16)) // syssize
	le.PutUint16(b[0x1fa:], 0xffff)          // vid_mode: normal
	le.PutUint16(b[0x1fe:], 0xaa55)
	b[0x200], b[0x201] = 0xeb, realAt-0x202 // jmp
	copy(b[0x202:], "HdrS")
	le.PutUint16(b[0x206:], 0x20c)
	le.PutUint16(b[0x20c:], 0x1000)          // start_sys_seg
	le.PutUint16(b[0x20e:], versionAt-0x200) // kernel_version
	b[0x211] = 1                             // loadflags: LOADED_HIGH
	le.PutUint32(b[0x214:], 0x100000)        // code32_start
	le.PutUint32(b[0x22c:], 0x7fffffff)      // initrd_addr_max
	le.PutUint32(b[0x230:], 0x100000)        // kernel_alignment
	b[0x234] = 1                             // relocatable_kernel
	b[0x235] = 20                            // min_alignment, a power of two
	le.PutUint16(b[0x236:], 0xb)             // xloadflags: 64-bit entry, anywhere, 64-bit handover
	le.PutUint32(b[0x238:], 2047)            // cmdline_size
	le.PutUint64(b[0x258:], 0x100000)        // pref_address
	le.PutUint32(b[0x260:], 0x100000)        // init_size
	le.PutUint32(b[0x264:], handoverAt-0x200)
}

// gdt writes what real16 loads: the size and room for the address, then four descriptors, of
// which 10 is code and 18 data, both flat.
func gdt(b []byte) {
	le := binary.LittleEndian
	le.PutUint16(b, 4*8-1)
	le.PutUint64(b[6+0x10:], 0x00cf9a000000ffff)
	le.PutUint64(b[6+0x18:], 0x00cf92000000ffff)
}

// peHeader makes the file a PE32+ UEFI program for x64 with one section, the part behind the
// setup code. Its addresses are those of the file.
func peHeader(b []byte, body int) {
	const at = 0x40
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], at)
	coff := b[at:]
	copy(coff, "PE\x00\x00")
	le.PutUint16(coff[4:], 0x8664)
	le.PutUint16(coff[6:], 1) // section
	le.PutUint16(coff[20:], 0xa0)
	le.PutUint16(coff[22:], 0x206) // executable, no line numbers, no debugging
	o := coff[24:]
	le.PutUint16(o, 0x20b) // PE32+
	le.PutUint32(o[4:], uint32(body))
	le.PutUint32(o[16:], setupSize+entryPEAt)
	le.PutUint32(o[20:], setupSize)
	le.PutUint32(o[32:], 0x200) // alignment of sections
	le.PutUint32(o[36:], 0x200) // in the file
	le.PutUint32(o[56:], uint32(setupSize+body))
	le.PutUint32(o[60:], setupSize) // size of the headers
	le.PutUint16(o[68:], 10)        // EFI application
	le.PutUint32(o[108:], 6)        // data directories, all empty
	s := o[0xa0:]
	copy(s, ".text")
	le.PutUint32(s[8:], uint32(body))
	le.PutUint32(s[12:], setupSize)
	le.PutUint32(s[16:], uint32(body))
	le.PutUint32(s[20:], setupSize)
	le.PutUint32(s[36:], 0x60000020) // code, executable, readable
}

// Sector returns a boot sector that prints its name, which is ASCII and at most 200 bytes, as
// a kernel without a command line does.
func Sector(name string) []byte {
	b := append(slices.Clone(sector16), printKernel+name+printCommand+printInitrd+printEnd...)
	b = append(b, make([]byte, 512-len(b))...)
	b[510], b[511] = 0x55, 0xaa
	return b
}
