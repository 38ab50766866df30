package isolayer_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
)

// TestIsofileWithoutStore: layers are then kept until the image is closed, and nowhere else.
func TestIsofileWithoutStore(t *testing.T) {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	t.Setenv("TMPDIR", t.TempDir())
	t.Chdir(t.TempDir())
	file, err := isolayer.ParseIsofile("Isofile", []byte("FROM base.iso\nREMOVE /README\nMKDIR /new\n"))
	if err != nil {
		t.Fatal(err)
	}
	image, err := isolayer.BuildIsofile(t.Context(), file, isolayer.IsofileOptions{Context: dir})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := image.Seal(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, io.NewSectionReader(sealed, 0, sealed.Size())); err != nil {
		t.Error(err)
	}
	if err := image.Close(); err != nil {
		t.Error(err)
	}
	for _, d := range []string{".", os.TempDir()} {
		if left, err := filepath.Glob(filepath.Join(d, "*")); err != nil || len(left) > 0 {
			t.Errorf("%s, %v", left, err)
		}
	}
}

// TestIsofileRefuses: what an Isofile has no meaning for is an error, not passed over.
func TestIsofileRefuses(t *testing.T) {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	for text, o := range map[string]isolayer.BuildOptions{
		"FROM base.iso\n":           {InPlace: true},
		"FROM base.iso\n\n":         {PreserveMode: true},
		"FROM base.iso\nRUN true\n": {},
		"FROM base.iso\nADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 https://localhost/x /\n": {},
	} {
		file, err := isolayer.ParseIsofile("Isofile", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = isolayer.BuildIsofile(t.Context(), file, isolayer.IsofileOptions{Context: dir, Store: filepath.Join(dir, "store"), Build: o})
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestMasterBoots: what machines boot from is in the boot catalog, beside the first of it.
func TestMasterBoots(t *testing.T) {
	roots := []isolayer.Root{{Dest: "/boot/bios.img", Content: text("bios")}, {Dest: "/boot/efi.img", Content: text("efi")}}
	for _, o := range []isolayer.MasterOptions{
		{BIOS: "/boot/no"}, {BIOS: "/boot"}, {BIOS: "/boot/bios.img", BootFrom: "base.iso"}, {UEFI: "/boot/efi.img", BootFrom: "base.iso"},
	} {
		if _, err := isolayer.Master(t.Context(), roots, o); !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []isolayer.MasterOptions{{BIOS: "/boot/bios.img"}, {UEFI: "/boot/efi.img"}, {BIOS: "/boot/bios.img", UEFI: "/boot/efi.img"}} {
		image, err := isolayer.Master(t.Context(), roots, o)
		if err != nil {
			t.Fatal(err)
		}
		regions, err := image.Regions()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, r := range regions {
			found = found || r.Path == "/boot/boot.cat"
		}
		if !found {
			t.Errorf("%+v: no boot catalog in %+v", o, regions)
		}
		if err := image.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestBuildOptions: those of the facade reach what they are for.
func TestBuildOptions(t *testing.T) {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	base, err := isolayer.Open(t.Context(), filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	remove := []edit.Step{edit.Remove{Pattern: "/isolinux/isolinux.bin"}}
	if _, err := base.Build(t.Context(), remove, isolayer.BuildOptions{}); err == nil {
		t.Error("a boot image was removed")
	}
	if _, err := base.Build(t.Context(), remove, isolayer.BuildOptions{NoUEFI: true}); err == nil {
		t.Error("the boot image for BIOS was removed")
	}
	if _, err := base.Build(t.Context(), nil, isolayer.BuildOptions{Texts: isolayer.Texts{Publisher: strings.Repeat("x", 129)}}); err == nil {
		t.Error("a text of 129 characters was taken")
	}
	if _, err := base.Build(t.Context(), nil, isolayer.BuildOptions{MediaCheck: "sometimes"}); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	for _, step := range []edit.Step{nil, &edit.Mkdir{Path: "/x"}, edit.AnswerFile{Kind: "none"}, edit.Kargs{Args: []string{""}}, edit.Chmod{Path: "/none"}, edit.Remove{}, edit.Move{}, edit.Label{}} {
		if _, err := base.Build(t.Context(), []edit.Step{step}, isolayer.BuildOptions{}); err == nil {
			t.Errorf("%#v was carried out", step)
		} else {
			t.Log(err)
		}
	}
	texts := isolayer.Texts{VolumeSet: "SET", Publisher: "PUBLISHER", Preparer: "PREPARER", Application: "APPLICATION"}
	image, err := base.Build(t.Context(), remove, isolayer.BuildOptions{NoBIOS: true, Texts: texts, MediaCheck: isolayer.MediaStrip})
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	made, err := isolayer.OpenSource(t.Context(), extent.Compose("made", image.Map()), isolayer.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	changes, err := made.Diff(t.Context(), base, isolayer.DiffOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(changes.Volume); !strings.Contains(all, "SET") || !strings.Contains(all, "PUBLISHER") || !strings.Contains(all, "PREPARER") || !strings.Contains(all, "APPLICATION") {
		t.Error(all)
	}
}
