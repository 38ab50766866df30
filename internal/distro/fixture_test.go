package distro_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/isolayer/isolayer/internal/distro"
)

// fixture is a file of testdata: what its head says, and the files of an image.
type fixture struct {
	name  string
	head  map[string]string
	files map[string]string // by path, without a slash in front
}

func fixtures(tb testing.TB) (out []fixture) {
	tb.Helper()
	list, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(list) == 0 {
		tb.Fatalf("no fixtures: %v", err)
	}
	for _, p := range list {
		text, err := os.ReadFile(p)
		if err != nil {
			tb.Fatal(err)
		}
		a := txtar.Parse(text)
		f := fixture{strings.TrimSuffix(filepath.Base(p), ".txtar"), map[string]string{}, map[string]string{}}
		for l := range strings.Lines(string(a.Comment)) {
			if k, v, ok := strings.Cut(l, ":"); ok {
				f.head[k] = strings.TrimSpace(v)
			}
		}
		for _, x := range a.Files {
			f.files[x.Name] = string(x.Data)
		}
		out = append(out, f)
	}
	return out
}

func (f fixture) medium() distro.Medium {
	return distro.Medium{Volume: volume(f.files), Label: f.head["label"], UDF: f.head["family"] == "windows"}
}

// volume is a tree in memory.
type volume map[string]string

func (v volume) Lookup(name string) (string, bool, error) {
	name = path.Clean(strings.TrimPrefix(name, "/"))
	for p := range v {
		if strings.EqualFold(p, name) {
			return p, false, nil
		}
		if len(p) > len(name) && strings.EqualFold(p[:len(name)], name) && p[len(name)] == '/' {
			return p[:len(name)], true, nil
		}
	}
	return "", false, fs.ErrNotExist
}

func (v volume) List(dir string) (out []string, err error) {
	for p := range v {
		if rest, ok := strings.CutPrefix(p, dir+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			out = append(out, first)
		}
	}
	return out, nil
}

func (v volume) Read(name string, limit int64) ([]byte, error) {
	p, dir, err := v.Lookup(name)
	if err != nil || dir || int64(len(v[p])) > limit {
		return nil, nil
	}
	return []byte(v[p]), nil
}
