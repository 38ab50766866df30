package build_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/isotest/readback"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/verify"
	"github.com/isolayer/isolayer/sink"
)

// rebuilt are the images that build changes.
var rebuilt = []string{
	"grub-rescue-cdrom", "ipxe", "rhel-like-small", "rhel9-isolinux", "alpine", "suse", "floppy", "hdemul",
	"multisession", "multisession-xorriso", "multisession-gen", "deep", "zisofs", "level4", "nopad", "bigdir",
	"dupinode", "utf8", "norr", "nojoliet", "joliet-only", "padded-tail",
	"debian", "ubuntu2204", "ubuntu2204-pkgs", "fedora", "arch", "grubrescue", "efionly-arm64style", "hfs",
	"sparc-label", "hppa", "memtest86+x64", "memtest86+ia32",
}

// refused are the images that it does not, with a part of the reason.
var refused = map[string]string{
	"windows": "UDF",
}

// mustBuild makes a changed image in a directory of its own.
func mustBuild(t *testing.T, base string, o stage.Options, steps ...edit.Step) (string, layout.Report) {
	t.Helper()
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(t.Context(), b, steps, o)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.iso")
	if _, err := img.WriteFile(t.Context(), out, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(img.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	report := img.Report
	report.MediaCheck = img.MediaCheck()
	return out, report
}

// local writes a local file for --add.
func local(t *testing.T, name string, content []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// isBoot reports files that boot equipment may point to; edits stay off them.
func isBoot(p string) bool {
	switch strings.ToLower(path.Base(p)) {
	case "isolinux.bin", "boot.cat", "boot.catalog", "efi.img", "efiboot.img", "eltorito.img", "floppy.img", "hd.img", "esp.img", "ipxe.lkrn", "loader.copy":
		return true
	}
	return false
}

// selfDescribing reports files that say what other files are called or have for sums: they are
// kept true, which tests of their own look at.
func selfDescribing(p string) bool { return path.Base(p) == "TRANS.TBL" || path.Base(p) == ".treeinfo" }

// edits are the changes made to every image, chosen from its manifest.
type edits struct {
	steps  []edit.Step
	expect isotest.Manifest
	fresh  map[string]bool // paths whose attributes are new
}

// plan chooses a tree to remove, a directory to rename, and two files to replace.
func plan(t *testing.T, base isotest.Manifest) edits {
	big, small, added := noise(200_000, 1), []byte("small\n"), noise(300_000, 2)
	e := edits{expect: base, fresh: map[string]bool{}}
	e.put(t, "ks/new.bin", added)
	e.expect = e.expect.With("ks", isotest.Entry{Type: 'd'})
	e.fresh["ks"] = true
	e.put(t, "added.txt", small)

	dirs := func(p string) bool { return base[p].Type == 'd' }
	var gone, moved string
	for _, p := range []string{"pool", "Packages", "boot/grub/locale", "LiveOS", "d", "données", "a1", "POOL"} {
		if dirs(p) {
			gone = p
			break
		}
	}
	for _, p := range []string{"images", "boot/grub/fonts", "repodata", "isolinux"} {
		if dirs(p) && p != gone {
			moved = p
			break
		}
	}
	within := func(p, dir string) bool { return dir != "" && (p == dir || strings.HasPrefix(p, dir+"/")) }
	shared := map[string]int{}
	for _, x := range base {
		shared[x.SHA256]++
	}
	content := [][]byte{big, small}
	for _, p := range slices.Sorted(maps.Keys(base)) {
		if x := base[p]; len(content) > 0 && x.Type == 'f' && x.Size > 0 && shared[x.SHA256] == 1 && !isBoot(p) && !within(p, gone) && !within(p, moved) {
			e.put(t, p, content[0])
			content = content[1:]
		}
	}
	if gone != "" {
		e.steps = append(e.steps, edit.Remove{Pattern: "/" + gone})
		e.expect = e.expect.Without(gone)
	}
	if moved != "" {
		e.steps = append(e.steps, edit.Move{Old: moved, New: "/renamed-directory"})
		e.expect = e.expect.Rename(moved, "renamed-directory")
	}
	return e
}

func (e *edits) put(t *testing.T, p string, content []byte) {
	e.steps = append(e.steps, edit.Add{Source: local(t, "file", content), Dest: "/" + p})
	e.expect = e.expect.With(p, isotest.File(content))
	e.fresh[p] = true
}

// content drops the attributes of fresh entries, which are not the base's, and the
// content of boot catalogs, which follows the boot images.
func (e *edits) content(m isotest.Manifest) isotest.Manifest {
	out := isotest.Manifest{}
	for p, x := range m {
		if strings.HasPrefix(path.Base(p), "boot.cat") {
			x.SHA256 = ""
		}
		if selfDescribing(p) {
			x.SHA256, x.Size = "", 0
		}
		if e.fresh[p] {
			x = isotest.Entry{Type: x.Type, Size: x.Size, SHA256: x.SHA256}
			if x.Type == 'd' {
				x.Size = 0
			}
		}
		out[p] = x
	}
	return out
}

// TestEveryLayout makes the same kinds of change to every image and lets other
// programs say what came out.
func TestEveryLayout(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range rebuilt {
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			before := isotest.Bsdtar(t, base)
			e := plan(t, before)
			out, report := mustBuild(t, base, stage.Options{}, e.steps...)

			errs := isotest.BsdtarErrors(t, out)
			if errs != "" {
				t.Errorf("bsdtar: %s", errs)
			}
			if name != "suse" { // which bsdtar cannot read as genisoimage -f left it
				if d := e.content(e.expect).Diff(e.content(isotest.Bsdtar(t, out))); d != "" {
					t.Errorf("bsdtar reads another tree:\n%s", d)
				}
			}
			if err := isotest.SevenZipTest(t, out); err != nil {
				t.Errorf("7z: %v", err)
			}
			sameBlocks(t, e, base, out, report)
			sameListings(t, e, base, out)
			if name != "suse" {
				agree(t, out)
			}
			sameRefs(t, base, out)
			sound(t, base, out)

			again, _ := mustBuild(t, base, stage.Options{}, e.steps...)
			if isotest.SHA256File(t, out) != isotest.SHA256File(t, again) {
				t.Error("two runs differ")
			}
		})
	}
}

// sound checks that verify finds no more in an image than in its base. What menus
// name may be gone: the edits took it away.
func sound(t *testing.T, base, out string) {
	t.Helper()
	problems := func(image string) (list []string) {
		r, err := build.Verify(t.Context(), image, verify.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range r.Groups {
			if g.Check == "boot files" {
				continue
			}
			for _, f := range g.Findings {
				if f.Severity == verify.Problem {
					list = append(list, f.String())
				}
			}
		}
		return list
	}
	if before, after := problems(base), problems(out); len(after) > len(before) {
		t.Errorf("verify finds:\n%s", strings.Join(after, "\n"))
	}
}

// renamedTo maps a path of the base to that of the result, "" if it is gone.
func (e *edits) renamedTo(p string) string {
	for _, s := range e.steps {
		switch s := s.(type) {
		case edit.Remove:
			if q := strings.TrimPrefix(s.Pattern, "/"); p == q || strings.HasPrefix(p, q+"/") {
				return ""
			}
		case edit.Move:
			if rest, ok := strings.CutPrefix(p, s.Old); ok && (rest == "" || rest[0] == '/') {
				return strings.TrimPrefix(s.New, "/") + rest
			}
		}
	}
	return p
}

// sameBlocks checks that untouched files are where they were, as xorriso sees
// it, but for those that the report names.
func sameBlocks(t *testing.T, e edits, base, out string, report layout.Report) {
	moved := map[string]bool{}
	for _, m := range report.Moved {
		moved[strings.TrimPrefix(m.Path, "/")] = true
	}
	now := isotest.XorrisoLBA(t, out)
	for p, old := range isotest.XorrisoLBA(t, base) {
		to := e.renamedTo(strings.TrimPrefix(p, "/"))
		if to == "" || e.fresh[to] || moved[to] || old[0].Size == 0 || selfDescribing(to) {
			continue
		}
		got := now[to]
		if got == nil {
			got = now["/"+to]
		}
		if !slices.Equal(got, old) {
			t.Errorf("%s: xorriso has it at %v, it was at %v", to, got, old)
		}
	}
}

// sameListings compares what isoinfo lists of both trees with the base's
// listings plus the edits.
func sameListings(t *testing.T, e edits, base, out string) {
	lists := map[string]func(testing.TB, string) map[string]isotest.Listed{"Joliet": isotest.IsoinfoJoliet}
	if rockRidge(t, base) {
		lists["Rock Ridge"] = isotest.IsoinfoRR
	}
	for what, list := range lists {
		before, after := list(t, base), list(t, out)
		if len(before) == 0 && len(after) == 0 {
			continue
		}
		want := map[string]isotest.Listed{}
		for p, x := range before {
			if to := e.renamedTo(strings.TrimPrefix(p, "/")); to != "" && !e.fresh[to] && to != "rr_moved" && !strings.HasPrefix(to, "rr_moved/") {
				want[to] = x
			}
		}
		for p, x := range after {
			p = strings.TrimPrefix(p, "/")
			w, ok := want[p]
			switch {
			case e.fresh[p], selfDescribing(p), p == "rr_moved", strings.HasPrefix(p, "rr_moved/"):
			case !ok:
				t.Errorf("%s: %s should not be there", what, p)
			case w.Type != x.Type || x.Type != 'd' && (w.Size != x.Size || x.Size > 0 && w.LBA != x.LBA):
				t.Errorf("%s: %s is %v, was %v", what, p, x, w)
			}
			delete(want, p)
		}
		for p := range want {
			t.Errorf("%s: %s is missing", what, p)
		}
		for p := range e.fresh {
			if _, ok := after[p]; !ok {
				if _, ok := after["/"+p]; !ok {
					t.Errorf("%s: %s is missing", what, p)
				}
			}
		}
	}
}

// rockRidge asks our own reader; the other programs then have to agree.
func rockRidge(t *testing.T, image string) bool {
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	rr, err := b.Image().RockRidge(iso9660.Primary)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// TestReading compares our reading of every image with bsdtar's.
func TestReading(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range append(slices.Clone(rebuilt), slices.Sorted(maps.Keys(refused))...) {
		if name == "suse" {
			continue // which bsdtar cannot read
		}
		t.Run(name, func(t *testing.T) {
			image := isotest.Image(t, name)
			agree(t, image)
		})
	}
}

// agree compares our reading of an image with bsdtar's.
func agree(t *testing.T, image string) {
	t.Helper()
	rr := rockRidge(t, image)
	normal := func(m isotest.Manifest) isotest.Manifest {
		return m.Map(func(x isotest.Entry) isotest.Entry {
			if x.Type == 'd' {
				x.Size = 0
			}
			if !rr { // libarchive makes up other modes than Linux
				x.Perm, x.UID, x.GID = 0, 0, 0
			}
			if x.Type == 'l' { // libarchive loses slashes between pieces of a long link
				x.Size, x.Perm, x.Link = 0, 0, strings.ReplaceAll(x.Link, "/", "")
			}
			return x
		})
	}
	if d := normal(isotest.Bsdtar(t, image)).Diff(normal(readback.Manifest(t, image))); d != "" {
		t.Errorf("we read another tree than bsdtar:\n%s", d)
	}
}

func TestRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	ks := local(t, "ks.cfg", []byte("text\n"))
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		t.Run(name, func(t *testing.T) {
			b, err := baseimage.Open(isotest.Image(t, name), baseimage.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			_, err = build.Build(t.Context(), b, []edit.Step{edit.Add{Source: ks}}, stage.Options{})
			if !errors.Is(err, layout.ErrUnsupported) || !strings.Contains(err.Error(), refused[name]) {
				t.Errorf("got %v, want a refusal that says %q", err, refused[name])
			}
		})
	}
}

// TestNoChange covers the laws of nothing to do.
func TestNoChange(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	ks := local(t, "ks.cfg", []byte("text\n"))
	for _, name := range append(slices.Clone(rebuilt), slices.Sorted(maps.Keys(refused))...) {
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			sum := isotest.SHA256File(t, base)
			for what, steps := range map[string][]edit.Step{
				"no edits":       nil,
				"add and remove": {edit.Add{Source: ks, Dest: "/new/ks.cfg"}, edit.Remove{Pattern: "/new"}},
			} {
				out, report := mustBuild(t, base, stage.Options{}, steps...)
				if isotest.SHA256File(t, out) != sum || report.Written != 0 {
					t.Errorf("%s: the result is not the base, %d bytes written", what, report.Written)
				}
			}
		})
	}
}

