package menu

import (
	"cmp"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/pe"
)

// programs is a volume whose EFI programs can be looked into.
type programs interface {
	At(name string) (io.ReaderAt, int64, error)
}

// loaderEntry is an entry of systemd-boot with what it is sorted by.
type loaderEntry struct {
	Entry
	id, sort, version, machine string
	machineType                string // that it is for
}

// readSystemd says what systemd-boot does with a volume: loader/loader.conf, entries in
// loader/entries, unified kernels in EFI/Linux.
func readSystemd(v Volume, dir string) *Menu {
	r := newReader(v)
	m := &Menu{Loader: SystemdBoot, Platforms: []Platform{UEFI}}
	var list []loaderEntry
	found, _, err := v.Files.Lookup(path.Join(dir, "entries"))
	if err == nil {
		names, _ := v.Files.List(found)
		for _, n := range names[:min(len(names), maxEntries)] {
			if e, ok := readLoaderEntry(r, path.Join(found, n)); ok {
				list = append(list, e)
			}
		}
	}
	list = append(list, unified(v)...)
	conf, text, ok := r.read(path.Join(dir, "loader.conf"))
	if !ok && len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, order)
	for i := range list {
		m.Entries = append(m.Entries, &list[i].Entry)
	}
	m.start(list, text)
	m.Files, m.Missing = r.files, nil
	if m.Root = v.Prefix + conf; !ok {
		m.Root = v.Prefix + path.Join(dir, "entries")
	}
	return m
}

// readLoaderEntry reads a boot loader entry; see the Boot Loader Specification, type #1.
func readLoaderEntry(r *reader, name string) (loaderEntry, bool) {
	base := strings.ToLower(path.Base(name))
	if !strings.HasSuffix(base, ".conf") || strings.HasPrefix(base, "auto-") || strings.HasPrefix(base, ".") {
		return loaderEntry{}, false
	}
	found, text, ok := r.read(name)
	if !ok {
		return loaderEntry{}, false
	}
	e := loaderEntry{id: path.Base(found)}
	e.File, e.ID, e.Kind = r.vol.Prefix+found, strings.TrimSuffix(e.id, path.Ext(e.id)), Nothing
	program := false // which gets no initrd, even if it is a kernel
	for line := range strings.Lines(text) {
		key, value := cut(strings.TrimRight(line, "\r\n"))
		switch key {
		case "title":
			e.Title = value
		case "linux":
			e.Kind, e.Kernel, program = Linux, value, false
		case "efi", "uki":
			if e.Kind = Chain; key == "uki" || linuxName(value) {
				e.Kind = Linux
			}
			e.Kernel, program = value, true
		case "initrd":
			e.Initrds = append(e.Initrds, value)
		case "options":
			e.Args = strings.TrimSpace(e.Args + " " + value)
		case "sort-key":
			e.sort = value
		case "version":
			e.version = value
		case "machine-id":
			e.machine = value
		case "architecture":
			e.machineType = value
		}
	}
	if program {
		e.Initrds = nil
	}
	return e, e.Kind != Nothing && architecture(e.machineType, r.vol)
}

// architecture reports whether an entry for some machine is shown by the loaders that are
// there: one is hidden where all are for others.
func architecture(name string, v Volume) bool {
	if name == "" {
		return true
	}
	any := false
	for program, cpu := range efiArchitectures {
		if _, dir, err := v.Files.Lookup("EFI/BOOT/" + program); err == nil && !dir {
			if any = true; strings.EqualFold(cpu, name) {
				return true
			}
		}
	}
	return !any && strings.EqualFold(name, "x64")
}

// efiArchitectures are UEFI's names of machines, by the program that starts by itself.
var efiArchitectures = map[string]string{
	"BOOTX64.EFI": "x64", "BOOTIA32.EFI": "ia32", "BOOTAA64.EFI": "aa64", "BOOTARM.EFI": "arm",
	"BOOTRISCV64.EFI": "riscv64", "BOOTLOONGARCH64.EFI": "loongarch64",
}

