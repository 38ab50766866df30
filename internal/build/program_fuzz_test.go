package build_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/erofs"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest/hostile"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/verify"
)

// programLimit bounds what reading one small image may allocate, all told.
const programLimit = 64 << 20

// shown is the tree of an image as its readers see it: attributes by path, and content
// but for what loads the system. Of entries with one name the first counts.
func shown(src io.ReaderAt, size int64, loads map[string]bool) (map[string]string, error) {
	img, err := iso9660.Open(src, size, iso9660.Options{})
	if err != nil {
		return nil, err
	}
	t, err := tree.FromImage(img)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	budget := int64(4 << 20)
	err = t.Walk(func(n *tree.Node) error {
		a := n.Attr
		if n.IsDir() {
			a.ModTime = time.Time{} // that of a changed directory is another
		}
		text := fmt.Sprintf("%o %d:%d %d,%d %v %q in %v hidden %v, %d bytes", a.Mode, a.UID, a.GID, a.Major, a.Minor, a.ModTime.Unix(), a.Link, n.In, n.Hidden, n.Size())
		if n.IsRegular() && !loads[n.Path()] {
			text += contentOf(img, n, &budget)
		}
		if _, ok := out[n.Path()]; !ok {
			out[n.Path()] = text
		}
		return nil
	})
	return out, err
}

// contentOf returns the content of a file, as long as the budget lasts.
func contentOf(img *iso9660.Image, n *tree.Node, budget *int64) string {
	for _, e := range n.Found {
		if e == nil {
			continue
		}
		r, size, err := img.Open(e)
		if err != nil {
			return " cannot be read"
		}
		if *budget -= size; *budget < 0 {
			return ""
		}
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
			return " cannot be read"
		}
		return fmt.Sprintf(" %x", h.Sum(nil)[:8])
	}
	return ""
}

// loaders are the files that share bytes with boot equipment: addresses in them follow
// what moves.
func loaders(b *baseimage.Base) (map[string]bool, error) {
	t, err := b.Tree()
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	return out, t.Walk(func(n *tree.Node) error {
		for _, s := range n.Content() {
			for _, o := range b.Boot().Objects() {
				if s.LBA.Offset() < o.Off+o.Len && o.Off < s.LBA.Offset()+s.Size {
					out[n.Path()] = true
				}
			}
		}
		return nil
	})
}

// programs makes images by programs and tests what must hold for every image.
type programs struct {
	bases    []hostile.Base
	path, ks string
}

