package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/boot"
	"github.com/isolayer/isolayer/bootcfg"
	"github.com/isolayer/isolayer/fat"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
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
	boot.AddPrograms(&s.hints, s.files)
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
		boot.AddPrograms(&s.hints, img)
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
	if s.configs == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d configurations, %d files and %d names referred to", s.configs, s.paths, s.names), nil
}

// open returns the content of a file; none of one that is out of range, which another
// check tells.
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
}

// tree checks the configurations of the tree.
func (s *scanner) tree() error {
	list, err := bootcfg.Find(s.files, s.hints)
	if err != nil {
		return s.readable(err)
	}
	syslinux := false
	for _, cfg := range list {
		syslinux = syslinux || cfg.File.Format() == bootcfg.Syslinux
		s.check(cfg, "/", s.files)
	}
	if !syslinux {
		s.c.noConfig()
	}
	return nil
}

// fatImage checks the configurations in a FAT image that firmware boots from, and
// compares them with those of the tree that have the same path.
func (s *scanner) fatImage(o *boot.Object, img *fat.Image) error {
	list, err := bootcfg.Find(img, s.hints)
	if err != nil {
		return s.readable(err)
	}
	for _, cfg := range list {
		s.check(cfg, o.Name+":/", img)
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

// check looks up what a configuration refers to. What no loader is known to read, or
// leads to other media, gives notices.
func (s *scanner) check(cfg *bootcfg.Config, prefix string, own bootcfg.Volume) {
	s.configs++
	name := prefix + cfg.Path
	for _, r := range cfg.File.Refs() {
		sev := Problem
		if cfg.Swept || r.Loose || cfg.File.Format() == bootcfg.Legacy {
			sev = Notice
		}
		switch r.Kind {
		case bootcfg.RefLabel, bootcfg.RefUUID:
			s.known(sev, name, r)
			continue
		}
		entry := cfg.File.Format() == bootcfg.Entry
		if r.Loose && !entry {
			continue
		}
		s.need(sev, name, cfg, r, own)
	}
}

// suffixes are those that syslinux tries behind the name of a kernel.
var suffixes = []string{".cbt", ".0", ".com", ".c32", ".img", ".bss", ".bin"}

// need reports a file that is not there. Names with variables, devices or protocols
// are no paths of this image, and neither are placeholders of templates.
func (s *scanner) need(sev Severity, from string, cfg *bootcfg.Config, r bootcfg.Ref, own bootcfg.Volume) {
	name := r.Value
	if cfg.File.Format() == bootcfg.GRUB { // root is what a search set it to
		name = strings.TrimPrefix(strings.TrimPrefix(name, "($root)"), "(${root})")
	}
	if name == "" || strings.ContainsAny(name, "$()*{}@") || strings.Contains(name, "::") || strings.Contains(name, "://") {
		return
	}
	tries := []string{name}
	switch {
	case cfg.File.Format() == bootcfg.Syslinux:
		name = bootcfg.Resolve(cfg.Dir, name)
		tries = []string{name}
		if r.Kind == bootcfg.RefKernel {
			for _, suffix := range suffixes {
				tries = append(tries, name+suffix)
			}
		}
		if r.Kind == bootcfg.RefInclude && cfg.Dir != "" {
			tries = append(tries, bootcfg.Resolve(dirOf(cfg.Path), r.Value))
		}
	case !strings.HasPrefix(name, "/"), r.Kind == bootcfg.RefInclude: // GRUB goes on without
		return
	}
	s.paths++
	for _, t := range tries {
		for _, v := range []bootcfg.Volume{own, s.files} {
			if _, dir, err := v.Lookup(strings.TrimPrefix(t, "/")); err == nil && !dir {
				return
			}
		}
	}
	s.tell(sev, from, r.Line, "%s %s is not in the image", r.Kind, name)
}

// dirOf is the directory of a path.
func dirOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

func (s *scanner) tell(sev Severity, from string, line int, format string, args ...any) {
	text := fmt.Sprintf("line %d: ", line) + fmt.Sprintf(format, args...)
	if key := from + text; !s.told[key] && len(s.told) < maxFindings {
		s.told[key] = true
		s.c.path(sev, literal(from), "%s", text)
	}
}

// known looks up a label or UUID and reports one that nothing in the image has.
func (s *scanner) known(sev Severity, name string, r bootcfg.Ref) {
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
