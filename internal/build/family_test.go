package build_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/verify"
	"github.com/isolayer/isolayer/sink"
)

// answerFiles are the least that each kind of answer file has to be.
var answerFiles = map[distro.Kind]string{
	distro.Kickstart:   "text\nclearpart --all --initlabel\nautopart\ninstall --firstdisk --overwritevmfs\n",
	distro.Preseed:     "d-i partman/confirm boolean true\n",
	distro.Autoinstall: "autoinstall:\n  version: 1\n",
	distro.AutoYaST:    "<?xml version=\"1.0\"?>\n<profile xmlns=\"http://www.suse.com/1.0/yast2ns\"/>\n",
	distro.Agama:       "{\"product\": {\"id\": \"SLES\"}}\n",
	distro.Ignition:    "{\"ignition\": {\"version\": \"3.3.0\"}}\n",
	distro.Answer:      "[global]\nkeyboard = \"de\"\n",
	distro.Unattend:    "<unattend/>\n",
}

// family is an image of a fixture, and that image with an answer file.
type family struct {
	name, base, made string
	head             map[string]string
	files            []string
	report           *build.Image
}

// answer is the content of its answer file.
func (f family) answer() string {
	return cmp.Or(f.head["content"], answerFiles[distro.Kind(f.head["answer"])])
}

func familyFixtures(tb testing.TB) []string {
	tb.Helper()
	list, err := filepath.Glob("../distro/testdata/*.txtar")
	if err != nil || len(list) == 0 {
		tb.Fatalf("no fixtures: %v", err)
	}
	return list
}

// withAnswer makes the image of a fixture and puts the answer file of its kind in, by
// the steps given in front.
func withAnswer(tb testing.TB, fixture string, steps ...edit.Step) family {
	tb.Helper()
	f := family{name: strings.TrimSuffix(filepath.Base(fixture), ".txtar")}
	f.base, f.head, f.files = isotest.Family(tb, fixture)
	kind := distro.Kind(f.head["answer"])
	if kind == "" {
		return f
	}
	source := filepath.Join(tb.TempDir(), "answer")
	if err := os.WriteFile(source, []byte(f.answer()), 0o600); err != nil {
		tb.Fatal(err)
	}
	f.made = filepath.Join(tb.TempDir(), "made.iso")
	f.report = rebuild(tb, f.base, f.made, append(steps, edit.AnswerFile{Kind: kind, Source: source})...)
	return f
}

// rebuild writes the image that the steps make of base.
func rebuild(tb testing.TB, base, made string, steps ...edit.Step) *build.Image {
	tb.Helper()
	return rebuildAs(tb, base, made, stage.Options{}, steps...)
}

// rebuildAs is rebuild with options.
func rebuildAs(tb testing.TB, base, made string, o stage.Options, steps ...edit.Step) *build.Image {
	tb.Helper()
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(tb.Context(), b, steps, o)
	if err != nil {
		tb.Fatalf("%s: %v", base, err)
	}
	if _, err := img.WriteFile(tb.Context(), made, sink.Options{}); err != nil {
		tb.Fatal(err)
	}
	return img
}

// TestFamilies: for an image of the layout of every family, the answer file is where its
// installer looks, every entry that starts a kernel names it, nothing else differs, and
// verify has nothing to say. A second time changes nothing.
func TestFamilies(t *testing.T) {
	for _, fixture := range familyFixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(fixture), ".txtar"), func(t *testing.T) {
			f := withAnswer(t, fixture)
			if f.made == "" {
				t.Skip("its installer reads no answer file; see distro.TestAnswer")
			}
			f.checkFile(t)
			f.checkEntries(t)
			f.checkRest(t)
			if f.head["sealed"] == "" {
				checkSums(t, f.made)
			}
			if (len(f.report.Report.Unattended) > 0) != (f.head["unattended"] == "yes") {
				t.Errorf("unattended: %q", f.report.Report.Unattended)
			}
			report, err := build.Verify(t.Context(), f.made, verify.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range report.Groups {
				for _, x := range g.Findings {
					if x.Severity == verify.Problem {
						t.Errorf("verify: %s", x)
					}
				}
			}
		})
	}
}

