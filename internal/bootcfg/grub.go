package bootcfg

import (
	"path"
	"strings"
)

// maxMenus bounds how deep submenus are told apart.
const maxMenus = 16

// keywords stand in front of commands in GRUB's language.
var keywords = map[string]bool{"if": true, "then": true, "else": true, "elif": true, "do": true, "while": true, "until": true, "!": true}

// script is a command of GRUB without keywords in front.
type script struct {
	*command
	at   int    // index of its name
	name string // what is done
}

// scriptOf returns a command of GRUB's language; without words the name is empty.
func scriptOf(c *command) script {
	i := 0
	for i < len(c.words) && keywords[c.words[i].raw] {
		i++
	}
	if i == len(c.words) {
		return script{command: c, at: i}
	}
	return script{c, i, GRUB.value(c.words[i].raw)}
}

// kind is what a command does: all that start Linux are "linux", all that load its initrd
// "initrd". Configurations of SUSE and KIWI have a variable for the command.
func (s script) kind() string {
	name := strings.TrimLeft(s.name, "${")
	for _, kind := range []string{"linux", "initrd"} {
		switch rest, ok := strings.CutPrefix(name, kind); {
		case !ok:
		case name != s.name, rest == "", rest == "efi", rest == "16", rest == "32":
			return kind
		}
	}
	return s.name
}

// arg is the meaning of the n-th word behind the name, empty if there is none.
func (s script) arg(n int) string {
	if i := s.at + n; i < len(s.words) {
		return GRUB.value(s.words[i].raw)
	}
	return ""
}

// assigned returns the word that gives a variable a value, with "set" in front or without.
func (s script) assigned() (w *word, name, value string) {
	i := s.at
	if s.name == "set" {
		i++
	}
	if i >= len(s.words) {
		return nil, "", ""
	}
	name, value, ok := strings.Cut(GRUB.value(s.words[i].raw), "=")
	if !ok || !identifier(name) {
		return nil, "", ""
	}
	return &s.words[i], name, value
}

// identifier reports the name of a variable.
func identifier(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// grub scans a script. Kernels outside of entries count as one entry each.
func (s *scanner) grub() {
	var open *MenuEntry // the entry around, and its depth
	depth := 0
	multiboot := false
	var menus []*MenuEntry // open submenus
	var depths []int       // … and their depths
	for _, c := range s.f.commands {
		if len(c.words) == 0 {
			continue
		}
		if open != nil {
			open.last = c
			if c.depth <= depth && c.words[0].raw == "}" {
				open, s.cur = nil, nil
				continue
			}
		}
		if n := len(depths); n > 0 && c.words[0].raw == "}" && c.depth <= depths[n-1] {
			menus, depths = menus[:n-1], depths[:n-1]
		}
		switch x := scriptOf(c); x.kind() {
		case "submenu":
			if len(menus) < maxMenus {
				m := &MenuEntry{}
				s.menuentry(m, x)
				menus, depths = append(menus, m), append(depths, c.depth)
			}
		case "menuentry":
			open, depth, multiboot = s.begin(c), c.depth, false
			for _, m := range menus {
				open.menus = append(open.menus, grubName(m))
			}
			s.menuentry(open, x)
		case "linux":
			s.kernel(s.inside(open, c), c, x.at+1)
		case "multiboot", "multiboot2", "xen_hypervisor":
			e := s.inside(open, c)
			s.kernel(e, c, x.at+1)
			e.xen, e.lines, multiboot = e.lines, nil, true
		case "module", "module2", "xen_module":
			s.module(s.inside(open, c), x, multiboot)
		case "initrd":
			e := s.inside(open, c)
			for i := 1; x.arg(i) != ""; i++ {
				e.Initrds = append(e.Initrds, x.arg(i))
			}
		}
	}
}

// inside is the entry that a command belongs to.
func (s *scanner) inside(open *MenuEntry, c *command) *MenuEntry {
	if open != nil {
		return open
	}
	e := s.outside(c)
	e.last = c
	return e
}

// module takes the first module that looks like a kernel for it.
func (s *scanner) module(e *MenuEntry, x script, multiboot bool) {
	i := 1
	for strings.HasPrefix(x.arg(i), "--") {
		i++
	}
	name := strings.ToLower(path.Base(x.arg(i)))
	if multiboot && len(e.lines) == 0 && (strings.Contains(name, "linu") || strings.Contains(name, "kernel") || strings.HasPrefix(name, "bzimage")) {
		s.kernel(e, x.command, x.at+i)
		return
	}
	e.Initrds = append(e.Initrds, x.arg(i))
}

// menuentry reads title and id.
func (s *scanner) menuentry(e *MenuEntry, x script) {
	for i := 1; x.at+i < len(x.words); i++ {
		switch a := x.arg(i); {
		case a == "--id":
			i++
			e.Name = x.arg(i)
		case strings.HasPrefix(a, "--id="):
			e.Name = a[len("--id="):]
		case a == "--class" || a == "--users" || a == "--hotkey" || a == "--source":
			i++
		case strings.HasPrefix(a, "-") || x.words[x.at+i].raw == "{":
		case e.Title == "":
			e.Title = a
		case strings.HasPrefix(a, "$menuentry_id_option"):
			i++
			e.Name = x.arg(i)
		}
	}
}
