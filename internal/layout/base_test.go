package layout

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/tree"
)

const blockSize = iso9660.BlockSize

// content is a source in memory.
type content struct {
	name string
	b    []byte
}

func (c *content) Name() string { return c.name }
func (c *content) Size() int64  { return int64(len(c.b)) }
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(c.b).ReadAt(p, off)
}

// noise is n bytes that no other content has: a seed is the name of one.
func noise(seed string, n int) []byte {
	out := make([]byte, 0, n+64)
	for i := 0; len(out) < n; i++ {
		out = fmt.Appendf(out, "%s %d\n", seed, i)
	}
	return out[:n]
}

// files are the files of an image to make: by path their content, with a slash at the end
// directories, with "->" in front of it links.
type files map[string]string

func (fs files) write(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range fs {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch to, link := strings.CutPrefix(text, "->"); {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case link:
			err = os.Symlink(to, path)
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// isofs makes an image of the files with genisoimage, or with xorriso where an argument is
// one of its own. TREE in an argument is the directory with the files.
func isofs(t testing.TB, fs files, args ...string) []byte {
	t.Helper()
	dir, out := fs.write(t), filepath.Join(t.TempDir(), "base.iso")
	cmd := []string{"genisoimage"}
	if slices.ContainsFunc(args, func(a string) bool {
		return strings.HasPrefix(a, "--") || strings.HasSuffix(a, "_partition") || strings.HasSuffix(a, "_offset")
	}) {
		cmd = []string{"xorriso", "-as", "mkisofs"}
	}
	cmd = append(cmd, "-quiet", "-o", out)
	for _, a := range args {
		cmd = append(cmd, strings.ReplaceAll(a, "TREE", dir))
	}
	isotest.Run(t, cmd[0], append(cmd[1:], dir)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open is the base that an image is.
func open(t testing.TB, b []byte) Base {
	t.Helper()
	img, err := iso9660.Open(bytes.NewReader(b), int64(len(b)), iso9660.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := boot.Volume{Catalog: img.BootCatalog(), Blocks: int64(img.Primary().SpaceSize())}
	at := map[iso9660.LBA]*iso9660.Entry{}
	for _, h := range iso9660.Hierarchies {
		root, err := img.Tree(h)
		if err != nil {
			t.Fatal(err)
		}
		if root == nil {
			continue
		}
		for e := range root.Walk() {
			r := e.Record()
			v.End = max(v.End, int64(r.LBA())+iso9660.Blocks(int64(r.Size())))
			if !e.IsDir() && e.Size() > 0 && at[e.Start()] == nil {
				at[e.Start()] = e
			}
		}
	}
	v.FileSize = func(l iso9660.LBA) (int64, string, bool) {
		if e := at[l]; e != nil {
			return e.Size(), e.Path(), true
		}
		return 0, "", false
	}
	equipment, err := boot.Parse(bytes.NewReader(b), int64(len(b)), v)
	if err != nil {
		t.Fatal(err)
	}
	return Base{Image: img, Boot: equipment, Source: &content{"base", b}}
}

// edited is the tree of a base with edits.
func edited(t testing.TB, base Base, edits ...tree.Edit) *tree.Tree {
	t.Helper()
	tr, err := tree.FromImage(base.Image)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Apply(edits); err != nil {
		t.Fatal(err)
	}
	return tr
}

// plan makes a result and its bytes, which must be sound.
func plan(t *testing.T, base Base, o Options, edits ...tree.Edit) (*Result, []byte) {
	t.Helper()
	tr := edited(t, base, edits...)
	r, err := Plan(base, tr, o)
	if err != nil {
		t.Fatalf("%v: %v", edits, err)
	}
	b := make([]byte, r.Map.Size())
	if n, err := r.Map.ReadAt(b, 0); n < len(b) {
		t.Fatal(err)
	}
	sound(t, base, tr, o, r, b)
	return r, b
}

func put(path string, n int) tree.Put {
	return tree.Put{Path: path, Attr: tree.Attr{Mode: iso9660.ModeRegular | 0o644}, Source: &content{path, noise(path, n)}}
}

func mkdir(path string) tree.Put {
	return tree.Put{Path: path, Attr: tree.Attr{Mode: iso9660.ModeDir | 0o755}}
}

// many is a directory of so many files, of a byte each.
func many(dir string, n int) (out []tree.Edit) {
	for i := range n {
		out = append(out, put(fmt.Sprintf("%s/f%03d", dir, i), 1))
	}
	return out
}

// lookup is the node at a path.
func lookup(t *testing.T, tr *tree.Tree, path string) *tree.Node {
	t.Helper()
	n, err := tr.Lookup(path)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// where is the first block of a file in an image, by the primary hierarchy.
func where(t *testing.T, b []byte, path string) int64 {
	t.Helper()
	root, err := open(t, b).Image.Tree(iso9660.Primary)
	if err != nil {
		t.Fatal(err)
	}
	for e := range root.Walk() {
		if e.Path() == path {
			return int64(e.Record().LBA())
		}
	}
	t.Fatalf("%s is not in the image", path)
	return 0
}

// bytesOf reads the content of a node that was not planned yet.
func bytesOf(t *testing.T, base Base, n *tree.Node) []byte {
	t.Helper()
	if n.Source != nil {
		b := make([]byte, n.Source.Size())
		if got, err := n.Source.ReadAt(b, 0); got < len(b) {
			t.Fatal(err)
		}
		return b
	}
	var out []byte
	for _, s := range n.Content() {
		b := make([]byte, s.Size)
		if _, err := base.Source.ReadAt(b, s.LBA.Offset()); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

// isofile is an image as a file, for other programs to read.
func isofile(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.iso")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
