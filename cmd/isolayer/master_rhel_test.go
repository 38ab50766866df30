package main

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
)

// seed is a command line that is in many scripts, behind the program's name and in front
// of -o. It makes an image that boots nowhere.
var seed = []string{
	"-U", "-r", "-v", "-T", "-J", "-joliet-long", "-V", "CentOS 7 x86_64", "-volset", "CentOS 7 x86_64", "-A", "CentOS 7 x86_64",
	"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4",
}

// rhelTree is the tree of an installer, without what mastering makes.
func rhelTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	isotest.Run(t, "xorriso", "-no_rc", "-report_about", "SORRY", "-osirrox", "on", "-indev", isotest.Image(t, "rhel-like-small"), "-extract", "/", dir)
	isotest.Run(t, "bash", "-c", "chmod -R u+w "+dir+"; rm "+dir+"/isolinux/boot.cat; find "+dir+" -name TRANS.TBL -delete")
	return dir
}

// TestMasterRhelLike makes an installer with all three programs: readers see the same,
// and it boots.
func TestMasterRhelLike(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	tree := rhelTree(t)
	dir := t.TempDir()
	args := append(slices.Clone(seed), "-boot-info-table", "-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot")
	var images []string
	for _, program := range []string{"ours", "genisoimage", "xorriso"} {
		copied, out := filepath.Join(dir, program), filepath.Join(dir, program+".iso")
		isotest.Run(t, "cp", "-a", tree, copied) // genisoimage writes into it
		t.Chdir(copied)
		all := append(slices.Clone(args), "-o", out, ".")
		switch program {
		case "ours":
			var said bytes.Buffer
			if code := run(t.Context(), append([]string{"master"}, all...), strings.NewReader(""), &said, &said); code != 0 {
				t.Fatalf("exit %d\n%s", code, &said)
			}
			if strings.Contains(said.String(), "warning") {
				t.Errorf("%s", &said)
			}
		case "xorriso": // which has no -T
			isotest.Run(t, "xorriso", append([]string{"-as", "mkisofs"}, slices.DeleteFunc(all, func(s string) bool { return s == "-T" })...)...)
		default:
			isotest.Run(t, program, all...)
		}
		images = append(images, out)
	}
	views(t, images[0], images[1], args)
	strip := func(m isotest.Manifest) isotest.Manifest {
		return m.Filter(func(p string, _ isotest.Entry) bool {
			return !strings.HasSuffix(p, "TRANS.TBL") && !made.MatchString(p) && !strings.HasSuffix(p, "isolinux.bin")
		}).Map(func(e isotest.Entry) isotest.Entry {
			if e.Type == 'l' {
				e.Perm = 0
			}
			return e
		})
	}
	if d := strip(isotest.Bsdtar(t, images[2])).Diff(strip(isotest.Bsdtar(t, images[0]))); d != "" {
		t.Errorf("bsdtar sees in xorriso's and ours:\n%s", d)
	}
	if a, b := torito(t, images[2]), torito(t, images[0]); a != b {
		t.Errorf("El Torito of xorriso's and ours:\n%s", lineDiff(a, b))
	}
	kernelViews(t, images, strip)
	for i, image := range images {
		if i > 0 && os.Getenv("ISOLAYER_SOAK") == "" { // that they boot is no news
			break
		}
		isotest.Boot(t, image, qemu.BIOS, qemu.CD, "CORPUS-DONE")
		isotest.Boot(t, image, qemu.UEFI, qemu.CD, "Install (linuxefi)")
	}
}

