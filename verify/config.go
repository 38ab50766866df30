package verify

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// The limits on boot configurations: real ones have some dozens of files of a few KiB.
const (
	maxConfigs    = 64
	maxConfigSize = 1 << 20
	maxLinks      = 40 // symbolic links in a path, as Linux has it
)

// configs are the files that loaders read first; of isolinux's only the first
// one that is there.
var configs = []struct {
	scan    func(*scanner, string, []string)
	first   bool
	pattern []string
}{
	{(*scanner).syslinux, true, []string{
		"/boot/isolinux/isolinux.cfg", "/isolinux/isolinux.cfg", "/isolinux.cfg", "/boot/syslinux/isolinux.cfg",
		"/boot/isolinux/syslinux.cfg", "/isolinux/syslinux.cfg", "/boot/syslinux/syslinux.cfg", "/syslinux/syslinux.cfg", "/syslinux.cfg",
	}},
	{(*scanner).grub, false, []string{"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/EFI/BOOT/grub.cfg"}},
	{(*scanner).loaderEntry, false, []string{"/loader/entries/*.conf"}},
}

// bootFiles checks that what boot configurations name is there. It knows their
// commands only as far as needed for that and passes over what holds a variable.
func (c *checker) bootFiles() (string, error) {
	if c.merged == nil {
		return "", nil
	}
	labels, ids, err := c.fatNames()
	if err != nil {
		return "", err
	}
	labels = append(labels, c.img.Primary().VolumeID())
	if d := c.img.Descriptor(iso9660.Joliet); d != nil {
		labels = append(labels, d.VolumeID())
	}
	ids = append(ids, c.img.Primary().Modified().UUID())
	s := &scanner{c: c, t: c.merged, labels: labels, ids: ids, seen: map[*tree.Node]bool{}, told: map[string]bool{}}
	for _, g := range configs {
		found := false
		for _, name := range s.expand(g.pattern) {
			if found = s.file(name, g.scan); found && g.first {
				break
			}
		}
		if g.first && !found && s.err == nil {
			c.noConfig()
		}
	}
	if s.err != nil || len(s.seen) == 0 {
		return "", s.err
	}
	return fmt.Sprintf("%d configurations, %d files and %d names referred to", len(s.seen), s.files, s.names), nil
}

// noConfig reports an isolinux that has nothing to read.
func (c *checker) noConfig() {
	if c.equip.Catalog == nil {
		return
	}
	for _, en := range c.equip.Catalog.Entries {
		if en.Bootable && en.Image.Loader == boot.LoaderIsolinux {
			c.at(Problem, en.LBA.Offset(), "isolinux has no configuration: there is no isolinux.cfg or syslinux.cfg where it looks")
			return
		}
	}
}

// scanner reads the boot configurations of one image.
type scanner struct {
	c           *checker
	t           *tree.Tree
	labels, ids []string
	seen        map[*tree.Node]bool // configurations read
	told        map[string]bool
	files       int // paths looked up
	names       int // labels and UUIDs looked up
	err         error
}

// expand lists the names that end in a pattern of this tree.
func (s *scanner) expand(patterns []string) []string {
	var out []string
	for _, p := range patterns {
		dir, base := path.Split(p)
		n := s.lookup(dir)
		if !strings.Contains(base, "*") || n == nil {
			out = append(out, p)
			continue
		}
		for _, child := range n.Children {
			if ok, _ := path.Match(base, child.Name); ok { // the patterns are ours and well-formed
				out = append(out, dir+child.Name)
			}
		}
	}
	return out
}

// lookup finds a path as loaders do: in any case, following links. nil: not there.
func (s *scanner) lookup(name string) *tree.Node {
	n, links := s.t.Root, 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			if n.Parent != nil {
				n = n.Parent
			}
			continue
		}
		next := n.Child(part)
		if next == nil {
			i := slices.IndexFunc(n.Children, func(c *tree.Node) bool { return strings.EqualFold(c.Name, part) })
			if i < 0 {
				return nil
			}
			next = n.Children[i]
		}
		if !next.IsLink() {
			n = next
			continue
		}
		if links++; links > maxLinks {
			return nil
		}
		if strings.HasPrefix(next.Link, "/") {
			n = s.t.Root
		}
		rest = append(strings.Split(next.Link, "/"), rest...)
	}
	return n
}