// TestFamiliesRelabelled: the answer file is found by another label, too, whether that
// comes in front of it or later.
func TestFamiliesRelabelled(t *testing.T) {
	const label = "NEW LABEL-9"
	for _, fixture := range familyFixtures(t) {
		text, err := os.ReadFile(fixture)
		if err != nil {
			t.Fatal(err)
		}
		if named := regexp.MustCompile(`(?m)^args: .*(LABEL=|label:)`); !named.Match(text) {
			continue // its arguments have paths only
		}
		t.Run(strings.TrimSuffix(filepath.Base(fixture), ".txtar"), func(t *testing.T) {
			f := withAnswer(t, fixture, edit.Label{ID: label})
			kind := distro.Kind(f.head["answer"])
			source := localFile(t, "answer", f.answer())
			again := filepath.Join(t.TempDir(), "again.iso")
			rebuild(t, f.base, again, edit.AnswerFile{Kind: kind, Source: source})
			twice := filepath.Join(t.TempDir(), "twice.iso")
			rebuild(t, again, twice, edit.Label{ID: label})
			for _, old := range []string{f.head["label"], bootcfg.Udev(f.head["label"])} {
				f.head["args"] = strings.ReplaceAll(f.head["args"], old, bootcfg.Udev(label))
			}
			for _, f.made = range []string{f.made, twice} {
				f.checkFile(t)
				f.checkEntries(t)
				report, err := build.Verify(t.Context(), f.made, verify.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if text := fmt.Sprint(report.Groups); strings.Contains(text, "looks for the label") {
					t.Error(text)
				}
			}
		})
	}
}

// checkFile looks for the answer file.
func (f family) checkFile(t *testing.T) {
	want := []byte(f.answer())
	if list := f.head["sealed"]; list != "" {
		before, after := isotest.Run(t, "isoinfo", "-R", "-i", f.base, "-x", list), isotest.Run(t, "isoinfo", "-R", "-i", f.made, "-x", list)
		if !bytes.Equal(before, after) {
			t.Errorf("%s changed, and its signature does not hold any more", list)
		}
	}
	if to := f.head["to"]; to != "" {
		got := isotest.Run(t, "isoinfo", "-R", "-i", f.made, "-x", to)
		if f.head["answer"] == "autoinstall" {
			want = append([]byte("#cloud-config\n"), want...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is %q", to, got)
		}
	}
	b, err := baseimage.Open(f.made, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if name := f.head["initrd"]; name != "" {
		i, _, err := initrd.Initrd(b, 1)
		if err != nil {
			t.Fatal(err)
		}
		e, err := i.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := i.Copy(&got, e); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s in the initrd is %q (%v)", name, got.Bytes(), err)
		}
	}
	if area := f.head["area"]; area != "" {
		before, after := isotest.Run(t, "isoinfo", "-R", "-i", f.base, "-x", area), isotest.Run(t, "isoinfo", "-R", "-i", f.made, "-x", area)
		if len(before) != len(after) {
			t.Errorf("%s has %d bytes, had %d", area, len(after), len(before))
		}
		p := filepath.Join(t.TempDir(), "area")
		if err := os.WriteFile(p, after, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := isotest.Run(t, "sh", "-c", "gzip -dcq "+p+" 2>/dev/null | cpio -i --quiet --to-stdout config.ign"); !bytes.Equal(got, want) {
			t.Errorf("config.ign in the area is %q", got)
		}
	}
}

// checkEntries looks for the arguments on every line that starts a kernel.
func (f family) checkEntries(t *testing.T) {
	args, all := strings.Fields(f.head["args"]), 0
	defer func() {
		if all == 0 {
			t.Error("no entry starts a kernel")
		}
	}()
	for _, name := range f.files {
		if !slices.Contains([]string{".cfg", ".CFG"}, filepath.Ext(name)) || f.head["to"] == "/"+name {
			continue
		}
		lines := 0
		for l := range strings.Lines(string(isotest.Run(t, "isoinfo", "-R", "-i", f.made, "-x", "/"+name))) {
			l = strings.TrimSpace(l)
			word, _, _ := strings.Cut(strings.ReplaceAll(l, "\t", " "), " ")
			kernel := word == "linux" && strings.HasSuffix(name, "grub.cfg") || word == "linux" && strings.HasSuffix(name, "loopback.cfg") ||
				strings.EqualFold(word, "append") && !strings.Contains(l, "boot.cfg") || strings.HasPrefix(word, "kernelopt=")
			if !kernel {
				continue
			}
			lines++
			for _, a := range args {
				if plain := strings.NewReplacer(`\\`, `\`, `'`, "", `"`, "", `\;`, ";").Replace(l); !strings.Contains(plain+" ", a+" ") {
					t.Errorf("%s: %q does not have %s", name, l, a)
				}
			}
			if at := strings.Index(l, " ---"); at >= 0 && f.head["family"] != "xenserver" && // there it parts programs
				len(args) > 0 && strings.Contains(l[at:], args[len(args)-1]) {
				t.Errorf("%s: %q: behind ---", name, l)
			}
		}
		all += lines
	}
}

// mayDiffer are what an answer file may change, beside boot files.
func (f family) mayDiffer(name string) bool {
	switch filepath.Base(name) {
	case "user-data", "meta-data", "auto-installer-mode.toml", "md5sum.txt", "sha256sum.txt", "CHECKSUMS", ".treeinfo":
		return true
	}
	ext := strings.ToLower(filepath.Ext(name))
	return name == f.head["to"] || name == f.head["area"] || ext == ".cfg" || f.head["initrd"] != "" && (strings.Contains(name, "initrd") || name == "/install.img")
}

// checkRest compares every file with the base's.
func (f family) checkRest(t *testing.T) {
	before, after := isotest.Bsdtar(t, f.base), isotest.Bsdtar(t, f.made)
	for name, e := range after {
		if old, ok := before[name]; (!ok || old.SHA256 != e.SHA256) && !f.mayDiffer("/"+name) && filepath.Base(name) != "isolinux.bin" && filepath.Base(name) != "eltorito.img" && e.SHA256 != "" {
			t.Errorf("%s differs", name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			t.Errorf("%s is gone", name)
		}
	}
}

// treeSum is a line of .treeinfo.
var treeSum = regexp.MustCompile(`(?m)^(\S+) = sha256:([0-9a-f]{64})$`)

// checkSums lets md5sum and its kin look whether the lists of an image are true, and
// returns how many files they named.
func checkSums(t *testing.T, image string) (checked int) {
	t.Helper()
	dir := t.TempDir()
	isotest.Run(t, "bsdtar", "-xf", image, "-C", dir)
	isotest.Run(t, "chmod", "-R", "u+w", dir) // or it could not be removed
	for list, tool := range map[string]string{"md5sum.txt": "md5sum", "sha256sum.txt": "sha256sum", "CHECKSUMS": "sha256sum", "arch/x86_64/airootfs.sha512": "sha512sum"} {
		if _, err := os.Stat(filepath.Join(dir, list)); err != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), isotest.Tool(t, tool), "-c", filepath.Base(list))
		cmd.Dir = filepath.Join(dir, filepath.Dir(list))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", list, err, out)
		}
		checked += strings.Count(string(out), ": OK")
	}
	text, err := os.ReadFile(filepath.Join(dir, ".treeinfo"))
	if err != nil {
		return checked
	}
	for _, m := range treeSum.FindAllStringSubmatch(string(text), -1) {
		checked++
		if got := isotest.SHA256File(t, filepath.Join(dir, m[1])); got != m[2] {
			t.Errorf(".treeinfo: %s is %s", m[1], got)
		}
	}
	return checked
}

// showAnswer is a first program in an initrd that shows the answer file that the kernel
// has unpacked and goes on with the image's own.
const showAnswer = "#!/bin/busybox sh\nbusybox mount -t devtmpfs d /dev\nbusybox sed 's/^/IN-INITRD /' %s > /dev/ttyS0\nbusybox umount /dev\nexec /init\n"

// startsByItself are the words on the kernel's command line that an image's menu is said to
// start with when nobody presses a key.
func startsByItself(t *testing.T, image string, w qemu.Firmware) []string {
	t.Helper()
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	menus, err := bootedit.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	on := map[qemu.Firmware]menu.Platform{qemu.BIOS: menu.BIOS, qemu.UEFI: menu.UEFI}[w]
	for _, m := range menus {
		if slices.Contains(m.Platforms, on) && m.Start.Boots() {
			return slices.DeleteFunc(strings.Fields(m.Start.Args), func(arg string) bool { return strings.HasPrefix(arg, "initrd=") })
		}
	}
	t.Errorf("%s: no menu is said to start a kernel by itself: %v", on, menus)
	return nil
}

// TestFamiliesBoot: the kernel's own command line has the arguments, and the booted
// system sees the answer file where its installer looks: on the medium, or in the initrd.
// All families take minutes: one is booted, all under ISOLAYER_SOAK.
func TestFamiliesBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	for _, fixture := range familyFixtures(t) {
		name := strings.TrimSuffix(filepath.Base(fixture), ".txtar")
		if name != "ubuntu" && os.Getenv("ISOLAYER_SOAK") == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			f := withAnswer(t, fixture)
			if f.made == "" || f.head["bios"] == "" {
				t.Skip("nothing that could be booted here")
			}
			texts := append([]string{"CORPUS-BOOT-OK"}, strings.Fields(f.head["args"])...)
			image := filepath.Join(t.TempDir(), "shown.iso")
			if to := f.head["to"]; to != "" {
				rebuild(t, f.made, image, edit.Kargs{Args: []string{"check=" + to}})
				texts = append(texts, "CORPUS-FILE "+to+" "+isotest.Bsdtar(t, f.made)[strings.TrimPrefix(to, "/")].SHA256)
			} else {
				at := cmp.Or(f.head["initrd"], "/config.ign")
				show := localFile(t, "show", fmt.Sprintf(showAnswer, at))
				if err := os.Chmod(show, 0o755); err != nil {
					t.Fatal(err)
				}
				rebuild(t, f.made, image, edit.InitrdAdd{Adds: []edit.Add{{Source: show, Dest: "/show"}}}, edit.Kargs{Args: []string{"rdinit=/show"}})
				texts = append(texts, "IN-INITRD "+strings.TrimSpace(answerFiles[distro.Kind(f.head["answer"])]))
			}
			firmware := []qemu.Firmware{qemu.BIOS}
			if f.head["efi"] != "" && os.Getenv("ISOLAYER_SOAK") != "" {
				firmware = append(firmware, qemu.UEFI)
			}
			for _, w := range firmware {
				texts := slices.Concat(texts, startsByItself(t, image, w))
				for i := range texts {
					if w == qemu.UEFI { // Debian's GRUB, unlike Fedora's, hands no backslash on
						texts[i] = strings.ReplaceAll(texts[i], `\x`, "x")
					}
				}
				res := isotest.Boot(t, image, w, qemu.CD, texts...)
				t.Logf("| %s | %s | --%s | %s | %.0f s |", name, w, f.head["answer"], strings.Join(texts[1:], ", "), res.Took.Seconds())
			}
		})
	}
}
