package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// bootFiles checks that what boot configurations name is there: kernels, initrds, other
// configurations, labels and UUIDs of this image. It passes over what holds a variable.
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
	s := &scanner{c: c, files: tree.Files{Tree: c.merged, Base: c.open}, labels: labels, ids: ids, told: map[string]bool{}}
	s.hints = c.equip.Hints()
	s.bios = slices.ContainsFunc(c.equip.Ways(), func(w boot.Way) bool { return w.Firmware == "BIOS" })
	if s.isolinux, err = c.loaderVersion(); err != nil {
		return "", err
	}
	var known boot.Known
	known.AddPrograms(&s.hints, s.files)
	images := map[*boot.Object]*fat.Image{}
	for _, o := range c.equip.Objects() {
		if !o.Boots() || !o.Movable() || o.End() > c.in.size {
			continue
		}
		img, err := fat.OpenWithin(io.NewSectionReader(c.in, o.Off, o.Len), o.Len, c.img.Budget())
		if err != nil {
			continue // not every boot image is one
		}
		images[o] = img
		known.AddPrograms(&s.hints, img)
		if c.firmwareStarts(o) {
			c.programs(o, img)
		}
	}
	if err := s.tree(); err != nil {
		return "", err
	}
	for _, o := range c.equip.Objects() {
		if images[o] == nil {
			continue
		}
		if err := s.fatImage(o, images[o]); err != nil {
			return "", err
		}
	}
	if err := s.devices(); err != nil {
		return "", err
	}
	if s.configs == 0 && s.names == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d configurations, %d files and %d names referred to", s.configs, s.paths, s.names), nil
}

