package boot

import (
	"io"
	"path"
	"strings"

	"github.com/isolayer/isolayer/bootcfg"
	"github.com/isolayer/isolayer/pe"
)

// Hints tells where the boot loaders of the tree have their configurations: beside
// themselves, or a directory above, where GRUB keeps what is for one platform.
func (e *Equipment) Hints() (h bootcfg.Hints) {
	if e.Catalog == nil {
		return h
	}
	for _, en := range e.Catalog.Entries {
		if en.Image.Name == "" {
			continue
		}
		dir := strings.TrimPrefix(path.Dir(en.Image.Name), "/")
		switch en.Image.Loader {
		case LoaderIsolinux:
			h.Syslinux = append(h.Syslinux, dir)
		case LoaderGRUB2:
			h.GRUB = append(h.GRUB, dir, path.Dir(dir))
		default: // one that is not known, where GRUB lies
			if e.Catalog.Entries[0].Image.Name == en.Image.Name && strings.Contains(strings.ToLower(dir), "grub") {
				h.GRUB = append(h.GRUB, dir, path.Dir(dir))
			}
		}
	}
	return h
}

// Programs is a file system with EFI programs, whose names are found in any case.
type Programs interface {
	Lookup(name string) (found string, dir bool, err error)
	List(dir string) ([]string, error)
	// At returns the bytes of a file.
	At(name string) (io.ReaderAt, int64, error)
}

// maxPrograms bounds how many programs AddPrograms looks at.
const maxPrograms = 64

// AddPrograms adds to hints what the programs of GRUB in a file system have built in:
// where they read their configuration, and the script that they run first. What cannot
// be read is left out.
func AddPrograms(h *bootcfg.Hints, v Programs) {
	efi, _, err := v.Lookup("EFI")
	if err != nil {
		return
	}
	dirs, _ := v.List(efi)
	left := maxPrograms
	for _, dir := range dirs {
		names, _ := v.List(path.Join(efi, dir))
		for _, name := range names {
			if !strings.EqualFold(path.Ext(name), ".efi") || left == 0 {
				continue
			}
			left--
			r, size, err := v.At(path.Join(efi, dir, name))
			if err != nil {
				continue
			}
			p, err := pe.Open(r, size)
			if err != nil {
				continue
			}
			prefix, script := p.GRUB()
			if i := strings.LastIndexByte(prefix, ')'); i >= 0 {
				prefix = prefix[i+1:]
			}
			if prefix = strings.Trim(prefix, "/"); prefix != "" {
				h.GRUB = append(h.GRUB, prefix)
			}
			if script != "" {
				h.Scripts = append(h.Scripts, script)
			}
		}
	}
}
