package bootcfg

import (
	"bytes"
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

// Hints are what the boot equipment says of where configurations are.
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
	// Parents are those that lead here.
	Parents []*Config
	// Root says that loaders look for it by themselves, whoever names it, too.
	Root bool
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
		func() error { return s.fixed(Limine, limineNames...) },
		func() error { return s.fixed(REFInd, refindNames...) },
		s.roots,
		s.follow,
		s.sweep,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	s.graphs()
	return s.out, nil
}

// roots marks what was found where loaders look.
func (s *finder) roots() error {
	for _, c := range s.out {
		c.Root = true
	}
	return nil
}

// graphs lets the files of syslinux know those that are read with them, and takes
// labels, kernels and command lines for what they then are.
func (s *finder) graphs() {
	done := map[*Config]bool{}
	for _, root := range s.out {
		if root.File.format != Syslinux || done[root] {
			continue
		}
		group := s.connected(root)
		g := graph{labels: map[string]bool{}}
		for _, c := range group {
			done[c] = true
			for _, e := range c.File.entries {
				if e.Name != "" {
					g.labels[e.Name] = true
				}
			}
			for _, x := range c.File.commands {
				if x.is(0, "label") || x.is(0, "menu") && x.is(1, "begin") {
					break
				}
				if x.is(0, "append") && len(x.words) > 1 {
					g.append = x.words[1:]
				}
			}
		}
		for _, c := range group {
			g.exists = func(name string) bool {
				_, dir, err := s.v.Lookup(strings.TrimPrefix(Resolve(c.Dir, name), "/"))
				return err == nil && !dir
			}
			c.File.graph = g
			c.File.entries = c.File.scan()
		}
	}
}

// connected lists the configurations of syslinux that lead to one another.
func (s *finder) connected(root *Config) []*Config {
	group := []*Config{root}
	for i := 0; i < len(group); i++ {
		for _, c := range s.out {
			if c.File.format == Syslinux && !slices.Contains(group, c) && (slices.Contains(c.Parents, group[i]) || slices.Contains(group[i].Parents, c)) {
				group = append(group, c)
			}
		}
	}
	return group
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
	file, err := Parse(spoken(format, text), text)
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

var (
	scripts = regexp.MustCompile(`(?m)^[ \t]*(menuentry|submenu|set[ \t]+\w+=|insmod|search[ \t]+-|configfile[ \t])`)
	menus   = regexp.MustCompile(`(?mi)^[ \t]*(title[ \t]|(kernel|splashimage|default|timeout)[ \t=])`)
)

// spoken is the language of a text: builders write the script of GRUB 2 to the names of
// its ancestor, too.
func spoken(format Format, text []byte) Format {
	switch {
	case format == Legacy && scripts.Match(text) && !menus.Match(text):
		return GRUB
	case format == ESXi && scripts.Match(text):
		return GRUB
	case format == Legacy && scripts.Match(text) && bytes.Contains(text, []byte("menuentry")):
		return GRUB
	}
	return format
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
		dir := c.Dir
		if r.Dir != "" {
			dir = Resolve(c.Dir, r.Dir)
		}
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
		if w, name, value := scriptOf(c).assigned(); w != nil && (strings.Contains(value, "/") || strings.HasSuffix(value, ".cfg")) {
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
			if low := strings.ToLower(n); s.seen[p] != nil || !strings.HasSuffix(low, ".cfg") || low == "boot.cfg" && format != GRUB {
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
			if x.Swept = true; !x.boots() && !(format == GRUB && (x.File.HasTimeout() || x.File.HasDefault())) {
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