// file scans a configuration, once, and tells whether it is there.
func (s *scanner) file(name string, scan func(*scanner, string, []string)) bool {
	n := s.lookup(name)
	if n == nil || !n.IsRegular() || s.err != nil {
		return false
	}
	if s.seen[n] || len(s.seen) == maxConfigs {
		return true
	}
	s.seen[n] = true
	for _, e := range n.Found {
		if e == nil {
			continue
		}
		r, size, err := s.c.img.Open(e)
		if err != nil {
			return true // it is out of range, which another check tells
		}
		b, err := io.ReadAll(io.NewSectionReader(r, 0, min(size, maxConfigSize)))
		if err != nil && !damage(err) {
			s.err = fmt.Errorf("read %s: %w", name, err)
			return true
		}
		scan(s, name, strings.Split(string(b), "\n"))
		break
	}
	return true
}

// need reports a file that is not there. Names with variables, devices or
// protocols are no paths of this image.
func (s *scanner) need(sev Severity, from string, line int, what, name string, suffixes ...string) {
	if name == "" || strings.ContainsAny(name, "$()*{}") || strings.Contains(name, "::") || strings.Contains(name, "://") {
		return
	}
	s.files++
	for _, suffix := range append(suffixes, "") {
		if n := s.lookup(name + suffix); n != nil && !n.IsDir() {
			return
		}
	}
	s.tell(sev, from, line, "%s %s is not in the image", what, name)
}

func (s *scanner) tell(sev Severity, from string, line int, format string, args ...any) {
	text := fmt.Sprintf("line %d: ", line+1) + fmt.Sprintf(format, args...)
	if key := from + text; !s.told[key] && len(s.told) < maxFindings {
		s.told[key] = true
		s.c.path(sev, literal(from), "%s", text)
	}
}

// syslinux scans a configuration of isolinux and what it includes. Paths are
// relative to the directory of the first one.
func (s *scanner) syslinux(name string, lines []string) {
	s.syslinuxIn(path.Dir(name), name, lines)
}

func (s *scanner) syslinuxIn(dir, name string, lines []string) {
	abs := func(p string) string {
		if p == "" || strings.HasPrefix(p, "/") {
			return p
		}
		return path.Join(dir, p)
	}
	for i, line := range lines {
		f := strings.Fields(line)
		if len(f) > 2 && strings.EqualFold(f[0], "menu") && strings.EqualFold(f[1], "include") {
			f = f[1:]
		}
		if len(f) < 2 {
			continue
		}
		switch strings.ToLower(f[0]) {
		case "kernel", "linux", "com32", "boot", "bss", "fdimage":
			s.need(Problem, name, i, "kernel", abs(f[1]), ".cbt", ".0", ".com", ".c32", ".img", ".bss", ".bin")
		case "initrd":
			s.initrds(name, i, abs, f[1])
		case "append":
			for _, a := range f[1:] {
				if v, ok := strings.CutPrefix(a, "initrd="); ok {
					s.initrds(name, i, abs, v)
				}
			}
			s.arguments(name, i, f[1:])
		case "include", "config":
			s.need(Problem, name, i, "configuration", abs(f[1]))
			s.file(abs(f[1]), func(s *scanner, n string, l []string) { s.syslinuxIn(dir, n, l) })
		}
	}
}

func (s *scanner) initrds(name string, line int, abs func(string) string, list string) {
	for p := range strings.SplitSeq(list, ",") {
		s.need(Problem, name, line, "initrd", abs(p))
	}
}

// grubWord matches a word of GRUB's language, with its quotes.
var grubWord = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\;])+|;`)

// grub scans a configuration of GRUB and those it leads to. Below a "set root" or
// a search within a menu entry, paths are those of another device, as far as we know.
func (s *scanner) grub(name string, lines []string) {
	depth, elsewhere := 0, false
	for i, line := range lines {
		var f []string
		for _, w := range grubWord.FindAllString(line, -1) {
			f = append(f, strings.NewReplacer(`\ `, " ", `'`, "", `"`, "").Replace(w))
		}
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		switch cmd := f[0]; cmd {
		case "menuentry", "submenu":
			elsewhere = false
		case "set":
			elsewhere = elsewhere || len(f) > 1 && strings.HasPrefix(f[1], "root=")
		case "search", "search.fs_label", "search.fs_uuid":
			elsewhere = s.search(name, i, f, depth > 0)
		default:
			if !elsewhere && len(f) > 1 {
				s.grubFiles(name, i, f)
			}
		}
		depth += strings.Count(line, "{") - strings.Count(line, "}")
	}
}

