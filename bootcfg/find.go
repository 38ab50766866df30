package bootcfg

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Volume is a file system that boot loaders read: the tree of an image, or an EFI
// system partition in it. Names have slashes, and none in front of a root's.
type Volume interface {
	// Lookup finds a file or directory in any case, following links, and returns the
	// path as the volume has it; fs.ErrNotExist without one.
	Lookup(name string) (found string, dir bool, err error)
	// List returns the names in a directory.
	List(dir string) ([]string, error)
	// Read returns the content of a file, nil if it has more than limit bytes or cannot
	// be had.
	Read(name string, limit int64) ([]byte, error)
}

// Hints are what the boot equipment tells of where configurations are.
type Hints struct {
	Syslinux []string // directories of its loaders
	GRUB     []string // directories it reads from
	Scripts  []string // that GRUB has built in
}

// Config is a configuration of a volume.
type Config struct {
	Path string // as the volume has it
	File *File
	Dir  string // where relative paths in it count from, of syslinux
	// Parents are those that lead here; a loader reads one without parents by itself.
	Parents []*Config
	// Swept configurations are named by none that was read, for all that is known, but
	// lie beside them and start kernels.
	Swept bool
}

// The limits on what Find reads of a volume.
const (
	maxConfigs  = 512
	maxLookups  = 1 << 14 // paths looked for, most of which are not there
	maxNames    = 4096    // in a directory that is searched
	maxExpanded = 16      // meanings of a path with variables
)

// The places where loaders look by themselves.
var (
	syslinuxDirs  = []string{"boot/isolinux", "isolinux", ".", "boot/syslinux", "syslinux", "boot/extlinux", "extlinux", "EFI/syslinux", "boot/x86_64/loader", "boot/i386/loader"}
	syslinuxNames = []string{"isolinux.cfg", "syslinux.cfg", "extlinux.conf", "syslx64.cfg", "syslia32.cfg", "pxelinux.cfg/default"}
	grubDirs      = []string{"boot/grub", "boot/grub2", "grub", "grub2", "boot/grub/x86_64-efi", "boot/grub/i386-efi", "boot/grub/arm64-efi"}
	legacyNames   = []string{"boot/grub/menu.lst", "boot/grub/grub.conf", "isolinux/grub.conf", "grub/menu.lst", "boot/grub-legacy/menu.lst"}
	entryDirs     = []string{"loader/entries", "boot/loader/entries"}
	loaderNames   = []string{"loader/loader.conf"}
	parmDirs      = []string{".", "images", "boot", "boot/s390x"}
	esxiNames     = []string{"boot.cfg", "EFI/BOOT/boot.cfg"}
)

