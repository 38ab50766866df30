//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/tree"
)

func TestMain(m *testing.M) {
	Main()
	isotest.NeedFUSE()
	os.Exit(m.Run())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounts, needs root")
	}
	if testing.Short() {
		t.Skip("makes an image")
	}
}

// manifest lists a directory by the calls of the system only.
func manifest(t *testing.T, dir string) isotest.Manifest {
	t.Helper()
	m := isotest.Manifest{}
	if err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		e := isotest.Entry{Type: 'f', Perm: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), Size: st.Size, MTime: st.Mtim.Sec}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			e.Type, e.Size, e.MTime = 'd', 0, 0
		case unix.S_IFLNK:
			e.Type, e.Size = 'l', 0
			e.Link, err = os.Readlink(p)
		case unix.S_IFIFO:
			e.Type = 'p'
		case unix.S_IFCHR:
			e.Type = 'c'
		case unix.S_IFBLK:
			e.Type = 'b'
		default:
			e.SHA256 = isotest.SHA256File(t, p)
		}
		rel, _ := filepath.Rel(dir, p)
		m[rel] = e
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestViews mounts images by EROFS and compares what the kernel shows with bsdtar.
func TestViews(t *testing.T) {
	needRoot(t)
	if f := filesystem("erofs"); !f.OK {
		t.Skip(f.Text)
	}
	for _, name := range []string{"rhel-like-small", "alpine", "deep", "utf8", "grub-rescue-cdrom", "dupinode"} {
		t.Run(name, func(t *testing.T) {
			image := isotest.Image(t, name)
			dir := t.TempDir()
			v := &viewSpec{Image: image, Dir: filepath.Join(dir, "view"), Meta: filepath.Join(dir, "meta")}
			if err := os.Mkdir(v.Dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := v.mountEROFS(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := unix.Unmount(v.Dir, 0); err != nil {
					t.Error(err)
				}
			}()
			plain := func(e isotest.Entry) isotest.Entry {
				if e.Type == 'd' {
					e.MTime = 0
				}
				return e
			}
			want := isotest.Bsdtar(t, image)
			if long, ok := want["longlink"]; ok { // libarchive loses a slash
				long.Link = isotest.XorrisoTree(t, image)["longlink"].Link
				want = want.With("longlink", long)
			}
			if d := want.Map(plain).Diff(manifest(t, v.Dir)); d != "" {
				t.Errorf("bsdtar and EROFS differ:\n%s", d)
			}
		})
	}
}

// overlayScripts are ways to use a merged directory. Not all leave simple marks.
var overlayScripts = map[string]string{
	"nothing":          `true`,
	"files":            `echo x > new; echo y >> GPL; rm EULA; chmod 600 .discinfo; chown 7:8 .treeinfo; touch -d @5 RPM-GPG-KEY-CentOS-7; ln -s a b; rm RPM-GPG-KEY`,
	"same content":     `cp GPL x; rm GPL; mv x GPL`,
	"directory again":  `rm -r images; mkdir images; echo x > images/y`,
	"file becomes dir": `rm GPL; mkdir GPL; echo x > GPL/x; rm -r LiveOS; echo x > LiveOS`,
	"hard links":       `echo x > one; ln one two; ln isolinux/vmlinuz kernel`,
	"moved":            `mv Packages repodata2; mv GPL GPL2`,
	"moved deep":       `mkdir -p a/b; mv images/pxeboot a/b/c; echo x > a/b/c/new; rm a/b/c/vmlinuz`,
	"moved out":        `mv images/pxeboot p; rm -r images`,
	"moved in":         `rm -r LiveOS/*; mv repodata LiveOS/r; rm -r EFI; mkdir EFI; mv images EFI/i`,
	"swapped":          `mv Packages x; mv repodata Packages; mv x repodata`,
	"nested":           `mv images x; mv x/pxeboot y; mv x y/z`,
	"twice":            `mv EFI x; mv x y; mv y/BOOT BOOT; mv BOOT/fonts y/fonts`,
	"other case":       `mv EFI Efi; mv GPL gpl`,
	"mode and move":    `mv LiveOS L; chmod 700 L; chmod 640 L/squashfs.img`,
}

// TestCapture lets the kernel's overlayfs record changes, with and without moves and
// copies of attributes only, and applies what is captured to the image's tree: the result
// is what the merged directory showed.
func TestCapture(t *testing.T) {
	needRoot(t)
	image := isotest.Image(t, "rhel-like-small")
	dir := t.TempDir()
	v := &viewSpec{Image: image, Dir: filepath.Join(dir, "view"), Kinds: []string{"erofs", "fuse"}, Meta: filepath.Join(dir, "meta")}
	if err := os.Mkdir(v.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := v.mount(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(v.Dir, unix.MNT_DETACH) }()
	for name, script := range overlayScripts {
		for kind, opts := range map[string]string{"plain": "redirect_dir=off,metacopy=off", "moves": "redirect_dir=on,metacopy=on", "user": "userxattr", FuseOverlayfs: ""} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				d := t.TempDir()
				upper, work, merged := filepath.Join(d, "upper"), filepath.Join(d, "work"), filepath.Join(d, "merged")
				if err := mkdirs(upper, work, merged); err != nil {
					t.Fatal(err)
				}
				if kind == FuseOverlayfs {
					isotest.Tool(t, FuseOverlayfs)
					isotest.Run(t, "chmod", "--reference", v.Dir, upper)
					if err := (overlaySpec{Lower: v.Dir, Upper: upper, Work: work, Target: merged}).mountFUSE(); err != nil {
						t.Fatal(err)
					}
				} else if err := unix.Mount("o", merged, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,%s", v.Dir, upper, work, opts)); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = unix.Unmount(merged, unix.MNT_DETACH) }()
				isotest.Run(t, "sh", "-ec", "cd "+merged+"; "+script)
				want := manifest(t, merged)
				files := extent.NewFiles()
				res, err := CaptureUpper(image, 0, upper, CaptureOptions{Files: files})
				if err != nil {
					t.Fatal(err)
				}
				if d := want.Diff(after(t, image, res.Edits)); d != "" {
					t.Errorf("the merged directory and the captured edits differ:\n%s\n%v", d, res.Edits)
				}
				if (len(res.Edits) == 0) != (len(res.Changes) == 0) || len(res.Edits) == 0 && name != "nothing" && name != "same content" {
					t.Errorf("%d edits, %d changes", len(res.Edits), len(res.Changes))
				}
				moves := slices.ContainsFunc(res.Edits, func(e tree.Edit) bool { _, ok := e.(tree.Rename); return ok })
				if strings.HasPrefix(name, "moved") && !moves {
					t.Error("no move was captured")
				}
			})
		}
	}
}