// TestBackAgain adds in one build and removes in the next.
func TestBackAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	file := local(t, "new.bin", noise(400_000, 3))
	for _, name := range rebuilt {
		if name == "suse" {
			continue // bsdtar cannot read the base
		}
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			there, _ := mustBuild(t, base, stage.Options{}, edit.Add{Source: file, Dest: "/zz/new.bin"})
			back, _ := mustBuild(t, there, stage.Options{}, edit.Remove{Pattern: "/zz"})
			e := edits{}
			if d := e.content(isotest.Bsdtar(t, base)).Diff(e.content(isotest.Bsdtar(t, back))); d != "" {
				t.Errorf("the tree is not what it was:\n%s", d)
			}
			if bytes.Contains(read(t, back), noise(400_000, 3)[2048:4096]) {
				t.Error("removed content is still in the image")
			}
		})
	}
}

func read(t *testing.T, p string) []byte {
	t.Helper()
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCrowd adds so much to a directory that the trees outgrow their place, with
// names that need continuation areas. All images under ISOLAYER_SOAK; what placements come to
// is tested in package layout.
func TestCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	dir := t.TempDir()
	fresh := isotest.Manifest{}
	add := func(name string, size int) {
		content := bytes.Repeat([]byte(name[:1]), size)
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
		fresh[name] = isotest.File(content)
	}
	for i := range 1500 {
		add(fmt.Sprintf("some-rather-long-package-name-%05d-1.2.3-4.el7.x86_64.rpm", i), i)
	}
	for i := range 3 {
		add(fmt.Sprintf("%d-%s", i, strings.Repeat("long", 50)), 100)
	}
	for i := range 6 { // targets that one entry does not hold, cut at different places
		name, target := fmt.Sprintf("link%d", i), strings.Repeat("x", i)+strings.Repeat("part/of/it/", 80)+"end"
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		fresh[name] = isotest.Entry{Type: 'l', Link: target}
	}
	var images []string
	for _, c := range []struct{ name, dir, placement string }{
		{"rhel-like-small", "Packages", "relaid"},
		{"alpine", "EFI/BOOT", "relaid"},
		{"utf8", "isolinux", "relaid"},
		{"deep", "a1/a2/a3/a4/a5/a6/a7/a8/a9/a10/new", "relaid"}, // a long name in a new directory
		{"zisofs", "pool/main", "relaid"},
		{"level4", "pool/main", "relaid"},
		{"multisession", "pool/main", "relaid"},
		{"grub-rescue-cdrom", "boot/grub", "relaid"},
		{"fedora", "pool/main", "relaid"},
		{"grubrescue", "boot/grub", "at the end"}, // HFS+ names its files too, which must stay
		{"ipxe", "new", "in place"},
	} {
		if os.Getenv("ISOLAYER_SOAK") == "" && !slices.Contains([]string{"rhel-like-small", "deep", "fedora", "grubrescue", "ipxe"}, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			base := isotest.Image(t, c.name)
			want := isotest.Bsdtar(t, base)
			e := edits{fresh: map[string]bool{c.dir: true}}
			if _, ok := want[c.dir]; !ok {
				want = want.With(c.dir, isotest.Entry{Type: 'd'})
			}
			for name, x := range fresh {
				want = want.With(c.dir+"/"+name, x)
				e.fresh[c.dir+"/"+name] = true
			}
			out, report := mustBuild(t, base, stage.Options{}, edit.Add{Source: dir, Dest: "/" + c.dir})
			if report.Trees[0].Placement != c.placement {
				t.Errorf("the tree was placed %s, the test is for %s", report.Trees[0].Placement, c.placement)
			}
			if errs := isotest.BsdtarErrors(t, out); errs != "" {
				t.Errorf("bsdtar: %s", errs)
			}
			if d := e.content(want).Diff(e.content(isotest.Bsdtar(t, out))); d != "" {
				t.Errorf("bsdtar reads another tree:\n%s", d)
			}
			if err := isotest.SevenZipTest(t, out); err != nil {
				t.Errorf("7z: %v", err)
			}
			sameBlocks(t, e, base, out, report)
			kept := filepath.Join(dir+"-images", c.name+".iso")
			if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(out, kept); err != nil {
				t.Fatal(err)
			}
			images = append(images, kept)
		})
	}
	defer os.RemoveAll(dir + "-images")
	t.Run("kernel", func(t *testing.T) { kernelAgrees(t, images) })
}

