package bootcfg

import (
	"path"
	"strings"
)

// RefKind is what a configuration refers to.
type RefKind string

// The kinds.
const (
	RefKernel  RefKind = "kernel"
	RefInitrd  RefKind = "initrd"
	RefModule  RefKind = "module"        // of mboot
	RefInclude RefKind = "configuration" // read in its place, or instead
	RefLabel   RefKind = "label"
	RefUUID    RefKind = "uuid"
)

// Ref is something that a configuration names.
type Ref struct {
	Kind  RefKind
	Value string // path, label or UUID as the loader has it; labels without escapes
	Line  int
	// Loose marks a reference that may be to another medium: behind a search for
	// another device, or for one of an installed system.
	Loose bool
	// Format is that of the configuration an include leads to.
	Format Format
	Dir    string // where paths count from in it, if it says so
	// Inline marks a configuration of syslinux that is read in place of the line.
	Inline bool
}

// Refs lists what the configuration refers to, in order. Values with variables are
// as written.
func (f *File) Refs() []Ref {
	r := &refs{f: f}
	switch f.format {
	case Syslinux:
		r.syslinux()
	case GRUB:
		r.grub()
	default:
		r.simple()
	}
	return r.out
}

type refs struct {
	f   *File
	out []Ref
}

func (r *refs) add(kind RefKind, value string, c *command, loose bool) {
	if value != "" {
		r.out = append(r.out, Ref{Kind: kind, Value: value, Line: c.line, Loose: loose})
	}
}

// arguments adds the labels and UUIDs that kernel arguments name.
func (r *refs) arguments(c *command, from int, loose bool) {
	for _, w := range c.words[min(from, len(c.words)):] {
		arg := r.f.format.kernelText(w.raw)
		for _, s := range labelAt(arg) {
			installed := strings.HasPrefix(arg, "root=LABEL=") || strings.HasPrefix(arg, "resume=")
			r.add(RefLabel, FromUdev(strings.ReplaceAll(arg[s[0]:s[1]], `\\x`, `\x`)), c, loose || installed)
		}
		if v, ok := strings.CutPrefix(arg, "archisosearchuuid="); ok {
			r.add(RefUUID, v, c, loose)
		}
	}
}

func (r *refs) syslinux() {
	module, dir := "", ""
	config := -1 // the reference of a label that reads another configuration
	for _, c := range r.f.commands {
		if c.is(0, "menu") && c.is(1, "include") {
			r.inline(c, 2)
		}
		if c.is(0, "label") || c.is(0, "menu") && c.is(1, "begin", "end") {
			module, dir, config = "", "", -1
		}
		if len(c.words) < 2 {
			continue
		}
		switch arg := c.words[1].raw; strings.ToLower(c.words[0].raw) {
		case "kernel", "linux", "com32", "boot", "bss", "fdimage", "ui":
			module = ""
			if low := strings.ToLower(path.Base(arg)); strings.HasSuffix(low, ".c32") || c.is(0, "com32") {
				module = strings.TrimSuffix(low, ".c32")
			}
			if arg != "-" {
				r.add(RefKernel, arg, c, false)
			}
		case "initrd", "fdt":
			r.list(arg, c)
		case "append":
			if dir = arg; config >= 0 {
				r.out[config].Dir = arg
				continue
			}
			r.append(c, module)
		case "include":
			r.inline(c, 1)
		case "config":
			module, config = "", len(r.out)
			r.include(c, 1, Syslinux)
			if r.out[config].Dir == "" {
				r.out[config].Dir = dir
			}
		}
	}
}

// append adds what the arguments of a label name.
func (r *refs) append(c *command, module string) {
	switch module {
	case "mboot":
		r.modules(c)
		return
	case "menu", "vesamenu", "gfxmenu":
		for i, w := range c.words[1:] {
			if w.raw != "~" {
				r.include(c, i+1, Syslinux)
			}
		}
		return
	}
	for _, w := range c.words[1:] {
		if v, ok := strings.CutPrefix(w.raw, "initrd="); ok {
			r.list(v, c)
		}
	}
	r.arguments(c, 1, false)
}

// modules adds those of mboot.c32, or the configuration that holds them.
func (r *refs) modules(c *command) {
	for i, w := range c.words {
		switch {
		case w.raw == "-c" && i+1 < len(c.words):
			r.include(c, i+1, ESXi)
		case i == 1 && !strings.HasPrefix(w.raw, "-") || i > 1 && c.words[i-1].raw == "---":
			r.add(RefModule, w.raw, c, false)
		}
	}
}