// open returns the content of a file; none of one that is out of range, which another
// check reports that.
func (c *checker) open(n *tree.Node) (io.ReaderAt, int64, error) {
	for _, e := range n.Found {
		if e == nil {
			continue
		}
		r, size, err := c.img.Open(e)
		if damage(err) {
			return bytes.NewReader(nil), 0, nil
		}
		return r, size, err
	}
	return bytes.NewReader(nil), 0, nil
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

// volume is the tree, or a FAT image, with the content of its files.
type volume interface {
	bootcfg.Volume
	At(name string) (io.ReaderAt, int64, error)
}

// scanner checks the boot configurations of one image.
type scanner struct {
	c           *checker
	files       tree.Files
	hints       bootcfg.Hints
	labels, ids []string
	told        map[string]bool
	configs     int
	paths       int // looked up
	names       int // labels and UUIDs looked up
	isolinux    isolinux
	list        []*bootcfg.Config // of the volume that is looked at
	circles     map[string]bool   // configurations that include one another
	bios        bool              // boots by BIOS, as CD or disk
}

// tree checks the configurations of the tree.
func (s *scanner) tree() error {
	list, err := bootcfg.Find(s.files, s.hints)
	if err != nil {
		return s.readable(err)
	}
	s.list, s.circles = list, nil
	syslinux := false
	for _, cfg := range list {
		syslinux = syslinux || cfg.File.Format() == bootcfg.Syslinux
		s.check(cfg, "/", s.files)
		s.orphan("/", cfg, s.files)
	}
	if !syslinux {
		s.c.noConfig()
		return nil
	}
	s.defaults(list)
	return s.parts(list)
}

// fatImage checks the configurations in a FAT image that firmware boots from, and
// compares them with those of the tree that have the same path.
func (s *scanner) fatImage(o *boot.Object, img *fat.Image) error {
	list, err := bootcfg.Find(img, s.hints)
	if err != nil {
		return s.readable(err)
	}
	s.list, s.circles = list, nil
	if n, shown := shown(list, img); n > 0 && shown == 0 {
		s.c.at(Problem, o.Off, "%s: none of the %d entries of systemd-boot has its kernel there: it shows none", o.Name, n)
	}
	for _, cfg := range list {
		s.check(cfg, o.Name+":/", img)
		s.orphan(o.Name+":/", cfg, img)
		text, err := s.files.Read(cfg.Path, bootcfg.MaxSize)
		if err != nil && !damage(err) {
			return err
		}
		if text != nil && !stub(cfg.File) && !bytes.Equal(text, cfg.File.Bytes()) {
			s.c.path(Notice, literal(o.Name+":/"+cfg.Path), "differs from /%s: the medium behaves in another way as CD than as disk", cfg.Path)
		}
	}
	return nil
}

// stub reports a configuration that does no more than lead to another one, as Debian's in
// EFI system partitions lead to the tree's.
func stub(f *bootcfg.File) bool {
	return len(f.Entries()) == 0 && slices.ContainsFunc(f.Refs(), func(r bootcfg.Ref) bool { return r.Kind == bootcfg.RefInclude })
}

// readable drops the errors that the image itself is the reason of.
func (s *scanner) readable(err error) error {
	switch {
	case damage(err):
		return nil
	case errors.Is(err, bootcfg.ErrLimit):
		s.c.add(Problem, "boot configurations: %v", []any{err}, Finding{})
		return nil
	}
	return err
}

// check looks up what a configuration refers to; absence says how bad it is what is missing.
func (s *scanner) check(cfg *bootcfg.Config, prefix string, own volume) {
	s.configs++
	name := prefix + cfg.Path
	for _, r := range cfg.File.Refs() {
		switch r.Kind {
		case bootcfg.RefLabel, bootcfg.RefUUID:
			s.known(name, cfg, r)
		default:
			if !r.Loose || cfg.File.Format() == bootcfg.Entry {
				s.need(name, cfg, r, own)
			}
		}
	}
	for _, f := range decorations(cfg) {
		if found, _, p := s.find(cfg, bootcfg.Ref{Value: f.name}, own); p != "" && found == "" {
			s.tell(Notice, name, f.line, "%s %s is not in the image; the loader goes on without", f.what, p)
		}
	}
	if cfg.File.Format() == bootcfg.GRUB {
		s.specials(name, cfg)
	}
	s.round(name, cfg)
	s.entries(name, cfg, own)
}

// round reports a configuration of syslinux that is read again in the course of its own
// includes: nothing ends that, and nothing starts.
func (s *scanner) round(name string, cfg *bootcfg.Config) {
	if cfg.Swept || cfg.File.Format() != bootcfg.Syslinux || s.circles[cfg.Path] {
		return
	}
	for _, r := range cfg.File.Refs() {
		seen := map[string]bool{}
		if r.Inline && s.leads(cfg, r, cfg, seen) {
			s.circles = seen // of which the others are not reported again
			s.tell(Problem, name, r.Line, "INCLUDE %s leads back here, without end: isolinux hangs before it starts anything", r.Value)
		}
	}
}

// leads reports whether an include of from comes to a configuration again.
func (s *scanner) leads(from *bootcfg.Config, r bootcfg.Ref, to *bootcfg.Config, seen map[string]bool) bool {
	p := strings.Trim(bootcfg.Resolve(from.Dir, r.Value), "/")
	if seen[p] {
		return false
	}
	seen[p] = true
	for _, c := range s.list {
		if !strings.EqualFold(c.Path, p) {
			continue
		}
		if c == to {
			return true
		}
		for _, next := range c.File.Refs() {
			if next.Inline && s.leads(c, next, to, seen) {
				return true
			}
		}
	}
	return false
}

// suffixes are those that syslinux tries behind the name of a kernel.
var suffixes = []string{".cbt", ".0", ".com", ".c32", ".img", ".bss", ".bin"}

// need reports a file that is not there, or only in another case than on a file system that
// minds it.
func (s *scanner) need(from string, cfg *bootcfg.Config, r bootcfg.Ref, own volume) {
	found, v, name := s.find(cfg, r, own)
	if name == "" {
		return
	}
	s.paths++
	_, inTree := own.(tree.Files)
	sev := s.absence(cfg, r, inTree)
	_, there := v.(tree.Files)
	switch {
	case found == "" && r.Kind == bootcfg.RefInclude && guarded(cfg, r.Value):
	case found == "" && sev == Notice && r.Kind == bootcfg.RefInclude:
		s.tell(sev, from, r.Line, "%s %s is not in the image; the loader goes on without", r.Kind, name)
	case found == "":
		s.tell(sev, from, r.Line, "%s %s is not in the image", r.Kind, name)
	case there && s.exact(cfg) && !suffixed(found, name):
		s.tell(sev, from, r.Line, "%s %s is not in the image, %s is: the loader minds the case", r.Kind, name, "/"+found)
	}
}

// suffixed reports whether a path is what was found, or that without its suffix; links lead
// elsewhere.
func suffixed(found, name string) bool {
	name = strings.TrimPrefix(path.Clean(name), "/")
	return strings.HasPrefix(found, name) || !strings.HasPrefix(strings.ToLower(found), strings.ToLower(name))
}

// exact reports whether the loader that reads a configuration minds the case of names in
// the tree: GRUB, and isolinux from 6.03 on, where there is Rock Ridge.
func (s *scanner) exact(cfg *bootcfg.Config) bool {
	switch cfg.File.Format() {
	case bootcfg.GRUB:
		return s.c.merged.RockRidge
	case bootcfg.Syslinux:
		return s.c.merged.RockRidge && s.isolinux.knows(6, 3)
	}
	return false
}

// guarded reports whether a script of GRUB asks first whether a file is there.
func guarded(cfg *bootcfg.Config, name string) bool {
	text := string(cfg.File.Bytes())
	for _, test := range []string{"-e ", "-f ", "-s "} {
		for _, quote := range []string{"", `"`, "'"} {
			if strings.Contains(text, test+quote+name) {
				return true
			}
		}
	}
	return false
}

// find looks a file up as the loader does. name is the path in the image, empty where that
// is not known: names with variables, devices or protocols are no paths of this image, and
// neither are placeholders of templates.
func (s *scanner) find(cfg *bootcfg.Config, r bootcfg.Ref, own volume) (found string, v volume, name string) {
	name = r.Value
	format := cfg.File.Format()
	if format == bootcfg.GRUB { // root is what a search set it to
		name = strings.TrimPrefix(strings.TrimPrefix(name, "($root)"), "(${root})")
	}
	if name == "" || strings.ContainsAny(name, "$()*{}@") || strings.Contains(name, "::") || strings.Contains(name, "://") {
		return "", nil, ""
	}
	tries := []string{name}
	volumes := []volume{own, s.files}
	switch {
	case format == bootcfg.Syslinux:
		name = bootcfg.Resolve(cfg.Dir, name)
		tries = []string{name}
		if r.Kind == bootcfg.RefKernel {
			for _, suffix := range suffixes {
				tries = append(tries, name+suffix)
			}
		}
		if r.Kind != bootcfg.RefKernel && r.Kind != bootcfg.RefInitrd && cfg.Dir != "" {
			tries = append(tries, bootcfg.Resolve(path.Dir(cfg.Path), r.Value))
		}
	case !strings.HasPrefix(name, "/"):
		return "", nil, ""
	case format == bootcfg.Entry:
		volumes = volumes[:1]
	}
	for _, t := range tries {
		for _, v := range volumes {
			if found, dir, err := v.Lookup(strings.TrimPrefix(t, "/")); err == nil && !dir {
				return found, v, name
			}
		}
	}
	return "", nil, name
}

func (s *scanner) tell(sev Severity, from string, line int, format string, args ...any) {
	text := fmt.Sprintf("line %d: ", line) + fmt.Sprintf(format, args...)
	if key := from + text; !s.told[key] && len(s.told) < maxFindings {
		s.told[key] = true
		s.c.path(sev, literal(from), "%s", text)
	}
}

// known looks up a label or UUID and reports one that nothing in the image has.
func (s *scanner) known(name string, cfg *bootcfg.Config, r bootcfg.Ref) {
	sev := Problem
	if cfg.Swept || r.Loose || cfg.File.Format() == bootcfg.Legacy {
		sev = Notice
	}
	if r.Value == "" || strings.ContainsAny(r.Value, "$%{}@") {
		return
	}
	s.names++
	list := s.labels
	if r.Kind == bootcfg.RefUUID {
		list = s.ids
	}
	if slices.ContainsFunc(list, func(have string) bool {
		return have == r.Value || r.Kind == bootcfg.RefUUID && strings.EqualFold(have, r.Value)
	}) {
		return
	}
	s.tell(sev, name, r.Line, "looks for the %s %q, the image has %q", r.Kind, r.Value, list)
}
