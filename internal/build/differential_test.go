package build_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/sink"
)

// TestReadersAgree makes random trees, lets our own writer or another one make an image
// of each, and compares what all readers make of it: ours, libarchive, libisofs, 7-Zip
// and isoinfo. 10,000 trees under ISOLAYER_SOAK; ISOLAYER_TREES=1000-2000 takes those.
func TestReadersAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("runs five readers")
	}
	from, n := 0, 25
	if os.Getenv("ISOLAYER_SOAK") != "" {
		n = 10_000
	}
	if s := os.Getenv("ISOLAYER_TREES"); s != "" {
		if _, err := fmt.Sscanf(s, "%d-%d", &from, &n); err != nil || from%2 != 0 || from >= n {
			t.Fatalf("ISOLAYER_TREES=%s is no range that begins with an even number: %v", s, err)
		}
	}
	for half := range 2 {
		t.Run(fmt.Sprint(half), func(t *testing.T) {
			t.Parallel()
			readersAgree(t, from+half, n)
		})
	}
}

// readersAgree compares the readers of every other tree below n.
func readersAgree(t *testing.T, from, n int) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.iso")
	src := filepath.Join(dir, "tree")
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "0seed"), nil, 0o644); err != nil { // xorriso writes no empty image
		t.Fatal(err)
	}
	command(t, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-o", empty, src)
	done := 0
	for seed := from; seed < n; seed += 2 {
		r := rand.New(rand.NewPCG(uint64(seed), 10))
		if err := os.RemoveAll(src); err != nil {
			t.Fatal(err)
		}
		want := anyTree(t, r, src)
		image := filepath.Join(dir, "image.iso")
		switch seed / 2 % 4 {
		case 0:
			command(t, "genisoimage", "-quiet", "-R", "-J", "-joliet-long", "-o", image, src)
		case 1:
			command(t, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-joliet-long", "-o", image, src)
			editTree(t, image) // our writer makes its directories anew
		default:
			buildTree(t, empty, src, image)
		}
		compareReaders(t, seed, want, image)
		if t.Failed() {
			keep := filepath.Join(os.TempDir(), fmt.Sprintf("isolayer-tree-%d.iso", seed))
			command(t, "cp", image, keep)
			t.Fatalf("the image is %s", keep)
		}
		if done++; done%500 == 0 {
			t.Logf("%d trees", done)
		}
	}
	t.Logf("%d trees, from %d: equal", done, from)
}

func compareReaders(t *testing.T, seed int, want isotest.Manifest, image string) {
	t.Helper()
	for name, got := range readers(t, image) {
		w := want
		switch name {
		case "7z", "isoinfo": // they show less
			w = want.Map(func(e isotest.Entry) isotest.Entry { return isotest.Entry{Type: e.Type, Size: e.Size} })
		case "xorriso":
			w = want.Map(func(e isotest.Entry) isotest.Entry { e.SHA256 = ""; return e })
		}
		if d := w.Diff(got); d != "" {
			t.Errorf("tree %d, %s:\n%s", seed, name, d)
		}
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(isotest.Tool(t, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// anyTree makes files, directories and links below dir. Names are what all readers
// show the same: ASCII, not too long for Joliet, different in more than case. Links are
// short, since libarchive loses a slash of long ones.
func anyTree(t *testing.T, r *rand.Rand, dir string) isotest.Manifest {
	t.Helper()
	m := isotest.Manifest{"top": {Type: 'd'}}
	dirs := []string{"top"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "top"), 0o755))
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_+ .,"
	for i := range 1 + r.IntN(40) {
		parent := dirs[r.IntN(len(dirs))]
		b := []byte(fmt.Sprintf("%c%d", 'a'+r.IntN(26), i))
		for range r.IntN(50) {
			b = append(b, letters[r.IntN(len(letters))])
		}
		p := path.Join(parent, strings.TrimRight(string(b), " .")+"e")
		at := filepath.Join(dir, filepath.FromSlash(p))
		switch k := r.IntN(10); {
		case k < 3 && strings.Count(p, "/") < 6:
			must(os.Mkdir(at, 0o755))
			m[p] = isotest.Entry{Type: 'd'}
			dirs = append(dirs, p)
		case k < 4:
			link := []string{"x", "../y/z", "/abs/olute", strings.Repeat("long/", r.IntN(4)) + "end"}[r.IntN(4)]
			must(os.Symlink(link, at))
			m[p] = isotest.Entry{Type: 'l', Link: link}
		default:
			content := make([]byte, []int{0, 1, 2047, 2048, 2049, r.IntN(20000)}[r.IntN(6)])
			for i := range content {
				content[i] = byte(r.Uint32())
			}
			must(os.WriteFile(at, content, 0o644))
			m[p] = isotest.File(content)
		}
	}
	return m
}

// buildTree puts the tree in place of the one file of an image.
func buildTree(t *testing.T, empty, src, image string) {
	t.Helper()
	b, err := baseimage.Open(empty, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	epoch := time.Unix(1e9, 0)
	steps := []edit.Step{edit.Remove{Pattern: "/0seed"}, edit.Add{Source: filepath.Join(src, "top"), Dest: "/top"}}
	img, err := build.Build(t.Context(), b, steps, stage.Options{Epoch: &epoch})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := img.WriteFile(t.Context(), image, sink.Options{}); err != nil {
		t.Fatal(err)
	}
}

// editTree adds a directory with a file and removes it again, in two builds.
func editTree(t *testing.T, image string) {
	t.Helper()
	extra := filepath.Join(t.TempDir(), "extra")
	if err := os.WriteFile(extra, bytes.Repeat([]byte("extra"), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, step := range []edit.Step{edit.Add{Source: extra, Dest: "/zz new directory/extra"}, edit.Remove{Pattern: "/zz new directory"}} {
		b, err := baseimage.Open(image, baseimage.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		img, err := build.Build(t.Context(), b, []edit.Step{step}, stage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := img.WriteFile(t.Context(), image+".new", sink.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(image+".new", image); err != nil {
			t.Fatal(err)
		}
	}
}

// readers are what each program makes of the image.
func readers(t *testing.T, image string) map[string]isotest.Manifest {
	t.Helper()
	listed := func(m map[string]isotest.Listed) isotest.Manifest {
		out := isotest.Manifest{}
		for p, l := range m {
			e := isotest.Entry{Type: l.Type}
			if l.Type == 'f' {
				e.Size = l.Size
			}
			out[p] = e
		}
		return out
	}
	bare := func(e isotest.Entry) isotest.Entry { return isotest.Content(e) }
	out := map[string]isotest.Manifest{
		"isolayer": ourManifest(t, image),
		"bsdtar":   isotest.Bsdtar(t, image).Map(bare),
		"xorriso":  isotest.XorrisoTree(t, image).Map(bare),
		"isoinfo":  listed(isotest.IsoinfoRR(t, image)),
	}
	// 7-Zip shows Joliet, which has no links.
	links := map[string]bool{}
	for p, e := range out["bsdtar"] {
		links[p] = e.Type == 'l'
	}
	seven := isotest.Manifest{}
	for p, size := range isotest.SevenZip(t, image) {
		e := isotest.Entry{Type: 'f', Size: size}
		if size < 0 {
			e = isotest.Entry{Type: 'd'}
		}
		seven[p] = e
	}
	for p := range links {
		if links[p] {
			seven[p] = isotest.Entry{Type: 'l'}
		}
	}
	out["7z"] = seven
	return out
}

// ourManifest is the tree as package iso9660 reads it.
func ourManifest(t *testing.T, image string) isotest.Manifest {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	img, err := iso9660.Open(f, info.Size(), iso9660.Options{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := img.Tree(iso9660.Primary)
	if err != nil {
		t.Fatal(err)
	}
	out := isotest.Manifest{}
	for e := range root.Walk() {
		p := strings.TrimPrefix(e.Path(), "/")
		switch {
		case p == "":
		case e.IsDir():
			out[p] = isotest.Entry{Type: 'd'}
		case e.StMode()&iso9660.ModeType == iso9660.ModeSymlink:
			out[p] = isotest.Entry{Type: 'l', Link: e.Attributes().Link}
		default:
			r, size, err := img.Open(e)
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
				t.Fatal(err)
			}
			out[p] = isotest.Entry{Type: 'f', Size: size, SHA256: hex.EncodeToString(h.Sum(nil))}
		}
	}
	if len(slices.Collect(maps.Keys(out))) == 0 {
		t.Fatal("an empty tree")
	}
	return out
}
