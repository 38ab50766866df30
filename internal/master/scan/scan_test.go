package scan_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/isotest/readback"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/sink"
)

// mastered makes an image of a directory.
func mastered(t testing.TB, dir string, o scan.Options) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.iso")
	if err := masterTo(t, dir, out, o); err != nil {
		t.Fatal(err)
	}
	return out
}

func masterTo(t testing.TB, dir, out string, o scan.Options) (err error) {
	t.Helper()
	img, err := build.Master([]scan.Graft{{Source: dir}}, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	_, err = img.WriteFile(t.Context(), out, sink.Options{})
	return err
}

// unpacked is the tree of a test image as a directory, without what mastering makes.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	isotest.Run(t, "xorriso", "-no_rc", "-report_about", "SORRY", "-osirrox", "on", "-indev", isotest.Image(t, name), "-extract", "/", dir)
	isotest.Run(t, "chmod", "-R", "u+w", dir)
	for _, made := range []string{"isolinux/boot.cat", "boot.catalog"} {
		if err := os.Remove(filepath.Join(dir, made)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return dir
}

// fromLayouts are images whose equipment is made again as it was.
var fromLayouts = []string{"rhel-like-small", "ubuntu2204", "ubuntu2204-pkgs", "fedora", "arch", "alpine", "floppy", "hdemul", "nojoliet"}

// TestBootFrom makes images with the equipment of others: xorriso and sgdisk report the
// same kinds of tables and entries.
func TestBootFrom(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	tree := unpacked(t, "debian")
	must(t, os.Remove(filepath.Join(tree, "images/efiboot.img"))) // that of the base is taken
	for _, name := range fromLayouts {
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			out := mastered(t, tree, scan.Options{RockRidge: true, Joliet: true, Padding: 150, Boot: &scan.Boot{From: base}})
			readback.Verified(t, out)
			if a, b := equipment(t, base), equipment(t, out); !slices.Equal(a, b) {
				t.Errorf("equipment of the base and of ours:\n%s\n\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
			if name == "fedora" {
				isotest.Boot(t, out, qemu.UEFI, qemu.USB, "CORPUS-GRUB")
			}
		})
	}
}

// equipment describes an image's boot equipment without addresses and sizes. Entries that
// fill gaps, as libisofs makes them, are left out.
func equipment(t *testing.T, image string) (lines []string) {
	t.Helper()
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, f := range b.Boot().Findings {
		t.Errorf("%s: %s", image, f)
	}
	for _, en := range b.Boot().Catalog.Entries {
		lines = append(lines, fmt.Sprintf("%v %v %v info %v grub %v load %d", en.Platform, en.Media, en.Bootable, en.Image.BootInfo != nil, en.Image.GRUB2, en.Sectors))
	}
	if m := b.Boot().System.MBR; m != nil {
		lines = append(lines, string(m.Code))
		for _, p := range m.Partitions {
			lines = append(lines, fmt.Sprintf("MBR %d %02x %v %s", p.Number, p.Type, p.Active, p.Role))
		}
	}
	if g := b.Boot().System.GPT; g != nil {
		lines = append(lines, fmt.Sprintf("GPT %v", g.Announced))
		for _, p := range g.Partitions {
			if p.Role != boot.RoleGap {
				lines = append(lines, fmt.Sprintf("GPT %s %s", p.Type, p.Role))
			}
		}
	}
	for _, w := range b.Boot().Ways() {
		lines = append(lines, w.Medium+" "+w.Firmware)
	}
	return lines
}

// randomTree makes a directory of files of every kind and returns what images of it show.
func randomTree(t *testing.T, r *rand.Rand, dir string) isotest.Manifest {
	t.Helper()
	m := isotest.Manifest{}
	alphabet := []rune("abcXYZ019-_. éß日😀+%~#")
	name := func() string {
		n := 1 + r.IntN(12)
		if r.IntN(12) == 0 {
			n = 60
		}
		var b strings.Builder
		for range n {
			b.WriteRune(alphabet[r.IntN(len(alphabet))])
		}
		s := b.String()
		if strings.Trim(s, ".") == "" {
			return s + "x"
		}
		return s
	}
	var fill func(p string, depth int)
	var files []string
	fill = func(p string, depth int) {
		for range r.IntN(9) {
			n := filepath.Join(p, name())
			rel, _ := filepath.Rel(dir, n)
			if _, ok := m[rel]; ok || strings.HasSuffix(rel, "/.") {
				continue
			}
			e := isotest.Entry{MTime: 1_500_000_000 + r.Int64N(1e8), UID: r.IntN(3), GID: r.IntN(70000)}
			switch kind := r.IntN(10); {
			case kind < 2 && depth < 11:
				e.Type, e.Perm = 'd', uint32(0o700|r.IntN(0o100))
				must(t, os.Mkdir(n, 0o755))
				m[rel] = e
				fill(n, depth+1)
			case kind == 2:
				e.Type, e.Perm, e.Link = 'l', 0o777, strings.Repeat(name()+"/", 1+r.IntN(30))
				// xorriso reads no longer ones, and bsdtar none that is not UTF-8
				e.Link = strings.ToValidUTF8(e.Link[:min(len(e.Link), 1000)], "") + "end"
				must(t, os.Symlink(e.Link, n))
			case kind == 3 && len(files) > 0:
				old := files[r.IntN(len(files))]
				must(t, os.Link(filepath.Join(dir, old), n))
				m[rel] = m[old]
				continue
			case kind == 4 && os.Getuid() == 0:
				e.Type, e.Perm = 'p', 0o644
				must(t, syscall.Mkfifo(n, 0o644))
			default:
				b := noise(r.IntN(9000), r.Uint64())
				if r.IntN(6) == 0 {
					b = noise(60_000+r.IntN(90_000), r.Uint64())
				}
				f := isotest.File(b)
				e.Type, e.Size, e.SHA256, e.Perm = 'f', f.Size, f.SHA256, uint32(0o400|r.IntN(0o400))
				must(t, os.WriteFile(n, b, 0o644))
				files = append(files, rel)
			}
			m[rel] = e
		}
	}
	must(t, os.MkdirAll(dir, 0o755))
	fill(dir, 0)
	for _, rel := range slices.Backward(slices.Sorted(maps.Keys(m))) {
		e, p := m[rel], filepath.Join(dir, rel)
		if os.Getuid() == 0 {
			must(t, os.Lchown(p, e.UID, e.GID))
		} else {
			e.UID, e.GID = os.Getuid(), os.Getgid()
		}
		if e.Type != 'l' {
			must(t, os.Chmod(p, os.FileMode(e.Perm)))
		}
		isotest.Run(t, "touch", "-h", "-d", fmt.Sprintf("@%d", e.MTime), p)
		m[rel] = e
	}
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMasterTrees masters random trees in random ways: every reader gives back names,
// kinds, modes, owners, times, links and contents.
func TestMasterTrees(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	rounds := 25
	if os.Getenv("ISOLAYER_SOAK") != "" {
		rounds = 3000
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 5))
			dir := filepath.Join(t.TempDir(), "tree")
			want := randomTree(t, r, dir)
			o := scan.Options{
				RockRidge: true, Joliet: r.IntN(2) == 0, Enhanced: r.IntN(6) == 0, Padding: int64(8 + r.IntN(200)), // libarchive wants 24 blocks
				Naming: iso9660.NamingRules{Length: []int{0, 31, 37}[r.IntN(3)], Lowercase: r.IntN(2) == 0, JolietLong: r.IntN(2) == 0, NoVersion: r.IntN(3) == 0},
				Once:   r.IntN(3) == 0,
			}
			if r.IntN(3) == 0 {
				o.Relocate = "rr_moved"
			}
			if r.IntN(4) == 0 {
				o.Boot = &scan.Boot{Spec: boot.Spec{PartitionOffset: 16}}
			}
			out := mastered(t, dir, o)
			if d := want.Diff(isotest.Bsdtar(t, out)); d != "" {
				t.Errorf("bsdtar reads another tree:\n%s", d)
			}
			if s := isotest.BsdtarErrors(t, out); s != "" {
				t.Errorf("bsdtar: %s", s)
			}
			plain := func(e isotest.Entry) isotest.Entry { e.MTime, e.SHA256 = 0, ""; return e }
			if d := want.Map(plain).Diff(isotest.XorrisoTree(t, out)); d != "" {
				t.Errorf("xorriso reads another tree:\n%s", d)
			}
			if d := want.Diff(readback.Manifest(t, out)); d != "" {
				t.Errorf("we read another tree:\n%s", d)
			}
			if err := isotest.SevenZipTest(t, out); err != nil {
				t.Error(err)
			}
			listed(t, out, want, o)
			readback.Verified(t, out)
			again := mastered(t, dir, o)
			if isotest.SHA256File(t, out) != isotest.SHA256File(t, again) {
				t.Error("two runs differ")
			}
		})
	}
}

