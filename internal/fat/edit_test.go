package fat

import (
	"errors"
	"flag"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/isolayer/isolayer/extent"
)

var editTime = time.Date(2026, 11, 23, 9, 5, 44, 0, time.UTC)

// names are what random edits choose from: 8.3 in every case, long ones, other
// scripts, surrogate pairs, and names that collide in their short forms.
var names = []string{
	"A.TXT", "b.txt", "C.cfg", "grub.CFG", "Mixed.Case", "BOOTX64.EFI", "noext", "NOEXT2", ".hidden", "two.dots.txt",
	"with space.txt", "a long name of many words.conf", "a long name of many other words.conf", "größe.txt", "日本語のファイル", "😀 emoji.bin",
	"thirteenchars", "twenty-six characters long", strings.Repeat("x", 200) + ".y", "plus+comma,semi;eq=[x]", "ÄÖÜ", "tilde~1.txt",
}

// content is n bytes that no other seed has.
func content(seed, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// model is what the edits so far should lead to.
type model struct {
	tree tree
	seed int
}

func (m *model) pick(t *rapid.T, want func(name, sum string) bool) (string, bool) {
	var list []string
	for name, sum := range m.tree {
		if want(name, sum) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return "", false
	}
	slices.Sort(list)
	return rapid.SampledFrom(list).Draw(t, "path"), true
}

func isFile(_, sum string) bool { return sum != "" }
func isDir(_, sum string) bool  { return sum == "" }

func (m *model) taken(name string) bool {
	for have := range m.tree {
		if strings.EqualFold(have, name) {
			return true
		}
	}
	return false
}

func (m *model) below(dir string) (list []string) {
	for name := range m.tree {
		if strings.HasPrefix(name, dir+"/") {
			list = append(list, name)
		}
	}
	return list
}

func (m *model) removeAll(dir string) {
	for _, name := range append(m.below(dir), dir) {
		delete(m.tree, name)
	}
}

// step makes one random edit, in the editor and in the model.
func (m *model) step(t *rapid.T, e *Editor, cluster int) {
	kind := rapid.SampledFrom([]string{"add", "add", "add", "mkdir", "replace", "replace", "remove", "removeall"}).Draw(t, "edit")
	size := rapid.OneOf(rapid.IntRange(0, 5*cluster), rapid.SampledFrom([]int{0, 1, cluster - 1, cluster, cluster + 1, 40 * cluster})).Draw(t, "size")
	m.seed++
	data := content(m.seed, min(size, 200<<10))
	fresh := func() string {
		dir, ok := m.pick(t, isDir)
		if !ok || rapid.Bool().Draw(t, "root") {
			dir = "."
		}
		return path.Join(dir, rapid.SampledFrom(names).Draw(t, "name"))
	}
	var err error
	switch kind {
	case "add":
		name := fresh()
		taken := m.taken(name)
		if err = e.Add(name, Bytes(data)); taken != errors.Is(err, os.ErrExist) {
			t.Fatalf("add %q, taken %v: %v", name, taken, err)
		}
		if taken {
			return
		}
		m.tree[name] = digest(data)
	case "mkdir":
		name := fresh()
		if m.taken(name) {
			return
		}
		err = e.Mkdir(name)
		m.tree[name] = ""
	case "replace":
		name, ok := m.pick(t, isFile)
		if !ok {
			return
		}
		err = e.Replace(strings.ToUpper(name), Bytes(data))
		m.tree[name] = digest(data)
	case "remove":
		name, ok := m.pick(t, func(string, string) bool { return true })
		if !ok {
			return
		}
		if full := len(m.below(name)) > 0; full {
			if err := e.Remove(name); !errors.Is(err, ErrNotEmpty) {
				t.Fatalf("remove %q, which is not empty: %v", name, err)
			}
			return
		}
		err = e.Remove(name)
		delete(m.tree, name)
	case "removeall":
		name, ok := m.pick(t, isDir)
		if !ok {
			return
		}
		err = e.RemoveAll(name)
		m.removeAll(name)
	}
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
}

// judge has an edited volume read by us and, if other programs are asked for, by them.
func judge(t *rapid.T, tb testing.TB, b []byte, want tree, tools bool) *Image {
	img := openBytes(tb, b)
	if diff := cmp.Diff(want, ours(tb, img)); diff != "" {
		t.Fatalf("we read (-want +got)\n%s", diff)
	}
	if !tools {
		return img
	}
	file := write(tb, extent.Whole(Bytes(b)))
	defer os.Remove(file)
	sound(tb, file)
	if img.typ != FAT32 || img.clusters > maxClusters16 {
		want = want.inMtools()
	}
	if diff := cmp.Diff(want, theirs(tb, file)); diff != "" {
		t.Fatalf("they read (-want +got)\n%s", diff)
	}
	return img
}

// TestRandomEdits makes sequences of edits, each of the image that the one
// before left, and has all of them judged. 1000 sequences a volume under ISOLAYER_SOAK, else 30.
func TestRandomEdits(t *testing.T) {
	checks := "30"
	if os.Getenv("ISOLAYER_SOAK") != "" {
		checks = "1000"
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = flag.Set("rapid.checks", "100") }() // its default
	for _, ref := range some() {
		t.Run(ref.name, func(t *testing.T) {
			start := ref.make(t)
			base, err := os.ReadFile(start)
			if err != nil {
				t.Fatal(err)
			}
			edits, judged := 0, 0
			rapid.Check(t, func(rt *rapid.T) {
				b, m := base, &model{tree: tree{}}
				for range rapid.IntRange(1, 3).Draw(rt, "rounds") {
					img := openBytes(t, b)
					e, err := img.Edit(Options{Time: editTime})
					if err != nil {
						rt.Fatal(err)
					}
					for range rapid.IntRange(1, 12).Draw(rt, "edits") {
						m.step(rt, e, int(img.ClusterSize()))
						edits++
					}
					b = planned(rt, t, img, e, b)
					judged++
					img = judge(rt, t, b, m.tree, !testing.Short() || edits < 100)
					if img.Label() != "ISO EFI" || img.VolumeID() != 0xcafe1234 {
						rt.Fatalf("label %q, id %v", img.Label(), img.VolumeID())
					}
				}
			})
			t.Logf("%d edits, %d volumes judged", edits, judged)
		})
	}
}

// planned is the result of the edits: in the old volume if there is room and
// no growth is asked for, else in a larger one.
func planned(rt *rapid.T, t testing.TB, img *Image, e *Editor, old []byte) []byte {
	patches, err := e.Patches()
	full := errors.Is(err, ErrFull)
	if err != nil && !full {
		rt.Fatal(err)
	}
	if !full && !rapid.SampledFrom([]bool{false, false, true}).Draw(rt, "grow") {
		m, err := e.Map()
		if err != nil {
			rt.Fatal(err)
		}
		b := readMap(t, m)
		if end := checkPatches(rt, patches); end > img.Size() || len(b) != len(old) {
			rt.Fatalf("patches up to %d, the image has %d", end, img.Size())
		}
		return b
	}
	size := int64(0)
	if !full && rapid.Bool().Draw(rt, "to a size") {
		size = img.Size() + rapid.Int64Range(0, 4<<20).Draw(rt, "more")
	}
	m, err := e.Grow(size)
	if err != nil {
		rt.Fatal(err)
	}
	if m.Size()%2048 != 0 || m.Size() < size {
		rt.Fatalf("%d bytes, not %d", m.Size(), size)
	}
	return readMap(t, m)
}

func checkPatches(rt *rapid.T, patches []extent.Extent) (end int64) {
	for _, p := range patches {
		if p.Off < end {
			rt.Fatalf("patch at %d, the one before ends at %d", p.Off, end)
		}
		end = p.End()
	}
	return end
}
