package menu

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/grubscript"
)

// Loopback is where a menu of GRUB 2 is read when the image lies as a file on another
// medium: nothing starts it by itself.
const Loopback Platform = "loopback"

// grub reads the menus that GRUB 2 starts with in this volume.
func (x *finder) grub() {
	for _, c := range x.configs {
		if c.Root && c.File.Format() == bootcfg.Legacy {
			f := x.firmware(x.platform(c.Path), c.Path)
			f.Config = f.Prefix + "/" + path.Base(c.Path)
			m := x.grubMenu(grubscript.EvaluateLegacy(f), x.platform(c.Path), x.volume.Prefix+c.Path, false)
			if m != nil {
				m.Loader = Legacy
			}
			x.merge(m)
		}
		if !c.Root || c.File.Format() != bootcfg.GRUB {
			continue
		}
		for _, p := range x.grubOn(c.Path) {
			if len(x.out) >= maxMenus {
				x.merge(&Menu{Loader: GRUB, Platforms: []Platform{p}, Root: x.volume.Prefix + c.Path, Start: Start{After: Forever}, Notes: []string{"there are more menus than this program looks at"}})
				continue
			}
			f := x.firmware(p, c.Path)
			f.Config = f.Prefix + "/" + path.Base(c.Path)
			x.merge(x.grubMenu(grubscript.Evaluate(f), p, x.volume.Prefix+c.Path, f.RedHat))
		}
	}
	if x.at != len(x.medium.Volumes)-1 {
		return
	}
	for _, script := range x.medium.Hints.Scripts {
		f := x.firmware(UEFI, "EFI/BOOT/grub.cfg")
		f.Embedded = []byte(script)
		if m := x.grubMenu(grubscript.Evaluate(f), UEFI, "", f.RedHat); m != nil && len(m.Files) > 0 {
			m.Root = m.Files[0]
			x.merge(m)
		}
	}
}

// grubOn lists where a GRUB that reads a file may run.
func (x *finder) grubOn(name string) []Platform {
	low := strings.ToLower(name)
	switch {
	case path.Base(low) == "loopback.cfg":
		return []Platform{Loopback}
	case x.platform(name) != BIOS:
		return []Platform{x.platform(name)}
	case strings.Contains(low, "i386-pc"):
		return []Platform{BIOS}
	case len(x.medium.Hints.Syslinux) > 0:
		return []Platform{UEFI}
	}
	var out []Platform
	if len(x.medium.Hints.GRUB) > 0 {
		out = append(out, BIOS)
	}
	if _, dir, err := x.volume.Files.Lookup("EFI"); err == nil && dir || len(x.medium.Volumes) > 1 {
		out = append(out, UEFI)
	}
	if len(out) == 0 {
		out = append(out, BIOS)
	}
	return out
}

// deviceName is what GRUB calls a volume.
func deviceName(i int) string {
	if i == 0 {
		return "cd0"
	}
	return fmt.Sprintf("hd%d", i-1)
}

// firmware is what GRUB finds when it starts from a file of this volume.
func (x *finder) firmware(p Platform, name string) grubscript.Firmware {
	dir := path.Dir(name)
	f := grubscript.Firmware{Platform: map[Platform]string{UEFI: "efi", PowerPC: "ieee1275"}[p], CPU: x.cpu(name), RedHat: x.redHat()}
	if f.Platform == "" {
		f.Platform, f.CPU = "pc", "i386"
	}
	f.Prefix = "(" + deviceName(x.at) + ")/" + dir
	f.Cmdpath = f.Prefix
	order := []int{x.at}
	for i := range x.medium.Volumes {
		if i != x.at {
			order = append(order, i)
		}
	}
	for _, i := range order {
		d := grubscript.Device{Name: deviceName(i), Volume: x.medium.Volumes[i].Files}
		if i == 0 {
			d.Label, d.UUID = x.medium.Label, x.medium.UUID
		}
		f.Devices = append(f.Devices, d)
	}
	return f
}

// cpu is what GRUB was built for, by the programs that are there.
func (x *finder) cpu(name string) string {
	if strings.Contains(name, "ppc64") || strings.Contains(name, "powerpc") {
		return "powerpc"
	}
	for file, cpu := range map[string]string{"BOOTAA64.EFI": "arm64", "BOOTRISCV64.EFI": "riscv64", "BOOTLOONGARCH64.EFI": "loongarch64"} {
		for _, v := range x.medium.Volumes {
			if _, dir, err := v.Files.Lookup("EFI/BOOT/" + file); err == nil && !dir {
				return cpu
			}
		}
	}
	return "x86_64"
}