// kernelAgrees mounts images in a virtual machine and compares what Linux shows
// with what bsdtar does.
func kernelAgrees(t *testing.T, images []string) {
	for image, view := range isotest.KernelMount(t, isotest.MountOptions{}, images...) {
		want := isotest.Bsdtar(t, image)
		for p, x := range want {
			got, ok := view.RR[p]
			if p == "longlink" { // genisoimage's: libarchive forgets a slash between its entries
				x.Link = isotest.XorrisoTree(t, image)[p].Link
			}
			if !ok || got.Type != x.Type || x.Type == 'f' && (got.Size != x.Size || got.SHA256 != x.SHA256) || strings.TrimSuffix(got.Link, "/") != strings.TrimSuffix(x.Link, "/") { // Linux drops the slash
				t.Errorf("%s: %s: the kernel shows %+v, bsdtar %+v", filepath.Base(image), p, got, x)
			}
		}
		for p := range view.RR {
			if _, ok := want[p]; !ok && p != "rr_moved" {
				t.Errorf("%s: the kernel shows %s, bsdtar does not", filepath.Base(image), p)
			}
		}
	}
}

// TestHundredThousand adds 100 000 files.
func TestHundredThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many files")
	}
	dir := t.TempDir()
	for i := range 100_000 {
		d := filepath.Join(dir, fmt.Sprintf("d%03d", i/500))
		if i%500 == 0 {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(d, fmt.Sprintf("file-%06d.txt", i)), []byte(fmt.Sprintln(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, report := mustBuild(t, isotest.Image(t, "nopad"), stage.Options{}, edit.Add{Source: dir, Dest: "/huge"})
	if report.Added != 100_201 {
		t.Errorf("%d added, want 100 000 files and 201 directories", report.Added)
	}
	m := isotest.Bsdtar(t, out)
	for i := range 100_000 {
		p := fmt.Sprintf("huge/d%03d/file-%06d.txt", i/500, i)
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprintln(i)))); m[p].SHA256 != sum {
			t.Fatalf("%s: %+v", p, m[p])
		}
	}
}

