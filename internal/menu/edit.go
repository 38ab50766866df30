package menu

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// Set are the configurations of one volume, to be edited.
type Set struct {
	Volume
	Configs []*bootcfg.Config
	Added   map[string][]byte // new files

	before map[*bootcfg.Config][]byte
}

// Edit is a change of the menus of a medium. What it did is compared with what was wanted
// by looking at the menus before and after, as the loaders see them.
type Edit struct {
	Sets []*Set
	// Changes counts, by file with its prefix, in how many places it changed.
	Changes map[string]int
	// Warnings say what was wanted and could not be done.
	Warnings []string

	medium Medium
	menus  []*Menu // before, once asked for
	read   bool
	seen   map[[sha256.Size]byte][]*Menu // menus by the texts that differ
	left   int                           // edits of GRUB's to be tried
}

// Begin finds the configurations of a medium.
func Begin(m Medium) (*Edit, error) {
	e := &Edit{medium: m, Changes: map[string]int{}, seen: map[[sha256.Size]byte][]*Menu{}, left: maxTries}
	for _, v := range m.Volumes {
		configs, err := bootcfg.Find(v.Files, m.Hints)
		if err != nil {
			return nil, fmt.Errorf("%s%w", strings.TrimPrefix(v.Prefix, "/"), err)
		}
		s := &Set{Volume: v, Configs: configs, Added: map[string][]byte{}, before: map[*bootcfg.Config][]byte{}}
		for _, c := range configs {
			s.before[c] = c.File.Bytes()
		}
		e.Sets = append(e.Sets, s)
	}
	return e, nil
}

// Changed returns the texts that differ from what was found, by path, new files included.
func (s *Set) Changed() map[string][]byte {
	out := map[string][]byte{}
	for p, text := range s.Added {
		out[p] = text
	}
	for _, c := range s.Configs {
		if text := c.File.Bytes(); !bytes.Equal(text, s.before[c]) {
			out[c.Path] = text
		}
	}
	return out
}

// Starts reports whether any configuration starts a kernel.
func (e *Edit) Starts() bool {
	menus, err := e.Before()
	written := func(x *Entry) bool { // unlike one that is a program, such as a unified kernel image
		_, c := e.config(x.File)
		return x.Boots() && c != nil
	}
	if err == nil && slices.ContainsFunc(menus, func(m *Menu) bool { return slices.ContainsFunc(m.Entries, written) }) {
		return true
	}
	return slices.ContainsFunc(e.Sets, func(s *Set) bool {
		return slices.ContainsFunc(s.Configs, func(c *bootcfg.Config) bool {
			return slices.ContainsFunc(c.File.Entries(), (*bootcfg.MenuEntry).Boots)
		})
	})
}

// Before returns the menus as they were found.
func (e *Edit) Before() ([]*Menu, error) {
	if e.read {
		return e.menus, nil
	}
	list, err := Read(e.medium)
	if err == nil {
		e.menus, e.read = list, true
		e.seen[sha256.Sum256(nil)] = list
	}
	return list, err
}

// After returns the menus as the edits left them.
func (e *Edit) After() ([]*Menu, error) {
	m := e.medium
	m.Volumes = nil
	h := sha256.New()
	for i, s := range e.Sets {
		now := s.Changed()
		m.Volumes = append(m.Volumes, s.Volume.Over(now))
		for _, p := range slices.Sorted(maps.Keys(now)) {
			fmt.Fprintf(h, "%d %q %q\n", i, p, now[p])
		}
	}
	key := [sha256.Size]byte(h.Sum(nil))
	if list, ok := e.seen[key]; ok {
		return list, nil
	}
	list, err := Read(m)
	if err == nil {
		e.seen[key] = list
	}
	return list, err
}

// note counts changed places of a file.
func (e *Edit) note(s *Set, p string, n int) {
	if n > 0 {
		e.Changes[s.Prefix+p] = max(e.Changes[s.Prefix+p], n)
	}
}

