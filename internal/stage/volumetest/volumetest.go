// Package volumetest is the suite that any stage.Volume must pass.
package volumetest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/stage"
)

// files are what Test puts into a volume.
var files = map[string]string{
	"EFI/BOOT/grub.cfg": "menuentry x {}\n", "EFI/BOOT/other.cfg": "menuentry y {}\n", "loader/large.bin": strings.Repeat("0123456789", 7000),
}

// Test tests a volume that is empty. fresh opens it again, as it is then.
func Test(t *testing.T, fresh func() stage.Volume) {
	v := fresh()
	if p := v.Prefix(); !strings.HasSuffix(p, "/") {
		t.Errorf("the prefix %q ends in no slash", p)
	}
	edit(t, v, func(e stage.Editor) error {
		for name, text := range files {
			if err := e.Put(name, memory(text)); err != nil {
				return err
			}
		}
		return nil
	})
	reads(t, fresh())
	edit(t, fresh(), func(e stage.Editor) error {
		return errors.Join(
			e.Put("EFI/BOOT/grub.cfg", memory("changed")), e.Put("a/b/c", memory("deep")), e.Mkdir("d/e"), e.Mkdir("d"), e.Remove("loader"),
		)
	})
	edited(t, fresh())
	mine := errors.New("mine")
	if err := fresh().Edit(func(stage.Editor) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("an error of a change comes back as %v", err)
	}
	if err := fresh().Edit(func(e stage.Editor) error { return e.Remove("nothing") }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("to remove what is not there gives %v", err)
	}
}

func edit(t *testing.T, v stage.Volume, change func(stage.Editor) error) {
	t.Helper()
	if err := v.Edit(change); err != nil {
		t.Fatal(err)
	}
}

// reads tests what a volume shows of files.
func reads(t *testing.T, v stage.Volume) {
	t.Helper()
	for name, text := range files {
		for _, spelt := range []string{name, strings.ToUpper(name), strings.ToLower(name), "/" + name} {
			found, dir, err := v.Lookup(spelt)
			if err != nil || dir || found != name {
				t.Errorf("%s is found as %q, %v, %v", spelt, found, dir, err)
			}
		}
		if b, err := v.Read(name, int64(len(text))); err != nil || string(b) != text {
			t.Errorf("%s reads as %d bytes, %v", name, len(b), err)
		}
		if b, err := v.Read(name, int64(len(text))-1); err != nil || b != nil {
			t.Errorf("%s, which is larger than allowed, reads as %d bytes, %v", name, len(b), err)
		}
		r, size, err := v.At(name)
		if err != nil || content(t, r, 0, size) != text {
			t.Errorf("At %s is %d bytes, %v", name, size, err)
		}
		src, off, size, err := v.Content(name)
		if err != nil || content(t, src, off, size) != text {
			t.Errorf("the content of %s is %d bytes, %v", name, size, err)
		}
		if id := v.Identity(name); id == nil || id != v.Identity(name) {
			t.Errorf("%s has the identities %v and %v", name, id, v.Identity(name))
		}
	}
	if v.Identity("EFI/BOOT/grub.cfg") == v.Identity("EFI/BOOT/other.cfg") {
		t.Error("two files have one identity")
	}
	list, err := v.List("efi/boot")
	slices.Sort(list)
	if err != nil || !slices.Equal(list, []string{"grub.cfg", "other.cfg"}) {
		t.Errorf("EFI/BOOT lists %q, %v", list, err)
	}
	if found, dir, err := v.Lookup("efi"); err != nil || !dir || found != "EFI" {
		t.Errorf("the directory is found as %q, %v, %v", found, dir, err)
	}
	for _, root := range []string{"", ".", "/"} {
		if found, dir, err := v.Lookup(root); err != nil || !dir || found != "." {
			t.Errorf("the root %q is found as %q, %v, %v", root, found, dir, err)
		}
	}
	if _, _, err := v.Lookup("EFI/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there gives %v", err)
	}
	if _, _, err := v.At("EFI/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("At of what is not there gives %v", err)
	}
	if _, _, _, err := v.Content("EFI/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the content of what is not there gives %v", err)
	}
	if _, _, _, err := v.Content("EFI"); err == nil {
		t.Error("a directory has content")
	}
}

// edited tests what a volume shows after changes.
func edited(t *testing.T, v stage.Volume) {
	t.Helper()
	for name, want := range map[string]string{"EFI/BOOT/grub.cfg": "changed", "EFI/BOOT/other.cfg": files["EFI/BOOT/other.cfg"], "a/b/c": "deep"} {
		if b, err := v.Read(name, 1<<20); err != nil || string(b) != want {
			t.Errorf("%s is %q, %v; want %q", name, b, err, want)
		}
	}
	if _, dir, err := v.Lookup("d/e"); err != nil || !dir {
		t.Errorf("the new directory: %v, %v", dir, err)
	}
	for _, gone := range []string{"loader", "loader/large.bin"} {
		if _, _, err := v.Lookup(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still found: %v", gone, err)
		}
	}
}

func content(t *testing.T, r io.ReaderAt, off, size int64) string {
	t.Helper()
	if r == nil {
		return ""
	}
	b := make([]byte, size)
	if _, err := r.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	return string(b)
}

// text is content in memory.
type text struct{ *bytes.Reader }

func (text) Name() string { return "memory" }

func memory(s string) extent.Source { return &text{bytes.NewReader([]byte(s))} }