// Find reads the configurations of a volume: those where loaders look by themselves,
// what they lead to, and what lies beside them and starts kernels. The error is that
// of reading, or of too many.
func Find(v Volume, h Hints) ([]*Config, error) {
	s := &finder{v: v, seen: map[string]*Config{}, vars: map[string][]string{}, left: maxLookups}
	steps := []func() error{
		func() error { return s.syslinux(append(slices.Clone(h.Syslinux), syslinuxDirs...)) },
		func() error { return s.grub(h.GRUB) },
		func() error { return s.builtIn(h.Scripts) },
		func() error { return s.fixed(Legacy, legacyNames...) },
		func() error { return s.matching(Entry, entryDirs, "*.conf") },
		func() error { return s.fixed(Entry, loaderNames...) },
		s.parm,
		func() error { return s.fixed(ESXi, esxiNames...) },
		s.follow,
		s.sweep,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s.out, nil
}

type finder struct {
	v     Volume
	out   []*Config
	seen  map[string]*Config
	queue []*Config           // not followed yet
	vars  map[string][]string // values that GRUB's variables may have
	left  int                 // paths to look for
}

// add reads a configuration, once; nil if it is not there.
func (s *finder) add(name string, format Format, dir string, parent *Config) (*Config, error) {
	if s.left--; s.left < 0 {
		return nil, fmt.Errorf("%s: more than %d paths: %w", name, maxLookups, ErrLimit)
	}
	found, isDir, err := s.v.Lookup(path.Clean(strings.TrimPrefix(name, "/")))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || isDir {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if c := s.seen[found]; c != nil {
		if parent != nil && parent != c && len(c.Parents) < maxExpanded && !slices.Contains(c.Parents, parent) {
			c.Parents = append(c.Parents, parent)
		}
		return c, nil
	}
	if len(s.out) == maxConfigs {
		return nil, fmt.Errorf("%s: more than %d configurations: %w", found, maxConfigs, ErrLimit)
	}
	text, err := s.v.Read(found, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", found, err)
	}
	if text == nil {
		return nil, nil
	}
	file, err := Parse(format, text)
	if err != nil {
		return nil, nil
	}
	c := &Config{Path: found, File: file, Dir: dir}
	if parent != nil {
		c.Parents = []*Config{parent}
	}
	s.seen[found] = c
	s.out = append(s.out, c)
	s.queue = append(s.queue, c)
	return c, nil
}

func (s *finder) fixed(format Format, names ...string) error {
	for _, n := range names {
		if _, err := s.add(n, format, path.Dir(n), nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *finder) syslinux(dirs []string) error {
	for _, dir := range dirs {
		for _, name := range syslinuxNames {
			if _, err := s.add(path.Join(dir, name), Syslinux, dir, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// list returns the names in a directory, none if it is not there.
func (s *finder) list(dir string) (found string, names []string, err error) {
	found, isDir, err := s.v.Lookup(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || err == nil && !isDir {
		return "", nil, nil
	} else if err != nil {
		return "", nil, err
	}
	names, err = s.v.List(found)
	return found, names[:min(len(names), maxNames)], err
}

// matching adds the files of directories whose names match a pattern of small letters.
func (s *finder) matching(format Format, dirs []string, pattern string) error {
	for _, dir := range dirs {
		found, names, err := s.list(dir)
		if err != nil {
			return err
		}
		for _, n := range names {
			if ok, _ := path.Match(pattern, strings.ToLower(n)); !ok {
				continue
			}
			if _, err := s.add(path.Join(found, n), format, dir, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// grub adds the configurations that GRUB reads by itself: those of the directories it
// is known to read from, and of every directory with EFI programs.
func (s *finder) grub(dirs []string) error {
	dirs = append(slices.Clone(dirs), grubDirs...)
	found, vendors, err := s.list("EFI")
	if err != nil {
		return err
	}
	for _, n := range vendors {
		dirs = append(dirs, path.Join(found, n))
	}
	for _, dir := range dirs {
		for _, name := range []string{"grub.cfg", "loopback.cfg"} {
			c, err := s.add(path.Join(dir, name), GRUB, dir, nil)
			if err != nil {
				return err
			}
			if c != nil {
				s.know("prefix", "/"+path.Dir(c.Path))
				s.know("cmdpath", "/"+path.Dir(c.Path))
			}
		}
	}
	for _, pattern := range []string{"boot*.conf", "grub.conf", "menu.lst"} {
		var in []string
		for _, n := range vendors {
			in = append(in, path.Join(found, n))
		}
		if err := s.matching(Legacy, in, pattern); err != nil {
			return err
		}
	}
	return nil
}

// builtIn follows scripts that are not in the volume.
func (s *finder) builtIn(scripts []string) error {
	for _, text := range scripts {
		f, err := Parse(GRUB, []byte(text))
		if err != nil {
			continue
		}
		s.assignments(f)
		for _, dir := range slices.Clone(s.vars["prefix"]) {
			if _, err := s.add(path.Join(dir, "grub.cfg"), GRUB, dir, nil); err != nil {
				return err
			}
		}
		for _, r := range f.Refs() {
			if r.Kind != RefInclude {
				continue
			}
			if err := s.include(&Config{File: f, Path: "."}, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// know notes a value of a variable.
func (s *finder) know(name, value string) {
	if list := s.vars[name]; len(list) < maxExpanded && !slices.Contains(list, value) {
		s.vars[name] = append(list, value)
	}
}

// parm adds the parameter files of s390: those that .ins files load, which list a path
// and an address a line, and those of the usual names.
func (s *finder) parm() error {
	for _, dir := range parmDirs {
		found, names, err := s.list(dir)
		if err != nil {
			return err
		}
		for _, n := range names {
			low, p := strings.ToLower(n), path.Join(found, n)
			switch {
			case strings.HasSuffix(low, ".prm") || strings.HasPrefix(low, "parmfile"):
				if _, err := s.add(p, Parm, dir, nil); err != nil {
					return err
				}
			case strings.HasSuffix(low, ".ins"):
				if err := s.ins(p, found); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ins reads an .ins file.
func (s *finder) ins(name, dir string) error {
	text, err := s.v.Read(name, 1<<16)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 2 || !strings.Contains(strings.ToLower(f[0]), ".prm") && !strings.Contains(strings.ToLower(f[0]), "parm") {
			continue
		}
		for _, p := range []string{f[0], path.Join(dir, f[0])} {
			if _, err := s.add(p, Parm, dir, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow reads what configurations lead to.
func (s *finder) follow() error {
	for len(s.queue) > 0 {
		c := s.queue[0]
		s.queue = s.queue[1:]
		if c.File.format == GRUB {
			s.assignments(c.File)
		}
		for _, r := range c.File.Refs() {
			if r.Kind != RefInclude {
				continue
			}
			if err := s.include(c, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// include reads one configuration that another names.
func (s *finder) include(c *Config, r Ref) error {
	if r.Format == Syslinux {
		dir := cmp.Or(r.Dir, c.Dir)
		for _, from := range []string{c.Dir, path.Dir(c.Path)} {
			x, err := s.add(Resolve(from, r.Value), Syslinux, dir, c)
			if x != nil || err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range s.expand(r.Value, 0) {
		for _, p := range []string{name, path.Join(path.Dir(c.Path), name)} {
			if strings.HasPrefix(name, "/") && p != name {
				continue
			}
			parent := c
			if c.Path == "." { // built into a loader
				parent = nil
			}
			x, err := s.add(p, r.Format, path.Dir(p), parent)
			if err != nil {
				return err
			}
			if x != nil {
				break
			}
		}
	}
	return nil
}

// Resolve returns a path of syslinux, which counts from dir if it is relative.
func Resolve(dir, name string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	return path.Join("/", dir, name)
}

// assignments notes the values of variables that paths may have.
func (s *finder) assignments(f *File) {
	for _, c := range f.commands {
		x := scriptOf(c)
		if x.name != "set" {
			continue
		}
		if name, value, ok := strings.Cut(x.arg(1), "="); ok && (strings.Contains(value, "/") || strings.HasSuffix(value, ".cfg")) {
			for _, v := range s.expand(value, 1) {
				s.know(name, v)
			}
		}
	}
}

var variable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// expand returns what a path with variables may mean, without its device.
func (s *finder) expand(name string, depth int) (out []string) {
	if strings.HasPrefix(name, "(") {
		if _, rest, ok := strings.Cut(name, ")"); ok {
			name = rest
		}
	}
	at := variable.FindStringSubmatchIndex(name)
	switch {
	case at == nil:
		return []string{name}
	case depth > 4:
		return nil
	}
	var key string
	for _, i := range []int{2, 4} {
		if at[i] >= 0 {
			key = name[at[i]:at[i+1]]
		}
	}
	for _, v := range s.vars[key] {
		for _, full := range s.expand(name[:at[0]]+v+name[at[1]:], depth+1) {
			if len(out) < maxExpanded && !slices.Contains(out, full) {
				out = append(out, full)
			}
		}
	}
	return out
}

// sweep adds the files beside configurations that start kernels, though nobody is
// known to lead to them: loops and functions of GRUB's are not evaluated.
func (s *finder) sweep() error {
	known := slices.Clone(s.out)
	dirs := map[string]bool{}
	for _, c := range known {
		format, dir := c.File.format, path.Dir(c.Path)
		if format != GRUB && format != Syslinux || dirs[dir] {
			continue
		}
		dirs[dir] = true
		_, names, err := s.list(dir)
		if err != nil {
			return err
		}
		for _, n := range names {
			p := path.Join(dir, n)
			if low := strings.ToLower(n); s.seen[p] != nil || !strings.HasSuffix(low, ".cfg") || low == "boot.cfg" {
				continue
			}
			before := len(s.out)
			x, err := s.add(p, format, c.Dir, nil)
			if err != nil {
				return err
			}
			if x == nil || len(s.out) == before {
				continue
			}
			if x.Swept = true; !x.boots() {
				delete(s.seen, p)
				s.out = s.out[:before]
			}
		}
	}
	return nil
}

// boots reports whether any entry starts a kernel.
func (c *Config) boots() bool {
	return slices.ContainsFunc(c.File.entries, (*MenuEntry).Boots)
}
