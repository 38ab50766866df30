package bootcfg

import (
	"path"
	"strings"
)

// MenuEntry is something that a configuration can start. Only those that start a
// kernel have command lines.
type MenuEntry struct {
	Name    string   // label of syslinux, --id of GRUB; else empty
	Title   string   // as the menu shows it
	Kernel  string   // path as written, empty if none is started
	Initrds []string // paths as written
	Line    int      // of its first line, from 1

	head     *command   // label, menuentry, title; nil for what stands outside
	kernel   *command   // names the kernel
	last     *command   // of the entry
	menus    []string   // GRUB's names of the submenus around it
	lines    []*cmdline // one for each way through conditions
	xen      []*cmdline // those of the hypervisor around the kernel
	missing  bool       // it has no command that holds arguments yet
	explicit bool       // marked as the default one
}

// Boots reports whether the entry starts a kernel that takes arguments.
func (e *MenuEntry) Boots() bool { return len(e.lines) > 0 || e.missing }

// Arguments returns the kernel arguments of the entry, those of all its lines.
func (e *MenuEntry) Arguments(f *File) []string {
	var out []string
	for _, l := range e.lines {
		for _, a := range l.args() {
			out = append(out, f.format.kernelText(a.word().raw))
		}
	}
	return out
}

// cmdline is one command line of a kernel. Loader entries and parameter files
// spread it over several commands, and modules of Multiboot share a command.
type cmdline struct {
	parts  []part
	behind int  // words of the last command that are no arguments any more
	more   bool // added to those of an entry: arguments are replaced there, not added
}

// part is a command from its first argument on.
type part struct {
	c    *command
	from int
}

// place is where an argument stands.
type place struct {
	c *command
	i int
}

func (p place) word() *word { return &p.c.words[p.i] }

// args lists the arguments in order.
func (l *cmdline) args() []place {
	var out []place
	for k, p := range l.parts {
		end := len(p.c.words)
		if k == len(l.parts)-1 {
			end -= l.behind
		}
		for i := p.from; i < end; i++ {
			out = append(out, place{p.c, i})
		}
	}
	return out
}

// scan finds the entries.
func (f *File) scan() []*MenuEntry {
	s := &scanner{f: f}
	switch f.format {
	case Syslinux:
		s.syslinux()
	case GRUB:
		s.grub()
	case Legacy:
		s.legacy()
	case Entry:
		s.loader()
	case Parm:
		s.parm()
	case ESXi:
		s.esxi()
	case Limine:
		s.limine()
	case REFInd:
		s.refind()
	}
	return s.out
}

type scanner struct {
	f   *File
	out []*MenuEntry
	cur *MenuEntry
}

// begin starts an entry at a command.
func (s *scanner) begin(c *command) *MenuEntry {
	s.cur = &MenuEntry{head: c, last: c, Line: c.line}
	s.out = append(s.out, s.cur)
	return s.cur
}

// outside is the entry of commands that belong to none.
func (s *scanner) outside(c *command) *MenuEntry {
	if s.cur == nil {
		s.begin(c).head = nil
	}
	return s.cur
}

// rest are the words from i on, with single blanks.
func (f *File) rest(c *command, i int) string {
	var out []string
	for ; i < len(c.words); i++ {
		out = append(out, f.format.value(c.words[i].raw))
	}
	return strings.Join(out, " ")
}

// noKernels are what syslinux starts that takes no kernel arguments: its modules,
// boot sectors, other loaders, memory tests.
var noKernels = []string{".c32", ".com", ".cbt", ".bin", ".bs", ".bss", ".0", ".img", ".iso", ".lkrn"}

// linux reports whether a file is a kernel that takes arguments, by its name.
func (f *File) linux(name string) bool {
	base := strings.ToLower(path.Base(name))
	for _, other := range []string{"memtest", "mt86", "memdisk", "ipxe", "gpxe", "hdt", "chain", "grub", "shell", "plop"} {
		if strings.HasPrefix(base, other) {
			return false
		}
	}
	for _, ext := range noKernels {
		if f.format == Syslinux && strings.HasSuffix(base, ext) {
			return false
		}
	}
	return base != "" && base != "." && base != "/" && base != "="
}

