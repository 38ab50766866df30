package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/extent"
)

// The sections of a unified kernel image that matter here (UAPI group, Unified Kernel
// Image): a program of systemd's stub, a kernel, and the kernel's arguments.
const (
	kernelSection  = ".linux"
	cmdlineSection = ".cmdline"
	policySection  = ".pcrsig"
)

// ErrRoom reports arguments that are longer than what an image has room for.
var ErrRoom = errors.New("no room")

// Unified reports a unified kernel image: a program that carries the kernel it starts.
func (b *Binary) Unified() bool { return b.Has(kernelSection) }

// Signed reports a program with a table of signatures, whether they hold or not. It must
// not be changed.
func (b *Binary) Signed() bool { return b.certs.n != 0 }

// Policy reports signatures of what a TPM will have measured, the arguments among that:
// changed ones unlock no disk any more.
func (b *Binary) Policy() bool { return b.Has(policySection) }

// Cmdlines returns the kernel's arguments in the image, one text for each of its
// profiles; none where it has no such section, and where firmware's may come in.
func (b *Binary) Cmdlines() ([]string, error) {
	var out []string
	for _, s := range b.sections {
		if s.name != cmdlineSection {
			continue
		}
		text, err := b.read(s.off, min(s.n, s.virtual, maxText), "section "+s.name)
		if err != nil {
			return nil, err
		}
		text, _, _ = bytes.Cut(text, []byte{0})
		out = append(out, string(text))
	}
	return out, nil
}

// WithCmdlines returns the program, which lies in src from off on, with other texts for
// those that Cmdlines returned. A text that has outgrown its section goes behind the end
// of the file, as long as the section has room in memory; else ErrRoom.
func (b *Binary) WithCmdlines(src extent.Source, off int64, texts []string) (*extent.Map, error) {
	end := b.size
	var over []extent.Extent
	for i, s := range b.sections {
		if s.name != cmdlineSection {
			continue
		}
		text := []byte(texts[0])
		texts = texts[1:]
		n := int64(len(text))
		if room := b.room(i); n > room {
			return nil, fmt.Errorf("%d bytes of kernel arguments, the section %s has room for %d: %w", n, s.name, room, ErrRoom)
		}
		place := s.span
		if n > place.n {
			place = span{up(end, b.aligned), up(n, b.aligned)}
			end = place.end()
		}
		padded := make([]byte, place.n)
		copy(padded, text)
		head := make([]byte, 8)
		binary.LittleEndian.PutUint32(head, uint32(place.n))
		binary.LittleEndian.PutUint32(head[4:], uint32(place.off))
		size := binary.LittleEndian.AppendUint32(nil, uint32(n))
		at := b.table + int64(i)*sizeSection
		over = append(over, extent.BytesOf(at+8, size), extent.BytesOf(at+16, head))
		if len(padded) > 0 {
			over = append(over, extent.BytesOf(place.off, padded))
		}
	}
	return extent.Patched{Src: src, Off: off, Len: b.size, Patches: over, Size: end}.Map()
}

// room is how many bytes a section may have in memory: up to the next one, or to the end
// of the program.
func (b *Binary) room(i int) int64 {
	at, next := b.sections[i].address, b.memory
	for _, s := range b.sections {
		if s.address > at {
			next = min(next, s.address)
		}
	}
	return min(max(0, next-at), maxText)
}

// up is n as a multiple of unit, which damaged programs may have as zero.
func up(n, unit int64) int64 {
	if unit <= 0 {
		return n
	}
	return (n + unit - 1) / unit * unit
}

// stubVersion is what systemd's stub says of itself.
var stubVersion = regexp.MustCompile(`#### LoaderInfo: systemd-stub ([0-9]+)`)

// Stub returns the version of systemd's stub that a unified kernel image starts with; 0
// where that is another program, or does not say.
func (b *Binary) Stub() int {
	for _, s := range b.sections {
		if s.name != ".sdmagic" {
			continue
		}
		text, err := b.read(s.off, min(s.n, 4096), "section "+s.name)
		if m := stubVersion.FindSubmatch(text); err == nil && m != nil {
			v, _ := strconv.Atoi(string(m[1]))
			return v
		}
	}
	return 0
}

// AddonStub is the first version of systemd's stub that takes addons.
const AddonStub = 254

// AddonDir is where the stub of a unified kernel image looks for addons: programs whose
// name ends in .addon.efi, beside the image's own path.
func AddonDir(image string) string { return image + ".extra.d" }

// Addon makes a program that only carries kernel arguments, which systemd's stub puts
// behind those of the image. Where firmware checks signatures it has to be signed.
func Addon(machine Machine, cmdline string) []byte {
	const (
		file, memory = 0x200, 0x1000
		optional     = dirs64 + 16*sizeDirectory
		at           = 64
	)
	text := []byte(strings.TrimSpace(cmdline))
	code, data := []byte("\x31\xc0\xc3"), up(max(1, int64(len(text))), file) // xor eax, eax; ret
	out := make([]byte, 2*file+data)
	le := binary.LittleEndian
	copy(out, "MZ")
	le.PutUint32(out[offNewHeader:], at)
	coff := out[at:]
	copy(coff, "PE\x00\x00")
	le.PutUint16(coff[4:], uint16(machine))
	le.PutUint16(coff[6:], 2)
	le.PutUint16(coff[20:], optional)
	le.PutUint16(coff[22:], 0x22e) // executable, no symbols, large addresses, no debug data
	o := out[at+sizeCOFF:]
	le.PutUint16(o, magic64)
	le.PutUint32(o[4:], file)         // of code
	le.PutUint32(o[8:], uint32(data)) // of data
	le.PutUint32(o[16:], memory)      // entry point
	le.PutUint32(o[20:], memory)      // code
	le.PutUint32(o[32:], memory)      // section alignment
	le.PutUint32(o[offAligned:], file)
	dataMemory := up(int64(len(text)), memory)
	le.PutUint32(o[offMemory:], uint32(2*memory+max(memory, dataMemory)))
	le.PutUint32(o[offHeaders:], file)
	le.PutUint16(o[offSubsystem:], 10) // EFI application
	le.PutUint32(o[108:], 16)
	sections := o[optional:]
	put := func(name string, size, address, raw, place, flags uint32) {
		copy(sections, name)
		le.PutUint32(sections[8:], size)
		le.PutUint32(sections[12:], address)
		le.PutUint32(sections[16:], raw)
		le.PutUint32(sections[20:], place)
		le.PutUint32(sections[36:], flags)
		sections = sections[sizeSection:]
	}
	put(".text", uint32(len(code)), memory, file, file, 0x60000020)
	put(cmdlineSection, uint32(len(text)), 2*memory, uint32(data), 2*file, 0x40000040)
	copy(out[file:], code)
	copy(out[2*file:], text)
	return out
}
