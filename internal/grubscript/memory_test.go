package grubscript

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// memory is a volume of texts.
type memory map[string]string

func (v memory) Lookup(name string) (string, bool, error) {
	if _, ok := v[name]; ok {
		return name, false, nil
	}
	for have := range v {
		if strings.EqualFold(have, name) {
			return have, false, nil
		}
		if len(have) > len(name) && strings.EqualFold(have[:len(name)], name) && have[len(name)] == '/' {
			return have[:len(name)], true, nil
		}
	}
	return "", false, fs.ErrNotExist
}

func (v memory) sorted() (out []string) {
	for name := range v {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (v memory) List(dir string) (out []string, err error) {
	for _, have := range v.sorted() {
		rest := have
		if dir != "" && dir != "." {
			var ok bool
			if rest, ok = strings.CutPrefix(have, dir+"/"); !ok {
				continue
			}
		}
		name, _, _ := strings.Cut(rest, "/")
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

func (v memory) Read(name string, limit int64) ([]byte, error) {
	text, ok := v[path.Clean(name)]
	if !ok || int64(len(text)) > limit {
		return nil, nil
	}
	return []byte(text), nil
}
