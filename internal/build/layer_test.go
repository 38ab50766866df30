package build_test

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/stage"
)

// makeLayer stores the change from before to after in a file.
func makeLayer(t *testing.T, before, after, name string, c layer.Compression, plain bool) string {
	t.Helper()
	var bases [2]*baseimage.Base
	for i, p := range []string{before, after} {
		var err error
		if bases[i], err = baseimage.Open(p, baseimage.OpenOptions{}); err != nil {
			t.Fatal(err)
		}
		defer bases[i].Close()
	}
	l, unsaid, err := build.MakeLayer(t.Context(), bases[1], bases[0], build.LayerOptions{Plain: plain})
	if err != nil || len(unsaid) > 0 {
		t.Fatal(unsaid, err)
	}
	out := filepath.Join(t.TempDir(), name)
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	w, err := layer.Compress(f, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Write(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// some are these images, in a soak all.
func some(names ...string) []string {
	if os.Getenv("ISOLAYER_SOAK") != "" {
		return rebuilt
	}
	return names
}

// follows drops the content of files that have addresses in them, which follow.
func follows(m isotest.Manifest) isotest.Manifest {
	out := isotest.Manifest{}
	for p, x := range m {
		if base := path.Base(p); strings.HasPrefix(base, "boot.cat") || base == "eltorito.img" {
			x.SHA256 = ""
		}
		out[p] = x
	}
	return out
}

// TestLayer: the layer of a change makes the changed image again, with and without
// renames, and that of no change changes nothing. On every layout in a soak.
func TestLayer(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range some("grub-rescue-cdrom", "rhel-like-small", "ubuntu2204", "fedora", "memtest86+x64", "norr", "joliet-only", "deep", "dupinode") {
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			e := plan(t, isotest.Bsdtar(t, base))
			changed, _ := mustBuild(t, base, stage.Options{}, e.steps...)
			for _, plain := range []bool{false, true} {
				l := makeLayer(t, base, changed, "change.tar.zst", layer.Zstd, plain)
				again, report := mustBuild(t, base, stage.Options{}, edit.Layer{Path: l})
				for _, l := range lines(compared(t, changed, again).Tree) {
					if l != "~ /boot.catalog" { // it has addresses
						t.Errorf("plain %v: the tree differs: %s", plain, l)
					}
				}
				if name != "suse" {
					if d := follows(isotest.Bsdtar(t, changed)).Diff(follows(isotest.Bsdtar(t, again))); d != "" {
						t.Errorf("plain %v: bsdtar reads another tree:\n%s", plain, d)
					}
				}
				if report.Content > 700_000 {
					t.Errorf("plain %v: %d bytes of new content: what only moved was written again", plain, report.Content)
				}
				twice, _ := mustBuild(t, base, stage.Options{}, edit.Layer{Path: l})
				if isotest.SHA256File(t, again) != isotest.SHA256File(t, twice) {
					t.Errorf("plain %v: two runs differ", plain)
				}
			}
			nothing := makeLayer(t, base, base, "nothing.tar", layer.None, false)
			same, _ := mustBuild(t, base, stage.Options{}, edit.Layer{Path: nothing})
			if isotest.SHA256File(t, base) != isotest.SHA256File(t, same) {
				t.Error("the layer of no change changes something")
			}
		})
	}
}

// TestLayerOfOthers: what another program did to an image, attributes, times and types
// included, is all in the layer.
func TestLayerOfOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base := isotest.Image(t, "grub-rescue-cdrom")
	changed := filepath.Join(t.TempDir(), "changed.iso")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), noise(5000, 9), 0o640); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "xorriso", "-indev", base, "-outdev", changed, "-boot_image", "any", "replay", "-pathspecs", "off",
		"-chmod", "0711", "/boot/grub", "--", "-chmod", "04750", "/boot/grub/grub.cfg", "--", "-chown", "7", "/boot/grub/fonts/unicode.pf2", "--",
		"-alter_date", "m", "2020.02.03.040506", "/boot/grub/i386-pc/acpi.mod", "/boot", "--",
		"-rm", "/boot/grub/i386-pc/adler32.mod", "--", "-mkdir", "/boot/grub/i386-pc/adler32.mod", "--",
		"-rm_r", "/boot/grub/locale", "--", "-map", filepath.Join(dir, "file"), "/boot/grub/locale",
		"-map", filepath.Join(dir, "file"), "/new dir/ünïcode",
		"-mv", "/boot/grub/i386-pc/affs.mod", "/boot/grub/i386-pc/afs.mod", "/new dir", "--",
		"-publisher", "SOMEBODY ELSE", "-end")
	want := follows(isotest.Bsdtar(t, changed))
	for _, plain := range []bool{false, true} {
		l := makeLayer(t, base, changed, "change.tar.gz", layer.Gzip, plain)
		out, _ := mustBuild(t, base, stage.Options{}, edit.Layer{Path: l})
		if d := want.Diff(follows(isotest.Bsdtar(t, out))); d != "" {
			t.Errorf("plain %v: bsdtar reads another tree:\n%s", plain, d)
		}
		if errs := isotest.BsdtarErrors(t, out); errs != "" {
			t.Error(errs)
		}
		for _, c := range compared(t, changed, out).Volume {
			for _, d := range c.Details {
				if d.What != "bytes" && d.What != "space size in blocks" && d.What != "application use" && d.What != "preparer" && !strings.Contains(d.What, "date") {
					t.Errorf("%s: %s", c.Name, d)
				}
			}
		}
		sound(t, base, out)
	}
}

