package menu

import (
	"path"
	"strconv"
	"strings"
)

// limineNames are where Limine looks for its configuration, in its order.
var limineNames = []string{
	"boot/limine/limine.conf", "boot/limine.conf", "limine/limine.conf", "limine.conf", "EFI/BOOT/limine.conf",
	"limine.cfg", "limine/limine.cfg", "boot/limine.cfg", "boot/limine/limine.cfg", "EFI/BOOT/limine.cfg",
}

// limineTime is how long it waits where nothing is said, in tenths of a second.
const limineTime = 50

// readLimine says what Limine does: entries begin with slashes (colons up to version 7),
// as many as they lie deep; settings are "key: value" (KEY=value).
func readLimine(v Volume, name string, platforms ...Platform) *Menu {
	r := newReader(v)
	found, text, ok := r.read(name)
	if !ok {
		return nil
	}
	x := &limine{m: &Menu{Loader: Limine, Platforms: platforms, Root: v.Prefix + found}, old: strings.HasSuffix(found, ".cfg"), wait: limineTime, macros: map[string]string{}}
	line := 0
	for l := range strings.Lines(text) {
		line++
		x.line(strings.TrimSpace(l), line)
	}
	x.m.Files = r.files
	x.start()
	return x.m
}

type limine struct {
	m      *Menu
	old    bool
	depth  int
	open   []bool // at each depth, whether the directory shows what is in it
	shown  []*Entry
	wait   int
	def    string
	macros map[string]string
}

func (x *limine) line(l string, number int) {
	mark := "/"
	if x.old {
		mark = ":"
	}
	switch {
	case l == "" || strings.HasPrefix(l, "#"):
	case strings.HasPrefix(l, mark):
		x.begin(l, mark, number)
	case strings.HasPrefix(l, "${"):
		if name, value, ok := strings.Cut(l[2:], "}"); ok {
			x.macros[name] = strings.TrimPrefix(value, "=")
		}
	default:
		key, value, ok := strings.Cut(l, ":")
		if x.old {
			key, value, ok = strings.Cut(l, "=")
		}
		if ok {
			x.set(strings.ToLower(strings.TrimSpace(key)), x.expand(strings.TrimSpace(value)))
		}
	}
}

func (x *limine) expand(s string) string {
	for name, value := range x.macros {
		s = strings.ReplaceAll(s, "${"+name+"}", value)
	}
	return s
}

func (x *limine) begin(l, mark string, number int) {
	title := strings.TrimLeft(l, mark)
	depth := len(l) - len(title)
	open := strings.HasPrefix(title, "+")
	title = strings.TrimSpace(strings.TrimPrefix(title, "+"))
	e := &Entry{File: x.m.Root, Line: number, Title: title, Kind: Nothing}
	visible := depth == 1 || depth <= len(x.open)+1
	if depth > 1 && len(x.m.Entries) > 0 {
		if depth > x.depth { // what lies deeper makes a directory of the one before
			x.m.Entries[len(x.m.Entries)-1].Kind = Submenu
		}
		for i := len(x.m.Entries) - 1; i >= 0 && len(e.Menus) == 0; i-- {
			if p := x.m.Entries[i]; p.Kind == Submenu && len(p.Menus) == depth-2 {
				e.Menus = append(append(e.Menus, p.Menus...), p.Title)
			}
		}
	}
	x.open = append(x.open[:min(depth-1, len(x.open))], open)
	for _, o := range x.open[:len(x.open)-1] {
		visible = visible && o
	}
	if visible {
		x.shown = append(x.shown, e)
	}
	x.depth = depth
	x.m.Entries = append(x.m.Entries, e)
}

func (x *limine) set(key, value string) {
	if len(x.m.Entries) == 0 || key == "timeout" || key == "default_entry" {
		switch key {
		case "timeout":
			if n, err := strconv.Atoi(value); err == nil && n >= 0 {
				x.wait = n * 10
			} else {
				x.wait = Forever
			}
		case "default_entry":
			x.def = value
		}
		return
	}
	e := x.m.Entries[len(x.m.Entries)-1]
	switch key {
	case "protocol":
		switch value {
		case "linux":
			e.Kind = Linux
		case "limine", "stivale", "stivale2", "multiboot1", "multiboot2", "multiboot":
			e.Kind = Multiboot
		default:
			e.Kind = Chain
		}
	case "path", "kernel_path", "image_path":
		e.Kernel = value
	case "cmdline", "kernel_cmdline":
		e.Args = value
	case "module_path":
		e.Initrds = append(e.Initrds, value)
	}
}

func (x *limine) start() {
	s := &x.m.Start
	if s.After = x.wait; len(x.shown) == 0 {
		s.After = Forever
		return
	}
	i := 0
	if n, err := strconv.Atoi(x.def); err == nil && n >= 1 && n <= len(x.shown) {
		i = n - 1
	} else if x.def != "" && err != nil {
		for k, e := range x.shown {
			if strings.EqualFold(path.Join(path.Join(e.Menus...), e.Title), x.def) || strings.EqualFold(e.Title, x.def) {
				i = k
			}
		}
	}
	e := x.shown[i]
	s.Entry, s.Kind, s.Kernel, s.Args, s.Initrds = e, e.Kind, e.Kernel, e.Args, e.Initrds
	if e.Kind == Submenu {
		s.After = Forever
	}
}
