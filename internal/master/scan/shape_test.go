package scan_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/isotest/readback"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/sink"
)

// TestMasterShapes masters a tree at the limits: 70 levels, names of 255 bytes, 3 000
// names that are cut to the same, links of 100 components.
func TestMasterShapes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	dir := t.TempDir()
	deep := dir
	for i := range 70 {
		deep = filepath.Join(deep, fmt.Sprintf("level-%02d", i))
	}
	must(t, os.MkdirAll(deep, 0o755))
	must(t, os.WriteFile(filepath.Join(deep, "bottom"), []byte("bottom\n"), 0o644))
	must(t, os.MkdirAll(filepath.Join(dir, "names"), 0o755))
	for i, s := range []string{strings.Repeat("é", 127) + "x", strings.Repeat("日", 85), strings.Repeat("n", 253), strings.Repeat("n", 252) + "é"} {
		must(t, os.WriteFile(filepath.Join(dir, "names", s), fmt.Appendf(nil, "%d\n", i), 0o644))
	}
	must(t, os.Mkdir(filepath.Join(dir, "crowd"), 0o755))
	for i := range 3000 {
		must(t, os.WriteFile(filepath.Join(dir, "crowd", fmt.Sprintf("samebeginning-%04d.txt", i)), fmt.Appendf(nil, "%d\n", i), 0o644))
	}
	must(t, os.Symlink(strings.Repeat("../", 99)+"end", filepath.Join(dir, "up")))
	must(t, os.Symlink("/"+strings.Repeat("abc/", 100)+"end", filepath.Join(dir, "down")))
	want := manifestOf(t, dir)
	var images []string
	for _, o := range []scan.Options{
		{RockRidge: true, Joliet: true, Padding: 150, Naming: iso9660.NamingRules{JolietLong: true}},
		{RockRidge: true, Relocate: "rr_moved", Padding: 150, Naming: iso9660.NamingRules{Length: 31}},
	} {
		out := mastered(t, dir, o)
		images = append(images, out)
		if d := want.Diff(isotest.Bsdtar(t, out)); d != "" {
			t.Errorf("bsdtar reads another tree:\n%s", d)
		}
		plain := func(e isotest.Entry) isotest.Entry { e.MTime, e.SHA256 = 0, ""; return e }
		if d := want.Map(plain).Diff(isotest.XorrisoTree(t, out)); d != "" {
			t.Errorf("xorriso reads another tree:\n%s", d)
		}
		must(t, isotest.SevenZipTest(t, out))
		readback.Verified(t, out)
		listed(t, out, want, o)
	}
	if len(isotest.IsoinfoJoliet(t, images[0])) < len(want)-2 {
		t.Error("isoinfo does not list all of Joliet")
	}
	if os.Getenv("ISOLAYER_SOAK") == "" {
		must(t, os.RemoveAll(filepath.Join(dir, "crowd"))) // for which Linux takes minutes
	}
	want, images = manifestOf(t, dir), nil
	for _, where := range []string{"", ".rr_moved"} {
		images = append(images, mastered(t, dir, scan.Options{RockRidge: true, Joliet: true, Padding: 150, Relocate: where}))
	}
	for image, v := range isotest.KernelMount(t, isotest.MountOptions{}, images...) {
		short := func(m isotest.Manifest) isotest.Manifest { // Linux cuts names of 254 and 255 bytes
			return m.Filter(func(p string, _ isotest.Entry) bool {
				return !strings.HasPrefix(p, "names/") || len(p) == len("names/")+253
			})
		}
		if len(v.RR) != len(want) {
			t.Errorf("%s: the kernel shows %d names of %d", image, len(v.RR), len(want))
		}
		if d := short(want).Diff(short(v.RR)); d != "" {
			t.Errorf("%s: the kernel reads another tree:\n%s\n%q", image, d, v.Log)
		}
	}
}

// manifestOf is what images of a directory are to show.
func manifestOf(t *testing.T, dir string) isotest.Manifest {
	t.Helper()
	m := isotest.Manifest{}
	must(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		rel, rerr := filepath.Rel(dir, p)
		if err != nil || rerr != nil || rel == "." {
			return errors.Join(err, rerr)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		e := isotest.Entry{Type: 'd', Perm: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), MTime: info.ModTime().Unix()}
		switch {
		case info.Mode().IsRegular():
			f := isotest.File(read(t, p))
			e.Type, e.Size, e.SHA256 = 'f', f.Size, f.SHA256
		case info.Mode()&os.ModeSymlink != 0:
			e.Type = 'l'
			e.Link, err = os.Readlink(p)
		}
		m[rel] = e
		return err
	}))
	return m
}

// TestMasterFull: a full disk is reported, and the device is no file to leave.
func TestMasterFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "f"), noise(100_000, 1), 0o644))
	if err := masterTo(t, dir, "/dev/full", scan.Options{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
}

// TestMasterAttributes: xorriso reads the access list and the attributes that we record.
func TestMasterAttributes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	dir := t.TempDir()
	p := filepath.Join(dir, "f")
	must(t, os.WriteFile(p, nil, 0o644))
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 6, ^uint32(0)}, {2, 7, 1000}, {4, 4, ^uint32(0)}, {8, 5, 70000}, {16, 7, ^uint32(0)}, {32, 4, ^uint32(0)}} {
		acl = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(acl, e.tag), e.perm)
		acl = binary.LittleEndian.AppendUint32(acl, e.id)
	}
	long := strings.Repeat("x", 2000)
	if err := errors.Join(unix.Setxattr(p, "user.color", []byte("blue"), 0), unix.Setxattr(p, "user.long", []byte(long), 0), unix.Setxattr(p, "system.posix_acl_access", acl, 0)); err != nil {
		t.Skip(err)
	}
	out := mastered(t, dir, scan.Options{RockRidge: true, ACL: true, Attributes: true})
	said, err := exec.Command(isotest.Tool(t, "xorriso"), "-no_rc", "-report_about", "SORRY", "-acl", "on", "-xattr", "on", "-indev", out,
		"-getfattr", "/f", "--", "-getfacl", "/f", "--").Output()
	must(t, err)
	lines := strings.Split(string(said), "\n")
	for _, want := range []string{`user.color="blue"`, `user.long="` + long + `"`, "group:70000:r-x", "mask::rwx", "user::rw-"} {
		if !slices.Contains(lines, want) {
			t.Errorf("xorriso does not say %.40s:\n%.500s", want, said)
		}
	}
}

// TestMasterStream: every sink gives the same bytes.
func TestMasterStream(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), noise(i*7000, uint64(i)), 0o644))
	}
	o := scan.Options{RockRidge: true, Joliet: true, Padding: 1000, Implant: true}
	out := mastered(t, dir, o)
	img, err := build.Master([]scan.Graft{{Source: dir}}, o)
	must(t, err)
	defer img.Close()
	var b bytes.Buffer
	_, err = img.Stream(t.Context(), &b, sink.Options{})
	must(t, err)
	if !bytes.Equal(b.Bytes(), read(t, out)) {
		t.Error("the stream differs from the file")
	}
	m, err := build.CheckMedia(t.Context(), out, nil)
	must(t, err)
	if !m.OK {
		t.Error("the media check is wrong")
	}
}
