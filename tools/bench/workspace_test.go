//go:build bench

package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// ways are the ways to put one file into an image, or to replace one.
var ways = []struct{ name, args string }{
	{"native", `"$ISOLAYER" build "$BASE" --add "$KS" -o "$OUT"`},
	{"overlay, native mastering", `"$ISOLAYER" build "$BASE" --add "$KS" -o "$OUT" --strategy overlay`},
	{"overlay, genisoimage", `"$ISOLAYER" build "$BASE" --add "$KS" -o "$OUT" --strategy overlay --mastering genisoimage`},
	{"overlay, xorriso", `"$ISOLAYER" build "$BASE" --add "$KS" -o "$OUT" --strategy overlay --mastering xorriso`},
	{"bind, genisoimage", `"$ISOLAYER" build "$BASE" --add "$KS":/EULA -o "$OUT" --strategy bind --mastering genisoimage`},
	{"copy, native mastering", `"$ISOLAYER" build "$BASE" --add "$KS" -o "$OUT" --strategy copy`},
	{"copy, genisoimage", `"$ISOLAYER" build "$BASE" --add "$KS" -o "$OUT" --strategy copy --mastering genisoimage`},
	{"classic by hand", `mkdir "$WORK/tree"; xorriso -osirrox on -indev "$BASE" -extract / "$WORK/tree"; chmod -R u+w "$WORK/tree"; cp "$KS" "$WORK/tree/"
		genisoimage -quiet -U -R -J -joliet-long -V 'CentOS 7 x86_64' -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table -eltorito-alt-boot -e images/efiboot.img -no-emul-boot -o "$OUT" "$WORK/tree"
		isohybrid --uefi "$OUT"; implantisomd5 --force "$OUT"; rm -rf "$WORK/tree"`},
}

// TestWays prints time and bytes written of each way; every result has a media check.
func TestWays(t *testing.T) {
	tool, base, work := setup(t)
	ks := filepath.Join(work, "kickstart.cfg")
	if err := os.WriteFile(ks, []byte("text\nreboot\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	took := make([][]time.Duration, len(ways))
	written := make([]int64, len(ways))
	for range rounds() {
		for _, i := range rand.Perm(len(ways)) {
			out := filepath.Join(work, "out.iso")
			cmd := exec.Command("bash", "-ec", ways[i].args)
			cmd.Env = append(os.Environ(), "ISOLAYER="+tool, "BASE="+base, "OUT="+out, "KS="+ks, "WORK="+work, "TMPDIR="+work)
			start := time.Now()
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", ways[i].name, err, msg)
			}
			f, err := os.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			took[i] = append(took[i], time.Since(start))
			written[i] = cmd.ProcessState.SysUsage().(*syscall.Rusage).Oublock * 512
			_ = f.Close()
			if err := os.Remove(out); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Printf("\n### One file, by every way, with media check (%d rounds)\n\n| way | median s | time relative to native | written MiB |\n|---|---|---|---|\n", rounds())
	for i, w := range ways {
		m := median(took[i]).Seconds()
		fmt.Printf("| %s | %.2f | %.2f | %d |\n", w.name, m, m/median(took[0]).Seconds(), written[i]>>20)
	}
}
