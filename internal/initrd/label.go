package initrd

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// initrdArguments is the directory of initrds from which dracut takes kernel arguments.
// Media with Agama say there which medium to mount, and not in their boot menus.
const initrdArguments = "etc/cmdline.d/"

// RelabelInitrds brings the label in line where an initrd holds it: the file that has it
// comes once more, in an archive behind the others.
func RelabelInitrds(s *stage.Stage, list []*stage.BootMenus, old, label string) error {
	if old == label || !rootInInitrd(s, list) {
		return nil
	}
	initrds, _, err := initrds(s)
	if err != nil {
		return err
	}
	readable := initrds[:0]
	for _, i := range initrds {
		if err := read(s, i); err != nil {
			s.Warn(fmt.Sprintf("%s: %v; if it looks for the medium by the label %q, it will not find it", i.name, err, old))
			continue
		}
		readable = append(readable, i)
	}
	return extendInitrds(s, readable, "label", func(i *BootInitrd) ([]stage.Local, error) { return i.relabelled(old, label) })
}

// rootArguments say where the system is that an entry starts: to dracut, and to Anaconda.
var rootArguments = []string{"root=", "inst.stage2=", "inst.repo="}

// namesRoot reports a kernel argument that says where the system is.
func namesRoot(arg string) bool {
	return slices.ContainsFunc(rootArguments, func(name string) bool { return strings.HasPrefix(arg, name) })
}

// rootInInitrd reports a live system of dracut's kind of which some entry does not say
// where it is. The others need not be unpacked.
func rootInInitrd(s *stage.Stage, list []*stage.BootMenus) bool {
	if _, dir, err := s.Reader().Lookup("LiveOS"); err != nil || !dir {
		return false
	}
	return slices.ContainsFunc(list, func(m *stage.BootMenus) bool {
		return slices.ContainsFunc(m.Configs, func(c *bootcfg.Config) bool {
			return slices.ContainsFunc(c.File.Entries(), func(e *bootcfg.MenuEntry) bool {
				return e.Boots() && len(e.Initrds) > 0 && !slices.ContainsFunc(e.Arguments(c.File), namesRoot)
			})
		})
	})
}

// holdsArguments reports a file of an initrd that has kernel arguments.
func holdsArguments(e *cpio.Entry) bool {
	return strings.HasPrefix(e.Name, initrdArguments) && strings.HasSuffix(e.Name, ".conf") && e.IsRegular() && e.Size <= bootcfg.MaxSize
}

// relabelled are the files with kernel arguments that look for the old label, changed.
func (i *BootInitrd) relabelled(old, label string) (out []stage.Local, err error) {
	for _, e := range i.Open.Entries() {
		if !holdsArguments(e) {
			continue
		}
		var text bytes.Buffer
		if err := i.Open.Copy(&text, e); err != nil {
			return nil, fmt.Errorf("%s: %w", i.name, err)
		}
		now, n, err := coreos.RelabelArgs(text.Bytes(), old, label)
		if err != nil {
			return nil, fmt.Errorf("%s: /%s: %w", i.name, e.Name, err)
		}
		if n > 0 {
			attr := tree.Attr{Mode: iso9660.ModeRegular | e.Mode&0o7777, ModTime: e.ModTime}
			out = append(out, stage.Local{Name: "/" + e.Name, Attr: attr, Src: fat.Bytes(now)})
		}
	}
	return out, nil
}