// TestBoots starts rebuilt images: the kernel comes up, finds the medium and
// reads the replaced file from it.
func TestBoots(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	ks := []byte("a kickstart file of another size than before\n")
	pkgs := local(t, "big.rpm", noise(5<<20, 5))
	seen := fmt.Sprintf("CORPUS-FILE /ks.cfg %x", sha256.Sum256(ks))
	for _, c := range []struct {
		name string
		f    qemu.Firmware
		m    qemu.Media
	}{
		{"rhel9-isolinux", qemu.BIOS, qemu.CD},
		{"rhel9-isolinux", qemu.UEFI, qemu.CD},
		{"debian", qemu.BIOS, qemu.Disk},
		{"debian", qemu.SecureBoot, qemu.CD},
		{"fedora", qemu.UEFI, qemu.Disk},
		{"ubuntu2204", qemu.BIOS, qemu.Disk},
		{"ubuntu2204-pkgs", qemu.UEFI, qemu.USB},
		{"arch", qemu.BIOS, qemu.Disk},
		{"efionly-arm64style", qemu.UEFI, qemu.Disk},
		{"grubrescue", qemu.BIOS, qemu.CD},
	} {
		t.Run(fmt.Sprintf("%s,%s,%s", c.name, c.f, c.m), func(t *testing.T) {
			t.Parallel()
			out, _ := mustBuild(t, isotest.Image(t, c.name), stage.Options{},
				edit.Add{Source: local(t, "ks.cfg", ks)}, edit.Add{Source: pkgs, Dest: "/extra/"})
			isotest.Boot(t, out, c.f, c.m, seen)
		})
	}
}