// listed compares what the two programs that only list show: isoinfo, and 7z, which
// takes the names of Joliet where there are some.
func listed(t *testing.T, out string, want isotest.Manifest, o scan.Options) {
	t.Helper()
	seen := isotest.IsoinfoRR(t, out)
	if o.Relocate == "" { // isoinfo shows moved directories where they are stored
		for p, e := range want {
			if s, ok := seen[p]; !ok || s.Type != e.Type || s.Type == 'f' && s.Size != e.Size {
				t.Errorf("isoinfo lists %q as %+v, want %v", p, s, e)
			}
		}
		if len(seen) != len(want) {
			t.Errorf("isoinfo lists %d names, the tree has %d", len(seen), len(want))
		}
	}
	sizes := isotest.SevenZip(t, out)
	if o.Joliet { // which cuts names, and has no links and no pipes
		count := func(m isotest.Manifest, kind byte) int {
			return len(m.Filter(func(_ string, e isotest.Entry) bool { return e.Type == kind }))
		}
		shown := isotest.Manifest{}
		for p, size := range sizes {
			shown[p] = isotest.Entry{Type: map[bool]byte{true: 'd', false: 'f'}[size < 0]}
		}
		for _, kind := range []byte("df") { // 7z leaves out a dot at the end: then two may have one name
			dots := count(want.Filter(func(p string, _ isotest.Entry) bool { return strings.HasSuffix(p, ".") }), kind)
			if n := count(want, kind); count(shown, kind) > n || count(shown, kind) < n-dots {
				t.Errorf("7z lists %d names of kind %c of Joliet, the tree has %d", count(shown, kind), kind, n)
			}
		}
		return
	}
	if o.Relocate != "" { // so does 7z
		return
	}
	shared := map[string]int{} // 7z leaves out a dot at the end
	for p := range want {
		shared[strings.TrimSuffix(p, ".")]++
	}
	for p, e := range want {
		if len(e.Link)+len(p) > 60 && e.Type == 'l' || slices.ContainsFunc(strings.Split(p, "/"), func(name string) bool { return len(name) > 100 }) {
			continue // 7z reads no continuation areas, which long names and links may need
		}
		p = strings.TrimSuffix(p, ".")
		if size, ok := sizes[p]; !ok || e.Type == 'f' && size != e.Size && shared[p] == 1 {
			t.Errorf("7z lists %q with %d bytes, want %v", p, size, e)
		}
	}
}

