package fat

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/isotest"
)

// TestReadTheirs reads what mtools wrote.
func TestReadTheirs(t *testing.T) {
	for _, ref := range some() {
		path := ref.make(t)
		img := openPath(t, path)
		if img.typ == FAT32 && img.clusters <= maxClusters16 {
			continue // mtools take it for something else
		}
		dir := t.TempDir()
		want := tree{}
		for i, name := range names {
			if strings.Contains(name, "😀") {
				continue // mtools cannot write it
			}
			if i%5 == 4 {
				name = "deep/er/" + name
			}
			data := content(i, i*i*60)
			for at := filepath.Dir(name); at != "."; at = filepath.Dir(at) {
				want[at] = ""
			}
			want[name] = digest(data)
			file := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		list, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		isotest.Run(t, "mcopy", append(append([]string{"-s", "-Q", "-i", path}, list...), "::")...)
		hidden := filepath.Join(dir, ".hidden")
		if _, err := os.Stat(hidden); err != nil {
			t.Fatal(err)
		}
		img = openPath(t, path)
		if diff := cmp.Diff(want, ours(t, img)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", ref.name, diff)
		}
		if err := fstest.TestFS(img, "deep/er", "A.TXT", "größe.txt"); err != nil {
			t.Errorf("%s: %v", ref.name, err)
		}
		for _, alias := range []string{"a.txt", "ALONGN~1.CON", "Größe.TXT", "DEEP/ER"} {
			if _, err := fs.Stat(img, alias); err != nil {
				t.Errorf("%s: %v", ref.name, err)
			}
		}
		if _, err := fs.Stat(img, "A.TXT/x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("below a file: %v", err)
		}
	}
}

// TestParameters compares what Open learns with what blkid and fsck.fat tell.
func TestParameters(t *testing.T) {
	for _, ref := range references {
		path := ref.make(t)
		img := openPath(t, path)
		if img.Label() != "ISO EFI" || img.VolumeID().String() != "CAFE-1234" || img.OEMName() != "mkfs.fat" {
			t.Errorf("%s: label %q, id %v, made by %q", ref.name, img.Label(), img.VolumeID(), img.OEMName())
		}
		if id := blkid(t, path, "UUID"); id != "" && id != img.VolumeID().String() {
			t.Errorf("%s: blkid says %q", ref.name, id)
		}
		if !strings.HasPrefix(ref.name, strings.ToLower(img.Type().String())) || img.Size() != int64(ref.kib)<<10 {
			t.Errorf("%s: %v of %d", ref.name, img.Type(), img.Size())
		}
		used := int64(0)
		if img.Type() == FAT32 {
			used = img.ClusterSize() // of the root directory
		}
		if img.Free() != img.Clusters()*img.ClusterSize()-used {
			t.Errorf("%s: %d bytes free", ref.name, img.Free())
		}
	}
}

// blkid is a tag that blkid shows, "" where there is no blkid.
func blkid(t *testing.T, path, tag string) string {
	t.Helper()
	program, err := exec.LookPath("/usr/sbin/blkid")
	if err != nil {
		return ""
	}
	out, err := exec.CommandContext(t.Context(), program, "-p", "-o", "value", "-s", tag, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestEFIPartition edits the EFI system partition of an installer image.
func TestEFIPartition(t *testing.T) {
	dir := t.TempDir()
	esp := filepath.Join(dir, "efi.img")
	isotest.Run(t, "xorriso", "-osirrox", "on", "-indev", isotest.Image(t, "debian"), "-extract", "/boot/grub/efi.img", esp)
	if err := os.Chmod(esp, 0o644); err != nil {
		t.Fatal(err)
	}
	img := openPath(t, esp)
	before := ours(t, img)
	if diff := cmp.Diff(theirs(t, esp), before); diff != "" || len(before) == 0 {
		t.Fatalf("%d files (-theirs +ours)\n%s", len(before), diff)
	}
	var loader string
	for name := range before {
		if strings.EqualFold(filepath.Base(name), "bootx64.efi") {
			loader = name
		}
	}
	m, err := img.Content(loader)
	if err != nil {
		t.Fatal(err)
	}
	raw := readMap(t, m)
	if !bytes.HasPrefix(raw, []byte("MZ")) {
		t.Errorf("%s begins with %x", loader, raw[:2])
	}
	for _, size := range []int{100, 1 << 20, 8 << 20} {
		e, err := img.Edit(Options{Time: editTime})
		if err != nil {
			t.Fatal(err)
		}
		data := content(size, size)
		if err := errors.Join(e.Replace(loader, Bytes(data)), e.Mkdir("driver"), e.Add("driver/Some Driver.efi", Bytes(data))); err != nil {
			t.Fatal(err)
		}
		m, err := e.Map()
		if errors.Is(err, ErrFull) {
			m, err = e.Grow(0)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := tree{"driver": "", "driver/Some Driver.efi": digest(data)}
		for name, sum := range before {
			want[name] = sum
		}
		want[loader] = digest(data)
		out := write(t, m)
		sound(t, out)
		after := openPath(t, out)
		if diff := cmp.Diff(want, ours(t, after)); diff != "" {
			t.Errorf("%d bytes: we read (-want +got)\n%s", size, diff)
		}
		if diff := cmp.Diff(want, theirs(t, out)); diff != "" {
			t.Errorf("%d bytes: mtools read (-want +got)\n%s", size, diff)
		}
		if after.Label() != img.Label() || after.VolumeID() != img.VolumeID() || after.OEMName() != img.OEMName() || after.Type() != img.Type() {
			t.Errorf("%d bytes: %q %v %q %v", size, after.Label(), after.VolumeID(), after.OEMName(), after.Type())
		}
	}
}

// TestBase lays the edits of an image inside a larger file over that file.
func TestBase(t *testing.T) {
	b, err := os.ReadFile(references[0].make(t))
	if err != nil {
		t.Fatal(err)
	}
	const at = 6144
	outer := Bytes(append(make([]byte, at), b...))
	img, err := Open(&shifted{outer, at}, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	e, err := img.Edit(Options{Base: outer, BaseOff: at})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add("new", Bytes([]byte("new"))); err != nil {
		t.Fatal(err)
	}
	for _, plan := range []func() (*extent.Map, error){e.Map, func() (*extent.Map, error) { return e.Grow(2 << 20) }} {
		m, err := plan()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range m.Extents() {
			if x.Kind == extent.Copy && x.Src != outer {
				t.Fatalf("%v does not refer to the file", x)
			}
		}
		if got := ours(t, openBytes(t, readMap(t, m))); got["new"] != digest([]byte("new")) {
			t.Errorf("the result has %v", got)
		}
	}
}

// shifted is a source from an offset on.
type shifted struct {
	extent.Source
	off int64
}

func (s *shifted) ReadAt(p []byte, off int64) (int, error) { return s.Source.ReadAt(p, off+s.off) }
func (s *shifted) Size() int64                             { return s.Source.Size() - s.off }
