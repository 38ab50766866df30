package menu

import (
	"path"
	"strings"
)

// byLabel finds a label, in this case only, by the first word of a command line.
func (c *sysConfig) byLabel(command string) *sysEntry {
	return c.find(command, func(e *sysEntry) string { return e.label })
}

// byMenu finds a label as menus do: one that has blanks in it or behind it has no name there.
func (c *sysConfig) byMenu(command string) *sysEntry {
	return c.find(command, func(e *sysEntry) string { return e.whole })
}

func (c *sysConfig) find(command string, name func(*sysEntry) string) *sysEntry {
	word, _ := cut(command)
	for _, e := range c.all {
		if name(e) == word && word != "" && e.act != actSubmenu && e.act != actDisabled {
			return e
		}
	}
	return nil
}

// command splits the first word of a line from the rest, whose end counts with its blanks.
func command(l string) (word, rest string) {
	l = strings.TrimLeft(l, " \t\v\f")
	if i := strings.IndexAny(l, " \t\v\f"); i >= 0 {
		return l[:i], strings.TrimLeft(l[i:], " \t\v\f")
	}
	return l, ""
}

// command is the command line of a label: kind, kernel, arguments.
func (e *sysEntry) command() (kind, kernel, args string) {
	kernel, rest := cut(e.kernel)
	args = rest
	for _, more := range []string{e.append, e.initrdArg()} {
		args = strings.TrimSpace(args + " " + more)
	}
	if kind = e.kind; kind == "kernel" {
		kind = byExtension(kernel)
	}
	return kind, kernel, args
}

func (e *sysEntry) initrdArg() string {
	if e.initrd == "" {
		return ""
	}
	return "initrd=" + e.initrd
}

// byExtension is what syslinux takes a file for that is only said to be a kernel.
func byExtension(kernel string) string {
	for ext, kind := range map[string]string{".c32": "com32", ".img": "fdimage", ".bss": "bss", ".bin": "boot", ".bs": "boot", ".0": "pxe", ".cbt": "comboot", ".com": "comboot"} {
		if strings.HasSuffix(kernel, ext) {
			return kind
		}
	}
	return "linux"
}

// title is what the menu shows.
func (e *sysEntry) title() string {
	t := e.menuLabel
	if t == "" {
		t = e.label
	}
	return strings.TrimSpace(strings.Replace(t, "^", "", 1))
}

// titles of the menus around an entry.
func (m *sysMenu) titles() (out []string) {
	for ; m != nil && m.parentEntry != nil; m = m.parent {
		out = append([]string{m.parentEntry.title()}, out...)
	}
	return out
}

// entry is the label as the model has it.
func (e *sysEntry) entry() *Entry {
	if e.out != nil {
		return e.out
	}
	kind, kernel, args := e.command()
	x := &Entry{File: e.file, Line: e.line, ID: e.label, Title: e.title(), Menus: e.menu.titles(), Hidden: e.menu.label == ".hidden", Kernel: kernel}
	what := classify(kind, kernel, args)
	x.Kind, x.Kernel, x.Args, x.Initrds, x.Hypervisor = what.Kind, what.Kernel, what.Args, what.Initrds, what.Hypervisor
	if e.act == actQuit || e.act == actExit || e.act == actGoto {
		x.Kind, x.Kernel, x.Args = Submenu, "", ""
	}
	e.out = x
	return x
}

// classify says what a command line of syslinux is.
func classify(kind, kernel, args string) (e Entry) {
	e = Entry{Kernel: kernel, Args: args}
	switch kind {
	case "linux":
		e.Kind = Linux
	case "config":
		e.Kind = Config
	case "localboot":
		e.Kind, e.Kernel = Local, ""
	case "com32":
		return module(kernel, args)
	default:
		e.Kind = Chain
	}
	if e.Kind == Linux {
		e.Initrds = initrdsOf(kernel + " " + args)
	}
	return e
}

// initrdsOf are the files that the loader reads: where "initrd=" stands first on the command
// line, in whatever word, up to a blank.
func initrdsOf(line string) []string {
	_, list, ok := strings.Cut(line, "initrd=")
	if !ok {
		return nil
	}
	list, _, _ = strings.Cut(list, " ")
	return strings.Split(list, ",")
}

// moduleInitrds are those of linux.c32: of the last argument of that name.
func moduleInitrds(args string) (out []string) {
	for a := range strings.FieldsSeq(args) {
		if v, ok := strings.CutPrefix(a, "initrd="); ok {
			out = strings.Split(v, ",")
		}
	}
	return out
}

// module says what a program of syslinux's starts with its arguments.
func module(name, args string) Entry {
	switch moduleName(name) {
	case "linux":
		kernel, rest := cut(args)
		return Entry{Kind: Linux, Kernel: kernel, Args: rest, Initrds: moduleInitrds(rest)}
	case "mboot":
		return mboot(name, args)
	case "chain":
		return Entry{Kind: Chain, Kernel: name, Args: args}
	}
	return Entry{Kind: Module, Kernel: name, Args: args}
}

// moduleName is the name of a module without directory and extension.
func moduleName(name string) string {
	return strings.TrimSuffix(strings.ToLower(path.Base(name)), ".c32")
}

// mboot reads the modules that "---" separates: a hypervisor, a kernel, its initrd. With
// -c it reads a configuration of ESXi.
func mboot(name, args string) Entry {
	e := Entry{Kind: Multiboot, Kernel: name, Args: args}
	var parts [][]string
	part := []string{}
	for a := range strings.FieldsSeq(args) {
		if a == "---" {
			parts, part = append(parts, part), nil
			continue
		}
		part = append(part, a)
	}
	parts = append(parts, part)
	if len(parts) == 1 || len(parts[1]) == 0 {
		return e
	}
	e.Hypervisor = strings.Join(parts[0], " ")
	e.Kernel, e.Args = parts[1][0], strings.Join(parts[1][1:], " ")
	for _, p := range parts[2:] {
		if len(p) > 0 {
			e.Initrds = append(e.Initrds, p[0])
		}
	}
	return e
}
