package apply

import (
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
		return files, nil
	})
}