// umociUnpacks is a tar archive of what umoci unpacks of two layers: a base and a change.
func umociUnpacks(t *testing.T, base, change string) string {
	t.Helper()
	dir := t.TempDir()
	lower := filepath.Join(dir, "lower.tar")
	isotest.Run(t, "bsdtar", "-cf", lower, "@"+base)
	oci, bundle := filepath.Join(dir, "oci"), filepath.Join(dir, "bundle")
	isotest.Run(t, "umoci", "init", "--layout", oci)
	isotest.Run(t, "umoci", "new", "--image", oci+":x")
	isotest.Run(t, "umoci", "raw", "add-layer", "--image", oci+":x", lower)
	isotest.Run(t, "umoci", "raw", "add-layer", "--image", oci+":x", change)
	isotest.Run(t, "umoci", "unpack", "--rootless", "--image", oci+":x", bundle)
	out := filepath.Join(dir, "unpacked.tar")
	isotest.Run(t, "bsdtar", "-C", filepath.Join(bundle, "rootfs"), "-cf", out, ".")
	isotest.Run(t, "chmod", "-R", "u+w", bundle) // or it could not be removed
	return out
}

// TestLayerElsewhere: another program for OCI images makes the same tree of a layer.
func TestLayerElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base := isotest.Image(t, "grub-rescue-cdrom")
	e := plan(t, isotest.Bsdtar(t, base))
	steps := append(e.steps, edit.Chmod{Mode: 0o600, Path: "/boot/grub/grub.cfg"})
	changed, _ := mustBuild(t, base, stage.Options{}, steps...)
	l := makeLayer(t, base, changed, "change.tar", layer.None, true)

	got := isotest.Bsdtar(t, umociUnpacks(t, base, l))
	shape := func(m isotest.Manifest) isotest.Manifest { // who unpacks as nobody cannot have owners
		out := isotest.Manifest{}
		for p, x := range m {
			out[p] = isotest.Entry{Type: x.Type, Size: x.Size, Perm: x.Perm, Link: x.Link, SHA256: x.SHA256}
		}
		return out
	}
	if d := shape(isotest.Bsdtar(t, changed)).Diff(shape(got)); d != "" {
		t.Errorf("umoci makes another tree:\n%s", d)
	}
}

// TestPatchElsewhere: another program for OCI images unpacks a layer with patches, and
// what it makes of it harms nothing: the files that are patched are as they were, all
// else is new.
func TestPatchElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base := isotest.Image(t, "grub-rescue-cdrom")
	var large string
	for p, x := range isotest.Bsdtar(t, base) {
		if x.Type == 'f' && x.Size > 128<<10 && p > large {
			large = p
		}
	}
	changed, _ := mustBuild(t, base, stage.Options{}, edit.Chmod{Mode: 0o600, Path: "/" + large}, edit.Add{Source: local(t, "new", noise(5000, 9)), Dest: "/new"})
	l := makeLayer(t, base, changed, "change.tar", layer.None, false)
	if info, err := os.Stat(l); err != nil || info.Size() > 20_000 {
		t.Fatalf("%s: no patch: %v, %v", large, info, err)
	}
	again, _ := mustBuild(t, base, stage.Options{}, edit.Layer{Path: l})
	if isotest.SHA256File(t, changed) != isotest.SHA256File(t, again) {
		t.Error("the image differs")
	}
	rootfs := umociUnpacks(t, base, l)
	want, got := isotest.Bsdtar(t, base), isotest.Bsdtar(t, rootfs)
	if got[large].SHA256 != want[large].SHA256 || got[large].Size != want[large].Size {
		t.Errorf("%s: %v, it was %v", large, got[large], want[large])
	}
	if now := isotest.Bsdtar(t, changed); got["new"].SHA256 != now["new"].SHA256 {
		t.Errorf("/new: %v", got["new"])
	}
	for p := range got {
		if _, ok := want[p]; !ok && p != "new" && !strings.HasPrefix(p, ".wh..wh.isolayer") {
			t.Errorf("%s came from nowhere", p)
		}
	}
}

// TestLayerEquipment: a layer carries boot equipment that no directory lists.
func TestLayerEquipment(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base := isotest.Image(t, "fedora")
	esp := newESP(t, base, 20)
	changed, _ := mustBuild(t, base, stage.Options{}, edit.Add{Source: esp, Dest: "@efi"})
	l := makeLayer(t, base, changed, "change.tar.zst", layer.Zstd, false)
	out, _ := mustBuild(t, base, stage.Options{}, edit.Layer{Path: l})
	if isotest.SHA256File(t, changed) != isotest.SHA256File(t, out) {
		t.Error("the image differs")
	}
}

// TestLayerRefused: a damaged layer leaves nothing.
func TestLayerRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base, err := baseimage.Open(isotest.Image(t, "grub-rescue-cdrom"), baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	for _, content := range [][]byte{nil, []byte("no archive"), []byte("\x28\xb5\x2f\xfdrubbish"), []byte("\x1f\x8brubbish")} {
		if _, err := build.Build(t.Context(), base, []edit.Step{edit.Layer{Path: local(t, "x.tar", content)}}, stage.Options{}); err == nil {
			t.Errorf("%q is taken for a layer", content)
		}
	}
}

// compared is what diff says of two images.
func compared(t *testing.T, before, after string) *diff.Report {
	t.Helper()
	a, err := baseimage.Open(before, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := baseimage.Open(after, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := build.Compare(context.Background(), b, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func lines(cs []diff.Change) (out []string) {
	for _, c := range cs {
		text, _, _ := strings.Cut(c.String(), " (")
		out = append(out, text)
	}
	return out
}
