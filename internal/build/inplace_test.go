package build_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/sink"
)

// copyOf is an image in a directory of its own.
func copyOf(t *testing.T, image string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image.iso")
	isotest.Run(t, "cp", "--reflink=auto", "--no-preserve=mode", image, out)
	return out
}

// editInPlace changes an image in place.
func editInPlace(t *testing.T, image string, o stage.Options, steps ...edit.Step) (sink.Result, layout.Report) {
	t.Helper()
	res, report, err := tryEdit(t, image, o, sink.UndoKeep, steps...)
	if err != nil {
		t.Fatal(err)
	}
	return res, report
}

func tryEdit(t *testing.T, image string, o stage.Options, undo sink.UndoPolicy, steps ...edit.Step) (sink.Result, layout.Report, error) {
	t.Helper()
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		return sink.Result{}, layout.Report{}, err
	}
	defer b.Close()
	o.InPlace = true
	img, err := build.Build(t.Context(), b, steps, o)
	if err != nil {
		return sink.Result{}, layout.Report{}, err
	}
	res, err := img.WriteInPlace(t.Context(), sink.InPlaceOptions{Undo: undo}, sink.Options{})
	return res, img.Report, err
}

// TestInPlace edits every layout in place, several times over: the tree is that of a
// new image with the same edits, other programs read it, and undo gives the bytes back. All
// layouts under ISOLAYER_SOAK, else every third.
func TestInPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for i, name := range rebuilt {
		if os.Getenv("ISOLAYER_SOAK") == "" && i%3 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			e := plan(t, isotest.Bsdtar(t, base))
			image := copyOf(t, base)
			before := isotest.SHA256File(t, image)
			editInPlace(t, image, stage.Options{}, e.steps...)
			check := func(what string) {
				t.Helper()
				if errs := isotest.BsdtarErrors(t, image); errs != "" {
					t.Errorf("%s: bsdtar: %s", what, errs)
				}
				if name != "suse" { // which bsdtar cannot read as genisoimage -f left it
					if d := e.content(e.expect).Diff(e.content(isotest.Bsdtar(t, image))); d != "" {
						t.Errorf("%s: bsdtar reads another tree:\n%s", what, d)
					}
					agree(t, image)
				}
				sound(t, base, image)
				if passes(t, base) && !passes(t, image) {
					t.Errorf("%s: the media check fails", what)
				}
			}
			check("first edit")
			if err := build.Undo(image); err != nil {
				t.Fatal(err)
			}
			if isotest.SHA256File(t, image) != before {
				t.Error("undone, the image differs")
			}

			// Once more, then edits on top of it.
			editInPlace(t, image, stage.Options{}, e.steps...)
			for i := range 3 {
				content := noise(100_000*(i+1), uint64(i))
				p := fmt.Sprintf("more-%d/file", i)
				e.expect = e.expect.With(fmt.Sprintf("more-%d", i), isotest.Entry{Type: 'd'}).With(p, isotest.File(content))
				e.fresh[p], e.fresh[fmt.Sprintf("more-%d", i)] = true, true
				editInPlace(t, image, stage.Options{}, edit.Add{Source: local(t, "file", content), Dest: "/" + p})
			}
			check("four edits")
			before = isotest.SHA256File(t, image)
			editInPlace(t, image, stage.Options{}, edit.Remove{Pattern: "/ks"}, edit.Remove{Pattern: "/more-1"})
			if err := build.Undo(image); err != nil {
				t.Fatal(err)
			}
			if isotest.SHA256File(t, image) != before {
				t.Error("undone, the edited image differs")
			}
			check("undone")
		})
	}
}

// TestRoom: an appended partition moves once, and then stays.
func TestRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"ubuntu2204", "ubuntu2204-pkgs", "fedora", "arch"} {
		image := copyOf(t, isotest.Image(t, name))
		for i := range 4 {
			res, report := editInPlace(t, image, stage.Options{MediaCheck: stage.MediaStrip},
				edit.Add{Source: local(t, "x", noise(1_000_000, uint64(i))), Dest: fmt.Sprintf("/new-%d", i)})
			moved := len(report.Moved) > 0
			if moved != (i == 0) {
				t.Errorf("%s, edit %d: moved %v", name, i, report.Moved)
			}
			if i > 0 && res.Written > 2<<20 {
				t.Errorf("%s, edit %d: %d bytes written for a file of 1 MB", name, i, res.Written)
			}
		}
		sound(t, isotest.Image(t, name), image)
	}
}

