package menu

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// overlay is a file system in which some files have other content, or are new.
type overlay struct {
	Files
	texts map[string][]byte // by path
}

// Over lays texts over the files of a volume.
func (v Volume) Over(texts map[string][]byte) Volume {
	v.Files = overlay{v.Files, texts}
	return v
}

func (o overlay) Lookup(name string) (found string, dir bool, err error) {
	found, dir, err = o.Files.Lookup(name)
	if err == nil {
		return found, dir, err
	}
	for p := range o.texts {
		if strings.EqualFold(p, path.Clean(name)) {
			return p, false, nil
		}
	}
	return found, dir, err
}

func (o overlay) List(dir string) ([]string, error) {
	names, err := o.Files.List(dir)
	for p := range o.texts {
		if path.Dir(p) == dir && !slices.Contains(names, path.Base(p)) {
			names = append(names, path.Base(p))
		}
	}
	slices.Sort(names)
	return names, err
}

func (o overlay) Read(name string, limit int64) ([]byte, error) {
	if text, ok := o.texts[name]; ok {
		if int64(len(text)) > limit {
			return nil, nil
		}
		return text, nil
	}
	return o.Files.Read(name, limit)
}

// At gives the bytes of programs, which are never new.
func (o overlay) At(name string) (io.ReaderAt, int64, error) {
	if p, ok := o.Files.(programs); ok {
		return p.At(name)
	}
	return nil, 0, fs.ErrNotExist
}