func newPrograms(t testing.TB) *programs {
	dir := t.TempDir()
	p := &programs{hostile.Bases(), filepath.Join(dir, "image.iso"), filepath.Join(dir, "ks.cfg")}
	if err := os.WriteFile(p.ks, []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// test reads the image that the program makes, changes it in three ways, and reports
// whether it could be changed.
func (p *programs) test(t *testing.T, program hostile.Program) bool {
	guard := time.AfterFunc(10*time.Second, func() { panic(fmt.Sprint("one input takes more than ten seconds: ", program)) })
	defer guard.Stop()
	m := program.Run(p.bases)
	if err := os.WriteFile(p.path, m, 0o644); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	report, err := build.Verify(t.Context(), p.path, verify.Options{})
	b, openErr := baseimage.Open(p.path, baseimage.OpenOptions{})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > programLimit {
		t.Errorf("reading takes %d MiB", n>>20)
	}
	if openErr != nil {
		return false
	}
	defer b.Close()
	if err != nil {
		t.Fatalf("it opens, but verify says %v", err)
	}
	if _, err := erofs.Metadata(b.Image(), b.Size()); err != nil && !errors.Is(err, erofs.ErrUnsupported) {
		t.Errorf("EROFS: %v", err)
	}
	loads, err := loaders(b)
	if err != nil {
		t.Fatal(err)
	}
	was, err := shown(bytes.NewReader(m), int64(len(m)), loads)
	if err != nil {
		t.Fatalf("it opens, but is not read: %v", err)
	}
	changed := false
	for _, o := range []stage.Options{{}, {Compact: true}, {InPlace: true}} {
		changed = p.build(t, b, was, loads, report.Problems() == 0, o) || changed
	}
	return changed
}

// mustBuild adds a file: all else is as it was.
func (p *programs) build(t *testing.T, b *baseimage.Base, was map[string]string, loads map[string]bool, sound bool, o stage.Options) bool {
	const added, dir = "/ZZNEW/KS.CFG", "/ZZNEW"
	if _, ok := was[dir]; ok {
		return false
	}
	what := fmt.Sprintf("compact %v, in place %v", o.Compact, o.InPlace)
	img, err := build.Build(t.Context(), b, []edit.Step{edit.Add{Source: p.ks, Dest: added}}, o)
	if err != nil {
		if strings.Contains(err.Error(), "internal error") {
			t.Errorf("%s: %v", what, err)
		}
		return false
	}
	got, err := shown(img.Map, img.Map.Size(), loads)
	if err != nil {
		t.Fatalf("%s: the result is not read: %v", what, err)
	}
	if got[added] == "" {
		t.Errorf("%s: what was added is not there", what)
	}
	delete(got, added)
	delete(got, dir)
	for _, path := range slices.Sorted(maps.Keys(was)) {
		if got[path] != was[path] {
			t.Errorf("%s: %q was %s, and is %s", what, path, was[path], got[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(got)) {
		if _, ok := was[path]; !ok {
			t.Errorf("%s: %q is new: %s", what, path, got[path])
		}
	}
	after, err := verify.Image(t.Context(), img.Map, img.Map.Size(), verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if sound && after.Problems() > 0 {
		t.Errorf("%s: a sound image became unsound: %+v", what, after)
	}
	return true
}

// FuzzProgram changes structures of small images as a program says and keeps the rest
// in line with them: whatever comes out of it is read, or refused, and an edit of what
// is read keeps all else.
func FuzzProgram(f *testing.F) {
	p := newPrograms(f)
	for i, b := range p.bases {
		f.Add([]byte(hostile.Encode(i, hostile.AllFixups())))
		for field := 0; field < hostile.Fields(b.Image); field += 61 {
			f.Add([]byte(hostile.Encode(i, hostile.AllFixups(), hostile.Step{Op: hostile.Set, Field: field, Kind: hostile.Like, Value: uint32(field)})))
			f.Add([]byte(hostile.Encode(i, hostile.AllFixups(), hostile.Step{Op: hostile.Insert, Field: field, Value: uint32(field * 3)})))
		}
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) < 200 {
			p.test(t, program)
		}
		if t.Failed() {
			t.Logf("%v", hostile.Program(program))
		}
	})
}

// TestFindings runs programs that once failed.
func TestFindings(t *testing.T) {
	p := newPrograms(t)
	find := func(base, kind, field string, value uint32) hostile.Program {
		i := slices.IndexFunc(p.bases, func(b hostile.Base) bool { return b.Name == base })
		return hostile.Encode(i, hostile.AllFixups(), hostile.Step{Op: hostile.Set, Field: hostile.FieldOf(p.bases[i].Image, kind, field), Value: value})
	}
	for name, program := range map[string]hostile.Program{
		"a partition moves in front of the first usable sector": find("boot", "GPT header", "first", 127),
		"a compact image of a catalog that is not there":        find("boot", "descriptor", "catalog", 0x7fffffff),
	} {
		t.Run(name, func(t *testing.T) {
			if !p.test(t, program) {
				t.Errorf("%v: it cannot be changed", program)
			}
		})
	}
}

// TestEveryField puts every value of a list, and the blocks of structures, into every
// field of every base, with and without fix-ups. Outside of a soak it takes some of them.
func TestEveryField(t *testing.T) {
	every := 499
	if testing.Short() {
		every = 4999
	}
	if os.Getenv("ISOLAYER_SOAK") != "" {
		every = 1
	}
	p := newPrograms(t)
	for i, b := range p.bases {
		t.Run(b.Name, func(t *testing.T) { p.everyField(t, i, every) })
	}
}

func (p *programs) everyField(t *testing.T, base, every int) {
	n, changed, k := 0, 0, 0
	for field := range hostile.Fields(p.bases[base].Image) {
		for value := range hostile.Values() + 6 {
			for _, fixups := range [][]byte{nil, hostile.AllFixups()} {
				if k++; k%every != 0 {
					continue
				}
				s := hostile.Step{Op: hostile.Set, Field: field, Kind: hostile.Like, Value: uint32(value)}
				if over := value - hostile.Values(); over >= 0 {
					s.Kind, s.Value = hostile.Block, uint32(over*7)
				}
				program := hostile.Encode(base, fixups, s)
				if n++; p.test(t, program) {
					changed++
				}
				if t.Failed() {
					t.Fatalf("%v", program)
				}
			}
		}
	}
	t.Logf("%d images, %d of them can be changed", n, changed)
	if n > 20 && (changed < n/4 || changed == n) {
		t.Errorf("%d of %d images can be changed", changed, n)
	}
}
