package store

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/internal/atomicfile"
)

// index is index.json of the layout (image-spec, image-index.md).
type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []Descriptor `json:"manifests"`
}

// Manifest is that of an image (image-spec, manifest.md).
type Manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType"`
	Config        Descriptor   `json:"config"`
	Layers        []Descriptor `json:"layers"`
}

// Config says how an image was made.
type Config struct {
	Base    string            `json:"base"` // the name of the file, without its folder
	Digest  Digest            `json:"baseDigest"`
	Created time.Time         `json:"created,omitzero"`
	Labels  map[string]string `json:"labels,omitempty"`
	Options map[string]string `json:"options,omitempty"`
	History []Step            `json:"history"`
}

// Step is an instruction and what it gave.
type Step struct {
	Instruction string `json:"instruction"`
	Layer       Digest `json:"layer,omitempty"` // "" for one that changes no content
	Size        int64  `json:"size"`
}

// Image is a named image.
type Image struct {
	Name     string
	Digest   Digest // of the manifest
	Manifest Manifest
	Config   Config
}

// Tag stores an image under a name, which it takes from another if need be.
func (s *Store) Tag(ctx context.Context, name string, c Config, layers []Descriptor) (Digest, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	config, err := s.PutJSON(ctx, c)
	if err != nil {
		return "", err
	}
	config.MediaType = MediaConfig
	m := Manifest{SchemaVersion: 2, MediaType: MediaManifest, ArtifactType: ArtifactType, Config: config, Layers: layers}
	if m.Layers == nil {
		m.Layers = []Descriptor{}
	}
	d, err := s.PutJSON(ctx, m)
	if err != nil {
		return "", err
	}
	d.MediaType, d.ArtifactType, d.Annotations = MediaManifest, ArtifactType, map[string]string{refName: name}
	return d.Digest, s.change(func(x *index) {
		x.Manifests = slices.DeleteFunc(x.Manifests, func(o Descriptor) bool { return o.Annotations[refName] == name })
		x.Manifests = append(x.Manifests, d)
	})
}

// CheckName reports whether an image can have a name: name or name:tag.
func CheckName(name string) error {
	ok := name != "" && len(name) <= 255 && strings.Count(name, ":") <= 1 && !strings.HasPrefix(name, ":") && !strings.HasSuffix(name, ":")
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-/:", c))
	}
	if !ok {
		return fmt.Errorf("%q is not a name for an image: want NAME or NAME:TAG, of letters, digits, '.', '_', '-' and '/'", name)
	}
	return nil
}

// change changes the index; one process at a time.
func (s *Store) change(f func(*index)) error {
	unlock, err := s.lock()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer unlock()
	x, err := s.index()
	if err != nil {
		return err
	}
	f(&x)
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	return s.replace("index.json", append(b, '\n'))
}

func (s *Store) index() (index, error) {
	x := index{SchemaVersion: 2, MediaType: MediaIndex, Manifests: []Descriptor{}}
	b, err := readAll(s.path("index.json"))
	switch {
	case notThere(err):
		return x, nil
	case err != nil:
		return x, err
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return x, fmt.Errorf("%w: index.json: %w", ErrDamaged, err)
	}
	return x, nil
}

// Images lists the named images, sorted.
func (s *Store) Images() ([]Image, error) {
	x, err := s.index()
	if err != nil {
		return nil, err
	}
	var out []Image
	for _, d := range x.Manifests {
		if _, err := ParseDigest(string(d.Digest)); err != nil {
			return nil, fmt.Errorf("%w: index.json: %w", ErrDamaged, err)
		}
		i := Image{Name: d.Annotations[refName], Digest: d.Digest}
		if err := s.GetJSON(d.Digest, &i.Manifest); err != nil {
			return nil, err
		}
		if _, err := ParseDigest(string(i.Manifest.Config.Digest)); err != nil {
			return nil, fmt.Errorf("%w: manifest %s: %w", ErrDamaged, d.Digest, err)
		}
		if err := s.GetJSON(i.Manifest.Config.Digest, &i.Config); err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// temporary is how the names of files begin that a run removes at its end.
const temporary = ".run-"

// Temp makes a temporary file in the store, which the caller removes.
func (s *Store) Temp() (*os.File, error) { return os.CreateTemp(s.dir, temporary+"*") }

// sweep removes temporary files of runs that are over.
func (s *Store) sweep() error {
	unnamed := atomicfile.Unnamed
	for _, pattern := range []string{temporary + "*", "blobs/sha256/" + unnamed, "cache/" + unnamed, "bases/" + unnamed, unnamed} {
		left, err := filepath.Glob(filepath.Join(s.dir, filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		for _, p := range left {
			if err := os.Remove(p); err != nil && !notThere(err) {
				return err
			}
		}
	}
	return nil
}

// Pruned says what Prune removed.
type Pruned struct {
	Files int
	Bytes int64
}

// Prune removes what no named image needs: layers, results of steps that gave them, and
// what killed runs left. With all, named images go too. ErrBusy while a build uses it.
func (s *Store) Prune(all bool) (p Pruned, err error) {
	release, err := s.alone()
	if err != nil {
		return p, fmt.Errorf("prune %s: %w", s.dir, err)
	}
	defer release()
	unlock, err := s.lock()
	if err != nil {
		return p, fmt.Errorf("store: %w", err)
	}
	defer unlock()
	keep := map[string]bool{}
	if !all {
		images, err := s.Images()
		if err != nil {
			return p, err
		}
		for _, i := range images {
			keep[i.Digest.hex()], keep[i.Manifest.Config.Digest.hex()] = true, true
			for _, l := range i.Manifest.Layers {
				keep[l.Digest.hex()] = true
			}
		}
	} else if err := os.Remove(s.path("index.json")); err != nil && !notThere(err) {
		return p, err
	}
	drop := func(dir string, unneeded func(name string) bool) error {
		list, err := os.ReadDir(filepath.Join(s.dir, filepath.FromSlash(dir)))
		for _, e := range list {
			info, ierr := e.Info()
			if ierr != nil || !info.Mode().IsRegular() || !unneeded(e.Name()) {
				continue
			}
			if err := os.Remove(filepath.Join(s.dir, filepath.FromSlash(dir), e.Name())); err != nil {
				return err
			}
			p.Files++
			p.Bytes += info.Size()
		}
		return err
	}
	if err := drop("blobs/sha256", func(name string) bool { return !keep[name] }); err != nil {
		return p, err
	}
	if err := s.sweep(); err != nil {
		return p, err
	}
	return p, drop("cache", func(name string) bool {
		var d Descriptor
		b, err := readAll(s.path("cache/" + name))
		return err != nil || json.Unmarshal(b, &d) != nil || !keep[d.Digest.hex()]
	})
}
