package build_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/verify"
	"github.com/isolayer/isolayer/sink"
)

// The label that images of these tests have, and how udev writes it.
const (
	oldLabel = "Corpus 7 x86_64"
	oldUdev  = `Corpus\x207\x20x86_64`
)

// espConfig is a configuration of GRUB that finds the medium by its label.
const espConfig = `# the ESP's: Corpus 7 x86_64
serial --unit=0 --speed=115200
terminal_output serial console
set timeout=1
search --no-floppy --set=root -l 'Corpus 7 x86_64'
menuentry "Corpus 7 x86_64" --class x {
	linux /images/pxeboot/vmlinuz  inst.stage2=hd:LABEL=Corpus\x207\x20x86_64 console=tty0 console=ttyS0,115200 # kernel
	initrd /images/pxeboot/initrd.img
}
`

// labelled makes an image of which all boot configurations look for its label: those of
// the tree, and those that mtools put into its EFI system partition. It also returns
// their texts by the paths that bsdtar and mtools show.
func labelled(t *testing.T, name string) (image string, inTree, inESP map[string]string) {
	t.Helper()
	base := isotest.Image(t, name)
	steps := []edit.Step{edit.Label{ID: oldLabel}}
	inTree, inESP = map[string]string{}, map[string]string{}
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	for p := range isotest.Bsdtar(t, base) {
		switch low := strings.ToLower(path.Base(p)); {
		case low != "isolinux.cfg" && (low != "grub.cfg" || name == "grub-rescue-cdrom"):
			continue
		}
		if _, err := tr.Lookup(p); err != nil {
			t.Fatal(err)
		}
		text := string(object(t, base, p))
		if !strings.Contains(text, "check=") {
			continue
		}
		text = strings.NewReplacer(`CentOS\x207\x20x86_64`, oldUdev, "CentOS 7 x86_64", oldLabel).Replace(text)
		text = strings.ReplaceAll(text, "check=", "root=live:CDLABEL="+oldUdev+" check=")
		if strings.EqualFold(path.Base(p), "grub.cfg") {
			text = "search --no-floppy --set=root --label '" + oldLabel + "'\n" + text
		}
		inTree[p] = text
		steps = append(steps, edit.Add{Source: local(t, "x.cfg", []byte(text)), Dest: "/" + p})
	}
	if esp := espOf(t, b); esp != "" {
		for _, p := range []string{"EFI/BOOT/grub.cfg", "EFI/debian/grub.cfg"} {
			inESP[p] = espConfig
			isotest.Run(t, "mcopy", "-o", "-i", esp, local(t, "grub.cfg", []byte(espConfig)), "::"+p)
		}
		steps = append(steps, edit.Add{Source: esp, Dest: "@efi"})
	}
	image, _ = mustBuild(t, base, stage.Options{}, steps...)
	return image, inTree, inESP
}