// grubFiles checks the files that a command names.
func (s *scanner) grubFiles(name string, line int, f []string) {
	switch f[0] {
	case "linux", "linuxefi", "linux16":
		s.absolute(name, line, "kernel", f[1])
		s.arguments(name, line, f[2:])
	case "initrd", "initrdefi", "initrd16":
		for _, p := range f[1:] {
			s.absolute(name, line, "initrd", p)
		}
	case "configfile", "source", ".":
		if strings.HasPrefix(f[1], "/") {
			s.file(f[1], (*scanner).grub)
		}
	}
}

func (s *scanner) absolute(name string, line int, what, p string) {
	if strings.HasPrefix(p, "/") {
		s.need(Problem, name, line, what, p)
	}
}

// search checks the label or UUID that a search is for, and tells whether the
// paths behind it are those of another device. In a menu entry the search may be
// for an installed system.
func (s *scanner) search(name string, line int, f []string, inEntry bool) (elsewhere bool) {
	kind, value := strings.TrimPrefix(strings.TrimPrefix(f[0], "search"), ".fs_"), ""
	for i, w := range f[1:] {
		switch {
		case w == "-l" || w == "--label":
			kind = "label"
		case w == "-u" || w == "--fs-uuid":
			kind = "uuid"
		case w == "-f" || w == "--file":
			kind = "file"
		case !strings.HasPrefix(w, "-") && value == "" && f[i] != "--set" && f[i] != "--hint":
			value = w
		}
	}
	sev := Problem
	if inEntry {
		sev = Notice
	}
	switch {
	case value == "" || strings.ContainsAny(value, "$%{}"):
		return true
	case kind == "label" || kind == "uuid":
		return !s.known(sev, name, line, kind, value)
	}
	return s.lookup(value) == nil
}

// known looks up a label or UUID and reports one that nothing in the image has.
func (s *scanner) known(sev Severity, name string, line int, kind, value string) bool {
	if strings.ContainsAny(value, "$%{}") {
		return true
	}
	s.names++
	list := s.labels
	if kind == "uuid" {
		list = s.ids
	}
	if slices.ContainsFunc(list, func(have string) bool { return have == value || kind == "uuid" && strings.EqualFold(have, value) }) {
		return true
	}
	s.tell(sev, name, line, "looks for the %s %q, the image has %q", kind, value, list)
	return false
}

// escape matches a byte as udev writes those of labels.
var escape = regexp.MustCompile(`\\x[0-9a-fA-F]{2}`)

// labelArgs are the kernel arguments that name the installation medium by label.
var labelArgs = regexp.MustCompile(`^(?:inst\.stage2=|inst\.repo=|stage2=|repo=|root=live:)(?:hd:|cdrom:)?(?:CD)?LABEL=([^:/]*)`)

// arguments checks labels and UUIDs on a kernel's command line.
func (s *scanner) arguments(name string, line int, args []string) {
	for _, a := range args {
		if m := labelArgs.FindStringSubmatch(a); m != nil {
			s.known(Problem, name, line, "label", unescape(m[1]))
		}
		if v, ok := strings.CutPrefix(a, "archisolabel="); ok {
			s.known(Problem, name, line, "label", unescape(v))
		}
		if v, ok := strings.CutPrefix(a, "archisosearchuuid="); ok {
			s.known(Problem, name, line, "uuid", v)
		}
	}
}

func unescape(s string) string {
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		n, _ := strconv.ParseUint(e[2:], 16, 8) // the expression lets nothing else through
		return string([]byte{byte(n)})
	})
}

// loaderEntry scans an entry of systemd-boot. That loader reads the EFI system
// partition, which may hold more than the tree: what is missing is a notice.
func (s *scanner) loaderEntry(name string, lines []string) {
	for i, line := range lines {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch strings.ToLower(f[0]) {
		case "linux", "initrd", "efi":
			s.need(Notice, name, i, f[0], f[1])
		case "options":
			s.arguments(name, i, f[1:])
		}
	}
}
