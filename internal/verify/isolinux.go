package verify

import (
	"bytes"
	"debug/elf"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/tree"
)

// isolinux is the version of that loader in the image, as its banner has it; zero where
// there is none, or several that differ.
type isolinux struct{ major, minor int }

// knows reports a version that is at least the given one.
func (v isolinux) knows(major, minor int) bool {
	return v.major > major || v.major == major && v.minor >= minor
}

const (
	maxLoader = 256 << 10
	maxModule = 4 << 20
	// dynamic is the version from which on modules are ELF files with libraries, and the
	// menu and the prompt are in one, ldlinux.c32.
	dynamic = 5
)

var banner = regexp.MustCompile(`ISOLINUX (\d)\.(\d\d)`)

// com32r begins a module of isolinux before version 5.
var com32r = []byte("\xb8\xfe\x4c\xcd\x21")

// loaderVersion reads the banners of the isolinux that firmware starts.
func (c *checker) loaderVersion() (v isolinux, err error) {
	if c.equip.Catalog == nil {
		return v, nil
	}
	for _, en := range c.equip.Catalog.Entries {
		if !en.Bootable || en.Image.Loader != boot.LoaderIsolinux {
			continue
		}
		b, err := c.in.read(en.LBA.Offset(), min(max(en.Image.Size, 4*sectorSize), maxLoader))
		if err != nil {
			return v, err
		}
		m := banner.FindSubmatch(b)
		if m == nil {
			return isolinux{}, nil
		}
		major, _ := strconv.Atoi(string(m[1])) // digits
		minor, _ := strconv.Atoi(string(m[2]))
		if this := (isolinux{major, minor}); v != (isolinux{}) && v != this {
			return isolinux{}, nil
		} else {
			v = this
		}
	}
	return v, nil
}

// parts checks what isolinux consists of: its core, and the modules that configurations name
// with the libraries that these need.
func (s *scanner) parts(list []*bootcfg.Config) error {
	if s.isolinux.major == 0 {
		return nil
	}
	dirs := append(slices.Clone(s.hints.Syslinux), "boot/isolinux", "isolinux", "boot/syslinux", "syslinux", ".")
	for _, cfg := range list {
		if cfg.File.Format() == bootcfg.Syslinux {
			dirs = append(dirs, cfg.Dir, path.Dir(cfg.Path))
			dirs = append(dirs, searchPath(cfg)...)
		}
	}
	if s.isolinux.major >= dynamic && s.locate(dirs, "ldlinux.c32") == "" {
		s.core()
	}
	for _, cfg := range list {
		if cfg.File.Format() != bootcfg.Syslinux || cfg.Swept {
			continue
		}
		for _, r := range append(cfg.File.Refs(), defaultOf(cfg)...) {
			found, v, _ := s.find(cfg, r, s.files)
			if r.Kind != bootcfg.RefKernel || found == "" || !strings.HasSuffix(strings.ToLower(found), ".c32") {
				continue
			}
			if err := s.module("/"+cfg.Path, r.Line, found, v, append([]string{path.Dir(found)}, dirs...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// core reports that ldlinux.c32 is not where isolinux looks for it. Some, as Slax's, are
// compiled to look elsewhere, too; that cannot be seen.
func (s *scanner) core() {
	at := ""
	// Walk ends only with an error of its function, which here has none.
	_ = s.files.Tree.Walk(func(n *tree.Node) error {
		if strings.EqualFold(n.Name, "ldlinux.c32") && n.IsRegular() {
			at = n.Path()
		}
		return nil
	})
	if at != "" {
		s.c.add(Notice, "isolinux %d.%02d does not start without ldlinux.c32, which is %s, where only a loader compiled for it looks", []any{s.isolinux.major, s.isolinux.minor, at}, Finding{})
		return
	}
	s.c.add(Problem, "isolinux %d.%02d does not start without ldlinux.c32, which is not in the image", []any{s.isolinux.major, s.isolinux.minor}, Finding{})
}

// searchPath returns the directories that PATH names.
func searchPath(cfg *bootcfg.Config) (out []string) {
	for _, w := range lines(cfg) {
		if len(w) > 1 && strings.EqualFold(w[0], "path") {
			for _, dir := range strings.FieldsFunc(w[1], func(r rune) bool { return r == ':' || r == ' ' }) {
				out = append(out, bootcfg.Resolve(cfg.Dir, dir))
			}
		}
	}
	return out
}

// module checks that a module is of the loader's kind, and that its libraries are there.
func (s *scanner) module(from string, line int, name string, v volume, dirs []string) error {
	b, err := v.Read(name, maxModule)
	if err != nil || len(b) == 0 {
		return s.readable(err)
	}
	old := bytes.HasPrefix(b, com32r)
	switch {
	case old && s.isolinux.major >= dynamic:
		s.tell(Problem, from, line, "/%s is a module of isolinux before version 5, the loader has version %d.%02d: it does not start it", name, s.isolinux.major, s.isolinux.minor)
	case s.isolinux.major < dynamic && bytes.HasPrefix(b, []byte(elf.ELFMAG)):
		s.tell(Problem, from, line, "/%s is a module of isolinux from version 5 on, the loader has version %d.%02d: it does not start it", name, s.isolinux.major, s.isolinux.minor)
	}
	if old || s.isolinux.major < dynamic {
		return nil
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil // other programs have that suffix, too
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return nil
	}
	for _, lib := range libraries {
		if s.locate(dirs, lib) == "" {
			s.tell(Problem, from, line, "/%s does not start without %s, which is not in the image", name, lib)
		}
	}
	return nil
}

// locate returns the path of a file in the first of directories that has it.
func (s *scanner) locate(dirs []string, name string) string {
	for _, dir := range dirs {
		if found, isDir, err := s.files.Lookup(strings.TrimPrefix(path.Join("/", dir, name), "/")); err == nil && !isDir {
			return found
		}
	}
	return ""
}

// defaultOf returns what DEFAULT names as a kernel; the last one counts.
func defaultOf(cfg *bootcfg.Config) (out []bootcfg.Ref) {
	for n, w := range lines(cfg) {
		if len(w) > 1 && strings.EqualFold(w[0], "default") {
			out = []bootcfg.Ref{{Kind: bootcfg.RefKernel, Value: w[1], Line: n}}
		}
	}
	return out
}

// defaults checks that DEFAULT names a label or a file, unless a menu is what starts.
func (s *scanner) defaults(list []*bootcfg.Config) {
	words := map[string]bool{} // labels
	var named []*bootcfg.Config
	for _, cfg := range list {
		if cfg.File.Format() != bootcfg.Syslinux || cfg.Swept {
			continue
		}
		for _, w := range lines(cfg) {
			switch key := strings.ToLower(w[0]); {
			case len(w) < 2:
			case key == "ui", key == "ontimeout":
				return
			case key == "label":
				words[strings.ToLower(w[1])] = true
			}
		}
		if len(defaultOf(cfg)) > 0 {
			named = append(named, cfg)
		}
	}
	for _, cfg := range named {
		r := defaultOf(cfg)[0]
		if found, _, name := s.find(cfg, r, s.files); words[strings.ToLower(r.Value)] || found != "" || name == "" {
			return
		}
	}
	for _, cfg := range named {
		r := defaultOf(cfg)[0]
		s.tell(Problem, "/"+cfg.Path, r.Line, "DEFAULT %s is neither a label nor a file in the image: nothing starts by itself", r.Value)
	}
}