// warn notes something that could not be done, once.
func (e *Edit) warn(format string, args ...any) {
	e.Warnings = appendOnce(e.Warnings, fmt.Sprintf(format, args...))
}

// Every edits every configuration.
func (e *Edit) Every(edit func(*bootcfg.File) (int, error)) error {
	for _, s := range e.Sets {
		for _, c := range s.Configs {
			n, err := edit(c.File)
			if err != nil {
				return fmt.Errorf("%s%s: %w", s.Prefix, c.Path, err)
			}
			e.note(s, c.Path, n)
		}
	}
	return nil
}

// family are the configurations of one menu, the one that its loader reads first in front.
type family struct {
	set   *Set
	files []*bootcfg.Config
}

// families groups configurations by what leads to them. A root that its own includes name
// again is one all the same.
func (s *Set) families() (out []family) {
	covered := map[*bootcfg.Config]bool{}
	grow := func(root *bootcfg.Config) {
		f := family{s, []*bootcfg.Config{root}}
		for i := 0; i < len(f.files); i++ {
			for _, c := range s.Configs {
				if slices.Contains(c.Parents, f.files[i]) && !slices.Contains(f.files, c) {
					f.files = append(f.files, c)
				}
			}
		}
		for _, c := range f.files {
			covered[c] = true
		}
		out = append(out, f)
	}
	for _, c := range s.Configs {
		if len(c.Parents) == 0 {
			grow(c)
		}
	}
	for _, c := range s.Configs { // cycles
		if c.Root && !covered[c] {
			grow(c)
		}
	}
	for _, c := range s.Configs {
		if !covered[c] {
			grow(c)
		}
	}
	return out
}

func (f family) root() *bootcfg.Config  { return f.files[0] }
func (f family) format() bootcfg.Format { return f.root().File.Format() }

// has reports whether any of a family is like that.
func (f family) has(like func(*bootcfg.File) bool) bool {
	return slices.ContainsFunc(f.files, func(c *bootcfg.Config) bool { return like(c.File) })
}

// menu reports a family that shows a menu, or may.
func (f family) menu() bool {
	return !f.root().Swept && f.format() != bootcfg.Parm &&
		(f.format() == bootcfg.Entry || f.has(func(c *bootcfg.File) bool { return len(c.Entries()) > 0 }))
}

// menuFamilies lists those of all volumes.
func (e *Edit) menuFamilies() (out []family) {
	for _, s := range e.Sets {
		for _, f := range s.families() {
			if f.menu() {
				out = append(out, f)
			}
		}
	}
	return out
}

// allFamilies lists also those that nobody is known to lead to.
func (e *Edit) allFamilies() (out []family) {
	for _, s := range e.Sets {
		for _, f := range s.families() {
			if f.format() != bootcfg.Parm {
				out = append(out, f)
			}
		}
	}
	return out
}

// config finds a file by its path with the prefix.
func (e *Edit) config(name string) (*Set, *bootcfg.Config) {
	for _, s := range e.Sets {
		for _, c := range s.Configs {
			if s.Prefix+c.Path == name {
				return s, c
			}
		}
	}
	return nil, nil
}

// title says which menu a message is about.
func (m *Menu) String() string { return fmt.Sprintf("%s (%s, %s)", m.On(), m.Loader, m.Root) }

// loaderConf is the file that says how systemd-boot starts; without it, where it would be.
func (s *Set) loaderConf() (*bootcfg.Config, string) {
	dir := "loader"
	for _, c := range s.Configs {
		if strings.EqualFold(path.Base(c.Path), "loader.conf") && c.File.Format() == bootcfg.Entry {
			return c, c.Path
		}
		if c.File.Format() == bootcfg.Entry && strings.EqualFold(path.Base(path.Dir(c.Path)), "entries") {
			dir = path.Dir(path.Dir(c.Path))
		}
	}
	return nil, path.Join(dir, "loader.conf")
}

