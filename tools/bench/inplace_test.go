//go:build bench

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// checked are ways to get a changed image with a media check.
var checked = []job{
	{name: "isolayer build", args: `"$ISOLAYER" build "$BASE" --add "$KS" -o "$OUT" --progress none 2>/dev/null`},
	{name: "isolayer build, no media check", args: jobs[0].args},
	{name: "md5sum of the base", args: `md5sum "$BASE" >"$OUT"`},
	{name: "xorriso, implantisomd5", args: jobs[2].args + ` ; implantisomd5 --force "$OUT" >/dev/null`},
	{name: "classic, implantisomd5", args: jobs[3].args + ` ; implantisomd5 --force "$OUT" >/dev/null`},
}

// implants put a media check into a copy of the image.
var implants = []job{
	{name: "isolayer md5 implant", prepare: `cp "$BASE" "$OUT"`, args: `"$ISOLAYER" md5 implant --force "$OUT" --progress none >/dev/null 2>&1`},
	{name: "md5sum", prepare: `cp "$BASE" "$OUT"`, args: `md5sum "$OUT" >/dev/null`},
	{name: "implantisomd5", prepare: `cp "$BASE" "$OUT"`, args: `implantisomd5 --force "$OUT" >/dev/null`},
}

// TestBenchMediaCheck times what keeping a media check costs.
func TestBenchMediaCheck(t *testing.T) {
	tool, base, work := setup(t)
	fmt.Printf("\n### New file with a media check\n\n")
	table(race(t, checked, tool, base, work))
	fmt.Printf("\n### Media check into a file\n\n")
	table(race(t, implants, tool, base, work))
}

// TestBenchInPlace times a small file added to the image itself: of 1 GiB and, with
// BENCH_LARGE=1, of 8 GiB.
func TestBenchInPlace(t *testing.T) {
	tool, base, work := setup(t)
	inPlace(t, tool, base, work)
	if os.Getenv("BENCH_LARGE") != "" {
		inPlace(t, tool, isotest.Image(t, "rhel-like-large"), work)
	}
}

// inPlace changes copies of the image. Waiting for the disk is told apart: isolayer says
// how long that was, xorriso does not wait and is followed by an fsync.
func inPlace(t *testing.T, tool, base, work string) {
	ks, out := filepath.Join(work, "ks.cfg"), filepath.Join(work, "place.iso")
	var own, synced, grow, growSynced []time.Duration
	var written, journal, growWritten int64
	for round := range rounds() + 1 {
		for _, k := range rand.Perm(2) {
			isotest.Run(t, "cp", base, out)
			syscall.Sync()
			start := time.Now()
			var cmd *exec.Cmd
			if k == 0 {
				cmd = exec.Command(tool, "build", out, "--add", ks, "--in-place", "--media-check", "strip", "--json", "--progress", "none")
			} else {
				cmd = exec.Command("xorriso", "-dev", out, "-joliet", "on", "-boot_image", "any", "keep", "-map", ks, "/ks.cfg")
			}
			answer, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %v", cmd, err)
			}
			wall := time.Since(start)
			f, err := os.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			all := time.Since(start)
			f.Close()
			var r struct {
				Journal int64   `json:"bytes_journal"`
				Synced  float64 `json:"seconds_syncing"`
			}
			usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			switch {
			case round == 0:
			case k == 0:
				if err := json.Unmarshal(answer, &r); err != nil {
					t.Fatal(err)
				}
				own = append(own, wall-time.Duration(r.Synced*1e9))
				synced = append(synced, all)
				written, journal = usage.Oublock*512, r.Journal
			default:
				grow, growSynced = append(grow, wall), append(growSynced, all)
				growWritten = usage.Oublock * 512
			}
			isotest.Run(t, "rm", "-f", out, out+".isolayer-undo")
		}
	}
	info, err := os.Stat(base)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n### In place: a small file into an image of %d bytes, media check stripped\n\n", info.Size())
	fmt.Println("| program | median s without waiting for the disk | with it | written KiB | of which journal |")
	fmt.Println("|---|---|---|---|---|")
	fmt.Printf("| isolayer build --in-place | %.3f | %.3f | %d | %d |\n", median(own).Seconds(), median(synced).Seconds(), written>>10, journal>>10)
	fmt.Printf("| xorriso -dev, grow | %.3f | %.3f | %d | – |\n", median(grow).Seconds(), median(growSynced).Seconds(), growWritten>>10)
	fmt.Printf("\nisolayer is %.1f times as fast without waiting for the disk, %.1f times with it.\n",
		median(grow).Seconds()/median(own).Seconds(), median(growSynced).Seconds()/median(synced).Seconds())
}