// redHat reports a medium whose GRUB has the changes of Red Hat's.
func (x *finder) redHat() bool {
	for _, name := range []string{".discinfo", ".treeinfo", "EFI/fedora", "EFI/redhat", "EFI/centos", "EFI/rocky", "EFI/almalinux", "images/install.img", "LiveOS/squashfs.img"} {
		if _, _, err := x.medium.Volumes[0].Files.Lookup(name); err == nil {
			return true
		}
	}
	return false
}

// merge adds a menu, or its platform to the one of the same file that starts the same.
func (x *finder) merge(m *Menu) {
	if m == nil {
		return
	}
	for _, o := range x.out {
		if o.Root == m.Root && o.Loader == m.Loader && o.Start.same(m.Start) && len(o.Entries) == len(m.Entries) {
			o.Platforms = append(o.Platforms, m.Platforms...)
			return
		}
	}
	x.out = append(x.out, m)
}

// grubMenu is what a start of GRUB gives.
func (x *finder) grubMenu(r *grubscript.Result, p Platform, root string, redHat bool) *Menu {
	g := &grubReader{x: x, r: r, redHat: redHat, made: map[*grubscript.Entry]*Entry{}}
	g.m = &Menu{Loader: GRUB, Platforms: []Platform{p}, Root: root, grub: r, loads: map[*grubscript.Load]*Entry{}, paths: map[*Entry][]*grubscript.Entry{}}
	for _, s := range r.Files {
		g.m.Files = appendOnce(g.m.Files, g.file(s))
	}
	if len(g.m.Files) == 0 {
		return nil
	}
	for _, menu := range r.Menus {
		g.entries(menu, nil, nil, []string{menu.File})
	}
	g.start(r.Start)
	for _, rm := range r.Remarks[:min(len(r.Remarks), maxNotes)] {
		g.m.Notes = append(g.m.Notes, rm.String())
	}
	return g.m
}

const maxNotes = 12

// maxMenus bounds how many menus of one volume are evaluated. Media have a handful.
const maxMenus = 32

type grubReader struct {
	x      *finder
	r      *grubscript.Result
	m      *Menu
	redHat bool
	made   map[*grubscript.Entry]*Entry
}

// file is the path of a source with the prefix of its volume.
func (g *grubReader) file(s *grubscript.Source) string {
	if s == nil {
		return g.m.Root
	}
	for i, v := range g.x.medium.Volumes {
		if s.Device == deviceName(i) {
			return v.Prefix + strings.TrimPrefix(s.Name, "/")
		}
	}
	if s.Name == "" {
		return g.m.Root
	}
	return "(" + s.Device + ")/" + s.Name
}

// entries adds those of a menu, and of the menus below; open are the files of those around.
func (g *grubReader) entries(menu *grubscript.Menu, around []string, above []*grubscript.Entry, open []string) {
	if menu == nil || len(open) > maxNesting {
		return
	}
	for _, e := range menu.Entries {
		if g.made[e] != nil || len(g.m.Entries) >= maxEntries {
			continue
		}
		x := &Entry{File: g.file(e.Span.Source), Line: e.Span.Line(), Title: e.Title, Menus: around, Kind: Nothing}
		if e.ID != e.Title {
			x.ID = e.ID
		}
		g.made[e] = x
		here := append(above[:len(above):len(above)], e)
		g.m.paths[x] = here
		g.m.Entries = append(g.m.Entries, x)
		for i, b := range e.Boots {
			if i == 0 {
				g.boot(x, b)
			}
			if b.Action == grubscript.Opens && b.Menu != nil && (e.Submenu || !slices.Contains(open, b.Menu.File)) {
				g.entries(b.Menu, append(around[:len(around):len(around)], e.Title), here, append(open[:len(open):len(open)], b.Menu.File))
			}
		}
	}
}