// Timeout sets after how many seconds menus start their default entry; 0 at once, negative
// never.
func (e *Edit) Timeout(seconds int) error {
	for _, f := range e.allFamilies() {
		force := f.menu() && !f.has((*bootcfg.File).HasTimeout) && f.format() != bootcfg.Entry
		for i, c := range f.files {
			e.note(f.set, c.Path, c.File.Timeout(seconds, force && i == 0))
		}
	}
	for _, s := range e.Sets {
		e.loaderTime(s, seconds)
	}
	if err := e.prompts(seconds); err != nil {
		return err
	}
	if err := e.grubTimes(seconds); err != nil {
		return err
	}
	after, err := e.After()
	if err != nil {
		return err
	}
	for _, m := range after {
		if !m.timed(seconds) {
			e.warn("%s: the time stays as it is: %s", m, m.Start)
		}
	}
	return nil
}

// loaderTime gives systemd-boot's loader.conf a time where it has none, or makes one.
func (e *Edit) loaderTime(s *Set, seconds int) {
	has := slices.ContainsFunc(s.Configs, func(c *bootcfg.Config) bool {
		return c.File.Format() == bootcfg.Entry && len(c.File.Entries()) > 0
	})
	c, name := s.loaderConf()
	switch {
	case c != nil && !c.File.HasTimeout():
		e.note(s, c.Path, c.File.Timeout(seconds, true))
	case c == nil && has:
		text := "timeout menu-force\n"
		if seconds >= 0 {
			text = "timeout " + strconv.Itoa(seconds) + "\n"
		}
		s.Added[name] = []byte(text)
		e.note(s, name, 1)
	}
}

// prompts lets syslinux wait where its default starts at once: TIMEOUT is the time of a
// prompt or a menu.
func (e *Edit) prompts(seconds int) error {
	if seconds == 0 {
		return nil
	}
	after, err := e.After()
	if err != nil {
		return err
	}
	for _, m := range after {
		if s, c := e.config(m.Root); m.Loader == Syslinux && m.Start.After == 0 && c != nil && !m.timed(seconds) {
			e.note(s, c.Path, c.File.Prompt())
		}
	}
	return nil
}

// timed reports whether a menu starts after that many seconds; one without entries, or that
// nothing is known of, is not asked.
func (m *Menu) timed(seconds int) bool {
	s := m.Start
	if m.aside() || m.Loader == Zipl || m.Loader == BSD {
		return true
	}
	if m.grub != nil && len(m.grub.Menus) > 0 { // what it starts may wait or fail
		return m.grub.Menus[0].Timeout == max(seconds, -1)
	}
	switch {
	case seconds < 0:
		return s.Waits()
	case s.Waits():
		return false
	case seconds == 0:
		return s.After <= 1
	}
	return s.After >= seconds*10
}

// aside reports a menu that starts nothing by itself: one without entries, or for another
// loader.
func (m *Menu) aside() bool { return len(m.Entries) == 0 || slices.Contains(m.Platforms, Loopback) }

// Kargs changes the arguments of every entry that starts a kernel. Entries that do not
// have what was wanted are named in warnings.
func (e *Edit) Kargs(changes []bootcfg.Karg, edit func(*bootcfg.File) (int, error)) error {
	if err := e.Every(edit); err != nil {
		return err
	}
	if err := e.grubKargs(changes); err != nil {
		return err
	}
	after, err := e.After()
	if err != nil {
		return err
	}
	for _, m := range after {
		for _, k := range changes {
			e.lacking(m, k)
		}
	}
	return nil
}

