package verify

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// entries checks what a configuration starts: the sizes of its files, and what its arguments
// ask of the medium.
func (s *scanner) entries(name string, cfg *bootcfg.Config, own volume) {
	sev := Problem
	if cfg.Swept || cfg.File.Format() == bootcfg.Legacy {
		sev = Notice
	}
	for _, e := range cfg.File.Entries() {
		if !e.Boots() {
			continue
		}
		if s.c.img.Primary().MediaCheck() == "" && checksMedium(e.Arguments(cfg.File)) {
			s.tell(sev, name, e.Line, "rd.live.check: the entry checks the medium, but the image has no media checksum, and checkisomd5 fails; md5 implant writes one")
		}
		s.tooLarge(sev, name, cfg, e, own)
	}
}

// checksMedium reports whether dracut is asked to run checkisomd5, and not to go on if it
// fails.
func checksMedium(args []string) bool {
	check := false
	for _, a := range args {
		switch v, ok := strings.CutPrefix(a, "rd.live.check="); {
		case a == "rd.live.check":
			check = true
		case ok:
			check = v != "0" && v != "no" && v != "off"
		}
	}
	return check
}

// The fields of a kernel's setup header (Linux, Documentation/arch/x86/boot.rst).
const (
	setupHeader   = 0x1f1
	setupEnd      = 0x264
	offMagic      = 0x202
	offVersion    = 0x206
	offInitrdMax  = 0x22c
	offInitSize   = 0x260
	initrdVersion = 0x0203 // from which on there is the greatest address of an initrd
	sizeVersion   = 0x020a // from which on there is init_size
	realMode      = 1 << 20
)

// tooLarge reports initrds that cannot lie where the kernel takes them: below the address in
// its header, above itself. Loaders for BIOS keep to that; what UEFI's do differs.
func (s *scanner) tooLarge(sev Severity, name string, cfg *bootcfg.Config, e *bootcfg.MenuEntry, own volume) {
	format := cfg.File.Format()
	if format != bootcfg.GRUB && format != bootcfg.Syslinux || !s.bios {
		return
	}
	total := int64(0)
	for _, p := range e.Initrds {
		_, size := s.content(cfg, bootcfg.Ref{Kind: bootcfg.RefInitrd, Value: p}, own)
		total += size
	}
	if total < realMode {
		return
	}
	r, size := s.content(cfg, bootcfg.Ref{Kind: bootcfg.RefKernel, Value: e.Kernel}, own)
	if size < setupEnd {
		return
	}
	h := make([]byte, setupEnd)
	if _, err := r.ReadAt(h[setupHeader:], setupHeader); err != nil && !errors.Is(err, io.EOF) || string(h[offMagic:offMagic+4]) != "HdrS" {
		return
	}
	version := binary.LittleEndian.Uint16(h[offVersion:])
	if version < initrdVersion {
		return
	}
	top := int64(binary.LittleEndian.Uint32(h[offInitrdMax:])) + 1
	room := top - realMode
	if version >= sizeVersion {
		room -= int64(binary.LittleEndian.Uint32(h[offInitSize:]))
	}
	if total > room {
		s.tell(sev, name, e.Line, "the initrd of %q has %d bytes; %s takes it below address %d only, where at most %d are left: it cannot be loaded by BIOS", e.Title, total, e.Kernel, top, max(room, 0))
	}
}

// content returns what a reference leads to, of size 0 if that is not there.
func (s *scanner) content(cfg *bootcfg.Config, r bootcfg.Ref, own volume) (io.ReaderAt, int64) {
	found, v, _ := s.find(cfg, r, own)
	if found == "" {
		return nil, 0
	}
	content, size, err := v.At(found)
	if err != nil {
		return nil, 0
	}
	return content, size
}
