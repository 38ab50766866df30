package isolayer_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/recipe"
	"github.com/isolayer/isolayer/store"
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
	k := &isolayer.Bakery{Store: s, Context: dir, Options: isolayer.Options{Epoch: &at, ExactTimes: true, MediaCheck: isolayer.MediaStrip}}
	defer k.Close()
	ks := filepath.Join(dir, "ks.cfg")
	for text, steps := range map[string][]isolayer.Step{
		"KICKSTART ks.cfg\nKARG a=1\nKARG b=2\nKARG c=3\nVOLID NEW\nMENU --timeout=9\n": {
			isolayer.AnswerFile{Kind: "kickstart", Source: ks}, isolayer.Kargs{Args: []string{"a=1", "b=2", "c=3"}}, isolayer.Label{ID: "NEW"}, isolayer.MenuTimeout{Seconds: 9},
		},
		"CHMOD 0600 /images/efiboot.img\nKARG a=1\n": {isolayer.Chmod{Mode: 0o600, Path: "/images/efiboot.img"}, isolayer.Kargs{Args: []string{"a=1"}}},
		"INITRD ks.cfg /a\nKARG a=1\n":               {isolayer.InitrdAdd{Adds: []isolayer.Add{{Source: ks, Dest: "/a"}}}, isolayer.Kargs{Args: []string{"a=1"}}},
	} {
		r, err := recipe.Parse("Isofile", []byte("FROM base.iso\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		b, err := k.Bake(t.Context(), r, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		at := time.Unix(1_700_000_000, 0).UTC()
		once, err := opened(t, base).Build(t.Context(), steps, isolayer.Options{Epoch: &at, ExactTimes: true, MediaCheck: isolayer.MediaStrip})
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