// espOf copies the EFI system partition of an image into one with more room, with
// mtools; "" if it has none.
func espOf(t *testing.T, b *baseimage.Base) string {
	t.Helper()
	if _, err := b.FAT("@efi"); err != nil {
		return ""
	}
	old := local(t, "old.img", object(t, b.Path(), "@efi"))
	esp, dir := local(t, "esp.img", make([]byte, 8<<20)), t.TempDir()
	isotest.Run(t, "mkfs.vfat", "--invariant", "-i", "C0E50002", "-n", "ESP", esp)
	isotest.Run(t, "mcopy", "-s", "-n", "-i", old, "::EFI", dir)
	for _, d := range []string{"BOOT", "debian"} {
		if err := os.MkdirAll(filepath.Join(dir, "EFI", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	isotest.Run(t, "mcopy", "-s", "-i", esp, filepath.Join(dir, "EFI"), "::")
	return esp
}

// edited is a text of labelled with another label and one kernel argument more.
func edited(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		switch first, _, _ := strings.Cut(strings.TrimSpace(line), " "); first {
		case "append", "linux":
			line = strings.ReplaceAll(line, oldUdev, "NEW")
			add := " isolayer.test=7"
			if !strings.Contains(line, " console=ttyS0,115200") {
				add = " console=ttyS0,115200" + add
			}
			if body, comment, ok := strings.Cut(line, " #"); ok {
				line = body + add + " #" + comment
			} else {
				line = strings.TrimSuffix(line, "\n") + add + "\n"
			}
		case "search":
			line = strings.ReplaceAll(line, oldLabel, "NEW")
		}
		out = append(out, line)
	}
	return strings.Join(out, "")
}

// inESPOf reads all files of the EFI system partition with mtools.
func inESPOf(t *testing.T, image string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	esp := local(t, "esp.img", object(t, image, "@efi"))
	isotest.Run(t, "mcopy", "-s", "-n", "-i", esp, "::EFI", dir)
	out := map[string]string{}
	if err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			out[filepath.ToSlash(rel)] = string(read(t, p))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command(isotest.Tool(t, "fsck.fat"), "-n", esp).CombinedOutput(); err != nil {
		t.Errorf("fsck.fat: %v\n%s", err, text)
	}
	return out
}

// kargs are the edits of TestKargsEveryLayout.
var kargs = []edit.Step{
	edit.Kargs{Args: []string{"console=ttyS0,115200", "isolayer.test=7"}}, edit.Label{ID: "NEW"},
}

// TestKargsEveryLayout changes kernel arguments and label of every image: all copies of
// all boot configurations have them, no other byte of the files changes, no other file
// does, and what they refer to is there.
func TestKargsEveryLayout(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range rebuilt {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, inTree, inESP := labelled(t, name)
			if len(inTree)+len(inESP) == 0 {
				t.Skip("the image has no boot configuration with a kernel")
			}
			out, report := mustBuild(t, base, stage.Options{}, kargs...)
			want := isotest.Bsdtar(t, base)
			for p, text := range inTree {
				x := isotest.File([]byte(edited(text)))
				e := want[p]
				e.SHA256, e.Size = x.SHA256, x.Size
				want[p] = e
			}
			drop := func(p string, e isotest.Entry) bool {
				low := strings.ToLower(path.Base(p))
				return low != "efi.img" && low != "efiboot.img" && !strings.HasPrefix(low, "boot.cat") && !selfDescribing(p)
			}
			if name != "suse" { // which bsdtar cannot read as genisoimage -f left it
				if d := want.Filter(drop).Diff(isotest.Bsdtar(t, out).Filter(drop)); d != "" {
					t.Errorf("bsdtar reads another tree:\n%s", d)
				}
			}
			checkESP(t, base, out, inESP)
			if got := len(report.BootFiles); got < len(inTree)+len(inESP) {
				t.Errorf("%d boot files reported, %d and %d changed: %v", got, len(inTree), len(inESP), report.BootFiles)
			}
			if got := strings.TrimSpace(string(isotest.Run(t, "blkid", "-p", "-s", "LABEL", "-o", "value", out))); got != "NEW" {
				t.Errorf("label %q", got)
			}
			if len(inTree) > 0 { // else there is no kernel
				resolves(t, out)
			}
			again, _ := mustBuild(t, out, stage.Options{}, kargs...)
			if !bytes.Equal(read(t, again), read(t, out)) {
				t.Error("a second build changes more")
			}
		})
	}
}

// checkESP compares the files of the EFI system partitions: the configurations are
// those expected, programs and all else are as before.
func checkESP(t *testing.T, base, out string, inESP map[string]string) {
	t.Helper()
	if len(inESP) == 0 {
		return
	}
	was, is := inESPOf(t, base), inESPOf(t, out)
	for p, text := range was {
		if strings.HasSuffix(p, ".cfg") {
			text = edited(text)
		}
		if is[p] != text {
			t.Errorf("@efi:/%s is not as expected:\n%.600q", p, is[p])
		}
	}
	if len(was) != len(is) || len(was) < 3 {
		t.Errorf("%d files in the EFI system partition, there were %d", len(is), len(was))
	}
}

