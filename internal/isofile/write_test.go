package isofile_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
)

// sampleBase is the sample as a base.
func sampleBase(t *testing.T) *baseimage.Base {
	t.Helper()
	img, err := build.Sample(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := baseimage.OpenSource(extent.Compose("sample", img.Map), baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(b.Close(), img.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestText: each step has its instruction, which can be read again.
func TestText(t *testing.T) {
	b, k := sampleBase(t), newKit(t, map[string]string{"ks.cfg": "text\n", "dir/a b": "1", "x*y": "2"})
	at := func(name string) string { return filepath.Join(k.Context, name) }
	for _, c := range []struct {
		steps []edit.Step
		want  string
	}{
		{[]edit.Step{edit.Add{Source: at("ks.cfg")}}, "COPY ks.cfg /ks.cfg"},
		{[]edit.Step{edit.Add{Source: at("ks.cfg"), Dest: "/docs"}}, "COPY ks.cfg /docs/ks.cfg"},
		{[]edit.Step{edit.Add{Source: at("ks.cfg"), Dest: "/new"}}, "COPY ks.cfg /new"},
		{[]edit.Step{edit.Mkdir{Path: "/new"}, edit.Add{Source: at("ks.cfg"), Dest: "/new"}}, "MKDIR /new\nCOPY ks.cfg /new/ks.cfg"},
		{[]edit.Step{edit.Mkdir{Path: "/new"}, edit.Move{Old: "/new", New: "/n2"}, edit.Add{Source: at("ks.cfg"), Dest: "/n2"}}, "MKDIR /new\nRENAME /new /n2\nCOPY ks.cfg /n2/ks.cfg"},
		{[]edit.Step{edit.Remove{Pattern: "/docs"}, edit.Add{Source: at("ks.cfg"), Dest: "/docs"}}, "REMOVE /docs\nCOPY ks.cfg /docs"},
		{[]edit.Step{edit.Add{Source: at("ks.cfg"), Dest: "@efi:/EFI"}}, "COPY ks.cfg @efi:/EFI/ks.cfg"},
		{[]edit.Step{edit.Mkdir{Path: "@efi:/new"}, edit.Add{Source: at("ks.cfg"), Dest: "@efi:/NEW"}}, "MKDIR @efi:/new\nCOPY ks.cfg @efi:/NEW/ks.cfg"},
		{[]edit.Step{edit.Add{Source: at("ks.cfg"), Dest: "@efi"}}, "COPY ks.cfg @efi"},
		{[]edit.Step{edit.Add{Source: at("dir/a b")}}, `COPY "dir/a b" "/a b"`},
		{[]edit.Step{edit.Add{Source: at("x*y")}}, `COPY "x\\*y" /x*y`},
		{[]edit.Step{edit.Move{Old: "/a", New: "/b"}, edit.Link{Target: "b", Path: "/c"}}, "RENAME /a /b\nSYMLINK b /c"},
		{[]edit.Step{edit.Chmod{Mode: 0o4750, Path: "/x"}, edit.Chown{UID: 1, GID: 2, Path: "/x"}}, "CHMOD 4750 /x\nCHOWN 1:2 /x"},
		{[]edit.Step{edit.Kargs{Args: []string{"a"}}, edit.Kargs{Args: []string{"-b"}}, edit.Kargs{Args: []string{"c d"}, Keep: true}}, "KARG a -b\nKARG --keep \"c d\""},
		{[]edit.Step{edit.Kargs{Args: []string{"a"}}, edit.Label{ID: "X"}, edit.Kargs{Args: []string{"b"}}}, "KARG a\nVOLID X\nKARG b"},
		{[]edit.Step{edit.MenuTimeout{Seconds: 3}, edit.DefaultEntry{Name: "my one"}, edit.AddEntry{Title: "T t", Args: []string{"q"}}}, "MENU --timeout=3\nMENU --default=\"my one\"\nENTRY \"T t\" q"},
		{[]edit.Step{edit.AnswerFile{Kind: "kickstart", Source: at("ks.cfg")}, edit.InitrdAdd{Adds: []edit.Add{{Source: at("ks.cfg")}, {Source: at("dir"), Dest: "/etc"}}}}, "KICKSTART ks.cfg\nINITRD ks.cfg\nINITRD dir /etc"},
		{[]edit.Step{edit.Layer{Path: at("ks.cfg")}}, "LAYER ks.cfg"},
	} {
		got, err := isofile.Text(t.Context(), b, "base.iso", k.Context, c.steps, stage.Options{})
		if want := "FROM base.iso\n" + c.want + "\n"; err != nil || got != want {
			t.Errorf("%v: %v\n%swant\n%s", c.steps, err, got, want)
		}
		if _, err := recipe.Parse("Isofile", []byte(got)); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
	got, err := isofile.Text(t.Context(), b, "base.iso", k.Context, nil, stage.Options{MediaCheck: stage.MediaStrip, Fields: map[iso9660.Field]string{iso9660.FieldApplication: "", iso9660.FieldPublisher: "P P"}})
	if want := "FROM base.iso\nPUBLISHER \"P P\"\nAPPID \"\"\nMEDIACHECK strip\n"; err != nil || got != want {
		t.Errorf("options: %v\n%s", err, got)
	}
}

// TestTextRefused: what no instruction says is an error, not left out.
func TestTextRefused(t *testing.T) {
	b, k := sampleBase(t), newKit(t, map[string]string{"ks.cfg": "text\n"})
	for _, c := range []struct {
		step edit.Step
		want error
	}{
		{edit.EntryKargs{}, isofile.ErrNoInstruction},
		{edit.Put{Path: "/x"}, isofile.ErrNoInstruction},
		{edit.InitrdAdd{Puts: []edit.Put{{Path: "/x"}}}, isofile.ErrNoInstruction},
		{edit.Layer{Source: extent.Memory("layer", nil)}, isofile.ErrNoInstruction},
		{edit.AnswerFile{Kind: "kickstart", Source: filepath.Join(k.Context, "ks.cfg"), Content: []byte("text")}, isofile.ErrNoInstruction},
		{edit.AnswerFile{Kind: "unattend", Source: filepath.Join(k.Context, "ks.cfg")}, isofile.ErrNoInstruction},
		{edit.AnswerFile{Kind: "kickstart", Source: filepath.Join(k.Context, "ks.cfg"), Entry: "T"}, isofile.ErrNoInstruction},
		{edit.Layer{Path: filepath.Join(k.Context, "..", "x")}, isofile.ErrOutside},
		{edit.Remove{Pattern: "/a\nRUN b"}, isofile.ErrNotText},
		{edit.Remove{Pattern: "/a\xff"}, isofile.ErrNotText},
	} {
		text, err := isofile.Text(t.Context(), b, "base.iso", k.Context, []edit.Step{c.step}, stage.Options{})
		if !errors.Is(err, c.want) || text != "" || strings.Contains(err.Error(), " --") {
			t.Errorf("%v: %q, %v, want %v", c.step, text, err, c.want)
		}
	}
}
