package verify

import (
	"bytes"
	"strings"

	"github.com/isolayer/isolayer/bootcfg"
)

// absence is how bad it is for a boot that a file is missing which a configuration names,
// by what its loader does then. All that verify knows of that is here:
//
//	syslinux      KERNEL and its kinds, INITRD, FDT, CONFIG, UI, DEFAULT: the entry, or the
//	              menu, does not start. INCLUDE and MENU INCLUDE, and all that is shown
//	              (see decoration): passed over without a word.
//	GRUB          linux, initrd, multiboot, module: the entry does not start. What reads
//	              another configuration: a message, and the script goes on; one that has
//	              nothing else to offer is looked at by orphans.
//	systemd-boot  the kernel: the entry is not shown; the initrd: it does not start. It reads
//	              no file system but its own, and no copy of its entries in the tree.
//	others        menus of loaders that need not be on the image.
//
// What no loader is known to read, or may be on another medium, stops nothing for sure.
func absence(cfg *bootcfg.Config, r bootcfg.Ref, inTree bool) Severity {
	format := cfg.File.Format()
	switch {
	case cfg.Swept, format == bootcfg.Legacy, r.Loose && format != bootcfg.Entry:
		return Notice
	case format == bootcfg.Entry && (inTree || r.Kind == bootcfg.RefKernel):
		return Notice
	case r.Kind == bootcfg.RefInclude && format == bootcfg.Syslinux:
		if isConfig(cfg, r) {
			return Problem
		}
		return Notice
	case r.Kind == bootcfg.RefInclude:
		return Notice
	}
	return Problem
}

// isConfig reports a reference of CONFIG, which starts the loader anew with another file,
// where INCLUDE reads that into this one.
func isConfig(cfg *bootcfg.Config, r bootcfg.Ref) bool {
	words := lineOf(cfg, r.Line)
	return len(words) > 0 && strings.EqualFold(words[0], "config")
}

// lineOf returns the words of a line, counted from 1.
func lineOf(cfg *bootcfg.Config, n int) []string {
	i := 0
	for line := range bytes.Lines(cfg.File.Bytes()) {
		if i++; i == n {
			return strings.Fields(string(line))
		}
	}
	return nil
}

// file is a file that is named where loaders do without.
type file struct {
	what, name string
	line       int
}

// decorations lists the texts, pictures, fonts and keyboard maps of a configuration, which
// loaders do without.
func decorations(cfg *bootcfg.Config) (out []file) {
	n := 0
	for line := range bytes.Lines(cfg.File.Bytes()) {
		n++
		w := strings.Fields(string(line))
		if len(w) < 2 {
			continue
		}
		if what, at := decoration(cfg.File.Format(), w); at > 0 && at < len(w) {
			out = append(out, file{what, strings.Trim(w[at], `"'`), n})
		}
	}
	return out
}

// decoration says what the words of a line show, and which word names it; 0 if nothing.
func decoration(format bootcfg.Format, w []string) (what string, at int) {
	key := strings.ToLower(w[0])
	switch format {
	case bootcfg.Syslinux:
		switch {
		case key == "display", key == "font", key == "kbdmap":
			return key, 1
		case len(key) <= 3 && key[0] == 'f' && strings.Trim(key[1:], "0123456789") == "" && key != "f":
			return "help text", 1
		case key == "menu" && strings.EqualFold(w[1], "background") && len(w) > 2 && !strings.HasPrefix(w[2], "#"):
			return "background", 2
		}
	case bootcfg.GRUB:
		switch key {
		case "loadfont":
			return "font", 1
		case "background_image":
			return "background", len(w) - 1
		}
	}
	return "", 0
}

// orphan reports a script of GRUB that firmware leads to, and that leads nowhere: it starts
// nothing itself, and what it would read is not there.
func (s *scanner) orphan(prefix string, cfg *bootcfg.Config, own volume) {
	if cfg.File.Format() != bootcfg.GRUB || cfg.Swept || len(cfg.Parents) > 0 || len(cfg.File.Entries()) > 0 {
		return
	}
	for _, word := range []string{"chainloader", "blscfg", "menuentry", "exit"} {
		if bytes.Contains(cfg.File.Bytes(), []byte(word)) {
			return
		}
	}
	var last *bootcfg.Ref
	for _, r := range cfg.File.Refs() {
		if r.Kind != bootcfg.RefInclude {
			continue
		}
		if found, _, name := s.find(cfg, r, own); found != "" || name == "" {
			return
		}
		last = &r
	}
	if last != nil {
		s.tell(Problem, prefix+cfg.Path, last.Line, "leads to %s only, which is not in the image: GRUB has no menu", last.Value)
	}
}
