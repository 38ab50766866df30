package verify

import (
	"bytes"
	"iter"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// absence is how bad it is for a boot that a file is missing which a configuration names,
// by what its loader does then. All that verify knows of that is here:
//
//	syslinux      KERNEL and its kinds, INITRD, FDT, UI, DEFAULT, and CONFIG where it starts
//	              by itself: the entry, or the menu, does not start. INCLUDE and MENU
//	              INCLUDE, and all that is shown (see decoration): passed over without a word.
//	GRUB          linux, initrd, multiboot, module: the entry does not start. What reads
//	              another configuration: a message, and the script goes on; one that has
//	              nothing else to offer is looked at by orphans.
//	systemd-boot  the kernel: the entry is not shown; the initrd: it does not start. It reads
//	              no file system but its own, and no copy of its entries in the tree.
//	others        menus of loaders that need not be on the image.
//
// What no loader is known to read, or may be on another medium, stops nothing for sure.
// See RATIONALE.md, "Verify goes by what loaders do".
func (s *scanner) absence(cfg *bootcfg.Config, r bootcfg.Ref, inTree bool) Severity {
	format := cfg.File.Format()
	switch {
	case cfg.Swept, format == bootcfg.Legacy, r.Loose && format != bootcfg.Entry:
		return Notice
	case format == bootcfg.Entry && (inTree || r.Kind == bootcfg.RefKernel):
		return Notice
	case r.Kind == bootcfg.RefInclude && format == bootcfg.Syslinux:
		if s.starts(cfg, r) {
			return Problem
		}
		return Notice
	case r.Kind == bootcfg.RefInclude:
		return Notice
	}
	return Problem
}

// starts reports a reference of CONFIG, which starts the loader anew with another file, in a
// label that starts by itself. Other labels with CONFIG lead from one menu to another.
func (s *scanner) starts(cfg *bootcfg.Config, r bootcfg.Ref) bool {
	label, config := "", false
	for n, w := range lines(cfg) {
		if len(w) < 2 || n > r.Line {
			continue
		}
		switch strings.ToLower(w[0]) {
		case "label":
			label = w[1]
		case "config":
			config = n == r.Line
		}
	}
	if !config {
		return false
	}
	boots := false
	for _, cfg := range s.list {
		for _, w := range lines(cfg) {
			if len(w) > 1 && (strings.EqualFold(w[0], "default") || strings.EqualFold(w[0], "ontimeout")) && strings.EqualFold(w[1], label) {
				return true
			}
		}
		boots = boots || slices.ContainsFunc(cfg.File.Entries(), (*bootcfg.MenuEntry).Boots)
	}
	return !boots
}

// lines yields the lines of a configuration that have words, and their numbers from 1: no
// comments, and no texts that a menu shows.
func lines(cfg *bootcfg.Config) iter.Seq2[int, []string] {
	return func(yield func(int, []string) bool) {
		n, help := 0, false
		for line := range bytes.Lines(cfg.File.Bytes()) {
			n++
			w := strings.Fields(string(line))
			switch {
			case len(w) == 0, strings.HasPrefix(w[0], "#"):
			case help:
				help = !strings.EqualFold(w[0], "endtext")
			case cfg.File.Format() == bootcfg.Syslinux && len(w) > 1 && strings.EqualFold(w[0], "text") && strings.EqualFold(w[1], "help"):
				help = true
			case !yield(n, w):
				return
			}
		}
	}
}

// file is a file that is named where loaders do without.
type file struct {
	what, name string
	line       int
}

// decorations lists the texts, pictures, fonts and keyboard maps of a configuration, which
// loaders do without.
func decorations(cfg *bootcfg.Config) (out []file) {
	for n, w := range lines(cfg) {
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