// TestSecureBoot shows that the firmware of TestBoots does look at signatures: with
// one bit of a loader changed, the image does not start.
func TestSecureBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	base := isotest.Image(t, "debian")
	esp := local(t, "esp.img", object(t, base, "@efi"))
	loader := filepath.Join(t.TempDir(), "grubx64.efi")
	isotest.Run(t, "mcopy", "-n", "-i", esp, "::EFI/BOOT/grubx64.efi", loader)
	b := read(t, loader)
	b[len(b)/8] ^= 1
	if err := os.WriteFile(loader, b, 0o644); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "mcopy", "-o", "-i", esp, loader, "::EFI/BOOT/grubx64.efi")
	out, _ := mustBuild(t, base, stage.Options{}, edit.Add{Source: esp, Dest: "@efi"})
	isotest.Boot(t, out, qemu.SecureBoot, qemu.CD, "Security Violation")
}

// TestLarge changes an image of 8 GiB that holds a file of more than 4 GiB.
func TestLarge(t *testing.T) {
	if os.Getenv("ISOLAYER_SOAK") == "" {
		t.Skip("takes minutes and 17 GiB; set ISOLAYER_SOAK")
	}
	base := isotest.Image(t, "rhel-like-large")
	out, report := mustBuild(t, base, stage.Options{}, edit.Add{Source: local(t, "ks.cfg", []byte("text\n"))})
	want := isotest.Bsdtar(t, base)
	e := edits{fresh: map[string]bool{"ks.cfg": true}}
	want = want.With("ks.cfg", isotest.File([]byte("text\n")))
	if d := e.content(want).Diff(e.content(isotest.Bsdtar(t, out))); d != "" {
		t.Errorf("bsdtar reads another tree:\n%s", d)
	}
	sameBlocks(t, e, base, out, report)
	if !slices.ContainsFunc(report.Warnings, func(w string) bool { return strings.Contains(w, "left as found") }) {
		t.Errorf("GPT entry 1, which isohybrid wraps on images of this size, is not reported: %q", report.Warnings)
	}
}