// TestMasterKernel lets Linux mount images of random trees.
func TestMasterKernel(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts images in a virtual machine")
	}
	wants := map[string]isotest.Manifest{}
	var images []string
	for seed := range 6 {
		r := rand.New(rand.NewPCG(uint64(seed), 6))
		dir := filepath.Join(t.TempDir(), "tree")
		want := randomTree(t, r, dir)
		o := scan.Options{RockRidge: true, Joliet: true, Naming: iso9660.NamingRules{JolietLong: true}, Padding: 150}
		if seed%2 == 1 {
			o.Relocate = ".rr_moved"
		}
		out := mastered(t, dir, o)
		wants[out], images = want, append(images, out)
	}
	for image, v := range isotest.KernelMount(t, isotest.MountOptions{}, images...) {
		if d := wants[image].Diff(v.RR); d != "" {
			t.Errorf("the kernel reads another tree:\n%s\n%q", d, v.Log)
		}
		files := wants[image].Filter(func(_ string, e isotest.Entry) bool { return e.Type == 'f' })
		joliet := v.Joliet.Filter(func(_ string, e isotest.Entry) bool { return e.Type == 'f' })
		sums := func(m isotest.Manifest) (out []string) {
			for _, e := range m {
				out = append(out, e.SHA256)
			}
			slices.Sort(out)
			return out
		}
		if !slices.Equal(sums(files), sums(joliet)) {
			t.Errorf("Joliet has %d files, the tree %d, or their contents differ", len(joliet), len(files))
		}
	}
}

