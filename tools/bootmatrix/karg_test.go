//go:build bootmatrix

package bootmatrix

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
)

// shown is what the kernel of the images shows after TestKargMatrix's edits.
var shown = regexp.MustCompile(kernel + ".* matrix=karg")

// TestKargMatrix gives every image another kernel argument and another label and boots
// it in every way in which its base boots: the kernel shows the argument, and finds the
// medium by its new name.
func TestKargMatrix(t *testing.T) {
	rows := kargTable(t)
	for _, im := range images {
		if im.text != nil {
			continue // no kernel of ours
		}
		t.Run(im.name, func(t *testing.T) {
			base := isotest.Image(t, im.name)
			out := make1(t, base, []edit.Step{
				// Linux panics at its timer check where emulation gets too little time.
				edit.Kargs{Args: []string{"console=ttyS0,115200", "matrix=karg", "no_timer_check"}}, edit.Label{ID: "NEW"},
			})
			boots := ways(t, base)
			if len(boots) == 0 {
				t.Fatal("no boot equipment")
			}
			rows[im.name] = nil
			for _, w := range boots {
				result := kargBoot(t, base, out, w.f, w.m)
				rows[im.name] = append(rows[im.name], fmt.Sprintf("| %s | %s | %s | %s |\n", im.name, w.f, w.m, result))
				t.Logf("%s %s %s: %s", im.name, w.f, w.m, result)
				writeKargTable(t, rows)
			}
		})
	}
}

// kargTableFile has the results. Rows of images that a run leaves out stay in it.
const kargTableFile = "../../docs/boot-matrix-kargs.md"

// kargTable reads the rows of each image.
func kargTable(t *testing.T) map[string][]string {
	text, err := os.ReadFile(kargTableFile)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for l := range strings.Lines(string(text)) {
		if f := strings.Split(l, " | "); len(f) == 4 && f[0] != "| image" {
			name := strings.TrimPrefix(f[0], "| ")
			rows[name] = append(rows[name], l)
		}
	}
	return rows
}

// writeKargTable writes those of all images.
func writeKargTable(t *testing.T, rows map[string][]string) {
	var lines []string
	for _, im := range images {
		lines = append(lines, rows[im.name]...)
	}
	text := fmt.Sprintf("# Boot matrix of edited boot configurations\n\n"+
		"`make boot-matrix` boots each image with `--karg console=ttyS0,115200 --karg matrix=karg --label NEW`\n"+
		"and writes this table; `go test -tags bootmatrix -run TestKargMatrix/NAME ./tools/bootmatrix` renews the\n"+
		"rows of one. The figure is the time until the kernel had shown `matrix=karg` of its command line\n"+
		"(`/proc/cmdline`) and mounted the medium with the label NEW; QEMU without KVM on %d processors that may\n"+
		"have had else to do, last on %s. Firmware and media for which an image has no boot equipment\n"+
		"are not in it.\n\n| image | firmware | as | edited |\n|---|---|---|---|\n%s\n%d boots.\n",
		runtime.NumCPU(), time.Now().UTC().Format("2006-01-02"), strings.Join(lines, ""), len(lines))
	if err := os.WriteFile(kargTableFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// way is firmware and medium.
type way struct {
	f qemu.Firmware
	m qemu.Media
}

// ways lists those for which an image has boot equipment. Firmware starts EFI programs from
// boot images that are not said to be for it, too, as SUSE's are not.
func ways(t *testing.T, image string) (out []way) {
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	has := map[string]bool{}
	for _, w := range b.Boot().Ways() {
		has[w.Firmware+w.Medium] = true
	}
	for _, o := range b.Boot().Objects() {
		if v, err := b.FAT(o.Name); err == nil {
			if _, dir, err := v.Lookup("EFI/BOOT"); err == nil && dir {
				has["UEFICD"], has["UEFIdisk"] = true, true
			}
		}
	}
	for _, f := range []qemu.Firmware{qemu.BIOS, qemu.UEFI} {
		for _, m := range []qemu.Media{qemu.CD, qemu.Disk} {
			if has[strings.ToUpper(string(f))+map[qemu.Media]string{qemu.CD: "CD", qemu.Disk: "disk"}[m]] {
				out = append(out, way{f, m})
			}
		}
	}
	return out
}

// kargBoot boots an edited image; where that fails, its base must too.
func kargBoot(t *testing.T, base, out string, f qemu.Firmware, m qemu.Media) string {
	run := func(image string, texts ...string) (qemu.Result, bool) {
		res, err := qemu.Run(context.Background(), image, qemu.Options{Firmware: f, Media: m, Memory: 768, Expect: texts, Timeout: 4 * time.Minute, NoKVM: true})
		if err != nil {
			t.Fatal(err)
		}
		return res, len(res.Missing) == 0
	}
	res, ok := run(out, "CORPUS-MEDIA")
	if ok && shown.MatchString(res.Console) && regexp.MustCompile(`CORPUS-MEDIA \S+ NEW`).MatchString(res.Console) {
		return fmt.Sprintf("%.0f s", res.Took.Seconds())
	}
	if _, ok := run(base, kernel); !ok {
		return "the base does not boot"
	}
	t.Errorf("%s %s: the edited image does not show the argument, missing %q:\n%s", f, m, res.Missing, res.Console[max(0, len(res.Console)-1500):])
	return "FAILED"
}
