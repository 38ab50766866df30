package grubscript

import "strings"

// role is what a command loads.
type role byte

const (
	roleKernel role = iota + 1
	roleInitrd
	roleModule
	roleChain // another loader, which takes no arguments of a kernel
)

// loaders are the commands that load something.
var loaders = map[string]role{
	"linux": roleKernel, "linux16": roleKernel, "linuxefi": roleKernel, "multiboot": roleKernel, "multiboot2": roleKernel, "xen_hypervisor": roleKernel,
	"knetbsd": roleKernel, "kopenbsd": roleKernel, "kfreebsd": roleKernel, "xnu_kernel": roleKernel, "xnu_kernel64": roleKernel, "plan9": roleKernel, "kernel": roleKernel,
	"initrd": roleInitrd, "initrd16": roleInitrd, "initrdefi": roleInitrd,
	"module": roleModule, "module2": roleModule, "xen_module": roleModule, "xen_initrd": roleModule, "xen_linux": roleModule, "kfreebsd_module": roleModule, "kfreebsd_loadenv": roleModule,
	"kfreebsd_module_elf": roleModule, "knetbsd_module": roleModule, "knetbsd_module_elf": roleModule, "kopenbsd_ramdisk": roleModule, "xnu_kext": roleModule, "xnu_mkext": roleModule,
	"xnu_ramdisk": roleModule, "xnu_devprop_load": roleModule, "xnu_splash": roleModule, "devicetree": roleModule, "fdt": roleModule,
	"chainloader": roleChain, "ntldr": roleChain, "freedos": roleChain, "truecrypt": roleChain, "pxechainloader": roleChain, "appleloader": roleChain, "xnu_resume": roleChain, "efichainloader": roleChain, "linux_chain": roleChain, "bootmgr": roleChain, "memdisk": roleChain, "map": roleChain,
}

// Arg is an argument of a command that loads something.
type Arg struct {
	Word
	// Span is the word of the command that the argument came of: a part of it only if
	// Shared, when a variable gave more than one.
	Span   Span
	Shared bool
}

// Load is a file that an entry loads with its arguments.
type Load struct {
	Command string // linux, module2 …
	Device  string // without parentheses
	Path    string // without a slash in front, as the volume has it if it is there
	Missing bool   // on a device of the image that does not have it
	Other   bool   // on a device that is not of the image
	File    Arg    // the path as it is written
	Args    []Arg
	// Options are those of the command, in front of the path.
	Options []Arg
	Span    Span // the command

	legacy bool // of GRUB 0.97, which hands over what is written
}

// Cmdline is what GRUB hands over behind the name of the file: arguments with blanks in
// quotes, backslashes and quotes with a backslash in front. GRUBs of Red Hat's leave \xHH
// as it is.
func (l *Load) Cmdline(redHat bool) string {
	out := make([]string, len(l.Args))
	for i, a := range l.Args {
		if out[i] = a.String(); !l.legacy {
			out[i] = kernelWord(out[i], redHat)
		}
	}
	return strings.Join(out, " ")
}

// kernelWord writes an argument as GRUB does for a kernel.
func kernelWord(s string, redHat bool) string {
	var b strings.Builder
	quote := strings.IndexByte(s, ' ') >= 0
	if quote {
		b.WriteByte('"')
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		hex := redHat && c == '\\' && i+3 < len(s) && s[i+1] == 'x' && isHex(s[i+2]) && isHex(s[i+3])
		if !hex && (c == '\\' || c == '\'' || c == '"') {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	if quote {
		b.WriteByte('"')
	}
	return b.String()
}

func isHex(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// load notes that a command loads files. It fails where they are not.
func load(c *call, r role) status {
	args := make([]Arg, len(c.args))
	for i, a := range c.args {
		args[i] = Arg{Word: a.word, Span: a.from.span, Shared: a.shared}
	}
	l := &Load{Command: c.name, Span: c.span}
	for len(args) > 0 && strings.HasPrefix(args[0].String(), "--") && r != roleInitrd {
		l.Options, args = append(l.Options, args[0]), args[1:]
	}
	if len(args) == 0 {
		return failed
	}
	if r == roleInitrd {
		return c.initrds(args)
	}
	l.File, l.Args = args[0], args[1:]
	c.locate(l, l.File.String())
	switch {
	case r == roleModule && c.boot.Kernel == nil:
		c.boot.Orphans = append(c.boot.Orphans, l)
		return failed
	case r == roleModule:
		c.boot.Modules = append(c.boot.Modules, l)
	case l.Missing:
		c.boot.failed = append(c.boot.failed, l)
	default:
		c.boot.Kernel, c.boot.Initrds, c.boot.Modules = l, nil, nil
	}
	return status{failed: l.Missing}
}

// locate finds the file of a load. Block lists have none.
func (c *call) locate(l *Load, name string) {
	if u := l.File.Unknown(); u != "" {
		c.remark(l.Span, "loads a file whose name is known at the machine only: "+u)
		l.Other = true
		return
	}
	p, is := c.stat(name)
	l.Device, l.Path = p.device, p.path
	bare := afterDevice(name)
	l.Other = is == unsure || strings.HasPrefix(bare, "+") || bare == ""
	l.Missing = is != isFile && !l.Other && !c.fw.Trust
}

// initrds loads files in a row; all of them must be there.
func (c *call) initrds(args []Arg) status {
	result := status{failed: c.boot.Kernel == nil}
	for _, a := range args {
		l := &Load{Command: c.name, Span: c.span, File: a}
		name := a.String()
		if rest, ok := strings.CutPrefix(name, "newc:"); ok {
			if n := strings.IndexByte(rest, ':'); n >= 0 {
				name = rest[n+1:]
			}
		}
		c.locate(l, name)
		result.failed = result.failed || l.Missing
		if c.boot.Kernel == nil {
			c.boot.Orphans = append(c.boot.Orphans, l)
			continue
		}
		c.boot.Initrds = append(c.boot.Initrds, l)
	}
	return result
}