// TestBenchRoom shows what the first edit in place costs where a partition is appended
// directly behind the file system, and what later ones do.
func TestBenchRoom(t *testing.T) {
	tool, _, work := setup(t)
	fmt.Printf("\n### In place, with a partition behind the file system\n\n")
	fmt.Println("| image | edit | s without waiting for the disk | written KiB | ESP at block |")
	fmt.Println("|---|---|---|---|---|")
	ks, out := filepath.Join(work, "ks.cfg"), filepath.Join(work, "room.iso")
	if err := os.WriteFile(ks, bytes.Repeat([]byte("text\nreboot\n"), 20_000), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fedora", "ubuntu2204", "arch"} {
		isotest.Run(t, "cp", "--no-preserve=mode", isotest.Image(t, name), out)
		for i := range 4 {
			start := time.Now()
			cmd := exec.Command(tool, "build", out, "--add", fmt.Sprintf("%s:/ks%d.cfg", ks, i), "--in-place", "--media-check", "strip", "--json", "--progress", "none")
			answer, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %v", cmd, err)
			}
			wall := time.Since(start)
			var r struct {
				Written int64   `json:"bytes_written"`
				Synced  float64 `json:"seconds_syncing"`
			}
			if err := json.Unmarshal(answer, &r); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("| %s | %d | %.3f | %d | %s |\n", name, i+1, wall.Seconds()-r.Synced, r.Written>>10, esp(t, out))
		}
		isotest.Run(t, "rm", "-f", out, out+".isolayer-undo")
	}
}

// esp is the first block, of 512 bytes, of the EFI system partition in the GPT.
func esp(t *testing.T, image string) string {
	t.Helper()
	for l := range strings.Lines(string(isotest.Run(t, "sgdisk", "-p", image))) {
		if f := strings.Fields(l); len(f) > 5 && f[5] == "EF00" {
			return f[1]
		}
	}
	return "–"
}

// TestBenchGrow asks other programs what is right in images that were changed in place.
func TestBenchGrow(t *testing.T) {
	tool, _, _ := setup(t)
	fmt.Printf("\n### What is right after a change in place\n\n")
	fmt.Println("| image | changed by | GPT (sgdisk -v) | tree through the first partition | Joliet has the file | UUID kept | media check |")
	fmt.Println("|---|---|---|---|---|---|---|")
	ks := filepath.Join(t.TempDir(), "ks.cfg")
	if err := os.WriteFile(ks, []byte("text\nreboot\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rhel-like-small", "fedora", "ubuntu2204", "arch"} {
		base := isotest.Image(t, name)
		for _, by := range []string{"isolayer", "xorriso grow"} {
			out := filepath.Join(t.TempDir(), "out.iso")
			isotest.Run(t, "cp", "--no-preserve=mode", base, out)
			if by == "isolayer" {
				isotest.Run(t, tool, "build", out, "--add", ks, "--in-place")
			} else {
				isotest.Run(t, "xorriso", "-dev", out, "-boot_image", "any", "keep", "-map", ks, "/ks.cfg")
			}
			fmt.Printf("| %s | %s | %s | %s | %s | %s | %s |\n", name, by,
				judge(base, out, `sgdisk -v "$IMG" 2>&1 | grep -q "No problems found"`),
				judge(base, out, `dd if="$IMG" bs=2048 skip=16 status=none | bsdtar -tf - 2>/dev/null | grep -qix "ks.cfg"`),
				judge(base, out, `isoinfo -J -f -i "$IMG" 2>/dev/null | grep -qi "/ks.cfg"`, `isoinfo -d -i "$IMG" | grep -q "Joliet with"`),
				judge(base, out, `test "$(blkid -p -s UUID -o value "$IMG")" = "$(blkid -p -s UUID -o value "$REF")"`),
				judge(base, out, `checkisomd5 "$IMG" >/dev/null 2>&1`))
		}
	}
}

// judge runs a question about the changed image. Where the base says no too, it does
// not apply; applies, if given, is asked of the base instead.
func judge(base, out, question string, applies ...string) string {
	ask := func(image, q string) bool {
		cmd := exec.Command("bash", "-c", q)
		cmd.Env = append(os.Environ(), "IMG="+image, "REF="+base)
		return cmd.Run() == nil
	}
	precondition := question
	switch {
	case len(applies) > 0:
		precondition = applies[0]
	case strings.Contains(question, "skip=16"):
		precondition = `dd if="$IMG" bs=2048 skip=16 status=none | bsdtar -tf - >/dev/null 2>&1`
	}
	switch {
	case !ask(base, precondition):
		return "–"
	case ask(out, question):
		return "yes"
	}
	return "**no**"
}