// boot says what an entry does.
func (g *grubReader) boot(x *Entry, b *grubscript.Boot) {
	switch b.Action {
	case grubscript.Opens:
		x.Kind = Submenu
	case grubscript.Exits:
		x.Kind = Local
	}
	kernel := b.Kernel
	if kernel == nil {
		for _, l := range b.Missing() {
			if kernel == nil && (strings.HasPrefix(l.Command, "linux") || strings.HasPrefix(l.Command, "multiboot")) {
				kernel = l
			}
		}
	}
	if kernel == nil {
		return
	}
	x.Kernel, x.Args = "/"+kernel.Path, kernel.Cmdline(g.redHat)
	g.load(kernel, x)
	switch {
	case strings.HasPrefix(kernel.Command, "linux"), kernel.Command == "kernel": // GRUB legacy has no other word
		x.Kind = Linux
	case strings.HasPrefix(kernel.Command, "multiboot"), kernel.Command == "xen_hypervisor":
		x.Kind = Multiboot
		g.module(x, b)
	default:
		x.Kind = Chain
	}
	for _, l := range b.Initrds {
		x.Initrds = append(x.Initrds, "/"+l.Path)
	}
}

// module takes the first module that is a kernel by its name for what a hypervisor starts.
func (g *grubReader) module(x *Entry, b *grubscript.Boot) {
	i := slices.IndexFunc(b.Modules, func(l *grubscript.Load) bool { return bootcfg.KernelName(l.Path) })
	for k, l := range b.Modules {
		if k != i {
			x.Initrds = append(x.Initrds, "/"+l.Path)
		}
	}
	if i < 0 {
		return
	}
	x.Hypervisor = strings.TrimSpace(x.Kernel + " " + x.Args)
	x.Kernel, x.Args = "/"+b.Modules[i].Path, b.Modules[i].Cmdline(g.redHat)
	for l, o := range g.m.loads {
		if o == x {
			delete(g.m.loads, l)
		}
	}
	g.load(b.Modules[i], x)
}

// load notes which command has the arguments of an entry.
func (g *grubReader) load(l *grubscript.Load, x *Entry) {
	if x.Line > 0 { // one of a menu
		g.m.loads[l] = x
	}
}

// start says what starts by itself.
func (g *grubReader) start(s *grubscript.Start) {
	g.m.Start = g.one(s)
	if s == nil {
		return
	}
	for _, o := range s.Others {
		if other := g.one(o); !other.same(g.m.Start) {
			g.m.Start.Unsure = "under other conditions " + other.String()
			if c := conditions(s); c != "" {
				g.m.Start.Unsure = "as long as " + c + "; else " + other.String()
			}
			return
		}
	}
	switch {
	case s.Unsure != "":
		g.m.Start.Unsure = s.Unsure
	case s.Note == "" || !g.m.Start.Waits():
	case !s.Certain:
		g.m.Start.Unsure = s.Note
	case s.Boot == nil: // which waits anyway
		g.m.Notes = append(g.m.Notes, s.Note)
	default:
		g.m.Start.Fails = s.Note
	}
}

func conditions(s *grubscript.Start) string {
	var out []string
	for _, c := range s.Conditions[:min(2, len(s.Conditions))] {
		out = append(out, c.String())
	}
	return strings.Join(out, " and ")
}

func (g *grubReader) one(s *grubscript.Start) (out Start) {
	out.After = Forever
	if s == nil {
		return out
	}
	if len(s.Path) > 0 {
		for _, e := range s.Path { // the last one that is listed
			if x := g.made[e]; x != nil {
				out.Entry = x
			}
		}
	} else if s.Kind == grubscript.Waits && len(g.r.Menus) > 0 && g.r.Menus[0].Default < len(g.r.Menus[0].Entries) {
		out.Entry = g.made[g.r.Menus[0].Entries[g.r.Menus[0].Default]] // the mark is on it
	}
	if s.Kind == grubscript.Starts || s.Kind == grubscript.Leaves {
		out.After = s.Seconds * 10
	}
	switch {
	case s.Boot != nil && s.Kind != grubscript.Waits:
		var x Entry
		g.boot(&x, s.Boot)
		out.Kind, out.Kernel, out.Args, out.Initrds = x.Kind, x.Kernel, x.Args, x.Initrds
	case out.Entry != nil:
		out.Kind, out.Kernel, out.Args, out.Initrds = out.Entry.Kind, out.Entry.Kernel, out.Entry.Args, out.Entry.Initrds
	}
	return out
}