// after is the tree of an image with edits made.
func after(t *testing.T, image string, edits []tree.Edit) isotest.Manifest {
	t.Helper()
	v := &viewSpec{Image: image}
	_, img, err := v.open()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := tree.FromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Apply(edits); err != nil {
		t.Fatal(err)
	}
	m := isotest.Manifest{}
	if err := tr.Walk(func(n *tree.Node) error {
		if n.Parent == nil {
			return nil
		}
		e := isotest.Entry{Type: 'f', Perm: n.Mode & 0o7777, UID: int(n.UID), GID: int(n.GID), MTime: n.ModTime.Unix(), Link: n.Link}
		switch {
		case n.IsDir():
			e.Type, e.MTime = 'd', 0
		case n.IsLink():
			e.Type = 'l'
		default:
			var r interface {
				ReadAt(p []byte, off int64) (int, error)
			} = n.Source
			e.Size = n.Size()
			if n.Source == nil {
				for _, f := range n.Found {
					if f != nil {
						if r, e.Size, err = img.Open(f); err != nil {
							return err
						}
						break
					}
				}
			}
			b := make([]byte, e.Size)
			if len(b) > 0 {
				if _, err := r.ReadAt(b, 0); err != nil {
					return err
				}
			}
			e.SHA256 = isotest.File(b).SHA256
		}
		m[strings.TrimPrefix(n.Path(), "/")] = e
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCaptureSpecial refuses what no image should get, with its path.
func TestCaptureSpecial(t *testing.T) {
	upper := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(upper, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	image := isotest.Image(t, "grub-rescue-cdrom")
	if _, err := CaptureUpper(image, 0, upper, CaptureOptions{}); !errors.Is(err, ErrSpecial) || !strings.Contains(err.Error(), "/fifo") {
		t.Errorf("a FIFO gives %v", err)
	}
}

// TestSweep removes what dead processes left, and nothing that is alive or kept.
func TestSweep(t *testing.T) {
	temp := t.TempDir()
	alive, err := newRoom(temp)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := newRoom(temp)
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.leave(); err != nil {
		t.Fatal(err)
	}
	dead, err := newRoom(temp)
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.lock.Close() // as the end of a process does
	if err := os.MkdirAll(dead.path("work/work"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dead.path("work/work"), 0); err != nil {
		t.Fatal(err)
	}
	// Killed while a directory was made, before and after it had a lock, and while one was
	// removed.
	empty, half := filepath.Join(temp, "."+prefix+"1"), filepath.Join(temp, "."+prefix+"2")
	for _, d := range []string{empty, filepath.Join(half, "upper")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(half, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Sweep(temp)
	if err != nil || !slices.Equal(got, []string{dead.dir, half}) {
		t.Errorf("swept %v, %v", got, err)
	}
	if left, err := filepath.Glob(filepath.Join(temp, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	for _, dir := range []string{alive.dir, kept.dir} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if err := alive.remove(); err != nil {
		t.Error(err)
	}
}
