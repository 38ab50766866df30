package apply

import (
	"errors"
	"fmt"
	"path"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/stage"
)

func applyInitrdAdd(s *stage.Stage, a edit.InitrdAdd) error {
	return initrd.AddToInitrds(s, func(i *initrd.BootInitrd) (files []stage.Local, err error) {
		for _, x := range a.Adds {
			more, err := initrd.LocalFiles(s, x, i)
			if err != nil {
				return nil, err
			}
			files = append(files, more...)
		}
		for _, x := range a.Puts {
			attr, src, err := putOf(s, x)
			if err == nil && (x.UID != 0 || x.GID != 0) {
				err = fmt.Errorf("owner %d:%d: what is in an initrd belongs to root: %w", x.UID, x.GID, errors.ErrUnsupported)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", x, err)
			}
			files = append(files, stage.Local{Name: path.Join("/", x.Path), Attr: attr, Src: src})
		}
		return files, nil
	})
}