// legacy scans a menu of GRUB 0.97.
func (s *scanner) legacy() {
	multiboot := false
	for _, c := range s.f.commands {
		if len(c.words) == 0 {
			continue
		}
		if s.cur != nil && !c.is(0, "title") {
			s.cur.last = c
		}
		switch key := strings.TrimSuffix(strings.ToLower(c.words[0].raw), "="); key {
		case "title":
			s.begin(c).Title = s.f.rest(c, 1)
			multiboot = false
		case "kernel":
			if multiboot = s.kernel(s.outside(c), c, 1); !multiboot {
				continue
			}
			s.cur.xen, s.cur.lines = s.cur.lines, nil
		case "module":
			if e := s.outside(c); multiboot && len(e.lines) == 0 {
				s.kernel(e, c, 1)
			} else {
				e.Initrds = append(e.Initrds, s.f.rest(c, 1))
			}
		case "initrd":
			e := s.outside(c)
			for i := 1; i < len(c.words); i++ {
				e.Initrds = append(e.Initrds, c.words[i].raw)
			}
		}
	}
}

// kernel reads a command that names a kernel, at or behind word i; it reports one
// that is a hypervisor, whose first module is the kernel.
func (s *scanner) kernel(e *MenuEntry, c *command, i int) (multiboot bool) {
	for i < len(c.words) && strings.HasPrefix(c.words[i].raw, "--") {
		i++
	}
	if i >= len(c.words) {
		return false
	}
	name := s.f.format.value(c.words[i].raw)
	e.Kernel, e.kernel = name, c
	if s.f.linux(name) {
		e.lines = append(e.lines, &cmdline{parts: []part{{c, i + 1}}})
	}
	return strings.HasPrefix(path.Base(name), "xen") || strings.HasPrefix(path.Base(name), "gnumach")
}

// loader scans an entry of systemd-boot, which is a file of its own.
func (s *scanner) loader() {
	var line cmdline
	var e *MenuEntry
	for _, c := range s.f.commands {
		if len(c.words) < 2 {
			continue
		}
		switch key := strings.ToLower(c.words[0].raw); key {
		case "title", "linux", "efi", "initrd", "options":
			if e == nil {
				e = s.begin(c)
			}
			e.last = c
			switch value := s.f.rest(c, 1); key {
			case "title":
				e.Title = value
			case "initrd":
				e.Initrds = append(e.Initrds, value)
			case "options":
				line.parts = append(line.parts, part{c, 1})
			default:
				e.Kernel, e.kernel = value, c
			}
		}
	}
	if e == nil || e.kernel == nil || e.kernel.is(0, "efi") && len(line.parts) == 0 {
		return
	}
	if e.missing = len(line.parts) == 0; !e.missing {
		e.lines = []*cmdline{&line}
	}
}

// parm scans a parameter file.
func (s *scanner) parm() {
	var line cmdline
	for _, c := range s.f.commands {
		if len(c.words) > 0 {
			line.parts = append(line.parts, part{c, 0})
		}
	}
	if len(line.parts) == 0 { // an empty one can get arguments
		if len(s.f.commands) == 0 {
			s.f.commands = []*command{{line: 1}}
		}
		line.parts = []part{{s.f.commands[0], 0}}
	}
	e := s.begin(line.parts[0].c)
	e.Title, e.lines = "all", []*cmdline{&line}
}

// esxi scans a boot.cfg.
func (s *scanner) esxi() {
	var e *MenuEntry
	for _, c := range s.f.commands {
		if len(c.words) == 0 {
			continue
		}
		if e == nil {
			e = s.begin(c)
		}
		switch e.last = c; strings.ToLower(c.words[0].raw) {
		case "title=":
			e.Title = s.f.rest(c, 1)
		case "kernel=":
			e.Kernel, e.kernel = s.f.rest(c, 1), c
		case "kernelopt=":
			e.lines = []*cmdline{{parts: []part{{c, 1}}}}
		}
	}
	if e != nil {
		e.missing = e.kernel != nil && len(e.lines) == 0
	}
}