// kernelViews compares what Linux shows of our image, the first, and of the others in all
// ways of mounting them.
func kernelViews(t *testing.T, images []string, strip func(isotest.Manifest) isotest.Manifest) {
	t.Helper()
	files := func(m isotest.Manifest) isotest.Manifest { // there are no links, which some list as empty files
		return strip(m).Filter(func(_ string, e isotest.Entry) bool { return e.Size > 0 || e.Type == 'd' }).Map(isotest.Content)
	}
	uncut := func(m isotest.Manifest) isotest.Manifest { // each program cuts names in its way: their content is compared
		out := isotest.Manifest{}
		for p, e := range files(m) {
			if dir, name := path.Split(p); len(name) >= 24 {
				p = dir + "…" + e.SHA256
			}
			out[p] = e
		}
		return out
	}
	ways := []struct {
		options string
		shown   func(isotest.Manifest) isotest.Manifest
	}{
		{"ro", strip}, {"ro,nojoliet", strip}, {"ro,norock", files}, {"ro,norock,nojoliet", uncut},
	}
	var options []string
	for _, w := range ways {
		options = append(options, w.options)
	}
	seen := isotest.KernelViews(t, isotest.MountOptions{}, options, images...)
	for i, w := range ways {
		ours := w.shown(seen[images[0]][i])
		if len(ours) < 100 {
			t.Errorf("the kernel shows %d names with %s", len(ours), w.options)
		}
		for _, theirs := range images[1:] {
			if d := w.shown(seen[theirs][i]).Diff(ours); d != "" {
				t.Errorf("the kernel shows with %s in %s and ours:\n%s", w.options, filepath.Base(theirs), d)
			}
		}
	}
}

// TestMasterSeed runs the command line as it is: the image is made, the missing option
// named; with --fix it boots. The name mkisofs will do for the program's.
func TestMasterSeed(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	tree, dir := rhelTree(t), t.TempDir()
	t.Chdir(tree)
	for _, c := range []struct {
		out   string
		extra []string
		want  string
	}{
		{"plain.iso", nil, `isolayer: warning: /isolinux/isolinux.bin needs -boot-info-table`},
		{"fixed.iso", []string{"--fix"}, `/isolinux/isolinux.bin: added -boot-info-table`},
	} {
		args, _ := personality(slices.Concat([]string{"/usr/bin/mkisofs"}, seed, c.extra, []string{"-o", filepath.Join(dir, c.out), "."}))
		var said bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &said, &said); code != 0 || !strings.Contains(said.String(), c.want) {
			t.Errorf("%q: exit %d\n%s", args, code, &said)
		}
	}
	isotest.Boot(t, filepath.Join(dir, "fixed.iso"), qemu.BIOS, qemu.CD, "Welcome to the test installer")
	isotest.Boot(t, filepath.Join(dir, "plain.iso"), qemu.BIOS, qemu.CD, "Image checksum error")
}

// TestMasterUnsupported: every option that is not supported says what to do instead.
func TestMasterUnsupported(t *testing.T) {
	for _, o := range mkisofsOptions {
		for _, name := range strings.Fields(o.names) {
			if o.do != nil {
				continue
			}
			var out, said bytes.Buffer
			code := run(t.Context(), []string{"master", "-" + name, "x", "-o", filepath.Join(t.TempDir(), "o.iso"), "."}, strings.NewReader(""), &out, &said)
			if code != exitUsage || !strings.Contains(said.String(), "is not supported") || !strings.Contains(said.String(), "hint: ") {
				t.Errorf("-%s: exit %d\n%s", name, code, &said)
			}
		}
	}
}

// TestMasterLanguage: what genisoimage and xorriso call options is known by those names.
func TestMasterLanguage(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	help, _ := exec.Command(isotest.Tool(t, "genisoimage"), "-help").CombinedOutput()
	for _, m := range regexp.MustCompile(`(?m)^  (-.*?)(  |$)`).FindAllStringSubmatch(string(help), -1) {
		for _, word := range strings.Split(m[1], ", ") {
			name := strings.TrimLeft(strings.Fields(word)[0], "-")
			if find(name) == nil && name != "debug" && name != "i" { // which do nothing
				t.Errorf("-%s is not known", name)
			}
		}
	}
}

