package isofile

import (
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/store"
)

// Origin is the layer that a file of an image comes from. Files of the base are none.
type Origin struct {
	Path   string       `json:"path"`
	SHA256 string       `json:"sha256"`
	Layer  store.Digest `json:"layer"`
}

// Manifest is what an image was made of. Values of templates, arguments and secrets are not
// in it.
type Manifest struct {
	Tool    string            `json:"tool"` // that made it
	Base    string            `json:"base"`
	Digest  store.Digest      `json:"baseDigest"`
	Labels  map[string]string `json:"labels,omitempty"`
	Options map[string]string `json:"options,omitempty"`
	Steps   []store.Step      `json:"steps"`
	Files   []Origin          `json:"files"`
}

// Manifest returns what the image was made of, but for the tool.
func (b *Result) Manifest() (Manifest, error) {
	files, err := b.Origins()
	return Manifest{Base: b.Config.Base, Digest: b.Config.Digest, Labels: b.Config.Labels, Options: b.Config.Options, Steps: b.Config.History, Files: files}, err
}

// Origins lists the files that layers put into the image, by path.
func (b *Result) Origins() ([]Origin, error) {
	found := map[string]Origin{}
	below := func(p, dir string) bool { return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/") }
	for n, d := range b.Layers {
		err := build.ReadLayer(b.steps[n].Path, func(l *layer.Layer) error {
			for _, r := range l.Renames {
				for p, o := range found {
					if below(p, r.Old) {
						delete(found, p)
						o.Path = path.Join(r.New, strings.TrimPrefix(p, r.Old))
						found[o.Path] = o
					}
				}
			}
			for p := range found {
				for _, gone := range slices.Concat(l.Gone, l.Opaque) {
					if below(p, gone) {
						delete(found, p)
					}
				}
			}
			for _, put := range l.Added {
				delete(found, put.Path)
				if put.Source == nil {
					continue
				}
				if p, ok := put.Source.(*layer.Patch); ok {
					found[put.Path] = Origin{put.Path, p.Result.SHA256, d.Digest}
					continue
				}
				h := sha256.New()
				if _, err := io.Copy(h, io.NewSectionReader(put.Source, 0, put.Source.Size())); err != nil {
					return err
				}
				found[put.Path] = Origin{put.Path, fmt.Sprintf("%x", h.Sum(nil)), d.Digest}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := []Origin{}
	for _, o := range found {
		out = append(out, o)
	}
	slices.SortFunc(out, func(x, y Origin) int { return strings.Compare(x.Path, y.Path) })
	return out, nil
}
