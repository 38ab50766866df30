package isofile_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/store"
	"github.com/isolayer/isolayer/internal/tree"
)

// TestLayersPatch: the layers of an Isofile come to the image that the same steps make at
// once: what no instruction changed stays where the base has it. No layer holds the EFI
// partition or the initrd, of which little changed.
func TestLayersPatch(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	dir := t.TempDir()
	base := filepath.Join(dir, "base.iso")
	if err := os.Symlink(isotest.Image(t, "rhel-like-small"), base); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ks.cfg"), []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0).UTC()
	k := &isofile.Builder{Store: s, Context: dir, Options: stage.Options{Epoch: &at, ExactTimes: true, MediaCheck: stage.MediaStrip}}
	defer k.Close()
	ks := filepath.Join(dir, "ks.cfg")
	for text, steps := range map[string][]edit.Step{
		"KICKSTART ks.cfg\nKARG a=1\nKARG b=2\nKARG c=3\nVOLID NEW\nMENU --timeout=9\n": {
			edit.AnswerFile{Kind: "kickstart", Source: ks}, edit.Kargs{Args: []string{"a=1", "b=2", "c=3"}}, edit.Label{ID: "NEW"}, edit.MenuTimeout{Seconds: 9},
		},
		"CHMOD 0600 /images/efiboot.img\nKARG a=1\n": {edit.Chmod{Mode: 0o600, Path: "/images/efiboot.img"}, edit.Kargs{Args: []string{"a=1"}}},
		"INITRD ks.cfg /a\nKARG a=1\n":               {edit.InitrdAdd{Adds: []edit.Add{{Source: ks, Dest: "/a"}}}, edit.Kargs{Args: []string{"a=1"}}},
	} {
		r, err := recipe.Parse("Isofile", []byte("FROM base.iso\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		b, err := k.Build(t.Context(), r, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		at := time.Unix(1_700_000_000, 0).UTC()
		once, err := build.Build(t.Context(), opened(t, base), steps, stage.Options{Epoch: &at, ExactTimes: true, MediaCheck: stage.MediaStrip})
		if err != nil {
			t.Fatal(err)
		}
		if b.Map.Size() != once.Map.Size() || b.Report.Written > once.Report.Written+16<<10 {
			t.Errorf("%s: %d bytes, %d of them other than the base's; at once %d and %d", text, b.Map.Size(), b.Report.Written, once.Map.Size(), once.Report.Written)
		}
		for i, step := range b.Config.History {
			if step.Size > 256<<10 {
				t.Errorf("%s: the layer of instruction %d, %s, has %d bytes", text, i+1, step.Instruction, step.Size)
			}
		}
		same(t, text, b.Map, once.Map)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// same reports maps of different bytes.
func same(t *testing.T, what string, a, b io.ReaderAt) {
	t.Helper()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); ; off += 1 << 20 {
		n, err := a.ReadAt(x, off)
		m, err2 := b.ReadAt(y, off)
		if !bytes.Equal(x[:n], y[:m]) {
			t.Errorf("%s: other bytes behind %d than at once", what, off)
		}
		for _, err := range []error{err, err2} {
			if err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		if n < len(x) {
			return
		}
	}
}

// TestLayerMadeAgain: where a RUN gives another result than before, what follows it is
// not taken from the layers kept of that time.
func TestLayerMadeAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	dir := t.TempDir()
	if err := os.Symlink(isotest.Image(t, "grub-rescue-cdrom"), filepath.Join(dir, "base.iso")); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := extent.NewFiles()
	defer files.Close()
	runs := uint64(0)
	k := &isofile.Builder{Store: s, Context: dir, Run: func(context.Context, isofile.RunCommand) ([]tree.Edit, func() error, error) {
		runs++
		src, err := files.Add(local(t, "made", noise(200_000, runs)))
		return []tree.Edit{tree.Put{Path: "/made", Attr: tree.Attr{Mode: iso9660.ModeRegular | 0o644}, Source: src}}, nil, err
	}}
	defer k.Close()
	bake := func(text string) *isofile.Result {
		r, err := recipe.Parse("Isofile", []byte("FROM base.iso\nRUN make\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		b, err := k.Build(t.Context(), r, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const more = "CHMOD 0600 /made\n"
	first := bake(more)
	defer first.Close()
	k.NoCache = true
	again := bake("") // as an older Isofile, or one that ended with an error behind it
	defer again.Close()
	k.NoCache = false
	last := bake(more)
	defer last.Close()
	if runs != 2 || last.Layers[0].Digest != again.Layers[0].Digest || last.Layers[1].Digest == first.Layers[1].Digest {
		t.Errorf("%d runs; layers %v, then %v, then %v", runs, first.Layers, again.Layers, last.Layers)
	}
	if last.Layers[1].Size > 10_000 {
		t.Errorf("CHMOD: a layer of %d bytes", last.Layers[1].Size)
	}
	origins, err := last.Origins()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%x", sha256.Sum256(noise(200_000, 2)))
	if len(origins) != 1 || origins[0].Path != "/made" || origins[0].SHA256 != want {
		t.Errorf("%v, want SHA-256 %s", origins, want)
	}
}

// TestLayerEquipmentPatched: of an EFI partition that no directory lists, a layer has what
// changed, also behind one that made it grow, in which all moves.
func TestLayerEquipmentPatched(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	dir := t.TempDir()
	base := isotest.Image(t, "fedora")
	if err := os.Symlink(base, filepath.Join(dir, "base.iso")); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"small": 3000, "large": 3 << 20} {
		if err := os.WriteFile(filepath.Join(dir, name), noise(n, 7), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0).UTC()
	k := &isofile.Builder{Store: s, Context: dir, Options: stage.Options{Epoch: &at, ExactTimes: true, MediaCheck: stage.MediaStrip}}
	defer k.Close()
	r, err := recipe.Parse("Isofile", []byte("FROM base.iso\nCOPY small @efi:/EFI/A\nCOPY large @efi:/EFI/B\nCOPY small @efi:/EFI/C\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.Build(t.Context(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i, most := range []int64{64 << 10, 9 << 20, 64 << 10} {
		if b.Layers[i].Size > most {
			t.Errorf("layer %d: %d bytes, at most %d", i+1, b.Layers[i].Size, most)
		}
	}
	var steps []edit.Step
	for _, c := range [][2]string{{"small", "A"}, {"large", "B"}, {"small", "C"}} {
		steps = append(steps, edit.Add{Source: filepath.Join(dir, c[0]), Dest: "@efi:/EFI/" + c[1]})
	}
	once, err := build.Build(t.Context(), opened(t, base), steps, k.Options)
	if err != nil {
		t.Fatal(err)
	}
	defer once.Close()
	same(t, "@efi", b.Map, once.Map)
}

// opened opens an image until the test ends.
func opened(t *testing.T, path string) *baseimage.Base {
	t.Helper()
	b, err := baseimage.Open(path, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// local is a file of the test.
func local(t *testing.T, name string, content []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// noise is content that no compression makes smaller.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
