package build_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/verify"
)

// TestLabelInInitrd: where the initrd holds the kernel arguments that name the medium, as
// Agama's does, another label goes there too. The initrd's own bytes stay, what Debian's
// cpio unpacks last has the label, and so has what the kernel unpacked.
func TestLabelInInitrd(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	const conf, initrd = "etc/cmdline.d/10-liveroot.conf", "/boot/x86_64/loader/initrd"
	base, head, _ := isotest.Family(t, "../distro/testdata/agama.txtar")
	made := filepath.Join(t.TempDir(), "made.iso")
	// A first program that shows the file and goes on with the one of the image.
	show := localFile(t, "show", "#!/bin/busybox sh\nbusybox mount -t devtmpfs d /dev\nbusybox sed 's/^/IN-INITRD /' /"+conf+" > /dev/ttyS0\nbusybox umount /dev\nexec /init\n")
	if err := os.Chmod(show, 0o755); err != nil {
		t.Fatal(err)
	}
	img := rebuild(t, base, made, edit.Label{ID: "MY-AGAMA"},
		edit.AnswerFile{Kind: distro.Agama, Source: localFile(t, "profile.json", answerFiles[distro.Agama])},
		edit.InitrdAdd{Adds: []edit.Add{{Source: show, Dest: "/show"}}}, edit.Kargs{Args: []string{"rdinit=/show"}})
	told := false
	for _, f := range img.Report.BootFiles {
		told = told || f.Path == initrd && f.Changes["label"] == 1
	}
	if !told {
		t.Errorf("the report does not tell: %v", img.Report.BootFiles)
	}
	before, after := object(t, base, initrd), object(t, made, initrd)
	if !bytes.HasPrefix(after, before) {
		t.Error("the initrd that was there changed")
	}
	want := "root=live:LABEL=MY-AGAMA\nroot_disk=live:LABEL=MY-AGAMA\n"
	if got := lastOf(t, after[len(before):], conf); got != want {
		t.Errorf("%s is %q, want %q", conf, got, want)
	}
	b, err := baseimage.Open(made, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if r, err := stage.Release(b); err != nil || r.ID != head["family"] {
		t.Errorf("it is now %v (%v)", r, err)
	}
	if os.Getenv("ISOLAYER_SOAK") != "" {
		isotest.Boot(t, made, qemu.BIOS, qemu.CD, "IN-INITRD root=live:LABEL=MY-AGAMA", "IN-INITRD root_disk=live:LABEL=MY-AGAMA", "CORPUS-BOOT-OK", "CORPUS-MEDIA /dev/sr0 MY-AGAMA")
	}

	// An image that says in every entry where its root is has no initrd unpacked.
	other := filepath.Join(t.TempDir(), "other.iso")
	rebuild(t, base, other, edit.Kargs{Args: []string{"root=live:CDLABEL=" + head["label"]}}, edit.Label{ID: "MY-AGAMA"})
	if !bytes.Equal(object(t, other, initrd), before) {
		t.Error("an initrd changed that no entry depends on")
	}
}

// TestRootedPaths: paths behind GRUB's variable for the medium are looked up, too.
func TestRootedPaths(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base, _, _ := isotest.Family(t, "../distro/testdata/agama.txtar")
	made := filepath.Join(t.TempDir(), "made.iso")
	rebuild(t, base, made, edit.Remove{Pattern: "/boot/x86_64/loader/linux"})
	for image, want := range map[string]int{base: 0, made: 2} {
		report, err := build.Verify(t.Context(), image, verify.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, g := range report.Groups {
			for _, f := range g.Findings {
				if strings.Contains(f.String(), "kernel /boot/x86_64/loader/linux is not in the image") && f.Severity == verify.Problem {
					got++
				}
			}
		}
		if got != want {
			t.Errorf("%s: %d findings, want %d", filepath.Base(image), got, want)
		}
	}
}

// TestLabelUnreadableInitrd: if nobody can tell what an initrd looks for, the user is warned.
func TestLabelUnreadableInitrd(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base, _, _ := isotest.Family(t, "../distro/testdata/agama.txtar")
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(t.Context(), b, []edit.Step{
		edit.Add{Source: localFile(t, "initrd", "something else\n"), Dest: "/boot/x86_64/loader/"}, edit.Label{ID: "MY-AGAMA"},
	}, stage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(img.Report.Warnings, "\n"); !strings.Contains(text, "will not find it") {
		t.Errorf("warnings: %q", text)
	}
}

// lastOf unpacks archives of cpio, one behind the other, with Debian's program.
func lastOf(t *testing.T, archives []byte, name string) string {
	t.Helper()
	dir := t.TempDir()
	p := filepath.Join(dir, "archives")
	if err := os.WriteFile(p, bytes.TrimLeft(archives, "\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	return string(isotest.Run(t, "sh", "-c", "cd "+dir+" && cpio -i --quiet --to-stdout "+name+" < archives"))
}
