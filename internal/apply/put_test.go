package apply_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

var epoch = time.Unix(1_600_000_000, 0).UTC()

// archive is a cpio archive of one file, init.
func archive() []byte {
	var b bytes.Buffer
	for i, name := range []string{"init", "TRAILER!!!"} {
		fmt.Fprintf(&b, "070701%08X%08X%s%08X%s%08X%08X%s\x00", i+1, 0o100755, strings.Repeat("0", 16), 1, strings.Repeat("0", 16), 0, 0, strings.Repeat("0", 16)+fmt.Sprintf("%08X%08X", len(name)+1, 0)+name)
		b.Write(make([]byte, -b.Len()&3))
	}
	return b.Bytes()
}

// media is an image that isolinux boots, with an initrd.
func media(t *testing.T, rockRidge bool) *baseimage.Base {
	t.Helper()
	var list []scan.Graft
	for name, content := range map[string]string{
		"/boot/initrd": string(archive()), "/boot/vmlinuz": "kernel", "/docs/old.txt": "old", "/isolinux/isolinux.bin": strings.Repeat("x", 3000),
		"/isolinux/isolinux.cfg": "default a\nlabel a\nkernel /boot/vmlinuz\nappend initrd=/boot/initrd quiet\n",
	} {
		list = append(list, scan.Graft{Dest: name, Content: extent.Memory(name, []byte(content))})
	}
	img, err := build.Master(list, scan.Options{
		RockRidge: rockRidge, Joliet: true, Epoch: &epoch, Texts: iso9660.VolumeTexts{Volume: "MADE", Created: epoch, Modified: epoch},
		Boot: &scan.Boot{Catalog: "/isolinux/boot.cat", Entries: []scan.Entry{{EntrySpec: boot.EntrySpec{Platform: boot.BIOS, Sectors: 4, InfoTable: true}, Path: "/isolinux/isolinux.bin"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return base(t, img)
}

// base opens a planned image.
func base(t *testing.T, img *build.Image) *baseimage.Base {
	t.Helper()
	b, err := baseimage.OpenSource(extent.Compose("planned", img.Map), baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// built is the image that steps make.
func built(t *testing.T, b *baseimage.Base, o stage.Options, steps ...edit.Step) (*baseimage.Base, *build.Image) {
	t.Helper()
	img, err := build.Build(t.Context(), b, steps, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return base(t, img), img
}

// listed is what an image has at paths.
func listed(t *testing.T, b *baseimage.Base, paths ...string) (out []string) {
	t.Helper()
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	files := tree.Files{Tree: tr, Base: b.Open}
	for _, p := range paths {
		n, err := tr.Lookup(p)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%o %d:%d %d", n.Mode, n.UID, n.GID, n.ModTime.Unix())
		switch {
		case n.IsLink():
			line += " -> " + n.Link
		case n.IsRegular():
			text, err := files.Content(n, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			line += " " + string(text)
		}
		out = append(out, line)
	}
	return out
}

// TestPut: what is in no local file is put as it is said, and gets what is usual where
// nothing is said.
func TestPut(t *testing.T) {
	after := epoch.Add(time.Hour)
	made, img := built(
		t, media(t, true), stage.Options{Epoch: &epoch},
		edit.Put{Path: "/ks.cfg", Content: []byte("text\n")},
		edit.Put{Path: "new/dirs/run", Content: []byte("#!"), Mode: fs.ModeSetuid | 0o755, UID: 1, GID: 2, ModTime: time.Unix(1_500_000_000, 5)},
		edit.Put{Path: "/new/late", ModTime: after},
		edit.Put{Path: "/large", Source: extent.Memory("large", bytes.Repeat([]byte("l"), 5000))},
		edit.Put{Path: "/dir/", Mode: fs.ModeDir},
		edit.Put{Path: "/dir/own", Mode: fs.ModeDir | 0o700},
		edit.Put{Path: "/docs", Mode: fs.ModeDir | 0o700},
		edit.Put{Path: "/docs/link", Link: "../ks.cfg", UID: 7},
		edit.Put{Path: "/docs/old.txt", Content: []byte("new")},
	)
	got := listed(t, made, "/ks.cfg", "/new/dirs", "/new/dirs/run", "/new/late", "/dir", "/dir/own", "/docs", "/docs/link", "/docs/old.txt")
	docs := listed(t, media(t, true), "/docs")
	want := []string{
		"100644 0:0 1600000000 text\n", "40755 0:0 1600000000", "104755 1:2 1500000000 #!", "100644 0:0 1600000000 ", "40755 0:0 1600000000",
		"40700 0:0 1600000000", docs[0], "120777 7:0 1600000000 -> ../ks.cfg", "100644 0:0 1600000000 new",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if large := listed(t, made, "/large")[0]; !strings.HasSuffix(large, strings.Repeat("l", 5000)) {
		t.Error(large)
	}
	if notes := strings.Join(img.Report.Notes, "\n"); !strings.Contains(notes, "/docs is there already") {
		t.Error(notes)
	}
	if len(img.Report.Warnings) > 0 {
		t.Error(img.Report.Warnings)
	}
}

// TestPutInFAT: below @efi:/ lie the files of a FAT image; what it has no place for is said.
func TestPutInFAT(t *testing.T) {
	sample, err := build.Sample(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sample.Close()
	made, img := built(
		t, base(t, sample), stage.Options{},
		edit.Put{Path: "@efi:/EFI/BOOT/grub.cfg", Content: []byte("set\n")},
		edit.Put{Path: "@efi:/loader/entries", Mode: fs.ModeDir},
		edit.Put{Path: "@efi:/loader/random-seed", Content: make([]byte, 512), Mode: 0o600},
	)
	o, _ := made.Boot().Find("@efi")
	vol, err := fat.Open(io.NewSectionReader(made.Source(), o.Off, o.Len), o.Len)
	if err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile(vol, "EFI/BOOT/grub.cfg")
	if err != nil || string(text) != "set\n" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := fs.Stat(vol, "loader/entries"); err != nil || !info.IsDir() {
		t.Error(err)
	}
	if w := img.Report.Warnings; len(w) != 1 || !strings.HasPrefix(w[0], "@efi:/loader/random-seed: ") {
		t.Error(w)
	}
}

// TestPutObject: boot equipment that a directory lists is replaced there, with its boot
// info table; the system area is listed by none.
func TestPutObject(t *testing.T) {
	code := bytes.Repeat([]byte{0x90}, 440)
	made, _ := built(
		t, media(t, true), stage.Options{},
		edit.Put{Path: "@bios", Content: bytes.Repeat([]byte("y"), 4000)},
		edit.Put{Path: "@system-area", Content: code},
	)
	if now := listed(t, made, "/isolinux/isolinux.bin")[0]; !strings.HasSuffix(now, strings.Repeat("y", 3000)) {
		t.Error(now)
	}
	area := make([]byte, 440)
	if _, err := made.Source().ReadAt(area, 0); err != nil || !bytes.Equal(area, code) {
		t.Errorf("%v, % x", err, area[:16])
	}
}

// TestLayerObject: a layer with other boot equipment replaces that of an image whose
// directories list it, too.
func TestLayerObject(t *testing.T) {
	var b bytes.Buffer
	l := &layer.Layer{Objects: map[string]extent.Source{"@bios": extent.Memory("new", bytes.Repeat([]byte("y"), 4000))}}
	if err := l.Write(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	made, _ := built(t, media(t, true), stage.Options{}, edit.Layer{Path: file})
	if now := listed(t, made, "/isolinux/isolinux.bin")[0]; !strings.HasPrefix(now, "100444 ") || !strings.HasSuffix(now, strings.Repeat("y", 3000)) {
		t.Error(now[:20])
	}
}

// TestPutInInitrd: the same, in the initrd of every boot entry; neighbouring steps stay in
// order.
func TestPutInInitrd(t *testing.T) {
	made, _ := built(
		t, media(t, true), stage.Options{Epoch: &epoch},
		edit.InitrdAdd{Puts: []edit.Put{{Path: "/etc/a", Content: []byte("first")}, {Path: "etc/link", Link: "a"}}},
		edit.InitrdAdd{Puts: []edit.Put{{Path: "/etc/a", Content: []byte("second"), Mode: 0o600}}},
	)
	open, _, err := initrd.Initrd(made, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := open.Find("/etc/a")
	if err != nil || a.Mode != 0o100600 || a.Size != 6 {
		t.Errorf("%+v, %v", a, err)
	}
	if l, err := open.Find("/etc/link"); err != nil || l != a {
		t.Errorf("%+v, %v", l, err)
	}
	_, err = build.Build(t.Context(), made, []edit.Step{edit.InitrdAdd{Puts: []edit.Put{{Path: "/x", UID: 1}}}}, stage.Options{})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// TestPutRefuses: what contradicts itself, or has no place, is an error that names the path.
func TestPutRefuses(t *testing.T) {
	b := media(t, true)
	memory := extent.Memory("m", []byte("m"))
	for name, c := range map[string]struct {
		put  edit.Put
		want error
	}{
		"two contents":       {edit.Put{Path: "/x", Content: []byte("x"), Source: memory}, fs.ErrInvalid},
		"link with content":  {edit.Put{Path: "/x", Content: []byte("x"), Link: "y"}, fs.ErrInvalid},
		"link with mode":     {edit.Put{Path: "/x", Link: "y", Mode: 0o600}, fs.ErrInvalid},
		"directory of bytes": {edit.Put{Path: "/x", Mode: fs.ModeDir, Source: memory}, fs.ErrInvalid},
		"device":             {edit.Put{Path: "/x", Mode: fs.ModeDevice}, fs.ErrInvalid},
		"file/":              {edit.Put{Path: "/x/"}, fs.ErrInvalid},
		"no path":            {edit.Put{}, fs.ErrInvalid},
		"file over dir":      {edit.Put{Path: "/docs"}, tree.ErrIsDir},
		"dir over file":      {edit.Put{Path: "/docs/old.txt", Mode: fs.ModeDir}, tree.ErrNotDir},
		"below a file":       {edit.Put{Path: "/docs/old.txt/x"}, tree.ErrNotDir},
		"other case":         {edit.Put{Path: "/DOCS/x"}, nil},
		"no such equipment":  {edit.Put{Path: "@efi", Content: []byte("x")}, baseimage.ErrNoObject},
		"inside of none":     {edit.Put{Path: "@efi:/x", Content: []byte("x")}, baseimage.ErrNoObject},
		"no FAT image":       {edit.Put{Path: "@bios:/x", Content: []byte("x")}, baseimage.ErrNotFAT},
		"link as equipment":  {edit.Put{Path: "@bios", Link: "x"}, fs.ErrInvalid},
	} {
		_, err := build.Build(t.Context(), b, []edit.Step{c.put}, stage.Options{})
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.put.Path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPutWithoutRockRidge: attributes that cannot be recorded are said, links refused.
func TestPutWithoutRockRidge(t *testing.T) {
	b := media(t, false)
	_, img := built(t, b, stage.Options{}, edit.Put{Path: "/A", Mode: 0o600}, edit.Put{Path: "/B"})
	if w := img.Report.Warnings; len(w) != 1 || !strings.HasPrefix(w[0], "/A: mode and owner") {
		t.Error(w)
	}
	_, err := build.Build(t.Context(), b, []edit.Step{edit.Put{Path: "/L", Link: "A"}}, stage.Options{})
	if !errors.Is(err, tree.ErrNoAttr) {
		t.Error(err)
	}
}