// lacking warns of entries that are not as a change wants them.
func (e *Edit) lacking(m *Menu, k bootcfg.Karg) {
	var names []string
	for _, x := range m.Entries {
		if k.Xen {
			if _, args := cut(x.Hypervisor); x.Hypervisor != "" && !k.Holds(args) {
				names = append(names, fmt.Sprintf("%q (%s:%d)", x.Name(), x.File, x.Line))
			}
			continue
		}
		if x.Boots() && m.Loader != BSD && !k.Holds(x.Args) && takesArguments(x) {
			names = append(names, fmt.Sprintf("%q (%s:%d)", x.Name(), x.File, x.Line))
		}
	}
	if s := m.Start; s.Entry == nil && s.Boots() && !k.Xen && !k.Holds(s.Args) {
		names = append(names, fmt.Sprintf("%q, which starts by itself", s.What()))
	}
	if len(names) == 0 {
		return
	}
	more := ""
	if len(names) > 4 {
		names, more = names[:4], fmt.Sprintf(" and %d more", len(names)-4)
	}
	e.warn("%s: %s is not done in %s%s: what they start is not written there", m, k, strings.Join(names, ", "), more)
}

// takesArguments reports an entry whose kernel may be given arguments: memory tests and the
// like are none, by their names, and kernels inside of programs have theirs in themselves.
func takesArguments(x *Entry) bool {
	return bootcfg.TakesArguments(x.Kernel) && !strings.HasSuffix(strings.ToLower(x.File), ".efi")
}

// Summary says, loader by loader, what starts by itself before and after.
func Summary(before, after []*Menu) (out []string) {
	for _, m := range after {
		if m.aside() {
			continue
		}
		was := "nothing"
		for _, b := range before {
			if b.Root == m.Root && b.Loader == m.Loader {
				was = b.Start.tries()
			}
		}
		now := m.Start.tries()
		text := fmt.Sprintf("%s (%s): %s", m.On(), m.Loader, now)
		if was == now {
			text += ", unchanged"
		} else {
			text += ", was: " + was
		}
		out = appendOnce(out, text)
	}
	return out
}

// tries is the start in words, without a file that is not there: that is not the edit's affair.
func (s Start) tries() string {
	if s.Kind != "" {
		s.Fails = ""
	}
	return s.String()
}

// Unknown names the loaders of the medium that are known by their files but not understood,
// as the end of a message; empty without one.
func (e *Edit) Unknown() string {
	menus, err := e.Before()
	if err != nil {
		return ""
	}
	var out []string
	for _, m := range menus {
		out = append(out, fmt.Sprintf("%s (%s)", m.Loader, m.Root))
	}
	for _, f := range foreign {
		for _, s := range e.Sets {
			if found, dir, err := s.Files.Lookup(f.path); err == nil && !dir {
				out = appendOnce(out, fmt.Sprintf("%s (%s%s)", f.loader, s.Prefix, found))
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; there is " + strings.Join(out, ", ")
}

// foreign are loaders whose configurations are not read.
var foreign = []struct{ path, loader string }{
	{"boot/bootsect.bin", "Windows"},
	{"bootmgr", "Windows"},
	{"bootmgr.efi", "Windows"},
	{"boot/etc/boot.conf", "OpenBSD's loader"},
	{"etc/boot.conf", "OpenBSD's loader"},
	{"boot.cfg", "NetBSD's or ESXi's loader"},
	{"yaboot.conf", "yaboot"},
	{"etc/yaboot.conf", "yaboot"},
	{"boot/silo.conf", "SILO"},
	{"boot/aboot.conf", "aboot"},
	{"efi/boot/elilo.conf", "elilo"},
	{"elilo.conf", "elilo"},
	{"boot/grub/menu.cfg", "GRUB4DOS"},
	{"grldr", "GRUB4DOS"},
	{"boot/cdboot", "the loader of FreeBSD"},
	{"EFI/CLOVER/config.plist", "Clover"},
	{"EFI/OC/config.plist", "OpenCore"},
	{"ventoy/ventoy.json", "Ventoy"},
	{"boot.ini", "Windows"},
	{"haiku_loader.bios_ia32", "Haiku"},
	{"platform/i86pc/kernel/amd64/unix", "the loader of illumos"},
	{"boot/extlinux.conf", "extlinux"},
	{"boot/boot.scr", "U-Boot"},
	{"boot.scr", "U-Boot"},
}
