package fat

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Lookup finds a file or directory in any case and returns its path as the volume has
// it, without a slash in front.
func (img *Image) Lookup(name string) (found string, dir bool, err error) {
	name = clean(name)
	e, err := img.lookup("find", name)
	if err != nil { // for damage too
		return "", false, &fs.PathError{Op: "find", Path: name, Err: img.missing(name)}
	}
	if name == "." {
		return ".", true, nil
	}
	at := img.root
	for part := range strings.SplitSeq(name, "/") {
		at = at.find(part)
		found = path.Join(found, at.name)
	}
	return found, e.dir(), nil
}

// clean makes a path as loaders write it one of package fs.
func clean(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/")
	if name == "" {
		return "."
	}
	return name
}

// List returns the names in a directory, none in one that is damaged.
func (img *Image) List(dir string) ([]string, error) {
	list, err := img.ReadDir(clean(dir))
	var out []string
	for _, d := range list {
		out = append(out, d.Name())
	}
	return out, ignoreDamage(err)
}

// Read returns the content of a file, nil if it has more than limit bytes or cannot be
// read for damage of the volume.
func (img *Image) Read(name string, limit int64) ([]byte, error) {
	e, err := img.lookup("read", clean(name))
	if err != nil || e.dir() || e.size > limit {
		return nil, ignoreDamage(err)
	}
	b, err := fs.ReadFile(img, clean(name))
	return b, ignoreDamage(err)
}

// ignoreDamage drops the errors that a volume itself is the reason of.
func ignoreDamage(err error) error {
	var damage *FormatError
	if errors.As(err, &damage) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil
	}
	return err
}

// At returns the bytes of a file.
func (img *Image) At(name string) (io.ReaderAt, int64, error) {
	m, err := img.Content(clean(name))
	if err != nil {
		return nil, 0, err
	}
	return m, m.Size(), nil
}