// firstPartition are the images with a set of descriptors for readers of the first
// partition alone, and where that begins.
var firstPartition = map[string]int64{"ubuntu2204": 32768, "fedora": 32768, "arch": 32768}

// TestFirstPartition mounts rebuilt images through the whole device and through
// their first partition: the kernel shows the same new tree in both. All images under
// ISOLAYER_SOAK.
func TestFirstPartition(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts images in a virtual machine")
	}
	crowd := t.TempDir()
	for i := range 700 {
		if err := os.WriteFile(filepath.Join(crowd, fmt.Sprintf("a-file-that-outgrows-its-directory-%04d.txt", i)), []byte(fmt.Sprintln(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var images []string
	cut := map[string]string{}
	for name, off := range firstPartition {
		if os.Getenv("ISOLAYER_SOAK") == "" && name != "fedora" {
			continue
		}
		base := isotest.Image(t, name)
		e := plan(t, isotest.Bsdtar(t, base))
		small, _ := mustBuild(t, base, stage.Options{}, e.steps...)
		big, _ := mustBuild(t, base, stage.Options{}, edit.Add{Source: crowd, Dest: "/EFI/crowd"},
			edit.Add{Source: local(t, "big.bin", noise(5<<20, 9)), Dest: "/"}, edit.Remove{Pattern: "/ks.cfg"})
		for _, image := range []string{small, big} {
			part := filepath.Join(t.TempDir(), name+".part")
			if err := os.WriteFile(part, read(t, image)[off:], 0o644); err != nil {
				t.Fatal(err)
			}
			cut[image] = part
			images = append(images, image, part)
			if errs := isotest.BsdtarErrors(t, part); errs != "" && image == small {
				t.Errorf("%s: bsdtar on the partition: %s", name, errs)
			}
		}
	}
	views := isotest.KernelMount(t, isotest.MountOptions{}, images...)
	for image, part := range cut {
		a, b := views[image], views[part]
		if len(a.RR) < 30 || a.RR["boot.catalog"].Size == 0 && a.RR["EFI/BOOT/BOOTX64.EFI"].Size == 0 {
			t.Errorf("%s: the kernel shows %d entries: %q", image, len(a.RR), a.Log)
		}
		if d := a.RR.Diff(b.RR); d != "" {
			t.Errorf("%s: the partition shows another tree:\n%s", image, d)
		}
		if d := a.Joliet.Diff(b.Joliet); d != "" {
			t.Errorf("%s: the partition shows another Joliet tree:\n%s", image, d)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