// TestMasterParse: the rules of mkisofs for options and their values.
func TestMasterParse(t *testing.T) {
	for line, want := range map[string]string{
		"-V one .": "one", "-Vone .": "one", "-volid one .": "one", "-volid=one .": "one", "--volid=one .": "one", "-vol one .": "", "-voli one .": "one", "-rJVone .": "one", "-r -V= .": "",
	} {
		m, err := parseMkisofs(strings.Fields(line), strings.NewReader(""))
		switch {
		case line == "-vol one .":
			if err == nil || !strings.Contains(err.Error(), "-volid or -volset") {
				t.Errorf("%s: %v", line, err)
			}
		case err != nil || m.options.Texts.Volume != want:
			t.Errorf("%s: %+v, %v", line, m, err)
		}
	}
	m, err := parseMkisofs([]string{"-graft-points", `a/b\=c\\/=x=y`, "plain", "-path-list", "-"}, strings.NewReader("one=two\n\nthree\n"))
	must(t, err)
	got := m.grafted()
	if len(got) != 4 || got[0].Dest != `a/b=c\/` || got[0].Source != "x=y" || got[1].Source != "plain" || got[2].Dest != "one" || got[2].Source != "two" || got[3].Source != "three" {
		t.Errorf("%q", got)
	}
	for _, line := range []string{"-nosuch .", "-V", "-no-emul-boot .", "-iso-level 9 .", "-append_partition 7 0xef x .", "-boot-load-size 70000 -b x .", "-r=1 .", "-input-charset cp9999 .", "-gpt_disk_guid x .", "-file_name_limit 20 .", "-untranslated_name_len 97 .", "-dir-mode u+w .", "-set_all_file_dates soon .", "-s raw .", "-quoted_path_list none .", "-append_partition 2 0xef --interval:local_fs:0-511:zero_gpt:x .", "-grub2-mbr --interval:imported_iso:0-511:: .", "-e --interval:appended_partition_ ."} {
		if _, err := parseMkisofs(strings.Fields(line), os.Stdin); err == nil {
			t.Errorf("%q passes", line)
		}
	}
}

// TestMasterSort: files lie in the order of their weights, which those of a directory pass
// on to what is in it, as with genisoimage.
func TestMasterSort(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	tree, list := masterTree(t), filepath.Join(t.TempDir(), "weights")
	must(t, os.WriteFile(list, []byte("./sub 50\n./sub/deep/er/file.dat 200\n./data.bin\t-10\n./boot/loader.bin 100\n"), 0o644))
	ours, theirs := both(t, tree, []string{"-R", "-sort", list})
	order := func(image string) (out []string) {
		at := isotest.XorrisoLBA(t, image)
		out = isotest.Paths(at)
		slices.SortStableFunc(out, func(a, b string) int { return int(at[a][0].LBA - at[b][0].LBA) })
		return slices.DeleteFunc(out, func(p string) bool {
			return at[p][0].Size == 0 || strings.HasPrefix(p, "sub/") && p != "sub/deep/er/file.dat"
		})
	}
	a, b := order(theirs), order(ours)
	want := []string{"sub/deep/er/file.dat", "boot/loader.bin", "data.bin"} // which is also in sub
	if !slices.Equal(a[:3], want) || !slices.Equal(b[:3], want) {
		t.Errorf("theirs %q\nours   %q", a, b)
	}
}

// FuzzMkisofs: no command line makes the parser panic, and what it takes has sources or
// none, never a half.
func FuzzMkisofs(f *testing.F) {
	for _, line := range []string{strings.Join(seed, "\x00"), "-graft-points\x00a\\=b=c", "-rJVx", "-append_partition\x002\x00ef\x00f", "-vol", "--", "-", "-=", "-sort-weight\x001"} {
		f.Add(line)
	}
	openLocal = func(string) (*os.File, error) { return nil, os.ErrNotExist } // no options of files
	f.Cleanup(func() { openLocal = os.Open })
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		m, err := parseMkisofs(args, strings.NewReader(""))
		if err != nil {
			return
		}
		for _, g := range m.grafted() {
			if g.Source == "" && len(m.sources) == 0 {
				t.Errorf("%q: %+v", args, g)
			}
		}
	})
}