// resolves checks that what boot configurations refer to is there.
func resolves(t *testing.T, image string) {
	t.Helper()
	r, err := build.Verify(t.Context(), image, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Groups {
		for _, f := range g.Findings {
			if g.Check == "boot files" && !strings.Contains(f.Text, "differs from") && !strings.Contains(f.Text, "no configuration") {
				t.Errorf("%s", f)
			}
		}
	}
}

// kernelLine is what the kernel of the images shows of its command line.
const kernelLine = "CORPUS-BOOT-OK"

// TestKargsBoot boots changed images: the kernel shows the argument. The whole matrix
// is run by make boot-matrix.
func TestKargsBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	for _, c := range []struct {
		name string
		f    qemu.Firmware
		m    qemu.Media
	}{
		{"rhel-like-small", qemu.BIOS, qemu.CD},
		{"rhel-like-small", qemu.SecureBoot, qemu.Disk},
		{"fedora", qemu.BIOS, qemu.Disk},
		{"debian", qemu.UEFI, qemu.CD},
	} {
		t.Run(fmt.Sprintf("%s,%s,%s", c.name, c.f, c.m), func(t *testing.T) {
			t.Parallel()
			base, _, _ := labelled(t, c.name)
			// Linux panics at its timer check where emulation gets too little time.
			out, _ := mustBuild(t, base, stage.Options{}, append(slices.Clone(kargs), edit.Kargs{Args: []string{"no_timer_check"}})...)
			isotest.Tool(t, "qemu-system-x86_64")
			res, err := qemu.Run(t.Context(), out, qemu.Options{Firmware: c.f, Media: c.m, Memory: 768, Expect: []string{"CORPUS-MEDIA"}, NoKVM: true})
			if err != nil {
				t.Fatal(err)
			}
			line := ""
			for l := range strings.Lines(res.Console) {
				if _, rest, ok := strings.Cut(l, kernelLine); ok {
					line = rest
				}
			}
			if !strings.Contains(line, " isolayer.test=7") || !strings.Contains(line, "LABEL=NEW") || strings.Contains(line, "Corpus") {
				t.Errorf("/proc/cmdline: %q, missing %q", line, res.Missing)
			}
		})
	}
}