// TestMasterRefused: what cannot be is an error that says so, and leaves nothing.
func TestMasterRefused(t *testing.T) {
	rock := scan.Options{RockRidge: true, Joliet: true}
	loader := func(o scan.Options, path string) scan.Options {
		o.Boot = &scan.Boot{Entries: []scan.Entry{{Path: path}}}
		return o
	}
	many := func(dir string) {
		for i := range 20 {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%d", i)), nil, 0o644))
		}
	}
	for _, c := range []struct {
		name string
		make func(dir string)
		o    scan.Options
		want string
	}{
		{"not UTF-8 for Joliet", func(dir string) { must(t, os.WriteFile(filepath.Join(dir, "caf\xe9"), nil, 0o644)) }, rock, "not UTF-8"},
		{"publisher", many, scan.Options{Texts: iso9660.VolumeTexts{Publisher: strings.Repeat("p", 129)}}, "publisher"},
		{"no boot image", many, loader(rock, "loader"), "boot image"},
		{"empty boot image", many, loader(rock, "file1"), "empty"},
		{"boot image is a directory", func(dir string) { must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755)) }, loader(rock, "d"), "not a regular file"},
		{"volume id", many, scan.Options{Texts: iso9660.VolumeTexts{Volume: strings.Repeat("x", 33)}}, "volume id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out.iso")
			c.make(dir)
			err := masterTo(t, dir, out, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want something about %q", err, c.want)
			}
			if list, _ := os.ReadDir(filepath.Dir(out)); len(list) > 0 {
				t.Errorf("%v is left", list)
			}
		})
	}
}

// TestMasterSpecial: sockets, FIFOs and devices are recorded with Rock Ridge, and left out
// with a warning without.
func TestMasterSpecial(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	must(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	must(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: "sock"}))
	must(t, syscall.Mkfifo("fifo", 0o644))
	for _, rock := range []bool{true, false} {
		img, err := build.Master([]scan.Graft{{Source: "."}}, scan.Options{RockRidge: rock, Joliet: true})
		must(t, err)
		defer img.Close()
		warned := strings.Join(img.Report.Warnings, "\n")
		if strings.Contains(warned, "sock") == rock || strings.Contains(warned, "fifo") == rock {
			t.Errorf("Rock Ridge %v: warnings %q", rock, warned)
		}
		out := filepath.Join(t.TempDir(), "out.iso")
		must(t, masterTo(t, dir, out, scan.Options{RockRidge: rock, Joliet: true}))
		if rock {
			list := string(isotest.Run(t, "bsdtar", "-tvf", out))
			if !regexp.MustCompile(`(?m)^s.* sock$`).MatchString(list) || !regexp.MustCompile(`(?m)^p.* fifo$`).MatchString(list) {
				t.Errorf("bsdtar lists\n%s", list)
			}
		}
	}
}

