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

	"github.com/isolayer/isolayer/internal/isotest"
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
	base := isotest.Image(t, "rhel-like-medium")
	tool, err := filepath.Abs("../../bin/isolayer")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
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

// views are programs that show an image at $MNT.
var views = []struct{ name, mount, umount string }{
	{"isolayer, FUSE", `"$ISOLAYER" mount --view fuse "$BASE" "$MNT"`, `"$ISOLAYER" umount "$MNT"`},
	{"isolayer, EROFS", `"$ISOLAYER" mount --view erofs "$BASE" "$MNT"`, `"$ISOLAYER" umount "$MNT"`},
	{"fuseiso", `fuseiso "$BASE" "$MNT"`, `fusermount -u "$MNT"`},
	{"archivemount", `archivemount -o readonly "$BASE" "$MNT"`, `umount "$MNT"`},
}

// TestReading prints how fast views are read: one large file, and the list of many small ones.
func TestReading(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounts and drops caches, needs root")
	}
	tool, err := filepath.Abs("../../bin/isolayer")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	big, many, mnt := filepath.Join(work, "big"), filepath.Join(work, "many"), filepath.Join(work, "mnt")
	for _, d := range []string{big, many, mnt} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(script string, env ...string) time.Duration {
		cmd := exec.Command("bash", "-ec", script)
		cmd.Env = append(os.Environ(), append(env, "ISOLAYER="+tool, "MNT="+mnt, "WORK="+work)...)
		log, err := os.Create(filepath.Join(work, "log")) // servers would hold a pipe open
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
		start := time.Now()
		if err := cmd.Run(); err != nil {
			msg, _ := os.ReadFile(log.Name())
			t.Fatalf("%s: %v\n%s", script, err, msg)
		}
		return time.Since(start)
	}
	for i := range 100_000 {
		p := filepath.Join(many, fmt.Sprint(i/1000), fmt.Sprint("file-", i))
		if i%1000 == 0 {
			if err := os.Mkdir(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(p, []byte(fmt.Sprintln(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(`dd if=/dev/urandom of="$WORK/big/file" bs=1M count=400; genisoimage -quiet -R -o "$WORK/big.iso" "$WORK/big"; rm "$WORK/big/file"
		genisoimage -quiet -R -o "$WORK/many.iso" "$WORK/many"; sync -f "$WORK"`)
	const drop = `echo 3 > /proc/sys/vm/drop_caches`
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f", 400/d.Seconds()) }
	fmt.Print("\n### Reading a file of 400 MiB, MiB/s\n\n| view | cold | warm server, cold view | warm |\n|---|---|---|---|\n")
	run(drop)
	cold := run(`cat "$WORK/big.iso" > /dev/null`)
	fmt.Printf("| the image file itself | %s | – | %s |\n", rate(cold), rate(run(`cat "$WORK/big.iso" > /dev/null`)))
	env := "BASE=" + filepath.Join(work, "big.iso")
	for _, v := range views {
		run(v.mount, env)
		run(drop)
		first := run(`cat "$MNT/file" > /dev/null`)
		run(v.umount, env)
		run(`cat "$WORK/big.iso" > /dev/null`)
		run(v.mount, env)
		second := run(`cat "$MNT/file" > /dev/null`)
		third := run(`cat "$MNT/file" > /dev/null`)
		run(v.umount, env)
		fmt.Printf("| %s | %s | %s | %s |\n", v.name, rate(first), rate(second), rate(third))
	}
	fmt.Print("\n### find -ls over 100 000 files, s\n\n| view | first, cold | second |\n|---|---|---|\n")
	run(drop)
	first := run(`find "$WORK/many" -ls > /dev/null`)
	fmt.Printf("| ext4 | %.2f | %.2f |\n", first.Seconds(), run(`find "$WORK/many" -ls > /dev/null`).Seconds())
	env = "BASE=" + filepath.Join(work, "many.iso")
	for _, v := range views[:3] {
		run(v.mount, env)
		run(drop)
		first := run(`find "$MNT" -ls > /dev/null`)
		second := run(`find "$MNT" -ls > /dev/null`)
		run(v.umount, env)
		fmt.Printf("| %s | %.2f | %.2f |\n", v.name, first.Seconds(), second.Seconds())
	}
}