// linuxName reports an EFI program that is a kernel by its name.
func linuxName(p string) bool {
	b := strings.ToLower(path.Base(strings.ReplaceAll(p, `\`, "/")))
	return strings.HasPrefix(b, "vmlinuz") || strings.HasPrefix(b, "linux") || strings.HasPrefix(b, "bzimage")
}

// unified lists the programs in EFI/Linux that hold a kernel and its arguments.
func unified(v Volume) (out []loaderEntry) {
	p, ok := v.Files.(programs)
	found, _, err := v.Files.Lookup("EFI/Linux")
	if !ok || err != nil {
		return nil
	}
	names, _ := v.Files.List(found)
	for _, n := range names[:min(len(names), maxEntries)] {
		if !strings.EqualFold(path.Ext(n), ".efi") {
			continue
		}
		r, size, err := p.At(path.Join(found, n))
		if err != nil {
			continue
		}
		b, err := pe.Open(r, size)
		if err != nil || !b.Has(".linux") {
			continue
		}
		e := loaderEntry{id: n}
		e.File, e.ID, e.Title, e.Kind, e.Kernel = v.Prefix+path.Join(found, n), n, strings.TrimSuffix(n, path.Ext(n)), Linux, "/"+path.Join(found, n)
		if texts, err := b.Cmdlines(); err == nil {
			e.Args = strings.TrimSpace(strings.Join(texts, " "))
		}
		out = append(out, e)
	}
	return out
}

// order is that of the menu: those with a sort key in front, newer ones before older ones.
func order(a, b loaderEntry) int {
	if (a.sort == "") != (b.sort == "") {
		if a.sort != "" {
			return -1
		}
		return 1
	}
	if a.sort != "" {
		if c := cmp.Or(strings.Compare(a.sort, b.sort), strings.Compare(a.machine, b.machine), -compareVersions(a.version, b.version)); c != 0 {
			return c
		}
	}
	return -compareVersions(strings.ToLower(a.id), strings.ToLower(b.id))
}

// compareVersions orders strings as versions: runs of digits by value, a tilde before
// everything, letters by themselves. UAPI.10.
func compareVersions(a, b string) int {
	valid := func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("~-^.", c) >= 0
	}
	digits := func(s string) int {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		return n
	}
	for {
		for a != "" && !valid(a[0]) {
			a = a[1:]
		}
		for b != "" && !valid(b[0]) {
			b = b[1:]
		}
		for _, mark := range []byte("~-^.") {
			x, y := a != "" && a[0] == mark, b != "" && b[0] == mark
			switch {
			case x && y:
				a, b = a[1:], b[1:]
			case x != y && mark == '~', x != y && mark != '~' && (a == "" || b == ""):
				return sign(x != (mark == '~'))
			case x != y:
				return sign(y)
			}
		}
		switch {
		case a == "" && b == "":
			return 0
		case a == "":
			return -1
		case b == "":
			return 1
		}
		i, j := digits(a), digits(b)
		if i > 0 || j > 0 {
			if c := compareNumbers(a[:i], b[:j]); c != 0 {
				return c
			}
			a, b = a[i:], b[j:]
			continue
		}
		if c := cmp.Compare(a[0], b[0]); c != 0 {
			return c
		}
		a, b = a[1:], b[1:]
	}
}

func sign(more bool) int {
	if more {
		return 1
	}
	return -1
}

func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// start reads loader.conf: the last setting counts; without a time the default entry
// starts at once.
func (m *Menu) start(list []loaderEntry, text string) {
	pattern, wait := "", 0
	for line := range strings.Lines(text) {
		key, value := cut(strings.TrimRight(line, "\r\n"))
		switch key {
		case "default":
			pattern = value
		case "timeout":
			switch n, err := strconv.Atoi(value); {
			case value == "menu-force":
				wait = Forever
			case err == nil:
				wait = n * 10
			default: // menu-hidden, menu-disabled
				wait = 0
			}
		}
	}
	i := slices.IndexFunc(list, func(e loaderEntry) bool {
		return pattern != "" && glob(pattern, e.id)
	})
	if pattern == "@saved" {
		m.Start.Unsure = "the entry of the last start, where firmware remembers one"
	}
	if i < 0 && len(list) > 0 {
		i = 0
	}
	m.Start.After = wait
	if i < 0 {
		m.Start.After = Forever
		return
	}
	e := m.Entries[i]
	m.Start.Entry, m.Start.Kind, m.Start.Kernel, m.Start.Args, m.Start.Initrds = e, e.Kind, e.Kernel, e.Args, e.Initrds
}

// glob matches as systemd-boot does: in any case, with * ? and sets, and .conf is of the name.
func glob(pattern, name string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
	return err == nil && ok
}