// TestGrownESP puts 20 MiB into the EFI system partition: it grows, and boots.
func TestGrownESP(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	base := isotest.Image(t, "rhel-like-small")
	big := noise(20<<20, 9)
	dir := t.TempDir()
	for p, b := range map[string][]byte{"Long name of a file.bin": big, "sub/a.txt": []byte("a\n")} {
		p = filepath.Join(dir, "tools", p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := mustBuild(t, base, stage.Options{},
		edit.Add{Source: filepath.Join(dir, "tools"), Dest: "@efi:/"}, edit.Remove{Pattern: "@efi:/efi/boot/mm*"},
		edit.Mkdir{Path: "@efi:/a/b"}, edit.Kargs{Args: []string{"isolayer.test=7", "no_timer_check"}})
	esp := local(t, "esp.img", object(t, out, "@efi"))
	if text, err := exec.Command(isotest.Tool(t, "fsck.fat"), "-n", esp).CombinedOutput(); err != nil {
		t.Errorf("fsck.fat: %v\n%s", err, text)
	}
	got := filepath.Join(t.TempDir(), "got")
	isotest.Run(t, "mcopy", "-n", "-i", esp, "::tools/Long name of a file.bin", got)
	if sha256.Sum256(read(t, got)) != sha256.Sum256(big) {
		t.Error("the file is another one")
	}
	if list := string(isotest.Run(t, "mdir", "-b", "-/", "-i", esp, "::")); strings.Contains(list, "mmx64") || !strings.Contains(list, "::/a/b/") || !strings.Contains(list, "sub/a.txt") {
		t.Errorf("the volume has:\n%s", list)
	}
	sameReport(t, base, out)
	isotest.Boot(t, out, qemu.UEFI, qemu.Disk, kernelLine, "isolayer.test=7")
}

// coreOS are files as CoreOS has them: an area for arguments behind each command line,
// which kargs.json gives the place of.
func coreOS() map[string]string {
	signs := strings.Repeat("#", 200)
	out := map[string]string{
		"EFI/fedora/grub.cfg":   "set timeout=5\nsearch --no-floppy --set=root -l 'fcos-40'\nmenuentry 'Live' {\n\tlinux /images/pxeboot/vmlinuz coreos.liveiso=fcos-40 ignition.firstboot\n" + signs + " COREOS_KARG_EMBED_AREA\n\tinitrd /images/pxeboot/initrd.img\n}\n",
		"isolinux/isolinux.cfg": "timeout 50\nlabel linux\n  kernel /images/pxeboot/vmlinuz\n  append initrd=/images/pxeboot/initrd.img coreos.liveiso=fcos-40 ignition.firstboot\n" + signs + "\n###\n",
	}
	offset := func(p string) int { return strings.Index(out[p], "coreos.liveiso") }
	out["coreos/kargs.json"] = fmt.Sprintf(`{
  "default": "coreos.liveiso=fcos-40 ignition.firstboot",
  "files": [
    {
      "end": "\n",
      "offset": %d,
      "pad": "#",
      "path": "EFI/fedora/grub.cfg"
    },
    {"path": "isolinux/isolinux.cfg", "offset": %d, "pad": "#", "end": "\n"}
  ],
  "size": 230
}`, offset("EFI/fedora/grub.cfg"), offset("isolinux/isolinux.cfg"))
	return out
}

// TestCoreOS: what coreos-installer does to an image works after an edit. It reads and
// writes a number of bytes at the offsets in kargs.json.
func TestCoreOS(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	files := coreOS()
	steps := []edit.Step{edit.Label{ID: "fcos-40"}}
	for p, text := range files {
		steps = append(steps, edit.Add{Source: local(t, "x", []byte(text)), Dest: "/" + p})
	}
	base, _ := mustBuild(t, isotest.Image(t, "rhel9-isolinux"), stage.Options{}, steps...)
	area := func(image, p string) (string, int) {
		var k struct {
			Files []struct {
				Path   string
				Offset int
			}
			Size int
		}
		if err := json.Unmarshal(object(t, image, "/coreos/kargs.json"), &k); err != nil {
			t.Fatal(err)
		}
		for _, f := range k.Files {
			if f.Path == p {
				return string(object(t, image, "/"+p)[f.Offset : f.Offset+k.Size]), f.Offset
			}
		}
		t.Fatalf("%s is not in kargs.json", p)
		return "", 0
	}
	out, _ := mustBuild(t, base, stage.Options{}, edit.Kargs{Args: []string{"console=ttyS0,115200", "-ignition.firstboot"}}, edit.Label{ID: "a-longer-label"})
	for _, p := range []string{"EFI/fedora/grub.cfg", "isolinux/isolinux.cfg"} {
		was, _ := area(base, p)
		now, at := area(out, p)
		args, rest, _ := strings.Cut(now, "\n")
		if args != "coreos.liveiso=a-longer-label console=ttyS0,115200" || strings.Trim(rest, "#") != "" {
			t.Errorf("%s: the area at %d holds %q, it held %q", p, at, now, was)
		}
		text := object(t, out, "/"+p)
		if tail := string(text[at+len(now):]); !strings.HasSuffix(files[p], tail) || len(tail) < 4 {
			t.Errorf("%s: behind the area lies %q", p, tail)
		}
	}
	var k struct{ Default string }
	if err := json.Unmarshal(object(t, out, "/coreos/kargs.json"), &k); err != nil || k.Default != "coreos.liveiso=a-longer-label ignition.firstboot" {
		t.Errorf("a reset would give the arguments %q (%v)", k.Default, err)
	}
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, k := range []string{"a=" + strings.Repeat("b", 300), "-initrd"} {
		if _, err := build.Build(t.Context(), b, []edit.Step{edit.Kargs{Args: []string{k}}}, stage.Options{}); !errors.Is(err, bootcfg.ErrRoom) {
			t.Errorf("%s: %v", k, err)
		}
	}
}

// TestKargsInPlace: a changed argument costs some blocks, wherever the configuration is,
// and undo gives the image back.
func TestKargsInPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"rhel-like-small", "debian", "fedora", "ubuntu2204"} {
		t.Run(name, func(t *testing.T) {
			base, _, inESP := labelled(t, name)
			before := read(t, base)
			image := local(t, "image.iso", before)
			b, err := baseimage.Open(image, baseimage.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			img, err := build.Build(t.Context(), b, kargs, stage.Options{InPlace: true, MediaCheck: stage.MediaStrip})
			if err != nil {
				t.Fatal(err)
			}
			most := int64(256 << 10)
			if name == "fedora" || name == "ubuntu2204" {
				most = 40 << 20 // the partition behind the file system has to move once, with room
			}
			if img.Report.Written > most {
				t.Errorf("%d bytes are written", img.Report.Written)
			}
			if _, err := img.WriteInPlace(t.Context(), sink.InPlaceOptions{}, sink.Options{}); err != nil {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			checkESP(t, base, image, inESP)
			if err := build.Undo(image); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(read(t, image), before) {
				t.Error("undo does not give the image back")
			}
		})
	}
}

// TestInsideRefused: what has no files in it, and what FAT cannot hold.
func TestInsideRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	link := filepath.Join(t.TempDir(), "d", "link")
	if err := errors.Join(os.Mkdir(filepath.Dir(link), 0o755), os.Symlink("x", link)); err != nil {
		t.Fatal(err)
	}
	file := local(t, "f", []byte("x"))
	for _, c := range []struct {
		step edit.Step
		want error
	}{
		{edit.Add{Source: file, Dest: "@bios:/x"}, baseimage.ErrNotFAT},
		{edit.Add{Source: file, Dest: "@part9:/x"}, baseimage.ErrNoObject},
		{edit.Remove{Pattern: "@efi:/nothing*"}, stage.ErrNoMatch},
		{edit.Add{Source: filepath.Dir(link), Dest: "@efi:/"}, nil},
		{edit.Add{Source: file, Dest: "@efi:/a?b"}, nil},
		{edit.Add{Source: file, Dest: "@efi:/EFI"}, errNone},
		{edit.Kargs{Args: []string{"a\nb"}}, bootcfg.ErrSpec},
		{edit.Kargs{Args: []string{`a='b'`}}, bootcfg.ErrQuote},
		{edit.DefaultEntry{Name: "none of these"}, bootcfg.ErrNoEntry},
		{edit.Label{ID: strings.Repeat("x", 33)}, nil},
		{edit.Label{}, nil},
	} {
		b, err := baseimage.Open(isotest.Image(t, "rhel-like-small"), baseimage.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = build.Build(t.Context(), b, []edit.Step{c.step}, stage.Options{})
		if (err == nil) != (c.want == errNone) || c.want != nil && c.want != errNone && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.step, err, c.want)
		}
		b.Close()
	}
}

