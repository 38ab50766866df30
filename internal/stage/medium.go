package stage

import (
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Release says which distribution the image is of.
func Release(b *baseimage.Base) (*distro.Release, error) {
	t, err := b.Merged()
	if err != nil {
		return nil, err
	}
	return distro.Recognise(Medium(b, t)), nil
}

// Medium is what package distro wants to know of the image, with a tree of it.
func Medium(b *baseimage.Base, t *tree.Tree) distro.Medium {
	return distro.Medium{Volume: tree.Files{Tree: t, Base: b.Open}, Label: b.Image().Primary().VolumeID(), UDF: b.Image().UDF()}
}

// Medium is the image as earlier steps left it.
func (s *Stage) Medium() distro.Medium {
	m := Medium(s.Base, s.Tree)
	if label, ok := s.Fields[iso9660.FieldVolume]; ok {
		m.Label = label
	}
	return m
}

// Release is what the image is recognised as. A label of the user's own says nothing of it.
func (s *Stage) Release() *distro.Release {
	m := s.Medium()
	m.Label = s.Base.Image().Primary().VolumeID()
	return distro.Recognise(m)
}

// Local is a file on its way into an initrd.
type Local struct {
	Name string
	Attr tree.Attr
	Src  extent.Source // nil for what has no content
}

// Slashless is a path without a slash in front.
func Slashless(p string) string { return strings.TrimPrefix(p, "/") }
