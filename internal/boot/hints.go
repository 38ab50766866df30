package boot

import (
	"io"
	"path"
	"strings"
	"sync"

	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/pe"
)

// Hints says where the boot loaders of the tree have their configurations: beside
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
	// Identity returns a value that files have in common only if their bytes are the same.
	Identity(name string) any
}

// Known remembers what programs have built in, so that each is read once however often it
// is met. The zero value is empty; it is safe for concurrent use.
type Known struct {
	mu       sync.Mutex
	programs map[any]builtIn
}

// builtIn is what GRUB has in its program.
type builtIn struct{ prefix, script string }

// builtIn looks into a program; what is none has nothing.
func (k *Known) builtIn(v Programs, name string) builtIn {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := v.Identity(name)
	b, ok := k.programs[id]
	if !ok {
		if r, size, err := v.At(name); err == nil {
			if p, err := pe.Open(r, size); err == nil {
				b.prefix, b.script = p.GRUB()
			}
		}
		if k.programs == nil {
			k.programs = map[any]builtIn{}
		}
		k.programs[id] = b
	}
	return b
}

// maxPrograms bounds how many programs AddPrograms looks at.
const maxPrograms = 64

// AddPrograms adds to hints what the programs of GRUB in a file system have built in:
// where they read their configuration, and the script that they run first. What cannot
// be read is left out.
func (k *Known) AddPrograms(h *bootcfg.Hints, v Programs) {
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
			b := k.builtIn(v, path.Join(efi, dir, name))
			prefix := b.prefix
			if i := strings.LastIndexByte(prefix, ')'); i >= 0 {
				prefix = prefix[i+1:]
			}
			if prefix = strings.Trim(prefix, "/"); prefix != "" {
				h.GRUB = append(h.GRUB, prefix)
			}
			if b.script != "" {
				h.Scripts = append(h.Scripts, b.script)
			}
		}
	}
}