var errNone = errors.New("no error")

// TestMenus sets time and default, and adds an entry, in every menu.
func TestMenus(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	out, report := mustBuild(t, isotest.Image(t, "rhel-like-small"), stage.Options{},
		edit.AddEntry{Title: "My own", Args: []string{"inst.ks=cdrom:/ks.cfg", "-check"}}, edit.MenuTimeout{Seconds: 7}, edit.DefaultEntry{Name: "My own"})
	esp := local(t, "esp.img", object(t, out, "@efi"))
	for p, want := range map[string][]string{
		"/isolinux/isolinux.cfg":    {"timeout 70\n", "default my-own\n", "label my-own\n  menu label My own\n  kernel vmlinuz\n", "console=ttyS0,115200 inst.ks=cdrom:/ks.cfg\nlabel check\n"},
		"/EFI/BOOT/grub.cfg":        {"set timeout=7\n", "set default='My own'\n", "menuentry 'My own' {\n", "inst.ks=cdrom:/ks.cfg\n"},
		"@efi:/EFI/BOOT/grub.cfg":   {"set timeout=7\n", "set default='My own'\n", "menuentry 'My own' {\n", "inst.ks=cdrom:/ks.cfg\n"},
		"@efi:/EFI/debian/grub.cfg": {"set timeout=7\n", "set default='My own'\n", "menuentry 'My own' {\n", "inst.ks=cdrom:/ks.cfg\n"},
	} {
		var got string
		if inside, ok := strings.CutPrefix(p, "@efi:/"); ok {
			got = string(isotest.Run(t, "mtype", "-i", esp, "::"+inside))
		} else {
			got = string(object(t, out, p))
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s has no %q:\n%s", p, w, got)
			}
		}
		if !slices.ContainsFunc(report.BootFiles, func(f layout.BootFile) bool {
			return f.Path == p && f.Changes["timeout"] == 1 && f.Changes["default entry"] > 0 && f.Changes["entry added"] == 1
		}) {
			t.Errorf("%s is not reported: %v", p, report.BootFiles)
		}
	}
	resolves(t, out)
}
