// Package hierarchytest is the suite that any baseimage.Hierarchy must pass.
package hierarchytest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
)

// maxDepth is how deep a hierarchy is followed: one that has a loop does not end.
const maxDepth = 64

// Test tests a hierarchy of an image of size bytes, and returns its files by their paths, each
// with where its content lies.
func Test(t *testing.T, h baseimage.Hierarchy, size int64) map[string][]extent.Range {
	t.Helper()
	within := func(what string, list []extent.Range) {
		for _, r := range list {
			if r.Off < 0 || r.Len < 0 || r.End() > size {
				t.Errorf("%s: %s lies at %+v of %d bytes", h, what, r, size)
			}
		}
	}
	if h.String() == "" {
		t.Error("a hierarchy has no name")
	}
	if len(h.Descriptors()) == 0 {
		t.Errorf("%s: nothing leads to the root", h)
	}
	within("the descriptors", h.Descriptors())
	within("the tables", h.Tables())
	root := h.Root()
	if !root.IsDir() || root.Name() != "" || root.Path() != "/" {
		t.Errorf("%s: the root is %q at %q", h, root.Name(), root.Path())
	}
	files := map[string][]extent.Range{}
	own := slices.Concat(h.Descriptors(), h.Tables())
	var walk func(n baseimage.Node, path string, depth int)
	walk = func(n baseimage.Node, path string, depth int) {
		if depth > maxDepth {
			t.Fatalf("%s: %s is too deep", h, path)
		}
		if n.Path() != path && path != "" {
			t.Errorf("%s: %s says that it is at %s", h, path, n.Path())
		}
		within(n.Path(), n.Extents())
		if !n.IsDir() {
			sum := int64(0)
			for _, r := range n.Extents() {
				sum += r.Len
			}
			if sum != n.Size() {
				t.Errorf("%s: %s has %d bytes in extents of %d", h, path, n.Size(), sum)
			}
			files[path] = n.Extents()
			for range n.Children() {
				t.Errorf("%s: %s, a file, has children", h, path)
			}
			return
		}
		if len(n.Extents()) == 0 {
			t.Errorf("%s: the records of %s lie nowhere", h, n.Path())
		}
		own = append(own, n.Extents()...)
		var first []string
		for c := range n.Children() {
			if c.Name() == "" || strings.Contains(c.Name(), "/") || slices.Contains(first, c.Name()) {
				t.Errorf("%s: %s has %q in it", h, n.Path(), c.Name())
			}
			first = append(first, c.Name())
			walk(c, path+"/"+c.Name(), depth+1)
		}
		var again []string
		for c := range n.Children() {
			again = append(again, c.Name())
			if len(again) == 2 { // whoever wants no more gets no more
				break
			}
		}
		if !slices.Equal(again, first[:min(2, len(first))]) {
			t.Errorf("%s: %s lists %q and then %q", h, n.Path(), first, again)
		}
	}
	walk(root, "", 0)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, r := range files[name] {
			for _, o := range own {
				if r.Off < o.End() && o.Off < r.End() {
					t.Errorf("%s: the content of %s at %+v lies on its own %+v", h, name, r, o)
				}
			}
		}
	}
	return files
}
