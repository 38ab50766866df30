package boot

import (
	"path"
	"strings"

	"github.com/isolayer/isolayer/bootcfg"
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
		}
	}
	return h
}