// TestMasterTwice: two sources of one path are an error that names both, or the later one
// stays where that is asked for; directories merge; the same file twice is one.
func TestMasterTwice(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, p := range []string{"a/same", "b/same", "b/other", "c/same/in", "a/d/one", "b/d/two"} {
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, []byte(p), 0o644))
	}
	must(t, os.Symlink("x", "c/other"))
	graft := func(names ...string) (list []scan.Graft) {
		for _, n := range names {
			list = append(list, scan.Graft{Source: n})
		}
		return list
	}
	for _, c := range []struct {
		from    []string
		replace bool
		want    string
	}{
		{[]string{"a/same", "b/same"}, false, "a/same and b/same would both be /same"},
		{[]string{"a", "b/same"}, false, "a/same and b/same would both be /same"},
		{[]string{"a", "c"}, false, "a/same and c/same would both be /same"},
		{[]string{"a", "c"}, true, "a/same and c/same would both be /same"},
		{[]string{"c/other", "b/other"}, false, "c/other and b/other would both be /other"},
		{[]string{"a/same", "b/same"}, true, ""},
		{[]string{"a/same", "a/same"}, false, ""},
		{[]string{"a/d", "b/d"}, false, ""},
	} {
		img, err := build.Master(graft(c.from...), scan.Options{RockRidge: true, Replace: c.replace})
		if c.want != "" {
			if err == nil || err.Error() != c.want+" in the image" {
				t.Errorf("%q: %v, want %q", c.from, err, c.want)
			}
			continue
		}
		must(t, err)
		if c.replace && !strings.Contains(strings.Join(img.Report.Warnings, ""), "b/same: takes the place of a/same") {
			t.Errorf("%q: warnings %q", c.from, img.Report.Warnings)
		}
		must(t, img.Close())
	}
}

// TestMasterChanging: a file that changes after it was looked at fails the run.
func TestMasterChanging(t *testing.T) {
	for name, change := range map[string]func(p string) error{
		"shrinks": func(p string) error { return os.Truncate(p, 10) },
		"grows":   func(p string) error { return os.WriteFile(p, noise(300_000, 2), 0o644) },
		"is another": func(p string) error {
			return errors.Join(os.WriteFile(p+"2", noise(200_000, 3), 0o644), os.Rename(p+"2", p))
		},
		"is gone": os.Remove,
		"is a FIFO now": func(p string) error {
			return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out.iso")
			p := filepath.Join(dir, "file")
			must(t, os.WriteFile(p, noise(200_000, 1), 0o644))
			img, err := build.Master([]scan.Graft{{Source: dir}}, scan.Options{})
			must(t, err)
			defer img.Close()
			must(t, change(p))
			_, err = img.WriteFile(t.Context(), out, sink.Options{})
			if name == "is gone" {
				if !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%v", err)
				}
			} else if !errors.Is(err, extent.ErrChanged) {
				t.Errorf("%v, want %v", err, extent.ErrChanged)
			}
			if list, _ := os.ReadDir(filepath.Dir(out)); len(list) > 0 {
				t.Errorf("%v is left", list)
			}
		})
	}
}

// TestMasterShrinking: a file that shrinks while it is read fails the run.
func TestMasterShrinking(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "file")
	must(t, os.WriteFile(p, bytes.Repeat(noise(1<<20, 1), 40), 0o644))
	img, err := build.Master([]scan.Graft{{Source: dir}}, scan.Options{})
	must(t, err)
	defer img.Close()
	w := &shrinker{path: p}
	_, err = img.Stream(t.Context(), w, sink.Options{})
	if !errors.Is(err, extent.ErrChanged) || !strings.Contains(err.Error(), p) {
		t.Errorf("%v", err)
	}
	if w.got < 2<<20 || w.got > 39<<20 {
		t.Errorf("the file shrank in front of or behind its content: %d bytes came", w.got)
	}
}

// shrinker takes an image and truncates a file when it has got some of it.
type shrinker struct {
	path string
	got  int64
}

// Write counts the bytes.
func (w *shrinker) Write(p []byte) (int, error) {
	w.got += int64(len(p))
	if w.got > 2<<20 && w.got-int64(len(p)) <= 2<<20 {
		return len(p), os.Truncate(w.path, 1<<20)
	}
	return len(p), nil
}

// TestMasterOutputInside: the output may lie in what it is made of.
func TestMasterOutputInside(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o644))
	out := filepath.Join(dir, "out.iso")
	var sums []string
	for range 2 {
		must(t, os.Chtimes(dir, time.Time{}, time.Unix(1e9, 0)))
		must(t, masterTo(t, dir, out, scan.Options{Output: out}))
		sums = append(sums, isotest.SHA256File(t, out))
	}
	if sums[0] != sums[1] {
		t.Error("the first image is in the second")
	}
}

// noise is content that no compression makes smaller.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func read(t *testing.T, p string) []byte {
	t.Helper()
	b, err := os.ReadFile(p)
	must(t, err)
	return b
}