func (r *refs) list(paths string, c *command) {
	for p := range strings.SplitSeq(paths, ",") {
		r.add(RefInitrd, p, c, false)
	}
}

func (r *refs) inline(c *command, i int) {
	n := len(r.out)
	if r.include(c, i, Syslinux); len(r.out) > n {
		r.out[n].Inline = true
	}
}

func (r *refs) include(c *command, i int, format Format) {
	if i >= len(c.words) {
		return
	}
	x := Ref{Kind: RefInclude, Value: r.f.format.value(c.words[i].raw), Line: c.line, Format: format}
	if format == Syslinux && c.is(0, "config") && i+1 < len(c.words) {
		x.Dir = c.words[i+1].raw
	}
	r.out = append(r.out, x)
}

// grub adds those of a script. Behind a "set root" or a search in an entry, paths are
// those of another device, as far as we know.
func (r *refs) grub() {
	loose := false
	for _, c := range r.f.commands {
		x := scriptOf(c)
		switch x.kind() {
		case "menuentry", "submenu":
			loose = false
		case "set":
			loose = loose || strings.HasPrefix(x.arg(1), "root=")
		case "search", "search.fs_label", "search.fs_uuid":
			s := searchOf(x)
			inside := c.depth > 0
			switch s.kind {
			case "label":
				r.add(RefLabel, s.value, c, inside)
			case "uuid":
				r.add(RefUUID, s.value, c, inside)
			}
			loose = inside
		case "linux", "multiboot", "multiboot2", "xen_hypervisor":
			r.kernel(RefKernel, x, loose)
		case "module", "module2", "xen_module":
			r.kernel(RefModule, x, loose)
		case "initrd":
			for i := 1; x.arg(i) != ""; i++ {
				r.add(RefInitrd, x.arg(i), c, loose)
			}
		case "configfile", "source", ".", "normal", "extract_entries_configfile", "extract_entries_source":
			r.include(c, x.at+1, GRUB)
		case "legacy_configfile", "extract_legacy_entries_source":
			r.include(c, x.at+1, Legacy)
		case "syslinux_configfile", "extract_syslinux_entries_source":
			r.include(c, len(c.words)-1, Syslinux)
		}
	}
}

// kernel adds a file and the names in its arguments.
func (r *refs) kernel(kind RefKind, x script, loose bool) {
	i := 1
	for strings.HasPrefix(x.arg(i), "--") {
		i++
	}
	r.add(kind, x.arg(i), x.command, loose)
	r.arguments(x.command, x.at+i+1, loose)
}

// simple adds those of formats with a command a line.
func (r *refs) simple() {
	loose := false
	for _, c := range r.f.commands {
		if len(c.words) == 0 {
			continue
		}
		if r.f.format == Parm {
			r.arguments(c, 0, false)
			continue
		}
		rest := r.f.rest(c, 1)
		switch key := strings.TrimSuffix(strings.ToLower(c.words[0].raw), "="); {
		case key == "root" || key == "rootnoverify" || key == "uuid" || key == "findiso":
			loose = true
		case key == "title":
			loose = false
		case r.f.format == Legacy && key == "kernel":
			i := 1
			for c.is(i, "--no-mem-option") || i < len(c.words) && strings.HasPrefix(c.words[i].raw, "--") {
				i++
			}
			if i < len(c.words) {
				r.add(RefKernel, c.words[i].raw, c, loose)
				r.arguments(c, i+1, loose)
			}
		case r.f.format == ESXi && key == "kernel":
			r.add(RefKernel, rest, c, true) // prefix= may tell where
		case r.f.format == Entry && (key == "linux" || key == "efi"):
			r.add(RefKernel, rest, c, true)
		case r.f.format == Limine && strings.TrimSuffix(key, ":") == "cmdline", r.f.format == Limine && strings.TrimSuffix(key, ":") == "kernel_cmdline":
			r.arguments(c, 1, false)
		case r.f.format == Limine || r.f.format == REFInd && key != "options" && key != "add_options":
			// Paths there count from other devices, or are found by scanning.
		case key == "initrd" && len(c.words) > 1:
			r.add(RefInitrd, c.words[1].raw, c, loose || r.f.format == Entry)
		case key == "options" || key == "add_options" || key == "kernelopt":
			r.arguments(c, 1, false)
		}
	}
}
