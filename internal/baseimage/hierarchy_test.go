package baseimage_test

import (
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/baseimage/hierarchytest"
	"github.com/isolayer/isolayer/internal/master/scan"
)

// texts are the files of the image that is tested.
var texts = map[string]string{"a": "a", "dir/b": strings.Repeat("b", 5000), "dir/sub/" + strings.Repeat("long", 50): "c", "empty": ""}

// opened is an image of them.
func opened(t *testing.T) *baseimage.Base {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	res, err := scan.Plan([]scan.Graft{{Source: dir}}, scan.Options{RockRidge: true, Joliet: true, Enhanced: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Close() })
	b, err := baseimage.OpenSource(extent.Compose("made", res.Map), baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// TestHierarchies: each of an image's passes the suite, and has the content of the files.
func TestHierarchies(t *testing.T) {
	b := opened(t)
	list, err := baseimage.Hierarchies(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 {
		t.Errorf("there are %d", len(list))
	}
	for _, h := range list {
		files := hierarchytest.Test(t, h, b.Size())
		if len(files) != len(texts) {
			t.Errorf("%s has %d files", h, len(files))
		}
		has(t, h.String(), b.Source(), files["/dir/b"], texts["dir/b"])
	}
}

func has(t *testing.T, what string, src extent.Source, at []extent.Range, want string) {
	t.Helper()
	var got bytes.Buffer
	for _, r := range at {
		p := make([]byte, r.Len)
		if _, err := src.ReadAt(p, r.Off); err != nil {
			t.Fatal(err)
		}
		got.Write(p)
	}
	if got.String() != want {
		t.Errorf("%s: %d bytes, want %d", what, got.Len(), len(want))
	}
}

// TestShiftedHierarchy: nothing in the seam says that addresses count from the start of the
// image; those of a file system in a partition do not.
func TestShiftedHierarchy(t *testing.T) {
	b := opened(t)
	list, err := baseimage.Hierarchies(b)
	if err != nil {
		t.Fatal(err)
	}
	const at = 1 << 20
	m, err := extent.New([]extent.Extent{extent.ZeroOf(0, at), extent.CopyOf(at, b.Source(), 0, b.Size())})
	if err != nil {
		t.Fatal(err)
	}
	files := hierarchytest.Test(t, shifted{list[0], at}, m.Size())
	has(t, "the partition", extent.Compose("disk", m), files["/dir/b"], texts["dir/b"])
}

// shifted is a hierarchy of a file system that lies in a partition.
type shifted struct {
	baseimage.Hierarchy
	by int64
}

func shift(list []extent.Range, by int64) (out []extent.Range) {
	for _, r := range list {
		out = append(out, extent.Range{Off: r.Off + by, Len: r.Len})
	}
	return out
}

func (h shifted) Descriptors() []extent.Range { return shift(h.Hierarchy.Descriptors(), h.by) }
func (h shifted) Tables() []extent.Range      { return shift(h.Hierarchy.Tables(), h.by) }
func (h shifted) Root() baseimage.Node        { return shiftedNode{h.Hierarchy.Root(), h.by} }

type shiftedNode struct {
	baseimage.Node
	by int64
}

func (n shiftedNode) Extents() []extent.Range { return shift(n.Node.Extents(), n.by) }

func (n shiftedNode) Children() iter.Seq[baseimage.Node] {
	return func(yield func(baseimage.Node) bool) {
		for c := range n.Node.Children() {
			if !yield(shiftedNode{c, n.by}) {
				return
			}
		}
	}
}
