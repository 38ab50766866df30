package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/tree"
)

// isofs makes an image of files, by path their content, with genisoimage or, where an
// argument is one of xorriso, with that.
func isofs(t *testing.T, files map[string]string, args ...string) []byte {
	t.Helper()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "base.iso")
	when := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := []string{"genisoimage"}
	if strings.Contains(strings.Join(args, " "), "_partition") {
		cmd = []string{"xorriso", "-as", "mkisofs"}
	}
	cmd = append(append(cmd, "-quiet", "-o", out), args...)
	isotest.Run(t, cmd[0], append(cmd[1:], dir)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// side opens an image.
func side(t *testing.T, src io.ReaderAt, size int64) Side {
	t.Helper()
	img, err := iso9660.Open(src, size, iso9660.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := tree.FromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	v := boot.Volume{Catalog: img.BootCatalog(), Blocks: int64(img.Primary().SpaceSize())}
	at := map[iso9660.LBA]*tree.Node{}
	err = tr.Walk(func(n *tree.Node) error {
		for _, s := range n.Content() {
			at[s.LBA] = n
			v.End = max(v.End, int64(s.LBA)+iso9660.Blocks(s.Size))
		}
		return nil
	})
	v.FileSize = func(l iso9660.LBA) (int64, string, bool) {
		if n := at[l]; n != nil {
			return n.Size(), n.Path(), true
		}
		return 0, "", false
	}
	equipment, err2 := boot.Parse(src, size, v)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return Side{src, size, img, tr, equipment}
}

// memory is an image in memory.
type memory struct{ b []byte }

func (m *memory) Name() string                            { return "memory" }
func (m *memory) Size() int64                             { return int64(len(m.b)) }
func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }

func imageOf(t *testing.T, b []byte) Side {
	t.Helper()
	return side(t, &memory{b}, int64(len(b)))
}

// edit is the image that edits of another make, as bytes.
func edit(t *testing.T, base Side, o layout.Options, edits ...tree.Edit) Side {
	t.Helper()
	src := planned(t, base, o, edits...)
	b := make([]byte, src.Size())
	if _, err := src.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return imageOf(t, b)
}

// planned is that image as a plan.
func planned(t *testing.T, base Side, o layout.Options, edits ...tree.Edit) *extent.Composed {
	t.Helper()
	tr, err := tree.FromImage(base.Image)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Apply(edits); err != nil {
		t.Fatal(err)
	}
	r, err := layout.Plan(layout.Base{Image: base.Image, Boot: base.Boot, Source: base.Source.(extent.Source)}, tr, o)
	if err != nil {
		t.Fatal(err)
	}
	return extent.Compose("planned", r.Map)
}

func compare(t *testing.T, a, b Side) *Report {
	t.Helper()
	r, err := Images(context.Background(), a, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// text is changes, a line each.
func text(cs []Change) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.String())
	}
	return strings.Join(out, "\n")
}

func put(path, content string) tree.Put {
	return tree.Put{Path: path, Attr: tree.Attr{Mode: iso9660.ModeRegular | 0o444, ModTime: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)}, Source: &memory{[]byte(content)}}
}

// esp is a FAT image of 1 MiB with files.
func esp(t *testing.T, files map[string]string) string {
	t.Helper()
	blank, err := fat.Create(fat.Format{Size: 1 << 20, Label: "ESP", ID: 1, Time: time.Unix(1e9, 0)})
	if err != nil {
		t.Fatal(err)
	}
	base := extent.Compose("esp", blank)
	img, err := fat.Open(base, base.Size())
	if err != nil {
		t.Fatal(err)
	}
	e, err := img.Edit(fat.Options{Time: time.Unix(1e9, 0), Base: base})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) { // directories come first
		text := files[name]
		if strings.HasSuffix(name, "/") {
			err = e.Mkdir(strings.TrimSuffix(name, "/"))
		} else {
			err = e.Add(name, fat.Bytes([]byte(text)))
		}
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", name, err))
		}
	}
	m, err := e.Map()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, m.Size())
	if _, err := m.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return string(b)
}
