package apply

import (
	"fmt"
	"maps"
	"slices"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

func applyLayer(s *stage.Stage, l edit.Layer) error {
	f := l.Source
	if f == nil {
		var err error
		if f, err = s.Files.Add(l.Path); err != nil {
			return err
		}
	}
	src, used, err := s.Base.Expand(f)
	if err != nil {
		return err
	}
	s.Owned.Add(used)
	change, err := layer.Read(src)
	if err != nil {
		return err
	}
	missing, err := change.Apply(s.Tree, s.Base.SameOnce(), func(n *tree.Node) (extent.Source, error) { return lower(s, n) })
	if err != nil {
		return err
	}
	for _, p := range missing {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s removes %s, which is not there", l, p))
	}
	for _, name := range slices.Sorted(maps.Keys(change.Objects)) {
		src := change.Objects[name]
		if p, ok := src.(*layer.Patch); ok {
			if src, err = patchObject(s, name, p); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := s.ReplaceObject(name, src); err != nil {
			return err
		}
	}
	maps.Copy(s.Fields, change.Fields)
	if !change.Modified.IsZero() {
		s.Modified = change.Modified
	}
	return nil
}
