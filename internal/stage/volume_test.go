package stage_test

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/stage/volumetest"
)

// empty is a stage on an image whose only file is an empty FAT image, which firmware finds by
// its name.
func empty(t *testing.T) *stage.Stage {
	t.Helper()
	dir := t.TempDir()
	m, err := fat.Create(fat.Format{Size: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, m.Size())
	if _, err := m.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "efi.img"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := scan.Plan([]scan.Graft{{Source: dir}}, scan.Options{RockRidge: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Close() })
	base, err := baseimage.OpenSource(extent.Compose("made", res.Map), baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { base.Close() })
	tree, err := base.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return stage.New(t.Context(), base, tree, stage.Options{})
}

func TestTreeVolume(t *testing.T) {
	s := empty(t)
	volumetest.Test(t, s.TreeVolume)
}

func TestFATVolume(t *testing.T) {
	s := empty(t)
	volumetest.Test(t, func() stage.Volume {
		list, err := s.Volumes()
		if err != nil || len(list) != 2 {
			t.Fatalf("%d volumes, %v", len(list), err)
		}
		if list[1].Prefix() != "/efi.img:/" {
			t.Errorf("the prefix is %s", list[1].Prefix())
		}
		again, err := s.Fresh(list[1])
		if err != nil {
			t.Fatal(err)
		}
		return again
	})
}

// TestMapVolume: the seam has no word of trees and FAT; a file system in a map passes, too.
func TestMapVolume(t *testing.T) {
	v := &mapVolume{files: map[string]extent.Source{}, dirs: map[string]bool{".": true}}
	volumetest.Test(t, func() stage.Volume { return v })
}

// mapVolume is a file system in a map.
type mapVolume struct {
	files map[string]extent.Source
	dirs  map[string]bool
}

func (*mapVolume) Prefix() string { return "map:/" }
func (*mapVolume) Original() bool { return false }

func (v *mapVolume) find(name string) (string, bool, error) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		name = "."
	}
	for n := range v.files {
		if strings.EqualFold(n, name) {
			return n, false, nil
		}
	}
	for n := range v.dirs {
		if strings.EqualFold(n, name) {
			return n, true, nil
		}
	}
	return "", false, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
}

func (v *mapVolume) Lookup(name string) (string, bool, error) { return v.find(name) }

func (v *mapVolume) List(dir string) (out []string, err error) {
	dir, _, err = v.find(dir)
	for _, n := range slices.Concat(slices.Collect(maps.Keys(v.files)), slices.Collect(maps.Keys(v.dirs))) {
		if n != "." && path.Dir(n) == dir {
			out = append(out, path.Base(n))
		}
	}
	return out, err
}

func (v *mapVolume) Read(name string, limit int64) ([]byte, error) {
	r, size, err := v.At(name)
	if err != nil || size > limit {
		return nil, nil
	}
	return io.ReadAll(io.NewSectionReader(r, 0, size))
}

func (v *mapVolume) At(name string) (io.ReaderAt, int64, error) {
	src, _, size, err := v.Content(name)
	return src, size, err
}

func (v *mapVolume) Identity(name string) any {
	n, _, _ := v.find(name)
	return v.files[n]
}

func (v *mapVolume) Content(name string) (extent.Source, int64, int64, error) {
	n, dir, err := v.find(name)
	if err == nil && dir {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, 0, 0, err
	}
	return v.files[n], 0, v.files[n].Size(), nil
}

func (v *mapVolume) Edit(change func(stage.Editor) error) error { return change(v) }

func (v *mapVolume) Put(name string, src extent.Source) error {
	if n, _, err := v.find(name); err == nil {
		name = n
	}
	v.files[name] = src
	return v.Mkdir(path.Dir(name))
}

func (v *mapVolume) Mkdir(name string) error {
	for ; name != "."; name = path.Dir(name) {
		v.dirs[name] = true
	}
	return nil
}

func (v *mapVolume) Remove(name string) error {
	n, _, err := v.find(name)
	if err != nil {
		return errors.Join(err)
	}
	below := func(x string) bool { return x == n || strings.HasPrefix(x, n+"/") }
	maps.DeleteFunc(v.files, func(x string, _ extent.Source) bool { return below(x) })
	maps.DeleteFunc(v.dirs, func(x string, _ bool) bool { return below(x) })
	return nil
}