// TestSmallEdits: as directories outgrow their blocks, trees find room without moving
// the image around, and readers go on to agree.
func TestSmallEdits(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"rhel-like-small", "grub-rescue-cdrom", "deep", "norr"} {
		base := isotest.Image(t, name)
		image := copyOf(t, base)
		var content []byte
		for i := range 25 {
			content = noise(1000, uint64(i))
			file := fmt.Sprintf("/a-name-that-is-long-enough-to-fill-blocks-%d", i)
			res, report := editInPlace(t, image, stage.Options{MediaCheck: stage.MediaStrip}, edit.Add{Source: local(t, "x", content), Dest: file})
			if res.Written+res.Edit.Wiped > 4<<20 {
				t.Errorf("%s, edit %d: %d bytes written, %d wiped; moved %v", name, i, res.Written, res.Edit.Wiped, report.Moved)
			}
		}
		if errs := isotest.BsdtarErrors(t, image); errs != "" {
			t.Errorf("%s: bsdtar: %s", name, errs)
		}
		agree(t, image)
		sound(t, base, image)
		want := isotest.File(content)
		found := false
		for _, x := range isotest.Bsdtar(t, image) {
			found = found || x.SHA256 == want.SHA256
		}
		if !found {
			t.Errorf("%s: bsdtar does not find the last file", name)
		}
	}
}

// TestInPlaceBoots boots an image that was edited in place.
func TestInPlaceBoots(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine")
	}
	image := copyOf(t, isotest.Image(t, "fedora"))
	editInPlace(t, image, stage.Options{}, edit.Add{Source: local(t, "x", noise(3_000_000, 1)), Dest: "/x"})
	editInPlace(t, image, stage.Options{}, edit.Add{Source: local(t, "y", noise(3_000_000, 2)), Dest: "/y"})
	isotest.Boot(t, image, "uefi", "disk", "CORPUS-BOOT-OK")
}

// TestInPlaceRefused: what is not safe is refused, and nothing changes.
func TestInPlaceRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base := isotest.Image(t, "ipxe")
	add := edit.Add{Source: local(t, "x", []byte("x")), Dest: "/x"}
	for what, c := range map[string]struct {
		prepare func(image string) error
		want    error
	}{
		"a hard link":     {func(image string) error { return os.Link(image, image+".2") }, inplace.ErrUnsafe},
		"foreign journal": {func(image string) error { return os.WriteFile(image+inplace.JournalSuffix, []byte("x"), 0o644) }, inplace.ErrForeign},
	} {
		image := copyOf(t, base)
		if err := c.prepare(image); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tryEdit(t, image, stage.Options{}, sink.UndoAuto, add); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if isotest.SHA256File(t, image) != isotest.SHA256File(t, base) {
			t.Errorf("%s: the image was changed", what)
		}
	}

	// Through a symbolic link the file that it leads to is edited, its journal beside it.
	image := copyOf(t, base)
	link := filepath.Join(t.TempDir(), "link.iso")
	if err := os.Symlink(image, link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tryEdit(t, link, stage.Options{}, sink.UndoAuto, add); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(image + inplace.UndoSuffix)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("journal: %v, %v", info, err)
	}
	if err := build.Undo(link); err != nil || isotest.SHA256File(t, image) != isotest.SHA256File(t, base) {
		t.Errorf("through a link: %v", err)
	}

	// A source that changes while the edit is planned.
	src := local(t, "y", noise(10_000, 3))
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(t.Context(), b, []edit.Step{edit.Add{Source: src, Dest: "/y"}}, stage.Options{InPlace: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(src, noise(9_000, 4), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := img.WriteInPlace(t.Context(), sink.InPlaceOptions{}, sink.Options{}); err == nil || isotest.SHA256File(t, image) != isotest.SHA256File(t, base) {
		t.Errorf("a changed source: %v", err)
	}
	left, _ := filepath.Glob(image + ".*")
	if len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, " "))
	}
}
